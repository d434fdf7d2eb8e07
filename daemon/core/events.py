"""Events: frozen messages to the conductor from other threads, stamped with the world's time `at`, in nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.core.plan import Plan
from music.note import Metre


@dataclass(frozen=True, slots=True)
class MidiIn:
    """A MIDI message that arrived on an input."""

    at: int
    data: bytes
    port: int = 0  #: a number of the source it is from, as far as that is known; 0: it is not


@dataclass(frozen=True, slots=True)
class PlanReady:
    """A plan that the worker has made."""

    at: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A plan could not be made; the old one goes on."""

    at: int
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class PlayerReplaced:
    """Another player has taken the place of one that kept failing."""

    at: int


@dataclass(frozen=True, slots=True)
class ControlChange:
    """A request to set one live control, as from a gesture, the control socket or an automation file."""

    at: int
    key: str  #: of `daemon.core.controls.CONTROLS`
    value: object  #: not yet checked
    #: called on the conductor's thread once the change has been handled: True if it was accepted
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)
    #: called before that, where it is known in a sentence why the change will be refused
    explain: Callable[[str], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class CalledSong:
    """A song, ready to be played: the value of a change of the control `song`."""

    name: str  #: empty: none any more
    #: (control, value) pairs; a chart has been read
    changes: tuple[tuple[str, object], ...] = ()
    #: the controls that it or its presets turn, which are turned back when another song is called
    turned: frozenset[str] = frozenset()
    #: the techniques of the songs that may follow, to be loaded meanwhile
    upcoming: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LearnGesture:
    """A request to bind the next MIDI gesture that is made to a target."""

    at: int
    target: str  #: `KEY` or `KEY=VALUE`; empty: learn no more
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class ForgetGesture:
    """A request to drop the learnt gesture of a target."""

    at: int
    target: str
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Ping:
    """A question whether the band hears what it is told; it changes nothing."""

    at: int
    done: Callable[[bool], None] | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class RebindGestures:
    """Gestures and presets of a configuration that was read again; they replace the previous ones."""

    at: int
    bindings: Mapping[str, str]  #: gesture -> target, as in the configuration
    presets: Mapping[str, Sequence[tuple[str, object]]]  #: name -> (control, value) pairs


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a clock that tells it over and over, such as JACK's transport or Ableton Link."""

    at: int
    rolling: bool  #: False: it stands still
    tick: int  #: its song position, in 1/24 beat, ...
    ns: int  #: ... at this time
    us: int  #: microseconds per beat
    #: (a tick of its song position at which a bar begins, the bar's metre), where the clock tells
    bar: tuple[int, Metre] | None = None


@dataclass(frozen=True, slots=True)
class PortsLost:
    """A MIDI device or its server is gone: what was just sent may not have arrived, and what is sent now does not."""

    at: int


@dataclass(frozen=True, slots=True)
class PortsBack:
    """The ports are there again."""

    at: int


@dataclass(frozen=True, slots=True)
class OutputLatency:
    """News that it takes another time from when a message is sent until whoever sends the clock hears it."""

    at: int
    ns: int  #: that time


@dataclass(frozen=True, slots=True)
class SourceLost:
    """A device or program that MIDI came from is gone, or connected no longer: its keys will not go up."""

    at: int
    port: int | None = None  #: its number in `MidiIn`; None: any may be gone


@dataclass(frozen=True, slots=True)
class SystemResumed:
    """The machine was suspended, and is awake again."""

    at: int


@dataclass(frozen=True, slots=True)
class Suspend:
    """A request to end what sounds, because the program is to be stopped for a while."""

    at: int
    stop: Callable[[], None] = field(compare=False)  #: stops the program; returns when it goes on


@dataclass(frozen=True, slots=True)
class Quit:
    """A request to end what sounds, and the performance."""

    at: int


Event = (
    MidiIn
    | PlanReady
    | WorkerFailed
    | PlayerReplaced
    | ControlChange
    | LearnGesture
    | ForgetGesture
    | Ping
    | RebindGestures
    | Position
    | PortsLost
    | PortsBack
    | OutputLatency
    | SourceLost
    | SystemResumed
    | Suspend
    | Quit
)
