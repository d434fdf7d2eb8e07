"""A canvas that is kept from one now-line to the next is, bit by bit, the one that is drawn anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from music.analysis.part_notes import PartNotes
from music.encoding import gan_canvas
from music.encoding.growing_canvas import GrowingCanvas
from music.note import ROLES, Metre, Note
from tests.support.note_histories import METRES, histories

STEP = 6


def assert_is_drawn_anew(
    canvas: GrowingCanvas,
    told: dict[str, PartNotes],
    melody: tuple[Note, ...],
    band: dict[str, tuple[Note, ...]],
    now: int,
    heard_all: bool,
    metre: Metre,
    bar: int,
) -> None:
    for part, notes in {"melody": melody, **band}.items():
        told[part].update(notes, now * STEP)
    grown = canvas.update(told, now, heard_all, metre, bar)
    drawn = gan_canvas.build_canvas(melody, band, now, heard_all, metre, bar)
    assert np.array_equal(grown.pitched, drawn.pitched)
    assert np.array_equal(grown.plain, drawn.plain)


@given(st.fixed_dictionaries({part: histories() for part in ("melody", *ROLES)}), st.data())
@settings(deadline=None, max_examples=20)
def test_leaps_changes_of_metre_and_edits_of_the_past(
    told: dict[str, list[tuple[Note, ...]]], data: st.DataObject
) -> None:
    parts = {part: PartNotes() for part in ("melody", *ROLES)}
    canvas, now = GrowingCanvas(), data.draw(st.integers(-20, 420))
    metre, bar, heard_all = Metre(), 0, False
    for turn in range(max(len(lists) for lists in told.values())):
        kind = data.draw(st.sampled_from(["step", "step", "beat", "leap", "metre", "see"]))
        now += {"step": 1, "beat": 4}.get(kind, 0)
        if kind == "leap":
            now = data.draw(st.integers(-20, 420))
        elif kind == "metre":
            metre, bar = data.draw(METRES), data.draw(st.integers(-3, 5))
        elif kind == "see":
            heard_all = not heard_all
        melody, *band = (lists[min(turn, len(lists) - 1)] for lists in told.values())
        assert_is_drawn_anew(canvas, parts, melody, dict(zip(ROLES, band, strict=True)), now, heard_all, metre, bar)


@given(st.data())
@settings(deadline=None, max_examples=12)
def test_a_song_step_by_step(data: st.DataObject) -> None:
    """Notes that follow each other closely: no two of a part overlap on a pitch, but for a few."""
    parts = {part: PartNotes() for part in ("melody", *ROLES)}
    canvas, metre = GrowingCanvas(), data.draw(METRES)
    heard_all, bar = data.draw(st.booleans()), data.draw(st.integers(-3, 5))
    told: dict[str, list[Note]] = {part: [] for part in ("melody", *ROLES)}
    now = data.draw(st.integers(-20, 20))
    for _ in range(data.draw(st.integers(1, 60))):
        now += data.draw(st.sampled_from([1, 1, 1, 1, 4, 7]))
        for part, notes in told.items():
            grid = 1 if part == "melody" else STEP
            for _ in range(data.draw(st.integers(0, 2))):
                start = data.draw(st.integers((now - 1) * STEP - 3, now * STEP - 1)) // grid * grid
                length = data.draw(st.integers(1, 4)) if part == "melody" else STEP * data.draw(st.integers(1, 40))
                pitch = data.draw(st.sampled_from([36, 38, 40, 48, 52, 55, 60, 64, 65, 67, 71, 72]))
                rest = [note for note in notes if note.pitch == pitch and note.end > start]
                for note in rest[: None if data.draw(st.integers(0, 9)) else 0]:  # mostly what it would overlap is cut
                    notes.remove(note)
                    if note.start < start:
                        notes.append(Note(note.start, pitch, start - note.start))
                notes.append(Note(start, pitch, length))
                notes.sort()
            del notes[: data.draw(st.integers(0, 1)) if len(notes) > 8 else 0]
        band = {role: tuple(told[role]) for role in ROLES}
        assert_is_drawn_anew(canvas, parts, tuple(told["melody"]), band, now, heard_all, metre, bar)
