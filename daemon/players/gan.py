"""The GAN's player: draws a canvas, runs the generator on it, and reads notes off its scores.

Everything random depends on the seed and on the place in the song, never on when a plan was asked for: two plans made
one step apart agree wherever neither the melody nor what the band has played (music.analysis.note_density,
daemon.players.chord_balance) gave a reason to change.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.arranging.arrangement import arrange_plan
from daemon.core.plan import Plan, PlanRequest, list_chord_changes
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.techniques import check_style
from daemon.players import chord_balance
from daemon.players.graph import Graph, GraphError, GraphPlayer, check_settings
from music.analysis import note_density
from music.analysis.note_rows import NoteRows
from music.analysis.part_notes import PartNotes
from music.chords import NO_CHORD, QUALITIES
from music.encoding import gan_canvas, melody_context
from music.encoding.chord_evidence import (
    GRAPH_INPUTS,
    GivenChord,
    draw_evidence,
    find_known_chords,
    weigh_key,
    weigh_known_bass,
)
from music.encoding.gan_canvas import (
    CANVAS_BEATS,
    CANVAS_STEPS,
    DRUM_PLANES,
    DRUMS,
    FILL,
    FIRST_NOW_STEP,
    FOUR,
    FRESH_SHARE,
    FUTURE_STEPS,
    HOLD_THRESHOLD,
    ONSET_THRESHOLD,
    PITCHED_HEADS,
    PITCHED_PLANES,
    PLAIN_HEADS,
    PLAIN_PLANES,
    PULSE_PLANES,
    REGISTERS,
    RHYTHM_NOISE,
    SECTION_BARS,
)
from music.encoding.growing_canvas import GrowingCanvas
from music.note import (
    MELODY,
    PITCH_CLASSES,
    PITCHED_ROLES,
    ROLES,
    STEPS_PER_BAR,
    STEPS_PER_BEAT,
    TICKS_PER_STEP,
    Metre,
    Note,
    NoteNumbers,
    sort_notes,
)

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
#: What is added to the score of the bass's pitch class in the first beat of a chord that is known, or of its bars.
BASS_PULL = 8.0
#: The bass holds that note for so many steps, so that it is heard.
BASS_STEPS = 2
#: Steps of noise that are drawn together, and those that share a chord's noise.
_BLOCK_STEPS, _CHORD_NOISE_STEPS = 16, 8


def _slice_heads(heads: Mapping[str, int]) -> dict[str, slice]:
    """Return where each head's scores stand in the graph's, which has them side by side."""
    ends = np.cumsum(list(heads.values())).tolist()
    return {head: slice(end - size, end) for (head, size), end in zip(heads.items(), ends, strict=True)}


PITCHED_SLICES, PLAIN_SLICES = _slice_heads(PITCHED_HEADS), _slice_heads(PLAIN_HEADS)
#: rows of the onsets and holds of chords, then of the pad, in the pitched scores: both have as many cells
_CHORDAL_ROWS = slice(PITCHED_SLICES["chords_onset"].start, PITCHED_SLICES["pad_hold"].stop)
#: rows of the gates of the pitched roles in the plain scores
_GATES = np.array([PLAIN_SLICES[gate].start for gate in ("bass_gate", "chords_gate", "pad_gate")])
#: Rows of rhythm noise: gates and holds of the pitched roles, then the drums.
_RHYTHM_ROWS = 2 * len(PITCHED_ROLES) + DRUM_PLANES
#: Role -> pitch class of each of its cells (octave-major).
_PITCH_CLASSES_OF = {role: register.list_pitches().reshape(-1) % PITCH_CLASSES for role, register in REGISTERS.items()}
#: role -> pitch of each of its cells, and the other way round
_PITCHES_OF: dict[str, list[int]] = {
    role: register.list_pitches().reshape(-1).tolist() for role, register in REGISTERS.items()
}
_CELL_OF = {role: {pitch: cell for cell, pitch in enumerate(pitches)} for role, pitches in _PITCHES_OF.items()}
#: cells of a role at most, as bits of an integer
_MAX_CELLS = 64
_ALL_CELLS = (1 << _MAX_CELLS) - 1
#: The tables of chords have one line more than there are chords, which stands for none and is the last, -1.
_NO_SHARES = np.zeros((1, PITCH_CLASSES))
#: (12, chords): the share that each pitch class should have of what sounds over a chord
_SHARES = np.concatenate([chord_balance.TONE_SHARES, _NO_SHARES]).T
#: each tone of each chord, rising, with the logarithm of its share
_TONE_LOG_SHARES: list[list[tuple[int, float]]] = [
    [(tone, logs[tone]) for tone in range(PITCH_CLASSES) if shares[tone] > 0]
    for shares, logs in zip(_SHARES.T.tolist(), chord_balance.weigh_shares(_SHARES).T.tolist(), strict=True)
]
#: the cells of chords and pad that lie in each chord, as bits
_CHORD_CELLS: list[int] = [
    sum(1 << cell for cell, pitch_class in enumerate(_PITCH_CLASSES_OF["chords"].tolist()) if tones[pitch_class])
    for tones in (_SHARES.T > 0).tolist()
]
#: what a graph is told where no chord is known
_NO_EVIDENCE = draw_evidence((), 0).arrange_for_graph()
#: steps from the now-line on that a plan covers, wherever in its bar that lies
PLANNED_STEPS = FUTURE_STEPS - _BLOCK_STEPS + 1


class _GrooveBank(NamedTuple):
    """The grooves of a style: one a seed, each of as many vectors as take turns."""

    grooves: NDArray[np.float32]  #: (seeds, turns, z)
    habits: NDArray[np.float64]  #: (seeds, turns, HABIT_COUNT): of the same bands


def _read_banks(grooves: Any, habits: Any, z: int) -> dict[str, list[_GrooveBank]]:
    """Return the banks in a graph's settings, by kind of metre and by style; FOUR alone in graphs of one metre."""
    by_kind = grooves if isinstance(grooves, dict) else {FOUR: grooves}
    habits_by_kind = habits if isinstance(habits, dict) else {FOUR: habits}
    found: dict[str, list[_GrooveBank]] = {}
    for kind, banks in by_kind.items():
        vectors = [np.asarray(bank, np.float32).reshape(len(bank), -1, z) for bank in banks]
        found[kind] = [
            _GrooveBank(bank, np.asarray(kept, np.float64).reshape(*bank.shape[:2], note_density.HABIT_COUNT))
            for kept, bank in zip(habits_by_kind[kind], vectors, strict=True)
        ]
    if FOUR not in found:
        raise KeyError(FOUR)
    return found


