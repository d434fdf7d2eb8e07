"""Changes of items: each function returns another item and leaves the given one as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from daemon.engine.song import bar_at, bar_starts
from daemon.projects.item import (
    INPUT,
    MAX_BARS,
    Item,
    ItemError,
    Line,
    ListedEdit,
    count_bars,
    find_end,
    find_music_end,
    tell_time,
)
from music.edits.draft import Draft
from music.edits.edit import Edit
from music.encoding import edit_grid
from music.note import EDITS, MELODY, TICKS_PER_STEP, Metre, Note


def put_notes(item: Item, notes: Mapping[str, Line]) -> Item:
    """Return an item with other notes in some roles; it gets as many bars as they need. Raises ItemError."""
    whole = {**item.notes, **{role: tuple(sorted(line)) for role, line in notes.items()}}
    bars = max(item.bars, count_bars(item.metres, find_music_end(notes.values())))
    if bars > MAX_BARS:
        raise ItemError(f"notes: an item has at most {MAX_BARS} bars")
    return replace(item, notes=whole, bars=bars)


def trim(item: Item, first: int, last: int) -> Item:
    """Return an item with only the bars from one to another, counted from 1. Raises ItemError."""
    if not 1 <= first <= last <= item.bars:
        raise ItemError(f"bars: there are no bars {first} to {last}; there are 1 to {item.bars}")
    begin, end = find_end(item.metres, first - 1), find_end(item.metres, last)
    notes = {role: _cut(line, begin, end) for role, line in item.notes.items()}
    edits = [edit for edit in item.edits if begin <= edit.tick < end]
    shown = sum(begin <= edit.tick < end for edit in item.edits[: item.edits_shown])
    return replace(
        item,
        bars=last - first + 1,
        metres=_cut_metres(item.metres, begin, end),
        notes=notes,
        chords=_cut_chords(item.chords, begin, end),
        edits=tuple(replace(edit, tick=edit.tick - begin) for edit in edits),
        edits_shown=shown,
    )


def _cut(line: Line, begin: int, end: int) -> Line:
    inside = [note for note in line if note.start < end and note.end > begin]
    starts = [max(note.start, begin) for note in inside]
    pairs = zip(inside, starts, strict=True)
    return tuple(
        sorted(Note(start - begin, note.pitch, min(note.end, end) - start, note.velocity) for note, start in pairs)
    )


def _cut_metres(metres: Sequence[tuple[int, Metre]], begin: int, end: int) -> tuple[tuple[int, Metre], ...]:
    before = [metre for tick, metre in metres if tick <= begin][-1]
    return ((0, before), *((tick - begin, metre) for tick, metre in metres if begin < tick < end))


def _cut_chords(chords: Sequence[tuple[int, str]], begin: int, end: int) -> tuple[tuple[int, str], ...]:
    before = [(0, label) for tick, label in chords if tick <= begin][-1:]
    return (*before, *((tick - begin, label) for tick, label in chords if begin < tick < end))


def make_input(item: Item, key: str) -> Item:
    """Return an item as an input of its own: what the AR-CNN made of a melody is the melody."""
    notes = {role: line for role, line in item.notes.items() if role != EDITS}
    if item.edits or item.get(EDITS):
        notes[MELODY] = item.get(EDITS)
    return replace(item, id=key, kind=INPUT, parent=item.id, notes=notes, edits=(), edits_shown=0, created=tell_time())


def show_edits(item: Item, shown: int | None = None, kept: Sequence[bool] | None = None) -> Item:
    """Return a result of the AR-CNN with other of its edits applied.

    shown: how many, from the first on; kept: of all of them, whether they are. An edit that does not fit, for one
    before it that it needs has been taken back, is passed over. Raises ItemError.
    """
    if not item.edits:
        raise ItemError("this item has no edits; they come from the AR-CNN")
    if kept is not None and len(kept) != len(item.edits):
        raise ItemError(f"kept: {len(item.edits)} values are needed, one for each edit")
    flags = [edit.kept for edit in item.edits] if kept is None else kept
    edits = tuple(replace(edit, kept=flag) for edit, flag in zip(item.edits, flags, strict=True))
    count = item.edits_shown if shown is None else shown
    if not 0 <= count <= len(edits):
        raise ItemError(f"shown: a number from 0 to {len(edits)} is needed")
    notes = {**item.notes, EDITS: apply_edits(item.get(MELODY), item.metres, item.ticks, edits[:count])}
    return replace(item, edits=edits, edits_shown=count, notes=notes)


def apply_edits(given: Line, metres: Sequence[tuple[int, Metre]], end: int, edits: Sequence[ListedEdit]) -> Line:
    """Return notes after those of the edits that are kept and fit. end: the tick at which their last bar ends."""
    bars = bar_starts(metres, max(end, 1))
    lengths, velocities = edit_grid.from_notes(given, 0, bars[-1])
    draft = Draft(lengths, velocities, bars[:-1])
    for listed in edits:
        edit = Edit(
            listed.iteration,
            listed.action,
            listed.tick // TICKS_PER_STEP,
            listed.pitch,
            listed.length // TICKS_PER_STEP,
            listed.velocity,
        )
        if listed.kept and draft.fits(edit):
            draft.apply(edit)
    return tuple(edit_grid.to_notes(draft.lengths, draft.velocities))


def count_bar(item: Item, tick: int) -> int:
    """Return the bar that a tick lies in, from 1."""
    return len(bar_starts(item.metres, bar_at(item.metres, tick).start)) if tick > 0 else 1


def rename(item: Item, name: str) -> Item:
    """Return an item with another name."""
    return replace(item, name=name)
