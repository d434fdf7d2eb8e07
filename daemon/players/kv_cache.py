"""The transformer's decoders: one that reads the music so far, step by step, and one that writes a step's tokens.

The first keeps keys and values in rings that its graph writes in place: an array is the graph's input and its output at
once. Nothing but the scatter reads the input, so onnxruntime writes the new rows where the old ones lay, and whatever
attends to a ring reads it where it lies. A step costs the same in the first minute and after hours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.players.graph import BoundSession, Graph, GraphError, check_numbers, reporting_failure
from music.encoding import step_features
from music.encoding.step_tokens import END, Grammar

#: more steps than any period of positions has
_MAX_PERIOD = 1 << 31
#: what stands in a mask where a slot is not heard
_UNHEARD = np.float32(-1e9)

#: features of a step, without and with the pulses of its metre
_FEATURE_COUNTS = step_features.FEATURE_COUNT, step_features.FEATURE_COUNT + step_features.PULSE_FEATURES

#: states that are kept: those after the steps that a plan writes, and as many before them
_KEPT_STATES = 8

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class WrittenTokens:
    """Tokens, and what the writer's graph answered where each was to be chosen."""

    tokens: Sequence[int] = ()
    #: (n, 1, vocabulary) logits from which the first n tokens were chosen
    logits: Floats = field(default_factory=lambda: np.empty((0, 1, 1), np.float32))
    #: (n, 1, width) the writer's memory where it gave them
    memories: Floats = field(default_factory=lambda: np.empty((0, 1, 1), np.float32))


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
    #: what the token writer has written last after it
    written: WrittenTokens = field(default_factory=WrittenTokens)


class _RingDecoder:
    """The graph that reads steps, and its rings."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one that is not a transformer's."""
        settings, shapes = graph.signature.settings, graph.signature.inputs
        if "ring_0" in shapes:
            raise GraphError("this graph does not fit: it is of an earlier version; `houseband export` it once more")
        try:
            #: steps that each layer looks back over, itself included
            self.windows = [int(window) for window in settings["windows"]]
            self._period = int(settings["period"])
            layers = range(len(self.windows))
            rings = {
                f"{what}_{i}": tuple(map(int, shapes[f"{what}_{i}"])) for what in ("keys", "values") for i in layers
            }
            #: slots of each layer's rings
            self.sizes = [rings[f"keys_{i}"][1] for i in layers]
            #: features of a step that it reads: those of its metre's pulses, too, if it has learnt others than 4/4
            self.feature_count = int(shapes["features"][2])
            fits = shapes["features"] == (1, "steps", self.feature_count) and bool(self.windows)
            fits = fits and self.feature_count in _FEATURE_COUNTS
            fits = fits and all(shapes[f"mask_{i}"] == ("steps", self.sizes[i]) for i in layers)
        except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
            raise GraphError(f"this graph does not fit: it is not a transformer's ({error})") from None
        looks_back = all(0 < window < size for window, size in zip(self.windows, self.sizes, strict=True))
        if not (looks_back and 0 < self._period < _MAX_PERIOD):
            raise GraphError("this graph does not fit: its windows, rings and period are none of a transformer's")
        if not fits:
            raise GraphError(f"this graph does not fit: its steps have {shapes['features']} features")
        #: steps that can be read at once, or given up and read anew, without overwriting one that is still needed
        self.spare_steps = min(size - window for window, size in zip(self.windows, self.sizes, strict=True))
        self._session = graph.session
        #: input and output -> ring (heads, slots, width)
        self.rings = {name: np.zeros(shape, np.float32) for name, shape in rings.items()}
        self._full = [_mark_full(window, size) for window, size in zip(self.windows, self.sizes, strict=True)]
        self._single = self._bind(1)

    def read(self, rows: Floats, step: int, begin: int, style: Floats) -> DecoderState:
        """Read the steps from `step` on; return the state after the last.

        rows: (n, feature_count), n <= spare_steps; begin: the first step that is heard, all from there on lie in the
        rings.
        """
        bound = self._single if len(rows) == 1 else self._bind(len(rows))
        bound.features[...], bound.style[...] = rows, style
        for k in range(len(rows)):
            at = step + k
            bound.position[k], bound.step[k] = at % self._period, at
            for mask, window, size, full in zip(bound.masks, self.windows, self.sizes, self._full, strict=True):
                slot = at % size
                if at - begin + 1 < window:
                    _mark_heard(mask[k], slot, at - begin + 1)
                else:
                    mask[k] = full[size - 1 - slot :][:size]
        return bound.run()

    def _bind(self, count: int) -> _BoundSteps:
        """Return the session on so many steps."""
        return _BoundSteps(self._session, self.rings, count, len(self.windows))