class GanPlayer(GraphPlayer):
    """A Player on a generator's graph."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one whose inputs or settings are not those of a generator."""
        self._graph = graph
        self._melody, self._heard = NoteRows(), melody_context.HarmonistInputs()
        self._told = {part: PartNotes() for part in (MELODY, *ROLES)}
        self._canvas, self._counter = GrowingCanvas(), note_density.NoteCounter()
        self.info = self.describe(graph.signature.styles)
        self._styles = self.info.styles
        self._one_hot = np.eye(len(self._styles), dtype=np.float32)
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
        self._hears_given = "given_plain" in graph.signature.inputs
        self._knows_metres = "pulse" in graph.signature.inputs
        self._knows_fills = FILL in graph.signature.inputs
        more: dict[str, tuple[int, ...]] = {"pulse": (1, PULSE_PLANES, CANVAS_STEPS)} if self._knows_metres else {}
        if self._knows_fills:
            more[FILL] = (1, CANVAS_BEATS)
        if dict(graph.signature.inputs) != wanted | more | (GRAPH_INPUTS if self._hears_given else {}):
            raise GraphError(f"this graph does not fit the GAN's canvas: it takes {dict(graph.signature.inputs)}")
        try:
            self._banks = _read_banks(settings["grooves"], settings["habits"], z)
            self._velocity_std = np.asarray(settings["velocity_std"], np.float32).reshape(len(self._styles), len(ROLES))
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise GraphError(f"this graph does not fit: its settings lack {error}") from None
        banks = [bank for by_style in self._banks.values() for bank in by_style]
        check_settings((*(values for bank in banks for values in bank), self._velocity_std))
        if any(len(by_style) != len(self._styles) for by_style in self._banks.values()) or not all(
            bank.grooves.size for bank in self._banks.get(FOUR, [])
        ):
            raise GraphError("this graph does not fit: there are not grooves for each of its styles")

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player says of itself on a graph that knows these styles."""
        return PlayerInfo(
            past_steps=melody_context.PAST_STEPS,
            memory_steps=melody_context.MEMORY_STEPS,
            future_steps=PLANNED_STEPS,
            roles=ROLES,
            styles=styles,
        )

    def plan(self, request: PlanRequest) -> Plan:
        """Return a plan of PLANNED_STEPS. Raises UserError for a style that the graph does not know."""
        begun_ns = time.perf_counter_ns()
        check_style(request.settings.style, self._styles)
        if not self._hears_given:
            request = replace(request, harmony=())  # its chords are others
        style = self._styles.index(request.settings.style)
        bar = request.bar_origin // TICKS_PER_STEP  # a step at which a bar begins
        first = bar + gan_canvas.find_first_step(request.now - bar, request.metre.steps_per_bar)  # of the canvas
        noise = _draw_noise(request.settings, first + FIRST_NOW_STEP, bar, request.metre.steps_per_bar)
        scores = self._run_graph(request, style, bar, first + FIRST_NOW_STEP, noise)
        bias = self._compute_bias(request, style, bar)
        recent = {role: self._told[role].recent for role in PITCHED_ROLES}
        offset = request.now - first - FIRST_NOW_STEP
        chords = _find_chords(scores["chord_choice"][0])
        neglected = BALANCE_WEIGHT * _weigh_neglected(chain(*recent.values()), request.now, chords)
        places = slice(offset, FUTURE_STEPS)
        planned = [chord for chord in chords for _ in range(STEPS_PER_BEAT)][places]
        writer = _NoteWriter(
            request, places, scores, planned, noise, self._velocity_std[style], bias, neglected[:, places]
        )
        notes, held = writer.write(recent)
        last = request.now + PLANNED_STEPS
        chosen = [_NAMES[chord] for chord in planned]
        arranged, ends = arrange_plan(request, notes, held, chosen, last, recent)
        spent_ns = time.perf_counter_ns() - begun_ns
        played = list_chord_changes(chosen, request.now)
        return Plan(request.number, request.now, last, request.heard, arranged, ends, spent_ns, chords=played)

    def _run_graph(
        self, request: PlanRequest, style: int, bar: int, first: int, noise: _CanvasNoise
    ) -> dict[str, NDArray[Any]]:
        """Return the generator's scores.

        bar: a step at which a bar begins; first: that at which the scores begin.
        """
        settings, metre, heard_all = request.settings, request.metre, request.heard is None
        for part, told in self._told.items():
            notes = request.melody if part == MELODY else request.committed.get(part, ())
            told.update(notes, request.now * TICKS_PER_STEP)
        self._counter.update(self._told, request.now)
        canvas = self._canvas.update(self._told, request.now, heard_all, metre, bar)
        melody = self._melody.update(request.melody)
        heard = self._heard.hear(melody, request.now, heard_all, metre, bar)
        section = (request.now - bar) // (metre.steps_per_bar * SECTION_BARS)
        doubts = noise.chords * (CHORD_NOISE_SCALE * settings.temperature)
        if request.key is not None:
            beats = doubts.shape[-1]
            doubts = doubts + weigh_key(request.key, request.harmony, first, beats).reshape(doubts.shape)
        inputs: dict[str, NDArray[Any]] = {
            "pitched": canvas.pitched[None],
            "plain": canvas.plain[None],
            "style": self._one_hot[None, style],
            "z": self._choose_groove(settings, style, self._find_bank(metre, style).grooves, section)[None],
            "noise": doubts[None],
            "melody": heard.melody[None],
            "phase": heard.phase[None],
            "known": heard.known[None],
        }
        if self._knows_metres:
            inputs["pulse"] = gan_canvas.mark_pulse(first - FIRST_NOW_STEP - bar, metre)[None]
        if self._knows_fills:
            asked_at = request.now if request.fill else None
            inputs[FILL] = gan_canvas.mark_fills(first - FIRST_NOW_STEP, bar, metre, settings.seed, asked_at)[None]
        if self._hears_given:
            given = draw_evidence(request.harmony, request.now).arrange_for_graph() if request.harmony else _NO_EVIDENCE
            inputs |= given
        return dict(self._graph.run(inputs))

    def _find_bank(self, metre: Metre, style: int) -> _GrooveBank:
        """Return the grooves of a style in a metre; those of 4/4 where the graph has learnt none."""
        banks = self._banks.get(gan_canvas.find_groove_kind(metre)) or self._banks[FOUR]
        return banks[style]

    def _choose_groove(
        self, settings: Settings, style: int, bank: NDArray[np.float32], section: int
    ) -> NDArray[np.float32]:
        """Return the groove vector (z,) of a section of the song.

        It is that of a real band of the style (seed 0 has the most typical ones), varied a little by temperature.
        Sections take the seed's grooves in turns.
        """
        grooves = bank[settings.seed % len(bank)]
        chosen: NDArray[np.float32] = grooves[section % len(grooves)]
        scale = np.float32(GROOVE_NOISE_SCALE * settings.temperature)
        return chosen + _draw_groove_noise(abs(settings.seed), style, len(chosen)) * scale

    def _compute_bias(
        self, request: PlanRequest, style: int, bar: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what brings a band that has strayed back to its groove; see `compute_density_bias`."""
        bank = self._find_bank(request.metre, style).habits
        promised = bank[request.settings.seed % len(bank)]
        section_steps = request.metre.steps_per_bar * SECTION_BARS
        return self._counter.compute_bias(self._told, promised, section_steps, bar, request.settings.density)


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


