"""Files that training leaves out, though they can be read."""

from __future__ import annotations

import pytest

from models.data.preparation import read_song
from music import smf
from music.corpus import SongFile
from tests.support.smf_bytes import file, meta, number, track, tune

MELODY, BASS = track(meta(smf.TRACK_NAME, b"Melody"), tune()), track(meta(smf.TRACK_NAME, b"bass"), tune(1))
LATE = track(tune(2), number(0x0FFFFFFF) + b"\x91\x3c\x50" + b"\x01\x81\x3c\x00")


@pytest.mark.parametrize(
    ("content", "used"),
    [
        (file(MELODY, BASS), True),
        (file(MELODY, BASS, track(b"\x00\xf8", meta(smf.KEY_SIGNATURE, b"\xff\xff"))), True),
        (file(MELODY, BASS, track(meta(smf.TIME_SIGNATURE, b"\x0d\5\x18\x08"))), False),  # a bar of 13/32
        (file(MELODY, BASS, LATE), False),
        (file(MELODY, BASS, LATE, division=1), False),
    ],
)
def test_a_song_is_used_only_if_its_bars_and_length_are_sound(content: bytes, used: bool) -> None:
    assert (read_song(SongFile("mine", "train", "song", content)) is not None) == used
