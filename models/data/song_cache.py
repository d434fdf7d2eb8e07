"""Songs -> a compact cache of plain arrays -> songs again.

`prepare` reads MIDI (a folder of .mid files, or of .tar.gz archives laid out `<split>/<id>.mid`) once and writes one
.npz of note lists: small enough to carry to a machine that has nothing but torch and numpy. `load` needs numpy only.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music.chords import NO_CHORD, QUALITY_TONES, ChordTrack
from music.errors import UserError
from music.note import TICKS_PER_BEAT, round_to_step

#: Every part name a cache may hold; a note row names its part by index.
PARTS = (
    *("melody", "counter", "piano", "bass", "chords", "pad", "drums"),
    *("soprano", "alto", "tenor", "bass_voice", "violin1", "violin2", "viola", "cello"),
)
#: Those that are a melody.
MELODIES = ("melody", "soprano", "violin1")
SPLITS = ("train", "valid")


class DataError(UserError):
    """Training data that cannot be used."""


@dataclass(frozen=True, slots=True)
class CachedSong:
    """One song. notes: int32 (n, 5) rows of part, start step, pitch, length in steps, velocity, sorted by start;
    chords: int8 (beats, 2) rows of root 0..11 and quality index, NO_CHORD where none is known."""

    name: str
    collection: str
    style: str
    split: str
    notes: NDArray[np.int32]
    chords: NDArray[np.int8]

    @property
    def steps(self) -> int:
        """Length in steps, a whole number of 4/4 bars."""
        end = int((self.notes[:, 1] + self.notes[:, 3]).max()) if len(self.notes) else 0
        return -(-end // 16) * 16


def chord_class(chord: tuple[int, frozenset[int], int] | None) -> tuple[int, int]:
    """(root, quality index) nearest to a parsed chord; (NO_CHORD, NO_CHORD) for none."""
    if chord is None:
        return NO_CHORD, NO_CHORD
    root, tones, _ = chord
    above = frozenset((t - root) % 12 for t in tones)
    scores = [len(above & set(q)) * 2 - len(set(q) - above) * 2 - len(above - set(q)) for q in QUALITY_TONES]
    return root, int(np.argmax(scores))


# --- reading MIDI (needs mido; imported only here) -----------------------------------------------------------------


def _guess_part(name: str, channel: int, program: int) -> str:
    """What a track of a user's own file plays, by its name, channel and General MIDI program."""
    lower = name.lower()
    if channel == 9:
        return "drums"
    if lower in PARTS:
        return lower
    for part, words in {
        "melody": ("melod", "vocal", "voice", "lead", "vox"),
        "bass": ("bass",),
        "pad": ("pad", "string", "organ", "choir"),
    }.items():
        if any(word in lower for word in words):
            return part
    if 32 <= program <= 39:
        return "bass"
    return "pad" if 48 <= program <= 55 or 88 <= program <= 95 else "chords"


