"""Bars between bar lines in a line of text, as plain charts and ChordPro's grids have them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from music.charts.chart import ChartBar, ChartMetre, PlacedChord
from music.charts.chord_names import ChordName, parse_chord_name

#: A bar line: repeat signs on either side, how often, and the numbers of an ending that begins.
BAR_LINE = re.compile(
    r"(?P<end>:)?(?:\|+[\]}.]?|\[\|)(?P<start>:)?"
    r"(?:(?<=:\|)\s*(?:[x×]\s?(?P<times>\d{1,2})|\((?P<more>\d{1,2})[x×]\)))?"
    r"(?P<ending>\d{1,2}(?:[,-]\d{1,2})*(?:\.|(?=\s)))?"
)
_HOLDS = frozenset("/.")
_REPEATS = frozenset(("%", "x", "𝄎"))


@dataclass
class BarText:
    """Symbols between two bar lines, and the signs of these lines."""

    symbols: list[str]
    repeat_start: bool = False
    repeat_end: int = 0  #: as `ChartBar.repeat_end`
    endings: frozenset[int] = frozenset()


@dataclass
class SplitLine:
    """A line of text, split at its bar lines."""

    before: str  #: what stands before the first bar line
    bars: list[BarText] = field(default_factory=list)
    after: str = ""  #: what stands after the last bar line


def split_line(line: str) -> SplitLine:
    """Return the bars of a line that has bar lines in it. Raises ValueError for an empty bar."""
    marks = list(BAR_LINE.finditer(line))
    split = SplitLine(line[: marks[0].start()].strip(), after=line[marks[-1].end() :].strip())
    for left, right in pairwise(marks):
        symbols = line[left.end() : right.start()].split()
        if not symbols:
            if not left["end"]:
                raise ValueError("a bar is empty (`%` repeats the bar before it, `/` holds its chord)")
            continue
        split.bars.append(_read_bar(symbols, left, right))
    if (marks[-1]["start"] or marks[-1]["ending"]) and not split.after:
        raise ValueError("a repeat or an ending begins at the end of the line: write its bars behind it")
    return split


def _read_bar(symbols: list[str], left: re.Match[str], right: re.Match[str] | None) -> BarText:
    bar = BarText(symbols, repeat_start=bool(left["start"]), endings=read_ending(left["ending"] or ""))
    if right is not None and right["end"]:
        bar.repeat_end = int(right["times"] or right["more"] or 2)
    return bar


def read_last_bar(line: str) -> BarText:
    """Return the bar that stands behind a line's last bar line without one at its end."""
    *_, left = BAR_LINE.finditer(line)
    return _read_bar(line[left.end() :].split(), left, None)


def read_ending(text: str) -> frozenset[int]:
    """Return the passes that an ending is for: `1.`, `1,2.` or `1-3.`. Raises ValueError for one that is none."""
    numbers: set[int] = set()
    for part in text.rstrip(".").split(",") if text else ():
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    if any(number == 0 for number in numbers) or (text and not numbers):
        raise ValueError(f"{text!r} is not the number of an ending")
    return frozenset(numbers)


def make_bar(
    text: BarText, metre: ChartMetre, before: ChartBar | None, section: str | None, *, subdivide: bool = False
) -> ChartBar:
    """Return the bar that a text stands for. Raises ValueError as `place_symbols` does."""
    chords = place_symbols(text.symbols, metre, before, subdivide=subdivide)
    return ChartBar(metre, chords, section, text.repeat_start, text.repeat_end, text.endings)


def place_symbols(
    symbols: Sequence[str], metre: ChartMetre, before: ChartBar | None, *, subdivide: bool = False
) -> list[PlacedChord]:
    """Return the chords that the symbols of a bar stand for.

    As many symbols as the metre has beats: one a beat; fewer: equal parts of the bar. `/` and `.` hold what sounds;
    `%` alone is the bar `before` once more. subdivide: several symbols a beat are taken, too, and `~` joins chords that
    share one. Raises ValueError for anything else.
    """
    if len(symbols) == 1 and symbols[0] in _REPEATS:
        if before is None:
            raise ValueError("`%` has no bar before it")
        return list(before.chords)
    beats, count = metre.numerator, len(symbols)
    part = Fraction(beats, count)
    if count > beats and not (subdivide and count % beats == 0):
        raise ValueError(f"{count} symbols in a bar of {metre}, which has {beats} beats")
    if count < beats and (2 * part).denominator != 1:
        raise ValueError(f"{count} symbols do not divide a bar of {metre}: write one for every beat, `/` holds a chord")
    return list(_place(symbols, part, subdivide=subdivide))


def _place(symbols: Sequence[str], part: Fraction, *, subdivide: bool) -> Iterator[PlacedChord]:
    for index, symbol in enumerate(symbols):
        if symbol in _HOLDS:
            continue
        names = _read_names(symbol, subdivide=subdivide)
        for place, name in enumerate(names):
            yield PlacedChord(1 + part * (index + Fraction(place, len(names))), name)


def _read_names(symbol: str, *, subdivide: bool) -> list[ChordName]:
    joined = symbol.split("~") if subdivide else [symbol]
    return [parse_chord_name(text) for text in joined if text]
