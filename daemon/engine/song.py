"""The song that is known before a performance begins, and where its bars lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from daemon.core.tempo import TempoMap
from daemon.harmony.chart_route import ChartRoute
from music.analysis.key import Key
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Metre, Note

#: (tick from which on it holds, Metre), sorted, not empty; the first one holds before its tick, too
Metres = Sequence[tuple[int, Metre]]
_TICK = itemgetter(0)
_ALWAYS = -(1 << 62)
#: changes of the metres that are remembered: the past is asked for some bars back only
_MAX_PARTS = 16


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar, in ticks from `start` up to `end`."""

    start: int
    end: int
    beat: int = TICKS_PER_BEAT  #: ticks of the metre's beat

    @property
    def fill(self) -> int:
        """The tick at which a fill begins: it takes whole beats, half the bar at the most."""
        beats = (self.end - self.start) // self.beat
        return self.end - max(1, beats // 2) * self.beat


def metre_at(metres: Metres, tick: int) -> tuple[int, Metre]:
    """Return the metre at a tick, as (a tick at which one of its bars begins, metre)."""
    return metres[max(0, bisect_right(metres, tick, key=_TICK) - 1)]


def bar_at(metres: Metres, tick: int) -> Bar:
    """Return the bar that a tick lies in; a change of metre cuts the bar before it short."""
    origin, metre = metre_at(metres, tick)
    start = origin + (tick - origin) // metre.ticks_per_bar * metre.ticks_per_bar
    end = start + metre.ticks_per_bar
    following = bisect_right(metres, tick, key=_TICK)
    if following < len(metres) and start < metres[following][0] < end:
        end = metres[following][0]
    return Bar(start, end, 4 * TICKS_PER_BEAT // metre.denominator)


def bar_starts(metres: Metres, end: int) -> list[int]:
    """Return the steps at which bars begin, from bar 1 to the first bar line at or after tick `end`."""
    starts, tick = [0], 0
    while tick < end:
        tick = bar_at(metres, tick).end
        starts.append(tick // TICKS_PER_STEP)
    return starts


class _Metred(NamedTuple):
    """A part of a performance whose bars are those of one song."""

    since: int  #: the tick from which on it holds
    origin: int  #: where the song's bar 1 lies
    metres: Metres  #: with bar 1 at tick 0
    follows_chart: bool  #: the bars are those of the chart, where there is one


class BarLines:
    """Where the bars of a performance lie: where its song has them, or its chart, if that has the say."""

    def __init__(self, metres: Metres, *, follows_chart: bool = False) -> None:
        """metres: of the song; follows_chart: the bars are those of the chart, where there is one."""
        #: the way through the chart
        self.route = ChartRoute()
        self._parts = [_Metred(_ALWAYS, 0, metres, follows_chart)]

    def change_metres(
        self, metres: Metres, line: int | None, *, follows_chart: bool = False, is_led: bool = False
    ) -> None:
        """Let the bars be those of other metres from a bar line on, which is their bar 1.

        line: None if the band does not play; is_led: a clock says where bar 1 is, whichever the song is.
        """
        origin = self.route.bar_1 if line is None or is_led else line
        part = _Metred(_ALWAYS if line is None else line, origin, metres, follows_chart)
        self._parts = [*[each for each in self._parts if each.since < part.since][-_MAX_PARTS:], part]

    def restart(self, bar_1: int | None = None, tick: int | None = None) -> None:
        """Begin the song anew, with bar 1 at a tick, or where it was.

        tick: where in the song one is; None: at bar 1.
        """
        self.route.restart(bar_1, tick)
        last = self._parts[-1]._replace(since=_ALWAYS)
        is_moved = bar_1 is not None and (
            len(last.metres) > 1 or (bar_1 - last.origin) % last.metres[0][1].ticks_per_bar != 0
        )
        self._parts = [last._replace(origin=bar_1) if bar_1 is not None and is_moved else last]

    def metre_at(self, tick: int) -> tuple[int, Metre]:
        """Return the metre at a tick, as (a tick at which one of its bars begins, metre)."""
        metres, shift = self._find(self._find_part(tick), tick)
        origin, metre = metre_at(metres, tick - shift)
        return origin + shift, metre

    def bar_at(self, tick: int) -> Bar:
        """Return the bar that a tick lies in; changes of metre, and jumps of the form, cut the one before short."""
        part = self._find_part(tick)
        metres, shift = self._find(part, tick)
        bar = bar_at(metres, tick - shift)
        start, end = max(bar.start + shift, part.since), bar.end + shift
        if (jump := self.route.find_end(tick) if part.follows_chart else None) is not None:
            end = min(end, jump)
        if (following := next((each.since for each in self._parts if each.since > tick), None)) is not None:
            end = min(end, following)
        return Bar(start, end, bar.beat)

    def _find_part(self, tick: int) -> _Metred:
        return next((each for each in reversed(self._parts) if each.since <= tick), self._parts[0])

    def _find(self, part: _Metred, tick: int) -> tuple[Metres, int]:
        """Return the metres that hold at a tick, and how far they are moved."""
        stretch = self.route.find(tick)
        if not part.follows_chart or stretch.chart is None or not stretch.chart.metres:
            return part.metres, part.origin
        metres = stretch.chart.metres
        if len(metres) == 1:  # bars are counted from the same tick all the while
            return metres, (stretch.origin - stretch.begin) % metres[0][1].ticks_per_bar
        first = stretch.find_turn(max(tick, stretch.origin))  # a pickup is in the metre of bar 1
        return metres, first - stretch.begin


@dataclass(frozen=True, slots=True)
class SongInfo:
    """Tempo, metre and melody of a song, as far as they are known before it is played."""

    #: where the ticks lie in time; None: the first melody note says where bar 1 is
    tempo: TempoMap | None = None
    #: beats per minute while there is no tempo map
    bpm: float = 120.0
    #: the first one lies at or before bar 1
    metres: tuple[tuple[int, Metre], ...] = ((0, Metre()),)
    #: where there is a chart, its bars are the song's
    follows_chart: bool = False
    #: ticks by which the first note comes before bar 1
    pickup: int = 0
    #: bars of clicks before bar 1; their first one, at the start, says where the ticks lie
    count_in: int = 0
    #: the whole melody, where the players may see what is still to come
    melody: tuple[Note, ...] | None = None
    #: the step from which on plans are asked for; None: from the first melody note on
    begin: int | None = None
    #: the tick at which the melody enters, if the band plays before it; None: it does not
    enters: int | None = None
    #: the tick at which bar 1 of the chart lies
    bar_1: int = 0
    #: the ticks at which the final chord begins, and ends, where they are known
    ending: int | None = None
    over: int | None = None
    #: the key to lead in with, where the settings name none
    key: Key | None = None

    def metre_at(self, tick: int) -> tuple[int, Metre]:
        """Return the metre at a tick, as (a tick at which one of its bars begins, metre)."""
        return metre_at(self.metres, tick)

    def bar_at(self, tick: int) -> Bar:
        """Return the bar that a tick lies in."""
        return bar_at(self.metres, tick)
