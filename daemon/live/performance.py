"""The live side put together: ports, worker and conductor from start to stop, and what is left behind."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.config import Config
from daemon.core.events import Quit
from daemon.core.observers import ObservedOutput, ObservedWorld, Observer
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.live.connections import Connections, unsupported_warning
from daemon.live.listeners import Listeners
from daemon.live.metrics import MetricsWriter
from daemon.live.remote_control import Reach, reached
from daemon.live.service_mode import service_mode
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.midi.rtmidi_ports import PortError
from daemon.players.worker import PlayerSpec, PreloadedWorker, Worker
from daemon.system import sd_notify
from daemon.system.live_world import LiveWorld, real_time_section
from daemon.system.watchdog import find_watchdog
from daemon.takes.take import Take

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PerformanceSetup:
    """One live performance. settings: made from the styles that the player knows, once it is loaded.

    api, in_port, out_port: as `open_ports` takes them; record: where to write the take; report: where to write figures;
    channel: as the conductor takes it; reach: by what else than notes it is played; wiring: clock, ports, figures;
    listeners: takes and sound;
    reread: the configuration as it stands, and how to read it again; early: the player's process, if it was begun.
    """

    player: PlayerSpec
    song: SongInfo
    settings: Callable[[tuple[str, ...]], Settings]
    api: str = "auto"
    in_port: str | None = None
    out_port: str | None = None
    record: Path | None = None
    report: Path | None = None
    channel: int | None = None
    reach: Reach = field(default_factory=Reach)
    wiring: Connections = field(default_factory=Connections)
    listeners: Listeners = field(default_factory=Listeners)
    reread: tuple[Config, Callable[[], Config]] | None = None
    early: PreloadedWorker | None = None


class Stop:
    """What Ctrl-C and SIGTERM do: leave at once while nothing plays yet, then ask the conductor to."""

    def __init__(self, world: LiveWorld) -> None:
        self.playing = False
        self._world = world

    def __call__(self) -> None:
        """Runs as a signal handler, in the main thread."""
        if not self.playing:
            raise SystemExit(0)
        self._world.put(Quit(self._world.now()))


def play(setup: PerformanceSetup, ready: Callable[[ReconnectingPorts, Settings], None]) -> None:
    """Plays until a signal comes; nothing sounds afterwards. ready: called when it can begin.

    Raises PortError, ClockError, WorkerError, AudioError, whatever `settings` raises, and OSError for a file that
    cannot be written.
    """
    for path in (setup.record, setup.report, setup.wiring.metrics):
        check_writable(path)
    world = LiveWorld()
    stop = Stop(world)
    with sd_notify.on_stop(stop), ExitStack() as stack:
        worker = stack.enter_context(closing(Worker(setup.player, world.put, world.now, early=setup.early)))
        worker.start()  # it loads while the ports open
        control = setup.reach.start(world, stack)
        listeners, audio = setup.listeners.start(setup.song.metre_at(0)[1], stack)
        try:
            ports = stack.enter_context(closing(setup.wiring.open(setup.api, setup.in_port, setup.out_port)))
        except PortError:
            setup.settings(worker.wait_ready().styles)  # a mistake in the command line is the nearer one to mend
            raise
        band = worker.wait_ready()
        settings = setup.settings(band.styles)
        take = Take() if setup.record is not None else None
        through = reached(
            setup.reach,
            control,
            world,
            ports,
            styles=band.styles,
            techniques=band.techniques or (settings.technique,),
            settings=settings,
            bpm=setup.song.bpm,
            ports=ports.names,
        )
        if audio is not None:
            log.info("sound: %s", audio.wait_ready())
        watchdog = find_watchdog(world.now())
        observers: list[Observer] = [each for each in (take, *listeners, watchdog) if each is not None]
        plays = ObservedOutput(through.output, observers)
        conductor = Conductor(
            ObservedWorld(through.world, observers),
            plays,
            worker,
            band,
            setup.song,
            settings,
            channel=setup.channel,
            clock=setup.wiring.make_clock(setup.song),
            send_clock=setup.wiring.send_clock,
        )
        through.on_start(conductor)
        for observer in observers:
            observer.on_start(conductor)
        for message in setup.reach.opening():
            plays.send(message, world.now())
        stop.playing = True
        stack.enter_context(closing(MetricsWriter(conductor.counters, setup.wiring.metrics, lambda: ports.xruns)))
        setup.wiring.listen_to_clock(setup.song, world.now, world.put, stack)
        ports.listen(world.now, world.put)
        for told in (ports.note, unsupported_warning(setup.song, settings.technique)):
            if told:
                log.warning("%s", told)
        ready(ports, settings)
        with service_mode(ports, world.now, world.put, band.styles, setup.reread), real_time_section():
            conductor.run()
    log.info("played: %s", conductor.counters.to_report())
    if take is not None and setup.record is not None:
        write_take(take, setup.record, conductor)
    if setup.report is not None:
        text = json.dumps(conductor.counters.to_report(), indent=2)
        setup.report.write_text(text + "\n", encoding="utf-8")


def check_writable(path: Path | None) -> None:
    """Raises OSError for a file that could not be written in the end; better now than after an hour's playing."""
    if path is None:
        return
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory; name a file")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise NotADirectoryError(f"{path.parent} is no directory one can write to; choose another for {path.name}")


def write_take(take: Take, path: Path, conductor: Conductor) -> None:
    """Writes a take of what has been played. Raises OSError."""
    tempo = conductor.tempo or TempoMap(us_per_beat(conductor.song.bpm))
    take.write(path, tempo, conductor.song.metre_at(0)[1])