def _draw_noise(settings: Settings, first: int, bar: int, steps_per_bar: int) -> _CanvasNoise:
    """Return the noise from the step `first` on, as loose as the style and the temperature have it."""
    scale, fresh_share = RHYTHM_LOOSENESS.get(settings.style, (RHYTHM_NOISE, FRESH_SHARE))
    return _draw_canvas_noise(settings.seed, first, bar, steps_per_bar, fresh_share, scale * settings.temperature)


@lru_cache(maxsize=4)  # the plans of a bar share it
def _draw_canvas_noise(
    seed: int, first: int, bar: int, steps_per_bar: int, fresh_share: float, rhythm_scale: float
) -> _CanvasNoise:
    return _CanvasNoise(seed, first, bar, steps_per_bar, fresh_share=fresh_share, rhythm_scale=rhythm_scale)


@lru_cache(maxsize=16)
def _draw_groove_noise(seed: int, style: int, size: int) -> NDArray[np.float32]:
    """Return the noise (size,) on a style's groove vectors."""
    return np.random.default_rng([seed, style]).standard_normal(size, np.float32)


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
    counted from the now-line.
    """

    def __init__(
        self,
        request: PlanRequest,
        places: slice,
        scores: dict[str, NDArray[Any]],
        chords: Sequence[int],
        noise: _CanvasNoise,
        velocity_std: NDArray[Any],
        bias: tuple[NDArray[np.float64], NDArray[np.float64]],
        neglected: NDArray[np.float64],
    ) -> None:
        """Decide from the scores which cells may begin, and which are held.

        places: of the scores and the noise from the now-line on; chords: of those steps, as `_find_chords` has them;
        bias: what is added to the logits of beginning (roles) and of holding (pitched roles); neglected: (12, steps)
        what is added to the onset scores of chords and pad, by pitch class.
        """
        self._request = request
        self._in_beat = places.start % STEPS_PER_BEAT  # place of the now-line in the canvas's beats
        pitched = np.ascontiguousarray(scores["pitched_scores"][0][..., places])
        plain, rhythm = scores["plain_scores"][0][:, places], noise.rhythm[:, places]
        settings, steps = request.settings, len(chords)
        begin, longer = DENSITY_GAIN * (settings.density - 1) + bias[0][:, None], bias[1][:, None]
        gates = plain[_GATES] + rhythm[:3] + begin[:3] > 0
        held = rhythm[3:6] + longer
        best = pitched[PITCHED_SLICES["bass_pitch"]].reshape(-1, steps)
        # cells that an onset of each pitched role would take, and that are held
        cells = np.zeros((2, len(PITCHED_ROLES), steps, _MAX_CELLS), np.bool_)
        bass_holds = plain[PLAIN_SLICES["bass_hold"]] + held[:1] > 0
        chord_cells = [_CHORD_CELLS[chord] for chord in chords]
        #: of each pitched role, the cells that lie in the chord of each step; the bass may be anywhere
        self._tones = [[_ALL_CELLS] * steps, chord_cells, chord_cells]
        if request.harmony:
            known = find_known_chords(request.harmony, request.now, steps)
            best = best + BASS_PULL * self._weigh_bass(known, STEPS_PER_BEAT)[_PITCH_CLASSES_OF["bass"]]
            bass_holds = bass_holds | (self._weigh_bass(known, BASS_STEPS)[_PITCH_CLASSES_OF["bass"]] > 0)
            self._tones[0] = [_find_bass_places(chord) for chord in known]
        cells[0, 0, :, : len(best)] = (best == best.max(0)).T
        cells[1, 0, :, : len(best)] = bass_holds.T
        # chords and pad alike: (2, octaves, 12, steps)
        chordal = pitched[_CHORDAL_ROWS].reshape(2, 2, -1, PITCH_CLASSES, steps)
        onset = (chordal[:, 0] + neglected).reshape(2, -1, steps)
        hold = chordal[:, 1].reshape(2, -1, steps) + held[1:, None]
        begins = (onset > ONSET_THRESHOLD) | (onset == onset.max(1, keepdims=True))
        cells[0, 1:, :, : onset.shape[1]] = begins.swapaxes(1, 2)
        cells[1, 1:, :, : onset.shape[1]] = (hold > HOLD_THRESHOLD).swapaxes(1, 2)
        self._begins, self._holds = _pack_cells(cells)
        self._gates = gates.tolist()
        self._drums = plain[PLAIN_SLICES["drums"]] + rhythm[6:] + begin[3] > 0
        loudness = 127 / (1 + np.exp(-plain[PLAIN_SLICES["velocity"]]))
        loudness = loudness + noise.velocity[:, places] * velocity_std[:, None] * 127 * settings.temperature
        bounded = np.minimum(np.maximum(np.rint(loudness), MIN_VELOCITY), MAX_VELOCITY)
        self._velocity: list[list[int]] = bounded.astype(int).tolist()

    def _weigh_bass(self, known: Sequence[GivenChord | None], steps: int) -> NDArray[np.float64]:
        """Return where a pitch class is the bass's: (12, steps) of 0 and 1.

        known: the chord of each step that is known; steps: how many from the beginning of each chord and bar on.
        """
        request = self._request
        bar, steps_per_bar = request.bar_origin // TICKS_PER_STEP, request.metre.steps_per_bar
        return weigh_known_bass(known, request.now, bar, steps_per_bar, steps)

    def write(
        self, recent: Mapping[str, Iterable[Note]]
    ) -> tuple[dict[str, list[NoteNumbers]], dict[str, tuple[Note, ...]]]:
        """Return the notes that begin and the committed ones that sound at the now-line, with their ends, by role.

        recent: committed notes of the pitched roles, those that sound at the now-line at least.
        """
        notes: dict[str, list[NoteNumbers]] = {}
        held: dict[str, tuple[Note, ...]] = {}
        for i, role in enumerate(PITCHED_ROLES):
            notes[role], kept = self._write_role(role, i, recent[role])
            held[role] = tuple(sort_notes(kept))
        notes["drums"] = list(self._list_drums())
        return notes, held

    def _write_role(self, role: str, index: int, recent: Iterable[Note]) -> tuple[list[NoteNumbers], list[Note]]:
        """Return the notes that begin from now on, and the committed ones that sound there, with their ends."""
        pitches, cell_of = _PITCHES_OF[role], _CELL_OF[role]
        velocity = self._velocity[index]
        tick = self._request.now * TICKS_PER_STEP
        committed = [n for n in recent if n.start < tick <= n.end]
        open_notes = {cell_of[n.pitch]: n for n in committed if n.pitch in cell_of}
        kept = [_lengthen(n, tick - n.start) for n in committed if n.pitch not in cell_of]
        begun: list[NoteNumbers] = []
        open_since = dict.fromkeys(open_notes, 0)
        sounding = sum(1 << cell for cell in open_notes)
        begins = [cells if gate else 0 for cells, gate in zip(self._begins[index], self._gates[index], strict=True)]
        for step, begin in enumerate((*begins, 0)):  # at the end of the scores all that sounds ends
            if not (sounding or begin):
                continue
            go_on = 0
            if step < len(begins):
                begin, go_on = self._decide(role, index, step, sounding, begin)
            ended = sounding & (begin | ~go_on)
            while ended:
                cell = (ended & -ended).bit_length() - 1  # the lowest
                ended &= ended - 1
                since = open_since.pop(cell)
                note = open_notes.pop(cell, None)
                if note is not None:
                    kept.append(_lengthen(note, tick - note.start + step * TICKS_PER_STEP))
                    continue
                start, length = tick + since * TICKS_PER_STEP, (step - since) * TICKS_PER_STEP
                begun.append((start, pitches[cell], length, velocity[since]))
            sounding = begin | go_on
            while begin:
                open_since[(begin & -begin).bit_length() - 1] = step
                begin &= begin - 1
        return begun, kept

    def _decide(self, role: str, index: int, step: int, sounding: int, begin: int) -> tuple[int, int]:
        """Return the cells that begin at a step, and those of the sounding ones that go on, as bits.

        begin: those that begin by themselves. A new onset of the bass ends its old note. On every beat chords and pad
        let go of tones that its chord lacks; where the pad would lose a note, it begins the chord anew, and so does the
        bass where its note is none of a chord that is known. Within a beat nothing is cut, so that a melody note that
        changes the plan does not make them stutter.
        """
        go_on = sounding & self._holds[index][step]
        if role == "bass":
            if sounding & ~self._tones[index][step]:
                begin = self._begins[index][step]
            return begin, 0 if begin else go_on
        if (step + self._in_beat) % STEPS_PER_BEAT == 0:
            inside = self._tones[index][step]
            if role == "pad" and sounding & ~inside:
                begin |= self._begins[index][step] & inside
            go_on &= inside
        return begin, go_on

    def _list_drums(self) -> Iterator[NoteNumbers]:
        """Yield the drums' notes."""
        kinds, steps = np.nonzero(self._drums)
        velocity, now = self._velocity[-1], self._request.now
        for kind, step in zip(kinds.tolist(), steps.tolist(), strict=True):
            yield (now + step) * TICKS_PER_STEP, DRUMS[kind][0], TICKS_PER_STEP, velocity[step]


