"""Piano rolls as SVG, for web pages and whatever shows pictures: nothing has to be installed for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from daemon.evaluation.piano_roll_png import COLOURS
from music.note import MELODY, Note

#: pixels of a beat, of a semitone, and of a kind of drum
BEAT_WIDTH, SEMITONE_HEIGHT, DRUM_HEIGHT = 24, 3, 5
_DRUMS = "drums"
#: pixels left out at a note's end, so that repeated notes stand apart
_GAP = 1
_OTHER = "#8a4f9d"


def draw_piano_roll(
    title: str, parts: Mapping[str, Sequence[Note]], begin: int, end: int, bars: Sequence[int], unit: int
) -> str:
    """Return a picture of what sounds from `begin` up to `end`, with the drums in a strip below.

    parts: role -> notes, the last on top; bars: where bars begin. All times are in 1/unit of a beat.
    """
    shown = {role: [n for n in notes if begin <= n.start < end] for role, notes in parts.items()}
    pitches = [n.pitch for role, notes in shown.items() if role != _DRUMS for n in notes] or [60]
    low, high = min(pitches), max(pitches)
    drums = sorted({n.pitch for n in shown.get(_DRUMS, ())}, reverse=True)
    roll = (high - low + 1) * SEMITONE_HEIGHT
    width, height = round((end - begin) * BEAT_WIDTH / unit), roll + len(drums) * DRUM_HEIGHT + 6

    def place(tick: int) -> float:
        return round((tick - begin) * BEAT_WIDTH / unit, 2)

    lines = [f'<line x1="{place(bar)}" x2="{place(bar)}" y1="0" y2="{height}" stroke="#ddd"/>' for bar in bars]
    for role, notes in sorted(shown.items(), key=lambda each: each[0] == MELODY):
        boxes = []
        for note in notes:
            x, right = place(note.start), place(min(note.end, end))
            if role == _DRUMS:
                y, right, tall = roll + 4 + drums.index(note.pitch) * DRUM_HEIGHT, x + 3, DRUM_HEIGHT - 1
            else:
                y, tall = (high - note.pitch) * SEMITONE_HEIGHT, SEMITONE_HEIGHT
            boxes.append(f'<rect x="{x}" y="{y}" width="{max(1.0, right - x - _GAP):.2f}" height="{tall}"/>')
        lines.append(f'<g fill="{COLOURS.get(role, _OTHER)}">{"".join(boxes)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/>{"".join(lines)}</svg>\n'
    )
