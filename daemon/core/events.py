"""Messages between threads: frozen, stamped with the world's nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
class ControlChange:
    """A request to set one live control, as from a gesture, the control socket or an automation file."""

    at: int
    key: str  #: of `daemon.core.controls.CONTROLS`
    value: object  #: not yet checked
    #: called on the conductor's thread once the change has been handled: True if it was accepted
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class LearnGesture:
    """A request to bind the next MIDI gesture that is made to a target, `KEY` or `KEY=VALUE`; an empty target ends
    the learning.
    """

    at: int
    target: str
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class ForgetGesture:
    """A request to drop the learnt gesture of a target."""

    at: int
    target: str
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class RebindGestures:
    """Gestures and presets of a configuration that was read again; they replace the previous ones."""

    at: int
    bindings: Mapping[str, str]  #: gesture -> target, as in the configuration
    presets: Mapping[str, Sequence[tuple[str, object]]]  #: name -> (control, value) pairs


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


Event = (
    MidiIn
    | PlanReady
    | WorkerFailed
    | ControlChange
    | LearnGesture
    | ForgetGesture
    | RebindGestures
    | Position
    | PortsLost
    | PortsBack
    | SystemResumed
    | Quit
)
