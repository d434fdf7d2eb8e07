"""The transformer's decoders: one that reads the music so far, step by step, and one that writes a step's tokens.

The first keeps keys and values in a ring that its graph writes in place: one OrtValue a layer is the graph's input and
its output at once. Nothing but the scatter reads the input, so onnxruntime writes the new rows where the old ones lay.
A step costs the same in the first minute and after hours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.players.graph import Graph, GraphError, check_numbers, get_run_options, reporting_failure, run_session
from music.encoding import step_features

#: the step that an empty slot of the ring belongs to
_NO_STEP = -(1 << 40)
#: more steps than any period of positions has
_MAX_PERIOD = 1 << 31

#: states that are kept: those after the steps that a plan writes, and as many before them
_KEPT_STATES = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class DecoderState:
    """Expectations of the decoder for the step after the last one that it has read."""

    #: (1, width) for the token writer
    memory: Floats
    #: (1, 3 * width) for the token writer
    condition: Floats
    #: (4,) logits of velocity / 127 by role
    velocity: Floats
    #: (2 + PITCH_TOKENS,) logits of what the melody does: rest, go on, or begin a pitch
    melody: Floats
    #: tokens written after it -> logits of the next, and the writer's memory
    written: dict[tuple[int, ...], tuple[Floats, Floats]] = field(default_factory=dict)


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
        #: step -> state after it, of the steps in the ring after which a plan has asked
        self._states: dict[int, DecoderState] = {}

    def advance(self, rows: Floats, first: int, style: Floats, changed: int | None = None) -> DecoderState:
        """Return the state after the steps [first, first + len(rows)).

        Only those steps are read that have not been read yet, or were different. rows: (n, FEATURE_COUNT), n >= 1;
        style: (1, styles), one-hot; changed: the first step whose row may be another than the last time, None: any.
        """
        if style.tobytes() != self._style:
            self.clear()
            self._style = style.tobytes()
        at = first + np.arange(len(rows))
        slots = at % self._size
        known = self._steps[slots] == at
        since = 0 if changed is None else min(max(0, changed - first), len(rows))
        known[since:] &= (self._rows[slots[since:]] == rows[since:]).all(1)
        begin = len(rows) if known.all() else int(known.argmin())
        last = first + len(rows) - 1
        if begin == len(rows):
            if begin > 1 and last in self._states:
                return self._states[last]
            # it is read again: no plan has asked for the state after it, or a first step has others before it no more
            begin -= 1
        if begin == 0:
            self.clear()
        self._forget_after(first + begin - 1)
        for low in range(begin, len(rows), self._max_batch_steps):
            high = low + self._max_batch_steps
            self._states[last] = self._read(rows[low:high], at[low:high], style)
        return self._states[last]

    def clear(self) -> None:
        """Forget every step."""
        self._steps[:] = _NO_STEP
        self._states.clear()

    def _forget_after(self, step: int) -> None:
        """Forget what was read after a step: it was read after another past; and states that nobody will ask for."""
        self._steps[self._steps > step] = _NO_STEP
        self._states = {at: state for at, state in self._states.items() if step - _KEPT_STATES < at <= step}

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
        self._session.run_with_iobinding(binding, get_run_options())
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

    def write(self, state: DecoderState, tokens: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Return the logits (vocabulary,) of the token after `tokens`, and the writer's memory after them.

        Asked in their order, one token after another.
        """
        found = state.written.get(tokens)
        if found is None:
            if tokens:
                memory, token = state.written[tokens[:-1]][1], np.array(tokens[-1:], np.int64)
            else:
                memory, token = state.memory, self._no_token
            found = state.written[tokens] = self._run(memory, state.condition, token)
        return found

    def _run(self, memory: Floats, condition: Floats, token: NDArray[np.int64]) -> tuple[Floats, Floats]:
        logits, after = run_session(self._session, {"memory": memory, "condition": condition, "token": token})
        return logits[0], after
