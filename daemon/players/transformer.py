"""The transformer's player: at every step it hears what was played, and writes what the band does at the next one.

Chords come from the melody alone (`harmony`), the hand's past lies in a ring (`ring`), the tokens of a step are drawn
one by one under a grammar. A plan reaches some steps further than the one that is asked for, as if the melody went on
as it is, so that the band goes on when the next answer is late. Equal requests give equal plans, whatever was asked
before: the ring holds what it would hold had the player just come in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import check_style
from daemon.players import chord_balance
from daemon.players.chords import ChordForecast, ChordPredictor, MelodyContext, line
from daemon.players.graph import Graph, GraphError, GraphPlayer
from daemon.players.kv_cache import DecoderState, KvCache, TokenWriter
from daemon.players.player import ContinuingPlayer
from music.encoding import melody_context, sampling, step_features, step_tokens
from music.note import MELODY, PITCHED_ROLES, ROLES, STEPS_PER_BAR, TICKS_PER_STEP, Metre, Note, round_to_step

Floats = NDArray[np.float32]

#: Steps that a plan covers.
AHEAD = 4
#: What temperature 1 means for the tokens, and how much of the probability is drawn from.
TEMPERATURE = 0.9
TOP_P = 0.95
#: What a density of 2 adds to the logit of every role that may begin something.
DENSITY_SPAN = 1.5
#: What every step in which no pitch sounds adds to the logits of roles with pitches, and for how many it does.
SILENCE, SILENT_STEPS = 1.5, 8
#: What is added to the logits of a role that has just let go of all it held: it begins anew rather than fall silent.
ANEW = 3.0
#: How much a doubtful tone is avoided when a pitch is chosen: weight of the logarithm of its probability.
DOUBT = 4.0
#: How much a tone is preferred that the harmony wants and the band has neglected.
BALANCE = 3.0
#: A note that sounds is let go when its pitch class is so much less likely than the likeliest one of the chord.
LET_GO = 0.6
#: Steps between two looks at what is to be let go. At every step the band stutters wherever the harmony is in doubt.
LOOK = 2
#: Tokens of one step, at most.
MOST_TOKENS = 40
#: A note tied over lasts so long, unless it is let go or begun anew.
TIED_STEPS = 2 * step_tokens.MAX_LENGTH_STEPS

_COMPASS = {role: step_features.get_compass(role) for role in (*PITCHED_ROLES, MELODY)}


@dataclass(slots=True)
class _Part:
    """What the plan has of a role so far: notes begun, and the ends of committed ones that still sound."""

    begun: list[Note] = field(default_factory=list)
    held: dict[tuple[int, int], Note] = field(default_factory=dict)

    def sounding(self, tick: int) -> list[Note]:
        """What sounds over a tick."""
        return [n for n in (*self.held.values(), *self.begun) if n.start < tick < n.end]

    def end(self, note: Note, tick: int) -> None:
        """End a note that sounds, at a tick."""
        self.change(note, replace(note, length=tick - note.start))

    def change(self, note: Note, changed: Note) -> None:
        """The same note with another end."""
        if note in self.begun:
            self.begun[self.begun.index(note)] = changed
        else:
            self.held[note.start, note.pitch] = changed


class TransformerPlayer(GraphPlayer, ContinuingPlayer):
    """A Player on a transformer's graph."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError for a graph that is none of a transformer's."""
        self.info = self.describe(graph.signature.styles)
        settings = graph.signature.settings
        self._ring = KvCache(graph)
        self._pen = TokenWriter(graph, step_tokens.WRITER)
        self._harmony = ChordPredictor(graph)
        self._budget_ns: int | None = None
        try:
            self._velocity_std = np.asarray(settings["velocity_std"], np.float32).reshape(
                len(self.info.styles), len(ROLES)
            )
        except (KeyError, ValueError) as error:
            raise GraphError(f"this graph does not fit: its settings lack {error}") from None

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player says of itself on a graph that knows these styles."""
        return PlayerInfo(
            past_steps=2 * melody_context.PAST_STEPS,
            # as much as was remembered when the past was played
            memory_steps=melody_context.MEMORY_STEPS + 2 * melody_context.PAST_STEPS,
            future_steps=AHEAD,
            roles=ROLES,
            styles=styles,
        )

    def set_time_budget(self, budget_ns: int) -> None:
        """Limit the time (ns) of an answer, as far as its first step allows: what is written by then is the plan.

        Without a limit a plan has all its steps, and does not depend on the machine.
        """
        self._budget_ns = budget_ns

    def plan(self, request: PlanRequest) -> Plan:
        """The band from request.now on. Raises UserError for a style that the graph does not know."""
        begun = time.perf_counter_ns()
        check_style(request.settings.style, self.info.styles)
        answer = _Answer(self, request, begun)
        last = answer.write()
        notes = {role: tuple(sorted(part.begun)) for role, part in answer.parts.items()}
        held = {role: tuple(sorted(part.held.values())) for role, part in answer.parts.items()}
        spent = time.perf_counter_ns() - begun
        return Plan(request.number, request.now, last, request.heard, notes, held, inference_ns=spent)

    def plan_with_melody(self, request: PlanRequest) -> tuple[Plan, Note | None]:
        """Return what the band plays at `request.now`, and the melody's note there; see ContinuingPlayer."""
        answer = _Answer(self, request, time.perf_counter_ns())
        note = answer.write_both()
        notes = {role: tuple(sorted(part.begun)) for role, part in answer.parts.items()}
        held = {role: tuple(sorted(part.held.values())) for role, part in answer.parts.items()}
        return Plan(request.number, request.now, request.now + 1, request.heard, notes, held), note

    def late(self, begun: int) -> bool:
        """Whether an answer that began then must come to its end."""
        return self._budget_ns is not None and time.perf_counter_ns() - begun > self._budget_ns


