"""The song as far as it has been played: where the melody went, and what the band played there.

Songs repeat themselves, and people play a verse that comes again much as they played it before. At every step the
melody so far is compared with itself a number of bars earlier, in all distances at once: onsets at the same place with
the same pitch speak for a distance, others against it, the latest most. Nothing is looked at that lies ahead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.core.plan import Recollection
from daemon.core.settings import Settings
from music.note import REST, TICKS_PER_STEP, Metre, Note, NoteNumbers, get_numbers, make_notes, round_to_step

#: steps of performance that are remembered: 256 bars of 4/4
MEMORY_STEPS = 4096
#: bars that lie at least between a place and the one that it is like
MIN_LAG_BARS = 2
MAX_LAG_BARS = 256
#: steps of which it is told what was played
HORIZON_STEPS = 20
#: how far back notes are looked for that still sounded
HELD_STEPS = 32
#: steps that may be missing between two calls; more are a leap, over which nothing is compared
LEAP_STEPS = 64
#: weight of a step, in comparison with the one after it
FADE = 0.9
#: Onsets (at full weight) that half convince; how much better another distance must be than the one that held a step
#: ago; and the likeness from which on a place is taken for the same. On the melodies of POP909's validation split, 86 %
#: of the steps of bars that had been there before were found with a threshold of 0.3 (17 % of those of other bars),
#: 78 % (11 %) with 0.45.
DOUBT_ONSETS, KEEP, THRESHOLD = 2.0, 0.3, 0.45


class BegunNote(Protocol):
    """A note that the band has played, with its end as it now stands."""

    note: Note


class SongMemory:
    """Remembers melody and band of the performance step by step, and tells what was played at a place like this."""

    def __init__(self) -> None:
        self._count = 0  # steps remembered so far; number i is at i % MEMORY_STEPS
        self._next: int | None = None  # the song's step after the newest
        self._onsets = np.full(MEMORY_STEPS, REST, np.int16)  # the melody's pitch where it begins a note, else REST
        self._places = np.full(MEMORY_STEPS, -1, np.int64)  # in the bar; -1 for steps in which nothing was played
        self._manners = np.full(MEMORY_STEPS, -1, np.int64)  # under which settings the band played, see `_manner`
        self._steps = np.zeros(MEMORY_STEPS, np.int64)  # the song's step
        self._played: list[Sequence[tuple[str, BegunNote]]] = [()] * MEMORY_STEPS
        self._steps_per_bar = 0
        self._scores = np.zeros((2, MAX_LAG_BARS + 1))  # likeness and evidence, by distance in bars
        self._lag_bars = 0  # the distance that holds; 0 for none
        self._settings: Settings | None = None  # of the newest step
        self._manner = 0  # number of the styles, techniques, ... that they ask for
        self._known_manners: dict[tuple[object, ...], int] = {}

    def list_missing(self, step: int) -> range:
        """Return the song's steps before `step` that are to be remembered: `remember` wants what was played in them."""
        first = self._next
        return range(step, step) if first is None or not 0 <= step - first <= LEAP_STEPS else range(first, step)

    def remember(
        self,
        step: int,
        bar: int,
        metre: Metre,
        settings: Settings,
        melody: Sequence[Note],
        played: Mapping[int, Sequence[tuple[str, BegunNote]]],
    ) -> None:
        """Take in the steps of `list_missing(step)`.

        bar: a step at which a bar begins; melody: notes sorted by start; played: step -> role and note of what the band
        began in it.
        """
        missing = self.list_missing(step)
        if settings is not self._settings:
            self._settings, self._manner = settings, self._find_manner(settings)
        if self._next is None or (not missing and step != self._next) or metre.steps_per_bar != self._steps_per_bar:
            self._leap((step - bar) % metre.steps_per_bar, metre.steps_per_bar)
        onsets = _find_onsets(melody, missing)
        for each in missing:
            self._append(each, onsets.get(each, REST), (each - bar) % self._steps_per_bar, played.get(each, ()))
        self._next = step

    def recall(self, step: int) -> Recollection | None:
        """Return what was played where the melody went like this, as it would sound from `step` on, the next one."""
        bars = self._list_lags()
        if not len(bars):
            return None
        place = self._count % MEMORY_STEPS
        earlier = (place - bars * self._steps_per_bar) % MEMORY_STEPS
        likeness, evidence = self._scores[:, bars]
        trust = np.where(self._manners[earlier] == self._manner, likeness / (evidence + DOUBT_ONSETS), 0.0)
        best = int((trust + KEEP * (bars == self._lag_bars)).argmax())
        if trust[best] + KEEP * (bars[best] == self._lag_bars) <= THRESHOLD or trust[best] <= 0:
            self._lag_bars = 0
            return None
        self._lag_bars = int(bars[best])
        return self._tell(step, self._lag_bars * self._steps_per_bar, float(trust[best]))

    def _find_manner(self, settings: Settings) -> int:
        """Return a number for what makes the band play otherwise: what it played then is not to come again now."""
        key = settings.style, settings.technique, settings.seed, settings.density, *sorted(settings.players.items())
        return self._known_manners.setdefault(key, len(self._known_manners))

    def _leap(self, place: int, steps_per_bar: int) -> None:
        """Go on at another place of a bar: the steps of the bars between are empty."""
        if self._count and self._steps_per_bar:
            newest = int(self._places[(self._count - 1) % MEMORY_STEPS])
            for _ in range(-(newest + 1) % self._steps_per_bar + place):
                self._append_empty()
        elif place:
            for _ in range(place):
                self._append_empty()
        self._steps_per_bar, self._lag_bars = steps_per_bar, 0
        self._scores[:] = 0

    def _append_empty(self) -> None:
        at = self._count % MEMORY_STEPS
        self._onsets[at], self._places[at], self._manners[at], self._played[at] = REST, -1, -1, ()
        self._count += 1

    def _append(self, step: int, onset: int, place: int, played: Sequence[tuple[str, BegunNote]]) -> None:
        """Append a step, and compare it with those that lie whole bars before it."""
        at = self._count % MEMORY_STEPS
        bars = self._list_lags()
        earlier = (at - bars * self._steps_per_bar) % MEMORY_STEPS
        before = self._onsets[earlier]
        self._scores *= FADE
        either = (before != REST) | (onset != REST)
        self._scores[1, bars] += either
        self._scores[0, bars] += np.where(before == onset, either, -1.0 * either)
        self._scores[:, bars[self._places[earlier] != place]] = 0
        self._onsets[at], self._places[at], self._manners[at] = onset, place, self._manner
        self._steps[at], self._played[at] = step, played
        self._count += 1

    def _list_lags(self) -> NDArray[np.int64]:
        """Return the distances, in bars, at which there is something to compare with."""
        reach = min(self._count, MEMORY_STEPS - 1)
        return _LAGS[: max(0, min(reach // max(1, self._steps_per_bar), MAX_LAG_BARS) - MIN_LAG_BARS + 1)]

    def _tell(self, step: int, lag: int, trust: float) -> Recollection:
        """Return what was played `lag` steps before the step to come, moved there."""
        horizon, line = min(lag, HORIZON_STEPS), self._count - lag
        notes: dict[str, list[NoteNumbers]] = {}
        for number in range(max(line - HELD_STEPS, self._count - MEMORY_STEPS, 0), line + horizon):
            begun = self._played[number % MEMORY_STEPS]
            if not begun:
                continue
            later = step + number - line - int(self._steps[number % MEMORY_STEPS])
            moved, since = later * TICKS_PER_STEP, (step - later) * TICKS_PER_STEP
            for role, played in begun:
                start, pitch, length, velocity = get_numbers(played.note)
                if start + length > since:
                    notes.setdefault(role, []).append((start + moved, pitch, length, velocity))
        told = {role: tuple(make_notes(sorted(found))) for role, found in notes.items()}
        return Recollection(step + horizon, trust, told)


_LAGS = np.arange(MIN_LAG_BARS, MAX_LAG_BARS + 1)


def _find_onsets(melody: Sequence[Note], steps: range) -> dict[int, int]:
    """Return the pitch with which the melody begins a note in each of the steps in which it does, the highest."""
    onsets: dict[int, int] = {}
    for i in range(bisect_left(melody, (steps.start - 1) * TICKS_PER_STEP, key=_start), len(melody)):
        step = round_to_step(melody[i].start)
        if step >= steps.stop:
            break
        if step >= steps.start:
            onsets[step] = max(melody[i].pitch, onsets.get(step, REST))
    return onsets


def _start(note: Note) -> int:
    return note.start
