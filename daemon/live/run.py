"""`houseband run`: a live performance on MIDI ports, from its setup to the files that it leaves."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.config.checks import ConfigError
from daemon.config.config import Config
from daemon.config.songs import SongBook
from daemon.core.player_info import PlayerInfo, describe_limits
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine
from daemon.input.sources import SourceWorld
from daemon.live.chart_world import ChartWorld
from daemon.live.connections import Connections
from daemon.live.crash_silencer import CrashSilencer
from daemon.live.listeners import Listeners
from daemon.live.metrics import MetricsWriter
from daemon.live.performance import LivePerformance
from daemon.live.remote_control import RemoteControl
from daemon.live.service_mode import service_mode
from daemon.live.song_world import SongWorld
from daemon.midi.end_repeater import EndRepeatWorld
from daemon.midi.ports import NO_PORTS, PortError
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.players.worker import PlayerSpec, PreloadedWorker, Worker
from daemon.system.paths import NoHomeError, find_home, find_takes_folder
from daemon.system.watchdog import find_watchdog
from daemon.takes.take import Take
from music.errors import HousebandError
from music.files import check_distinct, check_writable, write_atomically
from music.note import Metre

log = logging.getLogger(__name__)


class LostRecordingError(HousebandError):
    """The recording of a performance cannot be written where it was asked for."""


@dataclass(frozen=True, slots=True)
class PerformanceSetup:
    """Everything that a performance on MIDI ports is made from."""

    player: PlayerSpec
    song: SongInfo
    settings: Callable[[PlayerInfo], Settings]  #: called once the player is loaded
    chart: ChartLine | None = None  #: the song's chords, where there is a chart
    api: str = "auto"  #: the MIDI system, as `open_ports` takes it
    in_port: str | None = None  #: an existing port to listen to
    out_port: str | None = None  #: an existing port to play to
    channel: int | None = None  #: the only channel on which the melody is heard, 0..15
    record: Path | None = None  #: the MIDI file to leave
    report: Path | None = None  #: the JSON file of counters to leave
    remote: RemoteControl = field(default_factory=RemoteControl)
    connections: Connections = field(default_factory=Connections)
    listeners: Listeners = field(default_factory=Listeners)
    #: the configuration as it stands, and how to read it again; None: it is not read again
    reload: tuple[Config, Callable[[], Config]] | None = None
    book: SongBook = field(default_factory=SongBook)  #: the songs and set lists
    preloaded: PreloadedWorker | None = None  #: the player's process, if it has been started

    @property
    def metre(self) -> Metre:
        """The metre of bar 1."""
        return self.song.metre_at(0)[1]


def play(setup: PerformanceSetup, on_ready: Callable[[ReconnectingPorts, SongInfo, Settings], None]) -> list[Path]:
    """Play until a signal comes; nothing sounds afterwards. Return the takes that were kept.

    on_ready: called when the band can begin. Raises PortError, ClockError, WorkerError, AudioError, whatever `settings`
    raises, and OSError for a file that cannot be written.
    """
    _check_files(setup)
    take = Take() if setup.record is not None else None
    with LivePerformance(setup.player, setup.preloaded) as live:
        world, parts = live.world, live.parts
        server = setup.remote.start(world, parts)  # this, the sound and the player take a moment, all at once
        listeners, audio = setup.listeners.start(setup.metre, parts)
        ports = _open_ports(setup, live)
        live.end_notes = ports.end_notes
        player = live.wait_for_player()
        settings = setup.settings(player)
        book, song = _open_book(setup.book, settings, player)
        remote = setup.remote.attach(
            server,
            SourceWorld(EndRepeatWorld(world, ports)),
            ports,
            player,
            settings,
            setup.song.bpm,
            tuple(filter(None, ports.names)),
            setup.channel,
            find_missing=lambda: _find_missing(ports, live.worker),
        )
        if audio is not None:
            log.info("sound: %s", audio.wait_ready())
        songs = SongWorld(remote.world, world.put, book, settings.setlist, song, remote.show_songs)
        charts = ChartWorld(parts.enter_context(closing(songs)), world.put, follows_metre=setup.song.follows_chart)
        conductor = live.make_conductor(
            parts.enter_context(closing(charts)),
            remote.output,
            setup.song,
            settings,
            [each for each in (take, *listeners, find_watchdog(world.now())) if each is not None],
            channel=setup.channel,
            clock=setup.connections.make_clock(setup.song),
            send_clock=setup.connections.send_clock,
            chart=setup.chart,
            opening_song=songs.open_song(song),
        )
        remote.on_start(conductor)
        parts.enter_context(closing(MetricsWriter(conductor.counters, setup.connections.metrics, lambda: ports.xruns)))
        setup.connections.start_clock(setup.song, world.now, world.put, parts)
        ports.listen(world.now, world.put)
        known = setup.song.metres if setup.chart is None else (*setup.song.metres, *setup.chart.metres)
        metres = list(dict.fromkeys(metre for _, metre in known))
        for warning in (ports.note, *describe_limits(player, settings, metres)):
            if warning:
                log.warning("%s", warning)
        on_ready(ports, _describe_song(conductor), conductor.settings)
        with service_mode(ports, world.now, world.put, player, setup.reload, lambda: conductor.settings.chart):
            live.run(conductor)
    _write_results(setup, take, conductor)
    return setup.listeners.list_takes(listeners)


def _check_files(setup: PerformanceSetup) -> None:
    """Raise OutputError for files that cannot be written, or are one."""
    check_distinct(setup.record, setup.report, setup.connections.metrics)
    for path in (setup.record, setup.report, setup.connections.metrics):
        if path is not None:
            check_writable(path)


def _open_book(book: SongBook, settings: Settings, player: PlayerInfo) -> tuple[SongBook, str]:
    """Return the songs that the player can play, and the one to begin with, if there is one.

    Raises ConfigError where that, or one of the set list, is not among them.
    """
    known = book.keep_known(player)
    known.check_setlist(settings.setlist)
    for reason in known.broken.values():
        log.error("a song cannot be played: %s", reason)
    if settings.song in known.broken:
        raise ConfigError(known.broken[settings.song])
    return known, settings.song or (known.list_names(settings.setlist)[0] if settings.setlist else "")


def _describe_song(conductor: Conductor) -> SongInfo:
    """Return the song that is played first, as it stands before the first note."""
    bpm = round(60_000_000 / conductor.us_per_beat, 2)
    return replace(conductor.song, bpm=bpm, metres=((0, conductor.find_bar(0).metre),))


def _find_missing(ports: ReconnectingPorts, worker: Worker) -> list[str]:
    """Return what the band waits for besides the music, in words for `houseband status`."""
    missing = [f"port {name}" for name in ports.missing]
    return missing if worker.is_ready else [*missing, "player"]


def _open_ports(setup: PerformanceSetup, live: LivePerformance) -> ReconnectingPorts:
    if setup.api == NO_PORTS:  # nobody hears a note that a killed band leaves
        return live.parts.enter_context(closing(setup.connections.open_ports(setup.api, setup.in_port, setup.out_port)))
    silencer = live.parts.enter_context(closing(CrashSilencer()))
    try:
        ports = setup.connections.open_ports(setup.api, setup.in_port, setup.out_port, silencer)
    except PortError:
        setup.settings(live.wait_for_player())  # a mistake on the command line is easier to mend: it comes first
        raise
    return live.parts.enter_context(closing(ports))


def _write_results(setup: PerformanceSetup, take: Take | None, conductor: Conductor) -> None:
    report = conductor.counters.to_report()
    log.info("played: %s", report)
    try:
        if take is not None and setup.record is not None:
            write_take(take, setup.record, conductor)
    finally:
        if setup.report is not None:
            write_atomically(setup.report, json.dumps(report, indent=2) + "\n")


def write_take(take: Take, path: Path, conductor: Conductor) -> None:
    """Write what has been played as a MIDI file.

    Raises LostRecordingError where it cannot be written, once it has been kept elsewhere.
    """
    tempo = conductor.tempo or TempoMap(us_per_beat(conductor.song.bpm))
    metre = conductor.song.metre_at(0)[1]
    try:
        take.write(path, tempo, metre)
    except OSError as error:
        kept = _keep_elsewhere(lambda other: take.write(other, tempo, metre))
        where = f"what was played is kept in {kept}" if kept else "what was played could be kept nowhere else either"
        raise LostRecordingError(f"{path}: cannot be written: {error.strerror or error}; {where}") from None


def _keep_elsewhere(write: Callable[[Path], None]) -> Path | None:
    """Write a recording into the first folder that takes it; return the file, None where there is no such folder."""
    for find in (find_takes_folder, find_home, lambda: Path(tempfile.gettempdir())):
        path: Path | None = None
        try:
            handle, name = tempfile.mkstemp(".mid", time.strftime("houseband-%Y-%m-%d_%H-%M-%S-"), find())
            os.close(handle)
            path = Path(name)
            write(path)
        except (OSError, NoHomeError):
            if path is not None:
                path.unlink(missing_ok=True)
            continue
        return path
    return None
