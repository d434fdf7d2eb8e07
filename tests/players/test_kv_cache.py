"""The decoder's cache: a state depends on the steps that it is told of, whatever was read before."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from daemon.players.graph import Graph
from daemon.players.kv_cache import DecoderState, KvCache, TokenWriter, _mark_heard
from music.encoding import sampling, step_tokens
from music.encoding.step_features import FEATURE_COUNT, PULSE_FEATURES, get_compass
from music.note import PITCHED_ROLES, ROLES

Floats = NDArray[np.float32]
#: from which step on there is music; the step after the last that is known; how far before it something was changed;
#: how many steps are planned ahead
Move = tuple[int, int, int, int]
MOVES = st.tuples(st.integers(-9, 30), st.integers(31, 400), st.integers(0, 90), st.integers(0, 4))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph(None, "transformer")


@pytest.fixture(scope="module")
def writers(graph: Graph) -> tuple[TokenWriter, Any, list[DecoderState]]:
    """A writer, the session of its graph, and states to write after."""
    cache, music = KvCache(graph), make_rows(40, 6)
    states = [cache.advance(music[:end], 0, style_of(graph)) for end in (10, 20, 30)]
    return TokenWriter(graph, step_tokens.WRITER_TOKENS, 40), Graph(None, "transformer").open_part("writer"), states


def make_rows(count: int, seed: int) -> Floats:
    return (np.random.default_rng(seed).random((count, FEATURE_COUNT + PULSE_FEATURES)) < 0.1).astype(np.float32)


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


def write_plainly(
    session: Any, state: DecoderState, grammar: step_tokens.Grammar, numbers: list[float], bias: NDArray[np.float64]
) -> list[int]:
    """As TokenWriter.draw does, but one token after another from the beginning, among a mask of all tokens."""
    memory, token = state.memory, step_tokens.WRITER_TOKENS
    for number in numbers:
        told = {"memory": memory, "condition": state.condition, "token": np.array([token])}
        logits, memory = session.run(["logits", "memory_out"], told)
        allowed = np.flatnonzero(grammar.find_allowed())
        token = int(allowed[sampling.choose_place(logits[0, allowed] + bias[allowed], number, 1.5, 0.98)])
        grammar.append(token)
        if grammar.over:
            return grammar.tokens
    return grammar.finish()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(1, 20)), min_size=2, max_size=6))
def test_a_step_is_written_as_from_the_beginning_whatever_was_written_there_before(
    writers: tuple[TokenWriter, Any, list[DecoderState]], drawn: list[tuple[int, int, int]]
) -> None:
    writer, plain, states = writers
    compass = {role: get_compass(role) for role in PITCHED_ROLES}
    for number, seed, places in drawn:
        random = np.random.default_rng(seed // 2)  # two draws share numbers, and so the beginnings of their tokens
        numbers, bias = random.random(places).tolist(), np.zeros(step_tokens.WRITER_TOKENS)
        bias[step_tokens.PITCH :] = np.random.default_rng(seed).standard_normal(
            step_tokens.WRITER_TOKENS - step_tokens.PITCH
        )
        bias[step_tokens.LENGTH - 3 : step_tokens.LENGTH] = 4  # much begins
        made, wanted = (step_tokens.Grammar(ROLES, compass, 2) for _ in range(2))
        choose = partial(sampling.choose_place, temperature=1.5, top_p=0.98)
        got = writer.draw(states[number], made, numbers, dict.fromkeys((None, *ROLES), bias), choose)
        assert got == write_plainly(plain, states[number], wanted, numbers, bias)
