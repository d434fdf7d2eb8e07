"""The transformer's player: at every step it hears what was played, and writes what the band does in the next ones.

Chords are predicted from the melody alone (`chords`), a decoder reads the music so far (`kv_cache`), and the tokens of
a step are drawn one by one under a grammar. A plan reaches some steps further than the first, as if the melody went on
as it is, so that the band goes on when the next answer is late. Equal requests give equal plans, whatever was asked
before: the cache holds what it would hold had the player just come in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from daemon.arranging.arrangement import arrange_plan
from daemon.core.plan import Plan, PlanRequest, list_chord_changes
from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import check_style
from daemon.players import chord_balance
from daemon.players.chords import (
    Chord,
    ChordForecast,
    ChordPredictor,
    MelodyContext,
    quantise_voice,
)
from daemon.players.graph import Graph, GraphError, GraphPlayer, check_settings
from daemon.players.kv_cache import DecoderState, KvCache, TokenWriter
from daemon.players.player import ContinuingPlayer
from music.analysis.note_rows import NoteRows
from music.encoding import melody_context, sampling, step_features, step_tokens
from music.encoding.chord_evidence import weigh_bass
from music.note import (
    MELODY,
    PITCH_CLASSES,
    PITCHED_ROLES,
    ROLES,
    STEPS_PER_BAR,
    TICKS_PER_STEP,
    Note,
    list_numbers,
    round_to_step,
    sort_notes,
)

Floats = NDArray[np.float32]
#: (WRITER_TOKENS,) what is added to the logits of the tokens
Bias = NDArray[np.float64]

#: Steps that a plan covers.
AHEAD_STEPS = 4
#: What temperature 1 means for the tokens, and how much of the probability is drawn from.
TEMPERATURE = 0.9
TOP_P = 0.95
#: What a density of 2 adds to the logit of every role that may begin something.
DENSITY_GAIN = 1.5
#: What every step in which no pitch sounds adds to the logits of roles with pitches, and the last that does.
SILENCE_BIAS, MAX_SILENT_STEPS = 1.5, 8
#: What is added to the logits of a role that has just let go of all its notes: it begins anew rather than fall silent.
RESTART_BIAS = 3.0
#: What is added to the logits of the bass's pitch class in the first beat of a chord that is known, or of its bars.
BASS_PULL = 8.0
#: A sounding note is let go when its pitch class is this much less likely than the likeliest one of the chord.
LET_GO_RATIO = 0.6
#: Steps from one look for notes to let go to the next. At every step the band stutters where the harmony is in doubt.
LET_GO_INTERVAL_STEPS = 2
#: Most tokens of one step.
MAX_TOKENS = 40
#: Length of a tied note, unless it is let go or begun anew.
TIED_STEPS = 2 * step_tokens.MAX_LENGTH_STEPS
#: Steps whose features are made one by one, at most, and how many more are kept than the decoder reads.
_MAX_SINGLE_STEPS, _SPARE_ROWS = 12, 64
#: Steps that are looked back over for what is neglected, for silence, and for those features.
_NEAR_STEPS = max(chord_balance.BALANCE_STEPS, MAX_SILENT_STEPS, _MAX_SINGLE_STEPS + 1)
#: Velocities that are written.
MIN_VELOCITY, MAX_VELOCITY = 20, 120
#: Velocity of a melody that begins.
MELODY_VELOCITY = 80

_COMPASS = {role: step_features.get_compass(role) for role in (*PITCHED_ROLES, MELODY)}


class TransformerPlayer(GraphPlayer, ContinuingPlayer):
    """A Player on a transformer's graph."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one that is not a transformer's."""
        self.info = self.describe(graph.signature.styles)
        self.cache = KvCache(graph)
        self.writer = TokenWriter(graph, step_tokens.WRITER_TOKENS, MAX_TOKENS)
        self.chords = ChordPredictor(graph)
        self.melody = NoteRows()
        self.committed = {role: NoteRows() for role in ROLES}
        self.features = _FeatureHistory(self.cache.context_steps, self.cache.feature_count)
        #: what is added to the tokens' logits at the step that is being written
        self.bias: Bias = np.zeros(step_tokens.WRITER_TOKENS)
        self._budget_ns: int | None = None
        #: (styles, styles) one-hot
        self.styles = np.eye(len(self.info.styles), dtype=np.float32)
        shape = len(self.info.styles), len(ROLES)
        try:
            #: (styles, roles) spread of velocities, as a share of 127
            self.velocity_std = np.asarray(graph.signature.settings["velocity_std"], np.float32).reshape(shape)
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise GraphError(f"this graph does not fit: its settings lack {error}") from None
        check_settings((self.velocity_std,))

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player says of itself on a graph that knows these styles."""
        return PlayerInfo(
            past_steps=2 * melody_context.PAST_STEPS,
            # as much as was remembered when the past was played
            memory_steps=melody_context.MEMORY_STEPS + 2 * melody_context.PAST_STEPS,
            future_steps=AHEAD_STEPS,
            roles=ROLES,
            styles=styles,
        )

    def set_time_budget(self, budget_ns: int) -> None:
        """Limit the time (ns) of an answer, as far as its first step allows: what is written by then is the plan.

        Without a limit a plan has all its steps, and does not depend on the machine.
        """
        self._budget_ns = budget_ns

    def plan(self, request: PlanRequest) -> Plan:
        """Return a plan of up to AHEAD_STEPS steps. Raises UserError for a style that the graph does not know."""
        begun_ns = time.perf_counter_ns()
        check_style(request.settings.style, self.info.styles)
        writer = _PlanWriter(self, request, begun_ns)
        last = writer.write()
        return replace(writer.to_plan(last), inference_ns=time.perf_counter_ns() - begun_ns)

    def plan_with_melody(self, request: PlanRequest) -> tuple[Plan, Note | None]:
        """Return what the band plays at `request.now`, and the melody's note there; see ContinuingPlayer."""
        writer = _PlanWriter(self, request, time.perf_counter_ns())
        note = writer.write_with_melody()
        return writer.to_plan(request.now + 1), note

    def is_late(self, begun_ns: int) -> bool:
        """Return True if the time budget of an answer that was begun then is spent."""
        return self._budget_ns is not None and time.perf_counter_ns() - begun_ns > self._budget_ns


