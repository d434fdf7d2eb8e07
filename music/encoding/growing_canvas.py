"""The canvas of a song that goes on: from one now-line to the next, only what has changed is drawn.

It is the canvas that `gan_canvas.draw_canvas` draws, bit by bit, whatever was told before: at leaps, at changes of
metre, and when the past is edited, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from music.analysis.note_rows import list_rows
from music.analysis.part_notes import PartNotes
from music.encoding import gan_canvas
from music.encoding.gan_canvas import (
    BAND_KNOWN,
    BEAT_OF_BAR,
    CANVAS_STEPS,
    DRUM_CLASS,
    DRUM_PLANES,
    MELODY_KNOWN,
    PITCHED_PLANES,
    PLACES,
    PLAIN_PLANES,
    PLANE,
    REGISTERS,
    GanCanvas,
)
from music.note import MELODY, PITCH_CLASSES, ROLES, TICKS_PER_STEP, Metre, Note, round_to_step

_HALF_STEP = TICKS_PER_STEP // 2
_DRUMS = "drums"
_PARTS = (MELODY, *ROLES)
_ALL_STEPS = np.arange(CANVAS_STEPS)
#: part -> its planes; the drums' are plain ones
_PLANES_OF = {
    "melody": slice(PLANE["melody", "sustain"], PLANE["bass", "sustain"]),
    "bass": slice(PLANE["bass", "sustain"], PLANE["chords", "sustain"]),
    "chords": slice(PLANE["chords", "sustain"], PLANE["pad", "sustain"]),
    "pad": slice(PLANE["pad", "sustain"], PITCHED_PLANES),
    _DRUMS: slice(0, DRUM_PLANES),
}


class GrowingCanvas:
    """Draws the canvas of one now-line after the other; the arrays are its own."""

    def __init__(self) -> None:
        pitched = np.zeros((PITCHED_PLANES, PITCH_CLASSES, CANVAS_STEPS), np.float32)
        self._canvas = GanCanvas(pitched, np.zeros((PLAIN_PLANES, CANVAS_STEPS), np.float32))
        self._first: int | None = None  # the step at which the canvas begins; None: nothing is drawn
        self._drawn = dict.fromkeys(_PARTS, 0)  # the step up to which each part is drawn
        self._lines = {part: _PitchLines() for part in REGISTERS}
        self._marked: object = None  # on what the planes that say where beats lie depend

    def update(
        self, told: Mapping[str, PartNotes], now: int, heard_all: bool, metre: Metre = Metre(), bar: int = 0
    ) -> GanCanvas:
        """Return what `gan_canvas.build_canvas` does. It holds until the next update.

        told: by part, the melody's and those of ROLES; all that they are told is drawn.
        """
        first = bar + gan_canvas.find_first_step(now - bar, metre.steps_per_bar)
        is_tangled = False
        for part, lines in self._lines.items():
            lines.change(told[part].removed, told[part].added)
            is_tangled |= lines.overlaps > 0
        until = {part: first + CANVAS_STEPS if heard_all and part == MELODY else now for part in _PARTS}
        if is_tangled:  # where a note ends that another cuts depends on which of them reach into the canvas
            rows = {part: list_rows(told[part].notes) for part in _PARTS}
            self._canvas = gan_canvas.draw_canvas(rows[MELODY], rows, now, heard_all, metre, bar)
            self._first, self._drawn, self._marked = first, until, None
            return self._canvas
        self._move(first, told)
        for part in _PARTS:
            notes, since = told[part], min(self._drawn[part], until[part])
            if notes.removed or notes.added:
                since = min(since, _find_change(notes, first))
            self._draw(part, notes, max(first, since), until[part])
        self._mark(now, heard_all, metre, bar)
        return self._canvas

    def _move(self, first: int, told: Mapping[str, PartNotes]) -> None:
        """Let the canvas begin at a step: what is still on it stays."""
        pitched, plain = self._canvas.pitched, self._canvas.plain[:DRUM_PLANES]
        moved = CANVAS_STEPS if self._first is None else first - self._first
        self._first = first
        if moved == 0:
            return
        if not 0 < moved < CANVAS_STEPS:
            pitched[:] = plain[:] = 0
            self._drawn = dict.fromkeys(_PARTS, first)
            return
        for planes in (pitched, plain):
            planes[..., :-moved] = planes[..., moved:]
            planes[..., -moved:] = 0
        for part in _PARTS:
            # a note that is over before the canvas begins does not count, though its step may lie on it
            drawn, self._drawn[part] = self._drawn[part], first + 1
            self._draw(part, told[part], first, first + 1)
            self._drawn[part] = max(drawn, first + 1)

    def _draw(self, part: str, notes: PartNotes, since: int, until: int) -> None:
        """Draw the steps [since, until) of a part anew; nothing stands beyond."""
        first, drawn = self._first or 0, self._drawn[part]
        planes = self._canvas.plain if part == _DRUMS else self._canvas.pitched
        if since < drawn:
            planes[_PLANES_OF[part], ..., since - first : drawn - first] = 0
        self._drawn[part] = until
        if since >= until:
            return
        # what ends before this tick sounds in none of these steps
        line = max(since * TICKS_PER_STEP - _HALF_STEP + 1, first * TICKS_PER_STEP)
        near: Iterable[Note] = notes.recent if line > notes.recent_since else notes.notes
        places = [] if part == _DRUMS else PLACES[part]
        for note in near:
            tick, pitch, length = note.start, note.pitch, note.length
            step = (tick + _HALF_STEP) // TICKS_PER_STEP
            if tick + length < line or step >= until:
                continue
            if part == _DRUMS:
                if step >= since and pitch in DRUM_CLASS:
                    planes[DRUM_CLASS[pitch], step - first] = 1
                continue
            over = max((tick + length + _HALF_STEP) // TICKS_PER_STEP, step + 1)
            sustain, onset, pitch_class = places[pitch]
            if over > since:
                planes[sustain, pitch_class, max(step, since) - first : min(over, until) - first] = 1
                if step >= since:
                    planes[onset, pitch_class, step - first] = 1

    def _mark(self, now: int, heard_all: bool, metre: Metre, bar: int) -> None:
        """Say what is known, and where beats lie."""
        first, plain = self._first or 0, self._canvas.plain
        plain[MELODY_KNOWN], plain[BAND_KNOWN] = 0, 0
        plain[MELODY_KNOWN, : CANVAS_STEPS if heard_all else now - first] = 1
        plain[BAND_KNOWN, : now - first] = 1
        marked = first, bar, metre
        if marked != self._marked:
            self._marked = marked
            plain[BEAT_OF_BAR:] = 0
            plain[BEAT_OF_BAR + gan_canvas.number_beats(first - bar, CANVAS_STEPS, metre), _ALL_STEPS] = 1


def _find_change(notes: PartNotes, first: int) -> int:
    """Return the step from which on a canvas that begins at `first` may differ by what has changed; a far one."""
    line = (first - 1) * TICKS_PER_STEP
    starts = [note.start for note in (*notes.removed, *notes.added) if note.end > line]
    return round_to_step(min(starts)) if starts else first + CANVAS_STEPS


class _PitchLines:
    """The notes of a part pitch by pitch, to tell whether some of one pitch overlap on the grid."""

    def __init__(self) -> None:
        #: number of pairs of neighbours that overlap
        self.overlaps = 0
        self._lines: dict[int, list[tuple[int, int]]] = {}  # pitch -> (step, step before which it is over), sorted

    def change(self, removed: Iterable[Note], added: Iterable[Note]) -> None:
        """Take notes away, and bring others."""
        for note in removed:
            line, steps = self._lines[note.pitch], _find_steps(note)
            at = bisect_left(line, steps)
            self.overlaps -= self._count_overlaps(line, at)
            del line[at]
            self.overlaps += at > 0 and at < len(line) and line[at - 1][1] > line[at][0]
        for note in added:
            line, steps = self._lines.setdefault(note.pitch, []), _find_steps(note)
            at = bisect_left(line, steps)
            self.overlaps -= at > 0 and at < len(line) and line[at - 1][1] > line[at][0]
            line.insert(at, steps)
            self.overlaps += self._count_overlaps(line, at)

    @staticmethod
    def _count_overlaps(line: Sequence[tuple[int, int]], at: int) -> int:
        """Return how many neighbours a note of a line overlaps."""
        step, over = line[at]
        return (at > 0 and line[at - 1][1] > step) + (at + 1 < len(line) and over > line[at + 1][0])


def _find_steps(note: Note) -> tuple[int, int]:
    """Return the steps in which a note begins, and before which it is over."""
    step = (note.start + _HALF_STEP) // TICKS_PER_STEP
    return step, max((note.end + _HALF_STEP) // TICKS_PER_STEP, step + 1)
