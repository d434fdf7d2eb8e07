"""The canvas holds what is known left of the now-line and nothing that is not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from music.encoding import gan_canvas
from music.note import TICKS_PER_STEP, Metre, Note

BAND = gan_canvas.PLANE["bass", "sustain"]
steps = st.integers(0, 300)


@given(st.integers(0, 400), st.sampled_from([Metre(4, 4), Metre(3, 4), Metre(6, 8), Metre(2, 4), Metre(5, 4)]))
def test_the_now_line_lies_in_the_seventh_bar(now: int, metre: Metre) -> None:
    line = now - gan_canvas.find_first_step(now, metre.steps_per_bar)
    assert gan_canvas.FIRST_NOW_STEP <= line < gan_canvas.FIRST_NOW_STEP + 16


@given(st.integers(0, 127), st.sampled_from(["melody", "bass", "chords", "pad"]))
def test_registers_fold_by_octaves_and_name_every_pitch_once(pitch: int, part: str) -> None:
    register = gan_canvas.REGISTERS[part]
    folded = register.fold(pitch)
    assert (folded - pitch) % 12 == 0
    assert register.list_pitches()[register.find_octave(folded), folded % 12] == folded
    assert len(set(register.list_pitches().flat)) == register.octaves * 12


@given(st.integers(8, 200), st.lists(st.tuples(steps, st.integers(30, 100), st.integers(1, 20)), max_size=20))
def test_nothing_right_of_the_now_line_is_seen(now: int, played: list[tuple[int, int, int]]) -> None:
    notes = [Note(s * TICKS_PER_STEP, p, n * TICKS_PER_STEP) for s, p, n in played]
    band = {"bass": notes, "chords": notes, "pad": notes, "drums": [Note(n.start, 36, 6) for n in notes]}
    line = now - gan_canvas.find_first_step(now, 16)
    seen = gan_canvas.build_canvas(notes, band, now, heard_all=False)
    assert not seen.pitched[:, :, line:].any()
    assert not seen.plain[: gan_canvas.BAND_KNOWN + 1, line:].any()
    known = [n for n in notes if n.start < now * TICKS_PER_STEP]
    known_band = {role: [n for n in line_ if n.start < now * TICKS_PER_STEP] for role, line_ in band.items()}
    only_known = gan_canvas.build_canvas(known, known_band, now, heard_all=False)
    assert np.array_equal(seen.pitched, only_known.pitched)
    assert np.array_equal(seen.plain, only_known.plain)


def test_offline_the_melody_right_of_the_line_is_seen_and_the_band_is_not() -> None:
    notes = [Note(40 * TICKS_PER_STEP, 60, 12)]
    seen = gan_canvas.build_canvas(notes, {"bass": notes}, 36, heard_all=True)
    assert seen.pitched[:BAND].any()
    assert not seen.pitched[BAND:].any()
    assert seen.plain[gan_canvas.MELODY_KNOWN].all()


def test_a_bar_that_begins_elsewhere_moves_the_canvas_with_it() -> None:
    notes = [Note(0, 60, 24)]
    moved = [Note(5 * TICKS_PER_STEP, 60, 24)]
    here = gan_canvas.build_canvas(notes, {}, 6, heard_all=False)
    there = gan_canvas.build_canvas(moved, {}, 11, heard_all=False, bar=5)
    assert np.array_equal(here.pitched, there.pitched)
    assert np.array_equal(here.plain, there.plain)


@given(st.integers(-40, 400), st.integers(0, 40), st.sampled_from([Metre(), Metre(3, 4), Metre(6, 8), Metre(5, 4)]))
def test_fills_take_whole_last_bars_of_sections_the_same_whenever_they_are_looked_at(
    beat: int, bar: int, metre: Metre
) -> None:
    first = bar + 4 * beat
    marks = gan_canvas.mark_fills(first, bar, metre, 3)
    assert marks.tolist() == [
        float(gan_canvas.mark_fills(first + 4 * i, bar, metre, 3)[0]) for i in range(gan_canvas.CANVAS_BEATS)
    ]
    bars = (first - bar + 4 * np.arange(gan_canvas.CANVAS_BEATS)) // metre.steps_per_bar
    asked = gan_canvas.mark_fills(first, bar, metre, 3, asked_at=first + 50)
    assert asked.tolist() == np.where(bars == (first + 50 - bar) // metre.steps_per_bar, 1, marks).tolist()
    assert set((bars[marks > 0] % gan_canvas.SECTION_BARS).tolist()) <= {gan_canvas.SECTION_BARS - 1}


def test_about_as_many_sections_end_with_a_fill_as_drummers_have_it() -> None:
    bar, section = 16, 16 * gan_canvas.SECTION_BARS
    ends = [gan_canvas.mark_fills(section * (i + 1) - bar, 0, Metre(), 5)[0] for i in range(200)]
    assert 0.5 < np.mean(ends) < 0.7
