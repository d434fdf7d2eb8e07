"""The GAN's player: canvas -> graph -> notes.

Everything random hangs on the seed and on where in the song it is, never on when it was asked: two plans made one step
apart agree wherever neither the melody nor what the band has played (music.analysis.note_density, balance) gave a
reason to change.
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
from daemon.players.graph import Graph, GraphError, GraphPlayer
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

#: What temperature 1 means: scale of the noise on chords (1 draws from the model's distribution).
CHORD_NOISE_SCALE = 0.3
#: How loose a style's rhythm is: scale of the noise on it, and the share of that which is new in every bar. Those whose
#: bands repeat themselves less than others, or (rock) more (models/LOG.md, runs 12 and 13).
RHYTHM_LOOSENESS = {"jazz": (1.0, 1.0), "rock": (0.6, 0.05)}
#: How much of the chord's tones those are preferred that the band has neglected.
BALANCE_WEIGHT = 1.0
#: What a density of 2 adds to every gate's logit.
DENSITY_GAIN = 2.0
#: Steps of noise drawn together; half of it is a chord's grain.
_BLOCK_STEPS = 16
_GATE_HEADS = ("bass_gate", "chords_gate", "pad_gate")
_RHYTHM_ROWS = 6 + DRUM_PLANES
_HALF_BAR_STEPS = 8
_PITCH_CLASSES_OF = {role: register.pitches().reshape(-1) % PITCH_CLASSES for role, register in REGISTERS.items()}


class GanPlayer(GraphPlayer):
    """A Player on a generator's graph."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError when the graph's inputs are not those of a canvas."""
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
            "noise": (1, len(QUALITIES), PITCH_CLASSES, FUTURE_STEPS // 4),
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
        except (KeyError, ValueError) as error:
            raise GraphError(f"this graph does not fit: its settings lack {error}") from None

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
        begun = time.perf_counter_ns()
        settings = request.settings
        check_style(settings.style, self._styles)
        style = self._styles.index(settings.style)
        bar = request.bar_origin // TICKS_PER_STEP
        first = bar + gan_canvas.find_first_step(request.now - bar, request.metre.steps_per_bar)
        heard_all = request.heard is None
        seen = gan_canvas.build_canvas(request.melody, request.committed, request.now, heard_all, request.metre, bar)
        heard = melody_context.build_harmonist_input(request.melody, request.now, heard_all, request.metre, bar)
        wild, fresh = RHYTHM_LOOSENESS.get(settings.style, (RHYTHM_NOISE, FRESH_SHARE))
        noise = _CanvasNoise(
            settings.seed, first + FIRST_NOW_STEP, bar, request.metre.steps_per_bar, fresh, wild * settings.temperature
        )
        section = request.metre.steps_per_bar * SECTION_BARS
        answer = self._graph.run(
            {
                "pitched": seen.pitched[None],
                "plain": seen.plain[None],
                "style": np.eye(len(self._styles), dtype=np.float32)[None, style],
                "z": self._groove(settings, style, (request.now - bar) // section)[None],
                "noise": (noise.chords * (CHORD_NOISE_SCALE * settings.temperature))[None],
                "melody": heard.melody[None],
                "phase": heard.phase[None],
                "known": heard.known[None],
            }
        )
        pull = self._pull(request, style, (np.arange(-note_density.WINDOW_STEPS, 0) + request.now - bar) // section)
        neglected = BALANCE_WEIGHT * _weigh_neglected(request, answer["chord_choice"][0])
        writer = _NoteWriter(request, first + FIRST_NOW_STEP, answer, noise, self._velocity_std[style], pull, neglected)
        notes, held = writer.write()
        last = first + CANVAS_STEPS
        spent = time.perf_counter_ns() - begun
        return Plan(request.number, request.now, last, request.heard, notes, held, inference_ns=spent)

    def _groove(self, settings: Settings, style: int, section: int) -> NDArray[np.float32]:
        """The groove vector of a seed's section: that of a real band of the style (seed 0 has the most typical ones),
        varied a little by temperature. Sections take a seed's grooves in turns."""
        random = np.random.default_rng([abs(settings.seed), style])
        bank = self._grooves[style]
        grooves = bank[settings.seed % len(bank)]
        chosen: NDArray[np.float32] = grooves[section % len(grooves)]
        return chosen + random.standard_normal(chosen.shape, np.float32) * np.float32(0.1 * settings.temperature)

    def _pull(
        self, request: PlanRequest, style: int, sections: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What calls the band back to its groove: see `habits.pull`. sections: of the steps before now."""
        bank = self._habits[style]
        promised = bank[request.settings.seed % len(bank)]
        return note_density.compute_density_bias(
            request.committed, request.now, promised[sections % len(promised)], request.settings.density
        )


class _CanvasNoise:
    """The noise of the FUTURE steps from a step on: logistic for rhythm (_RHYTHM, FUTURE; gates, holds, drums), normal
    for velocity (4, FUTURE), Gumbel for chords (qualities, 12, beats), alike over half a bar.

    A groove repeats itself: a doubt about the rhythm is settled the same way in every bar of a section (SECTION bars),
    but for a share that is `fresh`. wild: scale of the rhythm's."""

    def __init__(
        self, seed: int, first: int, bar: int, steps_per_bar: int, fresh: float = FRESH_SHARE, wild: float = 1.0
    ) -> None:
        steps = first + np.arange(FUTURE_STEPS)
        blocks = [
            _draw_noise_block(abs(seed), block)
            for block in range(first // _BLOCK_STEPS, (first + FUTURE_STEPS) // _BLOCK_STEPS + 1)
        ]
        shift = first % _BLOCK_STEPS
        anew, rarely, self.velocity = (
            np.concatenate([b[i] for b in blocks], -1)[:, shift : shift + FUTURE_STEPS] for i in range(3)
        )
        place, section = (steps - bar) % steps_per_bar, (steps - bar) // (steps_per_bar * SECTION_BARS)
        sections = sorted({int(s) for s in section})
        loops = np.stack([_draw_loop(abs(seed), s, steps_per_bar) for s in sections])  # (sections, _RHYTHM, steps)
        again = loops[section - sections[0], :, place].T
        self.rhythm = wild * np.where(rarely < fresh, anew, again)
        chords = np.concatenate([b[3] for b in blocks], -1)
        beats = (shift + 4 * np.arange(FUTURE_STEPS // 4)) // _HALF_BAR_STEPS
        self.chords = chords[..., beats]


@lru_cache(maxsize=16)
def _draw_noise_block(seed: int, block: int) -> tuple[NDArray[np.float32], ...]:
    """Of _BLOCK steps: rhythm, a uniform number for each of its cells, velocity, chords."""
    random = np.random.default_rng([seed, block & 0xFFFFFFFF])
    rhythm = _draw_logistic(random, (_RHYTHM_ROWS, _BLOCK_STEPS))
    chords = -np.log(-np.log(random.uniform(1e-6, 1 - 1e-6, (len(QUALITIES), PITCH_CLASSES, 2))))
    velocity = random.standard_normal((4, _BLOCK_STEPS))
    rarely = random.uniform(0, 1, (_RHYTHM_ROWS, _BLOCK_STEPS))
    return rhythm, rarely.astype(np.float32), velocity.astype(np.float32), chords.astype(np.float32)


@lru_cache(maxsize=16)
def _draw_loop(seed: int, section: int, steps: int) -> NDArray[np.float32]:
    """The rhythm noise (_RHYTHM, steps) that the bars of a section share."""
    return _draw_logistic(np.random.default_rng([seed, section & 0xFFFFFFFF, 1]), (_RHYTHM_ROWS, steps))


def _draw_logistic(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    uniform = random.uniform(1e-4, 1 - 1e-4, shape)
    return (np.log(uniform) - np.log1p(-uniform)).astype(np.float32)


class _NoteWriter:
    """From a graph's scores to notes, step by step: a note begins only at an onset and sounds while it is held."""

    def __init__(
        self,
        request: PlanRequest,
        first: int,
        answer: dict[str, NDArray[Any]],
        noise: _CanvasNoise,
        velocity_std: NDArray[Any],
        pull: tuple[NDArray[np.float64], NDArray[np.float64]],
        neglected: NDArray[np.float64],
    ) -> None:
        """neglected: (12, FUTURE) what is added to the onset scores of chords and pad, by pitch class."""
        self.request, self.first, self.noise = request, first, noise
        pitched = _split_heads(answer["pitched_scores"][0], PITCHED_HEADS)
        plain = _split_heads(answer["plain_scores"][0], PLAIN_HEADS)
        settings = request.settings
        more = DENSITY_GAIN * (settings.density - 1)
        begin, longer = more + pull[0][:, None], pull[1][:, None]
        self.gates = np.concatenate([plain[g] for g in _GATE_HEADS]) + noise.rhythm[:3] + begin[:3] > 0
        held = noise.rhythm[3:6] + longer
        best = pitched["bass_pitch"].reshape(-1, FUTURE_STEPS)
        self.begins = {"bass": best == best.max(0)}  # which pitches an onset of the role would take
        self.hold = {"bass": np.broadcast_to(plain["bass_hold"] + held[:1] > 0, best.shape)}
        for i, part in ((1, "chords"), (2, "pad")):
            cells = pitched[f"{part}_onset"].reshape(-1, FUTURE_STEPS) + neglected[_PITCH_CLASSES_OF[part]]
            self.begins[part] = (cells > ONSET_THRESHOLD) | (cells == cells.max(0))
            self.hold[part] = pitched[f"{part}_hold"].reshape(-1, FUTURE_STEPS) + held[i] > HOLD_THRESHOLD
        self.tones = _find_chord_tones(answer["chord_choice"][0])
        self.drums = plain["drums"] + noise.rhythm[6:] + begin[3] > 0
        loud = (
            127 / (1 + np.exp(-plain["velocity"])) + noise.velocity * velocity_std[:, None] * 127 * settings.temperature
        )
        self.velocity = np.clip(np.rint(loud), 20, 120).astype(int)

    def write(self) -> tuple[dict[str, tuple[Note, ...]], dict[str, tuple[Note, ...]]]:
        """(notes, held) by role, as a Plan has them."""
        notes: dict[str, tuple[Note, ...]] = {}
        held: dict[str, tuple[Note, ...]] = {}
        line = self.request.now - self.first
        for i, role in enumerate(PITCHED_ROLES):
            begun, kept = self._line(role, i, line)
            notes[role], held[role] = tuple(sorted(begun)), tuple(sorted(kept))
        notes["drums"] = tuple(sorted(self._drums(line)))
        return notes, held

    def _line(self, role: str, index: int, line: int) -> tuple[list[Note], list[Note]]:
        """Notes begun from the line on, and committed ones that sound there, as `play` in models/gan/network.py sounds
        them."""
        pitches = REGISTERS[role].pitches().reshape(-1)
        cell_of = {int(p): i for i, p in enumerate(pitches)}
        now = self.request.now * TICKS_PER_STEP
        over = [n for n in self.request.committed.get(role, ()) if n.start < now <= n.end]
        before = {cell_of[n.pitch]: n for n in over if n.pitch in cell_of}
        kept = [replace(n, length=now - n.start) for n in over if n.pitch not in cell_of]
        begun: list[Note] = []
        open_since = dict.fromkeys(before, line)

        def end(cell: int, step: int) -> None:
            since, length = open_since.pop(cell), (step - line) * TICKS_PER_STEP
            if cell in before:
                note = before.pop(cell)
                kept.append(replace(note, length=now - note.start + length))
                return
            start = (self.first + since) * TICKS_PER_STEP
            length = (step - since) * TICKS_PER_STEP
            begun.append(Note(start, int(pitches[cell]), length, int(self.velocity[index, since])))

        sounding = np.zeros(len(pitches), np.bool_)
        sounding[list(before)] = True
        for step in range(line, FUTURE_STEPS):
            begin, go_on = self._step(role, index, step, sounding)
            for cell in np.flatnonzero(sounding & (begin | ~go_on)).tolist():
                end(cell, step)
            open_since |= dict.fromkeys(np.flatnonzero(begin).tolist(), step)
            sounding = begin | go_on
        for cell in np.flatnonzero(sounding).tolist():
            end(cell, FUTURE_STEPS)
        return begun, kept

    def _step(
        self, role: str, index: int, step: int, sounding: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which pitches begin at a step and which of those sounding go on, all over (cells,).

        A new onset of the bass ends its old one. On every beat chords and pad let go of what its chord lacks; where the
        pad would lose a note, it begins the chord anew. Within a beat nothing is cut, so that a melody note that
        changes the plan does not make them stutter."""
        begin = self.begins[role][:, step] & self.gates[index, step]
        go_on = sounding & self.hold[role][:, step]
        if role == "bass":
            return begin, go_on & ~begin.any()
        if step % STEPS_PER_BEAT == 0:
            inside = self.tones[_PITCH_CLASSES_OF[role], step]
            if role == "pad" and (sounding & ~inside).any():
                begin = begin | (self.begins[role][:, step] & inside)
            go_on = go_on & inside
        return begin, go_on

    def _drums(self, line: int) -> Iterator[Note]:
        kinds, steps = np.nonzero(self.drums[:, line:])
        for kind, step in zip(kinds.tolist(), (steps + line).tolist(), strict=True):
            start = (self.first + step) * TICKS_PER_STEP
            yield Note(start, DRUMS[kind][0], TICKS_PER_STEP, int(self.velocity[3, step]))


def _weigh_neglected(request: PlanRequest, chord: NDArray[Any]) -> NDArray[np.float64]:
    """(12, FUTURE) which tones of the chosen chords (qualities, 12, beats; one-hot, 0 where
    none is chosen) the band has neglected, beside the other tones of the chord: chords do not grow by it."""
    committed = (n for role in PITCHED_ROLES for n in request.committed.get(role, ()))
    wanted = chord_balance.TONE_SHARES.T @ chord.reshape(-1, chord.shape[-1])  # (12, beats)
    missing = chord_balance.weigh_neglected_tones(wanted, chord_balance.count_sounding_steps(committed, request.now))
    inside = wanted > 0
    missing -= (missing * inside).sum(0) / np.maximum(inside.sum(0), 1)
    return np.repeat(missing * inside, STEPS_PER_BEAT, 1)


def _find_chord_tones(chord: NDArray[Any]) -> NDArray[np.bool_]:
    """The pitch classes of the chosen chords: (qualities, 12, beats) one-hot -> (12, FUTURE)."""
    beats = np.zeros(chord.shape[1:], np.bool_)
    for quality, intervals in enumerate(QUALITY_TONES):
        for interval in intervals:
            beats |= np.roll(chord[quality] > 0.5, interval, 0)
    return np.repeat(beats, 4, 1)


def _split_heads(scores: NDArray[Any], heads: dict[str, int]) -> dict[str, NDArray[Any]]:
    """The graph's scores, side by side, by head: (n, ..., FUTURE) each."""
    ends = np.cumsum(list(heads.values()))[:-1]
    return dict(zip(heads, np.split(scores, ends), strict=True))
