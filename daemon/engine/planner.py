"""The planner: asks for plans, and knows which answers still count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon.arranging.song_memory import SongMemory
from daemon.core.counters import Counters
from daemon.core.plan import Plan, PlanRequest, Recollection
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.world import Composer
from daemon.engine.looper import EditLoop
from daemon.engine.song import BarLines, SongInfo
from daemon.harmony.harmony_source import HarmonySource
from daemon.input.melody import MelodyTracker
from daemon.output.schedule import NoteSchedule
from music.note import STEPS_PER_BEAT, TICKS_PER_STEP, Metre, Note

#: ticks by which the first note of a melody may come before the bar line that it belongs to
EARLY_TICKS = TICKS_PER_STEP // 2
#: how often plans are asked for -> steps of each that are played; None: all, for bars are of any length
_PLAYED_STEPS = {"step": 1, "beat": STEPS_PER_BEAT, "two-beats": 2 * STEPS_PER_BEAT, "bar": None}


class _PlayedSong(NamedTuple):
    """The song that is played, as the planner knows it."""

    memory: SongMemory
    begin: int = -(1 << 62)  #: the tick at which it begins
    upcoming: tuple[str, ...] = ()  #: techniques that are soon to play


class Planner:
    """Numbers and sends requests for plans. Reads melody, schedule and loop, and changes none of them."""

    def __init__(
        self,
        composer: Composer,
        player: PlayerInfo,
        song: SongInfo,
        melody: MelodyTracker,
        schedule: NoteSchedule,
        loop: EditLoop,
        counters: Counters,
        harmony: HarmonySource | None = None,
        bars: BarLines | None = None,
        *,
        replan: str = "step",
    ) -> None:
        """Send requests to `composer`.

        bars: where they lie, if not where the song has them; replan: how often, one of
        `daemon.core.plan.REPLAN_CHOICES`.
        """
        self._bars = bars or BarLines(song.metres)
        self._composer, self._player, self._whole = composer, player, song.melody
        self._melody, self._schedule, self._loop = melody, schedule, loop
        self._counters = counters
        self._replan, self._harmony = replan, harmony
        self._song = _PlayedSong(SongMemory())
        #: number of the newest request
        self.number = 0
        self._oldest = 0  # the oldest request whose answer counts
        # the first step of the newest request, and its settings; None: the next chance to ask is taken
        self._requested: tuple[int, Settings | None] = (0, None)

    def renew(self) -> None:
        """Ask at the next chance, whatever `replan` says."""
        self._requested = self._requested[0], None

    def begin_song(self, tick: int, upcoming: tuple[str, ...]) -> None:
        """Let players know nothing from before a tick, at which another song begins, and recall nothing of it.

        upcoming: techniques that are soon to play.
        """
        self._song = _PlayedSong(SongMemory(), tick, upcoming)

    def discard_pending(self) -> None:
        """Let no answer count that is still to come to the requests made so far."""
        self._oldest = self.number + 1

    def receive(self, plan: Plan) -> bool:
        """Count an answer. Return False if it is to a request from before a stop or a leap."""
        self._counters.answered += 1
        self._counters.inference_ns.add(plan.inference_ns)
        return plan.number >= self._oldest

    def count_step(self, number: int | None) -> None:
        """Count a step that has been committed from the plan with this number, or from none."""
        counters = self._counters
        counters.steps += 1
        counters.uncovered += number is None
        counters.in_time += number is not None and number == self.number
        counters.used = self._schedule.used

    def request(
        self,
        step: int,
        settings: Settings,
        heard: int,
        now: int,
        *,
        bpm: int = 120,
        fill: bool = False,
        late: bool = False,
    ) -> None:
        """Ask for a plan of what sounds from `step` on, if one is due.

        heard: the tick up to which the melody is known; bpm: how fast the band plays; fill: one is wanted there; late:
        the step has begun already, as after the machine stood still: then the request is numbered, so that the step
        does not count as in time, but not sent.
        """
        origin, metre = self._bars.metre_at(step * TICKS_PER_STEP)
        if not (settings != self._requested[1] or self._is_due(step, origin, metre, settings)):
            return
        self.number += 1
        if late:
            self.renew()
            return
        self._requested = step, settings
        committed_since = (step - self._player.past_steps) * TICKS_PER_STEP - metre.ticks_per_bar
        melody_since = (step - self._player.memory_steps) * TICKS_PER_STEP - metre.ticks_per_bar
        self._melody.forget(melody_since)
        whole = self._whole
        melody = self._melody.notes(melody_since, heard) if whole is None else whole
        committed = {role: self._schedule.committed(role, committed_since) for role in self._player.roles}
        if self._song.begin > min(committed_since, melody_since):
            melody = _list_from(self._song.begin - EARLY_TICKS, melody)
            committed = {role: _list_from(self._song.begin, notes) for role, notes in committed.items()}
        self._send(
            PlanRequest(
                number=self.number,
                now=step,
                heard=heard if whole is None else None,
                melody=melody,
                committed=committed,
                metre=metre,
                settings=settings,
                bar_origin=origin,
                loop=self._loop.state(now, settings),
                harmony=() if self._harmony is None else self._harmony.list_chords(step),
                upcoming=self._song.upcoming,
                recalled=self._recall(step, origin // TICKS_PER_STEP, metre, settings, melody),
                key=None if self._harmony is None else self._harmony.find_key(),
                bpm=bpm,
                fill=fill,
                played_steps=_PLAYED_STEPS[self._replan],
            )
        )

    def _recall(
        self, step: int, bar: int, metre: Metre, settings: Settings, melody: Sequence[Note]
    ) -> Recollection | None:
        """Remember what has been played up to a step, and return what was played at a place like this."""
        begun = self._schedule.list_begun(self._song.memory.list_missing(step))
        self._song.memory.remember(step, bar, metre, settings, melody, begun)
        return self._song.memory.recall(step) if settings.recall else None

    def warm_up(self, settings: Settings) -> None:
        """Have whoever is to play next get ready, while nobody plays: by a request whose answer is of no use."""
        self.number += 1
        self.discard_pending()
        self._send(
            PlanRequest(self.number, 4, 24, (Note(0, 60, 24),), {}, settings=settings, upcoming=self._song.upcoming)
        )

    def _send(self, request: PlanRequest) -> None:
        self._counters.asked += 1
        self._composer.ask(request)

    def _is_due(self, step: int, origin: int, metre: Metre, settings: Settings) -> bool:
        if self._replan == "step" or step >= self._requested[0] + self._player.count_future_steps(settings):
            return True
        if self._replan == "beat":
            return step % STEPS_PER_BEAT == 0
        place = (step * TICKS_PER_STEP - origin) % metre.ticks_per_bar // TICKS_PER_STEP
        return place % (2 * STEPS_PER_BEAT) == 0 if self._replan == "two-beats" else place == 0


def _list_from(tick: int, notes: Sequence[Note]) -> tuple[Note, ...]:
    """Return the notes that begin at a tick or later."""
    return tuple(note for note in notes if note.start >= tick)
