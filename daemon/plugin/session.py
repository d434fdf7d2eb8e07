"""The performance of a project: a band that plays for the instances of the plugin in one project of a DAW.

It runs in a process of its own, so that projects and the user's own band leave each other alone.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import cast

from daemon.clocks.plugin_clock import PluginClock
from daemon.config.songs import SongBook
from daemon.core import controls
from daemon.core.events import CalledSong
from daemon.core.observers import ObservedOutput, ObservedWorld, Observer, PerformanceView
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import AUTO_START, COUNT_IN_START, Settings
from daemon.core.world import World
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine
from daemon.input.sources import SourceWorld
from daemon.live.chart_world import ChartWorld
from daemon.live.remote_control import AttachedControl, RemoteControl
from daemon.live.song_world import SongWorld
from daemon.players.worker import PlayerSpec, Worker
from daemon.plugin.lines import FAILED, GETS_READY, READY, make_line
from daemon.plugin.links import PluginLinks
from daemon.plugin.timeline import HostTimeline
from daemon.plugin.world import FromPlugin, PluginComposer, PluginWorld
from daemon.system import signals
from daemon.system.priority import real_time_section
from music.errors import HousebandError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """Everything that a performance for the plugin is made from."""

    player: PlayerSpec
    song: SongInfo
    settings: Callable[[PlayerInfo], Settings]  #: called once the player is loaded
    chart: ChartLine | None = None  #: the song's chords, where there is a chart
    channel: int | None = None  #: the only channel on which the melody is heard, 0..15
    remote: RemoteControl = field(default_factory=RemoteControl)
    book: SongBook = field(default_factory=SongBook)  #: the songs and set lists


class ControlTeller(Observer):
    """Tells the plugin how the controls stand, whoever turned them."""

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell = tell
        self._performance: PerformanceView | None = None
        self._settings: Settings | None = None
        self._told: dict[str, object] = {}

    def on_start(self, performance: PerformanceView) -> None:
        """Tell of this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> int | None:
        """Tell what has been turned."""
        if self._performance is not None and self._performance.settings is not self._settings:
            self._settings = self._performance.settings
            for line in self._list_news(controls.current_values(self._settings)):
                self._tell(line)
        return None

    def list_all(self) -> list[bytes]:
        """Return the lines that tell how all controls stand."""
        return [make_control_line(key, value) for key, value in self._told.items()]

    def _list_news(self, values: dict[str, object]) -> list[bytes]:
        news = {key: value for key, value in values.items() if key not in self._told or self._told[key] != value}
        self._told.update(news)
        return [make_control_line(key, value) for key, value in news.items()]


class HostTempo:
    """A view of a performance with the tempo of the host, for the band's own time knows none."""

    def __init__(self, performance: PerformanceView, timeline: HostTimeline) -> None:
        self._performance, self._timeline = performance, timeline

    @property
    def us_per_beat(self) -> int:
        """The host's tempo, in microseconds per beat."""
        return self._timeline.us

    def __getattr__(self, name: str) -> object:
        return getattr(self._performance, name)


def make_control_line(key: str, value: object) -> bytes:
    """Return the line that tells how a control stands, with its value as `houseband set` takes it."""
    return make_line("set", key, ("on" if value else "off") if isinstance(value, bool) else value)


def play_session(setup: SessionSetup, channel: socket.socket) -> None:
    """Play for the connections that come through a channel, until the last has gone or the channel is closed."""
    with ExitStack() as stack:
        links = PluginLinks()
        world = PluginWorld(links.tell)
        stack.enter_context(closing(links))
        links.greet(make_line("state", GETS_READY, "the players are loaded"))
        links.start(
            channel, lambda number, line: world.put(FromPlugin(number, line)), world.leave, lambda: world.backlog
        )
        stack.enter_context(signals.on_stop(world.leave))
        worker = Worker(setup.player, world.put, world.now)
        stack.enter_context(closing(worker))
        worker.start()
        try:
            _play(setup, world, links, worker, stack)
        except HousebandError as error:
            links.greet(make_line("state", FAILED, error), make_line("error", error))
            raise


def _play(setup: SessionSetup, world: PluginWorld, links: PluginLinks, worker: Worker, stack: ExitStack) -> None:
    server = setup.remote.start(world, stack)
    player = worker.wait_ready()
    settings = _adapt(setup.settings(player))
    book = setup.book.keep_known(player)
    remote = setup.remote.attach(
        server, SourceWorld(world), world.lines, player, settings, setup.song.bpm, ("plugin", "plugin"), setup.channel
    )
    names = settings.song, *(book.list_names(settings.setlist) if settings.setlist else ())
    song = next((name for name in names if name in book.songs), "")
    songs = SongWorld(remote.world, world.put, book, settings.setlist, song, remote.show_songs)
    stack.enter_context(closing(songs))
    charts = ChartWorld(songs, world.put)
    stack.enter_context(closing(charts))
    teller = ControlTeller(links.tell_all)
    world.lines.list_standing = teller.list_all
    links.greet(make_line("state", READY, ""))
    _play_on(
        setup, world, PluginComposer(world, worker), player, settings, charts, remote, teller, songs.open_song(song)
    )


def _play_on(
    setup: SessionSetup,
    world: PluginWorld,
    composer: PluginComposer,
    player: PlayerInfo,
    settings: Settings,
    charts: World,
    remote: AttachedControl,
    teller: ControlTeller,
    opening: CalledSong | None,
) -> None:
    """Play one performance after another, as the host starts; each takes over how the controls stand."""
    chart, output = setup.chart, ObservedOutput(remote.output, [teller])
    with real_time_section():
        while True:
            conductor = Conductor(
                ObservedWorld(charts, [teller]),
                output,
                composer,
                player,
                replace(setup.song, metres=((0, world.timeline.bar[1]),), follows_chart=False, count_in=0),
                settings,
                channel=setup.channel,
                clock=PluginClock(),
                chart=chart,
                opening_song=opening,
            )
            teller.on_start(conductor)
            remote.on_start(cast(PerformanceView, HostTempo(conductor, world.timeline)))
            world.begin(conductor)
            conductor.run()
            if not world.restarts:
                return
            settings, chart, opening = conductor.settings, conductor.chart, None


def _adapt(settings: Settings) -> Settings:
    """Return the settings without a count-in: the host says where bar 1 is."""
    start = AUTO_START if settings.start_with == COUNT_IN_START else settings.start_with
    return replace(settings, count_in=0, start_with=start)
