"""The AR-CNN's player: a draft of notes -> what the graph says of it -> edits.

The graph sees 8 bars. Longer pieces are seen through windows that overlap by half, each fading into the next; shorter
loops are repeated until they fill a window, so that their end hears their beginning.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from daemon.core.plan import LoopState, Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import check_style
from daemon.players.graph import Graph, GraphError, GraphPlayer
from music.edits import selection
from music.edits.draft import Draft
from music.edits.edit import Edit, Limits
from music.edits.selection import EditScores
from music.encoding.edit_grid import LENGTHS_STEPS, PLANES, WINDOW_STEPS, stack_planes
from music.note import EDITS, PITCHES

HOP_STEPS = WINDOW_STEPS // 2
_LENGTHS_STEPS = np.array(LENGTHS_STEPS, np.int16)
#: styles in which no added note may make voices move in parallel fifths or octaves
STRICT_STYLES = frozenset({"chorale"})
#: windows whose scores are remembered
_MAX_CACHED_WINDOWS = 256
#: how much a window counts at each of its steps: less and less towards its edges
_FADE_WEIGHTS = np.minimum(np.arange(WINDOW_STEPS) + 1, WINDOW_STEPS - np.arange(WINDOW_STEPS)).astype(np.float32)


class EditScorer:
    """What a graph says of drafts of any length."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError when the graph's inputs are not those of the AR-CNN."""
        self._graph = graph
        self.styles = graph.signature.styles
        wanted = {"planes": (1, len(PLANES), WINDOW_STEPS, PITCHES), "style": (1, len(self.styles))}
        given = {"weights": (1, WINDOW_STEPS, PITCHES), "lengths": (1, WINDOW_STEPS, PITCHES, len(LENGTHS_STEPS))}
        if dict(graph.signature.inputs) != wanted or dict(graph.signature.outputs) != given:
            raise GraphError(f"this graph does not fit the AR-CNN's window: it takes {dict(graph.signature.inputs)}")
        self._calibrated = bool(graph.signature.settings.get("calibrated", False))
        self._said: dict[int, tuple[tuple[bytes, bytes], EditScores]] = {}
        #: evaluations so far
        self.evaluations = 0

    def look(self, draft: Draft, limits: Limits, style: str) -> EditScores:
        """The scores of every cell of a draft. Raises UserError for a style that the graph does not know."""
        check_style(style, self.styles)
        hot = np.eye(len(self.styles), dtype=np.float32)[None, self.styles.index(style)]
        ring = draft.ring or draft.steps < WINDOW_STEPS
        seen = stack_planes(draft.lengths, self._kept(draft, limits), ring)
        weights = np.zeros((draft.steps, PITCHES), np.float32)
        lengths = np.ones((draft.steps, PITCHES), np.int16)
        total = np.zeros(draft.steps, np.float32)
        best = np.zeros(draft.steps, np.float32)
        for first in list_windows(draft.steps, ring):
            answer = self._window(first, np.take(seen, (first + np.arange(WINDOW_STEPS)) % draft.steps, 1), hot)
            for here, there in _split_window(first, draft.steps):
                fade = _FADE_WEIGHTS[here]
                weights[there] += answer.weights[here] * fade[:, None]
                nearer = fade > best[there]
                lengths[there][nearer] = answer.lengths[here][nearer]
                total[there] += fade
                best[there] = np.maximum(best[there], fade)
        return EditScores(weights / total[:, None], lengths, self._calibrated)

    def _window(self, first: int, seen: NDArray[np.float32], hot: NDArray[np.float32]) -> EditScores:
        """What the graph says of a window; what it has said of the same notes there it need not say again."""
        key = (seen.tobytes(), hot.tobytes())
        known = self._said.get(first)
        if known is not None and known[0] == key:
            return known[1]
        answer = self._graph.run({"planes": seen[None], "style": hot})
        self.evaluations += 1
        lengths = _LENGTHS_STEPS[answer["lengths"][0].argmax(2)]
        said = EditScores(answer["weights"][0], lengths, self._calibrated)
        self._said[first] = key, said
        if len(self._said) > _MAX_CACHED_WINDOWS:
            del self._said[next(iter(self._said))]
        return said

    @staticmethod
    def _kept(draft: Draft, limits: Limits) -> NDArray[np.bool_]:
        """Notes that the player has said are right: those that are locked, and the input where none of it may go."""
        kept = draft.locked(limits)
        if limits.remove_max <= 0:
            kept |= ~draft.own
        return kept


