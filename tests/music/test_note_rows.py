"""Arrays of notes give what the notes themselves give, one by one, however the list of notes has grown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from music.analysis import melody_recall
from music.analysis.modulation import apply_key_change, find_key_change
from music.analysis.note_rows import NoteRows, list_rows, quantise_rows, spread
from music.encoding import gan_canvas, melody_context
from music.encoding.gan_canvas import CANVAS_STEPS, PLANE, REGISTERS
from music.note import REST, Metre, Note, quantise
from tests.support.note_histories import METRES, NOTE_LISTS, histories


@given(histories())
def test_rows_are_those_of_the_notes_whatever_was_told_before(history: list[tuple[Note, ...]]) -> None:
    rows = NoteRows()
    for told in history:
        assert np.array_equal(rows.update(told), list_rows(told))


def test_notes_that_stay_are_not_read_again() -> None:
    played = tuple(Note(6 * i, 60, 6) for i in range(200))
    rows = NoteRows()
    before = rows.update(played[:150])
    after = rows.update(played[10:151])
    assert np.array_equal(after[:-1], before[10:])
    assert rows.update(played[10:151]) is after


@given(NOTE_LISTS)
def test_rows_are_quantised_as_notes_are(played: tuple[Note, ...]) -> None:
    wanted = [(n.start // 6, n.pitch, n.length // 6) for n in quantise(played)]
    assert quantise_rows(list_rows(played)).tolist() == [list(row) for row in wanted]


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5)), max_size=9))
def test_ranges_one_after_another(ranges: list[tuple[int, int]]) -> None:
    starts, counts = (np.array([each[i] for each in ranges], np.int64) for i in (0, 1))
    assert spread(starts, counts).tolist() == [at for start, count in ranges for at in range(start, start + count)]


def _draw_slowly(planes: np.ndarray, part: str, rows: Iterable[tuple[int, int, int]]) -> None:
    """Draw a part note by note, as `gan_canvas.draw_part` says."""
    register, steps = REGISTERS[part], planes.shape[-1]
    for start, pitch, length in rows:
        pitch = register.fold(pitch)
        octave = register.find_octave(pitch)
        for step in range(max(start, 0), min(start + length, steps)):
            planes[PLANE[part, "sustain"] + octave, pitch % 12, step] = 1
        if 0 <= start < steps:
            planes[PLANE[part, "onset"] + (0 if part == "melody" else octave), pitch % 12, start] = 1


def _draw_canvas_slowly(
    melody: Iterable[Note], band: Mapping[str, Iterable[Note]], now: int, heard_all: bool, metre: Metre, bar: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the notes of a canvas one by one: pitched planes, and the planes of the drums."""
    first = bar + gan_canvas.find_first_step(now - bar, metre.steps_per_bar)
    pitched = np.zeros((gan_canvas.PITCHED_PLANES, 12, CANVAS_STEPS), np.float32)
    drums = np.zeros((gan_canvas.DRUM_PLANES, CANVAS_STEPS), np.float32)
    for part, played in {"melody": melody, **band}.items():
        near = quantise(n for n in played if n.end // 6 + 1 > first)
        rows = [(n.start // 6 - first, n.pitch, n.length // 6) for n in near]
        if part == "drums":
            for start, pitch, _ in rows:
                if 0 <= start < now - first and pitch in gan_canvas.DRUM_CLASS:
                    drums[gan_canvas.DRUM_CLASS[pitch], start] = 1
            continue
        steps = CANVAS_STEPS if heard_all and part == "melody" else now - first
        _draw_slowly(pitched[:, :, :steps], part, rows)
    return pitched, drums


@given(histories(), st.fixed_dictionaries(dict.fromkeys(("bass", "chords", "pad", "drums"), NOTE_LISTS)), st.data())
@settings(deadline=None, max_examples=40)
def test_a_canvas_of_arrays_is_that_of_the_notes(
    history: list[tuple[Note, ...]], band: dict[str, tuple[Note, ...]], data: st.DataObject
) -> None:
    kept = {part: NoteRows() for part in ("melody", *band)}
    for told in history:
        now, heard_all = data.draw(st.integers(-20, 420)), data.draw(st.booleans())
        metre, bar = data.draw(METRES), data.draw(st.integers(-3, 5))
        rows = {part: kept[part].update(played) for part, played in band.items()}
        seen = gan_canvas.draw_canvas(kept["melody"].update(told), rows, now, heard_all, metre, bar)
        pitched, drums = _draw_canvas_slowly(told, band, now, heard_all, metre, bar)
        assert np.array_equal(seen.pitched, pitched)
        assert np.array_equal(seen.plain[: gan_canvas.DRUM_PLANES], drums)


def _recall_slowly(rows: list[tuple[int, int, int]], now: int, steps_per_bar: int) -> tuple[int, float]:
    """Find the line at which the melody went like it does at `now`, step by step."""
    first = max(now - melody_recall.MEMORY_STEPS, rows[0][0]) if rows else now - melody_recall.MEMORY_STEPS
    sampled = dict.fromkeys(range(first, now), REST)
    for start, pitch, length in rows:
        sampled.update(dict.fromkeys(range(max(start, first), min(start + length, now)), pitch))
    nearest = -(-melody_recall.MIN_LAG_STEPS // steps_per_bar) * steps_per_bar
    best = -1, 0.0
    for lag in range(nearest, min(now - first, melody_recall.MEMORY_STEPS) + 1, steps_per_bar):
        likeness = evidence = 0.0
        for back in range(1, 161):
            a, b = sampled.get(now - back, REST), sampled.get(now - back - lag, REST)
            fade = np.exp(-1 / melody_recall.FADE_STEPS) ** (back - 1)
            said = (1.0 if (a - b) % 12 == 0 else -1.0) if REST not in (a, b) else 0.0 if a == b else -0.5
            likeness, evidence = likeness + fade * said, evidence + fade * (a != REST or b != REST)
        trust = likeness / (evidence + 8)
        if trust > best[1] + 1e-12:
            best = now - lag, trust
    return best


@given(NOTE_LISTS, st.integers(0, 440), METRES)
@settings(deadline=None, max_examples=15)
def test_a_harmonist_hears_arrays_as_it_hears_notes(played: tuple[Note, ...], now: int, metre: Metre) -> None:
    rows = [(n.start // 6, n.pitch, n.length // 6) for n in quantise(played)]
    past = [(s, p, min(n, now - s)) for s, p, n in rows if now - melody_context.MEMORY_STEPS <= s < now]
    change = find_key_change(past, now, metre.steps_per_bar)
    if change is not None:
        past = [(s, p, n) for s, p, n in apply_key_change(past, change).tolist()]
    line, trust = _recall_slowly(past, now, metre.steps_per_bar)
    size = melody_context.PAST_STEPS, melody_context.FUTURE_STEPS
    wanted = [np.zeros((melody_context.MELODY_PLANES, 12, steps), np.float32) for steps in size]
    _draw_slowly(wanted[0], "melody", [(s - now + size[0], p, n) for s, p, n in past])
    if trust:
        _draw_slowly(wanted[1], "melody", [(s - line, p, n) for s, p, n in past])
    heard, known = melody_context.draw_around(rows, now, False, metre)
    assert np.isclose(known, trust, atol=1e-6)
    assert np.array_equal(heard[:, :, : size[0]], wanted[0])
    assert np.array_equal(heard[:, :, size[0] :], wanted[1])
