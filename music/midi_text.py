"""Text in MIDI files, which do not say how their text is encoded: UTF-8, UTF-16, Shift-JIS or Latin-1."""

from __future__ import annotations

import codecs
import re

#: Encodings that may stand in braces before a text (MIDI Association, RP-026).
_TAGS = {b"{@LATIN}": "latin-1", b"{@JP}": "cp932"}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
#: Two or more double-byte characters of Shift-JIS in a row, one of them among those every Japanese text has: kana,
#: punctuation or a common kanji. Latin-1 has control characters where these begin.
_JAPANESE = re.compile(
    rb"(?:[\x81-\x9f][\x40-\x7e\x80-\xfc](?:[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]|[\xa1-\xdf])"
    rb"|[\xe0-\xfc][\x40-\x7e\x80-\xfc][\x81-\x9f][\x40-\x7e\x80-\xfc])"
)
#: One such character that Latin-1 and its Windows variant would hardly have: kana, or two bytes that are no letters.
_ONE_JAPANESE = re.compile(rb"[\x81-\x83][\x40-\x7e]|[\x81-\x9f][\x80-\xfc]")
#: Three katakana of half width in a row, not all of them capitals in Latin-1.
_HALF_WIDTH = re.compile(rb"(?=[\xa1-\xdf]{0,64}[\xa6-\xbf\xdd-\xdf])[\xa1-\xdf]{3}")

#: A text is cut off there; what is longer is no name, marker or word of a song.
MAX_TEXT_BYTES = 4096


def decode_text(data: bytes) -> str:
    """Return the text of a meta message: without control characters, on one line, no space at either end."""
    return make_printable(_decode(data[:MAX_TEXT_BYTES])).strip()


def make_printable(text: str) -> str:
    """Return a text that is safe in a terminal: white space as plain spaces, all that is not printable left out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " for c in text if c.isprintable() or c.isspace())


def _decode(data: bytes) -> str:
    if data.isascii() and b"\0" not in data and not data.startswith(b"{@"):
        return data.decode("ascii")
    for tag, encoding in (_TAGS | _BYTE_ORDER_MARKS).items():
        if data.startswith(tag):
            return data[len(tag) :].decode(encoding, "replace")
    wide = _find_wide_encoding(data)
    if wide is not None:
        return data.decode(wide)
    for encoding in ("utf-8", "cp932" if _looks_japanese(data) else "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _find_wide_encoding(data: bytes) -> str | None:
    """Return which UTF-16 a text without a byte order mark is in: every other byte of Western text is zero there."""
    half = len(data) // 2
    if len(data) % 2 or 2 * data.count(0) < half:
        return None
    encoding = "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    try:
        return encoding if data.decode(encoding).rstrip("\0").isprintable() else None
    except UnicodeDecodeError:
        return None


def _looks_japanese(data: bytes) -> bool:
    """Tell whether bytes that are no UTF-8 are Shift-JIS and not Latin-1, whose accents stand alone among letters."""
    return any(pattern.search(data) for pattern in (_JAPANESE, _ONE_JAPANESE, _HALF_WIDTH))
