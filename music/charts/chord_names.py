"""Chord symbols as charts spell them (`F#m7b5`, `Bb^7`, `C-9/E`), turned into the labels of Harte et al. 2005."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from music.chords import NATURALS, SHORTHANDS

#: Root and quality of a place where nothing harmonic is to be played.
NO_CHORD_ROOT = "N"

_LETTERS = "CDEFGAB"
#: semitones of the degrees of a major scale above its tonic
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
_SIGNS = str.maketrans(
    {"♯": "#", "♭": "b", "△": "^", "Δ": "^", "∆": "^", "−": "-", "–": "-", "º": "o", "°": "o", "Ø": "ø"}
)
_ROOT = re.compile(r"([A-G])(##|bb|#|b|)")
_NO_CHORD = re.compile(r"(?:N\.?\s?C\.?|N|NoChord|n)$")
#: How a third and a fifth may be written, in the order in which they are tried.
_TRIADS = {
    "maj": re.compile(r"major|maj|Maj|MAJ|ma(?!dd)|Ma|M|\^"),
    "hdim": re.compile(r"half-dim|halfdim|hdim|ø|h"),
    "min": re.compile(r"minor|min|Min|MIN|mi|Mi|m|-"),
    "dim": re.compile(r"dim|Dim|o"),
    "aug": re.compile(r"aug|Aug|\+"),
}
#: Quality in Harte's notation -> the common way to write it behind the root.
_SYMBOLS = {
    "maj": "",
    "min": "m",
    "7": "7",
    "maj7": "maj7",
    "min7": "m7",
    "sus4": "sus4",
    "sus2": "sus2",
    "dim": "dim",
    "aug": "aug",
    "dim7": "dim7",
    "hdim7": "m7b5",
    "minmaj7": "m(maj7)",
    "aug(b7)": "7#5",
    "aug(7)": "maj7#5",
    "maj6": "6",
    "min6": "m6",
    "maj6(9)": "6/9",
    "min6(9)": "m6/9",
    "maj(9)": "add9",
    "min(9)": "madd9",
    "9": "9",
    "maj9": "maj9",
    "min9": "m9",
    "11": "11",
    "min11": "m11",
    "13": "13",
    "maj13": "maj13",
    "min13": "m13",
    "sus4(b7)": "7sus4",
    "sus4(b7,9)": "9sus4",
    "7(b9)": "7b9",
    "7(#9)": "7#9",
    "7(b5)": "7b5",
    "7(#11)": "7#11",
    "7(b13)": "7b13",
    "5": "5",
}
_NUMBER = re.compile(r"6/9|69|13|11|[25679]")
_MAJOR_SEVENTH = re.compile(r"(?:maj|Maj|ma|Ma|M|\^)(13|11|9|7)?")
_SUSPENSION = re.compile(r"sus(24|2|4)?")
_ALTERATION = re.compile(r"(?:add|no|omit|alt|[#b+-]|)(?:13|11|[234569]|7)|alt")


class ChordName(NamedTuple):
    """A chord as it is written: what it is called, not which notes it has."""

    root: str  #: letter and accidentals, `Bb`; NO_CHORD_ROOT where nothing is to be played
    quality: str | None  #: in Harte's notation (`min7`, `sus4(b7)`); None for no chord
    bass: str | None = None  #: the lowest note, letter and accidentals, where it is not the root

    @property
    def label(self) -> str:
        """The chord as a label of Harte et al., with the bass as a degree: `D:7/3`."""
        if self.quality is None:
            return NO_CHORD_ROOT
        degree = f"/{_name_degree(self.root, self.bass)}" if self.bass else ""
        return f"{self.root}:{self.quality}{degree}"

    @property
    def symbol(self) -> str:
        """The chord as a symbol of common charts: `F#m7/C#`, `N.C.`; `parse_chord_name` reads it back."""
        if self.quality is None:
            return "N.C."
        common = _SYMBOLS.get(self.quality)
        if common is None:
            return self.label
        return self.root + common + (f"/{self.bass}" if self.bass else "")


NO_CHORD = ChordName(NO_CHORD_ROOT, None)


@lru_cache(maxsize=1024)
def parse_chord_name(text: str) -> ChordName:
    """Return the chord that a symbol names, in the common spellings, iReal Pro's, or Harte's.

    Raises ValueError when it is not a chord symbol.
    """
    symbol = text.strip().translate(_SIGNS)
    if _NO_CHORD.match(symbol):
        return NO_CHORD
    found = _ROOT.match(symbol)
    if not found or len(symbol) > 32:
        raise ValueError(f"{text.strip()!r} is not a chord symbol")
    root, rest = found[0], symbol[found.end() :]
    if rest.startswith(":"):
        return _parse_harte(root, rest[1:], text)
    quality, bass = _split_bass(rest, text)
    return _name_chord(root, _parse_quality(quality, text), bass)


def list_markers(changes: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return (tick, label) of every change of chord as markers are written: `N` where none is known any more.

    changes: by tick, with an empty label where none is known; those before tick 0 are as of there.
    """
    at: dict[int, str] = {}
    for tick, label in changes:
        if label or at:  # one has been known
            at[max(0, tick)] = label or NO_CHORD_ROOT
    return [after for before, after in pairwise([(0, ""), *at.items()]) if before[1] != after[1]]


