from __future__ import annotations

import pytest

from music.track_names import fold_name, guess_part, match_names, rank_melody


@pytest.mark.parametrize(
    ("name", "folded"),
    [(" Melody ", "melody"), ("Mélodie", "melodie"), ("ＭＥＬＯＤＹ", "melody"), ("Straße", "strasse"), ("ﾒﾛ", "メロ")],
)
def test_case_accents_and_width_do_not_count(name: str, folded: str) -> None:
    assert fold_name(name) == folded


@pytest.mark.parametrize(
    ("name", "channel", "program", "part"),
    [
        ("MELODY", 0, 0, "melody"),
        ("Mélodie", 0, 0, "melody"),
        ("Lead Guitar", 0, 27, "melody"),
        ("Vocals", 3, 0, "melody"),
        ("メロディ", 0, 0, "melody"),
        ("Melody", 9, 0, "drums"),
        ("Electric Bass", 0, 0, "bass"),
        ("bass_voice", 0, 0, "bass_voice"),
        ("Strings", 0, 0, "pad"),
        ("", 0, 33, "bass"),
        ("", 0, 48, "pad"),
        ("Piano", 0, 0, "piano"),
        ("right hand", 0, 0, "chords"),
    ],
)
def test_a_part_is_told_by_name_channel_and_program(name: str, channel: int, program: int, part: str) -> None:
    assert guess_part(name, channel, program) == part


def test_the_likelier_melody_has_the_lower_rank() -> None:
    ranks = [rank_melody(name, 0) for name in ("melody", "Melodie 2", "Vocal", "Lead Guitar", "violin1")]
    assert None not in ranks
    assert ranks == sorted(ranks, key=lambda rank: rank or 0)
    assert ranks[0] == 0
    assert rank_melody("Bass", 0) is None
    assert rank_melody("Lead", 9) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("Lead", ["Lead", "lead", "Lead Guitar", "Misleading"]),
        ("lead", ["lead", "Lead", "Lead Guitar", "Misleading"]),
        ("guitar", ["Lead Guitar"]),
        ("guitar lead", ["Lead Guitar"]),
        ("melodie", ["Mélodie"]),
        ("mel", ["Mélodie"]),
        ("flute", []),
        ("", []),
    ],
)
def test_a_track_is_found_by_its_name_or_words_of_it(wanted: str, found: list[str]) -> None:
    assert match_names(["Lead Guitar", "Lead", "lead", "Mélodie", "Misleading"], wanted) == found