class _BoundSteps:
    """The session that reads steps, on a number of them, with its inputs in place."""

    def __init__(self, session: Any, rings: Mapping[str, Floats], count: int, layers: int) -> None:
        shapes = {each.name: each.shape for each in session.get_outputs()}
        ends = list(accumulate(math.prod(shapes[name]) for name in _ANSWERS))
        self._answer = np.zeros(ends[-1], np.float32)  # all of what is said of the next step, side by side
        self._spans = [slice(first, end) for first, end in zip((0, *ends), ends, strict=False)]
        parts = zip(_ANSWERS, self._spans, strict=True)
        places = {name: self._answer[span].reshape(shapes[name]) for name, span in parts}
        kept = {f"{name}_out": ring for name, ring in rings.items()}
        self._bound = BoundSession(session, {**rings, **kept, **places}, {"steps": count})
        inputs = self._bound.inputs
        self.features, self.style = inputs["features"][0], inputs["style"]
        self.position, self.step = inputs["position"], inputs["step"]
        self.masks = [inputs[f"mask_{i}"] for i in range(layers)]

    def run(self) -> DecoderState:
        """Run the graph; return the state after the last step. Raises InferenceError."""
        self._bound.run()
        answer = self._answer.copy()
        check_numbers((answer,))
        memory, condition, velocity, melody = (answer[span] for span in self._spans)
        return DecoderState(memory[None], condition[None], velocity, melody)


#: outputs of the graph of steps, but for the rings: those of DecoderState, in its order
_ANSWERS = ("memory", "condition", "loudness", "tune")


def _mark_full(window: int, size: int) -> Floats:
    """Return the masks of a ring where a whole window is heard, (2 * size - 1,): that of slot i begins size - 1 - i."""
    back = (size - 1 - np.arange(2 * size - 1)) % size
    return np.where(back < window, np.float32(0), _UNHEARD)


def _mark_heard(mask: Floats, slot: int, count: int) -> None:
    """Set a mask (slots,) of a ring to 0 at a slot and the `count` - 1 before it, and to _UNHEARD elsewhere."""
    mask.fill(_UNHEARD)
    first = slot + 1 - count
    mask[max(first, 0) : slot + 1] = 0
    if first < 0:
        mask[first:] = 0


class KvCache:
    """Reads rows of features, one a step, and knows which of them its rings of keys and values still hold."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph over. Raises GraphError for one that is not a transformer's."""
        self._decoder = _RingDecoder(graph)
        #: features of a step
        self.feature_count = self._decoder.feature_count
        #: they tell where bars and felt beats begin, in other metres than 4/4
        self.reads_pulses = self.feature_count > step_features.FEATURE_COUNT
        #: steps before now on which the decoder's state depends
        self.context_steps = sum(self._decoder.windows)
        # the first step that is heard, the one after the last that was read, and the same before some were given up
        self._begin = self._end = self._top = 0
        #: rows of the steps that have been read, as bytes, each where its step modulo their number is
        self._rows = [b""] * (self.context_steps + self._decoder.spare_steps)
        self._style: Floats = np.zeros(0, np.float32)
        #: the last step after which a state was asked for
        self._last = 0
        #: step -> state after it, of the steps that have been read and after which a plan has asked
        self._states: dict[int, DecoderState] = {}

    def advance(self, rows: Floats, first: int, style: Floats, changed: int | None = None) -> DecoderState:
        """Return the state after the steps [first, first + len(rows)).

        Only those steps are read that have not been read yet, or were different. rows: (n, feature_count), 1 <= n <=
        context_steps; style: (1, styles), one-hot; changed: the first step whose row may be another than the last time,
        None: any.
        """
        goes_on = self._begin == first or (self._begin < first <= self._end and len(rows) == self.context_steps)
        if not goes_on or style.tobytes() != self._style.tobytes():  # a first step has others before it no more
            self._style = style
            self._clear(first)
        at = self._find_changed(rows, first, first if changed is None else max(first, changed))
        if self._top - at > self._decoder.spare_steps:
            self._clear(first)
            at = first
        return self._read_from(at, rows, first)

    def append(self, row: Floats) -> DecoderState:
        """Return the state after one more step than the last time; row: (1, feature_count)."""
        step = self._last + 1
        return self._read_from(self._find_changed(row, step, step), row, step)

    def _clear(self, first: int) -> None:
        """Forget every step; `first` is the next."""
        self._begin = self._end = self._top = first
        self._states.clear()

    def _read_from(self, at: int, rows: Floats, first: int) -> DecoderState:
        """Return the state after the steps of `rows`, which have been read up to the step `at`."""
        end = first + len(rows)
        self._last = end - 1
        if at == end and self._last in self._states:
            return self._states[self._last]
        at = min(at, self._last)  # if need be it is read again: no plan has asked for the state after it
        self._end = at
        for step in [step for step in self._states if not at - _KEPT_STATES <= step < at]:
            del self._states[step]
        self._top = max(self._top, end)
        for low in range(at, end, self._decoder.spare_steps):
            new = rows[low - first :][: self._decoder.spare_steps]
            self._states[self._last] = self._decoder.read(new, low, self._begin, self._style)
            self._end = low + len(new)
            for step, row in enumerate(new, low):
                self._rows[step % len(self._rows)] = row.tobytes()
        return self._states[self._last]

    def _find_changed(self, rows: Floats, first: int, since: int) -> int:
        """Return the first step from `since` on whose row is another than was read, or none was."""
        end = min(self._end, first + len(rows))
        for step in range(since, end):
            if rows[step - first].tobytes() != self._rows[step % len(self._rows)]:
                return step
        return end


