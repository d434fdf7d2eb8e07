"""A DAW with the plugin, on virtual time: it plays a song in blocks, tells the band, and places what it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from daemon.clocks.plugin_clock import PluginClock
from daemon.core.events import ControlChange, Event, PlanReady, Quit, WorkerFailed
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.players.player import Player
from daemon.plugin.lines import Line, read_line
from daemon.plugin.world import FromPlugin, PluginComposer, PluginWorld
from music.note import Note

TICK = 1000  # milliticks
BEAT, BAR = 24 * TICK, 96 * TICK


@dataclass(frozen=True)
class Placed:
    """A note as the plugin played it, in milliticks; `epoch`: in which of the host's."""

    epoch: int
    role: str
    begin: int
    pitch: int
    velocity: int
    end: int | None = None  #: None: until the plugin ended everything


@dataclass
class Host:
    """Makes the lines of a host that plays; `feed` takes them in order."""

    number: int = 1
    mask: int = 1
    lead: bool = True
    us: int = 500_000
    ahead: int = 2_000
    loop: tuple[int, int] = (0, 0)
    metre: tuple[int, int] = (4, 4)
    bar: int = 0  # a bar line of that metre
    mode: int = 1
    epoch: int = 0
    begin: int = 0
    at: int = 0
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def connect(self) -> None:
        self.say(f"plays {self.mask} {int(self.lead)}")

    def move(self, position: int, mode: int | None = None) -> None:
        """Be elsewhere, or stop."""
        self.epoch, self.begin, self.at = self.epoch + 1, position, position
        self.mode = self.mode if mode is None else mode
        self._tell()

    def stop(self) -> None:
        self.move(self.at, 0)

    def play(self, until: int, melody: Iterable[Note] = (), block: int = 500) -> None:
        """Go on to a position in blocks of so many milliticks, with those notes that begin or end meanwhile."""
        events = sorted(
            [(n.start * TICK, 1, f"144 {n.pitch} {n.velocity}") for n in melody]
            + [(n.end * TICK, 0, f"128 {n.pitch} 0") for n in melody]
        )
        due = deque(event for event in events if event[0] >= self.at)
        while self.at < until:
            end = min(self.at + block, until)
            while due and due[0][0] < end:
                position, _, data = due.popleft()
                self.say(f"in {self.epoch} {position} {data}")
            self.at = end
            self._tell()

    def _tell(self) -> None:
        length = self.metre[0] * 4 * BEAT // self.metre[1]
        bar = self.bar + (max(self.at - 1, self.begin) - self.bar) // length * length
        where = f"{self.epoch} {self.begin} {self.at} {self.mode} {self.us} {bar}"
        self.say(f"at {where} {self.metre[0]} {self.metre[1]} {self.ahead} {self.loop[0]} {self.loop[1]}")


class Feeding(PluginWorld):
    """A world that is fed whenever it has nothing more to do, and quits when there is nothing left."""

    def __init__(
        self, feed: Iterator[Event | FromPlugin | None], tell: Callable[[int, bytes], None], pause_ns: int
    ) -> None:
        self._wall_ns, self._pause_ns = 0, pause_ns
        super().__init__(tell, lambda: self._wall_ns)
        self.feed = feed

    def _block(self) -> None:
        self._wall_ns += self._pause_ns
        event = next(self.feed, Quit(self.now()))
        if event is not None:
            self._take(event)


class InlinePlayer:
    """A Composer that answers at once, or after so many more lines of the host."""

    def __init__(self, world: PluginWorld, player: Player) -> None:
        self._world, self._player = world, player

    def ask(self, request: PlanRequest) -> None:
        try:
            self._world.put(PlanReady(0, self._player.plan(request)))
        except ZeroDivisionError as error:
            self._world.put(WorkerFailed(0, request.number, str(error)))


@dataclass
class Session:
    """What came of it: the lines for each connection."""

    lines: dict[int, list[str]]
    conductors: list[Conductor]

    def notes(self, number: int = 1) -> list[Placed]:
        return place(self.lines[number])


def run_session(
    player: Player,
    hosts: Iterable[Host],
    settings: Settings = Settings(),
    composer: Callable[[PluginWorld, Player], object] = InlinePlayer,
) -> Session:
    """Play what hosts say, each line in its turn, to a band on virtual time."""
    hosts = list(hosts)

    def feed() -> Iterator[Event | FromPlugin | None]:
        for host in hosts:
            for text in host.lines:
                line: Line | None = read_line(text.encode())
                assert line is not None, text
                yield FromPlugin(host.number, line)

    return run_feed(player, feed(), settings, composer)


def run_feed(
    player: Player,
    feed: Iterator[Event | FromPlugin | None],
    settings: Settings = Settings(),
    composer: Callable[[PluginWorld, Player], object] = InlinePlayer,
    pause_ns: int = 1_000_000,
) -> Session:
    """Play what is fed to a band on virtual time; pause_ns: how long each piece of it takes on the real clock."""
    told: dict[int, list[str]] = {}
    world = Feeding(feed, lambda number, line: told.setdefault(number, []).append(line.decode()[:-1]), pause_ns)
    asked = composer(world, player)
    conductors: list[Conductor] = []
    while not conductors or world.restarts:
        song = SongInfo(metres=((-(1 << 20) * 0, world.timeline.bar[1]),))
        conductor = Conductor(
            world,
            world.lines,
            PluginComposer(world, asked),  # type: ignore[arg-type]
            player.info,
            song,
            conductors[-1].settings if conductors else settings,
            clock=PluginClock(),
        )
        conductors.append(conductor)
        world.begin(conductor)
        conductor.run()
    return Session(told, conductors)


def place(lines: Iterable[str]) -> list[Placed]:
    """Play lines as the plugin does that has time: every note at its position; ends are those of its own epoch."""
    begun: list[Placed] = []
    for line in lines:
        word, *fields = line.split(" ")
        if word != "note":
            continue
        epoch, role, position, pitch, velocity = (
            int(fields[0]),
            fields[1],
            int(fields[2]),
            int(fields[3]),
            int(fields[4]),
        )
        if velocity:
            begun.append(Placed(epoch, role, position, pitch, velocity))
            continue
        kept = [
            each
            for each in begun
            if not (
                each.role == role
                and each.pitch == pitch
                and each.end is None
                and (each.epoch, each.begin) >= (epoch, position)
            )
        ]
        begun = kept
        for index, each in enumerate(begun):
            if each.role == role and each.pitch == pitch and each.end is None:
                begun[index] = replace(each, end=position if each.epoch == epoch else None)
    return begun


def turn(key: str, value: object) -> ControlChange:
    return ControlChange(0, key, value)
