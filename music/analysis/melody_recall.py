"""Recall where a melody has been before: songs repeat themselves, and what followed then will probably follow now.

For a now-line, find the earlier line (a whole number of bars back) at which the melody had gone most like it has just
gone. Who hears only the past is a beat late at every change of chord; told what followed that earlier line, a band can
be in time from the second verse on. Nothing right of the now-line is looked at. numpy only; shared by training
(`find_all_matches`) and by the live players (`find_match`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from music.analysis.note_rows import spread, to_rows
from music.note import PITCH_CLASSES, PITCHES, REST

MEMORY_STEPS = 1536  #: steps that are remembered: 96 bars of 4/4
MIN_LAG_STEPS = 64  #: steps that lie at least between the two lines: what followed the earlier one has all been heard
FADE_STEPS = 32.0  #: after so many steps back, what was played counts a third

#: what one step of two melodies says about their likeness: the same pitch class sounds, another one, only one sounds
_SAME, _OTHER, _ONE = 1.0, -1.0, -0.5
#: steps of melody that half convince
_DOUBT_STEPS = 8.0
_COMPARED_STEPS = 160  #: steps further back count nothing
#: weight of each of them
_FADE = (np.float64(np.exp(-1 / FADE_STEPS)) ** np.arange(_COMPARED_STEPS))[:, None]
#: pitch class of every pitch, PITCH_CLASSES of REST, which is -1
_CLASS_OF = np.array([*(pitch % PITCH_CLASSES for pitch in range(PITCHES)), PITCH_CLASSES])


class MelodyMatch(NamedTuple):
    """An earlier line at which the melody had gone like this."""

    line: int  #: step; -1 for none
    trust: float  #: how much it is like this, 0..1


def sample_melody(rows: Iterable[Sequence[int]] | NDArray[np.int64], steps: int) -> NDArray[np.int16]:
    """Return the pitch of every step (steps,), REST where none sounds; rows: start, pitch, length in steps."""
    start, pitch, length = to_rows(rows)[:, :3].T
    pitches = np.full(steps, REST, np.int16)
    begin, end = np.clip(start, 0, steps), np.clip(start + length, 0, steps)
    count = np.maximum(end - begin, 0)
    pitches[spread(begin, count)] = np.repeat(pitch, count)  # of those on one step the last stays
    return pitches


def find_match(pitches: NDArray[np.int16], steps_per_bar: int = 16) -> MelodyMatch:
    """Return the match of the line after the last of the steps (T,)."""
    return find_matches(np.asarray(pitches, np.int16)[None], steps_per_bar)[0]


def find_matches(voices: NDArray[np.int16], steps_per_bar: int = 16) -> list[MelodyMatch]:
    """Return what `find_match` does, of several melodies of as many steps: (melodies, T)."""
    return _find_matches(voices.tobytes(), len(voices), steps_per_bar)


@lru_cache(maxsize=4)  # a plan asks more than once
def _find_matches(sampled: bytes, count: int, steps_per_bar: int) -> list[MelodyMatch]:
    """Return the matches of the line after steps, which are told as the bytes of an array of int16 (count, T)."""
    voices = np.frombuffer(sampled, np.int16).reshape(count, -1)
    steps = voices.shape[1]
    nearest = -(-MIN_LAG_STEPS // steps_per_bar) * steps_per_bar
    lags = len(range(nearest, min(steps, MEMORY_STEPS) + 1, steps_per_bar))
    if not lags:
        return [MelodyMatch(-1, 0.0)] * count
    # classes before the line, the last first, and rests before the song
    reach = _COMPARED_STEPS + nearest + (lags - 1) * steps_per_bar
    back = np.full((count, reach), PITCH_CLASSES, np.intp)
    known = voices[:, : -reach - 1 : -1]
    back[:, : known.shape[1]] = _CLASS_OF[known]
    whole, each = back.strides
    strides, shape = (whole, each, steps_per_bar * each), (count, _COMPARED_STEPS, lags)
    earlier: NDArray[np.intp] = np.ndarray(shape, np.intp, back, nearest * each, strides)
    said = _FADED.take((back[:, :_COMPARED_STEPS] * (PITCH_CLASSES + 1) + _FADED_ROWS)[:, :, None] + earlier).sum(1)
    trust = said.real / (said.imag + _DOUBT_STEPS)  # as `_choose_best` has it, of which these are single lines
    found = []
    for best, line in zip(trust.argmax(1).tolist(), trust, strict=True):
        surest = float(np.float32(min(max(float(line[best]), 0.0), 1.0)))
        found.append(MelodyMatch(steps - nearest - best * steps_per_bar if surest > 0 else -1, surest))
    return found


def find_all_matches(
    pitches: NDArray[np.int16], steps_per_bar: int = 16
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the matches of every line 0..T of the steps (T,): lines and trust, (T + 1,) each.

    They are those of `find_match`, but for what lies further back than that one listens.
    """
    steps = len(pitches)
    lags = _list_lags(steps, steps_per_bar)
    if not len(lags):
        return np.full(steps + 1, -1, np.int32), np.zeros(steps + 1, np.float32)
    places = np.arange(steps)[:, None]
    likeness, evidence = _compare(pitches[:, None], _take_pitches(pitches, places - lags))  # (T, lags)
    fade = np.exp(-1 / FADE_STEPS)
    sums = np.zeros((2, steps + 1, len(lags)))
    for t in range(steps):
        sums[0, t + 1] = fade * sums[0, t] + likeness[t]
        sums[1, t + 1] = fade * sums[1, t] + evidence[t]
    return _choose_best(sums[0], sums[1], lags, np.arange(steps + 1))


