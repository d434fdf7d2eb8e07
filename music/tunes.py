"""Melodies to try the band with: public domain, written here as notes.

Each is bars of `pitch:beats` separated by `|`; a pitch is a letter, accidentals (# or b) and an octave (C4 is middle
C), `-` is a rest, beats may be a fraction. A tune with an upbeat begins with a rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from music.chords import NATURALS
from music.note import TICKS_PER_BEAT, Metre, Note

_EVENT = re.compile(r"(?:([A-G])(#*|b*)(-?\d)|-):(\d+(?:/\d+)?)")
#: share of a note's length that sounds; players breathe
_GATE = Fraction(9, 10)


@dataclass(frozen=True, slots=True)
class Tune:
    """A melody to play with."""

    title: str  #: with its origin
    bpm: int  #: tempo it wants, beats per minute
    metre: Metre
    notes: tuple[Note, ...]
    bars: int

    def cut(self, count: int) -> Tune:
        """Return the first bars of the tune, so many (at least 1)."""
        count = max(1, min(count, self.bars))
        end = count * self.metre.ticks_per_bar
        return Tune(self.title, self.bpm, self.metre, tuple(n for n in self.notes if n.start < end), count)


def parse_tune(title: str, bpm: int, text: str, metre: Metre | None = None) -> Tune:
    """Return the tune in a text. Raises ValueError for a bar that is not full or an event that is none."""
    metre = metre or Metre()
    bars = [bar.split() for bar in text.split("|") if bar.strip()]
    notes: list[Note] = []
    for number, bar in enumerate(bars):
        tick = number * metre.ticks_per_bar
        for event in bar:
            pitch, beats = _parse_event(event)
            length = int(beats * TICKS_PER_BEAT)
            if pitch is not None:
                velocity = 92 if tick % metre.ticks_per_bar == 0 else 80
                notes.append(Note(tick, pitch, max(1, int(length * _GATE)), velocity))
            tick += length
        if tick != (number + 1) * metre.ticks_per_bar:
            raise ValueError(f"{title}: bar {number + 1} is not {metre} long")
    return Tune(title, bpm, metre, tuple(notes), len(bars))


def _parse_event(event: str) -> tuple[int | None, Fraction]:
    match = _EVENT.fullmatch(event)
    if match is None:
        raise ValueError(f"not pitch:beats: {event!r}")
    letter, accidentals, octave, beats = match.groups()
    if letter is None:
        return None, Fraction(beats)
    shift = accidentals.count("#") - accidentals.count("b")
    return 12 * (int(octave) + 1) + NATURALS[letter] + shift, Fraction(beats)


TUNES: Mapping[str, Tune] = {
    "ode": parse_tune(
        "Ode to Joy (Ludwig van Beethoven, 1824)",
        104,
        """
        F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | F#4:3/2 E4:1/2 E4:2 |
        F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:3/2 D4:1/2 D4:2 |
        E4:1 E4:1 F#4:1 D4:1 | E4:1 F#4:1/2 G4:1/2 F#4:1 D4:1 | E4:1 F#4:1/2 G4:1/2 F#4:1 E4:1 | D4:1 E4:1 A3:2 |
        F#4:1 F#4:1 G4:1 A4:1 | A4:1 G4:1 F#4:1 E4:1 | D4:1 D4:1 E4:1 F#4:1 | E4:3/2 D4:1/2 D4:2 |
        """,
    ),
    "aura-lee": parse_tune(
        "Aura Lee (George R. Poulton, 1861)",
        100,
        """
        G4:1 C5:1 B4:1 C5:1 | D5:1 A4:1 D5:2 | C5:1 B4:1 A4:1 B4:1 | C5:4 |
        G4:1 C5:1 B4:1 C5:1 | D5:1 A4:1 D5:2 | C5:1 B4:1 A4:1 B4:1 | C5:4 |
        E5:1 E5:1 E5:2 | E5:1 E5:1 E5:2 | E5:1 D5:1 C5:1 D5:1 | E5:4 |
        E5:1 E5:1 F5:1 E5:1 | D5:1 A4:1 D5:2 | C5:1 B4:1 A4:1 B4:1 | C5:4 |
        """,
    ),
    "saints": parse_tune(
        "When the Saints Go Marching In (traditional)",
        120,
        """
        -:1 C4:1 E4:1 F4:1 | G4:4 | -:1 C4:1 E4:1 F4:1 | G4:4 |
        -:1 C4:1 E4:1 F4:1 | G4:2 E4:2 | C4:2 E4:2 | D4:4 |
        -:1 E4:1 E4:1 D4:1 | C4:3 C4:1 | E4:2 G4:2 | G4:1 F4:3 |
        -:2 E4:1 F4:1 | G4:2 E4:2 | C4:2 D4:2 | C4:4 |
        """,
    ),
    "amazing-grace": parse_tune(
        "Amazing Grace (New Britain, 1829)",
        90,
        """
        -:2 D4:1 |
        G4:2 B4:1/2 G4:1/2 | B4:2 A4:1 | G4:2 E4:1 | D4:2 D4:1 | G4:2 B4:1/2 G4:1/2 | B4:2 A4:1 | D5:3 | D5:2 B4:1 |
        D5:3/2 B4:1/2 D5:1/2 B4:1/2 | G4:2 D4:1 | E4:3/2 G4:1/2 G4:1/2 E4:1/2 | D4:2 D4:1 |
        G4:2 B4:1/2 G4:1/2 | B4:2 A4:1 | G4:3 |
        """,
        Metre(3, 4),
    ),
    "frere-jacques": parse_tune(
        "Frère Jacques (traditional)",
        110,
        """
        C4:1 D4:1 E4:1 C4:1 | C4:1 D4:1 E4:1 C4:1 | E4:1 F4:1 G4:2 | E4:1 F4:1 G4:2 |
        G4:1/2 A4:1/2 G4:1/2 F4:1/2 E4:1 C4:1 | G4:1/2 A4:1/2 G4:1/2 F4:1/2 E4:1 C4:1 |
        C4:1 G3:1 C4:2 | C4:1 G3:1 C4:2 |
        """,
    ),
    "korobeiniki": parse_tune(
        "Korobeiniki (traditional)",
        126,
        """
        E5:1 B4:1/2 C5:1/2 D5:1 C5:1/2 B4:1/2 | A4:1 A4:1/2 C5:1/2 E5:1 D5:1/2 C5:1/2 |
        B4:3/2 C5:1/2 D5:1 E5:1 | C5:1 A4:1 A4:2 |
        -:1/2 D5:1 F5:1/2 A5:1 G5:1/2 F5:1/2 | E5:3/2 C5:1/2 E5:1 D5:1/2 C5:1/2 |
        B4:1 B4:1/2 C5:1/2 D5:1 E5:1 | C5:1 A4:1 A4:2 |
        """,
    ),
    "greensleeves": parse_tune(
        "Greensleeves (traditional, 1580)",
        108,
        """
        -:2 A4:1 |
        C5:2 D5:1 | E5:3/2 F5:1/2 E5:1 | D5:2 B4:1 | G4:3/2 A4:1/2 B4:1 |
        C5:2 A4:1 | A4:3/2 G#4:1/2 A4:1 | B4:2 G#4:1 | E4:2 A4:1 |
        C5:2 D5:1 | E5:3/2 F5:1/2 E5:1 | D5:2 B4:1 | G4:3/2 A4:1/2 B4:1 |
        C5:3/2 B4:1/2 A4:1 | G#4:3/2 F#4:1/2 G#4:1 | A4:3 |
        """,
        Metre(3, 4),
    ),
}
