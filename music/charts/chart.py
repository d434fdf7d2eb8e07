"""A chord chart: the bars of a song as they are written, and the order in which they are played."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from music.charts.chord_names import NO_CHORD, ChordName
from music.errors import UserError

#: A chart that unfolds to more bars than that is refused: hours of music, or repeats in repeats by mistake.
MAX_BARS = 20_000
_TOO_MANY_BARS = f"it has more than {MAX_BARS:,} bars, which is no song"


class ChartError(UserError):
    """A chart cannot be read; the message names the file and, where there is one, the line and the bar."""


class ChartMetre(NamedTuple):
    """A metre as a chart writes it."""

    numerator: int
    denominator: int

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


COMMON_TIME = ChartMetre(4, 4)


class PlacedChord(NamedTuple):
    """A chord and the place in its bar at which it begins."""

    beat: Fraction  #: from 1, in units of the metre's lower figure
    name: ChordName


@dataclass
class ChartBar:
    """One bar as it is written, with the signs that say in which order bars are played."""

    metre: ChartMetre
    chords: list[PlacedChord] = field(default_factory=list)  #: in order of time; the first may come after beat 1
    section: str | None = None  #: name of the section that begins here
    repeat_start: bool = False
    repeat_end: int = 0  #: how often the repeated bars are played in all when it is said here; 0: no repeat ends here
    endings: frozenset[int] = frozenset()  #: the passes in which this bar is played; empty: in all
    is_segno: bool = False
    is_coda: bool = False
    is_fine: bool = False  #: the song ends after this bar once a jump has been made
    to_coda: bool = False  #: after this bar, once a jump has been made, the coda follows
    jump: str = ""  #: "D.C." or "D.S.": after this bar, once, from the beginning or from the segno


@dataclass
class Chart:
    """One song's chart."""

    format: str  #: text, chordpro, musicxml, ireal or midi
    title: str = ""
    composer: str = ""
    key: str = ""  #: tonic, with `m` for minor; "" when it is not known
    mode: str = ""  #: of the key, such as `dorian`; "" where it is plain major or minor
    metre: ChartMetre = COMMON_TIME  #: of the first bar
    has_pickup: bool = False  #: a short bar before the first, which is not among `bars`
    bars: list[ChartBar] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  #: indices into `bars` as they are played, repeats unfolded
    sequence: list[ChordName] | None = None  #: chords whose place is not known, where a chart has no bars
    tempo_bpm: float | None = None
    first_bar_tick: int | None = None  #: where bar 1 begins in a MIDI file, in the file's own ticks

    @property
    def is_timed(self) -> bool:
        """Tell whether the chart says where each chord begins."""
        return self.sequence is None

    def add_bar(self, bar: ChartBar) -> None:
        """Write one more bar. Raises ValueError for more than MAX_BARS."""
        if len(self.bars) >= MAX_BARS:
            raise ValueError(_TOO_MANY_BARS)
        self.bars.append(bar)

    def check_playable(self) -> None:
        """Raise ChartError for a chart that cannot be played from."""
        if not self.is_timed:
            raise ChartError("it tells the order of its chords, not their bars: write them in a grid")
        if not self.order:
            raise ChartError("there are no bars in it")

    def list_bars(self) -> list[list[PlacedChord]]:
        """Return for every written bar its chords, each bar beginning with the chord that sounds at its beat 1."""
        return list(_hold_over(self.bars))

    def iterate_played(self) -> Iterator[tuple[ChartBar, list[PlacedChord]]]:
        """Yield each bar as it is played, repeats unfolded, with its chords (the first at beat 1)."""
        held = self.list_bars()
        for index in self.order:
            yield self.bars[index], held[index]

    def describe(self) -> dict[str, Any]:
        """Return the chart as plain values for JSON."""
        values: dict[str, Any] = {"format": self.format, "title": self.title}
        if self.composer:
            values["composer"] = self.composer
        values |= {"metre": str(self.metre), "key": self.key, "pickup": self.has_pickup}
        values |= {"timed": self.is_timed}
        values["bars"] = [[_describe_placed(c) for c in bar] for bar in self.list_bars()]
        values["order"] = list(self.order)
        values["sections"] = {str(i): bar.section for i, bar in enumerate(self.bars) if bar.section}
        if self.sequence is not None:
            values["sequence"] = [_describe_name(name) for name in self.sequence]
        if self.first_bar_tick is not None:
            values["first_bar_tick"] = self.first_bar_tick
        if self.tempo_bpm is not None:
            values["tempo"] = self.tempo_bpm
        return values


def describe_charts(charts: Sequence[Chart]) -> dict[str, Any]:
    """Return the charts of one file as plain values for JSON: one chart as it is, several under `songs`."""
    if len(charts) == 1:
        return charts[0].describe()
    return {"format": charts[0].format, "songs": [chart.describe() for chart in charts]}


def make_error(path: Path | str, sentence: str, line: int | None = None, bar: int | None = None) -> ChartError:
    """Return the error of a chart. line and bar: counted from 1, where they are known."""
    place = "".join(f", {what} {at}" for what, at in (("line", line), ("bar", bar)) if at is not None)
    return ChartError(f"{path}{place}: {sentence}")


def _hold_over(bars: Sequence[ChartBar]) -> Iterator[list[PlacedChord]]:
    sounding = NO_CHORD
    for bar in bars:
        chords = list(bar.chords)
        if not chords or chords[0].beat > 1:
            chords.insert(0, PlacedChord(Fraction(1), sounding))
        sounding = chords[-1].name
        yield chords


def _describe_placed(placed: PlacedChord) -> dict[str, Any]:
    beat = int(placed.beat) if placed.beat.denominator == 1 else round(float(placed.beat), 6)
    return {"beat": beat} | _describe_name(placed.name)


def _describe_name(name: ChordName) -> dict[str, Any]:
    return {"root": name.root, "quality": name.quality, "bass": name.bass}
