"""A drummer's feel, laid over plans: how loud each drum is hit, and how far from the grid drums and band play.

Learned from drummers (models/feel). A network tells for every step and lane how a hit there is likely to be played;
which of the likely ways it is, the seed draws: a drummer's hand (a swung or a straight one, a loud or a soft one), and
noise in which a drummer who is late stays late for a while. All of it depends on the seed and the place in the song,
never on when a plan was asked for. What the network has told of a step is kept for the plans to come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.core.plan import Plan, PlanRequest, StepOffsets
from music.encoding.drum_feel import (
    CLOSED_HAT,
    COMING_STEPS,
    KICK,
    LANE_OF,
    LANES,
    OFFSET,
    PAST_STEPS,
    VELOCITY,
    WINDOW_FEATURES,
    WINDOW_STEPS,
    join_windows,
    mark_places,
)
from music.note import STEPS_PER_BEAT, TICKS_PER_STEP, Note, NoteNumbers, make_notes
from music.signature import Signature, SignatureError

DRUMS = "drums"
#: runs a graph: inputs by name -> outputs in their order
RunGraph = Callable[[Mapping[str, NDArray[Any]]], list[NDArray[np.float32]]]
#: the style whose hands play in styles that drummers have not taught
_USUAL_STYLE = "pop"
#: thousandths of a step by which a note is early or late at most: half a step, beyond which it were another step's
MAX_OFFSET = 500


class NoiseShares(NamedTuple):
    """Shares of the noise of hits, and how many steps each lasts; what is left is new at every hit."""

    common: float  #: all lanes have it in common
    common_steps: int
    lane: float  #: a lane has it of its own
    place: float  #: a lane has it of its own at each place in the beat
    own_steps: int  #: of the latter two


#: of offsets and of velocities, by the correlations of drummers' hits (models/LOG.md, Feel): a drummer who is late is
#: late with all limbs, and for a bar; how loud he is, is a habit of the limb, and of the place in the beat
NOISE = (NoiseShares(0.44, 16, 0.08, 0.0, 64), NoiseShares(0.03, 16, 0.06, 0.18, 128))
#: steps of noise that are drawn together
_BLOCK_STEPS = 16
_LANE_COUNT = len(LANES)
#: lines of slow noise that are drawn together: one for a lane wherever it plays, and one for each place in the beat
_LINES = 1 + STEPS_PER_BEAT
#: lanes of the fields of `StepOffsets`, the one first whose offset is told where none of them is hit
_LANES_OF = [[LANE_OF[p] for p in pitches] for pitches in ((36,), (38, 37), (42, 51, 46, 44, 49), (48, 45))]
_LANES_OF += [[CLOSED_HAT, *(lane for lane in range(_LANE_COUNT) if lane != CLOSED_HAT)]] * 2
_STAND_INS = np.array([lanes[0] for lanes in _LANES_OF])
#: (lanes, fields) of 0 and 1
_GROUPS = np.array([[lane in lanes for lanes in _LANES_OF] for lane in range(_LANE_COUNT)], np.float32)
_BASS = StepOffsets._fields.index("bass")
_LANE_BITS = {pitch: 1 << lane for pitch, lane in LANE_OF.items()}
_LANE_NUMBERS = np.arange(_LANE_COUNT)[:, None]
#: steps whose touch is kept, at most
_MAX_KEPT_STEPS = 256


class _StepTouch(NamedTuple):
    """The touch of a drummer in one step."""

    velocities: list[int]  #: of a hit in each lane
    offsets: StepOffsets


class DrummerFeel:
    """The feel of drummers. Owned by one thread."""

    def __init__(self, signature: Signature, run: RunGraph) -> None:
        """Take a graph over: what it says of itself, and what runs it.

        Raises SignatureError, ValueError, KeyError for one that is not a feel's.
        """
        if signature.technique != "feel" or signature.inputs["windows"][-1] != WINDOW_FEATURES:
            raise SignatureError("it is no graph of a drummer's feel")
        self._run = run
        self._styles = np.eye(len(signature.styles), dtype=np.float32)
        self._hands = {
            style: np.array(hands, np.float32).reshape(len(hands), -1)
            for style, hands in signature.settings["hands"].items()
        }
        self._usual = self._hands.get(_USUAL_STYLE, next(iter(self._hands.values())))
        self._basis: tuple[object, ...] = ()  # on which all touches depend
        #: step -> the lanes that were hit around it, and how it is played with these
        self._touches: dict[int, tuple[tuple[int, ...], _StepTouch]] = {}

    def play(self, request: PlanRequest, plan: Plan) -> Plan:
        """Return a plan as a drummer plays it: with the velocities of its drums, and offsets for the whole band.

        It reaches over the steps that are likely to be played of the plan, and some more; one without notes stays as it
        is.
        """
        if not any(plan.notes.values()):
            return plan
        drums, first = plan.notes.get(DRUMS, ()), plan.first
        last = plan.last
        if request.played_steps is not None:
            last = min(last, -(-(first + request.played_steps + STEPS_PER_BEAT) // STEPS_PER_BEAT) * STEPS_PER_BEAT)
        touches = self._find_touches(request, _list_lanes(request, drums, first, last), first, last)
        notes = {**plan.notes, DRUMS: _hit(drums, touches, first)} if drums else plan.notes
        return replace(plan, notes=notes, offsets=tuple([touch.offsets for touch in touches]))

    def _find_touches(self, request: PlanRequest, lanes: Sequence[int], first: int, last: int) -> list[_StepTouch]:
        """Return how the steps [first, last) are played.

        The graph is asked about those only that were not asked about before, or whose surroundings have changed.
        lanes: as `_list_lanes` returns them.
        """
        metre, bar = request.metre, request.bar_origin // TICKS_PER_STEP
        basis = request.settings, request.bpm, metre, bar % metre.steps_per_bar
        if basis != self._basis or len(self._touches) > _MAX_KEPT_STEPS:
            self._basis, self._touches = basis, {}
        windows = [tuple(lanes[place : place + WINDOW_STEPS]) for place in range(last - first)]
        missing = []
        for step, window in enumerate(windows, first):
            known = self._touches.get(step)
            if known is None or known[0] != window:
                missing.append(step)
        if missing:
            asked = self._ask(request, missing, [windows[step - first] for step in missing])
            for step, touch in zip(missing, asked, strict=True):
                self._touches[step] = windows[step - first], touch
        return [self._touches[step][1] for step in range(first, last)]

    def _ask(self, request: PlanRequest, steps: Sequence[int], windows: Sequence[tuple[int, ...]]) -> list[_StepTouch]:
        """Return how steps are played whose windows these are; the answer to each depends on nothing but its own."""
        settings, bar = request.settings, request.bar_origin // TICKS_PER_STEP
        hands = self._hands.get(settings.style, self._usual)
        hand = hands[settings.seed % len(hands)]
        hits = (np.array(windows)[:, None] >> _LANE_NUMBERS & 1).astype(np.float32)  # (steps, lanes, WINDOW_STEPS)
        places = [mark_places(step - bar, 1, request.metre) for step in steps]
        noise = np.array([_draw_block(settings.seed, step // _BLOCK_STEPS)[step % _BLOCK_STEPS] for step in steps])
        inputs = {
            "windows": join_windows(hits, np.concatenate(places), request.bpm),
            "style": self._styles[None, int(hand[0])],
            "hand": hand[None, 1:],
            "deviations": noise * np.float32(min(1.0, settings.temperature)),
        }
        played, medians = self._run(inputs)
        offsets = played[:, OFFSET]
        if settings.swing:  # which takes the place of the drummer's own
            offsets = _take_swing_out(offsets, medians, steps, settings.swing)
        loud = np.minimum(np.maximum(np.rint(played[:, VELOCITY] * 127), 1), 127).astype(int).tolist()
        return [*map(_StepTouch, loud, _list_offsets(offsets, hits[..., PAST_STEPS]))]


def _list_lanes(request: PlanRequest, drums: Sequence[Note], first: int, last: int) -> list[int]:
    """Return the lanes that are hit, a bit for each, in steps from PAST_STEPS before `first` on.

    They are told as far as windows of the steps [first, last) reach. drums: those of the plan.
    """
    begin = first - PAST_STEPS
    lanes = [0] * (last - begin + COMING_STEPS)
    end, now = begin + len(lanes), first * TICKS_PER_STEP
    for note in reversed(request.committed.get(DRUMS, ())):
        if note.start < begin * TICKS_PER_STEP:
            break
        if note.start < now:
            lanes[note.start // TICKS_PER_STEP - begin] |= _LANE_BITS.get(note.pitch, 0)
    for note in drums:
        step = note.start // TICKS_PER_STEP
        if begin <= step < end:
            lanes[step - begin] |= _LANE_BITS.get(note.pitch, 0)
    return lanes


def _take_swing_out(
    offsets: NDArray[np.float32], medians: NDArray[np.float32], steps: Sequence[int], swing: float
) -> NDArray[np.float32]:
    """Return offsets without the drummer's own swing, as far as one is set: off-beat sixteenths keep their noise."""
    is_off = (np.array(steps) % 2 == 1)[:, None]
    return offsets - np.where(is_off, np.float32(swing) * medians, 0)