def _list_lags(steps: int, steps_per_bar: int) -> NDArray[np.int64]:
    nearest = -(-MIN_LAG_STEPS // steps_per_bar) * steps_per_bar
    return np.arange(nearest, min(steps, MEMORY_STEPS) + 1, steps_per_bar)


def _take_pitches(pitches: NDArray[np.int16], places: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return the pitches at places; those before the song are rests."""
    found: NDArray[np.int16] = np.where(places >= 0, pitches[np.maximum(places, 0)], REST)
    return found


def _compare(a: NDArray[np.int16], b: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return likeness and evidence of steps of two melodies."""
    both, one = (a != REST) & (b != REST), (a != REST) ^ (b != REST)
    likeness = np.where(both, np.where((a - b) % 12 == 0, _SAME, _OTHER), np.where(one, _ONE, 0.0))
    return likeness, (both | one).astype(np.float64)


def _choose_best(
    likeness: NDArray[np.float64], evidence: NDArray[np.float64], lags: NDArray[np.int64], lines: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    trust = likeness / (evidence + _DOUBT_STEPS)
    trust[lines[:, None] < lags] = 0
    best = trust.argmax(1)  # of equals the nearest
    found = np.clip(trust[np.arange(len(lines)), best], 0, 1)
    return np.where(found > 0, lines - lags[best], -1).astype(np.int32), found.astype(np.float32)


_CLASSES = np.array([*range(PITCH_CLASSES), REST], np.int16)
#: `_compare` of two pitch classes, or rests: of class a and class b at a * (PITCH_CLASSES + 1) + b
_LIKENESS, _EVIDENCE = (table.ravel() for table in _compare(_CLASSES[:, None], _CLASSES[None]))
#: the same for each of the compared steps, times its weight: one row of classes a step; likeness is the real part,
#: evidence the imaginary one, so that both are looked up and added up at once
_FADED = ((_FADE * _LIKENESS) + 1j * (_FADE * _EVIDENCE)).ravel()
_FADED_ROWS = np.arange(_COMPARED_STEPS) * len(_LIKENESS)