def spell_pitch_class(name: str) -> int:
    """Return the pitch class, 0..11, of a letter with accidentals."""
    return (NATURALS[name[0]] + name.count("#") - name.count("b")) % 12


def guess_key(names: list[ChordName]) -> str:
    """Return the key that a song's last chord tells: its root, minor where the chord is."""
    last = names[-1]
    is_minor = (last.quality or "").startswith(("min", "dim", "hdim"))
    return last.root + ("m" if is_minor else "")


def _name_chord(root: str, quality: str, bass: str | None) -> ChordName:
    is_root = bass is not None and spell_pitch_class(bass) == spell_pitch_class(root)
    return ChordName(root, quality, None if is_root else bass)


def _split_bass(rest: str, text: str) -> tuple[str, str | None]:
    """Return what stands before a slash and the note behind it; `6/9` is no slash bass."""
    quality, slash, bass = rest.rpartition("/")
    if not slash or (bass == "9" and quality.endswith("6")):
        return rest, None
    if not _ROOT.fullmatch(bass):
        raise ValueError(f"{text.strip()!r} has no note behind its slash")
    return quality, bass


def _parse_harte(root: str, rest: str, text: str) -> ChordName:
    quality, _, degree = rest.partition("/")
    shorthand, bracket, extra = quality.partition("(")
    extra = extra.rstrip(")").replace(" ", "")
    known = shorthand in SHORTHANDS and (not bracket or re.fullmatch(r"(?:\*?[#b]*\d{1,2},?)+", extra))
    if not known or (degree and not re.fullmatch(r"[#b]*(?:1[0-3]|[1-9])", degree)):
        raise ValueError(f"{text.strip()!r} is not a chord symbol")
    written = shorthand + (f"({extra})" if bracket else "")
    return _name_chord(root, written or "maj", _spell_degree(root, degree) if degree else None)


def _spell_degree(root: str, degree: str) -> str:
    """Return the note that lies a degree above a root, by its letter: the `b7` of D is C."""
    steps = int(degree.lstrip("#b")) - 1
    letter = _LETTERS[(_LETTERS.index(root[0]) + steps) % 7]
    major = _MAJOR_SCALE[steps % 7] + degree.count("#") - degree.count("b")
    shift = (spell_pitch_class(root) + major - NATURALS[letter] + 6) % 12 - 6
    return letter + ("#" * shift if shift > 0 else "b" * -shift)


def _name_degree(root: str, note: str) -> str:
    """Return the degree at which a note lies above a root: C above D is `b7`."""
    steps = (_LETTERS.index(note[0]) - _LETTERS.index(root[0])) % 7
    interval = (spell_pitch_class(note) - spell_pitch_class(root)) % 12
    shift = (interval - _MAJOR_SCALE[steps] + 6) % 12 - 6
    return ("#" * shift if shift > 0 else "b" * -shift) + str(steps + 1)


class _SymbolReader:
    """A symbol without root and bass, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Return what the pattern matches at the beginning and go on behind it; None when it does not match."""
        found = pattern.match(self.text)
        if not found or not found[0]:
            return None
        self.text = self.text[found.end() :]
        return found[0]

    def take_triad(self) -> str:
        """Return which third and fifth the symbol begins with; "" when it says nothing of them."""
        for name, pattern in _TRIADS.items():
            if self.take(pattern):
                return name
        return ""


