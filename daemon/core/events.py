"""Messages between threads: frozen, stamped with the world's nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.plan import Plan


@dataclass(frozen=True, slots=True)
class MidiIn:
    """A MIDI message (bytes) that arrived on an input at time `at`."""

    at: int
    data: bytes
    port: int = 0


@dataclass(frozen=True, slots=True)
class PlanReady:
    """The worker's answer."""

    at: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A live inference failed; the old plan goes on."""

    at: int
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Command:
    """A live control was turned: a key and its value, as in `--automation` (style, bpm, mute.bass, panic, ...)."""

    at: int
    key: str
    value: object


@dataclass(frozen=True, slots=True)
class Position:
    """Where a master that tells its position (JACK's transport, Link) is: its `tick` (1/24 beat) lies at `ns`, `us`
    microseconds per beat; rolling: whether it moves."""

    at: int
    rolling: bool
    tick: int
    ns: int
    us: int


@dataclass(frozen=True, slots=True)
class PortsLost:
    """What was sent may not have arrived and what is sent does not: a device or its server is gone."""

    at: int


@dataclass(frozen=True, slots=True)
class PortsBack:
    """They are there again."""

    at: int


@dataclass(frozen=True, slots=True)
class SystemResumed:
    """The machine has slept, and is awake again."""

    at: int


@dataclass(frozen=True, slots=True)
class Quit:
    """End what sounds and leave."""

    at: int


Event = MidiIn | PlanReady | WorkerFailed | Command | Position | PortsLost | PortsBack | SystemResumed | Quit
