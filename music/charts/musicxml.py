"""Chords in MusicXML scores, plain (`.musicxml`, `.xml`) or compressed (`.mxl`)."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from music.charts.bar_lines import read_ending
from music.charts.chart import Chart, ChartBar, ChartMetre, PlacedChord, make_error
from music.charts.chord_names import NO_CHORD, ChordName, guess_key, parse_chord_name, spell_pitch_class
from music.charts.text_lines import finish_bars

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: A score that unpacks to more than that is refused.
MAX_SCORE_BYTES = 8 << 20
_MAX_MEMBERS = 1000
_ZIP_START = b"PK\x03\x04"

#: MusicXML's `kind` -> quality in Harte's notation.
_KINDS = {
    "major": "maj",
    "minor": "min",
    "augmented": "aug",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "min7",
    "diminished-seventh": "dim7",
    "augmented-seventh": "aug(b7)",
    "half-diminished": "hdim7",
    "major-minor": "minmaj7",
    "major-sixth": "maj6",
    "minor-sixth": "min6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "min9",
    "dominant-11th": "11",
    "major-11th": "maj11",
    "minor-11th": "min11",
    "dominant-13th": "13",
    "major-13th": "maj13",
    "minor-13th": "min13",
    "suspended-second": "sus2",
    "suspended-fourth": "sus4",
    "power": "5",
    "pedal": "1",
    "Neapolitan": "maj",
    "Italian": "7",
    "French": "7(b5)",
    "German": "7",
    "Tristan": "hdim7",
}
#: A quality and a degree that makes another quality of it: (quality, degree, semitones it is altered by).
_ALTERED = {
    ("min7", 5, -1): "hdim7",
    ("7", 5, 1): "aug(b7)",
    ("maj", 5, 1): "aug",
    ("min", 5, -1): "dim",
    ("sus4", 7, 0): "sus4(b7)",
    ("sus4", 7, -1): "sus4(b7)",
    ("7", 4, 0): "sus4(b7)",
}
_DA_CAPO = re.compile(r"\bD\.?\s?C\.?\b|\bda capo\b", re.IGNORECASE)
_DAL_SEGNO = re.compile(r"\bD\.?\s?S\.?\b|\bdal segno\b", re.IGNORECASE)
_TO_CODA = re.compile(r"\bto coda\b", re.IGNORECASE)
_FINE = re.compile(r"\s*fine\W*$", re.IGNORECASE)


def parse_musicxml(data: bytes, path: Path) -> Chart:
    """Return the chart of the part of a score that has most chord symbols.

    Entities are not expanded and an archive is unpacked up to MAX_SCORE_BYTES only. Raises ChartError for what is no
    score or has no chord symbols.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if data.startswith(_ZIP_START):
        data = _unpack(data, path)
    if len(data) > MAX_SCORE_BYTES:
        raise make_error(path, f"it is larger than {MAX_SCORE_BYTES >> 20} MB")
    try:
        root = fromstring(data)
    except ParseError as error:
        line = error.position[0] if hasattr(error, "position") else None
        raise make_error(path, f"it is not well-formed XML ({error})", line) from None
    except (DefusedXmlException, ValueError, LookupError) as error:
        raise make_error(path, f"its XML is refused ({type(error).__name__}): write it without entities") from None
    if root.tag not in ("score-partwise", "score-timewise"):
        raise make_error(path, f"it is not a MusicXML score (its root is {root.tag[:40]!r})")
    return _read_score(root, path)


def _unpack(data: bytes, path: Path) -> bytes:
    from defusedxml.ElementTree import fromstring

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()[:_MAX_MEMBERS]
            name = next((n for n in names if n.endswith((".musicxml", ".xml")) and not n.startswith("META-INF")), None)
            if "META-INF/container.xml" in names:
                container = fromstring(_read_member(archive, "META-INF/container.xml"))
                found = next((e for e in container.iter() if e.tag.endswith("rootfile")), None)
                name = found.get("full-path") if found is not None else name
            if name is None:
                raise make_error(path, "the archive holds no score")
            return _read_member(archive, name)
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        SyntaxError,
    ):
        raise make_error(path, "it is a damaged archive: export the score again") from None


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return member.read(MAX_SCORE_BYTES + 1)