class _Answer:
    """One plan in the making."""

    def __init__(self, player: TransformerPlayer, request: PlanRequest, begun: int) -> None:
        self._player, self._request, self._begun = player, request, begun
        settings, self.now = request.settings, request.now
        self._bar = request.bar_origin // TICKS_PER_STEP
        style = player.info.styles.index(settings.style)
        self._style = np.eye(len(player.info.styles), dtype=np.float32)[None, style]
        self._std = player._velocity_std[style]
        self._melody = line(request.melody)
        whole = request.heard is None
        self._song = MelodyContext(self._melody, whole, request.metre, self._bar, settings.seed, settings.temperature)
        self.parts = {role: _Part() for role in ROLES}
        tick = self.now * TICKS_PER_STEP
        for role in PITCHED_ROLES:
            sounding = (n for n in request.committed.get(role, ()) if n.start < tick <= n.end)
            self.parts[role].held = {(n.start, n.pitch): n for n in sounding}
        since = tick - (player._ring.context + step_tokens.MAX_LENGTH_STEPS) * TICKS_PER_STEP
        self._committed = {role: _rows(request.committed.get(role, ()), since) for role in ROLES}
        lately = tick - chord_balance.BALANCED * TICKS_PER_STEP
        pitched = [n for role in PITCHED_ROLES for n in request.committed.get(role, ())]
        self._ended = [n for n in pitched if lately < n.end < tick]
        over = [n.end for n in pitched if n.end <= tick]
        self._last_end = max(over, default=tick - SILENT_STEPS * TICKS_PER_STEP)
        self._first_played = min((int(r[0, 0]) for r in self._committed.values() if len(r)), default=self.now)

    def write(self) -> int:
        """Write step after step; the step at which the plan ends."""
        outlook = self._player._harmony.outlook(self._song, self.now, AHEAD)
        rows, chord = self._past(outlook.chords[0])
        for k in range(AHEAD):
            if k:
                if self._player.late(self._begun):
                    return self.now + k
                row, chord = self._row(k, outlook, chord), outlook.chords[k]
                rows = np.concatenate([rows, row])
            intent = self._player._ring.follow(rows, self.now + k - len(rows), self._style)
            self._step(self.now + k, chord, outlook, k, intent)
        return self.now + AHEAD

    def write_both(self) -> Note | None:
        """Write one step, and what the melody does there."""
        outlook = self._player._harmony.outlook(self._song, self.now, 1)
        rows, chord = self._past(outlook.chords[0])
        intent = self._player._ring.follow(rows, self.now - len(rows), self._style)
        self._step(self.now, chord, outlook, 0, intent)
        return self._tune(chord, intent)

    def _tune(self, chord: tuple[int, int], intent: DecoderState) -> Note | None:
        """The melody's step, drawn like the band's tokens."""
        tick, last = self.now * TICKS_PER_STEP, self._request.melody[-1] if self._request.melody else None
        sounds = last is not None and last.end >= tick
        above = np.arange(step_tokens.PITCH_TOKENS) - 12 + max(chord[0], 0)
        low, high = _COMPASS["melody"]
        allowed = np.concatenate([[True, sounds], (above >= low) & (above <= high)])
        random = np.random.default_rng([abs(self._request.settings.seed), self.now & 0xFFFFFFFF, 3])
        heat = TEMPERATURE * self._request.settings.temperature
        choice = sampling.choose(intent.tune, random, heat, TOP_P, allowed)
        if choice == 0:
            return None
        if choice == 1 and last is not None:
            return replace(last, length=tick + TICKS_PER_STEP - last.start)
        return Note(tick, int(above[choice - 2]), TICKS_PER_STEP, last.velocity if last else 80)

    # --- what the hand is told ---------------------------------------------------------------------------------------

    def _past(self, coming: tuple[int, int]) -> tuple[Floats, tuple[int, int]]:
        """The features of all steps that count, up to now; and the chord of the step to come."""
        heard = self._melody[0][0] if self._melody else self.now - 1
        origin = min(heard, self._first_played)
        per_bar = self._request.metre.steps_per_bar
        origin = self._bar + (origin - self._bar) // per_bar * per_bar
        first = max(min(origin, self.now - 1), self.now - self._player._ring.context)
        chords = self._player._harmony.recall(self._song, first, self.now, coming)
        return self._features(first, self.now - first, chords, self._committed, self._melody), coming

    def _row(self, k: int, outlook: ChordForecast, before: tuple[int, int]) -> Floats:
        """The features of the step before now + k, as they will be if the melody goes on as it is."""
        step = self.now + k - 1
        melody = self._melody
        if not self._song.heard_all and melody and sum(melody[-1][::2]) >= self.now:
            melody = ((*melody[-1][:2], step + 1 - melody[-1][0]),)  # what sounds goes on
        tick = step * TICKS_PER_STEP
        planned = {role: _rows((*part.held.values(), *part.begun), tick) for role, part in self.parts.items()}
        return self._features(step, 1, [before, outlook.chords[k]], planned, melody)

    def _features(
        self,
        first: int,
        count: int,
        chords: Sequence[tuple[int, int]],
        played: Mapping[str, NDArray[np.int64]],
        melody: Sequence[tuple[int, int, int]],
    ) -> Floats:
        metre = self._request.metre
        at = first + 1 + np.arange(count) - self._bar
        phase = at % metre.steps_per_bar if metre != Metre() else at % STEPS_PER_BAR
        return step_features.build_features(
            step_features.extract_melody(melody, first, count),
            step_features.extract_band(played, first, count),
            np.array(chords, np.int64).T,
            np.minimum(phase, STEPS_PER_BAR - 1),
            begun=min(count, max(0, self._first_played - first)),
        )

    # --- what it writes ----------------------------------------------------------------------------------------------

    def _step(self, step: int, chord: tuple[int, int], outlook: ChordForecast, k: int, intent: DecoderState) -> None:
        """Write one step, the k-th of the outlook, into the parts."""
        tick, tones = step * TICKS_PER_STEP, outlook.tones[k]
        bare = self._let_go(tick, tones) if (step - self._bar) % LOOK == 0 else []
        settings = self._request.settings
        random = np.random.default_rng([abs(settings.seed), step & 0xFFFFFFFF, 2])
        loud = 127 / (1 + np.exp(-intent.loudness))
        loud = loud + random.standard_normal(len(ROLES)) * self._std * 127 * settings.temperature
        velocity = np.clip(np.rint(loud), 20, 120).astype(int).tolist()
        pull = _PITCHED * SILENCE * min(self._silent(step), SILENT_STEPS)
        for role in bare:
            pull = pull + _PLAYS[role] * ANEW
        pull = pull + _at_pitches(
            chord[0], BALANCE * chord_balance.neglected_tones(outlook.shares[k], self._sounded(step))
        )
        written = self._draw(chord, tones, intent, random, pull)
        for begun in step_tokens.decode_step(written, chord[0]):
            self._begin(begun, tick, velocity[ROLES.index(begun.role)])

    def _draw(
        self,
        chord: tuple[int, int],
        tones: Floats,
        intent: DecoderState,
        random: np.random.Generator,
        pull: NDArray[np.floating[Any]],
    ) -> list[int]:
        """The tokens of one step; pull: (WRITER,) what is added to their logits beside what the harmony does."""
        settings, pen = self._request.settings, self._player._pen
        bias = _bias(chord[0], tones, settings.density) + pull
        grammar = step_tokens.Grammar(ROLES, _COMPASS, chord[0])
        logits, memory = pen.begin(intent)
        while True:
            heat = TEMPERATURE * settings.temperature
            token = sampling.choose(logits + bias, random, heat, TOP_P, grammar.allowed())
            grammar.take(token)
            if grammar.over:
                return grammar.tokens
            if len(grammar.tokens) >= MOST_TOKENS or self._player.late(self._begun):
                return grammar.finish()
            logits, memory = pen.go_on(intent, memory, token)

    def _silent(self, step: int) -> int:
        """For how many steps nothing with a pitch has sounded, this one included."""
        ends = [self._last_end]
        for role in PITCHED_ROLES:
            ends += [n.end for n in (*self.parts[role].held.values(), *self.parts[role].begun)]
        return max(0, step + 1 - max(ends) // TICKS_PER_STEP)

    def _sounded(self, step: int) -> NDArray[np.float64]:
        """(12,) what sounded of every pitch class lately, see `balance`."""
        parts = [self.parts[role] for role in PITCHED_ROLES]
        return chord_balance.sounded((*self._ended, *(n for p in parts for n in (*p.held.values(), *p.begun))), step)

    def _begin(self, begun: step_tokens.RoleOnsets, tick: int, velocity: int) -> None:
        """Begin a role's notes; what sounds of the same pitch ends there, or goes on if it was tied."""
        part = self.parts[begun.role]
        sounding = {n.pitch: n for n in part.sounding(tick)}
        for length, pitch in begun.notes:
            many = TIED_STEPS if length > step_tokens.MAX_LENGTH_STEPS else length
            before = sounding.pop(pitch, None)
            if before is not None:
                if begun.role != "drums" and _tie_is_due(before, tick):
                    part.change(before, replace(before, length=tick - before.start + many * TICKS_PER_STEP))
                    continue
                part.end(before, tick)
            part.begun.append(Note(tick, pitch, many * TICKS_PER_STEP, velocity))
        if begun.role == "bass":  # one voice
            for note in sounding.values():
                part.end(note, tick)

    def _let_go(self, tick: int, tones: Floats) -> list[str]:
        """End what sounds and has no place in the harmony any more; the roles that are silent by that."""
        keep, bare = tones >= LET_GO * tones.max(), []
        for role in PITCHED_ROLES:
            sounding = self.parts[role].sounding(tick)
            ending = [note for note in sounding if not keep[note.pitch % 12]]
            for note in ending:
                self.parts[role].end(note, tick)
            if ending and len(ending) == len(sounding):
                bare.append(role)
        return bare


def _tie_is_due(note: Note, tick: int) -> bool:
    lasted = (tick - note.start) // TICKS_PER_STEP
    return note.length > step_tokens.MAX_LENGTH_STEPS * TICKS_PER_STEP and lasted % step_tokens.MAX_LENGTH_STEPS == 0


def _bias(root: int, tones: Floats, density: float) -> NDArray[np.floating[Any]]:
    """(WRITER,) what is added to the logits: for how many begin, and for pitches that may be foreign."""
    bias = np.zeros(step_tokens.WRITER)
    sets = np.arange(step_tokens.LENGTH - step_tokens.WHO)
    bias[step_tokens.WHO : step_tokens.LENGTH] = _COUNTS[sets] * DENSITY_SPAN * (density - 1)
    bias += _at_pitches(root, DOUBT * np.log((tones + 0.02) / (tones.max() + 0.02)))
    return bias


def _at_pitches(root: int, classes: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """(WRITER,) at every pitch, counted from the root, what its pitch class has of (12,)."""
    bias = np.zeros(step_tokens.WRITER)
    bias[step_tokens.PITCH : step_tokens.DRUM] = classes[(np.arange(step_tokens.PITCH_TOKENS) - 12 + max(root, 0)) % 12]
    return bias


def _where(roles: Iterable[str]) -> NDArray[np.floating[Any]]:
    """(WRITER,) 1 at the tokens by which any of the roles begins."""
    found = np.zeros(step_tokens.WRITER)
    found[step_tokens.WHO : step_tokens.LENGTH] = [
        any(who >> ROLES.index(r) & 1 for r in roles) for who in range(1 << len(ROLES))
    ]
    return found


_PITCHED = _where(PITCHED_ROLES)
_PLAYS = {role: _where([role]) for role in PITCHED_ROLES}
_COUNTS = np.array([who.bit_count() for who in range(1 << len(ROLES))])


def _rows(notes: Iterable[Note], since: int) -> NDArray[np.int64]:
    """Start step, pitch, length in steps of the notes that sound after a tick, moved to the grid."""
    made = [
        (round_to_step(n.start), n.pitch, max(1, round_to_step(n.end) - round_to_step(n.start)))
        for n in notes
        if n.end > since
    ]
    return np.array(made, np.int64).reshape(-1, 3)