def read_song(data: bytes, name: str, collection: str, style: str, split: str) -> CachedSong | None:
    """The song in a MIDI file's bytes; None when it holds no melody with company or is not in 4/4."""
    import mido

    from music import midifile

    try:
        song = midifile.from_mido(mido.MidiFile(file=io.BytesIO(data)))
    except Exception:  # noqa: BLE001 - a user's folder holds all sorts of files; the caller counts and reports them
        return None
    if any(str(m) not in ("4/4", "2/2") for _, m in song.metres):
        return None
    guessed = [(_guess_part(p.name, p.channel, p.program), p) for p in song.parts]
    if not any(part in MELODIES for part, _ in guessed):
        pitched = next((i for i, (part, _) in enumerate(guessed) if part != "drums"), None)
        if pitched is None:
            return None
        guessed[pitched] = ("melody", guessed[pitched][1])
    rows = []
    for part, track in guessed:
        for n in track.notes:
            start = round_to_step(n.start)
            rows.append((PARTS.index(part), start, n.pitch, max(1, round_to_step(n.end) - start), n.velocity))
    if len({r[0] for r in rows}) < 2 and collection != "grooves":
        return None
    notes = np.array(sorted(rows, key=lambda r: (r[1], r[0], r[2])), np.int32).reshape(-1, 5)
    notes = notes[notes[:, 1] >= 0]
    beats = -(-song.end // TICKS_PER_BEAT)
    track_of_chords = ChordTrack(song.markers)
    chords = np.array([chord_class(track_of_chords.at(b * TICKS_PER_BEAT)) for b in range(beats)], np.int8)
    return CachedSong(name, collection, style, split, notes, chords.reshape(-1, 2))


def _style(collection: str, stem: str) -> str:
    tail = stem.rsplit("-", 1)[-1]
    return {"pop909": "piano", "chorales": "chorale", "lieder": "romantic", "quartets": "classical"}.get(
        collection, tail if collection == "bands" else "pop"
    )


def _sources(folder: Path, collections: Iterable[str] | None) -> Iterator[tuple[bytes, str, str, str, str]]:
    """(bytes, name, collection, style, split) of every MIDI file below a folder, archives included."""
    wanted = set(collections) if collections else None
    for archive in sorted(folder.glob("*.tar.gz")):
        collection = archive.name.removesuffix(".tar.gz")
        if wanted and collection not in wanted:
            continue
        with tarfile.open(archive) as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                path = PurePosixPath(member.name)
                handle = tar.extractfile(member) if path.suffix == ".mid" else None
                if handle is not None and path.parts[0] in SPLITS:
                    yield handle.read(), path.stem, collection, _style(collection, path.stem), path.parts[0]
    for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi")):
        split = file.parent.name
        collection = file.parent.parent.name if split in SPLITS else folder.name
        if wanted and collection not in wanted:
            continue
        if split not in SPLITS:  # a user's own folder: every tenth song, by the hash of its name, validates
            split = SPLITS[int(hashlib.sha256(file.stem.encode()).hexdigest(), 16) % 10 == 0]
        yield file.read_bytes(), file.stem, collection, _style(collection, file.stem), split


def _read_packed(source: tuple[bytes, str, str, str, str]) -> CachedSong | None:
    return read_song(*source)


def prepare(
    folder: Path, cache: Path, collections: Iterable[str] | None = None, jobs: int | None = None
) -> dict[str, Any]:
    """Read every song below `folder` into the cache file; returns counts. Raises DataError when there is none."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of training music; give one with --data")
    with ProcessPoolExecutor(jobs) as pool:
        from rich.progress import track

        sources = list(_sources(folder, collections))
        read = list(
            track(pool.map(_read_packed, sources, chunksize=16), "reading MIDI", total=len(sources), transient=True)
        )
    songs = [song for song in read if song is not None]
    if not songs:
        raise DataError(f"{folder}: no MIDI file in 4/4 with a melody and company among {len(sources)} files")
    save(cache, songs)
    return {"songs": len(songs), "skipped": len(sources) - len(songs), "hash": file_hash(cache)}


# --- the cache -----------------------------------------------------------------------------------------------------


def save(cache: Path, songs: list[CachedSong]) -> None:
    """Write songs as one compressed .npz, beside the target first."""
    notes = np.concatenate([s.notes for s in songs])
    index = [
        {
            "name": s.name,
            "collection": s.collection,
            "style": s.style,
            "split": s.split,
            "notes": len(s.notes),
            "beats": len(s.chords),
        }
        for s in songs
    ]
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary = cache.with_suffix(".part.npz")
    np.savez_compressed(
        temporary,
        index=np.frombuffer(json.dumps(index).encode(), np.uint8),
        part=notes[:, 0].astype(np.uint8),
        start=notes[:, 1].astype(np.uint16),
        pitch=notes[:, 2].astype(np.uint8),
        length=np.minimum(notes[:, 3], 65535).astype(np.uint16),
        velocity=notes[:, 4].astype(np.uint8),
        chords=np.concatenate([s.chords for s in songs]),
    )
    temporary.replace(cache)


def load(cache: Path) -> list[CachedSong]:
    """The songs of a cache. Raises DataError when the file is none."""
    try:
        with np.load(cache) as arrays:
            index = json.loads(arrays["index"].tobytes())
            columns = [arrays[k].astype(np.int32) for k in ("part", "start", "pitch", "length", "velocity")]
            chords = arrays["chords"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{cache}: not a cache of training music ({error}); make it again with --data") from None
    notes = np.stack(columns, 1)
    songs, at, beat = [], 0, 0
    for entry in index:
        songs.append(
            CachedSong(
                entry["name"],
                entry["collection"],
                entry["style"],
                entry["split"],
                notes[at : at + entry["notes"]],
                chords[beat : beat + entry["beats"]],
            )
        )
        at += entry["notes"]
        beat += entry["beats"]
    return songs


def file_hash(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
