"""iReal Pro's links, `irealb://` and `irealbook://`, alone or in a page: one chart or a playlist.

The format is described in iReal Pro's "Open Protocol" (https://www.irealpro.com/ireal-pro-custom-chord-chart-protocol);
`irealb` permutes the characters of the music besides.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

from music.charts.chart import Chart, ChartBar, ChartMetre, PlacedChord, make_error
from music.charts.chord_names import NO_CHORD, ChordName, parse_chord_name, spell_pitch_class
from music.charts.text_lines import finish_bars, parse_key

_LINK = re.compile(r"(irealb|irealbook)://([^\"'<>\s]+)")
_MUSIC_PREFIX = "1r34LbKcu7"
#: `irealb` writes frequent groups of characters in short.
_SHORT = (("XyQ", "   "), ("LZ", " |"), ("Kcl", "| x"))
_BLOCK = 50
#: Places of a block of 50 characters that are exchanged with their mirror image.
_EXCHANGED = frozenset((*range(5), *range(10, 24)))

_CHORD = r"(?:[A-GW](?:[#b]?)(?:sus|alt|add|[-+^oh#b\d])*(?:/[A-G][#b]?)?)"
_TOKEN = re.compile(
    r"(?P<comment><[^>]*>)|(?P<time>T\d\d)|\*(?P<section>\w)|N(?P<ending>\d)|(?P<alternative>\([^)]*\))"
    rf"|(?P<chord>{_CHORD}|n|p|x|r)|(?P<bar>[\[\]{{}}|Z])|(?P<sign>[SQUfY])|(?P<space>\s)|(?P<other>.)"
)
#: Digits after T whose halves are not numerator and denominator.
_METRES = {"12": ChartMetre(12, 8)}
_JUMP = re.compile(r"D\.?\s?(C|S)\.?", re.IGNORECASE)
_TIMES = re.compile(r"(\d{1,2})\s*x\b", re.IGNORECASE)


def has_link(text: str) -> bool:
    """Tell whether a text holds a link of iReal Pro."""
    return _LINK.search(text) is not None


def parse_ireal(text: str, path: Path) -> list[Chart]:
    """Return the charts of all links in a text. Raises ChartError for what cannot be understood."""
    charts = []
    for scheme, quoted in _LINK.findall(html.unescape(text)):
        body = unquote(quoted)
        for fields in _split_songs(scheme, body):
            charts.append(_parse_song(fields, path))
    if not charts:
        raise make_error(path, "its link holds no song of iReal Pro")
    return charts


def _split_songs(scheme: str, body: str) -> Iterator[list[str]]:
    """Yield title, composer, style, key and music of each song; the music as it is read, not as it is coded."""
    if scheme == "irealbook":
        fields = body.split("=")
        for first in range(0, len(fields) - 5, 6):
            title, composer, style, key, _, music = fields[first : first + 6]
            yield [title, composer, style, key, music]
        return
    for song in body.split("==="):
        fields = song.split("=")
        at = next((i for i, value in enumerate(fields) if value.startswith(_MUSIC_PREFIX)), None)
        if at is not None:
            named = [value for value in fields[:at] if value]
            if len(named) >= 4:
                key = next((v for v in reversed(named) if re.fullmatch(r"[A-G][#b]?-?", v)), "")
                yield [named[0], named[1], named[2], key, decode_music(fields[at])]


def decode_music(coded: str) -> str:
    """Return the music of an `irealb` link in the order in which it is read."""
    rest, blocks = coded.removeprefix(_MUSIC_PREFIX), []
    while len(rest) > _BLOCK + 1:
        block, rest = rest[:_BLOCK], rest[_BLOCK:]
        mirrored = (_BLOCK - 1 - i if i in _EXCHANGED or _BLOCK - 1 - i in _EXCHANGED else i for i in range(_BLOCK))
        blocks.append("".join(block[i] for i in mirrored))
    music = "".join(blocks) + rest
    for short, long in _SHORT:
        music = music.replace(short, long)
    return music


def _parse_song(fields: list[str], path: Path) -> Chart:
    title, composer, _, key, music = fields
    chart = Chart("ireal", title, composer)
    try:
        chart.key = parse_key(key) if key else ""
        reader = _MusicReader(chart)
        for found in _TOKEN.finditer(music):
            reader.take(found.lastgroup or "", found[0])
        reader.end_bar()
    except ValueError as error:
        raise make_error(path, f"{title}: {error}", bar=len(chart.bars) + 1) from None
    if not chart.bars:
        raise make_error(path, f"{title!r} holds no bars")
    return finish_bars(chart, path)


class _MusicReader:
    """The music of one link, token by token: a bar is a row of cells, in each a chord or nothing."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._metre = chart.metre
        self._cells: list[str] = []
        self._next = ChartBar(chart.metre)
        self._name = NO_CHORD

    def take(self, kind: str, text: str) -> None:
        """Take the next token."""
        if kind == "chord":
            self._cells.append(text)
        elif kind == "space":
            if self._cells:
                self._cells.append("")
        elif kind == "bar":
            self._take_bar_line(text)
        elif kind == "time":
            self._take_metre(text[1:])
        elif kind == "section":
            self.end_bar()
            names = {"i": "Intro", "v": "Verse"}
            self._next.section = names.get(text[1], text[1])
        elif kind == "ending":
            self._next.endings = frozenset({int(text[1]) or 1})
        elif kind == "sign":
            self._take_sign(text)
        elif kind == "comment":
            self._take_comment(text[1:-1])

    def _take_bar_line(self, line: str) -> None:
        ended = self.end_bar()
        if line == "{":
            self._next.repeat_start = True
        elif line == "}" and ended is not None:
            ended.repeat_end = ended.repeat_end or 2

    def _take_metre(self, digits: str) -> None:
        self._metre = _METRES.get(digits, ChartMetre(int(digits[0]), int(digits[1])))
        if self._metre.numerator == 0 or self._metre.denominator not in (2, 4, 8):
            raise ValueError(f"T{digits} is not a metre")
        if not self._chart.bars:
            self._chart.metre = self._metre

    def _take_sign(self, sign: str) -> None:
        if sign == "S":
            self._next.is_segno = True
        elif sign == "Q":
            # The first coda sign says where to leave, the second where to go on.
            bars = self._chart.bars
            if any(bar.to_coda for bar in bars):
                self._next.is_coda = True
            else:
                (self._next if self._cells or not bars else bars[-1]).to_coda = True

    def _take_comment(self, text: str) -> None:
        bar = self._next if self._cells or not self._chart.bars else self._chart.bars[-1]
        if found := _JUMP.search(text):
            bar.jump = f"D.{found[1].upper()}."
        elif re.match(r"\s*fine\b", text, re.IGNORECASE):
            bar.is_fine = True
        elif found := _TIMES.search(text):
            self._next.repeat_end = int(found[1]) if bar is self._next else self._next.repeat_end

    def end_bar(self) -> ChartBar | None:
        """End the bar whose cells have been collected; return it, or the bar before when there are none."""
        bars = self._chart.bars
        cells, self._cells = self._cells, []
        if not any(cells):
            return bars[-1] if bars else None
        bar, self._next = self._next, ChartBar(self._metre)
        bar.metre = self._metre
        if cells[0] == "r" and len(bars) >= 2:
            bar.chords = list(bars[-2].chords)
            self._chart.add_bar(bar)
            self._chart.add_bar(ChartBar(self._metre, list(bars[-2].chords)))
            return bars[-1]
        if cells[0] == "x":
            if not bars:
                raise ValueError("`x` has no bar before it")
            bar.chords = list(bars[-1].chords)
        else:
            bar.chords = list(self._place(cells))
        if bar.chords:
            self._name = bar.chords[-1].name
        self._chart.add_bar(bar)
        return bar

    def _place(self, cells: list[str]) -> Iterator[PlacedChord]:
        beats = self._metre.numerator
        last = max(i for i, text in enumerate(cells) if text)
        count = len(cells)
        is_beat_a_cell = count <= beats + 1 and last < beats and (count >= beats or count == 1)
        for index, text in enumerate(cells):
            if text and text != "p":
                self._name = self._read_name(text)
                beat = Fraction(index) if is_beat_a_cell else _round_to_half(Fraction(index * beats, count))
                yield PlacedChord(1 + beat, self._name)

    def _read_name(self, text: str) -> ChordName:
        if not text.startswith("W"):
            return parse_chord_name(text)
        bass = text.partition("/")[2]  # an invisible root: the chord goes on above another bass
        name = self._name
        if not bass or name is NO_CHORD:
            return name
        same = spell_pitch_class(bass) == spell_pitch_class(name.root)
        return name._replace(bass=None if same else bass)


def _round_to_half(beat: Fraction) -> Fraction:
    return Fraction(round(2 * beat), 2)
