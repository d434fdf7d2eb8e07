"""The AR-CNN's player: scores every edit of a draft, and draws edits from the scores.

The graph sees a window of 8 bars. Longer pieces are scored through windows that overlap by half and fade into each
other; shorter loops are repeated until they fill a window, so that their end is seen before their beginning.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.core.plan import LoopState, Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import check_style
from daemon.players.graph import Graph, GraphError, GraphPlayer, reporting_failure
from music.edits import selection
from music.edits.draft import Draft
from music.edits.edit import Edit, Limits
from music.edits.selection import EditScores
from music.encoding.edit_grid import LENGTHS_STEPS, PLANES, WINDOW_STEPS, find_planes
from music.note import EDITS, PITCHES

#: steps from one window to the next
HOP_STEPS = WINDOW_STEPS // 2
_LENGTHS_STEPS = np.array(LENGTHS_STEPS, np.int16)
#: styles in which no added note may make voices move in parallel fifths or octaves
STRICT_STYLES = frozenset({"chorale"})
#: windows whose scores are kept
_MAX_CACHED_WINDOWS = 256
#: a draft of more windows than that keeps of the scores of lengths (0.8 MB a window) only the best
_MAX_WHOLE_WINDOWS = 4
#: weight of a window at each of its steps: less and less towards its edges
_FADE_WEIGHTS = np.minimum(np.arange(WINDOW_STEPS) + 1, WINDOW_STEPS - np.arange(WINDOW_STEPS)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _WindowScores:
    """The scores of a window."""

    #: what it showed, and the style
    key: tuple[bytes, bytes]
    #: (WINDOW_STEPS, 128)
    weights: NDArray[np.float32]
    #: (WINDOW_STEPS, 128, lengths) scores, or (WINDOW_STEPS, 128) lengths
    lengths: NDArray[Any]


class EditScorer:
    """Scores the edits of drafts of any length."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one whose inputs or outputs are not those of an AR-CNN."""
        self._graph = graph
        #: the styles that the graph knows
        self.styles = graph.signature.styles
        inputs = {"planes": (1, len(PLANES), WINDOW_STEPS, PITCHES), "style": (1, len(self.styles))}
        outputs = {"weights": (1, WINDOW_STEPS, PITCHES), "lengths": (1, WINDOW_STEPS, PITCHES, len(LENGTHS_STEPS))}
        if dict(graph.signature.inputs) != inputs or dict(graph.signature.outputs) != outputs:
            raise GraphError(f"this graph does not fit the AR-CNN's window: it takes {dict(graph.signature.inputs)}")
        self._calibrated = bool(graph.signature.settings.get("calibrated", False))
        self._cache: dict[int, _WindowScores] = {}  # by the first step of the window
        #: runs of the graph so far
        self.evaluations = 0

    def score(self, draft: Draft, limits: Limits, style: str) -> EditScores:
        """Return the scores of every cell of a draft. Raises UserError for a style that the graph does not know."""
        check_style(style, self.styles)
        one_hot = np.eye(len(self.styles), dtype=np.float32)[None, self.styles.index(style)]
        ring = draft.ring or draft.steps < WINDOW_STEPS
        seen = find_planes(draft.lengths, _find_kept(draft, limits), ring)
        weights = np.zeros((draft.steps, PITCHES), np.float32)
        total, best = np.zeros(draft.steps, np.float32), np.zeros(draft.steps, np.float32)
        owners, places = np.zeros(draft.steps, np.intp), np.zeros(draft.steps, np.intp)
        lengths = []
        firsts = list_windows(draft.steps, ring)
        for number, first in enumerate(firsts):
            at = (first + np.arange(WINDOW_STEPS)) % draft.steps
            window = self._score_window(first, np.take(seen, at, 1), one_hot, len(firsts))
            lengths.append(window.lengths)
            for here, there in _split_window(first, draft.steps):
                fade = _FADE_WEIGHTS[here]
                weights[there] += window.weights[here] * fade[:, None]
                total[there] += fade
                nearer = fade > best[there]
                owners[there][nearer], places[there][nearer] = number, np.arange(here.start, here.stop)[nearer]
                best[there] = np.maximum(best[there], fade)
        weights /= total[:, None]
        return EditScores(weights, selection.WindowLengths(lengths, owners, places), self._calibrated)

    def _score_window(
        self, first: int, seen: NDArray[np.bool_], one_hot: NDArray[np.float32], windows: int
    ) -> _WindowScores:
        """Return the scores of a window; the graph is not run again for what was scored there the last time.

        windows: how many the draft has.
        """
        key = (seen.tobytes(), one_hot.tobytes())
        cached = self._cache.get(first)
        if cached is not None and cached.key == key:
            return cached
        outputs = self._graph.run({"planes": seen.astype(np.float32)[None], "style": one_hot})
        self.evaluations += 1
        with reporting_failure():
            lengths: NDArray[Any] = outputs["lengths"].reshape(WINDOW_STEPS, PITCHES, len(LENGTHS_STEPS))
            if windows > _MAX_WHOLE_WINDOWS:
                lengths = _LENGTHS_STEPS[lengths.argmax(2)]
            weights = outputs["weights"].reshape(WINDOW_STEPS, PITCHES)
        self._cache[first] = scores = _WindowScores(key, weights, lengths)
        if len(self._cache) > _MAX_CACHED_WINDOWS:
            del self._cache[next(iter(self._cache))]
        return scores


