"""Charts in plain text: headers, sections, and bars between bar lines."""

from __future__ import annotations

import re
from pathlib import Path

from music.analysis.key import MODES
from music.charts.bar_lines import BarText, make_bar, read_last_bar, split_line
from music.charts.chart import Chart, ChartMetre, make_error
from music.charts.repeats import spread_endings, unfold

#: of a metre, as MIDI files can hold it
MAX_NUMERATOR = 255
_HEADER = re.compile(r"\s*([A-Za-z][A-Za-z ]{0,30}?)\s*:\s+(\S.*)$")
_SECTION = re.compile(r"\s*(?:\[(?P<bracket>[^\]|]+)\]|(?P<colon>[^|:#\[]{1,40}):|#+\s*(?P<hash>[^|]*))\s*$")
_SECTION_BEFORE_BARS = re.compile(r"\s*(?:\[(?P<bracket>[^\]|]+)\]|(?P<colon>[^|:#\[]{1,40}):)\s*(?=\|)")
_METRE = re.compile(r"\s*(\d{1,3})\s*/\s*(\d{1,2})\s*$")
_KEY = re.compile(r"([A-G][#b]?)\s*(m|min|minor|maj|major|-|)(?![A-Za-z#])", re.IGNORECASE)
_MODE = re.compile(rf"\b({'|'.join(MODES)})\b", re.IGNORECASE)


def parse_metre(text: str) -> ChartMetre:
    """Return the metre that a text such as `6/8`, `C` or `C|` names. Raises ValueError for what is none."""
    common = {"C": ChartMetre(4, 4), "c": ChartMetre(4, 4), "C|": ChartMetre(2, 2), "c|": ChartMetre(2, 2)}
    if text.strip() in common:
        return common[text.strip()]
    found = _METRE.match(text)
    if not found or not 1 <= int(found[1]) <= MAX_NUMERATOR or int(found[2]) not in (1, 2, 4, 8, 16, 32):
        raise ValueError(f"{text.strip()!r} is not a metre such as 4/4")
    return ChartMetre(int(found[1]), int(found[2]))


def parse_key(text: str) -> str:
    """Return a key as tonic and `m` for minor: `Bb`, `F#m`. Raises ValueError for what is none."""
    found = _KEY.match(text.strip().replace("♯", "#").replace("♭", "b"))
    if not found:
        raise ValueError(f"{text.strip()!r} is not a key such as Bb or F#m")
    tonic = found[1][0].upper() + found[1][1:]
    is_minor = found[2] in ("m", "-") or found[2].lower().startswith("min")
    return tonic + ("m" if is_minor else "")


def parse_mode(text: str) -> str:
    """Return the church mode that a key such as `D dorian` names; an empty text where it names none."""
    found = _MODE.search(text)
    return found[0].lower() if found else ""


def parse_text(text: str, path: Path) -> Chart:
    """Return the chart that a plain text holds. Raises ChartError with line and bar for what cannot be understood."""
    reader = _TextReader(path)
    for number, line in enumerate(text.splitlines(), 1):
        reader.read_line(line, number)
    return reader.finish()


class _TextReader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._chart = Chart("text")
        self._metre = self._chart.metre
        self._section: str | None = None

    def read_line(self, line: str, number: int) -> None:
        if not line.strip():
            return
        try:
            if "|" in line:
                self._read_bars(line, number)
            elif found := _SECTION.match(line):
                self._section = _name_section(found)
            elif found := _HEADER.match(line):
                self._read_header(found[1], found[2])
            else:
                raise ValueError(f"{line.strip()[:40]!r} is neither a header, nor a section, nor bars between `|`")
        except ValueError as error:
            raise make_error(self._path, str(error), number) from None

    def _read_header(self, name: str, value: str) -> None:
        chart, folded = self._chart, name.strip().lower()
        if folded == "title":
            chart.title = value.strip()
        elif folded in ("composer", "artist", "by") and not chart.composer:
            chart.composer = value.strip()
        elif folded == "key":
            chart.key, chart.mode = parse_key(value), parse_mode(value)
        elif folded in ("time", "metre", "meter"):
            self._metre = parse_metre(value)
            if not chart.bars:
                chart.metre = self._metre
        elif folded in ("tempo", "bpm"):
            chart.tempo_bpm = parse_tempo(value)
        elif chart.bars:
            raise ValueError(f"{name.strip()!r} is neither a header, nor a section, nor bars between `|`")

    def _read_bars(self, line: str, number: int) -> None:
        before = _SECTION_BEFORE_BARS.match(line)
        if before:
            self._section, line = _name_section(before), line[before.end() :]
        split = split_line(line)
        bars = list(split.bars)
        if split.before:
            bars.insert(0, BarText(split.before.split()))
        if split.after:
            bars.append(read_last_bar(line))
        for text in bars:
            self._add_bar(text, number)

    def _add_bar(self, text: BarText, number: int) -> None:
        bars = self._chart.bars
        try:
            self._chart.add_bar(make_bar(text, self._metre, bars[-1] if bars else None, self._section))
        except ValueError as error:
            raise make_error(self._path, str(error), number, len(bars) + 1) from None
        self._section = None

    def finish(self) -> Chart:
        if not self._chart.bars:
            raise make_error(self._path, "it holds no bars: write them between `|`, as in `| C | Am7 |`")
        return finish_bars(self._chart, self._path)


def finish_bars(chart: Chart, path: Path, stops: frozenset[int] = frozenset()) -> Chart:
    """Unfold the repeats of a chart whose bars have all been read. stops: as for `spread_endings`."""
    spread_endings(chart.bars, stops)
    try:
        chart.order = unfold(chart.bars)
    except ValueError as error:
        raise make_error(path, str(error)) from None
    return chart


def parse_tempo(text: str) -> float:
    """Return the beats a minute that a text begins or ends with. Raises ValueError when there are none."""
    found = re.search(r"\d{1,3}(?:\.\d{1,3})?", text)
    if not found or not 10 <= float(found[0]) <= 400:
        raise ValueError(f"{text.strip()!r} is not a tempo in beats a minute")
    return float(found[0])


def _name_section(found: re.Match[str]) -> str:
    name = next(value for value in found.groupdict().values() if value is not None)
    return re.sub(r"^section\s+", "", name.strip(), flags=re.IGNORECASE)
