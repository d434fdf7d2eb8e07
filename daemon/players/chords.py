"""The chords the transformer plays on: read off the melody, and off nothing else, anew at every step.

The chord of a step is what the harmonist says at the now-line before it, a pure function of the melody up to there, the
seed and the temperature. So the chords of the past can be worked out again whenever the player comes in in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.players.chord_balance import SHARES
from daemon.players.graph import Graph
from music.chords import QUALITIES, QUALITY_TONES
from music.encoding import melody_context
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT, Metre, Note, round_to_step

Floats = NDArray[np.float32]

#: How sharply a doubt is settled against the noise, and how much noise temperature 1 is.
AGREEMENT = 12.0
NOISE = 0.15
#: Steps that share their noise: a doubt is settled once in half a bar.
_GRAIN = 8
#: Chords missing from the past, up to so many, are asked for one by one.
_FEW = 4

_TONES: Floats = np.zeros((len(QUALITIES) * PITCH_CLASSES, PITCH_CLASSES), np.float32)
for _quality, _intervals in enumerate(QUALITY_TONES):
    for _root in range(PITCH_CLASSES):
        _TONES[_quality * PITCH_CLASSES + _root, [(_root + i) % PITCH_CLASSES for i in _intervals]] = 1


@dataclass(frozen=True, slots=True)
class MelodyContext:
    """What the chords hang on. melody: one voice, (start step, pitch, length in steps); heard_all: what is right of a
    now-line may be heard; bar: a step at which a bar begins."""

    melody: tuple[tuple[int, int, int], ...]
    heard_all: bool
    metre: Metre
    bar: int
    seed: int
    temperature: float


@dataclass(frozen=True, slots=True)
class ChordForecast:
    """What is expected from a step on. chords: (root, quality) of every step; tones: (n, 12) the probability that a
    pitch class belongs to the chord; shares: (n, 12) how much of what sounds it is expected to have."""

    chords: list[tuple[int, int]]
    tones: Floats
    shares: NDArray[np.float64]


class ChordPredictor:
    """Asks the harmonist, and remembers what it said while the song goes on."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError."""
        self._now: Any = graph.part("harmony")
        self._past: Any = graph.part("hindsight")
        self._patches = int(self._past.get_inputs()[0].shape[3]) // STEPS_PER_BEAT
        self._song: MelodyContext | None = None
        self._said: dict[int, tuple[int, int]] = {}

    def outlook(self, song: MelodyContext, now: int, count: int) -> ChordForecast:
        """The chords of the steps [now, now + count) as they look at the now-line."""
        planes, sure = melody_context.draw_around(song.melody, now, song.heard_all, song.metre)
        phase = np.zeros((1, STEPS_PER_BAR), np.float32)
        phase[0, melody_context.find_phase(now - song.bar, song.metre)] = 1
        known = np.full((1, 1), sure, np.float32)
        odds, agreement = self._now.run(None, {"melody": planes[None], "phase": phase, "known": known})
        beats = _beats(now - song.bar, count, song.metre)
        chords = [_choose(agreement[0, beat], song, now + k) for k, beat in enumerate(beats)]
        return ChordForecast(chords, (odds[0] @ _TONES)[beats], (odds[0] @ SHARES)[beats])

    def recall(self, song: MelodyContext, first: int, now: int, coming: tuple[int, int]) -> list[tuple[int, int]]:
        """The chords of the steps [first, now] as they were chosen, that of `now` being `coming`."""
        self._drop(song, now)
        self._said[now] = coming
        missing = [step for step in range(first, now) if step not in self._said]
        if len(missing) > _FEW:
            again = (
                set(missing)
                if song.heard_all
                else {step for step in missing if not melody_context.remembers(song.melody, step, song.metre)}
            )
            self._look_back(song, now, again)
        for step in missing:
            if step not in self._said:  # few, or the melody was remembered, which hindsight does not
                self._said[step] = self.outlook(song, step, 1).chords[0]
        for step in [s for s in self._said if s < first - melody_context.PAST_STEPS]:
            del self._said[step]
        return [self._said[step] for step in range(first, now + 1)]

    def _drop(self, song: MelodyContext, now: int) -> None:
        """Forget what was said before something was known otherwise, and of what is to come."""
        before, self._song = self._song, song
        if before is None or _kind(before) != _kind(song):
            self._said.clear()
            return
        since = now - 2 * melody_context.PAST_STEPS
        old, new = ([n for n in s.melody if n[0] + n[2] > since] for s in (before, song))
        if song.heard_all:
            if before.melody != song.melody:
                self._said.clear()
            return
        changed = _first_difference(old, new)
        self._said = {step: chord for step, chord in self._said.items() if step < now and step <= changed}

    def _look_back(self, song: MelodyContext, now: int, wanted: set[int]) -> None:
        """Of the last steps those wanted, at once: four passes, for what was heard begins a step later in each."""
        steps = self._patches * STEPS_PER_BEAT
        for late in range(STEPS_PER_BEAT):
            end = now - 1 - late + melody_context.FUTURE_STEPS
            planes = melody_context.draw_melody(song.melody, end - steps, steps)
            lines = end - STEPS_PER_BEAT * np.arange(self._patches)[::-1]
            phase = np.zeros((STEPS_PER_BAR, self._patches), np.float32)
            places = [melody_context.find_phase(int(line) - song.bar, song.metre) for line in lines]
            phase[places, np.arange(self._patches)] = 1
            known = np.full((1, 1, self._patches), song.heard_all, np.float32)
            shown = {"melody": planes[None], "phase": phase[None], "known": known}
            (agreement,) = self._past.run(None, shown)
            for line, scores in zip(lines.tolist(), agreement, strict=True):
                if line in wanted and now - melody_context.PAST_STEPS <= line < now:
                    self._said.setdefault(line, _choose(scores, song, line))


