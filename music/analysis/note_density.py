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
    steps, times = _list_counted((begun > 0).tolist(), first - now), max(density, _EPSILON)
    if not len(steps):
        return np.zeros(len(ROLES)), np.zeros(len(PITCHED_ROLES))
    sums = _expect(promised, times)[steps].sum(0).tolist()
    return _weigh(counts, sums, len(steps), promised[-1].tolist(), times)


def _list_counted(begun: Sequence[bool], first: int) -> NDArray[np.intp]:
    """Return the steps of the window that count, in the order in which they are added up.

    begun: in which of the last bars notes began, the newest first; first: the step of the first note, counted from now.
    """
    if not any(begun):
        return _NEWEST_FIRST[:0]
    steps = _NEWEST_FIRST if all(begun) else _NEWEST_BARS_FIRST[np.array(begun)].ravel()
    return steps if first <= -WINDOW_STEPS else steps[steps >= first + WINDOW_STEPS]


def _expect(habits: Floats, times: float) -> Floats:
    """Return the notes a step, with their number multiplied, and the shares of habits (n, HABIT_COUNT)."""
    expected = habits.copy()
    expected[:, : len(ROLES)] *= times
    expected[:, : len(ROLES)] /= STEPS_PER_BAR
    return expected


def _weigh(
    counts: Sequence[Sequence[float]], sums: Sequence[float], steps: int, newest: Sequence[float], times: float
) -> tuple[Floats, Floats]:
    """Return what `compute_density_bias` does.

    counts: as `count_notes` has them; sums: what `_expect` says of all steps that count together, and how many those
    are; newest: the habits of the newest step; times: by what the number of notes is multiplied.
    """
    rates, shares = sums[: len(ROLES)], [share / steps for share in sums[len(ROLES) :]]
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


class _Promises:
    """The sums of what was promised in a window, for windows that one groove fills, or two one after the other."""

    def __init__(self) -> None:
        self._known: tuple[object, ...] = ()  # the habits, the two grooves and the factor of what is kept
        self._sums: list[list[float]] = []  # by how many of the steps have the second groove

    def add_up(self, habits: Floats, grooves: tuple[int, int], second: int, times: float) -> list[float]:
        """Return the sums of `_expect` over a window whose last `second` steps have the second groove.

        habits: (n, HABIT_COUNT) of all grooves.
        """
        known = habits.tobytes(), grooves, times
        if known != self._known:
            which = (WINDOW_STEPS - np.arange(WINDOW_STEPS + 1)[:, None] <= _EACH_STEP).astype(np.intp)
            expected = _expect(habits[list(grooves)], times)
            self._known, self._sums = known, expected[which[:, _NEWEST_FIRST]].sum(1).tolist()
        return self._sums[second]


#: what a NoteCounter counts of each role: notes, those over, those of them one step long
_BEGUN, _OVER, _SINGLE = (kind * len(ROLES) for kind in range(3))
_COUNTS = 3 * len(ROLES)


