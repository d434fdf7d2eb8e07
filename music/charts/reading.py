"""Read a chart from a file or a link, whatever its format."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from stat import S_ISREG

from music.charts.chart import Chart, ChartError, make_error
from music.charts.chordpro import parse_chordpro
from music.charts.ireal import has_link, parse_ireal
from music.charts.midi_texts import parse_midi_texts
from music.charts.musicxml import MAX_SCORE_BYTES, parse_musicxml
from music.charts.text_lines import parse_text
from music.midi_text import decode_text

_MIDI_STARTS = (b"MThd", b"RIFF")
_ZIP_START = b"PK"
#: A chart in text that is larger is refused: a song takes some kB.
_MAX_TEXT_BYTES = 256 << 10
#: A chart of that size is read in a moment, 0.3 s at the most.
_MAX_QUICK_BYTES = 32 << 10
_CHORDPRO_SUFFIXES = (".cho", ".crd", ".chopro", ".chordpro", ".pro")
_DIRECTIVE = re.compile(r"^\s*\{[A-Za-z_]+(?:\s*:[^}]*)?\}\s*$", re.MULTILINE)


def read_charts(source: str | Path) -> list[Chart]:
    """Return the charts of a file, or of an iReal Pro link given in place of its path.

    Raises ChartError, in one sentence with file, line and bar where they are known, for what cannot be read.
    """
    if _is_link(source):
        return parse_ireal(str(source), Path("link"))
    path = Path(source)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCORE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise make_error(path, f"the chart cannot be read: {reason}") from None
    if len(data) > MAX_SCORE_BYTES:
        raise make_error(path, f"it is larger than {MAX_SCORE_BYTES >> 20} MB, which is no chart")
    return parse_charts(data, path)


def check_file(source: str | Path) -> None:
    """Raise ChartError for a folder or a device, whose reading might never end; what cannot be found is left."""
    if _is_link(source):
        return
    try:
        mode = Path(source).stat().st_mode
    except (OSError, ValueError):  # reading it will say why
        return
    if not S_ISREG(mode):
        raise make_error(source, "the chart cannot be read: it is no regular file")


def check_chart(source: str | Path) -> None:
    """Raise ChartError for what is no file, or link, with a chart that can be played from.

    What takes long to read is left to those who have the time.
    """
    if _is_link(source):
        size, name = len(str(source)), "link"
    else:
        check_file(source)
        size, name = 0, str(source)
        with contextlib.suppress(OSError, ValueError):  # reading it will say why
            size = Path(source).stat().st_size
    if size > _MAX_QUICK_BYTES:
        return
    try:
        read_charts(source)[0].check_playable()
    except ChartError as error:
        text = str(error)
        raise error if text.startswith(name) else ChartError(f"{name}: {text}") from None


def _is_link(source: str | Path) -> bool:
    return isinstance(source, str) and has_link(source[:20])


def parse_charts(data: bytes, path: Path) -> list[Chart]:
    """Return the charts in the bytes of a file; `path` tells the format where the bytes do not, and names errors."""
    if data.startswith(_MIDI_STARTS):
        return [parse_midi_texts(data, path)]
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data.startswith(_ZIP_START) or head.startswith((b"<?xml", b"<score")) or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        is_page = has_link(data.decode("utf-8", "replace"))
        if not is_page and (data.startswith(_ZIP_START) or b"s\0c\0o\0r\0e" in data or b"score" in data):
            return [parse_musicxml(data, path)]
    text = _decode(data)
    if "\0" in text:
        raise make_error(path, "it is no chart (known are bars in text, ChordPro, MusicXML, iReal Pro and MIDI)")
    if has_link(text):
        return parse_ireal(text, path)
    if len(data) > _MAX_TEXT_BYTES:
        raise make_error(path, f"it is larger than {_MAX_TEXT_BYTES >> 10} kB, which is no chart in text")
    if path.suffix.lower() in _CHORDPRO_SUFFIXES or _DIRECTIVE.search(text):
        return [parse_chordpro(text, path)]
    return [parse_text(text, path)]


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "\n".join(decode_text(line) for line in data.split(b"\n"))
