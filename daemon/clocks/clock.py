"""Whose beat it is: clocks that the band follows, as pure state machines.

A clock is told what came in and says what its master did. It counts ticks (1/24 beat) of the master's own song
position; where they lie on the band's timeline, which never runs backwards, is `daemon.engine.clock_sync`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daemon.core.events import MidiIn, Position
from music.errors import UserError


class ClockError(UserError):
    """A clock that cannot be had."""


@dataclass(frozen=True, slots=True)
class Started:
    """The master rolls, or rolls on from somewhere else: its `tick` lies at `ns`, `us` microseconds per beat.

    fresh: from the top, as a Start; otherwise it went on, jumped, or came back after a pause.
    """

    tick: int
    ns: int
    us: int
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """The master stands still, or has been silent for too long."""

    ns: int


@dataclass(frozen=True, slots=True)
class ClockTick:
    """The master rolls on: its `tick` lies at `ns`, `us` microseconds per beat. jitter: how far (ns) what came in was
    from where it should have been; lost: ticks of this clock that never came, since it began."""

    tick: int
    ns: int
    us: int
    jitter: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class TempoOnly:
    """The master beats time without ever having said where it is: its tick `tick`, counted from anywhere, lies at `ns`,
    `us` microseconds per beat."""

    tick: int
    ns: int
    us: int


Change = Started | Stopped | ClockTick | TempoOnly


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
        """The moment (ns) from which on further silence means something."""
        ...

    def on_silence(self, now: int) -> Sequence[Change]:
        """Return the changes that the silence until now brings."""
        ...
