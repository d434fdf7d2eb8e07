"""Draw edits from the scores of a network, under the player's limits.

Several edits are taken from one evaluation, drawn without replacement (Gumbel top-k: Kool et al. 2019): those that lie
far enough apart hardly depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music.edits.draft import Draft
from music.edits.edit import ADD, REMOVE, Edit, Limits
from music.encoding.edit_grid import LENGTHS_STEPS, WINDOW_STEPS, Cells, find_sounding

#: share of the threshold (`find_worthwhile`) that a note must clear where nothing of the input may go, for then the
#: piece is wanted whole (figures: models/LOG.md)
COMPLETION_SHARE = 0.85
#: share of the threshold below which a note that is there goes
REMOVAL_SHARE = 0.6
#: edits of one evaluation begin at least so many steps apart, where there is room for as many
MIN_STEPS_APART = 4


class WindowLengths:
    """The best length of an added note by cell, looked up in the scores of windows when it is asked for.

    There are twelve scores a cell, and few cells are edited.
    """

    def __init__(
        self, windows: Sequence[NDArray[np.generic]], owners: NDArray[np.intp], places: NDArray[np.intp]
    ) -> None:
        """Take the windows of a sheet.

        windows: (WINDOW_STEPS, 128, lengths) scores each, or (WINDOW_STEPS, 128) lengths; owners, places: of every step
        of the sheet the window that tells its lengths, and its step in it.
        """
        self._windows, self._owners, self._places = windows, owners, places

    def __getitem__(self, cell: tuple[int, int]) -> int:
        """Return the length, in steps, of a note added at (step, pitch)."""
        step, pitch = cell
        found = self._windows[self._owners[step]][self._places[step], pitch]
        return int(found) if found.ndim == 0 else LENGTHS_STEPS[int(found.argmax())]


@dataclass(frozen=True, slots=True)
class EditScores:
    """A network's scores of a sheet."""

    weights: NDArray[np.float32]  #: (steps, 128): log-weights of the edit distribution
    lengths: NDArray[np.int16] | WindowLengths  #: by (step, pitch), of a note added there, in steps
    calibrated: bool = True  #: exp(weights) is the probability that the cell is to be edited


