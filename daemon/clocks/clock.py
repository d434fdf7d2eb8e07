"""Clocks that the band can follow, as pure state machines: told what comes in, they say what the clock did.

A clock counts ticks (1/24 beat) of its own song position. Where these lie on the band's timeline, which never runs
backwards, is the business of `daemon.engine.clock_sync`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daemon.core.events import MidiIn, Position
from music.errors import UserError
from music.note import Metre


class ClockError(UserError):
    """A clock that cannot be had."""


@dataclass(frozen=True, slots=True)
class Started:
    """The clock has started, or goes on from another position."""

    tick: int  #: its song position ...
    ns: int  #: ... at this time
    us: int  #: microseconds per beat
    fresh: bool = False  #: from the top; False: it continued, jumped, or came back after a silence
    elsewhere: bool = False  #: it has jumped to a place that the band cannot simply play on at


@dataclass(frozen=True, slots=True)
class Stopped:
    """The clock stands still, or has been silent for too long."""

    ns: int


@dataclass(frozen=True, slots=True)
class ClockTick:
    """The clock goes on as it did."""

    tick: int  #: its song position ...
    ns: int  #: ... at this time
    us: int  #: microseconds per beat
    jitter: int = 0  #: how far (ns) what came in was from where it should have been
    lost: int = 0  #: ticks that never came, since the clock began


@dataclass(frozen=True, slots=True)
class TempoOnly:
    """The clock beats time, but has never said where it is."""

    tick: int  #: counted from anywhere ...
    ns: int  #: ... at this time
    us: int  #: microseconds per beat


@dataclass(frozen=True, slots=True)
class Moved:
    """The clock goes on from another place that lies the same in its bar, as when it comes round in a loop."""

    tick: int  #: its song position ...
    ns: int  #: ... at this time


@dataclass(frozen=True, slots=True)
class BarTold:
    """The clock says where one of its bars begins, and in which metre; all that follow are like it."""

    tick: int  #: its song position there
    metre: Metre


Change = Started | Stopped | ClockTick | TempoOnly | Moved | BarTold


class Clock(Protocol):
    """A clock that the band follows, as a pure state machine."""

    @property
    def waits_for_start(self) -> bool:
        """True: the band is silent until this clock has started; False: until then it plays on its own."""
        ...

    def on_event(self, event: MidiIn | Position) -> Sequence[Change]:
        """Return the changes that a message brings. Messages come in time order."""
        ...

    @property
    def deadline(self) -> int | None:
        """The time (ns) from which on further silence means something; None for never."""
        ...

    def on_silence(self, now: int) -> Sequence[Change]:
        """Return the changes that the silence until now brings."""
        ...
