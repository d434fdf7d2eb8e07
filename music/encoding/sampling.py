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
    """Return the place in `logits`, (n,) of at least one, that a random number 0..1 chooses, as `choose` does.

    A logit of minus infinity is never chosen. Where some are no numbers, the place of one of them is returned.
    """
    likeliest = int(logits.argmax())
    if temperature <= 0 or logits.size == 1:
        return likeliest
    odds = logits - logits[likeliest]
    odds /= temperature
    np.exp(odds, odds)
    whole, share = float(np.add.reduce(odds)), min(top_p, 1.0)
    # the likeliest, of odds 1, comes first: where it is chosen the others need no order
    if not (u * whole >= 1 and share * whole > 1):
        return likeliest
    order = (-odds).argsort(kind="stable")
    total = odds[order].cumsum()
    total = total[: int(total.searchsorted(share * total[-1])) + 1]
    place = min(int(total.searchsorted(u * total[-1], side="right")), total.size - 1)
    return int(order[place])