def _read_score(root: Element, path: Path) -> Chart:
    parts = _list_parts(root)
    if not parts:
        raise make_error(path, "the score has no parts")
    measures = max(parts, key=lambda part: sum(1 for measure in part for _ in measure.iter("harmony")))
    if not any(True for measure in measures for _ in measure.iter("harmony")):
        raise make_error(path, "the score has no chord symbols")
    chart = Chart("musicxml", _find_text(root, "movement-title") or _find_text(root, "work/work-title"))
    creators = root.findall("identification/creator")
    chart.composer = next((e.text or "" for e in creators if e.get("type") == "composer"), "").strip()
    reader = _PartReader(chart)
    for number, measure in enumerate(measures, 1):
        try:
            reader.read_measure(measure)
        except ValueError as error:
            raise make_error(path, str(error), bar=number) from None
    if not chart.bars:
        raise make_error(path, "the score has no bars")
    names = [chord.name for bar in chart.bars for chord in bar.chords if chord.name.quality is not None]
    chart.key = guess_key(names) if names else ""
    return finish_bars(chart, path, frozenset(reader.ending_stops))


def _list_parts(root: Element) -> list[list[Element]]:
    if root.tag == "score-partwise":
        return [part.findall("measure") for part in root.findall("part")]
    parts: dict[str, list[Element]] = {}
    for measure in root.findall("measure"):
        for part in measure.findall("part"):
            part.attrib.update({k: v for k, v in measure.attrib.items() if k != "id"})
            parts.setdefault(part.get("id", ""), []).append(part)
    return list(parts.values())


def _find_text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


