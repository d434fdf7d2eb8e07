"""A chord chart laid out on ticks: its form goes round from bar 1 on, for as long as the band plays."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from daemon.harmony.chord_reading import NO_READ_CHORD, ReadChord
from music import chords
from music.analysis.key import Key, read_key
from music.charts.chart import Chart, ChartBar, ChartError
from music.charts.chord_names import ChordName, spell_pitch_class
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import PITCH_CLASSES, TICKS_PER_BEAT, Metre

#: ticks of a whole note
_WHOLE = 4 * TICKS_PER_BEAT
#: names of sections with which songs end
_ENDING = re.compile(r"\b(ending|end|outro|coda|tag)\b", re.IGNORECASE)
#: and with which they begin
_INTRO = re.compile(r"\b(intro|introduction)\b", re.IGNORECASE)
#: of a span
_START, _END = itemgetter(0), itemgetter(1)


class _Bar(NamedTuple):
    """A bar as it is played."""

    start: int
    end: int
    mark: str | None  #: name of the section that begins here
    chord_count: int


class ChartLine:
    """The chords of a chart, as they are played."""

    def __init__(self, chart: Chart) -> None:
        """Lay a chart out. Raises ChartError for one that does not say where its chords begin, or has none."""
        chart.check_playable()
        #: (tick, metre) of every change of metre, the first at 0; none where the band cannot play one of them
        self.metres: tuple[tuple[int, Metre], ...] = _list_metres(chart)
        self._spans: list[tuple[int, int, ReadChord]] = []  # start, end, chord
        self._bars: list[_Bar] = []
        at = 0
        for bar, placed in chart.iterate_played():
            unit = _WHOLE // bar.metre.denominator
            end = at + bar.metre.numerator * unit
            starts = [min(end, at + round((each.beat - 1) * unit)) for each in placed]
            for each, begin, stop in zip(placed, starts, [*starts[1:], end], strict=True):
                self._add(begin, stop, read_name(each.name))
            self._bars.append(_Bar(at, end, _read_mark(bar), len(placed)))
            at = end
        written = [each.name for bar in chart.bars for each in bar.chords]
        if self._spans and not self._spans[0][2].tones and written and written[0].quality is not None:
            del self._spans[0]  # nothing is written there: that is no rest
        #: the key that it names, or whose tones the mode has that it names; None where it names none
        self.key = _find_key(chart)
        #: ticks of the whole form, once round
        self.length = at

    def list_chords(self, since: int, until: int, transpose: int = 0, certainty: float = 1.0) -> list[GivenChord]:
        """Return the chords that sound in the ticks [since, until), higher by `transpose` semitones."""
        found = []
        for turn in range(since // self.length, -(-until // self.length)):
            offset = turn * self.length
            first = bisect_right(self._spans, since - offset, key=_END)
            last = bisect_left(self._spans, until - offset, first, key=_START)
            for start, end, chord in self._spans[first:last]:
                found.append(place(transpose_chord(chord, transpose), start + offset, end + offset, certainty))
        return found

    def find_bar(self, place: int) -> tuple[int, int]:
        """Return the ticks [begin, end) of the bar that a tick of the form lies in."""
        bar = self._bars[bisect_right(self._bars, place, key=lambda each: each.start) - 1]
        return bar.start, bar.end

    def find_section(self, place: int) -> tuple[int, int]:
        """Return the ticks [begin, end) of the section that a tick of the form lies in; of its bar if it has none."""
        marks = [bar.start for bar in self._bars if bar.mark is not None]
        if not marks:
            return self.find_bar(place)
        begin = max((at for at in marks if at <= place), default=0)
        return begin, min((at for at in marks if at > place), default=self.length)

    @property
    def has_ending(self) -> bool:
        """True if a section of it is called an ending or a coda."""
        return any(_is_ending(bar) for bar in self._bars)

    @property
    def has_intro(self) -> bool:
        """True if its first section is called an introduction."""
        first = self._bars[0].mark
        return first is not None and _INTRO.search(first) is not None

    def find_ending(self) -> tuple[int, int]:
        """Return the ticks at which the last bars begin, and at which the final chord does.

        They are the last section that is called an ending or a coda, else the last bar. The last bar of such a section
        is the final chord if it has one chord only; else that is the chord of bar 1, and begins where they end.
        """
        marked = [bar.start for bar in self._bars if _is_ending(bar)]
        if not marked:
            return self._bars[-1].start, self.length
        begin, end = self.find_section(marked[-1])
        last = next(bar for bar in self._bars if bar.end == end)
        return begin, last.start if last.chord_count == 1 else end

    def _add(self, start: int, end: int, chord: ReadChord) -> None:
        if start >= end:
            return
        if self._spans and self._spans[-1][1] == start and self._spans[-1][2] == chord:
            start = self._spans.pop()[0]
        self._spans.append((start, end, chord))


def _is_ending(bar: _Bar) -> bool:
    return bar.mark is not None and _ENDING.search(bar.mark) is not None


def _find_key(chart: Chart) -> Key | None:
    if not chart.key:
        return None
    key = read_key(chart.key)
    return key.find_relative(chart.mode) if chart.mode else key


def _list_metres(chart: Chart) -> tuple[tuple[int, Metre], ...]:
    changes: list[tuple[int, Metre]] = []
    at = 0
    for bar, _ in chart.iterate_played():
        try:
            metre = Metre(*bar.metre)
        except ValueError:
            return ()
        if not changes or changes[-1][1] != metre:
            changes.append((at, metre))
        at += metre.ticks_per_bar
    return tuple(changes)


def _read_mark(bar: ChartBar) -> str | None:
    return "coda" if bar.is_coda else bar.section


class OpenedChart(NamedTuple):
    """A chart that has been read from a file."""

    source: str  #: the file's name; "" where there is no chart
    line: ChartLine | None

    @property
    def metres(self) -> tuple[tuple[int, Metre], ...]:
        """Its metres from bar 1 on. Raises ChartError for one that the band does not play."""
        if self.line is None or not self.line.metres:
            raise ChartError(f"{self.source}: it has a metre that no grid of sixteenths shows; give --metre")
        return self.line.metres


def open_chart(source: str | Path) -> OpenedChart:
    """Return the first chart of a file. Raises ChartError."""
    from music.charts.reading import read_charts  # here, so that getting ready to play does not wait for mido

    chart = read_charts(source)[0]
    try:
        return OpenedChart(str(source), ChartLine(chart))
    except ChartError as error:
        raise ChartError(f"{source}: {error}") from None


def place(chord: ReadChord, start: int, end: int, certainty: float) -> GivenChord:
    """Return a chord in the ticks [start, end), as players are told of it."""
    return GivenChord(start, end, chord.root, chord.tones, chord.bass, certainty)


def transpose_chord(chord: ReadChord, semitones: int) -> ReadChord:
    """Return a chord moved up by semitones."""
    if not semitones or not chord.tones:
        return chord
    tones = pack_tones(pc + semitones for pc in range(PITCH_CLASSES) if chord.has(pc))
    return ReadChord((chord.root + semitones) % PITCH_CLASSES, tones, (chord.bass + semitones) % PITCH_CLASSES)


@lru_cache(maxsize=1024)
def read_name(name: ChordName) -> ReadChord:
    """Return the chord that a name stands for; what is not known of its quality is left out."""
    if name.quality is None:
        return NO_READ_CHORD
    plain = ChordName(name.root, name.quality)
    stem = name.quality.partition("(")[0]
    triad = "min" if stem.startswith("min") else stem if stem in ("dim", "aug", "sus4", "sus2") else "maj"
    for label in (plain.label, f"{name.root}:{stem}", f"{name.root}:{triad}"):
        try:
            chord = chords.parse(label)
        except ValueError:
            continue
        if chord is not None:
            break
    else:
        return NO_READ_CHORD
    bass = chord.root if name.bass is None else spell_pitch_class(name.bass)
    return ReadChord(chord.root, pack_tones({*chord.pitch_classes, bass}), bass)
