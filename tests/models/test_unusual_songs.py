"""Files that training leaves out, though they can be read."""

from __future__ import annotations

import pytest

from models.data.preparation import UnusableSongError, read_song
from music import smf
from music.chords import NO_CHORD
from music.corpus import SongFile
from tests.support.smf_bytes import file, meta, number, track, tune

MELODY, BASS = track(meta(smf.TRACK_NAME, b"Melody"), tune()), track(meta(smf.TRACK_NAME, b"bass"), tune(1))
LATE = track(tune(2), number(0x0FFFFFFF) + b"\x91\x3c\x50" + b"\x01\x81\x3c\x00")


HARMONY = track(
    meta(smf.TRACK_NAME, b"harmony"),
    *(meta(smf.MARKER, text) for text in (b"Verse 1", b"C:maj(14)", b"C:maj/99", b"C:(b)", b"H7", b"", b"\xff")),
    meta(smf.MARKER, b"A:min7", 96),
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (file(MELODY, BASS), ""),
        (file(MELODY, BASS, track(b"\x00\xf8", meta(smf.KEY_SIGNATURE, b"\xff\xff"))), ""),
        (file(MELODY, BASS, HARMONY), ""),
        (file(MELODY, BASS, track(meta(smf.TIME_SIGNATURE, b"\x0d\5\x18\x08"))), "is in a metre without sixteenths"),
        (file(MELODY, BASS, track(meta(smf.TIME_SIGNATURE, b"\3\2\x18\x08"))), ""),
        (file(MELODY, BASS, track(meta(smf.TIME_SIGNATURE, b"\5\2\x18\x08"))), "is in 5/4, not in 4/4, 2/2, 3/4"),
        (
            file(MELODY, BASS, track(*(meta(smf.TIME_SIGNATURE, bytes((n, 2, 24, 8)), 96 * (n == 4)) for n in (3, 4)))),
            "is in 3/4 and in 4/4, and training takes songs in one metre",
        ),
        (file(MELODY, BASS, LATE), "lasts 2796206 beats"),
        (file(MELODY, BASS, LATE, division=1), "lasts 268"),
        (file(MELODY), "has a melody and nothing beside it"),
        (file(track(tune(9))), "has no pitched notes"),
        (b"", "is not a readable MIDI file (it is empty)"),
    ],
)
def test_a_song_is_used_only_if_its_bars_and_length_are_sound(content: bytes, reason: str) -> None:
    song = SongFile("mine", "train", "song", content)
    if not reason:
        assert len(read_song(song).notes) == 8
        return
    with pytest.raises(UnusableSongError) as error:
        read_song(song)
    assert str(error.value).startswith(reason)


def test_markers_that_are_no_chords_do_not_count() -> None:
    chords = read_song(SongFile("mine", "train", "song", file(MELODY, BASS, HARMONY))).chords
    assert chords[:, 0].tolist() == [NO_CHORD, 9, 9, 9]


def test_a_song_of_many_hours_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    long = tuple(60 + i % 5 for i in range(40))
    song = SongFile("mine", "train", "song", file(track(tune(0, long)), track(tune(1, long))))
    assert len(read_song(song).notes) == 80
    monkeypatch.setattr("models.data.preparation.MAX_NOTES", 79)
    with pytest.raises(UnusableSongError, match="has 80 notes"):
        read_song(song)
    monkeypatch.setattr("models.data.preparation.MAX_BEATS", 39)
    with pytest.raises(UnusableSongError, match="lasts 40 beats"):
        read_song(song)