@lru_cache(maxsize=64)
def _find_bass_places(known: GivenChord | None) -> int:
    """Return the cells in which a bass note may go on under a chord that is known, as bits; under none in all."""
    if known is None:
        return _ALL_CELLS
    inside = {*known.list_tones(), known.bass}
    cells = enumerate(_PITCH_CLASSES_OF["bass"].tolist())
    return sum(1 << cell for cell, pitch_class in cells if pitch_class in inside)


def _pack_cells(cells: NDArray[np.bool_]) -> list[list[list[int]]]:
    """Return cells (a, b, n, _MAX_CELLS) as (a, b, n) integers, in which the lowest bit is the first cell."""
    packed = np.packbits(cells.reshape(-1), bitorder="little").view("<u8")
    made: list[list[list[int]]] = packed.reshape(cells.shape[:-1]).tolist()
    return made


def _lengthen(note: Note, length: int) -> Note:
    """Return a note with another length (ticks)."""
    return Note(note.start, note.pitch, length, note.velocity)


def _find_chords(choice: NDArray[Any]) -> list[int]:
    """Return the chord of each beat, 12 * quality + root, -1 for none: (qualities, 12, beats) one-hot."""
    flat = choice.reshape(-1, choice.shape[-1])
    chosen, beats = flat.nonzero()
    found = [NO_CHORD] * flat.shape[1]
    for chord, beat in zip(reversed(chosen.tolist()), reversed(beats.tolist()), strict=True):
        found[beat] = chord  # of several the first stays
    return found


