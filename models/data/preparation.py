"""MIDI files -> the cache of songs that training reads."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from models.data import song_cache
from models.data.played_drums import read_take_text
from models.data.song_cache import CachedSong, DataError
from music import corpus, midifile
from music.chords import NO_CHORD, QUALITY_TONES, Chord, ChordTrack
from music.corpus import CorpusError, SkippedFile, SongFile, SongSource
from music.midifile import MidiFileError
from music.note import TICKS_PER_BEAT, Metre, round_to_step
from music.styles import DEFAULT_STYLE, DRUMMERS
from music.track_names import MELODIES, PARTS, guess_part

#: a song may last so long, at 120 beats a minute over two hours, and have so many notes
MAX_BEATS, MAX_NOTES = 16_384, 200_000
#: metres that training takes, beside those whose bars are as long
METRES = tuple(map(str, (Metre(), Metre(2, 2), *(Metre(n, 4) for n in (3, 6)), *(Metre(n, 8) for n in (3, 6, 9, 12)))))
#: so many files are given to a process at once, or so many bytes
_BATCH_FILES, _BATCH_BYTES = 16, 8 << 20
#: so many batches a process wait to be read or to be collected
_BATCHES_AHEAD = 3

#: files with what is known of them: their content, or why they have none; None where it has to be read first
Batch = list[tuple[SongSource, SongFile | str | None]]
Read = list[tuple[SongSource, CachedSong | SkippedFile]]


class UnusableSongError(DataError):
    """A file that training cannot use; the message says why, in the form "is ..."."""


class Preparation(NamedTuple):
    """A cache that has been made."""

    cache: Path
    hash: str
    songs: int
    skipped: list[SkippedFile]  #: sorted

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return self._asdict() | {"cache": str(self.cache), "skipped": [file._asdict() for file in self.skipped]}


def classify_chord(chord: Chord | None) -> tuple[int, int]:
    """Return root and quality index of what is nearest to a chord; NO_CHORD twice for none."""
    if chord is None:
        return NO_CHORD, NO_CHORD
    above = frozenset((t - chord.root) % 12 for t in chord.pitch_classes)
    scores = [len(above & set(q)) * 2 - len(set(q) - above) * 2 - len(above - set(q)) for q in QUALITY_TONES]
    return chord.root, int(np.argmax(scores))


def read_song(file: SongFile) -> CachedSong:
    """Return the song in a MIDI file. Raises UnusableSongError for one without a melody and company in METRES."""
    try:
        song = file.read()
    except MidiFileError as error:
        raise UnusableSongError("is " + str(error).partition(f"{file.name}: ")[2]) from None
    _check_song(song)
    guessed = [(guess_part(p.name, p.channel, p.program), p) for p in song.parts]
    is_take = file.collection == DRUMMERS
    if not is_take and not any(part in MELODIES for part, _ in guessed):
        pitched = next((i for i, (part, _) in enumerate(guessed) if part != "drums"), None)
        if pitched is None:
            raise UnusableSongError("has no pitched notes")
        guessed[pitched] = ("melody", guessed[pitched][1])
    rows = []
    for part, played in guessed:
        for n in played.notes:
            start = round_to_step(n.start)
            rows.append((PARTS.index(part), start, n.pitch, max(1, round_to_step(n.end) - start), n.velocity))
    if len({r[0] for r in rows}) < (1 if is_take else 2):
        raise UnusableSongError("has a melody and nothing beside it")
    notes = np.array(sorted(rows, key=lambda r: (r[1], r[0], r[2])), np.int32).reshape(-1, 5)
    notes = notes[notes[:, 1] >= 0]
    beats = -(-song.end // TICKS_PER_BEAT)
    chord_track = ChordTrack(song.markers)
    chords = np.array([classify_chord(chord_track.find(b * TICKS_PER_BEAT)) for b in range(beats)], np.int8)
    style, is_fill = (read_take_text(song) or (DEFAULT_STYLE, False)) if is_take else (file.style, False)
    style = f"{DRUMMERS}/{style}" if is_take else style
    metre = song.metres[0][1] if song.metres else Metre()
    bpm = round(60_000_000 / song.tempos[0][1])
    return CachedSong(file.name, file.collection, style, file.split, notes, chords.reshape(-1, 2), metre, bpm, is_fill)


def _check_song(song: midifile.Song) -> None:
    """Raise UnusableSongError for a song whose bars or length training cannot take."""
    notes = [note for part in song.parts for note in part.notes]
    excess = midifile.describe_excess(notes)
    if not excess and song.end > MAX_BEATS * TICKS_PER_BEAT:
        excess = f"lasts {song.end // TICKS_PER_BEAT} beats, and training takes songs of up to {MAX_BEATS}"
    if not excess and len(notes) > MAX_NOTES:
        excess = f"has {len(notes)} notes, and training takes songs of up to {MAX_NOTES}"
    if excess:
        raise UnusableSongError(excess)
    metres = [metre for _, metre in song.metres]
    others = [str(metre) for metre in metres if str(metre) not in METRES]
    if others or midifile.BAD_METRE in song.mended:
        wanted = f"{', '.join(METRES[:-1])} or {METRES[-1]}"
        raise UnusableSongError(f"is in {others[0] if others else 'a metre without sixteenths'}, not in {wanted}")
    if len({(metre.steps_per_bar, metre.steps_per_pulse) for metre in metres}) > 1:
        raise UnusableSongError(f"is in {metres[0]} and in {metres[-1]}, and training takes songs in one metre")


# --- a whole folder -------------------------------------------------------------------------------------------------


def prepare(
    folder: Path, cache: Path, collections: Iterable[str] | None = None, jobs: int | None = None
) -> Preparation:
    """Read every song below a folder into a cache file, with up to `jobs` processes (default: one a core).

    Whatever lies in the folder ends nothing: a file that cannot be used is skipped, and the result says why. Raises
    DataError when there is no song, OSError when the cache cannot be written.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of training music; give one with --data")
    listing = corpus.list_songs(folder, collections)
    found: dict[SongSource, CachedSong] = {}
    skipped = list(listing.skipped)
    jobs = min(jobs or os.cpu_count() or 1, -(-len(listing.files) // _BATCH_FILES))
    batches = _make_batches(listing.files)
    read = _read_in_processes(batches, jobs) if jobs > 1 else map(_read_batch, batches)
    console = Console(stderr=True)
    files = (file for batch in read for file in batch)
    for source, song in track(
        files, "reading MIDI", len(listing.files), console=console, transient=True, disable=not console.is_terminal
    ):
        if isinstance(song, SkippedFile):
            skipped.append(song)
        else:
            found[source] = song
    songs = [found[source] for source in listing.files if source in found]
    if not songs:
        raise DataError(_describe_absence(folder, listing.files, sorted(skipped), collections))
    song_cache.save(cache, songs)
    return Preparation(cache, song_cache.hash_file(cache), len(songs), sorted(skipped))


def _describe_absence(
    folder: Path, files: Sequence[SongSource], skipped: Sequence[SkippedFile], collections: Iterable[str] | None
) -> str:
    """Return the sentence about a folder without a song."""
    if not files and not skipped and collections:
        return f"{folder}: holds no MIDI file of {', '.join(collections)}; name others with --collection"
    first = f"; {skipped[0].file} {skipped[0].reason}" if skipped else ""
    return f"{folder}: no MIDI file in a metre that is learnt with a melody and company among {len(files)} files{first}"


def _make_batches(files: Sequence[SongSource]) -> Iterator[Batch]:
    """Yield the files in batches, those in archives with their content."""
    loose = iter([source for source in files if not source.member])
    while batch := list(islice(loose, _BATCH_FILES)):
        yield [(source, None) for source in batch]
    packed: Batch = []
    size = 0
    for source, content in corpus.read_packed(source for source in files if source.member):
        packed.append((source, content))
        size += len(content.content) if isinstance(content, SongFile) else 0
        if len(packed) == _BATCH_FILES or size > _BATCH_BYTES:
            yield packed
            packed, size = [], 0
    if packed:
        yield packed


def _read_batch(batch: Batch) -> Read:
    return [(source, _read_file(source, content)) for source, content in batch]


def _read_file(source: SongSource, content: SongFile | str | None) -> CachedSong | SkippedFile:
    """Return the song in a file, or why there is none, whatever the file holds."""
    try:
        if isinstance(content, str):
            return source.skip(content)
        return read_song(content or source.read())
    except (UnusableSongError, CorpusError) as error:
        return source.skip(str(error))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one file must not cost the others
        return source.skip(f"cannot be read ({type(error).__name__}: {' '.join(str(error).split())})")


def _read_in_processes(batches: Iterator[Batch], jobs: int) -> Iterator[Read]:
    """Yield what is in the batches, in order, read by so many processes.

    Where one of them dies, over a file that takes all memory there is, the batches under way are read again file by
    file, and the file that does it again is skipped.
    """
    batch: Batch = []
    while True:
        under_way: deque[tuple[Future[Read], Batch]] = deque()
        with _open_pool(jobs) as pool:
            try:
                for batch in batches:
                    under_way.append((pool.submit(_read_batch, batch), batch))
                    while len(under_way) > _BATCHES_AHEAD * jobs:
                        yield under_way[0][0].result()
                        under_way.popleft()
                while under_way:
                    yield under_way[0][0].result()
                    under_way.popleft()
                return
            except BrokenProcessPool:
                pass
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        lost = [file for _, batch in under_way for file in batch]
        if not under_way or under_way[-1][1] is not batch:
            lost += batch  # it could not even be submitted
        yield from (_read_alone(file) for file in lost)


def _read_alone(file: tuple[SongSource, SongFile | str | None]) -> Read:
    """Return what is in a file, read by a process that may die of it."""
    with _open_pool(1) as pool:
        try:
            return pool.submit(_read_batch, [file]).result()
        except BrokenProcessPool:
            return [(file[0], file[0].skip("ended the program that read it, probably for lack of memory"))]


def _open_pool(jobs: int) -> ProcessPoolExecutor:
    """Open processes that leave Ctrl-C to their parent."""
    return ProcessPoolExecutor(jobs, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
