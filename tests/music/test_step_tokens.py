"""The transformer's language: lossless on the step grid, and what the grammar lets pass is always music."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music.encoding import sampling, step_tokens
from music.encoding.step_tokens import Grammar, RoleOnsets, TokenError, TokenSequence
from music.note import ROLES, TICKS_PER_STEP, Note, remove_overlaps

STEPS = 40
COMPASS = {"bass": (28, 51), "chords": (40, 87), "pad": (48, 95)}


def notes(longest: int) -> st.SearchStrategy[tuple[Note, ...]]:
    one = st.builds(
        lambda s, p, n: Note(s * TICKS_PER_STEP, p, min(n, STEPS - s) * TICKS_PER_STEP),
        st.integers(0, STEPS - 1),
        st.integers(0, 127),
        st.integers(1, longest),
    )
    return st.lists(one, max_size=24).map(lambda found: tuple(remove_overlaps(found)))


def one_voice(found: tuple[Note, ...]) -> tuple[Note, ...]:
    kept: list[Note] = []
    for note in found:
        if kept and kept[-1].end > note.start:
            continue
        kept.append(note)
    return tuple(kept)


chords = st.lists(
    st.tuples(st.integers(0, STEPS - 1), st.integers(-1, 11), st.integers(0, 7)), max_size=6, unique_by=lambda c: c[0]
).map(lambda found: tuple(sorted((s, r, q if r >= 0 else -1) for s, r, q in found)))
pieces = st.builds(
    lambda melody, bass, chord, pad, drums, harmony, style: TokenSequence(
        STEPS,
        style,
        16,
        one_voice(melody),
        {r: n for r, n in zip(ROLES, (bass, chord, pad, drums), strict=True) if n},
        harmony,
    ),
    notes(9),
    notes(40),
    notes(40),
    notes(40),
    notes(1),
    chords,
    st.integers(0, 7),
)


@settings(max_examples=150, deadline=None)
@given(pieces)
def test_a_piece_comes_back_from_its_stream_as_it_was(piece: TokenSequence) -> None:
    stream = step_tokens.encode(piece)
    assert all(0 <= token < step_tokens.VOCABULARY for token in stream)
    assert step_tokens.decode(stream) == piece


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, step_tokens.VOCABULARY - 1), max_size=30))
def test_any_tokens_are_a_piece_or_are_refused(stream: list[int]) -> None:
    try:
        piece = step_tokens.decode([step_tokens.STYLE, step_tokens.METRE + 15, *stream])
    except TokenError:
        return
    assert piece.steps <= len(stream)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(-1, 11), st.integers(1, 40))
def test_what_the_grammar_lets_pass_is_a_step_of_the_band(seed: int, root: int, most: int) -> None:
    random = np.random.default_rng(seed)
    grammar = Grammar(ROLES, COMPASS, root)
    while not grammar.over and len(grammar.tokens) < most:
        allowed = grammar.find_allowed()
        assert allowed.any()
        wanted = np.zeros(step_tokens.WRITER_TOKENS)
        first, end = grammar.confine(wanted)
        assert np.array_equal(first + np.flatnonzero(wanted[first:end] == 0), np.flatnonzero(allowed))
        grammar.append(sampling.choose(random.standard_normal(step_tokens.WRITER_TOKENS), random, allowed=allowed))
    made = step_tokens.decode_step(grammar.finish() if not grammar.over else grammar.tokens, root)
    for part in made:
        pitches = [pitch for _, pitch in part.notes]
        assert 1 <= len(pitches) == len(set(pitches)) <= step_tokens.MAX_NOTES[part.role]
        if part.role != "drums":
            low, high = COMPASS[part.role]
            assert all(low <= pitch <= high for pitch in pitches)


def test_roles_that_may_not_begin_anything_do_not() -> None:
    allowed = Grammar(("bass",), COMPASS, 0).find_allowed()
    assert np.flatnonzero(allowed).tolist() == [step_tokens.WHO, step_tokens.WHO + 1]


def test_a_step_is_told_from_the_root() -> None:
    parts = [RoleOnsets("bass", ((4, 36),)), RoleOnsets("chords", ((2, 60), (2, 64)))]
    moved = [RoleOnsets("bass", ((4, 38),)), RoleOnsets("chords", ((2, 62), (2, 66)))]
    assert step_tokens.encode_step(parts, 0) == step_tokens.encode_step(moved, 2)
    assert step_tokens.decode_step(step_tokens.encode_step(moved, 2), 2) == moved


def test_kinds_of_tokens_follow_each_other_without_a_gap() -> None:
    assert step_tokens.encode_chord(-1, -1) == step_tokens.CHORD
    assert step_tokens.encode_chord(11, 7) == step_tokens.MELODY - 1
    assert step_tokens.decode_chord(step_tokens.encode_chord(5, 3)) == (5, 3)
    assert step_tokens.encode_pitch(127, 0) < step_tokens.DRUM
    assert step_tokens.encode_pitch(0, 11) >= step_tokens.PITCH
    assert step_tokens.MELODY_ONSET + 128 == step_tokens.STYLE


def test_temperature_0_takes_the_likeliest_and_top_p_leaves_out_the_rest() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    random = np.random.default_rng(1)
    assert {sampling.choose(logits, random, 0) for _ in range(20)} == {0}
    assert {sampling.choose(logits, random, 1, 0.75) for _ in range(300)} == {0, 1}
    drawn = np.bincount([sampling.choose(logits, random) for _ in range(4000)], minlength=4) / 4000
    assert np.abs(drawn - np.exp(logits)).max() < 0.03
    assert sampling.choose(logits, random, 1, 0.1, np.array([False, False, True, True])) == 2
    with pytest.raises(ValueError, match="allowed"):
        sampling.choose(logits, random, allowed=np.zeros(4, np.bool_))


def test_the_same_seed_draws_the_same() -> None:
    logits = np.zeros(50)
    first, second = (
        [sampling.choose(logits, random) for _ in range(20)]
        for random in (np.random.default_rng(5), np.random.default_rng(5))
    )
    assert first == second