def _hit(drums: Sequence[Note], touches: Sequence[_StepTouch], first: int) -> tuple[Note, ...]:
    """Return the drums' notes with the velocities of steps from `first` on; a note that has no lane keeps its own."""
    numbers: list[NoteNumbers] = []
    for note in drums:
        lane, place, velocity = LANE_OF.get(note.pitch), note.start // TICKS_PER_STEP - first, note.velocity
        if lane is not None and 0 <= place < len(touches):
            velocity = touches[place].velocities[lane]
        numbers.append((note.start, note.pitch, note.length, velocity))
    return tuple(make_notes(numbers))


def _list_offsets(offsets: NDArray[np.float32], is_hit: NDArray[np.float32]) -> list[StepOffsets]:
    """Return the offsets of every step, by what plays: (steps, lanes) in steps, and where something is hit.

    It is the mean of the lanes of a group that are hit, or what the first of them would have; together, the drums that
    are hit, or else a closed hi-hat.
    """
    counts = is_hit @ _GROUPS
    means = (offsets * is_hit) @ _GROUPS / np.maximum(counts, 1)
    table = np.where(counts > 0, means, offsets.take(_STAND_INS, 1))
    table[:, _BASS] = np.where(is_hit[:, KICK] > 0, table[:, 0], table[:, _BASS])
    bounded = np.minimum(np.maximum(np.rint(table * 1000), -MAX_OFFSET), MAX_OFFSET)
    return [StepOffsets(*row) for row in bounded.astype(int).tolist()]


