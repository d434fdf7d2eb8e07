"""The interface of a synthesiser: MIDI messages in, samples out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: samples a second of every synthesiser
RATE = 48_000
#: (frames, 2): left and right, within -1..1
Samples = NDArray[np.float32]


class Synth(Protocol):
    """Plays 16 MIDI channels at RATE."""

    name: str  #: for the user
    velocity_exponent: float  #: the power of a note's velocity that its samples grow with

    def play(self, data: bytes) -> None:
        """Take one MIDI message, which holds from the next sample on."""
        ...

    def render(self, frames: int) -> Samples:
        """Return the next samples, of shape (frames, 2)."""
        ...

    def set_gain(self, channel: int, gain: float) -> None:
        """Multiply what a channel (0..15) plays from now on by a factor, 0..1, as far as there are such steps."""
        ...

    def silence(self) -> None:
        """End everything that sounds."""
        ...


def render_messages(synth: Synth, messages: Iterable[tuple[int, bytes]], frames: int) -> Samples:
    """Return so many frames of a performance.

    messages: (frame, MIDI message) sorted by frame; those of the same frame are played in their order.
    """
    pieces: list[Samples] = []
    at = 0
    for when, data in messages:
        if when > at:
            pieces.append(synth.render(min(when, frames) - at))
            at = min(when, frames)
        synth.play(data)
    if at < frames:
        pieces.append(synth.render(frames - at))
    return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.float32)