class TokenWriter:
    """Writes the tokens of a step, one after another.

    Each has a place of its own in the arrays: the graph's memory after one lies where it is its input at the next, so
    that nothing is copied from token to token.
    """

    def __init__(self, graph: Graph, vocabulary: int, places: int) -> None:
        """Open the writer that a graph carries, for so many tokens of a step at most (`places`).

        Raises GraphError for another number of tokens in the graph than `vocabulary`.
        """
        session = graph.open_part("writer")
        shape = tuple(session.get_outputs()[0].shape)
        if shape != (1, vocabulary):
            raise GraphError(f"this graph does not fit: its vocabulary has {shape[-1]} tokens, not {vocabulary}")
        first = BoundSession(session)
        memory = first.inputs["memory"].shape
        if first.outputs["memory_out"].shape != memory:
            raise GraphError("this graph does not fit: its writer's memory changes its size")
        shared = {name: first.inputs[name] for name in ("condition", "token")}
        self._no_token, self._condition, self._token = vocabulary, shared["condition"], shared["token"]
        self._memories = np.zeros((places + 1, *memory), np.float32)
        self._logits = np.zeros((places, *shape), np.float32)
        self._rows, self._wanted = [logits[0] for logits in self._logits], np.zeros(vocabulary)
        self._bound = [
            BoundSession(session, shared | {"memory": before, "memory_out": after, "logits": logits})
            for before, after, logits in zip(self._memories, self._memories[1:], self._logits, strict=False)
        ]

    def draw(
        self,
        state: DecoderState,
        grammar: Grammar,
        numbers: Iterable[float],
        biases: Mapping[str | None, NDArray[np.float64]],
        choose: Callable[[NDArray[np.float64], float], int],
    ) -> list[int]:
        """Return the tokens of the step after a state, as the grammar lets them follow each other.

        numbers: a random one, 0..1, for every token; the step ends where they do. biases: what is added to the logits
        of all tokens, by the role whose section is written, None before the first; choose: returns a place in logits
        by a random number. Raises InferenceError.
        """
        before, tokens, wanted = state.written, grammar.tokens, self._wanted
        self._memories[0], self._condition[...] = state.memory, state.condition
        done = known = len(before.logits)  # tokens for which the graph has answered, and which it had before
        self._logits[:done], self._memories[1 : done + 1] = before.logits, before.memories
        with reporting_failure():
            for place, number in enumerate(numbers):
                if grammar.is_at_end:
                    grammar.append(END)
                    break
                if place >= done:
                    self._token[0] = tokens[-1] if tokens else self._no_token
                    self._bound[place].run_unchecked()
                    done = place + 1
                np.add(self._rows[place], biases[grammar.role], out=wanted)
                first, end = grammar.confine(wanted)
                grammar.append(first + choose(wanted[first:end], number))
                if place < known and tokens[place] != before.tokens[place]:
                    done = known = place + 1
                if grammar.over:
                    break
        if done > known:
            logits, memories = self._logits[:done].copy(), self._memories[1 : done + 1].copy()
            check_numbers((logits, memories))
            before.tokens, before.logits, before.memories = tokens, logits, memories
        return tokens if grammar.over else grammar.finish()