class _PartReader:
    """The measures of one part, read in order."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._metre = chart.metre
        self._divisions = Fraction(1)
        self._cursor = Fraction(0)
        self._longest = Fraction(0)
        self.ending_stops: list[int] = []  #: indices of bars after which an ending is said to end

    def read_measure(self, measure: Element) -> None:
        """Read one measure. Raises ValueError for numbers and chords that make no sense."""
        self._cursor = self._longest = Fraction(0)
        bar = ChartBar(self._metre)
        found: list[tuple[Fraction, ChordName]] = []
        for element in measure:
            if element.tag == "attributes":
                self._read_attributes(element)
            elif element.tag == "harmony":
                found.extend(self._read_harmony(element))
            elif element.tag in ("note", "backup", "forward"):
                self._advance(element)
            elif element.tag == "barline":
                self._read_bar_line(element, bar)
            elif element.tag in ("direction", "sound"):
                self._read_direction(element, bar)
        self._add(bar, sorted(found, key=lambda placed: placed[0]), measure)

    def _add(self, bar: ChartBar, found: list[tuple[Fraction, ChordName]], measure: Element) -> None:
        chart, metre = self._chart, self._metre
        bar.metre = metre
        length = self._longest * metre.denominator / 4
        is_short = 0 < length < metre.numerator
        if not chart.bars and is_short and not chart.has_pickup:
            chart.has_pickup, chart.metre = True, metre
            return
        if not chart.bars:
            chart.metre = metre
        if is_short and measure.get("implicit") == "yes" and length.denominator == 1:
            bar.metre = ChartMetre(int(length), metre.denominator)
        places: dict[Fraction, ChordName] = {}
        for position, name in found:
            beat = position * metre.denominator / 4
            if beat < max(length, Fraction(metre.numerator)):
                places[1 + max(Fraction(0), beat)] = name
        bar.chords = [PlacedChord(beat, name) for beat, name in places.items()]
        chart.add_bar(bar)

    def _read_attributes(self, element: Element) -> None:
        divisions = _find_text(element, "divisions")
        if divisions:
            self._divisions = _read_fraction(divisions)
            if self._divisions <= 0:
                raise ValueError(f"{divisions!r} divisions of a quarter note")
        time = element.find("time")
        if time is not None and time.find("beats") is not None:
            beats = sum(int(_read_fraction(part)) for part in _find_text(time, "beats").split("+"))
            kind = int(_read_fraction(_find_text(time, "beat-type") or "4"))
            if not 1 <= beats <= 64 or kind not in (1, 2, 4, 8, 16, 32, 64):
                raise ValueError(f"{beats}/{kind} is not a metre")
            self._metre = ChartMetre(beats, kind)

    def _advance(self, element: Element) -> None:
        if element.find("chord") is not None or element.find("grace") is not None:
            return
        duration = _read_fraction(_find_text(element, "duration") or "0") / self._divisions
        self._cursor = max(Fraction(0), self._cursor + (-duration if element.tag == "backup" else duration))
        self._longest = max(self._longest, self._cursor)

    def _read_harmony(self, element: Element) -> Iterator[tuple[Fraction, ChordName]]:
        offset = _read_fraction(_find_text(element, "offset") or "0") / self._divisions
        kind = _find_text(element, "kind")
        root = element.find("root")
        if kind == "none":
            yield self._cursor + offset, NO_CHORD
        elif root is not None:
            yield self._cursor + offset, _name_harmony(element, root, kind)

    def _read_bar_line(self, element: Element, bar: ChartBar) -> None:
        repeat, ending = element.find("repeat"), element.find("ending")
        if repeat is not None and repeat.get("direction") == "forward":
            bar.repeat_start = True
        elif repeat is not None:
            times = repeat.get("times", "2")
            bar.repeat_end = int(times) if times.isdecimal() and 2 <= int(times) <= 64 else 2
        if ending is not None and ending.get("type") == "start":
            numbers = ending.get("number", "1").replace(" ", ",").strip(",")
            bar.endings = read_ending(numbers) if re.fullmatch(r"\d{1,2}(?:[,-]\d{1,2})*", numbers) else frozenset({1})
        elif ending is not None:
            self.ending_stops.append(len(self._chart.bars))
        bar.is_segno |= element.find("segno") is not None
        bar.is_coda |= element.find("coda") is not None

    def _read_direction(self, element: Element, bar: ChartBar) -> None:
        sounds = [element] if element.tag == "sound" else element.findall("sound")
        words = " ".join(e.text or "" for e in element.iter("words"))
        for sound in sounds:
            if sound.get("dacapo") == "yes" or sound.get("dalsegno"):
                bar.jump = "D.C." if sound.get("dacapo") == "yes" else "D.S."
            bar.is_segno |= sound.get("segno") is not None
            bar.is_coda |= sound.get("coda") is not None
            bar.to_coda |= sound.get("tocoda") is not None
            bar.is_fine |= sound.get("fine") is not None
            if sound.get("tempo") and self._chart.tempo_bpm is None:
                tempo = float(_read_fraction(sound.get("tempo", "")))
                self._chart.tempo_bpm = tempo if 10 <= tempo <= 400 else None
        if not bar.jump and (_DA_CAPO.search(words) or _DAL_SEGNO.search(words)):
            bar.jump = "D.C." if _DA_CAPO.search(words) else "D.S."
        bar.to_coda |= bool(_TO_CODA.search(words)) and not bar.jump
        bar.is_fine |= bool(_FINE.match(words))
        rehearsal = next(element.iter("rehearsal"), None)
        if rehearsal is not None and rehearsal.text:
            bar.section = rehearsal.text.strip()
        if not any(sound.get("tocoda") for sound in sounds) and not bar.to_coda:
            bar.is_coda |= next(element.iter("coda"), None) is not None
        bar.is_segno |= next(element.iter("segno"), None) is not None


def _name_harmony(element: Element, root: Element, kind: str) -> ChordName:
    name = _spell(root, "root")
    quality = _KINDS.get(kind)
    if quality is None:
        found = element.find("kind")
        text = (found.get("text") or "") if found is not None else ""
        try:
            quality = parse_chord_name(name + text).quality or "maj"
        except ValueError:
            quality = "maj"
    for degree in element.findall("degree"):
        value, alter = _find_text(degree, "degree-value"), _find_text(degree, "degree-alter") or "0"
        if value.isdecimal() and _find_text(degree, "degree-type") != "subtract":
            quality = _ALTERED.get((quality, int(value), int(_read_fraction(alter))), quality)
    bass_element = element.find("bass")
    bass = _spell(bass_element, "bass") if bass_element is not None else None
    is_root = bass is not None and spell_pitch_class(bass) == spell_pitch_class(name)
    return ChordName(name, quality, None if is_root else bass)


def _spell(element: Element, kind: str) -> str:
    """Return the note of a `root` or `bass` element as letter and accidentals."""
    step = _find_text(element, f"{kind}-step").upper()
    alter = round(_read_fraction(_find_text(element, f"{kind}-alter") or "0"))
    if step not in tuple("CDEFGAB") or abs(alter) > 2:
        raise ValueError(f"{step[:8]!r} is not the {kind} of a chord")
    return step + ("#" * alter if alter > 0 else "b" * -alter)


def _read_fraction(text: str) -> Fraction:
    """Return a decimal number exactly. Raises ValueError for what is none or absurdly long."""
    if not re.fullmatch(r"\s*[+-]?\d{1,12}(?:\.\d{0,12})?\s*", text):
        raise ValueError(f"{text.strip()[:20]!r} is not a number")
    return Fraction(text.strip())
