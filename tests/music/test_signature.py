"""Signatures are read, or refused in one sentence, whatever stands in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.signature import METADATA_KEY, Signature, SignatureError, read_signature, split_metadata

GOOD: dict[str, Any] = {
    "version": 1,
    "technique": "gan",
    "inputs": {"z": [1, 16]},
    "outputs": {"scores": [1, "steps"]},
    "styles": ["pop", "rock"],
    "settings": {"a": 1},
    "provenance": {},
}


def refuse(text: str) -> str:
    with pytest.raises(SignatureError) as error:
        read_signature({METADATA_KEY: text})
    return str(error.value)


def test_a_good_one_is_read() -> None:
    read = read_signature({METADATA_KEY: json.dumps(GOOD)})
    assert read == Signature("gan", {"z": (1, 16)}, {"scores": (1, "steps")}, ("pop", "rock"), {"a": 1})
    assert read_signature({METADATA_KEY: read.to_json()}) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "recursion"),
        ('{"a":' * 100_000, "recursion"),
        ("[]", "it is no object"),
        ("3", "it is no object"),
        ("{}", "version None"),
        ('{"version": 2}', "version 2"),
        ('{"version": ' + "9" * 5000 + "}", "cannot be read"),
        ('{"version": "\\n\\u001b[2J"}', "version   "),
        ('{"version": 1}', "no 'technique'"),
        ('{"version": 1, "version": 1}', "twice"),
        (json.dumps(GOOD | {"styles": "pop"}), "styles"),
        (json.dumps(GOOD | {"styles": ["pop", "pop"]}), "styles"),
        (json.dumps(GOOD | {"styles": ["p\x1bop"]}), "styles"),
        (json.dumps(GOOD | {"styles": ["\ud800"]}), "styles"),
        (json.dumps(GOOD | {"styles": [["pop"]]}), "styles"),
        (json.dumps(GOOD | {"technique": ["gan"]}), "technique"),
        (json.dumps(GOOD | {"technique": "g" * 10_000}), "technique"),
        (json.dumps(GOOD | {"inputs": []}), "inputs"),
        (json.dumps(GOOD | {"inputs": {"z": 16}}), "inputs"),
        (json.dumps(GOOD | {"inputs": {"z": [-16]}}), "'z'"),
        (json.dumps(GOOD | {"outputs": {"z": [1.5]}}), "'z'"),
        (json.dumps(GOOD | {"outputs": {"z": [10**30]}}), "'z'"),
        (json.dumps(GOOD | {"outputs": {"z": [True]}}), "'z'"),
        (json.dumps(GOOD | {"settings": [1]}), "settings"),
        (json.dumps(GOOD | {"settings": {"a": float("nan")}}), "NaN"),
        (json.dumps(GOOD | {"provenance": None}), "provenance"),
        (json.dumps(GOOD | {"more": 1}), "'more'"),
    ],
)
def test_what_is_no_signature_is_one_sentence(text: str, words: str) -> None:
    sentence = refuse(text)
    assert words in sentence
    assert len(sentence) < 400
    assert sentence.isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({key: st.just(value) | _JSON for key, value in GOOD.items()}))
def test_any_values_are_read_or_refused(values: dict[str, Any]) -> None:
    try:
        read = read_signature({METADATA_KEY: json.dumps(values)})
    except SignatureError:
        return
    assert all(type(size) in (int, str) for shape in read.inputs.values() for size in shape)


@given(st.binary(max_size=60))
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    try:
        _, graph = split_metadata(data)
    except SignatureError:
        return
    assert len(graph) <= len(data)


def test_metadata_that_stand_there_twice_are_refused() -> None:
    pair = b"\x0a\x01k\x12\x01v"
    entry = b"\x72" + bytes([len(pair)]) + pair
    assert split_metadata(entry) == ({"k": "v"}, b"")
    with pytest.raises(SignatureError, match="twice"):
        split_metadata(entry + entry)
