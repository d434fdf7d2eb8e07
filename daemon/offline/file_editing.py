"""Editing a MIDI file by the AR-CNN: its notes in, the edited notes and every edit out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daemon.engine.song import bar_starts
from daemon.offline.kept_tracks import list_song_metas
from daemon.offline.render import Progress
from daemon.players.arcnn import STRICT_STYLES, EditScorer
from music import midifile
from music.edits import selection
from music.edits.draft import Draft
from music.edits.edit import Edit, Limits
from music.edits.edit_log import drop_cancelled, format_edit
from music.encoding import edit_grid
from music.encoding.edit_grid import WINDOW_STEPS
from music.files import write_atomically
from music.midifile import Song
from music.note import CHANNELS, EDITS, MELODY, Note
from music.track_names import fold_name

#: edits from one evaluation of 8 bars
EDITS_AT_ONCE = 8
_DRUMS = CHANNELS["drums"]


@dataclass(frozen=True, slots=True)
class EditOptions:
    """Options of an editing."""

    style: str
    limits: Limits = field(default_factory=Limits)
    #: the most evaluations of every window
    iterations: int = 100
    #: temperature; 0 takes the likeliest edits
    risk: float = 1.0
    seed: int = 0
    #: edits from one evaluation of 8 bars; None: EDITS_AT_ONCE, and more where the iterations would not suffice
    at_once: int | None = None
    #: how many of the last edits are taken back at the end
    undo: int = 0


@dataclass(frozen=True, slots=True)
class EditedSong:
    """A song before and after its editing."""

    #: the notes before, on the grid of sixteenths
    given: tuple[Note, ...]
    #: the notes after
    notes: tuple[Note, ...]
    #: the edits that lead from one to the other
    edits: tuple[Edit, ...]
    draft: Draft


def edit_draft(draft: Draft, editor: EditScorer, options: EditOptions, progress: Progress | None = None) -> list[Edit]:
    """Edit a draft in place until the iterations, the limits or the network end it; return the edits that lasted.

    Raises ValueError for a style the graph does not know.
    """
    random = np.random.default_rng(options.seed)
    belief = selection.NoteBelief()
    few = max(1, round((options.at_once or EDITS_AT_ONCE) * draft.steps / WINDOW_STEPS))
    for iteration in range(1, options.iterations + 1):
        open_cells = draft.find_open_cells(options.limits)
        if not any(cells.any() for cells in open_cells):
            break
        scores = editor.score(draft, options.limits, options.style)
        beliefs = belief.update(draft, scores), belief.real
        worthwhile = selection.choose_worthwhile(open_cells, scores, options.limits, options.risk, beliefs)
        count = few
        if options.at_once is None:
            count = max(few, -(-int(worthwhile.sum()) // (options.iterations - iteration + 1)))
        if not selection.draw_edits(
            draft,
            scores,
            options.limits,
            random,
            count=count,
            risk=options.risk,
            iteration=iteration,
            worthwhile=worthwhile,
            strict=options.style in STRICT_STYLES,
        ):
            break
        if progress is not None:
            progress(iteration / options.iterations)
    draft.undo(options.undo)
    return drop_cancelled(draft.log)


def edit_song(
    song: Song,
    editor: EditScorer,
    options: EditOptions,
    track: str | None = None,
    progress: Progress | None = None,
    channel: int | None = None,
) -> EditedSong:
    """Edit a song's notes. Raises MidiFileError for a song without notes, ValueError as `edit_draft` does."""
    given = choose_notes(song, track, channel)
    bars = bar_starts(song.metres, max(n.end for n in given))
    lengths, velocities = edit_grid.from_notes(given, 0, bars[-1])
    draft = Draft(lengths, velocities, bars[:-1])
    quantised = edit_grid.to_notes(lengths, velocities)
    edits = edit_draft(draft, editor, options, progress)
    return EditedSong(tuple(quantised), tuple(edit_grid.to_notes(draft.lengths, draft.velocities)), tuple(edits), draft)


def choose_notes(song: Song, track: str | None = None, channel: int | None = None) -> list[Note]:
    """Return the notes to edit: the track or channel that is named, else `melody`, else all pitched tracks together.

    Raises MidiFileError where there are none, or where they last too long.
    """
    named = any(fold_name(part.name) == MELODY for part in song.parts)
    if track is not None or channel is not None or named:
        notes = list(midifile.choose_melody(song, track, channel).notes)
    else:
        notes = [note for part in song.parts if part.channel != _DRUMS for note in part.notes]
    if not notes:
        raise song.make_error("there are no notes to edit; name a track that has some with --track")
    midifile.check_length(song, notes, begin=0)
    return notes


def write_notes(path: Path, song: Song, done: EditedSong, us: int | None = None) -> None:
    """Write a MIDI file: the notes of a song as given on the track `melody`, as edited on `edits`. Raises OSError.

    us: microseconds a beat instead of the song's tempos.
    """
    tempos = song.tempos if us is None else ((0, us),)
    midifile.write(
        path, {MELODY: done.given, EDITS: done.notes}, tempos=tempos, metres=song.metres, metas=list_song_metas(song)
    )


def write_edits(path: Path, done: EditedSong) -> None:
    """Write one line of JSON for every edit. Raises OSError."""
    write_atomically(path, "".join(f"{format_edit(edit, done.draft)}\n" for edit in done.edits))