def _parse_quality(text: str, symbol: str) -> str:
    """Return a quality in Harte's notation. Raises ValueError for what is none."""
    reader = _SymbolReader(text.replace("(", "").replace(")", "").replace(",", "").replace(" ", ""))
    is_major_sign = reader.text.startswith("^")
    triad = reader.take_triad()
    major_seventh = reader.take(_MAJOR_SEVENTH) if triad in ("min", "dim", "aug") else None
    number = reader.take(_NUMBER) or ""
    if triad == "maj" and (number or is_major_sign) and number not in ("6", "69", "6/9", "5", "2"):
        major_seventh, number = "maj", number or "7"
    elif major_seventh:
        number = number or major_seventh.lstrip("majMA^") or "7"
    elif triad == "" and number in ("7", "9", "11", "13") and reader.text.startswith("+"):
        triad, reader.text = "aug", reader.text[1:]  # C7+, in which a plus sign alone says that the fifth is raised
    extras = _read_extras(reader, symbol)
    return _join_quality(triad, number, extras, is_major_seventh=bool(major_seventh))


def _read_extras(reader: _SymbolReader, symbol: str) -> list[str]:
    """Return what follows number and triad, in its order: `sus4`, `b9`, `add9`, `no3`, `alt`."""
    extras: list[str] = []
    while reader.text:
        extra = reader.take(_SUSPENSION) or reader.take(_MAJOR_SEVENTH) or reader.take(_ALTERATION)
        if extra is None and reader.text.startswith("/"):
            extra, reader.text = "", reader.text[1:]
        if extra is None or len(extras) > 6:
            raise ValueError(f"{symbol.strip()!r} is not a chord symbol")
        if extra:
            extras.append(extra)
    return extras


def _join_quality(triad: str, number: str, extras: list[str], *, is_major_seventh: bool) -> str:
    if any(e.startswith(("maj", "Maj", "ma", "Ma", "M", "^")) for e in extras):
        is_major_seventh, number = True, number or "7"  # Cm(maj7)
    suspended = next((e for e in extras if e.startswith("sus")), None)
    altered = [_spell_alteration(e) for e in extras if re.match(r"[#b+-]\d", e)]
    added = [e.removeprefix("add") for e in extras if re.fullmatch(r"(?:add)?\d+", e)]
    if "alt" in extras:
        return "aug(b7,#9)"
    if suspended is not None:
        return _join_suspended(suspended, number, altered)
    if number in ("6/9", "69"):
        number, added = "6", [*added, "9"]
    if number == "2":
        return "sus2"
    if number == "5":
        return "5"
    if triad == "hdim" or (triad == "min" and number == "7" and "b5" in altered and not is_major_seventh):
        return "hdim7"
    if "#5" in altered and triad in ("", "maj"):
        triad = "aug"
    if triad == "min":
        altered = [a for a in altered if a not in ("#5", "b6")]
    if triad == "" and not number and altered == ["b5"]:
        return "maj(b5,*5)"
    rest = [a for a in altered if not (triad == "aug" and a == "#5")]
    base = _name_base(triad, number, is_major_seventh=is_major_seventh)
    return _append_degrees(base, [*rest, *added])


def _spell_alteration(extra: str) -> str:
    return extra.replace("+", "#").replace("-", "b")


def _name_base(triad: str, number: str, *, is_major_seventh: bool) -> str:
    if triad == "aug":
        sevenths = {"": "aug", "7": "aug(b7)", "9": "aug(b7,9)", "13": "aug(b7,9,13)"}
        return "aug(7)" if is_major_seventh else sevenths.get(number, "aug(b7)")
    if triad == "dim":
        return "dim7" if number and not is_major_seventh else "dim"
    if triad == "min":
        if is_major_seventh:
            return "minmaj7"
        return "min" + number
    if is_major_seventh:
        return "maj" + number
    return {"": "maj", "6": "maj6"}.get(number, number)


def _join_suspended(suspended: str, number: str, altered: list[str]) -> str:
    base = "sus2" if suspended == "sus2" else "sus4"
    degrees = {"": [], "7": ["b7"], "9": ["b7", "9"], "11": ["b7", "9"], "13": ["b7", "9", "13"]}.get(number, [])
    return _append_degrees(base, [*degrees, *altered])


def _append_degrees(base: str, degrees: list[str]) -> str:
    """Return a quality with degrees in brackets after those that it has already: `7` and b9 are `7(b9)`."""
    if not degrees:
        return base
    stem, bracket, present = base.partition("(")
    return f"{stem}({','.join([*present.rstrip(')').split(','), *degrees] if bracket else degrees)})"
