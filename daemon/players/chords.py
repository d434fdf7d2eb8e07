"""The chords that the transformer plays on: predicted from the melody, and from nothing else, anew at every step.

The chord of a step is the one that the harmonist predicts at the now-line before it: a pure function of the melody up
to there, the seed and the temperature. So the chords of the past can be worked out again whenever the player comes in
in the middle of a song.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.players import chord_balance
from daemon.players.graph import BoundSession, Graph, run_session
from daemon.system.memory import trim_heap
from music.analysis.key import Key
from music.chords import QUALITIES, QUALITY_TONES, match_chord
from music.encoding import melody_context
from music.encoding.chord_evidence import GRAPH_INPUTS, GivenChord, draw_evidence, find_known_chords, weigh_key
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT, TICKS_PER_STEP, Metre

Floats = NDArray[np.float32]
#: Root (0..11) and quality (an index of QUALITIES).
Chord = tuple[int, int]
#: Notes of one voice: start step, pitch, length in steps; (n, 3).
Voice = NDArray[np.int64]

#: How sharply a doubt is settled against the noise, and how much noise temperature 1 is.
AGREEMENT_GAIN = 12.0
NOISE_SCALE = 0.15
#: How much a doubtful tone is avoided when a pitch is chosen: weight of the logarithm of its probability.
DOUBT_WEIGHT = 4.0
#: How much a tone is preferred that the harmony wants and the band has neglected.
BALANCE_WEIGHT = 3.0
#: Steps that share their noise: a doubt is settled once in half a bar.
_NOISE_STEPS = 8
#: Chords missing from the past, up to this number, are predicted one by one.
_MAX_SINGLE_PREDICTIONS = 4
#: Steps to come whose chords are predicted together where the whole melody is visible: as many as hindsight hears with
#: all of their past.
_LOOK_AHEAD_STEPS = 184

#: (qualities * 12, 12): 1 at the pitch classes of every chord, whose index is 12 * quality + root
_TONES: Floats = np.zeros((len(QUALITIES) * PITCH_CLASSES, PITCH_CLASSES), np.float32)
for _quality, _intervals in enumerate(QUALITY_TONES):
    for _root in range(PITCH_CLASSES):
        _TONES[_quality * PITCH_CLASSES + _root, [(_root + i) % PITCH_CLASSES for i in _intervals]] = 1


@dataclass(frozen=True, slots=True)
class MelodyContext:
    """Everything that chords depend on."""

    melody: Voice
    #: the melody right of a now-line may be looked at
    heard_all: bool
    metre: Metre
    #: a step at which a bar begins
    bar: int
    seed: int
    temperature: float
    #: chords that are known from elsewhere
    given: tuple[GivenChord, ...] = ()
    #: the key that chords keep to, as far as nothing speaks against it
    key: Key | None = None

    @property
    def conditions(self) -> tuple[object, ...]:
        """Everything but the melody and the chords that are known."""
        return self.heard_all, self.metre, self.bar, self.seed, self.temperature, self.key


class ChordForecast:
    """Chords that are expected from a step on."""

    def __init__(self, chords: list[Chord], odds: Floats, beats: list[int]) -> None:
        """Take what was predicted.

        chords: of every step; odds: (AHEAD_BEATS, qualities * 12) of every chord, by beat; beats: in which of them each
        step lies.
        """
        #: of every step
        self.chords = chords
        self._beats = beats
        #: (AHEAD_BEATS, 12) probability that a pitch class belongs to the chord, and its expected share of what sounds
        self._tones, self._shares = odds @ _TONES, odds @ chord_balance.TONE_SHARES
        self._weights: dict[int, tuple[Floats, NDArray[np.float64]]] = {}  # by beat

    def list_tones(self, k: int) -> Floats:
        """Return the probability (12,) that each pitch class belongs to the chord of the k-th step."""
        tones: Floats = self._tones[self._beats[k]]
        return tones

    def weigh_tones(self, k: int, heard: tuple[int, ...]) -> NDArray[np.float64]:
        """Return how much is to be said for each pitch class (12,) in the k-th step.

        heard: how many ticks each sounded lately (`chord_balance`).
        """
        beat = self._beats[k]
        if beat not in self._weights:
            tones = self._tones[beat]
            doubt = DOUBT_WEIGHT * np.log((tones + 0.02) / (tones.max() + 0.02))
            self._weights[beat] = doubt, chord_balance.weigh_shares(self._shares[beat])
        doubt, wanted = self._weights[beat]
        played = chord_balance.weigh_ticks(heard)
        if played is None:
            return doubt.astype(np.float64)
        neglected: NDArray[np.float64] = wanted - played
        return doubt + BALANCE_WEIGHT * neglected


class ChordPredictor:
    """Asks the harmonist for chords, and remembers those of the past while the song goes on."""

    def __init__(self, graph: Graph) -> None:
        """Open the harmonist that a graph carries. Raises GraphError where it carries none."""
        self._now = BoundSession(graph.open_part("harmony"))
        self._melody = melody_context.MelodySteps()
        self._was_given = False  # the graph was told of known chords the last time
        # it runs when the player comes in in the middle, and would keep 7 MB from then on
        self._past: Any = graph.open_part("hindsight", keeps_memory=False)
        self._patches = int(self._past.get_inputs()[0].shape[3]) // STEPS_PER_BEAT
        #: the graph is told of chords that are known
        self.hears_given = any(name in GRAPH_INPUTS for name in self._now.inputs)
        self._no_evidence = {
            each.name: np.zeros(each.shape, np.float32) for each in self._past.get_inputs() if each.name in GRAPH_INPUTS
        }
        self._context: MelodyContext | None = None
        self._chords: dict[int, Chord] = {}  # by step

    def predict(self, context: MelodyContext, now: int, count: int) -> ChordForecast:
        """Return the chords of the steps [now, now + count) as they look at the now-line."""
        inputs = self._now.inputs
        self._melody.update(context.melody)
        certainty = self._melody.draw_around(inputs["melody"][0], now, context.heard_all, context.metre)
        inputs["phase"].fill(0)
        inputs["phase"][0, melody_context.find_phase(now - context.bar, context.metre)] = 1
        inputs["known"].fill(certainty)
        if self.hears_given and (context.given or self._was_given):
            for name, planes in draw_evidence(context.given, now).arrange_for_graph().items():
                inputs[name][...] = planes
            self._was_given = bool(context.given)
        self._now.run()
        odds, agreement = self._now.outputs["chords"], self._now.outputs["agreement"]
        beats = _find_beats(now - context.bar, count, context.metre)
        in_key = None
        if context.key is not None:
            begin = now - (now - context.bar) % context.metre.steps_per_bar % STEPS_PER_BEAT
            in_key = weigh_key(context.key, context.given, begin, len(odds[0])).T
            odds = odds * np.exp(in_key)
            odds = odds / odds.sum(-1, keepdims=True)
        chosen: dict[tuple[int, int], Chord] = {}  # by beat and block of noise, on which alone it depends
        chords = []
        for k, beat in enumerate(beats):
            doubt = beat, (now + k - context.bar) // _NOISE_STEPS
            if doubt not in chosen:
                chosen[doubt] = _choose_chord(
                    agreement[0, beat], context, now + k, None if in_key is None else in_key[beat]
                )
            chords.append(chosen[doubt])
        return ChordForecast(chords, odds[0], beats)

    def list_chords(self, context: MelodyContext, first: int, now: int, next_chord: Chord) -> list[Chord]:
        """Return the chords of the steps [first, now): those predicted at each; followed by `next_chord`, of `now`.

        Where a chord was known, it is that one.
        """
        self._forget_changed(context, now)
        self._chords[now] = next_chord
        asked = range(first, now + 1)
        missing = [step for step in asked if step not in self._chords] if None in map(self._chords.get, asked) else []
        on_melody_alone = context.heard_all and not context.given and context.key is None
        if 0 < len(missing) <= _MAX_SINGLE_PREDICTIONS and on_melody_alone:  # those that come are asked for soon
            ahead = now + _LOOK_AHEAD_STEPS
            self._predict_past(context, ahead, set(range(missing[0], ahead)))
        elif len(missing) > _MAX_SINGLE_PREDICTIONS:
            together = set(missing)
            if not context.heard_all:
                melody, metre = context.melody, context.metre
                together = {step for step in missing if not melody_context.remembers(melody, step, metre)}
            self._predict_past(context, now, together)
        for step in missing:
            if step not in self._chords:  # few, or the melody was remembered there, which hindsight knows nothing of
                self._chords[step] = self.predict(context, step, 1).chords[0]
        oldest = first - melody_context.PAST_STEPS
        if next(iter(self._chords)) < oldest or len(self._chords) > 4 * melody_context.PAST_STEPS:
            self._chords = {step: chord for step, chord in self._chords.items() if step >= oldest}
        known = self._find_given(context, first, now) if self.hears_given and context.given else {}
        predicted = map(self._chords.__getitem__, asked)
        return [known.get(step, chord) for step, chord in zip(asked, predicted, strict=True)] if known else [*predicted]

    @staticmethod
    def _find_given(context: MelodyContext, first: int, now: int) -> dict[int, Chord]:
        """Return the chords of the steps [first, now) that were known for sure."""
        found: dict[int, Chord] = {}
        for step, given in enumerate(find_known_chords(context.given, first, now - first), first):
            chord = match_chord(given.list_tones(), given.root, given.bass) if given is not None else None
            if chord is not None:
                found[step] = chord
        return found

    def _forget_changed(self, context: MelodyContext, now: int) -> None:
        """Forget chords from the first change of the melody on, and those of steps to come."""
        before, self._context = self._context, context
        if before is None or before.conditions != context.conditions:
            self._chords.clear()
            return
        if context.heard_all:
            if not np.array_equal(before.melody, context.melody):
                self._chords.clear()
            return
        since = now - 2 * melody_context.PAST_STEPS
        old, new = (each.melody[each.melody[:, 0] + each.melody[:, 2] > since] for each in (before, context))
        changed = _find_first_difference(old, new)
        first = min(now, changed + 1)
        for step in range(first, max(self._chords, default=first) + 1):
            self._chords.pop(step, None)

    def _predict_past(self, context: MelodyContext, now: int, wanted: set[int]) -> None:
        """Predict the chords of those steps before now that are wanted, together.

        It takes four runs of the graph, which sees the melody in patches of a beat: each begins a step earlier.
        """
        steps = self._patches * STEPS_PER_BEAT
        for earlier in range(STEPS_PER_BEAT):
            end = now - 1 - earlier + melody_context.FUTURE_STEPS
            planes = melody_context.draw_melody(context.melody, end - steps, steps)
            now_lines = end - STEPS_PER_BEAT * np.arange(self._patches)[::-1]
            phase = np.zeros((STEPS_PER_BAR, self._patches), np.float32)
            places = [melody_context.find_phase(int(at) - context.bar, context.metre) for at in now_lines]
            phase[places, np.arange(self._patches)] = 1
            known = np.full((1, 1, self._patches), context.heard_all, np.float32)
            inputs = {"melody": planes[None], "phase": phase[None], "known": known}
            if self.hears_given:  # of the past, what was known stands in `list_chords`
                inputs |= self._no_evidence
            (agreement,) = run_session(self._past, inputs)
            in_key = None if context.key is None else weigh_key(context.key, (), 0, 1)[:, 0]
            for step, scores in zip(now_lines.tolist(), agreement, strict=True):
                if step in wanted and now - melody_context.PAST_STEPS <= step < now:
                    self._chords.setdefault(step, _choose_chord(scores, context, step, in_key))
        trim_heap()


def _find_first_difference(old: Voice, new: Voice) -> int:
    """Return the first step on which two melodies differ; a far one when they do not."""
    size = min(len(old), len(new))
    same = (old[:size] == new[:size]).all(1)
    if not same.all():
        a, b = (rows[int(same.argmin())].tolist() for rows in (old, new))
        return int(a[0] + min(a[2], b[2]) if a[:2] == b[:2] else min(a[0], b[0]))
    rest = old[size:] if len(old) > size else new[size:]
    return int(rest[0, 0]) if len(rest) else 1 << 60


def _find_beats(place: int, count: int, metre: Metre) -> list[int]:
    """Return, for `count` steps from `place` in their bar on, which of the predicted beats each lies in."""
    within = place % metre.steps_per_bar % STEPS_PER_BEAT
    return [min((within + k) // STEPS_PER_BEAT, melody_context.AHEAD_BEATS - 1) for k in range(count)]


def _choose_chord(agreement: Floats, context: MelodyContext, step: int, in_key: Floats | None = None) -> Chord:
    """Return the chord that is expected to agree best with the melody; in doubt, the seed's noise decides.

    in_key: what a key that is given adds to the scores.
    """
    score = AGREEMENT_GAIN * np.log(np.maximum(agreement, 1e-6))
    if in_key is not None:
        score = score + in_key
    if context.temperature > 0:
        noise = _draw_noise(abs(context.seed), (step - context.bar) // _NOISE_STEPS)
        score = score + noise * (NOISE_SCALE * context.temperature)
    quality, root = divmod(int(score.argmax()), PITCH_CLASSES)
    return root, quality


@lru_cache(maxsize=256)
def _draw_noise(seed: int, block: int) -> Floats:
    """Return Gumbel noise for every chord, alike over a block of steps."""
    uniform = np.random.default_rng([seed, block & 0xFFFFFFFF, 1]).uniform(1e-6, 1 - 1e-6, len(_TONES))
    return (-np.log(-np.log(uniform))).astype(np.float32)


def quantise_voice(melody: NDArray[np.int64]) -> Voice:
    """Return notes as they were played, rows (music.analysis.note_rows) sorted by start, as one voice on the grid."""
    start = _round_to_step(melody[:, 0])
    last = np.append(start[1:] != start[:-1], True)[: len(start)]  # of those on one step the last stays
    start, pitch = start[last], melody[last, 1]
    end = np.maximum(_round_to_step(melody[last, 0] + melody[last, 2]), start + 1)
    end[:-1] = np.minimum(end[:-1], start[1:])
    return np.stack([start, pitch, end - start], 1)


def _round_to_step(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    return (ticks + TICKS_PER_STEP // 2) // TICKS_PER_STEP