class NoteCounter:
    """Counts what a band plays while the song goes on, so that its bias is soon computed: the same, bit by bit.

    It counts in integers of its own: after a graph has run, arrays of a dozen numbers take five times as long.
    """

    def __init__(self) -> None:
        self._steps: dict[int, list[int]] = {}  # by the step in which notes begin, from the window's first on
        self._begun: dict[int, int] = {}  # notes of all roles that begin in a step, where there are some
        self._totals = [0] * _COUNTS  # of the window
        self._promises = _Promises()
        self._now = -1 << 62  # the step of the last update, at which the window ends
        self._sounding: list[tuple[int, int, int, bool]] = []  # end (tick), role, step, is short; of those not over

    def update(self, parts: Mapping[str, PartNotes], now: int) -> None:
        """Take what has changed in the notes of ROLES, and move on to a now-line, a step."""
        line = self._now * TICKS_PER_STEP
        if now < self._now or now > self._now + WINDOW_STEPS:
            self._steps.clear()
            self._begun.clear()
            self._sounding.clear()
            self._totals, self._now = [0] * _COUNTS, now
            changes = [(_NO_NOTES, parts[role].notes) for role in ROLES]
        else:
            self._move(now)
            changes = [(parts[role].removed, parts[role].added) for role in ROLES]
        for role, (removed, added) in enumerate(changes):
            for note in removed:
                self._remove(role, note, line)
            for note in added:
                step = note.start // TICKS_PER_STEP
                self._count(step, _BEGUN + role, 1)
                self._sounding.append((note.end, role, step, _is_short(note)))
        line = now * TICKS_PER_STEP
        over = [each for each in self._sounding if each[0] <= line]
        if over:
            self._sounding = [each for each in self._sounding if each[0] > line]
        for _, role, step, is_short in over:
            self._count(step, _OVER + role, 1)
            self._count(step, _SINGLE + role, is_short)

    def _move(self, now: int) -> None:
        """Let the window end at a later step: what was counted before it is forgotten."""
        for step in range(self._now - WINDOW_STEPS, now - WINDOW_STEPS):
            counts = self._steps.pop(step, None)
            if counts is not None:
                self._begun.pop(step, None)
                self._totals = [total - count for total, count in zip(self._totals, counts, strict=True)]
        for step in range(self._now, now):
            if step in self._steps:
                self._totals = [total + count for total, count in zip(self._totals, self._steps[step], strict=True)]
        self._now = now

    def _count(self, step: int, what: int, number: int) -> None:
        if step < self._now - WINDOW_STEPS:
            return
        if step not in self._steps:
            self._steps[step] = [0] * _COUNTS
        self._steps[step][what] += number
        if step < self._now:
            self._totals[what] += number
        if what < _OVER:
            self._begun[step] = self._begun.get(step, 0) + number
            if not self._begun[step]:
                del self._begun[step]

    def _remove(self, role: int, note: Note, line: int) -> None:
        """Take away a note that was told at a line, the tick of the last update."""
        step = note.start // TICKS_PER_STEP
        self._count(step, _BEGUN + role, -1)
        if note.end > line:
            self._sounding.remove((note.end, role, step, _is_short(note)))
        else:
            self._count(step, _OVER + role, -1)
            self._count(step, _SINGLE + role, -_is_short(note))

    def compute_bias(
        self, parts: Mapping[str, PartNotes], habits: Floats, section_steps: int, bar: int, density: float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return what `compute_density_bias` does at the now-line of the last update. parts: what that was given.

        habits: (n, HABIT_COUNT), those of the grooves that sections of the song have in turns; section_steps: how long
        each lasts; bar: a step at which the first begins.
        """
        now, begun, times = self._now, self._begun, max(density, _EPSILON)
        bars = [
            any(step in begun for step in range(end - STEPS_PER_BAR, end))
            for end in range(now, now - WINDOW_STEPS, -STEPS_PER_BAR)
        ]
        first = min([parts[role].earliest for role in ROLES]) // TICKS_PER_STEP - self._now
        last = self._now - 1 - bar  # the newest step, counted from where the first section begins
        section, place = divmod(last, section_steps)
        newest = section % len(habits)
        if section_steps >= WINDOW_STEPS and all(bars) and first <= -WINDOW_STEPS:
            second, steps = min(place + 1, WINDOW_STEPS), WINDOW_STEPS
            sums = self._promises.add_up(habits, ((section - 1) % len(habits), newest), second, times)
        else:
            counted = _list_counted(bars, first)
            steps = len(counted)
            if not steps:
                return np.zeros(len(ROLES)), np.zeros(len(PITCHED_ROLES))
            sections = (counted + (last + 1 - WINDOW_STEPS)) // section_steps
            sums = _expect(habits, times).take(sections % len(habits), 0).sum(0).tolist()
        counts = [self._totals[kind : kind + len(ROLES)] for kind in (_BEGUN, _OVER, _SINGLE)]
        return _weigh(counts, sums, steps, habits[newest].tolist(), times)


def _is_short(note: Note) -> bool:
    """Return True for a note of one step."""
    return 2 * note.length < 3 * TICKS_PER_STEP