def draw_edits(
    draft: Draft,
    scores: EditScores,
    limits: Limits,
    random: np.random.Generator,
    *,
    count: int = 1,
    risk: float = 1.0,
    iteration: int = 1,
    apart: int | None = None,
    belief: NoteBelief | None = None,
    worthwhile: Cells | None = None,
    strict: bool = False,
) -> list[Edit]:
    """Draw up to `count` edits from one evaluation, apply them to the draft, and return them.

    Fewer, or none, where the limits or the network (`find_worthwhile`) leave no more to do. risk: temperature, 0 takes
    the likeliest; apart: steps that edits begin apart (default: MIN_STEPS_APART, where there is room); belief: that of
    all evaluations of this draft, this one included; worthwhile: what `find_worthwhile` gives, where that has been
    asked already; strict: add nothing that makes parallels.
    """
    if apart is None:
        apart = min(MIN_STEPS_APART, draft.steps // (2 * max(1, count)))
    if worthwhile is None:
        worthwhile = find_worthwhile(draft, scores, limits, risk, belief)
    cells = np.flatnonzero(worthwhile)
    if not cells.size or count < 1:
        return []
    log_p = normalise_log(scores.weights.ravel()[cells] / max(risk, 1e-3))
    noise = random.gumbel(size=cells.size) if risk > 0 else 0.0
    keys = log_p + noise
    best = np.argsort(-keys, kind="stable")[: 16 * count]
    locked = draft.find_locked(limits) if limits.locked_bars else None
    done: list[Edit] = []
    for index in best.tolist():
        step, pitch = divmod(int(cells[index]), draft.lengths.shape[1])
        if len(done) >= count:
            break
        if any(_measure_distance(draft, step, other.step) < apart for other in done):
            continue
        edit = _make_edit(draft, scores, limits, locked, iteration, step, pitch, float(log_p[index]))
        if edit is not None and not (strict and edit.action == ADD and makes_parallels(draft, edit)):
            draft.apply(edit)
            done.append(edit)
    return done


class NoteBelief:
    """The probability of each cell to be a note of the real piece, on the average of all evaluations of a draft.

    After its own edits a network sees a roll that it likes better than it should, and of many evaluations some find
    something to do anywhere. So an edit must be worthwhile now and by this, which evaluations move slowly: without it,
    notes get worse with every further one from the second on (models/LOG.md).
    """

    #: how far an evaluation moves it
    SHARE = 0.1

    def __init__(self) -> None:
        #: (steps, 128), 0..1; None before the first evaluation
        self.real: NDArray[np.float32] | None = None

    def update(self, draft: Draft, scores: EditScores) -> NDArray[np.float32]:
        """Learn from an evaluation of a draft, and return what it alone says; a draft of another size begins anew."""
        seen = _estimate_real(draft, scores)
        if self.real is None or self.real.shape != seen.shape:
            self.real = seen.copy()
        else:
            self.real += self.SHARE * (seen - self.real)
        return seen


def find_worthwhile(
    draft: Draft, scores: EditScores, limits: Limits, risk: float = 1.0, belief: NoteBelief | None = None
) -> Cells:
    """Return the cells whose edit the limits allow and is expected to do more good than harm, (steps, 128).

    Of a network that is not calibrated, all that the limits allow. Good is what brings the notes nearer to the real
    piece's, measured as F1: of notes that are each real with some probability, the best to have are those likelier than
    half of the F1 that they will have (Lipton et al. 2014). The threshold is lower where nothing of the input may go
    (COMPLETION_SHARE), and for a risk above 1.
    """
    beliefs = _estimate_real(draft, scores), None if belief is None else belief.real
    return choose_worthwhile(draft.find_open_cells(limits), scores, limits, risk, beliefs)


def choose_worthwhile(
    open_cells: tuple[Cells, Cells],
    scores: EditScores,
    limits: Limits,
    risk: float,
    beliefs: Iterable[NDArray[np.float32] | None],
) -> Cells:
    """Return what `find_worthwhile` does, where part of it is known.

    open_cells: as the draft tells them; beliefs: the probabilities of cells to be notes by which an edit is measured.
    """
    add, remove = open_cells
    if not scores.calibrated:
        return add | remove
    share = (COMPLETION_SHARE if limits.remove_max <= 0 else 1.0) / max(1.0, risk)
    for real in beliefs:
        if real is not None:
            threshold = _halve_best_f1(real) * share
            add, remove = add & (real >= threshold), remove & (real < REMOVAL_SHARE * threshold)
    return np.asarray(add | remove, np.bool_)


def _estimate_real(draft: Draft, scores: EditScores) -> NDArray[np.float32]:
    """Return the probability of each cell to be a note of the real piece, (steps, 128)."""
    differs = np.exp(np.minimum(scores.weights, 0))
    return np.asarray(np.where(draft.lengths > 0, 1 - differs, differs), np.float32)


def _halve_best_f1(real: NDArray[np.float32]) -> float:
    """Return half of the F1 that the best choice of notes is expected to have."""
    wanted = float(real.sum())
    likely = -np.sort(-real[real > 0.01])  # no choice gains from less likely ones
    if not likely.size:
        return 1.0
    return float((likely.cumsum() / (np.arange(1, likely.size + 1) + wanted)).max())


def makes_parallels(draft: Draft, edit: Edit) -> bool:
    """Tell whether two of the four highest voices would move in fifths, octaves or unisons around an added note.

    Where it begins or ends. The network hears what fits, not how voices move (models/LOG.md).
    """
    steps = np.arange(edit.step - WINDOW_STEPS, edit.step + edit.length + 1)
    inside = np.ones(len(steps), np.bool_) if draft.ring else (steps >= 0) & (steps < draft.steps)
    part = np.where(inside[:, None], draft.lengths[steps % draft.steps], 0)
    part[WINDOW_STEPS, edit.pitch] = edit.length
    heard = find_sounding(part)
    for step in (WINDOW_STEPS, WINDOW_STEPS + edit.length):
        before, after = (np.flatnonzero(heard[at])[::-1][:4] for at in (step - 1, step))
        count = min(len(before), len(after))
        before, after = before[:count], after[:count]
        moves, lie = after - before, after[:, None] - after[None]
        same_way, under = (moves[:, None] * moves[None]) > 0, -lie % 12
        kept = (lie % 12 == (before[:, None] - before[None]) % 12) & ((under == 0) | (under == 7))
        if (np.tri(count, k=-1, dtype=np.bool_) & same_way & kept).any():
            return True
    return False


def _make_edit(
    draft: Draft,
    scores: EditScores,
    limits: Limits,
    locked: NDArray[np.bool_] | None,
    iteration: int,
    step: int,
    pitch: int,
    log_p: float,
) -> Edit | None:
    """Return the edit of a cell, None where a limit or the edits before it leave no room for it."""
    length = int(draft.lengths[step, pitch])
    if length:
        if not draft.own[step, pitch] and draft.count_removable(limits) <= 0:
            return None
        return Edit(iteration, REMOVE, step, pitch, length, int(draft.velocities[step, pitch]), log_p)
    room = draft.find_room(step, pitch)
    if room < 1 or draft.count_addable(limits) <= 0:
        return None
    length = min(room, int(scores.lengths[step, pitch]))
    if locked is not None:
        into = locked[(step + np.arange(length)) % draft.steps, pitch]
        length = int(into.argmax()) if into.any() else length
    return Edit(iteration, ADD, step, pitch, length, _choose_velocity(draft, step), log_p)


def _measure_distance(draft: Draft, one: int, other: int) -> int:
    apart = abs(one - other)
    return min(apart, draft.steps - apart) if draft.ring else apart


def _choose_velocity(draft: Draft, step: int) -> int:
    """Return the velocity of an added note: of those around it (half a bar either way), or of all, or 80."""
    for first, last in ((max(0, step - 8), step + 9), (0, draft.steps)):
        near = draft.velocities[first:last][draft.lengths[first:last] > 0]
        if near.size:
            return int(near.mean())
    return 80


def normalise_log(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log-weights as log-probabilities: the probabilities sum to 1."""
    wide = weights.astype(np.float64)
    wide -= wide.max()
    return np.asarray(wide - np.log(np.exp(wide).sum()), np.float64)