class _FeatureHistory:
    """The features of the steps before a now-line, kept from plan to plan where nothing has changed them."""

    def __init__(self, steps: int, width: int) -> None:
        """Begin with none; steps: before a now-line, at most; width: features of a step."""
        self._basis: tuple[object, ...] = ()  # on which all rows depend
        self._rows: Floats = np.zeros((steps + _SPARE_ROWS, width), np.float32)
        self._base = self._end = 0  # the step of the first of these rows, and the one after the last that is made
        self._first = 0  # the step of the first chord
        self._chords: list[Chord] = []  # of the steps and the one after the last

    def update(
        self,
        first: int,
        chords: list[Chord],
        changed: int,
        basis: tuple[object, ...],
        extract: Callable[[int, int], Floats],
    ) -> tuple[Floats, int]:
        """Return the features of the steps from `first` on, and the first step that may have others than before.

        chords: of those steps and the next; changed: the first step at which a note has changed; basis: everything else
        that they depend on; extract: makes the features of the steps [begin, end).
        """
        end = first + len(chords) - 1
        if basis != self._basis or first < self._first:
            changed = first
        changed = min(changed, self._end, end - 1)
        if changed > first:
            changed = min(changed, self._find_other_chord(first, chords) - 1)
        changed = max(changed, first)
        if first < self._base or end - self._base > len(self._rows):
            if changed > first:
                self._rows[: changed - first] = self._rows[first - self._base : changed - self._base]
            self._base = first
        self._basis, self._end = (), changed  # nothing else is known while the rest is made
        self._rows[changed - self._base : end - self._base] = extract(changed, end)
        self._basis, self._end, self._first, self._chords = basis, end, first, chords
        return self._rows[first - self._base : end - self._base], changed

    def _find_other_chord(self, first: int, chords: list[Chord]) -> int:
        """Return the first step whose chord is another than before, or was not known."""
        before = self._chords[first - self._first :]
        both = min(len(before), len(chords))
        if before[:both] == chords[:both]:
            return first + both
        return first + next(i for i in range(both) if before[i] != chords[i])


