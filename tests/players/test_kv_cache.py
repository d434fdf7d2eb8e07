"""The decoder's cache: a state depends on the steps that it is told of, whatever was read before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from daemon.players.graph import Graph
from daemon.players.kv_cache import DecoderState, KvCache, _mark_heard
from music.encoding.step_features import FEATURE_COUNT

Floats = NDArray[np.float32]
#: from which step on there is music; the step after the last that is known; how far before it something was changed;
#: how many steps are planned ahead
Move = tuple[int, int, int, int]
MOVES = st.tuples(st.integers(-9, 30), st.integers(31, 400), st.integers(0, 90), st.integers(0, 4))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph(None, "transformer")


def make_rows(count: int, seed: int) -> Floats:
    return (np.random.default_rng(seed).random((count, FEATURE_COUNT)) < 0.1).astype(np.float32)


def style_of(graph: Graph, number: int = 0) -> Floats:
    return np.eye(len(graph.signature.styles), dtype=np.float32)[None, number]


def assert_alike(one: DecoderState, other: DecoderState) -> None:
    for name in ("memory", "condition", "velocity", "melody"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-3)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(MOVES, min_size=2, max_size=4))
def test_jumps_edits_and_plans_leave_nothing_behind(graph: Graph, moves: list[Move]) -> None:
    cache, style = KvCache(graph), style_of(graph)
    music, origin = make_rows(450, 1), 9  # the row of step 0
    for number, (start, end, edited, ahead) in enumerate(moves):
        at = max(end - 1 - edited, start)
        music[at + origin] = make_rows(1, 100 + number)
        first = max(start, end - cache.context_steps)
        fresh, planned = KvCache(graph), make_rows(4, number)
        for each in (cache, fresh):
            each.advance(music[first + origin : end + origin], first, style)
        rows = music[first + origin : end + origin]
        assert_alike(cache.advance(rows, first, style), fresh.advance(rows, first, style))
        for row in planned[:ahead, None]:
            assert_alike(cache.append(row), fresh.append(row))


def test_a_song_that_goes_on_is_read_step_by_step(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, style, music = KvCache(graph), style_of(graph), make_rows(40, 2)
    read: list[tuple[int, int]] = []
    original = cache._decoder.read

    def record(rows: Floats, step: int, begin: int, wanted: Floats) -> DecoderState:
        read.append((step, len(rows)))
        return original(rows, step, begin, wanted)

    monkeypatch.setattr(cache._decoder, "read", record)
    for end in range(30, 34):
        cache.advance(music[:end], 0, style, changed=end - 1)
        cache.append(music[end : end + 1])  # what was planned is played
    assert read == [(0, 30), (30, 1), (31, 1), (32, 1), (33, 1)]
    cache.append(make_rows(1, 3))  # what is planned now is another
    assert read[5:] == [(34, 1)]


def test_a_first_step_has_others_before_it_no_more(graph: Graph) -> None:
    cache, style, rows = KvCache(graph), style_of(graph), make_rows(2, 5)
    cache.advance(rows[:1], -1, style)
    after_another = cache.append(rows[1:])
    alone = cache.advance(rows[1:], 0, style)
    assert not np.allclose(alone.memory, after_another.memory, atol=1e-3)
    assert_alike(alone, KvCache(graph).advance(rows[1:], 0, style))


def test_another_style_is_another_state(graph: Graph) -> None:
    cache, music = KvCache(graph), make_rows(12, 4)
    one, other = (cache.advance(music, 0, style_of(graph, number)).memory for number in (0, 1))
    assert not np.allclose(one, other)
    assert_alike(cache.advance(music, 0, style_of(graph, 1)), KvCache(graph).advance(music, 0, style_of(graph, 1)))


@pytest.mark.parametrize("slots", [1, 5, 64])
def test_a_mask_hears_a_slot_and_those_before_it(slots: int) -> None:
    mask = np.zeros(slots, np.float32)
    for slot in range(slots):
        for count in range(1, slots + 1):
            _mark_heard(mask, slot, count)
            assert set(np.flatnonzero(mask == 0)) == {(slot - back) % slots for back in range(count)}
            assert set(mask) <= {np.float32(0), np.float32(-1e9)}
