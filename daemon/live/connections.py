"""Connections of a live performance: the clock it follows, its MIDI ports, and its file of metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from daemon.clocks.clock import Clock, ClockError
from daemon.clocks.sources import CLOCK_SOURCES, ClockSetup
from daemon.config.config import Config
from daemon.core.events import Event
from daemon.core.tempo import NS_PER_MS
from daemon.engine.song import SongInfo
from daemon.live.crash_silencer import CrashSilencer
from daemon.midi import backends
from daemon.midi.ports import PortRequest
from daemon.midi.reconnecting import ReconnectingPorts

#: value of `song_position` -> the ticks that a master's Song Position counts in; None: find out
SONG_POSITION_TICKS: Mapping[str, int | None] = {"auto": None, "sixteenths": 6, "clocks": 1}


@dataclass(frozen=True, slots=True)
class Connections:
    """Options of the clock, the ports and the metrics."""

    clock: str = "auto"  #: the clock to follow, a name in CLOCK_SOURCES
    send_clock: bool = False  #: send MIDI clock, for others to follow
    song_position: int | None = None  #: ticks that a master's Song Position counts in; None: find out
    output: str = "auto"  #: what opens the ports, as in `daemon.midi.backends.BACKEND_CHOICES`
    per_role: bool = False  #: an output port for each role
    latency_ns: int | None = None  #: what is taken for the latency of the ports; None: what they tell
    metrics: Path | None = None  #: a file for Prometheus

    @classmethod
    def from_config(cls, config: Config) -> Connections:
        """Return what the keys of a configuration ask for. Raises ClockError for what does not go together."""
        asked = cls(
            clock=config.clock,
            send_clock=config.send_clock,
            song_position=SONG_POSITION_TICKS[config.song_position],
            output=config.output,
            per_role=config.port_per_role,
            latency_ns=None if config.latency_ms < 0 else round(config.latency_ms * NS_PER_MS),
            metrics=config.metrics,
        )
        source = CLOCK_SOURCES[asked.clock]
        if asked.send_clock and source.is_midi and source.leads:
            raise ClockError(f"send_clock: there can be one master only; with --clock {asked.clock} it is not the band")
        if config.settings.count_in and source.leads:
            raise ClockError(
                f"count_in: with --clock {asked.clock} the master says where bar 1 is; leave --count-in out"
            )
        return asked

    def make_clock(self, song: SongInfo) -> Clock | None:
        """Return the clock to follow; None for none but the band's own tempo."""
        source = CLOCK_SOURCES[self.clock]
        return None if self.send_clock and source.is_midi else source.make(self._clock_setup(song))

    def start_clock(
        self, song: SongInfo, now: Callable[[], int], put: Callable[[Event], None], stack: ExitStack
    ) -> None:
        """Start to follow a clock that does not come through the ports. Raises ClockError."""
        source = CLOCK_SOURCES[self.clock]
        if source.open is not None:
            stack.enter_context(closing(source.open(self._clock_setup(song), now, put)))

    def _clock_setup(self, song: SongInfo) -> ClockSetup:
        return ClockSetup(song.bpm, song.metres[0][1], self.song_position)

    def open_ports(
        self, api: str, in_port: str | None, out_port: str | None, silencer: CrashSilencer | None = None
    ) -> ReconnectingPorts:
        """Open the ports, and open them again whenever they are lost. Raises PortError.

        silencer: is told which keys are begun, and who listens; None: nobody is.
        """
        request = PortRequest(
            api,
            self.output,
            in_port,
            out_port,
            self.per_role,
            wait=True,
            hears_clock=CLOCK_SOURCES[self.clock].is_midi,
            keys=None if silencer is None else silencer.keys,
        )
        tell = _tell_nobody if silencer is None else silencer.tell_listeners
        return ReconnectingPorts(lambda: backends.open_ports(request), tell, self.latency_ns)


def _tell_nobody(_api: str, _names: Sequence[str]) -> None:
    pass
