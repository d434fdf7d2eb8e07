"""What a graph says of drafts of any length: windows, seams, short loops, and what is said to be right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from daemon.core.plan import LoopState, PlanRequest
from daemon.core.settings import Settings
from daemon.players.arcnn import HOP_STEPS, ArcnnPlayer, EditScorer, build_draft, list_windows
from daemon.players.graph import Graph, GraphError
from music.edits.draft import Draft
from music.edits.edit import ADD, Edit, Limits
from music.encoding.edit_grid import LENGTHS_STEPS, PLANES, WINDOW_STEPS
from music.errors import UserError
from music.note import PITCHES, Metre
from music.signature import Signature

Planes = NDArray[np.float32]
STYLES = ("chorale", "pop")


class FakeGraph:
    """Answers with what `weights` says of the planes (3, 128, 128); lengths: the class of every cell's length."""

    def __init__(self, weights: Callable[[Planes], Planes], lengths: int = 3, **settings: Any) -> None:
        shapes = {"planes": (1, len(PLANES), WINDOW_STEPS, PITCHES), "style": (1, len(STYLES))}
        given = {"weights": (1, WINDOW_STEPS, PITCHES), "lengths": (1, WINDOW_STEPS, PITCHES, len(LENGTHS_STEPS))}
        self.signature = Signature("arcnn", shapes, given, STYLES, {"calibrated": True, **settings})
        self.weights, self.lengths = weights, lengths
        self.seen: list[Planes] = []
        self.styles: list[list[float]] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        self.seen.append(inputs["planes"][0].copy())
        self.styles.append(inputs["style"][0].tolist())
        scores = np.zeros((1, WINDOW_STEPS, PITCHES, len(LENGTHS_STEPS)), np.float32)
        scores[..., self.lengths] = 1
        return {"weights": self.weights(inputs["planes"][0])[None], "lengths": scores}


def editor(graph: FakeGraph) -> EditScorer:
    return EditScorer(graph)  # type: ignore[arg-type]


def draft_with(steps: int, notes: Mapping[tuple[int, int], int], ring: bool = False) -> Draft:
    lengths = np.zeros((steps, PITCHES), np.int16)
    for (step, pitch), length in notes.items():
        lengths[step, pitch] = length
    return Draft(lengths, np.where(lengths > 0, 80, 0).astype(np.uint8), range(0, steps, 16), ring)


def scattered(steps: int, seed: int = 0) -> dict[tuple[int, int], int]:
    random = np.random.default_rng(seed)
    return {
        (int(s), int(p)): 1 for s, p in zip(random.integers(0, steps, 40), random.integers(40, 80, 40), strict=True)
    }


def here(planes: Planes) -> Planes:
    """What can be said of a cell without looking anywhere else."""
    return np.asarray(-5 + 3 * planes[0] + planes[1], np.float32)


@given(st.integers(1, 900), st.booleans())
def test_windows_cover_every_step_and_stay_inside(steps: int, ring: bool) -> None:
    firsts = list_windows(max(steps, WINDOW_STEPS), ring)
    covered = np.zeros(max(steps, WINDOW_STEPS), int)
    for first in firsts:
        assert 0 <= first < len(covered)
        assert ring or first + WINDOW_STEPS <= len(covered)
        covered[(first + np.arange(WINDOW_STEPS)) % len(covered)] += 1
    assert covered.min() >= 1
    assert len(firsts) == len(set(firsts))
    assert all(b - a <= HOP_STEPS for a, b in itertools.pairwise(firsts))


@pytest.mark.parametrize("steps", [1, 5, 16, 127, 128, 129, 191, 192, 193, 256, 300, 640])
@pytest.mark.parametrize("ring", [False, True])
def test_what_is_said_of_a_cell_does_not_depend_on_where_windows_begin(steps: int, ring: bool) -> None:
    draft = draft_with(steps, scattered(steps), ring)
    said = editor(FakeGraph(here)).score(draft, Limits(), "chorale")
    onset = (draft.lengths > 0).astype(np.float32)
    np.testing.assert_allclose(said.weights, -5 + 4 * onset, atol=1e-5)
    assert {said.lengths[step, pitch] for step in range(steps) for pitch in (0, 60, 127)} == {LENGTHS_STEPS[3]}


