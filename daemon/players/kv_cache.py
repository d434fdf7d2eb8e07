"""The transformer's decoders: one that reads the music so far, step by step, and one that writes a step's tokens.

The first keeps keys and values in a ring that its graph writes in place: one OrtValue a layer is the graph's input and
its output at once. Nothing but the scatter reads the input, so onnxruntime writes the new rows where the old ones lay.
A step costs the same in the first minute and after hours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.players.graph import Graph, GraphError, check_numbers, reporting_failure, run_session
from music.encoding import step_features

#: the step that an empty slot of the ring belongs to
_NO_STEP = -(1 << 40)
#: more steps than any period of positions has
_MAX_PERIOD = 1 << 31

Floats = NDArray[np.float32]


class DecoderState(NamedTuple):
    """Expectations of the decoder for the step after the last one that it has read."""

    #: (1, width) for the token writer
    memory: Floats
    #: (1, 3 * width) for the token writer
    condition: Floats
    #: (4,) logits of velocity / 127 by role
    velocity: Floats
    #: (2 + PITCH_TOKENS,) logits of what the melody does: rest, go on, or begin a pitch
    melody: Floats


class KvCache:
    """Reads rows of features, one a step, and knows which of them its ring of keys and values still holds."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one that is not a transformer's."""
        from daemon.players.onnx_runtime import onnxruntime

        self._session = graph.session
        settings, shapes = graph.signature.settings, graph.signature.inputs
        try:
            self._windows = np.array(settings["windows"], np.int64)  # steps that each layer looks back
            self._size, self._period = int(settings["ring"]), int(settings["period"])
            layers = [tuple(map(int, shapes[f"ring_{i}"])) for i in range(len(self._windows))]
            fits = shapes["features"] == (1, "steps", step_features.FEATURE_COUNT)
            fits = fits and all(shape[0] == self._size for shape in layers)
            looks_back = self._windows.ndim == 1 and self._windows.min() > 0 and self._windows.max() < self._size
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise GraphError(f"this graph does not fit: it is not a transformer's ({error})") from None
        if not (looks_back and 0 < self._period < _MAX_PERIOD):
            raise GraphError("this graph does not fit: its windows, ring and period are none of a transformer's")
        if not fits:
            raise GraphError(f"this graph does not fit: its steps have {shapes['features']} features")
        #: steps before now on which the decoder's state depends
        self.context_steps = int(self._windows.sum())
        # as many as can be read at once without overwriting one that is still needed
        self._max_batch_steps = self._size - int(self._windows.max())
        self._binding = self._session.io_binding()
        self._rings = [onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(s, np.float32)) for s in layers]
        for i, ring in enumerate(self._rings):
            self._binding.bind_ortvalue_input(f"ring_{i}", ring)
        self._rows = np.zeros((self._size, step_features.FEATURE_COUNT), np.float32)
        self._steps = np.full(self._size, _NO_STEP, np.int64)  # the step in each slot
        self._style: bytes = b""

    def advance(self, rows: Floats, first: int, style: Floats) -> DecoderState:
        """Return the state after the steps [first, first + len(rows)).

        Only those steps are read that have not been read yet, or were different. rows: (n, FEATURE_COUNT), n >= 1;
        style: (1, styles), one-hot.
        """
        if style.tobytes() != self._style:
            self.clear()
            self._style = style.tobytes()
        at = first + np.arange(len(rows))
        slots = at % self._size
        known = (self._steps[slots] == at) & (self._rows[slots] == rows).all(1)
        begin = len(rows) - 1 if known.all() else int(known.argmin())  # the state after the last is not kept: read it
        if begin == 0:
            self.clear()
        state = None
        for low in range(begin, len(rows), self._max_batch_steps):
            high = low + self._max_batch_steps
            state = self._read(rows[low:high], at[low:high], style)
        assert state is not None
        return state

    def clear(self) -> None:
        """Forget every step."""
        self._steps[:] = _NO_STEP

    def _read(self, rows: Floats, at: NDArray[np.int64], style: Floats) -> DecoderState:
        """Run the graph on the rows of the steps `at`."""
        slots = at % self._size
        self._rows[slots], self._steps[slots] = rows, at
        back = at[:, None] - self._steps[None, :]  # (n, size)
        seen = (back >= 0)[None] & (back[None] < self._windows[:, None, None])
        with reporting_failure():
            memory, condition, velocity, melody = self._run(rows, at, style, slots, seen)
        check_numbers((memory, condition, velocity, melody))
        return DecoderState(memory, condition, velocity[0], melody[0])

    def _run(
        self, rows: Floats, at: NDArray[np.int64], style: Floats, slots: NDArray[np.int64], seen: NDArray[np.bool_]
    ) -> list[Floats]:
        """Run the graph; return the four outputs that are no rings."""
        binding = self._binding
        binding.bind_cpu_input("features", rows[None])
        binding.bind_cpu_input("style", style)
        binding.bind_cpu_input("position", at % self._period)
        binding.bind_cpu_input("slots", slots)
        binding.bind_cpu_input("seen", seen)
        for name in ("memory", "condition", "loudness", "tune"):
            binding.bind_output(name)
        for i, ring in enumerate(self._rings):
            binding.bind_ortvalue_output(f"ring_{i}_out", ring)
        self._session.run_with_iobinding(binding)
        outputs = [value.numpy() for value in binding.get_outputs()[:4]]
        binding.clear_binding_outputs()
        return outputs


class TokenWriter:
    """Writes the tokens of one step, one after another."""

    def __init__(self, graph: Graph, vocabulary: int) -> None:
        """Open the writer that a graph carries. Raises GraphError for another number of tokens than `vocabulary`."""
        self._session: Any = graph.open_part("writer")
        shape = tuple(self._session.get_outputs()[0].shape)
        if shape != (1, vocabulary):
            raise GraphError(f"this graph does not fit: its vocabulary has {shape[-1]} tokens, not {vocabulary}")
        self._no_token = np.array([vocabulary], np.int64)

    def begin(self, state: DecoderState) -> tuple[Floats, Floats]:
        """Return the logits (vocabulary,) of a step's first token, and the writer's memory after it."""
        return self._run(state.memory, state.condition, self._no_token)

    def advance(self, state: DecoderState, memory: Floats, token: int) -> tuple[Floats, Floats]:
        """Return the logits of the token after `token`, and the writer's memory after it."""
        return self._run(memory, state.condition, np.array([token], np.int64))

    def _run(self, memory: Floats, condition: Floats, token: NDArray[np.int64]) -> tuple[Floats, Floats]:
        logits, after = run_session(self._session, {"memory": memory, "condition": condition, "token": token})
        return logits[0], after
