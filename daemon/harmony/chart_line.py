"""A chord chart laid out on ticks: its form goes round from bar 1 on, for as long as the band plays."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from daemon.harmony.chord_reading import NO_READ_CHORD, ReadChord
from music import chords
from music.analysis.key import read_key
from music.charts.chart import Chart, ChartError
from music.charts.chord_names import ChordName, spell_pitch_class
from music.charts.reading import read_charts
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import PITCH_CLASSES, TICKS_PER_BEAT

#: ticks of a whole note
_WHOLE = 4 * TICKS_PER_BEAT


class ChartLine:
    """The chords of a chart, as they are played."""

    def __init__(self, chart: Chart) -> None:
        """Lay a chart out. Raises ChartError for one that does not say where its chords begin, or has none."""
        if not chart.is_timed:
            raise ChartError("it tells the order of its chords, not their bars: write them in a grid")
        self._spans: list[tuple[int, int, ReadChord]] = []  # start, end, chord
        at = 0
        for bar, placed in chart.iterate_played():
            unit = _WHOLE // bar.metre.denominator
            end = at + bar.metre.numerator * unit
            starts = [min(end, at + round((each.beat - 1) * unit)) for each in placed]
            for each, begin, stop in zip(placed, starts, [*starts[1:], end], strict=True):
                self._add(begin, stop, read_name(each.name))
            at = end
        written = [each.name for bar in chart.bars for each in bar.chords]
        if self._spans and not self._spans[0][2].tones and written and written[0].quality is not None:
            del self._spans[0]  # nothing is written there: that is no rest
        #: the key that it names; None where it names none
        self.key = read_key(chart.key) if chart.key else None
        #: ticks of the whole form, once round
        self.length = at
        if not self._spans:
            raise ChartError("there are no bars in it")

    def list_chords(self, since: int, until: int, transpose: int = 0, certainty: float = 1.0) -> list[GivenChord]:
        """Return the chords that sound in the ticks [since, until), higher by `transpose` semitones."""
        found = []
        for turn in range(since // self.length, -(-until // self.length)):
            offset = turn * self.length
            for start, end, chord in self._spans:
                if start + offset < until and end + offset > since:
                    found.append(place(transpose_chord(chord, transpose), start + offset, end + offset, certainty))
        return found

    def _add(self, start: int, end: int, chord: ReadChord) -> None:
        if start >= end:
            return
        if self._spans and self._spans[-1][1] == start and self._spans[-1][2] == chord:
            start = self._spans.pop()[0]
        self._spans.append((start, end, chord))


def open_chart(source: str | Path) -> tuple[Chart, ChartLine]:
    """Return the first chart of a file, as it is written and laid out. Raises ChartError."""
    chart = read_charts(source)[0]
    try:
        return chart, ChartLine(chart)
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
