"""The transformer's memory while it plays: a ring of keys and values that the graph writes in place.

One OrtValue a layer is the graph's input and its output at once: nothing but the scatter reads the input, so that
onnxruntime writes the new rows where the old ones lay. A step costs the same in the first minute and after hours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.players.graph import Graph, GraphError
from music.encoding import step_features

_NEVER = -(1 << 40)

Floats = NDArray[np.float32]


class DecoderState(NamedTuple):
    """What the hand says of the step after the last one fed: memory (1, width) and condition (1, 3 * width) for the
    writer, loudness (4,) logits of velocity / 127 by role, tune (2 + PITCHES,) logits of what the melody does: rest, go
    on, begin a pitch."""

    memory: Floats
    condition: Floats
    loudness: Floats
    tune: Floats


class KvCache:
    """Feeds rows of features to the hand, step by step, and knows which of them it still remembers."""

    def __init__(self, graph: Graph) -> None:
        """Raises GraphError when the graph is no hand."""
        import onnxruntime

        self._session = graph.session
        settings, shapes = graph.signature.settings, graph.signature.inputs
        try:
            self._windows = np.array(settings["windows"], np.int64)
            self.size, self._period = int(settings["ring"]), int(settings["period"])
            layers = [tuple(map(int, shapes[f"ring_{i}"])) for i in range(len(self._windows))]
            fits = shapes["features"] == (1, "steps", step_features.FEATURE_COUNT) and all(
                s[0] == self.size for s in layers
            )
        except (KeyError, TypeError, ValueError) as error:
            raise GraphError(f"this graph does not fit: it is no transformer's hand ({error})") from None
        if not fits:
            raise GraphError(f"this graph does not fit: its steps have {shapes['features']} features")
        #: steps on which what it says depends
        self.context = int(self._windows.sum())
        #: steps that may be fed at once without one that is still needed being overwritten
        self.most = self.size - int(self._windows.max())
        self._binding = self._session.io_binding()
        self._kept = [onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(s, np.float32)) for s in layers]
        for i, ring in enumerate(self._kept):
            self._binding.bind_ortvalue_input(f"ring_{i}", ring)
        self._rows = np.zeros((self.size, step_features.FEATURE_COUNT), np.float32)
        self._step = np.full(self.size, _NEVER, np.int64)
        self._style: bytes = b""

    def follow(self, rows: Floats, first: int, style: Floats) -> DecoderState:
        """What the hand says after the steps [first, first + len(rows)). Feeds those that it has not been fed, or fed
        otherwise; rows: (n, FEATURES), n >= 1; style: (1, styles)."""
        if style.tobytes() != self._style:
            self.forget()
            self._style = style.tobytes()
        at = first + np.arange(len(rows))
        slots = at % self.size
        known = (self._step[slots] == at) & (self._rows[slots] == rows).all(1)
        begin = len(rows) - 1 if known.all() else int(known.argmin())  # what it says of the last is not kept
        if begin == 0:
            self.forget()
        answer = None
        for low in range(begin, len(rows), self.most):
            answer = self._feed(rows[low : low + self.most], at[low : low + self.most], style)
        assert answer is not None
        return answer

    def forget(self) -> None:
        """Remember nothing."""
        self._step[:] = _NEVER

    def _feed(self, rows: Floats, at: NDArray[np.int64], style: Floats) -> DecoderState:
        slots = at % self.size
        self._rows[slots], self._step[slots] = rows, at
        back = at[:, None] - self._step[None, :]  # (n, size)
        seen = (back >= 0)[None] & (back[None] < self._windows[:, None, None])
        binding = self._binding
        binding.bind_cpu_input("features", rows[None])
        binding.bind_cpu_input("style", style)
        binding.bind_cpu_input("position", at % self._period)
        binding.bind_cpu_input("slots", slots)
        binding.bind_cpu_input("seen", seen)
        for name in ("memory", "condition", "loudness", "tune"):
            binding.bind_output(name)
        for i, ring in enumerate(self._kept):
            binding.bind_ortvalue_output(f"ring_{i}_out", ring)
        self._session.run_with_iobinding(binding)
        memory, condition, loudness, tune = (value.numpy() for value in binding.get_outputs()[:4])
        binding.clear_binding_outputs()
        return DecoderState(memory, condition, loudness[0], tune[0])


class TokenWriter:
    """Writes tokens: the depth decoder, one call a token."""

    def __init__(self, graph: Graph, vocabulary: int) -> None:
        """Raises GraphError."""
        self._session: Any = graph.part("writer")
        shape = tuple(self._session.get_outputs()[0].shape)
        if shape != (1, vocabulary):
            raise GraphError(f"this graph does not fit: its vocabulary has {shape[-1]} tokens, not {vocabulary}")
        self._blank = np.array([vocabulary], np.int64)

    def begin(self, intent: DecoderState) -> tuple[Floats, Floats]:
        """Logits (vocabulary,) of a step's first token, and the memory after it was asked for."""
        return self._next(intent.memory, intent.condition, self._blank)

    def go_on(self, intent: DecoderState, memory: Floats, token: int) -> tuple[Floats, Floats]:
        """The same of the next one, after a token."""
        return self._next(memory, intent.condition, np.array([token], np.int64))

    def _next(self, memory: Floats, condition: Floats, token: NDArray[np.int64]) -> tuple[Floats, Floats]:
        logits, after = self._session.run(None, {"memory": memory, "condition": condition, "token": token})
        return logits[0], after