def list_windows(steps: int, ring: bool) -> list[int]:
    """The first steps of all windows over a sheet of that many steps; those over a ring go on at its beginning."""
    if ring:
        return list(range(0, steps, HOP_STEPS)) if steps > WINDOW_STEPS else [0]
    return [*range(0, steps - WINDOW_STEPS, HOP_STEPS), steps - WINDOW_STEPS]


def _split_window(first: int, steps: int) -> Iterator[tuple[slice, slice]]:
    """(part of the window that begins at `first`, the steps of the sheet it shows), without a leap in either."""
    at = 0
    while at < WINDOW_STEPS:
        there = (first + at) % steps
        size = min(WINDOW_STEPS - at, steps - there)
        yield slice(at, at + size), slice(there, there + size)
        at += size


class ArcnnPlayer(GraphPlayer):
    """A Player that answers with edits of the loop it is shown; the notes of the loop are the conductor's to play."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError when the graph's inputs are not those of the AR-CNN."""
        self._editor = EditScorer(graph)
        self._belief = selection.Belief()
        self._about: object = None  # what that is about
        self.info = self.describe(self._editor.styles)
        empty = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
        # the first look takes longest
        self._editor.look(Draft(empty, empty.astype(np.uint8)), Limits(), self.info.styles[0])

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player says of itself on a graph that knows these styles."""
        return PlayerInfo(
            past_steps=WINDOW_STEPS, memory_steps=WINDOW_STEPS, future_steps=HOP_STEPS, roles=(EDITS,), styles=styles
        )

    def plan(self, request: PlanRequest) -> Plan:
        """As many edits of request.loop as are wanted, or fewer. Raises UserError for a style that the graph does not
        know."""
        begun = time.perf_counter_ns()
        last = request.now + self.info.future_steps
        return Plan(
            *(request.number, request.now, last, request.heard, {EDITS: ()}),
            edits=self._edits(request),
            inference_ns=time.perf_counter_ns() - begun,
        )

    def _edits(self, request: PlanRequest) -> tuple[Edit, ...]:
        state, settings = request.loop, request.settings
        if state is None or not state.wanted_edits or not state.given:
            return ()
        draft, limits = build_draft(state), settings.limits
        if not any(cells.any() for cells in draft.open_cells(limits)):
            return ()
        scores = self._editor.look(draft, limits, settings.style)
        about = state.steps, state.bars, settings.style, limits
        if about != self._about:
            self._belief, self._about = selection.Belief(), about
        self._belief.look(draft, scores)
        random = np.random.default_rng([abs(settings.seed), state.request_count])
        edits = selection.draw_edits(
            draft,
            scores,
            limits,
            random,
            count=state.wanted_edits,
            risk=settings.creative_risk,
            iteration=state.request_count,
            belief=self._belief,
            strict=settings.style in STRICT_STYLES,
        )
        return tuple(edits)


def build_draft(state: LoopState) -> Draft:
    """Return the loop that the conductor shows in a request, as a draft that can be edited."""
    lengths = np.zeros((state.steps, PITCHES), np.int16)
    velocities = np.zeros((state.steps, PITCHES), np.uint8)
    own = np.zeros((state.steps, PITCHES), np.bool_)
    for step, pitch, length, velocity, mine in state.notes:
        lengths[step, pitch], velocities[step, pitch], own[step, pitch] = length, velocity, mine
    draft = Draft(lengths, velocities, state.bars, ring=True)
    draft.own[:] = own
    for cell in state.refused:
        draft.refused[cell] = True
    draft.given, draft.removed, draft.added = state.given, state.removed, int(own.sum())
    return draft