def test_where_windows_disagree_they_fade_into_each_other_without_a_seam() -> None:
    """Each window has an opinion of its own: of the piece's 20 bars no step leaps from one to another's."""
    opinions = iter(range(100))
    draft = draft_with(320, scattered(320))
    said = editor(FakeGraph(lambda planes: np.full((WINDOW_STEPS, PITCHES), float(next(opinions)), np.float32)))
    weights = said.score(draft, Limits(), "chorale").weights[:, 60]
    assert np.abs(np.diff(weights)).max() <= 2 / HOP_STEPS + 1e-6
    assert (weights[0], weights[-1]) == (0, len(list_windows(320, False)) - 1)


@pytest.mark.parametrize("bars", [8, 20, 60])
def test_the_length_of_a_note_is_told_by_the_window_in_whose_middle_it_lies(bars: int) -> None:
    """Each window has a length of its own, however many there are."""
    draft, graph = draft_with(16 * bars, {}), FakeGraph(here)
    said, firsts = editor(graph), list_windows(16 * bars, False)
    run, turns = graph.run, iter(range(len(firsts)))

    def answer(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        graph.lengths = next(turns) % len(LENGTHS_STEPS)
        return run(inputs)

    graph.run = answer  # type: ignore[method-assign]
    lengths = said.score(draft, Limits(), "chorale").lengths
    for step in range(0, 16 * bars, 5):
        room = [min(step - first + 1, first + WINDOW_STEPS - step) for first in firsts]
        assert lengths[step, 60] == LENGTHS_STEPS[room.index(max(room)) % len(LENGTHS_STEPS)]


def test_a_ring_has_no_seam_at_its_end_either() -> None:
    opinions = iter(range(100))
    draft = draft_with(256, scattered(256), ring=True)
    said = editor(FakeGraph(lambda planes: np.full((WINDOW_STEPS, PITCHES), float(next(opinions)), np.float32)))
    weights = said.score(draft, Limits(), "chorale").weights[:, 60]
    assert np.abs(np.diff(np.append(weights, weights[0]))).max() <= 4 / HOP_STEPS + 1e-6


@pytest.mark.parametrize("bars", range(1, 8))
def test_a_loop_of_less_than_eight_bars_is_repeated_until_it_fills_the_window(bars: int) -> None:
    draft = draft_with(16 * bars, {(3, 60): 2, (16 * bars - 1, 64): 3}, ring=True)
    graph = FakeGraph(here)
    editor(graph).score(draft, Limits(), "chorale")
    (seen,) = graph.seen
    steps = np.flatnonzero(seen[0, :, 60])
    assert steps.tolist() == list(range(3, WINDOW_STEPS, 16 * bars))
    sounds = np.flatnonzero(seen[1, :, 64]) % (16 * bars)
    assert set(sounds.tolist()) == {16 * bars - 1, 0, 1}  # the note held over the end goes on at the beginning


def test_only_windows_whose_notes_have_changed_are_evaluated_again() -> None:
    draft = draft_with(320, scattered(320))
    graph = FakeGraph(here)
    looks = editor(graph)
    looks.score(draft, Limits(), "chorale")
    before = len(graph.seen)
    looks.score(draft, Limits(), "chorale")
    assert len(graph.seen) == before == looks.evaluations
    draft.apply(Edit(1, ADD, 2, 100, 1))
    assert looks.score(draft, Limits(), "chorale").weights[2, 100] == -1
    assert len(graph.seen) == before + 1


def test_the_style_is_told_and_an_unknown_one_refused() -> None:
    graph = FakeGraph(here)
    looks, draft = editor(graph), draft_with(16, {(0, 60): 4})
    looks.score(draft, Limits(), "pop")
    assert graph.styles == [[0.0, 1.0]]
    with pytest.raises(UserError, match="no style 'polka'; the player knows chorale, pop"):
        looks.score(draft, Limits(), "polka")


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(), set()),
        (Limits(remove_max=0), {(0, 60), (17, 64)}),
        (Limits(locked_pitches=frozenset({64})), {(17, 64)}),
        (Limits(locked_bars=frozenset({1})), {(0, 60)}),
        (Limits(high=62), {(17, 64), (20, 70)}),
    ],
)
def test_notes_that_may_not_go_are_said_to_be_right(limits: Limits, kept: set[tuple[int, int]]) -> None:
    draft = draft_with(128, {(0, 60): 4, (17, 64): 4})
    draft.apply(Edit(1, ADD, 20, 70, 2))
    graph = FakeGraph(here)
    editor(graph).score(draft, limits, "chorale")
    assert set(zip(*(i.tolist() for i in np.nonzero(graph.seen[0][2])), strict=True)) == kept


