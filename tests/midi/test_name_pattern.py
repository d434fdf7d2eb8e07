"""Patterns mean what they mean to `re`, and none of them takes for ever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.midi.name_pattern import NamePattern, PatternError

_ONE = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "^", "$", r"\b", r"\."])
_PATTERNS = st.recursive(
    st.one_of(_ONE, st.tuples(st.sampled_from(["a", ".", "[ab1]"]), st.sampled_from("*+?")).map("".join)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])).map(
            lambda parts: f"(?:{parts[0]}){parts[1]}"
        ),
    ),
    max_leaves=6,
)


@given(_PATTERNS, st.text("aAb1. ", max_size=8))
def test_a_pattern_means_what_it_means_to_re(pattern: str, name: str) -> None:
    assert NamePattern(pattern).is_in(name) == (re.search(pattern, name, re.IGNORECASE) is not None)


@pytest.mark.parametrize(
    ("pattern", "is_in"),
    [("^keys", True), ("(USB)", True), ("out$", False), ("pa[dt]s|keys", True), (r"\(usb\)$", True), ("", True)],
)
def test_patterns_as_people_write_them(pattern: str, is_in: bool) -> None:
    assert NamePattern(pattern).is_in("Keys (USB)") == is_in


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "a*a*a*a*a*a*a*a*b", "(.*)*(.*)*(.*)*x"])
def test_no_pattern_tries_all_ways_one_after_the_other(pattern: str) -> None:
    assert not NamePattern(pattern).is_in("a" * 200 + "!")


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[", "*", "a**", "(?i)a", "(?=a)", r"(a)\1", "(" * 5_000, "a{900}", "((a?){20}){20}b", "\\"],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        NamePattern(pattern)
