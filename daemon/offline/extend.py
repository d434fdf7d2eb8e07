"""Extending a song: the transformer continues melody and accompaniment, step by step, as if it were playing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.engine.song import bar_at, metre_at
from daemon.harmony.harmony_source import find_key
from daemon.offline.kept_tracks import list_song_metas
from daemon.offline.render import MAX_BAR_TICKS
from daemon.players.graph import reporting_failure
from daemon.players.player import ContinuingPlayer
from music import midifile
from music.evaluation.baselines import extract_human_parts
from music.midifile import Song
from music.note import MELODY, TICKS_PER_STEP, Note, quantise, remove_overlaps

Parts = dict[str, tuple[Note, ...]]


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension to be made."""

    #: how many bars to add
    bars: int
    settings: Settings = Settings()


def extend(
    song: Song,
    melody: tuple[Note, ...],
    player: ContinuingPlayer,
    wanted: Extension,
    progress: Callable[[float], None] | None = None,
) -> Parts:
    """Return new notes of the melody and of every role, from the bar line after the song's end on.

    The song's own accompaniment is continued; without one, only the new bars are accompanied. Raises MidiFileError for
    a melody without notes, and for music that lasts too long, InferenceError where the player does not answer.
    """
    if not melody:
        raise song.make_error("there is no melody to go on from")
    own = extract_human_parts(song)
    line = quantise(melody)
    known = [n for notes in (line, *own.values()) for n in notes]
    midifile.check_length(song, known)
    end = max(n.end for n in known)
    origin, metre = metre_at(song.metres, end - 1)
    first = bar_at(song.metres, end - 1).start + metre.ticks_per_bar
    if metre.ticks_per_bar > MAX_BAR_TICKS:
        raise song.make_error(f"a bar of {metre} is too long to be added; mend the file's time signature")
    now, last = first // TICKS_PER_STEP, (first + wanted.bars * metre.ticks_per_bar) // TICKS_PER_STEP
    played = {role: tuple(quantise(own.get(role, ()))) for role in player.info.roles}
    for number, step in enumerate(range(now, last), 1):
        request = PlanRequest(
            *(number, step, step * TICKS_PER_STEP, tuple(line), played, metre, wanted.settings),
            bar_origin=origin,
            key=find_key(wanted.settings),
        )
        with reporting_failure():
            plan, note = player.plan_with_melody(request)
        if note is not None and note.start < step * TICKS_PER_STEP:
            line[-1] = note
        elif note is not None:
            line.append(note)
        for role in player.info.roles:
            ends = {(n.start, n.pitch): n for n in plan.held.get(role, ())}
            kept = (ends.get((n.start, n.pitch), n) for n in played[role])
            played[role] = tuple(sorted((*kept, *plan.notes.get(role, ()))))
        if progress is not None:
            progress(number / (last - now))
    whole = {MELODY: tuple(line), **played}
    return {part: _cut_to(notes, first, last * TICKS_PER_STEP) for part, notes in whole.items()}


def _cut_to(notes: tuple[Note, ...], first: int, last: int) -> tuple[Note, ...]:
    """Return the notes that begin in [first, last), ended there at the latest."""
    inside = (n for n in notes if first <= n.start < last)
    return tuple(remove_overlaps(replace(n, length=min(n.end, last) - n.start) for n in inside))


def extend_file(
    source: str | Path,
    target: str | Path,
    player: ContinuingPlayer,
    wanted: Extension,
    track: str | None = None,
    progress: Callable[[float], None] | None = None,
    channel: int | None = None,
) -> Parts:
    """Write a MIDI file's song and its extension into another file: `melody` and a track for every role.

    Return what was added. progress: called with the share done, 0..1. Raises MidiFileError for a source without a
    melody, OSError when the target cannot be written.
    """
    song = midifile.read(source)
    melody = midifile.choose_melody(song, track, channel).notes
    added = extend(song, melody, player, wanted, progress)
    before = {MELODY: melody, **{role: tuple(notes) for role, notes in extract_human_parts(song).items()}}
    parts = {part: (*before.get(part, ()), *added[part]) for part in added}
    midifile.write(target, parts, tempos=song.tempos, metres=song.metres, metas=list_song_metas(song))
    return added
