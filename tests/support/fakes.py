"""Players that need no graph, and a stage on virtual time to hear them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from daemon.core.counters import Counters
from daemon.core.events import Event, MidiIn, Quit
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, SentMessage, VirtualWorld
from daemon.players.player import Player
from music import midi as midi_bytes
from music.note import ROLES, TICKS_PER_STEP, Note

MS = 1_000_000


class FakePlayer(Player):
    """Writes, from a table of its own, a note of every role on every step, or what `write` says. Remembers what it was
    asked."""

    def __init__(
        self,
        write: Callable[[PlanRequest, int], dict[str, list[Note]]] | None = None,
        *,
        past_steps: int = 32,
        future_steps: int = 16,
        roles: tuple[str, ...] = ROLES,
        styles: tuple[str, ...] = ("pop", "rock"),
        hold: Callable[[PlanRequest], dict[str, tuple[Note, ...]]] | None = None,
    ) -> None:
        self.info = PlayerInfo(past_steps, past_steps, future_steps, roles, styles, ("gan",))
        self.asked: list[PlanRequest] = []
        self._write, self.hold = write or under_the_melody, hold

    def plan(self, request: PlanRequest) -> Plan:
        self.asked.append(request)
        last = request.now + self.info.future_steps
        notes: dict[str, list[Note]] = {role: [] for role in self.info.roles}
        for step in range(request.now, last):
            for role, written in self._write(request, step).items():
                notes[role] += written
        held = self.hold(request) if self.hold else {}
        parts = {role: tuple(sorted(line)) for role, line in notes.items()}
        return Plan(request.number, request.now, last, request.heard, parts, held)


def under_the_melody(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """A bass note and a triad under the newest melody note on every other step, drums on every step."""
    if not request.melody:
        return {}
    root = request.melody[-1].pitch % 12
    at = step * TICKS_PER_STEP
    drum = Note(at, 36 if step % 4 == 0 else 42, 3, 90)
    if step % 2:
        return {"drums": [drum]}
    chord = [Note(at, 60 + (root + up) % 12, 12, 70) for up in (0, 4, 7)]
    return {
        "bass": [Note(at, 36 + root, 10, 80)],
        "chords": chord,
        "pad": [Note(at, 72 + root, 18, 60)],
        "drums": [drum],
    }


def only(role: str, pitch: Callable[[PlanRequest, int], int], length: int = 6) -> FakePlayer:
    """A player of one role that writes one note on every step."""

    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {role: [Note(step * TICKS_PER_STEP, pitch(request, step), length, 80)]}

    return FakePlayer(write, roles=(role,))


def midi(notes: Iterable[Note], tempo: TempoMap, channel: int = 0) -> list[MidiIn]:
    """Notes as they come in, each at the moment of its tick; at one tick keys go up before others go down."""
    events = []
    for n in notes:
        events.append((n.start, 1, midi_bytes.note_on(channel, n.pitch, n.velocity)))
        events.append((n.end, 0, midi_bytes.note_off(channel, n.pitch)))
    return [MidiIn(tempo.ns_at(tick), data) for tick, _, data in sorted(events)]


class StandingStill(VirtualWorld):
    """A machine that stands still once, from `since` for `ns`."""

    def __init__(self, since: int, ns: int) -> None:
        super().__init__()
        self._since, self._lost = since, ns

    def wait(self, until: int | None) -> Event | None:
        event = super().wait(until)
        if self.now() >= self._since:
            self._now, self._lost = self._now + self._lost, 0
        return event


@dataclass
class Stage:
    """Result of a performance: messages, and the notes in them as (tick, channel, pitch, ticks)."""

    sent: list[SentMessage]
    conductor: Conductor
    counters: Counters

    @property
    def notes(self) -> list[tuple[int, int, int, int]]:
        tempo = self.conductor.tempo
        assert tempo is not None
        return sorted(
            (tempo.tick_at(on), channel, pitch, tempo.tick_at(off) - tempo.tick_at(on))
            for channel, pitch, on, off in pairs(self.sent)
        )


def pairs(sent: Sequence[SentMessage]) -> list[tuple[int, int, int, int]]:
    """(channel, pitch, on, off) in ns. Fails on an onset of what already sounds, and on an end of what does not."""
    sounding: dict[tuple[int, int], int] = {}
    found = []
    for message in sent:
        kind, key = midi_bytes.kind_of(message.data), midi_bytes.key_of(message.data)
        if kind == midi_bytes.NOTE_ON:
            assert key not in sounding, f"{key} begins twice"
            sounding[key] = message.at
        elif kind == midi_bytes.NOTE_OFF:
            found.append((*key, sounding.pop(key), message.at))
    assert not sounding, f"left on: {sounding}"
    return found


def perform(
    player: Player,
    melody: Iterable[Note] = (),
    *,
    until: int = 384,
    tempo: TempoMap | None = None,
    events: Iterable[Event] = (),
    latency: int | Callable[[PlanRequest], int] = 0,
    song: SongInfo | None = None,
    settings: Settings = Settings(),
    replan: str = "step",
    chart: ChartLine | None = None,
) -> Stage:
    """The melody (and other events) on virtual time, up to tick `until`; then Quit. The clock begins a bar early."""
    tempo = tempo or TempoMap(500_000)
    world = VirtualWorld(tempo.ns_at(-96))
    for event in (*events, *midi(melody, tempo)):
        world.put(event)
    world.put(Quit(tempo.ns_at(until)))
    output = RecordingOutput(world)
    conductor = Conductor(
        world,
        output,
        InlineComposer(world, player, latency),
        player.info,
        song or SongInfo(tempo),
        settings,
        replan=replan,
        chart=chart,
    )
    conductor.run()
    return Stage(output.sent, conductor, conductor.counters)