def test_a_graph_of_another_shape_is_refused() -> None:
    graph = FakeGraph(here)
    graph.signature = Signature("arcnn", {"planes": (1, 2, 3)}, {}, STYLES)
    with pytest.raises(GraphError, match="does not fit the AR-CNN's window"):
        editor(graph)


# Live


def request(loop: LoopState | None, **settings: Any) -> PlanRequest:
    return PlanRequest(7, 40, 240, (), {}, Metre(), Settings(style="chorale", **settings), 0, loop)


def state(want: int, own: bool = False) -> LoopState:
    return LoopState(32, (0, 16), ((0, 60, 4, 80, False), (4, 64, 4, 90, own)), 2 - own, 0, want, 5)


def wants_c(planes: Planes) -> Planes:
    """A C on every beat, and no E."""
    weights = np.full((WINDOW_STEPS, PITCHES), -16.0, np.float32)
    weights[::4, 72] = np.where(planes[1, ::4, 72] > 0, -16.0, -0.05)
    weights[planes[0] > 0] = -3.0
    weights[:, 64] = np.where(planes[0][:, 64] > 0, -0.01, -16.0)
    return weights


def player() -> ArcnnPlayer:
    return ArcnnPlayer(FakeGraph(wants_c))  # type: ignore[arg-type]


def test_it_answers_with_as_many_edits_as_are_wanted_and_they_fit() -> None:
    plan = player().plan(request(state(3), creative_risk=0.0))
    assert [(e.action, e.pitch) for e in plan.edits].count(("remove", 64)) == 1
    assert [(e.action, e.pitch) for e in plan.edits].count(("add", 72)) == 2
    draft = build_draft(state(3))
    for edit in plan.edits:
        draft.apply(edit)
    assert {e.iteration for e in plan.edits} == {5}


@pytest.mark.parametrize(
    "settings",
    [{"remove_max": 0.0, "add_max": 0}, {"register_low": 100}, {"lock_bars": "1-2"}, {"lock_pitches": "64,72"}],
)
def test_what_the_player_forbids_is_not_answered(settings: dict[str, Any]) -> None:
    assert not player().plan(request(state(8), **settings)).edits


def test_caps_hold_over_the_edits_of_one_answer() -> None:
    plan = player().plan(request(state(8), add_max=2, remove_max=0.0))
    assert [(e.action, e.pitch) for e in plan.edits] == [("add", 72)] * 2
    plan = player().plan(request(state(8), add_max=0, remove_max=50.0))
    assert [(e.action, e.pitch) for e in plan.edits] == [("remove", 64)]


@pytest.mark.parametrize("loop", [None, state(0), LoopState(32, (0, 16), (), 0, 0, 4, 1)])
def test_without_a_loop_leave_or_notes_there_are_no_edits(loop: LoopState | None) -> None:
    plan = player().plan(request(loop))
    assert (plan.edits, plan.number, plan.first) == ((), 7, 40)


def test_the_shipped_weights_know_their_styles() -> None:
    assert ArcnnPlayer(Graph(None, "arcnn")).info.styles == ("chorale", "pop", "romantic", "classical")
