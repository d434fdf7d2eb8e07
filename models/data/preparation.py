"""MIDI files -> the cache of songs that training reads."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from models.data import song_cache
from models.data.song_cache import CachedSong, DataError
from music import corpus, midifile
from music.chords import NO_CHORD, QUALITY_TONES, Chord, ChordTrack
from music.corpus import SongFile
from music.midifile import MidiFileError
from music.note import TICKS_PER_BEAT, round_to_step
from music.track_names import MELODIES, PARTS, guess_part


def classify_chord(chord: Chord | None) -> tuple[int, int]:
    """Return root and quality index of what is nearest to a chord; NO_CHORD twice for none."""
    if chord is None:
        return NO_CHORD, NO_CHORD
    above = frozenset((t - chord.root) % 12 for t in chord.pitch_classes)
    scores = [len(above & set(q)) * 2 - len(set(q) - above) * 2 - len(above - set(q)) for q in QUALITY_TONES]
    return chord.root, int(np.argmax(scores))


def read_song(file: SongFile) -> CachedSong | None:
    """Return the song in a MIDI file; None when it holds no melody with company or is not in 4/4."""
    try:
        song = file.read()
        midifile.check_length(song, [note for part in song.parts for note in part.notes])
    except MidiFileError:  # a user's folder holds all sorts of files; the caller counts and reports them
        return None
    if any(str(m) not in ("4/4", "2/2") for _, m in song.metres) or midifile.BAD_METRE in song.mended:
        return None
    guessed = [(guess_part(p.name, p.channel, p.program), p) for p in song.parts]
    if not any(part in MELODIES for part, _ in guessed):
        pitched = next((i for i, (part, _) in enumerate(guessed) if part != "drums"), None)
        if pitched is None:
            return None
        guessed[pitched] = ("melody", guessed[pitched][1])
    rows = []
    for part, played in guessed:
        for n in played.notes:
            start = round_to_step(n.start)
            rows.append((PARTS.index(part), start, n.pitch, max(1, round_to_step(n.end) - start), n.velocity))
    if len({r[0] for r in rows}) < 2 and file.collection != "grooves":
        return None
    notes = np.array(sorted(rows, key=lambda r: (r[1], r[0], r[2])), np.int32).reshape(-1, 5)
    notes = notes[notes[:, 1] >= 0]
    beats = -(-song.end // TICKS_PER_BEAT)
    chord_track = ChordTrack(song.markers)
    chords = np.array([classify_chord(chord_track.find(b * TICKS_PER_BEAT)) for b in range(beats)], np.int8)
    return CachedSong(file.name, file.collection, file.style, file.split, notes, chords.reshape(-1, 2))


def prepare(
    folder: Path, cache: Path, collections: Iterable[str] | None = None, jobs: int | None = None
) -> dict[str, Any]:
    """Read every song below a folder into a cache file, with `jobs` processes (default: one a core).

    Returns how many songs there are, how many files were skipped, and the cache's hash. Raises DataError when there is
    no song, CorpusError for an archive that cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of training music; give one with --data")
    with ProcessPoolExecutor(jobs) as pool:
        sources = list(corpus.read_folder(folder, collections))
        read = list(
            track(pool.map(read_song, sources, chunksize=16), "reading MIDI", total=len(sources), transient=True)
        )
    songs = [song for song in read if song is not None]
    if not songs:
        raise DataError(f"{folder}: no MIDI file in 4/4 with a melody and company among {len(sources)} files")
    song_cache.save(cache, songs)
    return {"songs": len(songs), "skipped": len(sources) - len(songs), "hash": song_cache.hash_file(cache)}
