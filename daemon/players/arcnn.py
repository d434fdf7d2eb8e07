"""The AR-CNN's player: a draft of notes -> what the graph says of it -> edits.

The graph sees 8 bars. Longer pieces are seen through windows that overlap by half, each fading into the next; shorter
loops are repeated until they fill a window, so that their end hears their beginning.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from daemon.session import Graph, GraphError
from music.editing import Scores
from music.edits import Draft, Limits
from music.sheet import LENGTHS, PITCHES, PLANES, WINDOW, planes

HOP = WINDOW // 2
#: how much a window counts at each of its steps: less and less towards its edges
_FADE = np.minimum(np.arange(WINDOW) + 1, WINDOW - np.arange(WINDOW)).astype(np.float32)


class Editor:
    """What a graph says of drafts of any length."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError when the graph's inputs are not those of the AR-CNN."""
        self._graph = graph
        self.styles = graph.signature.styles
        wanted = {"planes": (1, len(PLANES), WINDOW, PITCHES), "style": (1, len(self.styles))}
        given = {"weights": (1, WINDOW, PITCHES), "lengths": (1, WINDOW, PITCHES, len(LENGTHS))}
        if dict(graph.signature.inputs) != wanted or dict(graph.signature.outputs) != given:
            raise GraphError(f"this graph does not fit the AR-CNN's window: it takes {dict(graph.signature.inputs)}")
        self._calibrated = bool(graph.signature.settings.get("calibrated", False))
        #: evaluations so far
        self.evaluations = 0

    def look(self, draft: Draft, limits: Limits, style: str) -> Scores:
        """The scores of every cell of a draft. Raises ValueError for a style the graph does not know."""
        if style not in self.styles:
            raise ValueError(f"no style {style!r}; this graph knows {', '.join(self.styles)}")
        hot = np.eye(len(self.styles), dtype=np.float32)[None, self.styles.index(style)]
        ring = draft.ring or draft.steps < WINDOW
        seen = planes(draft.lengths, self._kept(draft, limits), ring)
        weights = np.zeros((draft.steps, PITCHES), np.float32)
        lengths = np.zeros((draft.steps, PITCHES, len(LENGTHS)), np.float32)
        total = np.zeros(draft.steps, np.float32)
        for first in windows(draft.steps, ring):
            index = (first + np.arange(WINDOW)) % draft.steps
            answer = self._graph.run({"planes": np.ascontiguousarray(seen[None][:, :, index]), "style": hot})
            self.evaluations += 1
            for here, there in _stretches(first, draft.steps):
                fade = _FADE[here]
                weights[there] += answer["weights"][0, here] * fade[:, None]
                lengths[there] += answer["lengths"][0, here] * fade[:, None, None]
                total[there] += fade
        weights /= total[:, None]
        lengths /= total[:, None, None]
        return Scores(weights, lengths, self._calibrated)

    @staticmethod
    def _kept(draft: Draft, limits: Limits) -> NDArray[np.bool_]:
        """Notes that the player has said are right: those that are locked, and the input where none of it may go."""
        kept = draft.locked(limits)
        if limits.remove_max <= 0:
            kept |= ~draft.own
        return kept


def windows(steps: int, ring: bool) -> list[int]:
    """The first steps of all windows over a sheet of that many steps; those over a ring go on at its beginning."""
    if ring:
        return list(range(0, steps, HOP)) if steps > WINDOW else [0]
    return [*range(0, steps - WINDOW, HOP), steps - WINDOW]


def _stretches(first: int, steps: int) -> Iterator[tuple[slice, slice]]:
    """(part of the window that begins at `first`, the steps of the sheet it shows), without a leap in either."""
    at = 0
    while at < WINDOW:
        there = (first + at) % steps
        size = min(WINDOW - at, steps - there)
        yield slice(at, at + size), slice(there, there + size)
        at += size
