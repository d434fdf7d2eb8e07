"""The host's timeline: where its positions lie in the band's time, which runs as they do and never backwards.

In that time a tick always takes as long, whatever the host's tempo: a tempo that changes moves no note, for the plugin
places each by its position, and a host that renders faster than real time is like any other. A jump of the host is a
moment at which another stretch of positions begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from daemon.core.events import Position
from daemon.core.tempo import NS_PER_US
from daemon.plugin.lines import MILLITICKS, OFFLINE, STOPPED, At
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Metre

#: microseconds of a quarter note in the band's time
US_PER_BEAT = 480_000
TICK_NS = US_PER_BEAT * NS_PER_US // TICKS_PER_BEAT
MILLITICK_NS = TICK_NS // MILLITICKS
#: by how much (milliticks) the place in the bar may differ behind a jump that the band plays on over
SAME_PLACE = MILLITICKS // 2
#: what is played so close (milliticks) to a tick was played at it: hosts round to samples, each time a little otherwise
SNAP = 20
SNAP_NS = SNAP * MILLITICK_NS
#: an instance of the plugin that is so far (ticks) from the others is where they are going to be
MAX_APART = 2 * TICKS_PER_BEAT


class Move(Enum):
    """Things that the host does."""

    STARTED = "started"
    WENT_ON = "went on"
    JUMPED = "jumped"  # to another place in the bar
    WRAPPED = "wrapped"  # to the same place of another bar: the band plays on
    JOINED = "joined"  # a connection tells now what others have told before
    STOPPED = "stopped"


@dataclass(slots=True)
class TimelineMember:
    """A connection, as far as the timeline knows it."""

    epoch: int = 0  #: the newest that it has told
    serial: int = 0  #: the stretch that it is on
    begin: int = 0  #: the position at which its epoch began


class HostTimeline:
    """Owns the stretch of the host's positions that is played. Positions are milliticks, times ns of the band's."""

    def __init__(self) -> None:
        self.rolling = self.offline = False
        #: counts the stretches
        self.serial = 1
        #: the time before which all that was played has been told
        self.limit = 0
        #: microseconds of a quarter note, as the host plays it
        self.us = 500_000
        #: milliticks from the limit on in which the plugin needs all notes now
        self.ahead = 0
        #: a bar line, and the metre from there on
        self.bar: tuple[int, Metre] = (0, Metre())
        #: where the host goes round, if that needs no leap of the band
        self.loop: tuple[int, int] | None = None
        self._begin = 0  # the position at which the stretch began
        self._shift = 0  # the time of position 0

    def find_time(self, position: int) -> int:
        """Return the time of a position of the stretch that is played."""
        return position * MILLITICK_NS + self._shift

    def find_time_played(self, position: int) -> int:
        """Return the time of what was played at a position: of a tick, if it is as good as there."""
        tick = round(position / MILLITICKS) * MILLITICKS
        return self.find_time(tick if abs(position - tick) <= SNAP else position)

    @property
    def passed(self) -> int:
        """The time up to which nothing more is to come that was played before it."""
        return self.limit - SNAP_NS if self.rolling else self.limit

    def find_position(self, at: int) -> int:
        """Return the position that the stretch has at a time."""
        return (at - self._shift) // MILLITICK_NS

    def is_member(self, member: TimelineMember) -> bool:
        """Tell whether a connection is on the stretch that is played."""
        return self.rolling and member.serial == self.serial

    def hear(self, member: TimelineMember, at: At, now: int, pre_ticks: int, *, drives: bool) -> Move | None:
        """Take what a connection tells; return what the host has done, None where it is no news.

        now: the band's time; pre_ticks: ticks by which the band must be told of a start before a step begins, to play
        in it; drives: this connection says how far the host has come.
        """
        is_new, member.epoch = at.epoch != member.epoch, at.epoch
        was_member = member.serial == self.serial
        move: Move | None = Move.WENT_ON if was_member else None
        if at.mode == STOPPED:
            return self._stop(member, was_member=was_member)
        if is_new:
            member.begin = at.begin
            if self.rolling and not was_member and self._fits(at):
                move = Move.JOINED
            else:
                move = self._begin_stretch(at, now, pre_ticks)
            member.serial = self.serial
        elif not was_member:
            return None
        self.offline = at.mode == OFFLINE
        if drives:
            self.us, self.ahead = at.us, at.ahead
            self.limit = max(self.limit, self.find_time(at.heard))
        self.loop = at.loop if at.loop is not None and self._goes_round(at.loop, at.heard) else None
        return move

    def tell_bar(self, at: At) -> bool:
        """Take the bar line that the host tells; return True if the bars are others than they were."""
        if at.metre is None:
            return False
        line, metre = self.bar
        if metre == at.metre and (at.bar - line) % (metre.ticks_per_bar * MILLITICKS) == 0:
            return False
        self.bar = at.bar, at.metre
        return True

    def make_position(self, at: int) -> Position:
        """Return the position of the host at a time, for the clock: that of the tick which it lies in."""
        tick = self.find_position(at) // MILLITICKS
        line = round(self.bar[0] / MILLITICKS), self.bar[1]
        return Position(at, self.rolling, tick, self.find_time(tick * MILLITICKS), US_PER_BEAT, line)

    def find_begin(self) -> int:
        """Return the time at which the stretch begins: what lies before it was never heard."""
        return self.find_time(self._begin)

    def _stop(self, member: TimelineMember, *, was_member: bool) -> Move | None:
        if self.rolling and was_member:
            self.rolling, self.loop = False, None
            self.serial += 1
            member.serial = self.serial
            return Move.STOPPED
        if not self.rolling:
            member.serial = self.serial
        return None

    def _fits(self, at: At) -> bool:
        """Tell whether a connection that has begun an epoch is where the stretch is."""
        begin, slack = self.find_time(at.begin), MAX_APART * TICK_NS
        return self.find_time(self._begin) - SAME_PLACE * MILLITICK_NS <= begin <= self.limit + slack

    def _begin_stretch(self, at: At, now: int, pre_ticks: int) -> Move:
        """Let another stretch begin, once all that was heard on the one before has been worked off."""
        turn = max(now, self.limit)
        shift = self._find_wrap(at, turn) if self.rolling else None
        move = Move.WRAPPED if shift is not None else Move.JUMPED if self.rolling else Move.STARTED
        if shift is None:
            step = at.begin // MILLITICKS // TICKS_PER_STEP * TICKS_PER_STEP
            shift = turn - (step - pre_ticks) * TICK_NS
        self.serial += 1
        self.rolling, self._begin, self._shift = True, at.begin, shift
        self.limit = max(turn, self.find_time(at.begin))
        return move

    def _find_wrap(self, at: At, turn: int) -> int | None:
        """Return the shift with which the band plays on behind a jump; None if it is elsewhere in its bar."""
        line, metre = self.bar
        if at.metre != metre:
            return None
        length = metre.ticks_per_bar * MILLITICKS
        apart = self.find_position(turn) - line - (at.begin - at.bar)
        if abs((apart + length // 2) % length - length // 2) > SAME_PLACE:
            return None
        bars = (apart + length // 2) // length
        return self._shift + (line - at.bar + bars * length) * MILLITICK_NS

    def _goes_round(self, loop: tuple[int, int], heard: int) -> bool:
        return heard <= loop[1] + SNAP and (loop[1] - loop[0]) % (self.bar[1].ticks_per_bar * MILLITICKS) == 0
