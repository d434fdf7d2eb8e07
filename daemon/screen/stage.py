"""The stage view of `houseband top`: what a player reads from two metres away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from daemon.screen.band_state import BandState, Place, write_symbol

if TYPE_CHECKING:
    from rich.text import Text

#: figures of 3 x 5 cells, row by row
_FIGURES = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": (" # ", "## ", " # ", " # ", "###"),
    "2": ("###", "  #", "###", "#  ", "###"),
    "3": ("###", "  #", "###", "  #", "###"),
    "4": ("# #", "# #", "###", "  #", "  #"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "6": ("###", "#  ", "###", "# #", "###"),
    "7": ("###", "  #", "  #", "  #", "  #"),
    "8": ("###", "# #", "###", "# #", "###"),
    "9": ("###", "# #", "###", "  #", "###"),
    "-": ("   ", "   ", "###", "   ", "   "),
    ".": (" ", " ", " ", " ", "#"),
}
_FIGURE_ROWS = 5
#: columns and rows of a cell, the largest first
_CELLS = ((4, 2), (3, 2), (3, 1), (2, 1), (1, 1))
#: name of a clock -> the clock in words
CLOCKS = {
    "auto": "its own tempo, or MIDI clock once that starts",
    "internal": "its own tempo",
    "midi": "MIDI clock",
    "midi-tempo": "the tempo of MIDI clock",
    "jack": "JACK's transport",
    "link": "Ableton Link",
}
#: what the band waits for, as the control socket has it -> in words; others are said as they are
_WAITS = {"note": "your first note", "start": "start", "clock": "the clock to start", "count-in": "the count-in"}


def draw_stage(band: BandState, now: int, width: int, height: int, *, ascii_only: bool) -> Text:
    """Return the view at a time (ns), for a terminal of that size."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    place = band.find_place(now)
    above = [(line, "bold") for line in _describe_songs(band.song, width)]
    below = _describe_rest(band, place, width, "O." if ascii_only else "●○")
    where = f"{place.bar}.{place.beat}" if band.playing else "-.-"
    figures = enlarge(where, width - 4, height - len(above) - len(below) - 1, "#" if ascii_only else "█")
    style = "bold green" if place.beat == 1 and band.playing else "bold"
    for line, look in [*above, ("", ""), *((f"  {line}", style) for line in figures), *below]:
        text.append(f"{shorten(line, width)}\n", look)
    text.right_crop(1)
    return text


def _describe_rest(band: BandState, place: Place, width: int, marks: str) -> list[tuple[str, str]]:
    """Return the lines below the figures, each with its style; marks: for the beat that it is, and for the others."""
    beats = "  ".join(marks[not band.playing or beat != place.beat] for beat in range(1, place.beats + 1))
    waits = ", ".join(_WAITS.get(reason, reason) for reason in band.waiting_for)
    if not waits and not band.playing:
        waits = _WAITS["note"]
    clock, found = CLOCKS.get(band.clock, band.clock), band.controls
    facts = f"{place.metre}   {60e6 / band.us:.4g} bpm   {found.get('style')}, {found.get('technique')}"
    chord, following = _describe_chords(band)
    return [
        ("", ""),
        (f"  {beats}", ""),
        ("", ""),
        *((line, "bold cyan") for line in _put_beside("Chord", chord, "then", following, width)),
        ("", ""),
        (f"Waits for  {waits}", "bold reverse") if waits else ("Plays", "bold"),
        (f"Clock      {clock}" if clock else "", ""),
        (f"Tempo      {facts}", ""),
        ("", ""),
        ("q leaves, s shows the roll", "dim"),
    ]


def enlarge(said: str, width: int, height: int, mark: str) -> list[str]:
    """Return figures, `.` and `-` in big letters, as large as fits into so many columns and rows; at least as text."""
    cells = sum(len(_FIGURES[letter][0]) + 1 for letter in said) - 1
    for across, down in _CELLS:
        if cells * across <= width and _FIGURE_ROWS * down <= height:
            rows = [" ".join(_FIGURES[letter][row] for letter in said) for row in range(_FIGURE_ROWS)]
            wide = ["".join(mark * across if cell == "#" else " " * across for cell in row) for row in rows]
            return [row for row in wide for _ in range(down)]
    return [said]


def shorten(text: str, width: int) -> str:
    """Return a text that has at most so many columns: a longer one ends in three dots."""
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."[: max(0, width)]


def _describe_songs(song: Mapping[str, object], width: int) -> list[str]:
    """Return the lines of the song and the next one; none where there are no songs."""
    named = str(song.get("title") or song.get("name") or "")
    following = str(song.get("next_title") or song.get("next") or "")
    return _put_beside("Song", named or "-", "next", following, width) if named or following else []


def _describe_chords(band: BandState) -> tuple[str, str]:
    """Return the chord that holds, and the one that follows; empty where none is known to."""
    chord = band.chord
    if not chord.get("now"):
        return "guessed from the melody", ""
    source = f" ({chord['source']})" if chord.get("source") else ""
    return f"{write_symbol(chord['now'])}{source}", write_symbol(chord["next"]) if chord.get("next") else ""


def _put_beside(name: str, what: str, other_name: str, other: str, width: int) -> list[str]:
    """Return two facts on one line, of which the second begins in the middle, or on two where one is too short."""
    first, second = f"{name:<11}{what}", f"{other_name}  {other}"
    middle = width // 2
    if not other:
        return [first]
    if len(first) < middle and len(second) <= width - middle:
        return [f"{first:<{middle}}{second}"]
    return [first, f"{other_name:<11}{other}"]
