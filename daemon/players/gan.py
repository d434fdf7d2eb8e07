"""The GAN's player: draws a canvas, runs the generator on it, and reads notes off its scores.

Everything random depends on the seed and on the place in the song, never on when a plan was asked for: two plans made
one step apart agree wherever neither the melody nor what the band has played (music.analysis.note_density,
daemon.players.chord_balance) gave a reason to change.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.techniques import check_style
from daemon.players import chord_balance
from daemon.players.graph import Graph, GraphError, GraphPlayer, check_settings
from music.analysis import note_density
from music.chords import QUALITIES, QUALITY_TONES
from music.encoding import gan_canvas, melody_context
from music.encoding.gan_canvas import (
    CANVAS_STEPS,
    DRUM_PLANES,
    DRUMS,
    FIRST_NOW_STEP,
    FRESH_SHARE,
    FUTURE_STEPS,
    HOLD_THRESHOLD,
    ONSET_THRESHOLD,
    PITCHED_HEADS,
    PITCHED_PLANES,
    PLAIN_HEADS,
    PLAIN_PLANES,
    REGISTERS,
    RHYTHM_NOISE,
    SECTION_BARS,
)
from music.note import PITCH_CLASSES, PITCHED_ROLES, ROLES, STEPS_PER_BAR, STEPS_PER_BEAT, TICKS_PER_STEP, Note

#: What temperature 1 means: scale of the noise on chords (1 draws from the model's distribution), and of that on a
#: section's groove.
CHORD_NOISE_SCALE = 0.3
GROOVE_NOISE_SCALE = 0.1
#: Style -> scale of the noise on its rhythm, and the share of the noise that is new in every bar; for styles whose
#: bands repeat themselves less than others, or (rock) more (models/LOG.md, runs 12 and 13).
RHYTHM_LOOSENESS = {"jazz": (1.0, 1.0), "rock": (0.6, 0.05)}
#: How much the tones of a chord are preferred that the band has neglected.
BALANCE_WEIGHT = 1.0
#: What a density of 2 adds to the logit of every role that may begin something.
DENSITY_GAIN = 2.0
#: Velocities that are written.
MIN_VELOCITY, MAX_VELOCITY = 20, 120
#: Steps of noise that are drawn together, and those that share a chord's noise.
_BLOCK_STEPS, _CHORD_NOISE_STEPS = 16, 8
_GATE_HEADS = ("bass_gate", "chords_gate", "pad_gate")
#: Rows of rhythm noise: gates and holds of the pitched roles, then the drums.
_RHYTHM_ROWS = 2 * len(PITCHED_ROLES) + DRUM_PLANES
#: Role -> pitch class of each of its cells (octave-major).
_PITCH_CLASSES_OF = {role: register.list_pitches().reshape(-1) % PITCH_CLASSES for role, register in REGISTERS.items()}


class GanPlayer(GraphPlayer):
    """A Player on a generator's graph."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one whose inputs or settings are not those of a generator."""
        self._graph = graph
        self.info = self.describe(graph.signature.styles)
        self._styles = self.info.styles
        settings = graph.signature.settings
        z = int(graph.signature.inputs.get("z", (1, 0))[-1])
        wanted = {
            "pitched": (1, PITCHED_PLANES, PITCH_CLASSES, CANVAS_STEPS),
            "plain": (1, PLAIN_PLANES, CANVAS_STEPS),
            "style": (1, len(self._styles)),
            "z": (1, z),
            "noise": (1, len(QUALITIES), PITCH_CLASSES, FUTURE_STEPS // STEPS_PER_BEAT),
            "melody": (
                1,
                melody_context.MELODY_PLANES,
                PITCH_CLASSES,
                melody_context.PAST_STEPS + melody_context.FUTURE_STEPS,
            ),
            "phase": (1, STEPS_PER_BAR),
            "known": (1, 1),
        }
        if dict(graph.signature.inputs) != wanted:
            raise GraphError(f"this graph does not fit the GAN's canvas: it takes {dict(graph.signature.inputs)}")
        try:
            self._grooves = [np.asarray(bank, np.float32).reshape(len(bank), -1, z) for bank in settings["grooves"]]
            self._habits = [
                np.asarray(kept, np.float64).reshape(*bank.shape[:2], note_density.HABIT_COUNT)
                for kept, bank in zip(settings["habits"], self._grooves, strict=True)
            ]
            self._velocity_std = np.asarray(settings["velocity_std"], np.float32).reshape(len(self._styles), len(ROLES))
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise GraphError(f"this graph does not fit: its settings lack {error}") from None
        check_settings((*self._grooves, *self._habits, self._velocity_std))
        if len(self._grooves) != len(self._styles) or not all(bank.size for bank in self._grooves):
            raise GraphError("this graph does not fit: there are not grooves for each of its styles")

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player says of itself on a graph that knows these styles."""
        return PlayerInfo(
            past_steps=melody_context.PAST_STEPS,
            memory_steps=melody_context.MEMORY_STEPS,
            future_steps=FUTURE_STEPS - _BLOCK_STEPS + 1,
            roles=ROLES,
            styles=styles,
        )

    def plan(self, request: PlanRequest) -> Plan:
        """Return a plan to the end of the canvas. Raises UserError for a style that the graph does not know."""
        begun_ns = time.perf_counter_ns()
        check_style(request.settings.style, self._styles)
        style = self._styles.index(request.settings.style)
        bar = request.bar_origin // TICKS_PER_STEP  # a step at which a bar begins
        first = bar + gan_canvas.find_first_step(request.now - bar, request.metre.steps_per_bar)  # of the canvas
        noise = _draw_noise(request, first + FIRST_NOW_STEP, bar)
        scores = self._run_graph(request, style, bar, noise)
        bias = self._compute_bias(request, style, bar)
        neglected = BALANCE_WEIGHT * _weigh_neglected(request, scores["chord_choice"][0])
        writer = _NoteWriter(request, first + FIRST_NOW_STEP, scores, noise, self._velocity_std[style], bias, neglected)
        notes, held = writer.write()
        spent_ns = time.perf_counter_ns() - begun_ns
        last = first + CANVAS_STEPS
        return Plan(request.number, request.now, last, request.heard, notes, held, inference_ns=spent_ns)

    def _run_graph(self, request: PlanRequest, style: int, bar: int, noise: _CanvasNoise) -> dict[str, NDArray[Any]]:
        """Return the generator's scores; bar: a step at which a bar begins."""
        settings, metre, heard_all = request.settings, request.metre, request.heard is None
        canvas = gan_canvas.build_canvas(request.melody, request.committed, request.now, heard_all, metre, bar)
        heard = melody_context.build_harmonist_input(request.melody, request.now, heard_all, metre, bar)
        section = (request.now - bar) // (metre.steps_per_bar * SECTION_BARS)
        inputs: dict[str, NDArray[Any]] = {
            "pitched": canvas.pitched[None],
            "plain": canvas.plain[None],
            "style": np.eye(len(self._styles), dtype=np.float32)[None, style],
            "z": self._choose_groove(settings, style, section)[None],
            "noise": (noise.chords * (CHORD_NOISE_SCALE * settings.temperature))[None],
            "melody": heard.melody[None],
            "phase": heard.phase[None],
            "known": heard.known[None],
        }
        return dict(self._graph.run(inputs))

    def _choose_groove(self, settings: Settings, style: int, section: int) -> NDArray[np.float32]:
        """Return the groove vector (z,) of a section of the song.

        It is that of a real band of the style (seed 0 has the most typical ones), varied a little by temperature.
        Sections take the seed's grooves in turns.
        """
        random = np.random.default_rng([abs(settings.seed), style])
        bank = self._grooves[style]
        grooves = bank[settings.seed % len(bank)]
        chosen: NDArray[np.float32] = grooves[section % len(grooves)]
        scale = np.float32(GROOVE_NOISE_SCALE * settings.temperature)
        return chosen + random.standard_normal(chosen.shape, np.float32) * scale

    def _compute_bias(
        self, request: PlanRequest, style: int, bar: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what brings a band that has strayed back to its groove; see `compute_density_bias`."""
        bank = self._habits[style]
        promised = bank[request.settings.seed % len(bank)]
        past_steps = np.arange(-note_density.WINDOW_STEPS, 0) + request.now
        sections = (past_steps - bar) // (request.metre.steps_per_bar * SECTION_BARS)
        return note_density.compute_density_bias(
            request.committed, request.now, promised[sections % len(promised)], request.settings.density
        )


class _CanvasNoise:
    """Noise for the FUTURE_STEPS steps from one on.

    A groove repeats itself: a doubt about the rhythm is settled the same way in every bar of a section of SECTION_BARS
    bars, but for a share of the noise that is fresh.
    """

    #: (_RHYTHM_ROWS, FUTURE_STEPS) logistic
    rhythm: NDArray[np.floating[Any]]
    #: (roles, FUTURE_STEPS) normal
    velocity: NDArray[np.float32]
    #: (qualities, 12, beats) Gumbel, alike over half a bar
    chords: NDArray[np.float32]

    def __init__(
        self,
        seed: int,
        first: int,
        bar: int,
        steps_per_bar: int,
        *,
        fresh_share: float = FRESH_SHARE,
        rhythm_scale: float = 1.0,
    ) -> None:
        """first: the first step; bar: a step at which a bar begins."""
        steps = first + np.arange(FUTURE_STEPS)
        blocks = [
            _draw_noise_block(abs(seed), block)
            for block in range(first // _BLOCK_STEPS, (first + FUTURE_STEPS) // _BLOCK_STEPS + 1)
        ]
        shift = first % _BLOCK_STEPS
        fresh, uniform, self.velocity = (
            np.concatenate([b[i] for b in blocks], -1)[:, shift : shift + FUTURE_STEPS] for i in range(3)
        )
        place, section = (steps - bar) % steps_per_bar, (steps - bar) // (steps_per_bar * SECTION_BARS)
        sections = sorted({int(s) for s in section})
        loops = np.stack([_draw_loop(abs(seed), s, steps_per_bar) for s in sections])  # (sections, _RHYTHM_ROWS, steps)
        repeated = loops[section - sections[0], :, place].T
        self.rhythm = rhythm_scale * np.where(uniform < fresh_share, fresh, repeated)
        chords = np.concatenate([b[3] for b in blocks], -1)
        beats = (shift + STEPS_PER_BEAT * np.arange(FUTURE_STEPS // STEPS_PER_BEAT)) // _CHORD_NOISE_STEPS
        self.chords = chords[..., beats]


def _draw_noise(request: PlanRequest, first: int, bar: int) -> _CanvasNoise:
    """Return the noise from the step `first` on, as loose as the style and the temperature have it."""
    settings = request.settings
    scale, fresh_share = RHYTHM_LOOSENESS.get(settings.style, (RHYTHM_NOISE, FRESH_SHARE))
    return _CanvasNoise(
        settings.seed,
        first,
        bar,
        request.metre.steps_per_bar,
        fresh_share=fresh_share,
        rhythm_scale=scale * settings.temperature,
    )


@lru_cache(maxsize=16)
def _draw_noise_block(seed: int, block: int) -> tuple[NDArray[np.float32], ...]:
    """Return the noise of _BLOCK_STEPS steps: rhythm, a uniform number for each of its cells, velocity, chords."""
    random = np.random.default_rng([seed, block & 0xFFFFFFFF])
    rhythm = _draw_logistic(random, (_RHYTHM_ROWS, _BLOCK_STEPS))
    cells = len(QUALITIES), PITCH_CLASSES, _BLOCK_STEPS // _CHORD_NOISE_STEPS
    chords = -np.log(-np.log(random.uniform(1e-6, 1 - 1e-6, cells)))
    velocity = random.standard_normal((len(ROLES), _BLOCK_STEPS))
    uniform = random.uniform(0, 1, (_RHYTHM_ROWS, _BLOCK_STEPS))
    return rhythm, uniform.astype(np.float32), velocity.astype(np.float32), chords.astype(np.float32)


@lru_cache(maxsize=16)
def _draw_loop(seed: int, section: int, steps: int) -> NDArray[np.float32]:
    """Return the rhythm noise (_RHYTHM_ROWS, steps) that the bars of a section share."""
    return _draw_logistic(np.random.default_rng([seed, section & 0xFFFFFFFF, 1]), (_RHYTHM_ROWS, steps))


def _draw_logistic(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    uniform = random.uniform(1e-4, 1 - 1e-4, shape)
    return (np.log(uniform) - np.log1p(-uniform)).astype(np.float32)


class _NoteWriter:
    """Reads notes off the generator's scores, step by step.

    A note begins only at an onset and sounds while it is held, as `play` in models/gan/network.py has it. Steps are
    counted from the first of the scores.
    """

    def __init__(
        self,
        request: PlanRequest,
        first: int,
        scores: dict[str, NDArray[Any]],
        noise: _CanvasNoise,
        velocity_std: NDArray[Any],
        bias: tuple[NDArray[np.float64], NDArray[np.float64]],
        neglected: NDArray[np.float64],
    ) -> None:
        """Decide from the scores which cells may begin, and which are held.

        first: the song's step at which the scores begin; bias: what is added to the logits of beginning (roles) and of
        holding (pitched roles); neglected: (12, FUTURE_STEPS) what is added to the onset scores of chords and pad, by
        pitch class.
        """
        self._request, self._first = request, first
        pitched = _split_heads(scores["pitched_scores"][0], PITCHED_HEADS)
        plain = _split_heads(scores["plain_scores"][0], PLAIN_HEADS)
        settings = request.settings
        begin, longer = DENSITY_GAIN * (settings.density - 1) + bias[0][:, None], bias[1][:, None]
        self._gates = np.concatenate([plain[g] for g in _GATE_HEADS]) + noise.rhythm[:3] + begin[:3] > 0
        held = noise.rhythm[3:6] + longer
        best = pitched["bass_pitch"].reshape(-1, FUTURE_STEPS)
        self._begins = {"bass": best == best.max(0)}  # cells that an onset of the role would take
        self._holds = {"bass": np.broadcast_to(plain["bass_hold"] + held[:1] > 0, best.shape)}
        for i, part in ((1, "chords"), (2, "pad")):
            cells = pitched[f"{part}_onset"].reshape(-1, FUTURE_STEPS) + neglected[_PITCH_CLASSES_OF[part]]
            self._begins[part] = (cells > ONSET_THRESHOLD) | (cells == cells.max(0))
            self._holds[part] = pitched[f"{part}_hold"].reshape(-1, FUTURE_STEPS) + held[i] > HOLD_THRESHOLD
        self._tones = _find_chord_tones(scores["chord_choice"][0])
        self._drums = plain["drums"] + noise.rhythm[6:] + begin[3] > 0
        loudness = 127 / (1 + np.exp(-plain["velocity"]))
        loudness = loudness + noise.velocity * velocity_std[:, None] * 127 * settings.temperature
        self._velocity = np.clip(np.rint(loudness), MIN_VELOCITY, MAX_VELOCITY).astype(int)

    def write(self) -> tuple[dict[str, tuple[Note, ...]], dict[str, tuple[Note, ...]]]:
        """Return `notes` and `held` of a Plan, by role."""
        notes: dict[str, tuple[Note, ...]] = {}
        held: dict[str, tuple[Note, ...]] = {}
        now = self._request.now - self._first
        for i, role in enumerate(PITCHED_ROLES):
            begun, kept = self._write_role(role, i, now)
            notes[role], held[role] = tuple(sorted(begun)), tuple(sorted(kept))
        notes["drums"] = tuple(sorted(self._write_drums(now)))
        return notes, held

    def _write_role(self, role: str, index: int, now: int) -> tuple[list[Note], list[Note]]:
        """Return the notes that begin from now on, and the committed ones that sound there, with their ends."""
        pitches = REGISTERS[role].list_pitches().reshape(-1)
        cell_of = {int(p): i for i, p in enumerate(pitches)}
        tick = self._request.now * TICKS_PER_STEP
        committed = [n for n in self._request.committed.get(role, ()) if n.start < tick <= n.end]
        open_notes = {cell_of[n.pitch]: n for n in committed if n.pitch in cell_of}
        kept = [replace(n, length=tick - n.start) for n in committed if n.pitch not in cell_of]
        begun: list[Note] = []
        open_since = dict.fromkeys(open_notes, now)

        def end(cell: int, step: int) -> None:
            since = open_since.pop(cell)
            if cell in open_notes:
                note = open_notes.pop(cell)
                kept.append(replace(note, length=tick - note.start + (step - now) * TICKS_PER_STEP))
                return
            start, length = (self._first + since) * TICKS_PER_STEP, (step - since) * TICKS_PER_STEP
            begun.append(Note(start, int(pitches[cell]), length, int(self._velocity[index, since])))

        sounding = np.zeros(len(pitches), np.bool_)
        sounding[list(open_notes)] = True
        for step in range(now, FUTURE_STEPS):
            begin, go_on = self._decide(role, index, step, sounding)
            for cell in np.flatnonzero(sounding & (begin | ~go_on)).tolist():
                end(cell, step)
            open_since |= dict.fromkeys(np.flatnonzero(begin).tolist(), step)
            sounding = begin | go_on
        for cell in np.flatnonzero(sounding).tolist():
            end(cell, FUTURE_STEPS)
        return begun, kept

    def _decide(
        self, role: str, index: int, step: int, sounding: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the cells that begin at a step, and those of the sounding ones that go on, both (cells,).

        A new onset of the bass ends its old note. On every beat chords and pad let go of tones that its chord lacks;
        where the pad would lose a note, it begins the chord anew. Within a beat nothing is cut, so that a melody note
        that changes the plan does not make them stutter.
        """
        begin = self._begins[role][:, step] & self._gates[index, step]
        go_on = sounding & self._holds[role][:, step]
        if role == "bass":
            return begin, go_on & ~begin.any()
        if step % STEPS_PER_BEAT == 0:
            inside = self._tones[_PITCH_CLASSES_OF[role], step]
            if role == "pad" and (sounding & ~inside).any():
                begin = begin | (self._begins[role][:, step] & inside)
            go_on = go_on & inside
        return begin, go_on

    def _write_drums(self, now: int) -> Iterator[Note]:
        """Yield the drums' notes from now on."""
        kinds, steps = np.nonzero(self._drums[:, now:])
        for kind, step in zip(kinds.tolist(), (steps + now).tolist(), strict=True):
            start = (self._first + step) * TICKS_PER_STEP
            yield Note(start, DRUMS[kind][0], TICKS_PER_STEP, int(self._velocity[-1, step]))


def _weigh_neglected(request: PlanRequest, chord: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far the band has neglected each tone of the chosen chords: (12, FUTURE_STEPS).

    It is counted from the mean over a chord's tones, so that chords do not grow by it. chord: (qualities, 12, beats)
    one-hot, 0 where none is chosen.
    """
    committed = (n for role in PITCHED_ROLES for n in request.committed.get(role, ()))
    wanted = chord_balance.TONE_SHARES.T @ chord.reshape(-1, chord.shape[-1])  # (12, beats)
    missing = chord_balance.weigh_neglected_tones(wanted, chord_balance.count_sounding_steps(committed, request.now))
    inside = wanted > 0
    missing -= (missing * inside).sum(0) / np.maximum(inside.sum(0), 1)
    return np.repeat(missing * inside, STEPS_PER_BEAT, 1)


def _find_chord_tones(chord: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pitch classes the chosen chords have: (qualities, 12, beats) one-hot -> (12, FUTURE_STEPS)."""
    beats = np.zeros(chord.shape[1:], np.bool_)
    for quality, intervals in enumerate(QUALITY_TONES):
        for interval in intervals:
            beats |= np.roll(chord[quality] > 0.5, interval, 0)
    return np.repeat(beats, STEPS_PER_BEAT, 1)


def _split_heads(scores: NDArray[Any], heads: dict[str, int]) -> dict[str, NDArray[Any]]:
    """Return the graph's scores by head, each (n, ..., FUTURE_STEPS); in the graph they stand side by side."""
    ends = np.cumsum(list(heads.values()))[:-1]
    return dict(zip(heads, np.split(scores, ends), strict=True))
