"""The way of a performance through its chart: which place of the form is played at which tick.

Mostly the form goes round from bar 1 on. A vamp repeats a section for as long as it is wanted, an ending jumps to the
last bars, and another chart can take over at a bar line. Each of these is a stretch of the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from daemon.harmony.chart_line import ChartLine
from music.encoding.chord_evidence import GivenChord

_ALWAYS, _NEVER = -(1 << 62), 1 << 62
#: stretches that are remembered: the past is asked for some bars back only
_MAX_STRETCHES = 16


class Stretch(NamedTuple):
    """A part of the way, on which one part of a form goes round."""

    since: int  #: the tick from which on it holds
    chart: ChartLine | None  #: None: there is no chart
    origin: int  #: a tick at which the part that goes round begins
    begin: int = 0  #: the place of the form, in ticks, at which that part begins
    length: int = 0  #: its length in ticks; 0: the whole form
    is_vamp: bool = False  #: it is repeated until the vamp is over

    @property
    def turn(self) -> int:
        """The ticks after which it comes round."""
        return self.length or (0 if self.chart is None else self.chart.length)

    def find_turn(self, tick: int) -> int:
        """Return the tick at which the turn begins that a tick lies in."""
        return self.origin + (tick - self.origin) // self.turn * self.turn

    def find_place(self, tick: int) -> int:
        """Return the place of the form that is played at a tick."""
        return self.begin + (tick - self.origin) % self.turn


class ChartRoute:
    """Owns the way through charts. Ticks rise until `restart`."""

    def __init__(self) -> None:
        #: where bar 1 of the song lies, as the player's first note or the clock that is followed says
        self.bar_1 = 0
        #: the section that is played is to be repeated
        self.wants_vamp = False
        self._stretches = [Stretch(_ALWAYS, None, 0)]

    @property
    def chart(self) -> ChartLine | None:
        """The chart that is played from, or will be from the next bar line on; None: there is none."""
        return self._stretches[-1].chart

    def find(self, tick: int) -> Stretch:
        """Return the stretch that a tick lies on."""
        return next((each for each in reversed(self._stretches) if each.since <= tick), self._stretches[0])

    def find_end(self, tick: int) -> int | None:
        """Return the tick at which the stretch ends that a tick lies on; None for one without end."""
        return next((each.since for each in self._stretches if each.since > tick), None)

    def list_chords(self, since: int, until: int, transpose: int = 0) -> list[GivenChord]:
        """Return the chords that sound in the ticks [since, until), higher by `transpose` semitones."""
        found: list[GivenChord] = []
        ends = [*(each.since for each in self._stretches[1:]), _NEVER]
        for stretch, end in zip(self._stretches, ends, strict=True):
            if stretch.chart is not None and stretch.since < until and end > since:
                chords = _list_chords(stretch, max(since, stretch.since), min(until, end), transpose)
                found += (each._replace(end=min(each.end, end)) for each in chords)
        return found

    def restart(self, bar_1: int | None = None, tick: int | None = None) -> None:
        """Begin anew, with bar 1 at a tick, or where the song has it; all that came before is over.

        tick: where in the song one is, whose section a vamp repeats; None: at bar 1.
        """
        if bar_1 is not None:
            self.bar_1 = bar_1
        self._stretches = [Stretch(_ALWAYS, self.chart, self.bar_1)]
        self._resume_vamp(self.bar_1 if tick is None else tick)

    def return_to(self, line: int, bar_1: int) -> None:
        """Begin the song anew with bar 1 at a tick to come, to which the end of the form leads from a bar line on."""
        self.bar_1 = bar_1
        self._add(Stretch(line, self.find(line).chart, bar_1))

    def change_chart(
        self, chart: ChartLine | None, line: int | None, *, is_same: bool = False, is_led: bool = False
    ) -> None:
        """Play from another chart, or from none.

        line: the bar line from which on it holds; None: the band does not play. is_same: it is the same song,
        corrected, and goes on where the old one is; another song begins with its bar 1. is_led: a clock says where in
        the song one is, whichever it is.
        """
        if line is None:
            self._stretches = [Stretch(_ALWAYS, chart, self.bar_1)]
            self._resume_vamp(self.bar_1)
            return
        now, origin = self.find(line), line
        if is_led:
            origin = self.bar_1
        elif is_same and chart is not None and now.chart is not None:
            origin -= chart.find_bar(now.find_place(line) % chart.length)[0]
        self._add(Stretch(line, chart, origin))
        self._resume_vamp(line)

    def vamp(self, tick: int) -> None:
        """Repeat the section that is played at a tick, if that is wanted, or else go on after it."""
        last, now = self._stretches[-1], self.find(tick)
        if last.since > tick and (last.is_vamp or last.chart is not now.chart):  # it begins at the next bar line
            now, tick = last, last.since
        if now.chart is None:
            return
        if now.since == _ALWAYS:
            tick = max(tick, now.origin)  # a pickup belongs to the section of bar 1
        if not self.wants_vamp and now.is_vamp:
            line = now.find_turn(tick) + now.turn
            self._add(Stretch(line, now.chart, line - (now.begin + now.length)))
        elif now.is_vamp:
            self._add(now)  # it may have been about to end
        elif self.wants_vamp:
            place = now.find_place(tick)
            begin, end = now.chart.find_section(place)
            origin = tick - (place - begin)
            self._add(Stretch(max(origin, now.since), now.chart, origin, begin, end - begin, is_vamp=True))

    def end(self, line: int, soonest: int = _ALWAYS, *, plays_last_bar: bool = True) -> int | None:
        """Go to the ending of the chart at a bar line; return the tick at which the final chord is to begin.

        Nobody jumps who is in it. soonest: the tick from which on players can be told of another chord: a final chord
        that would begin earlier, as an ending of one bar has it, is played for a bar first. plays_last_bar: a chart
        without an ending goes to its last bar, and else to the chord of bar 1 at once. Returns None where there is no
        chart.
        """
        now = self.find(line)
        if now.chart is None:
            return None
        if not plays_last_bar and not now.chart.has_ending:
            self._add(Stretch(line, now.chart, line))
            return line
        begin, chord = now.chart.find_ending()
        place = now.find_place(line)
        if not begin <= place < chord:
            place = begin
        self._add(Stretch(line, now.chart, line - place))
        last = line + chord - place
        if chord == now.chart.find_section(begin)[1]:  # the final chord is that of bar 1
            self._add(Stretch(last, now.chart, last))
        elif last < soonest:
            first, end = now.chart.find_bar(chord)
            self._add(Stretch(last, now.chart, last, first, end - first))
            last += end - first
        return last

    def _resume_vamp(self, tick: int) -> None:
        if self.wants_vamp:
            self.vamp(tick)

    def _add(self, stretch: Stretch) -> None:
        """Let a stretch hold, in place of what would have come after its beginning."""
        kept = [each for each in self._stretches if each.since < stretch.since]
        self._stretches = [*kept[-_MAX_STRETCHES:], stretch]


def _list_chords(stretch: Stretch, since: int, until: int, transpose: int) -> Iterator[GivenChord]:
    """Yield the chords in the ticks [since, until), which lie on a stretch."""
    assert stretch.chart is not None
    at = stretch.find_turn(since)
    while at < until:
        shift = at - stretch.begin
        first, last = max(since, at), min(until, at + stretch.turn)
        for chord in stretch.chart.list_chords(first - shift, last - shift, transpose):
            start, end = max(chord.start + shift, at, stretch.since), min(chord.end + shift, at + stretch.turn)
            yield chord._replace(start=start, end=end)
        at += stretch.turn
