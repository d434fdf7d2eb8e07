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
    return int(index[choose_place(logits[index].astype(np.float64), u, temperature, top_p)])


def choose_place(logits: NDArray[np.float64], u: float, temperature: float, top_p: float) -> int:
    """Return the place in `logits`, (n,) of at least one, that a random number 0..1 chooses, as `choose` does."""
    if temperature <= 0 or logits.size == 1:
        return int(logits.argmax())
    odds = np.exp((logits - logits.max()) / temperature)
    order = (-odds).argsort(kind="stable")
    total = odds[order].cumsum()
    total = total[: int(total.searchsorted(min(top_p, 1.0) * total[-1])) + 1]
    place = min(int(total.searchsorted(u * total[-1], side="right")), total.size - 1)
    return int(order[place])