@dataclass(slots=True)
class _RolePlan:
    """The plan of one role so far."""

    #: notes that begin in the plan
    begun: list[Note] = field(default_factory=list)
    #: committed notes that still sound, with the ends they are to have, by start and pitch
    held: dict[tuple[int, int], Note] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes of the plan."""
        return (*self.held.values(), *self.begun)

    def list_sounding(self, tick: int) -> list[Note]:
        """Return the notes that have begun before a tick and end after it."""
        return [n for n in self.notes if n.start < tick < n.start + n.length]

    def end(self, note: Note, tick: int) -> None:
        """End a sounding note at a tick."""
        self.replace(note, replace(note, length=tick - note.start))

    def replace(self, note: Note, changed: Note) -> None:
        """Put another length in a note's place."""
        if note in self.begun:
            self.begun[self.begun.index(note)] = changed
        else:
            self.held[note.start, note.pitch] = changed


class _PlannedBand:
    """The notes that the band plays in a plan: those that are committed and sound, or did lately, and those to come."""

    def __init__(self, played: Mapping[str, NDArray[np.int64]], request: PlanRequest, context_steps: int) -> None:
        """Find the notes that matter; played: those that are committed, as rows; context_steps: how far they do."""
        tick, lately = request.now * TICKS_PER_STEP, _NEAR_STEPS * TICKS_PER_STEP
        since = tick - (context_steps + step_tokens.MAX_LENGTH_STEPS) * TICKS_PER_STEP
        self.parts = {role: _RolePlan() for role in ROLES}
        #: the step at which the band began to play, as far as it is known
        self.first_played = request.now
        #: role -> committed notes that sound or have done so in the last _NEAR_STEPS
        self.near: dict[str, list[Note]] = {}
        self._ended_lately: list[Note] = []  # those with pitches
        self._last_end = tick - lately
        for role, rows in played.items():
            if not len(rows):
                continue
            ends = rows[:, 0] + rows[:, 2]
            first = int((ends > since).argmax())
            if ends[first] > since:
                self.first_played = min(self.first_played, round_to_step(int(rows[first, 0])))
            notes = request.committed[role]
            near = self.near[role] = [notes[i] for i in (ends > tick - lately).nonzero()[0].tolist()]
            if role == "drums":
                continue
            held = self.parts[role].held
            for note in near:
                end = note.start + note.length
                if note.start < tick <= end:
                    held[note.start, note.pitch] = note
                if end < tick:
                    self._ended_lately.append(note)
                if end <= tick:
                    self._last_end = max(self._last_end, end)

    def measure_sounding(self, step: int) -> tuple[int, tuple[int, ...]]:
        """Return for how many steps nothing with a pitch has sounded, and what `chord_balance` counts, at a step."""
        notes, last_end = self._ended_lately.copy(), self._last_end
        for role in PITCHED_ROLES:
            for note in self.parts[role].notes:
                notes.append(note)
                last_end = max(last_end, note.start + note.length)
        return max(0, step + 1 - last_end // TICKS_PER_STEP), chord_balance.add_up_sounding_ticks(notes, step)

    def begin(self, onsets: step_tokens.RoleOnsets, tick: int, velocity: int) -> None:
        """Begin a role's notes; a note of the same pitch that sounds ends there, or goes on if it was tied."""
        part = self.parts[onsets.role]
        sounding = {n.pitch: n for n in part.list_sounding(tick)}
        for length, pitch in onsets.notes:
            steps = TIED_STEPS if length > step_tokens.MAX_LENGTH_STEPS else length
            before = sounding.pop(pitch, None)
            if before is not None:
                if onsets.role != "drums" and _is_tie_due(before, tick):
                    part.replace(before, replace(before, length=tick - before.start + steps * TICKS_PER_STEP))
                    continue
                part.end(before, tick)
            part.begun.append(Note(tick, pitch, steps * TICKS_PER_STEP, velocity))
        if onsets.role == "bass":  # one voice
            for note in sounding.values():
                part.end(note, tick)

    def let_go(self, tick: int, tones: Floats) -> tuple[str, ...]:
        """End sounding notes that have no place in the harmony; return the roles that fall silent by that."""
        keep: list[bool] = (tones >= LET_GO_RATIO * tones.max()).tolist()
        silenced: list[str] = []
        for role in PITCHED_ROLES:
            sounding = self.parts[role].list_sounding(tick)
            ending = [note for note in sounding if not keep[note.pitch % PITCH_CLASSES]]
            for note in ending:
                self.parts[role].end(note, tick)
            if ending and len(ending) == len(sounding):
                silenced.append(role)
        return tuple(silenced)


class _PlanWriter:
    """Writes one plan."""

    def __init__(self, player: TransformerPlayer, request: PlanRequest, begun_ns: int) -> None:
        self._player, self._request, self._begun_ns = player, request, begun_ns
        self._chosen: list[Chord] = []  # of each step of the plan
        settings, self._now = request.settings, request.now
        self._bar = request.bar_origin // TICKS_PER_STEP  # a step at which a bar begins
        style = player.info.styles.index(settings.style)
        self._style = player.styles[None, style]
        self._velocity_std = player.velocity_std[style]
        played = {role: player.committed[role].update(request.committed.get(role, ())) for role in ROLES}
        self._context = MelodyContext(
            melody=quantise_voice(player.melody.update(request.melody)),
            heard_all=request.heard is None,
            metre=request.metre,
            bar=self._bar,
            seed=settings.seed,
            temperature=settings.temperature,
            given=request.harmony,
            key=request.key,
        )
        self._played = played
        self._band = _PlannedBand(played, request, player.cache.context_steps)

    def write(self) -> int:
        """Write one step after another, as far as time allows; return the step at which the plan ends."""
        forecast = self._player.chords.predict(self._context, self._now, AHEAD_STEPS)
        self._chosen = forecast.chords
        chord = forecast.chords[0]
        rows, changed = self._extract_past(chord)
        for k in range(AHEAD_STEPS):
            if k:
                if self._player.is_late(self._begun_ns):
                    return self._now + k
                row, chord = self._extract_planned(k, forecast, chord), forecast.chords[k]
                state = self._player.cache.append(row)
            else:
                state = self._player.cache.advance(rows, self._now - len(rows), self._style, changed)
            self._write_step(self._now + k, forecast, k, state)
        return self._now + AHEAD_STEPS

    def write_with_melody(self) -> Note | None:
        """Write one step, and return the melody's note in it."""
        forecast = self._player.chords.predict(self._context, self._now, 1)
        self._chosen = forecast.chords
        rows, changed = self._extract_past(forecast.chords[0])
        state = self._player.cache.advance(rows, self._now - len(rows), self._style, changed)
        self._write_step(self._now, forecast, 0, state)
        return self._draw_melody(forecast.chords[0], state)

    def to_plan(self, last: int) -> Plan:
        """Return the plan, which ends at the step `last`."""
        notes = {role: sorted(list_numbers(part.begun)) for role, part in self._band.parts.items()}
        held = {role: tuple(sort_notes(part.held.values())) for role, part in self._band.parts.items()}
        chosen = self._chosen[: last - self._now]
        arranged, ends = arrange_plan(self._request, notes, held, chosen, last, self._band.near)
        played = list_chord_changes(chosen, self._now)
        return Plan(self._request.number, self._now, last, self._request.heard, arranged, ends, chords=played)

    def _draw_melody(self, chord: Chord, state: DecoderState) -> Note | None:
        """Draw what the melody does in the step: rest, go on, or begin a pitch."""
        tick, last = self._now * TICKS_PER_STEP, self._request.melody[-1] if self._request.melody else None
        sounds = last is not None and last.end >= tick
        pitches = np.arange(step_tokens.PITCH_TOKENS) - PITCH_CLASSES + max(chord[0], 0)
        low, high = _COMPASS[MELODY]
        allowed = np.concatenate([[True, sounds], (pitches >= low) & (pitches <= high)])
        random = np.random.default_rng([abs(self._request.settings.seed), self._now & 0xFFFFFFFF, 3])
        choice = sampling.choose(state.melody, random, self._temperature, TOP_P, allowed)
        if choice == 0:
            return None
        if choice == 1 and last is not None:
            return replace(last, length=tick + TICKS_PER_STEP - last.start)
        return Note(tick, int(pitches[choice - 2]), TICKS_PER_STEP, last.velocity if last else MELODY_VELOCITY)

    @property
    def _temperature(self) -> float:
        return TEMPERATURE * self._request.settings.temperature

    # What the decoder reads

    def _extract_past(self, next_chord: Chord) -> tuple[Floats, int]:
        """Return the features of all steps before now that count, and the first that may be others than before.

        next_chord: of the step now.
        """
        melody, metre, now = self._context.melody, self._request.metre, self._now
        first_heard = int(melody[0, 0]) if len(melody) else now - 1
        origin = min(first_heard, self._band.first_played)
        origin = self._bar + (origin - self._bar) // metre.steps_per_bar * metre.steps_per_bar
        first = max(min(origin, now - 1), now - self._player.cache.context_steps)
        chords = self._player.chords.list_chords(self._context, first, now, next_chord)

        def extract(begin: int, end: int) -> Floats:
            return self._extract(begin, end - begin, chords[begin - first : end - first + 1])

        told, heard = self._player.committed.values(), self._player.melody
        since = (first - 1) * TICKS_PER_STEP
        changed = min(heard.find_change(since, only_sounds=True), *(rows.find_change(since) for rows in told))
        basis = metre, self._bar, self._band.first_played if self._band.first_played > first else None
        found = self._player.features.update(first, chords, round_to_step(changed), basis, extract)
        for rows in (heard, *told):
            rows.settle()
        return found

    def _extract_planned(self, k: int, forecast: ChordForecast, chord: Chord) -> Floats:
        """Return the features of the step before now + k, as they will be if the melody goes on as it is."""
        step, melody = self._now + k - 1, self._context.melody
        if not self._context.heard_all and len(melody) and int(melody[-1, 0] + melody[-1, 2]) >= self._now:
            start, pitch = int(melody[-1, 0]), int(melody[-1, 1])  # what sounds goes on
            heard = pitch, start == step
        else:
            heard = step_features.hear_step(melody, step)
        planned = {role: _list_rows(part.notes, step * TICKS_PER_STEP) for role, part in self._band.parts.items()}
        return self._build_step(step, heard, planned, (chord, forecast.chords[k]))

    def _extract(self, first: int, count: int, chords: Sequence[Chord]) -> Floats:
        """Return the features (count, feature_count) of the steps from `first` on; chords: of those and the next."""
        melody = self._context.melody
        if count <= _MAX_SINGLE_STEPS and first >= self._now - _MAX_SINGLE_STEPS:
            since = (first - 1) * TICKS_PER_STEP
            near = {role: _list_rows(notes, since) for role, notes in self._band.near.items()}
            return np.concatenate(
                [
                    self._build_step(step, step_features.hear_step(melody, step), near, chords[k : k + 2])
                    for k, step in enumerate(range(first, first + count))
                ]
            )
        since = (first - 1) * TICKS_PER_STEP
        played = {role: _move_to_grid(rows, since) for role, rows in self._played.items()}
        coming = np.arange(first + 1 - self._bar, first + 1 - self._bar + count)
        made = step_features.build_features(
            step_features.extract_melody(melody, first, count),
            step_features.extract_band(played, first, count),
            np.array(chords, np.int64).T,
            np.array([self._find_place(step) for step in range(first, first + count)]),
            begun=min(count, max(0, self._band.first_played - first)),
        )
        if not self._player.cache.reads_pulses:
            return made
        return np.concatenate([made, step_features.mark_pulses(coming, self._request.metre)], 1)

    def _build_step(
        self,
        step: int,
        heard: tuple[int, bool],
        band: Mapping[str, Iterable[tuple[int, int, int]]],
        chords: Sequence[Chord],
    ) -> Floats:
        """Return the features (1, feature_count) of a step; see `step_features.build_step`."""
        begun, cache, metre = self._band.first_played <= step, self._player.cache, self._request.metre
        row = step_features.build_step(heard, band, step, chords, self._find_place(step), begun, cache.feature_count)
        if cache.reads_pulses and metre.steps_per_bar != STEPS_PER_BAR:
            pulses = step_features.mark_pulses(np.array([step + 1 - self._bar]), metre)
            row[:, step_features.FEATURE_COUNT :] = pulses
        return row

    def _find_place(self, step: int) -> int:
        """Return the place in its bar of the step after one, as the graph has learnt it."""
        coming, metre = step + 1 - self._bar, self._request.metre
        if self._player.cache.reads_pulses:
            return step_features.find_places(coming, metre)
        return min(coming % metre.steps_per_bar, STEPS_PER_BAR - 1)

    # What it writes

    def _write_step(self, step: int, forecast: ChordForecast, k: int, state: DecoderState) -> None:
        """Write one step, the k-th of the forecast, into the parts."""
        tick, root = step * TICKS_PER_STEP, forecast.chords[k][0]
        silenced = (
            self._band.let_go(tick, forecast.list_tones(k)) if (step - self._bar) % LET_GO_INTERVAL_STEPS == 0 else ()
        )
        spread, numbers = _draw_step_noise(abs(self._request.settings.seed), step)
        silent_steps, heard = self._band.measure_sounding(step)
        bias = self._player.bias
        bias[_WHO] = _weigh_onsets(self._request.settings.density, min(silent_steps, MAX_SILENT_STEPS), silenced)
        tones = forecast.weigh_tones(k, heard)
        bias[_PITCHES] = tones[_CLASSES_FROM[max(root, 0)]]
        tokens = self._draw_tokens(root, state, numbers, bias, self._pull_bass(step, root))
        begun = step_tokens.decode_step(tokens, root)
        velocity = self._choose_velocities(state, spread) if begun else []
        for onsets in begun:
            self._band.begin(onsets, tick, velocity[ROLES.index(onsets.role)])

    def _choose_velocities(self, state: DecoderState, spread: NDArray[np.float64]) -> list[int]:
        """Return the velocities of the roles; spread: noise of theirs."""
        loudness = 127 / (1 + np.exp(-state.velocity))
        loudness = loudness + spread * self._velocity_std * 127 * self._request.settings.temperature
        return [min(max(round(each), MIN_VELOCITY), MAX_VELOCITY) for each in loudness.tolist()]

    def _pull_bass(self, step: int, root: int) -> Bias | None:
        """Return the bias of the bass towards the lowest note of a chord that is known; None where there is none."""
        if not self._request.harmony or not self._player.chords.hears_given:
            return None
        wanted = weigh_bass(self._request.harmony, step, 1, self._bar, self._request.metre.steps_per_bar)[:, 0]
        bias = np.zeros(step_tokens.WRITER_TOKENS)
        bias[_PITCHES] = BASS_PULL * wanted[_CLASSES_FROM[max(root, 0)]]
        bias[step_tokens.LENGTH] = -BASS_PULL  # longer than a step, so that it is heard
        return bias if wanted.any() else None

    def _draw_tokens(
        self, root: int, state: DecoderState, numbers: Sequence[float], bias: Bias, bass_bias: Bias | None
    ) -> list[int]:
        """Draw the tokens of one step, as far as time allows.

        numbers: random ones, 0..1, one a token; bias: what is added to the tokens' logits; bass_bias: and to those of
        the bass.
        """

        def hurry() -> Iterator[float]:
            for place, number in enumerate(numbers):
                if place and self._player.is_late(self._begun_ns):
                    return
                yield number

        biases = dict.fromkeys((None, *ROLES), bias)
        if bass_bias is not None:
            biases["bass"] = bias + bass_bias
        grammar = step_tokens.Grammar(ROLES, _COMPASS, root)
        choose = partial(sampling.choose_place, temperature=self._temperature, top_p=TOP_P)
        return self._player.writer.draw(state, grammar, hurry(), biases, choose)


def _is_tie_due(note: Note, tick: int) -> bool:
    """Return True for a tied note that is begun again where its next part is due."""
    lasted = (tick - note.start) // TICKS_PER_STEP
    return note.length > step_tokens.MAX_LENGTH_STEPS * TICKS_PER_STEP and lasted % step_tokens.MAX_LENGTH_STEPS == 0


def _mark_onsets(roles: Iterable[str]) -> Bias:
    """Return 1 for the sets of roles that any of these belongs to, in the order of the WHO tokens."""
    return np.array([float(any(who >> ROLES.index(r) & 1 for r in roles)) for who in range(1 << len(ROLES))])


_WHO, _PITCHES = slice(step_tokens.WHO, step_tokens.LENGTH), slice(step_tokens.PITCH, step_tokens.DRUM)
_PITCHED_ONSETS = _mark_onsets(PITCHED_ROLES)
_ONSETS_OF = {role: _mark_onsets([role]) for role in PITCHED_ROLES}
_ROLE_COUNTS = np.array([who.bit_count() for who in range(1 << len(ROLES))])


@lru_cache(maxsize=64)
def _weigh_onsets(density: float, silent_steps: int, silenced: tuple[str, ...]) -> Bias:
    """Return what is added to the logits of the WHO tokens; silenced: roles that have just let go of all notes."""
    who = _PITCHED_ONSETS * SILENCE_BIAS * silent_steps
    for role in silenced:
        who = who + _ONSETS_OF[role] * RESTART_BIAS
    made: Bias = _ROLE_COUNTS * DENSITY_GAIN * (density - 1) + who
    return made


#: (root, PITCH_TOKENS): the pitch class of every PITCH token under a chord's root
_CLASSES_FROM = (
    np.arange(step_tokens.PITCH_TOKENS) - PITCH_CLASSES + np.arange(PITCH_CLASSES)[:, None]
) % PITCH_CLASSES


@lru_cache(maxsize=4 * AHEAD_STEPS)  # the plans that write a step share it
def _draw_step_noise(seed: int, step: int) -> tuple[NDArray[np.float64], list[float]]:
    """Return the noise on the velocities (ROLES,) of a step, and a random number 0..1 for each of its tokens."""
    random = np.random.default_rng([seed, step & 0xFFFFFFFF, 2])
    return random.standard_normal(len(ROLES)), random.random(MAX_TOKENS).tolist()


def _move_to_grid(rows: NDArray[np.int64], since: int) -> NDArray[np.int64]:
    """Return what `_list_rows` does, of notes as rows (music.analysis.note_rows)."""
    near = rows[rows[:, 0] + rows[:, 2] > since]
    start, end = (near[:, 0] + TICKS_PER_STEP // 2) // TICKS_PER_STEP, near[:, 0] + near[:, 2]
    length = np.maximum((end + TICKS_PER_STEP // 2) // TICKS_PER_STEP - start, 1)
    return np.stack([start, near[:, 1], length], 1)


def _list_rows(notes: Iterable[Note], since: int) -> list[tuple[int, int, int]]:
    """Return start step, pitch and length in steps, on the grid, of the notes that end after a tick."""
    rows = []
    for note in notes:
        end = note.start + note.length
        if end > since:
            start = round_to_step(note.start)
            rows.append((start, note.pitch, max(1, round_to_step(end) - start)))
    return rows
