"""Lists of notes as a player is told them one after another, for properties that hold whatever was told before."""

from __future__ import annotations

from hypothesis import strategies as st

from music.note import Metre, Note

METRES = st.sampled_from([Metre(4, 4), Metre(3, 4), Metre(6, 8), Metre(5, 4), Metre(12, 8)])
NOTES = st.builds(Note, st.integers(-200, 2600), st.integers(0, 127), st.integers(1, 200), st.integers(1, 127))
#: sorted, on any pitches
NOTE_LISTS = st.lists(NOTES, max_size=40).map(lambda played: tuple(sorted(played)))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Note, ...]]:
    """Lists that grow, go on elsewhere, are edited in the past, forget their beginning, or are others altogether."""
    told = draw(NOTE_LISTS)
    made = [told]
    for kind in draw(st.lists(st.sampled_from(["grow", "append", "edit", "forget", "leap", "same"]), max_size=12)):
        if kind == "grow":
            told = tuple(sorted((*told, draw(NOTES))))
        elif kind == "append":  # perhaps after a leap back: an earlier note comes last
            told = (*told, draw(NOTES))
        elif kind == "edit" and told:
            at = draw(st.integers(0, len(told) - 1))
            told = (*told[:at], Note(told[at].start, told[at].pitch, draw(st.integers(1, 400))), *told[at + 1 :])
        elif kind == "forget":
            told = told[draw(st.integers(0, len(told))) :]
        elif kind == "leap":
            told = draw(NOTE_LISTS)
        made.append(told)
    return made
