"""Measure how much a band plays, role by role, and pull one that has strayed from its groove back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from music.analysis.note_rows import list_rows
from music.analysis.part_notes import PartNotes
from music.note import PITCHED_ROLES, ROLES, STEPS_PER_BAR, TICKS_PER_STEP, Note

#: figures of a band's habits: notes a bar of 16 steps (ROLES), then the share of notes one step long (PITCHED_ROLES)
HABIT_COUNT = len(ROLES) + len(PITCHED_ROLES)

Parts = Mapping[str, Sequence[Note]]
Rows = Mapping[str, NDArray[np.int64]]  #: notes by role, as rows (music.analysis.note_rows)
_NO_ROWS = list_rows(())
_NO_NOTES: tuple[Note, ...] = ()
Floats = NDArray[np.float64]


def count_notes(parts: Rows, since: int, until: int) -> tuple[Floats, Floats, Floats]:
    """Count what began from step `since` to before `until`.

    Returns notes (ROLES,), and of the pitched roles notes that are over by `until`, and how many of those are one step
    long, (PITCHED_ROLES,) each.
    """
    there = [i for i, role in enumerate(ROLES) if role in parts]
    rows = np.concatenate([_NO_ROWS, *(parts[ROLES[i]] for i in there)])
    role = np.repeat(there, [len(parts[ROLES[i]]) for i in there]).astype(np.int64)
    inside = (rows[:, 0] >= since * TICKS_PER_STEP) & (rows[:, 0] < until * TICKS_PER_STEP)
    rows, role = rows[inside], role[inside]
    over = rows[:, 0] + rows[:, 2] <= until * TICKS_PER_STEP
    single = over & (2 * rows[:, 2] < 3 * TICKS_PER_STEP)
    begun, ended, short = (
        np.bincount(counted, minlength=len(ROLES)).astype(np.float64) for counted in (role, role[over], role[single])
    )
    return begun, ended[: len(PITCHED_ROLES)], short[: len(PITCHED_ROLES)]


def measure_habits(parts: Parts, since: int, until: int) -> Floats:
    """Return the habits (HABIT_COUNT,) of a band from step `since` to before `until`."""
    notes, over, single = count_notes({role: list_rows(notes) for role, notes in parts.items()}, since, until)
    return np.concatenate([notes * STEPS_PER_BAR / max(1, until - since), single / np.maximum(over, 1)])


#: steps that are looked back on, whole bars; and how many steps' worth of the promise counts as kept to begin with
WINDOW_STEPS, TRUST_STEPS = 128, 16
#: (bars, STEPS_PER_BAR): the steps that are looked back on, those of the last bar first
_NEWEST_BARS_FIRST = np.arange(WINDOW_STEPS).reshape(-1, STEPS_PER_BAR)[::-1]
_NEWEST_FIRST = _NEWEST_BARS_FIRST.ravel()
_EACH_STEP = np.arange(WINDOW_STEPS)
#: what is added to a gate's logit where a role plays e times too few notes; many drums are far from any doubt
ONSET_GAIN = (8.0, 8.0, 8.0, 16.0)
#: what is added to a hold's logit for each logit that the share of one-step notes strays
HOLD_GAIN = 5.0
#: the most that is added
MAX_BIAS = 6.0
#: ended notes whose share of one-step notes counts as kept to begin with
_TRUSTED_NOTES = 8
_EPSILON = 0.02


def compute_density_bias(parts: Rows, now: int, promised: Floats, density: float = 1.0) -> tuple[Floats, Floats]:
    """Return what to add to logits so that a band that has strayed from its habits comes back to them.

    To those of beginning (ROLES,) and of holding (PITCHED_ROLES,). promised: (WINDOW_STEPS, HABIT_COUNT), the habits
    that the groove has at each of the steps before `now`, the newest last; density multiplies their notes. Bars in
    which nobody began a note do not count, nor those before the first note. A role that has played nothing is left
    alone: somebody may have silenced it.
    """
    starts = np.concatenate([_NO_ROWS, *parts.values()])[:, 0] // TICKS_PER_STEP
    ago = (now - 1 - starts) // STEPS_PER_BAR  # bars
    begun = np.bincount(
        ago[(ago >= 0) & (ago < WINDOW_STEPS // STEPS_PER_BAR)], minlength=WINDOW_STEPS // STEPS_PER_BAR
    )
    first = int(starts.min()) if len(starts) else now
    counts = tuple(each.tolist() for each in count_notes(parts, max(now - WINDOW_STEPS, first), now))
    return _weigh(counts, (begun > 0).tolist(), first - now, promised, _EACH_STEP, density)


def _weigh(
    counts: Sequence[Sequence[float]],
    begun: Sequence[bool],
    first: int,
    habits: Floats,
    chosen: NDArray[np.intp],
    density: float,
) -> tuple[Floats, Floats]:
    """Return what `compute_density_bias` does.

    counts: as `count_notes` has them; begun: in which of the last bars notes began, the newest first; first: the step
    of the first note, counted from now; habits, chosen: as `NoteCounter.compute_bias` takes them.
    """
    if not any(begun):
        return np.zeros(len(ROLES)), np.zeros(len(PITCHED_ROLES))
    steps = _NEWEST_FIRST if all(begun) else _NEWEST_BARS_FIRST[np.array(begun)].ravel()
    if first > -WINDOW_STEPS:
        steps = steps[steps >= first + WINDOW_STEPS]
    times = max(density, _EPSILON)
    expected = habits.copy()  # notes a step, and shares
    expected[:, : len(ROLES)] *= times
    expected[:, : len(ROLES)] /= STEPS_PER_BAR
    sums = expected.take(chosen.take(steps), 0).sum(0).tolist()
    rates, shares = sums[: len(ROLES)], [share / len(steps) for share in sums[len(ROLES) :]]
    newest = habits[chosen[-1]].tolist()
    # of a dozen numbers, each on its own is sooner worked out than as arrays, but for the logarithms
    notes, over, single = counts
    ratios = []
    for role, rate in enumerate(rates):
        kept = TRUST_STEPS * (newest[role] * times / STEPS_PER_BAR) + _EPSILON
        ratios.append((rate + kept) / (notes[role] + kept))
    for role, share in enumerate(shares):  # of the pitched roles
        is_single = (single[role] + _TRUSTED_NOTES * share) / (over[role] + _TRUSTED_NOTES)
        ratios += [_compute_odds(is_single), _compute_odds(share)]
    logs = np.log(ratios).tolist()
    missing, logits = logs[: len(ROLES)], logs[len(ROLES) :]
    more = [
        _bound(gain * log) if count > 0 else 0.0 for gain, log, count in zip(ONSET_GAIN, missing, notes, strict=True)
    ]
    longer = [_bound(HOLD_GAIN * (now - then)) for now, then in zip(logits[::2], logits[1::2], strict=True)]
    return np.array(more), np.array(longer)


def _bound(value: float) -> float:
    """Return a value that lies no further from 0 than MAX_BIAS."""
    return min(max(value, -MAX_BIAS), MAX_BIAS)


def _compute_odds(share: float) -> float:
    share = min(max(share, _EPSILON), 1 - _EPSILON)
    return share / (1 - share)


#: steps that a NoteCounter has places for, and what it counts in each: notes, those over, those of them one step long
_PLACES = 512
_BEGUN, _OVER, _SINGLE = range(3)


class NoteCounter:
    """Counts what a band plays while the song goes on, so that its bias is soon computed: the same, bit by bit."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, len(ROLES), _PLACES), np.int64)  # by role and by the step at which a note begins
        self._begun = [0] * _PLACES  # notes that begin at each step, of all roles
        self._origin = 0  # the step of the first place
        self._now = -1 << 62  # the step of the last update
        self._sounding: list[tuple[int, int, int, bool]] = []  # end (tick), role, place, is short; of those not over

    def update(self, parts: Mapping[str, PartNotes], now: int) -> None:
        """Take what has changed in the notes of ROLES, and move on to a now-line, a step."""
        if now < self._now or now - WINDOW_STEPS < self._origin or now > self._origin + _PLACES:
            self._origin = now - WINDOW_STEPS
            self._counts[:] = 0
            self._begun = [0] * _PLACES
            self._sounding.clear()
            changes = [(_NO_NOTES, parts[role].notes) for role in ROLES]
        else:
            changes = [(parts[role].removed, parts[role].added) for role in ROLES]
        line = self._now * TICKS_PER_STEP
        for role, (removed, added) in enumerate(changes):
            for note in removed:
                self._remove(role, note, line)
            for note in added:
                place = note.start // TICKS_PER_STEP - self._origin
                if 0 <= place < _PLACES:
                    self._counts[_BEGUN, role, place] += 1
                    self._begun[place] += 1
                    self._sounding.append((note.end, role, place, _is_short(note)))
        self._now, line = now, now * TICKS_PER_STEP
        over = [each for each in self._sounding if each[0] <= line]
        if over:
            self._sounding = [each for each in self._sounding if each[0] > line]
        for _, role, place, is_short in over:
            self._counts[_OVER, role, place] += 1
            self._counts[_SINGLE, role, place] += is_short

    def _remove(self, role: int, note: Note, line: int) -> None:
        place = note.start // TICKS_PER_STEP - self._origin
        if not 0 <= place < _PLACES:
            return
        self._counts[_BEGUN, role, place] -= 1
        self._begun[place] -= 1
        if note.end > line:
            self._sounding.remove((note.end, role, place, _is_short(note)))
        else:
            self._counts[_OVER, role, place] -= 1
            self._counts[_SINGLE, role, place] -= _is_short(note)

    def compute_bias(
        self, parts: Mapping[str, PartNotes], habits: Floats, chosen: NDArray[np.intp], density: float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return what `compute_density_bias` does at the now-line of the last update. parts: what that was given.

        habits: (n, HABIT_COUNT), those of some grooves; chosen: (WINDOW_STEPS,), which of them was promised at each of
        the steps before the now-line.
        """
        at = self._now - self._origin
        counts = self._counts[:, :, at - WINDOW_STEPS : at].sum(2).tolist()
        bars = [any(self._begun[end - STEPS_PER_BAR : end]) for end in range(at, at - WINDOW_STEPS, -STEPS_PER_BAR)]
        first = min([parts[role].earliest for role in ROLES]) // TICKS_PER_STEP
        return _weigh(counts, bars, first - self._now, habits, chosen, density)


def _is_short(note: Note) -> bool:
    """Return True for a note of one step."""
    return 2 * note.length < 3 * TICKS_PER_STEP
