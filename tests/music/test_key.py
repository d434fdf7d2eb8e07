"""Keys: their names, and which chords belong to them."""

from __future__ import annotations

import pytest

from music.analysis.key import KEYS, Key, count_foreign_tones, read_key
from music.chords import QUALITIES


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("D minor", Key(2, True)),
        ("d minor", Key(2, True)),
        ("Bb", Key(10, False)),
        ("F#m", Key(6, True)),
        ("E♭ major", Key(3, False)),
        ("Cb", Key(11, False)),
        ("B#-", Key(0, True)),
        (" A min ", Key(9, True)),
    ],
)
def test_a_key_is_read_as_musicians_write_it(text: str, key: Key) -> None:
    assert read_key(text) == key


@pytest.mark.parametrize("text", ["", "H", "Dm7", "D minor blues", "auto", "minor"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a key such as"):
        read_key(text)


def test_a_key_has_one_name_that_is_read_back() -> None:
    assert len({key.name for key in KEYS}) == 24
    assert [read_key(key.name) for key in KEYS] == list(KEYS)


def test_chords_of_a_key_have_no_tone_that_is_foreign_to_it() -> None:
    def belonging(key: Key) -> set[tuple[int, str]]:
        counts = count_foreign_tones(key)
        return {(i % 12, QUALITIES[i // 12]) for i, count in enumerate(counts) if not count}

    triads = {(0, "maj"), (2, "min"), (4, "min"), (5, "maj"), (7, "maj"), (9, "min"), (11, "dim")}
    major = {each for each in belonging(Key(0, False)) if each[1] in ("maj", "min", "dim")}
    assert major == triads
    minor = {each for each in belonging(Key(9, True)) if each[1] in ("maj", "min", "dim")}
    assert minor == triads | {(4, "maj"), (8, "dim")}  # and the dominants of minor
    assert (4, "7") in belonging(Key(9, True))
    assert (0, "sus4") in belonging(Key(9, True))
    assert count_foreign_tones(Key(0, False))[QUALITIES.index("maj") * 12 + 1] == 2  # Db, Ab


def test_the_same_chords_belong_to_every_key_moved() -> None:
    for key in KEYS:
        counts, moved = count_foreign_tones(key), count_foreign_tones(key.transpose(5))
        assert all(counts[i] == moved[i // 12 * 12 + (i + 5) % 12] for i in range(len(counts)))