def _kind(song: MelodyContext) -> tuple[object, ...]:
    return song.heard_all, song.metre, song.bar, song.seed, song.temperature


def _first_difference(old: Sequence[tuple[int, int, int]], new: Sequence[tuple[int, int, int]]) -> int:
    """The first step on which two melodies differ; far away when they do not."""
    for a, b in zip(old, new, strict=False):
        if a != b:
            return a[0] + min(a[2], b[2]) if a[:2] == b[:2] else min(a[0], b[0])
    rest = old[len(new) :] or new[len(old) :]
    return rest[0][0] if rest else 1 << 60


def _beats(place: int, count: int, metre: Metre) -> NDArray[np.int64]:
    """For every step from `place` in its bar on, which of the beats that are told it lies in."""
    within = place % metre.steps_per_bar % STEPS_PER_BEAT
    return np.minimum((within + np.arange(count)) // STEPS_PER_BEAT, melody_context.AHEAD_BEATS - 1)


def _choose(agreement: Floats, song: MelodyContext, step: int) -> tuple[int, int]:
    """(root, quality) of the chord that is expected to agree best."""
    score = AGREEMENT * np.log(np.maximum(agreement, 1e-6))
    if song.temperature > 0:
        score = score + _noise(abs(song.seed), (step - song.bar) // _GRAIN) * (NOISE * song.temperature)
    quality, root = divmod(int(score.argmax()), PITCH_CLASSES)
    return root, quality


@lru_cache(maxsize=256)
def _noise(seed: int, block: int) -> Floats:
    uniform = np.random.default_rng([seed, block & 0xFFFFFFFF, 1]).uniform(1e-6, 1 - 1e-6, len(_TONES))
    return (-np.log(-np.log(uniform))).astype(np.float32)


def line(melody: Sequence[Note]) -> tuple[tuple[int, int, int], ...]:
    """Notes as they were played, sorted, as one voice on the step grid: (start step, pitch, length in steps)."""
    rows: list[tuple[int, int, int]] = []
    for note in melody:
        start = round_to_step(note.start)
        if rows and rows[-1][0] >= start:
            rows.pop()
        if rows and rows[-1][0] + rows[-1][2] > start:
            rows[-1] = (*rows[-1][:2], start - rows[-1][0])
        rows.append((start, note.pitch, max(round_to_step(note.end) - start, 1)))
    return tuple(rows)