@lru_cache(maxsize=64)
def _draw_block(seed: int, block: int) -> NDArray[np.float32]:
    """Return how far the hits of a block of steps lie from the median, in standard deviations: (steps, 2, lanes)."""
    drawn = _open_random(seed, block, 0).standard_normal((_BLOCK_STEPS, 2, _LANE_COUNT))
    steps = block * _BLOCK_STEPS + np.arange(_BLOCK_STEPS)
    for kind, shares in enumerate(NOISE):
        common = _draw_slow(seed, steps, shares.common_steps, 2 * kind)[:, 0, :1]
        own = _draw_slow(seed, steps, shares.own_steps, 2 * kind + 1)
        at_place = own[np.arange(_BLOCK_STEPS), 1 + steps % STEPS_PER_BEAT]
        drawn[:, kind] *= np.sqrt(1 - shares.common - shares.lane - shares.place)
        drawn[:, kind] += np.sqrt(shares.common) * common
        drawn[:, kind] += np.sqrt(shares.lane) * own[:, 0] + np.sqrt(shares.place) * at_place
    return drawn.astype(np.float32)


def _draw_slow(seed: int, steps: NDArray[np.int64], period: int, purpose: int) -> NDArray[np.float64]:
    """Return noise of variance 1 that goes from one number to the next within a period: (steps, _LINES, lanes)."""
    index, share = np.divmod(steps, period)
    first = int(index[0])
    nodes = np.stack([_draw_node(seed, node, purpose) for node in range(first, int(index[-1]) + 2)])
    turn = (np.pi / 2 * share / period)[:, None, None]
    slow: NDArray[np.float64] = np.cos(turn) * nodes[index - first] + np.sin(turn) * nodes[index - first + 1]
    return slow


@lru_cache(maxsize=64)
def _draw_node(seed: int, node: int, purpose: int) -> NDArray[np.float64]:
    drawn: NDArray[np.float64] = _open_random(seed, node, 1 + purpose).standard_normal((_LINES, _LANE_COUNT))
    return drawn


def _open_random(seed: int, place: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng((seed < 0, abs(seed), place < 0, abs(place), purpose))
