"""Logits -> a choice: temperature, top-p and a seeded generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def choose(
    logits: NDArray[np.floating],
    random: np.random.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    allowed: NDArray[np.bool_] | None = None,
) -> int:
    """Return an index of `logits` (n,), drawn from softmax(logits / temperature); temperature 0 takes the likeliest.

    top_p: draw among the likeliest that together hold at least this share (0..1] of the probability; allowed: (n,),
    which may be chosen. Draws one number from `random` whatever the outcome. Raises ValueError when nothing is allowed.
    """
    u = random.random()
    index = np.arange(logits.size) if allowed is None else np.flatnonzero(allowed)
    if not index.size:
        raise ValueError("nothing is allowed")
    kept = logits[index].astype(np.float64)
    if temperature <= 0 or index.size == 1:
        return int(index[kept.argmax()])
    odds = np.exp((kept - kept.max()) / temperature)
    order = np.argsort(-odds, kind="stable")
    total = np.cumsum(odds[order])
    last = int(np.searchsorted(total, min(top_p, 1.0) * total[-1])) + 1
    total = total[:last]
    place = min(int(np.searchsorted(total, u * total[-1], side="right")), total.size - 1)
    return int(index[order[place]])