def _find_kept(draft: Draft, limits: Limits) -> NDArray[np.bool_]:
    """Return the notes that are said to be right: the locked ones, and all of the input if none of it may go."""
    kept = draft.find_locked(limits)
    if limits.remove_max <= 0:
        kept |= ~draft.own
    return kept


def list_windows(steps: int, ring: bool) -> list[int]:
    """Return the first steps of all windows over a draft of that many steps; on a ring they go on at its beginning."""
    if ring:
        return list(range(0, steps, HOP_STEPS)) if steps > WINDOW_STEPS else [0]
    return [*range(0, steps - WINDOW_STEPS, HOP_STEPS), steps - WINDOW_STEPS]


def _split_window(first: int, steps: int) -> Iterator[tuple[slice, slice]]:
    """Yield parts of the window that begins at `first`, each with the steps of the draft it shows.

    Neither jumps within a part, as the window does over the end of a ring.
    """
    at = 0
    while at < WINDOW_STEPS:
        there = (first + at) % steps
        size = min(WINDOW_STEPS - at, steps - there)
        yield slice(at, at + size), slice(there, there + size)
        at += size


class ArcnnPlayer(GraphPlayer):
    """A Player that answers with edits of the loop in the request; the loop's notes are played by the conductor."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one whose inputs or outputs are not those of an AR-CNN."""
        self._scorer = EditScorer(graph)
        self._belief = selection.NoteBelief()
        self._belief_subject: object = None  # loop, style and limits that the belief is about
        self.info = self.describe(self._scorer.styles)
        empty = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
        # the first evaluation takes longest
        self._scorer.score(Draft(empty, empty.astype(np.uint8)), Limits(), self.info.styles[0])

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player says of itself on a graph that knows these styles."""
        return PlayerInfo(
            past_steps=WINDOW_STEPS, memory_steps=WINDOW_STEPS, future_steps=HOP_STEPS, roles=(EDITS,), styles=styles
        )

    def plan(self, request: PlanRequest) -> Plan:
        """Return a plan with as many edits of `request.loop` as are wanted, or fewer.

        Raises UserError for a style that the graph does not know.
        """
        begun_ns = time.perf_counter_ns()
        edits = self._draw_edits(request)
        return Plan(
            number=request.number,
            first=request.now,
            last=request.now + self.info.future_steps,
            heard=request.heard,
            notes={EDITS: ()},
            edits=edits,
            inference_ns=time.perf_counter_ns() - begun_ns,
        )

    def _draw_edits(self, request: PlanRequest) -> tuple[Edit, ...]:
        state, settings = request.loop, request.settings
        if state is None or not state.wanted_edits or not state.given:
            return ()
        draft, limits = build_draft(state), settings.limits
        open_cells = draft.find_open_cells(limits)
        if not any(cells.any() for cells in open_cells):
            return ()
        scores = self._scorer.score(draft, limits, settings.style)
        subject = state.steps, state.bars, settings.style, limits
        if subject != self._belief_subject:
            self._belief, self._belief_subject = selection.NoteBelief(), subject
        seen = self._belief.update(draft, scores)
        risk = settings.creative_risk
        worthwhile = selection.choose_worthwhile(open_cells, scores, limits, risk, (seen, self._belief.real))
        edits = selection.draw_edits(
            draft,
            scores,
            limits,
            np.random.default_rng([abs(settings.seed), state.request_count]),
            count=state.wanted_edits,
            risk=risk,
            iteration=state.request_count,
            worthwhile=worthwhile,
            strict=settings.style in STRICT_STYLES,
        )
        return tuple(edits)


def build_draft(state: LoopState) -> Draft:
    """Return the loop in a request as a draft that can be edited."""
    lengths = np.zeros((state.steps, PITCHES), np.int16)
    velocities = np.zeros((state.steps, PITCHES), np.uint8)
    step, pitch, length, velocity, own = np.array(state.notes, np.int64).reshape(-1, 5).T
    lengths[step, pitch], velocities[step, pitch] = length, velocity
    draft = Draft(lengths, velocities, state.bars, ring=True)
    draft.own[step, pitch] = own
    for cell in state.refused:
        draft.refused[cell] = True
    draft.given, draft.removed, draft.added = state.given, state.removed, int(own.sum())
    return draft