#: root and quality of each chord; of none at -1
_NAMES = [(i % PITCH_CLASSES, i // PITCH_CLASSES) for i in range(len(chord_balance.TONE_SHARES))] + [
    (NO_CHORD, NO_CHORD)
]


def _weigh_neglected(recent: Iterable[Note], now: int, chords: Sequence[int]) -> NDArray[np.float64]:
    """Return how far the band has neglected each tone of the chosen chords: (12, steps of the beats).

    It is counted from the mean over a chord's tones, so that chords do not grow by it. recent: what it played of late;
    chords: of each beat, as `_find_chords` has them.
    """
    heard = chord_balance.weigh_ticks(chord_balance.add_up_sounding_ticks(recent, now))
    places = [beat for beat in range(len(chords)) for _ in range(STEPS_PER_BEAT)]
    if heard is None:
        return np.zeros((PITCH_CLASSES, len(places)))
    played = heard.tolist()
    columns: dict[int, list[float]] = {}  # by chord; of a handful of tones each on its own is soon weighed
    for chord in chords:
        if chord not in columns:
            missing = {tone: share - played[tone] for tone, share in _TONE_LOG_SHARES[chord]}
            total = 0.0
            for each in missing.values():  # not `sum`, which from Python 3.12 on adds more exactly than arrays do
                total += each
            mean = total / max(1, len(missing))
            columns[chord] = [missing[tone] - mean if tone in missing else 0.0 for tone in range(PITCH_CLASSES)]
    return np.array([columns[chord] for chord in chords]).T.take(places, 1)
