"""Styles and collections: what trained networks hold fast, and that one more is one more line."""

from __future__ import annotations

import pytest

from music import styles
from music.styles import Collection, Style


def test_style_inputs_of_trained_networks_stay_in_their_order() -> None:
    assert styles.list_styles("gan") == ("pop", "rock", "jazz", "ballad", "piano")
    assert styles.list_styles("arcnn") == ("chorale", "pop", "romantic", "classical")
    assert styles.list_styles("transformer") == (
        *("pop", "rock", "jazz", "ballad", "piano", "romantic", "classical", "chorale"),
    )
    assert styles.list_styles("unheard of") == ()


def test_a_style_comes_from_its_collection() -> None:
    found = {style.name: styles.find_collection(style.name) for style in styles.STYLES}
    assert {name for name, collection in found.items() if collection == "bands"} == {"pop", "rock", "jazz", "ballad"}
    assert found["piano"] == "pop909"
    assert styles.find_collection("pop", "arcnn") == "pop909"
    assert styles.find_collection(None) == "bands"


def test_a_file_says_its_style_by_its_name_or_its_collection() -> None:
    assert styles.read_style("bands", "003-jazz") == styles.find_style("bands", "003-jazz") == "jazz"
    assert styles.read_style("pop909", "020-a") is None
    assert styles.find_style("pop909", "020-a") == "piano"
    assert styles.find_style("a user's folder", "my-song") == "pop"


def test_one_more_style_and_collection_are_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(styles, "STYLES", (*styles.STYLES, Style("polka", {"gan": 0.5, "new": 1.0})))
    monkeypatch.setattr(styles, "COLLECTIONS", (*styles.COLLECTIONS, Collection("dances", "polka")))
    assert styles.list_styles("gan")[-1] == "polka"
    assert styles.get_weights("new") == {"polka": 1.0}
    assert styles.find_collection("polka") == "dances"
    assert styles.find_style("dances", "17") == "polka"
