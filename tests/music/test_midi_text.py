from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.midi_text import MAX_TEXT_BYTES, decode_text, make_printable

WESTERN = [
    *("Mélodie", "Canção", "Violões", "éléphant", "Chœur", "Lead’s", "MÉLODIE", "CANÇÃO", "Ténor", "Größe", "„Titel“"),
    *("ÄÖÜ", "Niño…", "Üben", "Copyright © 2008", "Frère Jacques – été"),
]
JAPANESE = [
    *("メロディ", "ピアノ", "ベース", "主旋律", "歌", "安室奈美恵", "右手", "Piano(右手)", "Track１", "曲名：夏"),
    *("第1パート", "ﾒﾛﾃﾞｨ", "ﾋﾟｱﾉ", "ﾌﾙｰﾄ"),
]


@pytest.mark.parametrize("text", WESTERN)
@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_western_text_is_told_in_every_encoding(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)) == text


@pytest.mark.parametrize("text", JAPANESE)
@pytest.mark.parametrize("encoding", ["shift-jis", "utf-8", "utf-16"])
def test_japanese_text_is_told_in_every_encoding(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)) == text


def test_a_text_may_name_its_encoding() -> None:
    assert decode_text(b"{@LATIN}\xe9t\xe9") == "été"
    assert decode_text(b"{@JP}\x89\xcc") == "歌"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[31mred\x07", "[31mred"),
        (b"two\nlines\ttab ", "two lines tab"),
        (b"zero\0", "zero"),
        ("\u202eback \u2028new \x9bcsi".encode(), "back  new csi"),
        (b"", ""),
    ],
)
def test_nothing_that_steers_a_terminal_stays(raw: bytes, text: str) -> None:
    assert decode_text(raw) == text


@given(st.binary(max_size=60))
def test_any_bytes_are_a_printable_text(raw: bytes) -> None:
    text = decode_text(raw)
    assert text.isprintable()
    assert text == text.strip()
    assert make_printable(text) == text


@pytest.mark.parametrize("raw", [b"\xa1", b"\x81\x40", b"\xe9", b"\0", b"\0a", b"\xb0"])
def test_a_long_text_is_cut_off_and_takes_no_time(raw: bytes) -> None:
    begin = time.thread_time()
    assert len(decode_text(raw * 100_000)) <= MAX_TEXT_BYTES
    assert time.thread_time() - begin < 0.5
