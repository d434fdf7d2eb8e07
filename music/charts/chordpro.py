"""ChordPro songs: chords in a grid, which has bars, or above lyrics, which tell only their order."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from music.charts.bar_lines import BAR_LINE, make_bar, read_last_bar, split_line
from music.charts.chart import Chart, make_error
from music.charts.chord_names import ChordName, parse_chord_name
from music.charts.text_lines import finish_bars, parse_key, parse_metre, parse_mode, parse_tempo

_DIRECTIVE = re.compile(r"\s*\{\s*([A-Za-z_-]+)(?:\s*[:\s]\s*(.*?))?\s*\}\s*$")
_IN_LYRICS = re.compile(r"\[([^\]]*)\]")
#: What stands in brackets among lyrics and is a word, not a chord: `[Chorus]`, `[Bridge 2]`.
_WORD = re.compile(r"[A-Za-z][a-z]{3,}")
_GRID_START, _GRID_END = ("start_of_grid", "sog"), ("end_of_grid", "eog")
#: Parts of a song that are neither lyrics nor a grid.
_OTHER_START = re.compile(r"(?:start_of_(?:tab|abc|ly|svg|textblock|musicxml)|sot)$")
_OTHER_END = re.compile(r"(?:end_of_(?:tab|abc|ly|svg|textblock|musicxml)|eot)$")


def parse_chordpro(text: str, path: Path) -> Chart:
    """Return the chart of a ChordPro file, the first song where it holds several.

    Raises ChartError with line and bar for what cannot be understood.
    """
    reader = _ChordProReader(path)
    for number, line in enumerate(text.splitlines(), 1):
        if not reader.read_line(line, number):
            break
    return reader.finish()


class _ChordProReader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._chart = Chart("chordpro")
        self._metre = self._chart.metre
        self._sequence: list[ChordName] = []
        self._section: str | None = None
        self._inside = "lyrics"

    def read_line(self, line: str, number: int) -> bool:
        """Read one line and return whether the song goes on after it."""
        try:
            if line.lstrip().startswith("#"):
                return True
            if found := _DIRECTIVE.match(line):
                return self._read_directive(found[1].lower(), found[2] or "")
            if self._inside == "grid":
                self._read_grid(line, number)
            elif self._inside == "lyrics":
                self._read_lyrics(line)
        except ValueError as error:
            raise make_error(self._path, str(error), number) from None
        return True

    def _read_directive(self, name: str, value: str) -> bool:
        if name == "meta":
            name, _, value = value.partition(" ")
        if name in ("new_song", "ns"):
            return not (self._sequence or self._chart.bars)
        if name in _GRID_START:
            self._inside = "grid"
        elif _OTHER_START.match(name):
            self._inside = "other"
        elif name in _GRID_END or _OTHER_END.match(name):
            self._inside = "lyrics"
        elif name.startswith("start_of_") and value:
            self._section = value
        else:
            self._read_header(name, value.strip())
        return True

    def _read_header(self, name: str, value: str) -> None:
        chart = self._chart
        if name in ("title", "t"):
            chart.title = value
        elif name in ("composer", "artist") and not chart.composer:
            chart.composer = value
        elif name == "key" and not chart.key:
            chart.key, chart.mode = parse_key(value), parse_mode(value)
        elif name == "time":
            self._metre = parse_metre(value)
            if not chart.bars:
                chart.metre = self._metre
        elif name == "tempo" and chart.tempo_bpm is None:
            with contextlib.suppress(ValueError):  # "Allegro" is a tempo, too, for people
                chart.tempo_bpm = parse_tempo(value)

    def _read_lyrics(self, line: str) -> None:
        for text in _IN_LYRICS.findall(line):
            if not text.strip() or text.startswith("*"):
                continue
            try:
                self._sequence.append(parse_chord_name(text.strip("() ")))
            except ValueError:
                if not _WORD.match(text.strip()):
                    raise

    def _read_grid(self, line: str, number: int) -> None:
        if not BAR_LINE.search(line):
            if line.strip():
                raise ValueError("a line of a grid has no bar lines (`|`)")
            return
        split = split_line(line)
        if split.before:
            self._section = split.before
        bars = list(split.bars)
        last = read_last_bar(line)
        if last.symbols and (last.repeat_start or last.endings):
            bars.append(last)  # otherwise it is the comment that a grid may have in its right margin
        for text in bars:
            written = self._chart.bars
            try:
                before = written[-1] if written else None
                self._chart.add_bar(make_bar(text, self._metre, before, self._section, subdivide=True))
            except ValueError as error:
                raise make_error(self._path, str(error), number, len(written) + 1) from None
            self._section = None

    def finish(self) -> Chart:
        if self._chart.bars:
            return finish_bars(self._chart, self._path)
        if not self._sequence:
            raise make_error(self._path, "it holds no chords, neither in a grid nor in the lyrics")
        self._chart.sequence = self._sequence
        return self._chart
