"""Items for tests, and the ways to draw them."""

from __future__ import annotations

from hypothesis import strategies as st

from daemon.projects.item import ITEM_ROLES, Item, Line, ListedEdit, count_bars, find_music_end
from music.note import MELODY, Metre, Note, remove_overlaps
from music.tunes import TUNES

#: 8 bars of a melody that everybody knows
TUNE = TUNES["ode"].cut(8)


def make_input(key: str = "i1", name: str = "Ode") -> Item:
    """Return an input with a melody of 8 bars."""
    return Item(key, "input", name, 104.0, ((0, TUNE.metre),), 8, {MELODY: TUNE.notes}, created="2026-01-01")


@st.composite
def lines(draw: st.DrawFn, bars: int = 8) -> Line:
    """Draw notes of which none of one pitch overlap, in so many bars of 4/4."""
    note = st.builds(Note, st.integers(0, bars * 96 - 1), st.integers(0, 127), st.integers(1, 200), st.integers(1, 127))
    return tuple(remove_overlaps(draw(st.lists(note, max_size=5))))


@st.composite
def items(draw: st.DrawFn, *, edits: bool = True) -> Item:
    """Draw an item."""
    notes = {role: draw(lines()) for role in ITEM_ROLES}
    metres = ((0, draw(st.sampled_from([Metre(), Metre(3, 4), Metre(6, 8)]))),)
    listed = draw(
        st.lists(
            st.builds(
                ListedEdit,
                st.sampled_from(["add", "remove"]),
                st.integers(0, 127).map(lambda step: step * 6),
                st.integers(0, 127),
                st.integers(1, 16).map(lambda steps: steps * 6),
                st.integers(1, 127),
                st.floats(-20, 0).map(lambda value: round(value, 4)),
                st.integers(1, 100),
                st.booleans(),
            ),
            max_size=8 if edits else 0,
        )
    )
    return Item(
        id="i1",
        kind="input",
        name=draw(st.sampled_from(["Ode", "Lied ohne Worte", "1"])),
        bpm=draw(st.integers(10, 400)) * 1.0,
        metres=metres,
        bars=count_bars(metres, find_music_end(notes.values())),
        notes=notes,
        controls=draw(st.dictionaries(st.sampled_from(["swing", "density"]), st.floats(0, 1))),
        chords=tuple(sorted(draw(st.dictionaries(st.integers(0, 700), st.sampled_from(["C:maj", "N"]))).items())),
        edits=tuple(listed),
        edits_shown=draw(st.integers(0, len(listed))),
    )
