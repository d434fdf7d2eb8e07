"""`make fuzz`: damaged and unusual MIDI files through reading, rendering, editing and writing, as JSON.

    python -m tests.programs.fuzz_files [--seconds 60] [--seed 0] [--keep DIR] [FILE.mid ...]

The files are changed copies of those that are named, or of the validation songs of ../shared/data, or made of nothing.
Exit status 1 unless each is refused in one sentence or played: no traceback, no file that takes longer than 20 s, no
note in what is written that does not end, and the melody in it is the one that was read. Those for which that does not
hold are kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import tarfile
import tempfile
import time
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Any

from daemon.engine.song import bar_starts
from daemon.offline import file_editing
from daemon.offline.file_editing import EditedSong
from daemon.offline.render import render_file
from music import midifile, smf
from music.edits.draft import Draft
from music.encoding import edit_grid
from music.errors import UserError
from music.midifile import Song
from music.note import Note
from tests.support.damaged_midi import damage, make
from tests.support.fakes import FakePlayer

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
LIMIT_S, LIMIT_MB, SONGS = 20.0, 1000, 60
Json = dict[str, Any]


class WrongOutputError(Exception):
    """What was written is not what it should be."""


def try_file(data: bytes, folder: Path) -> str:
    """Read, render and edit a file's bytes; return how that ended. Raises whatever should not be raised."""
    source, target = folder / "in.mid", folder / "out.mid"
    source.write_bytes(data)
    try:
        song = midifile.read(source)
        if not song.seconds >= 0:
            raise WrongOutputError(f"it lasts {song.seconds} s")
        melody = midifile.choose_melody(song)
        render_file(source, target, FakePlayer())
    except UserError as error:
        check_sentence(error)
        ended = "refused"
    else:
        check_output(target, song, melody)
        ended = "played"
    try:
        edit(midifile.parse(data, "in.mid"), target)
    except UserError as error:
        check_sentence(error)
    return ended


def check_sentence(error: UserError) -> None:
    """Raise WrongOutputError for an error that is not one printable sentence that names the file."""
    if not str(error).isprintable() or len(str(error)) > 3000 or "in.mid" not in str(error):
        raise WrongOutputError(f"no sentence: {error}")


def edit(song: Song, target: Path) -> None:
    """Put the notes on the grid that the AR-CNN edits, and write them."""
    given = file_editing.choose_notes(song)
    bars = bar_starts(song.metres, max(note.end for note in given))
    lengths, velocities = edit_grid.from_notes(given, 0, bars[-1])
    notes = tuple(edit_grid.to_notes(lengths, velocities))
    file_editing.write_notes(target, song, EditedSong(notes, notes, (), Draft(lengths, velocities, bars[:-1])))
    check_notes_end(target)


def check_output(target: Path, song: Song, melody: midifile.Part) -> None:
    """Raise WrongOutputError unless the melody and nothing that hangs is in a file."""
    check_notes_end(target)
    written = midifile.read(target)
    if written.mended:
        raise WrongOutputError(f"what was written has to be mended: {written.mended}")
    found = [note for part in written.parts if part.name == "melody" for note in part.notes]
    wanted = [n for n in melody.notes if n.end < midifile.LAST_TICK]
    found = [n for n in found if n.end < midifile.LAST_TICK]
    if not all(is_same_note(*pair) for pair in zip_longest(sorted(found, key=rank), sorted(wanted, key=rank))):
        raise WrongOutputError("another melody was written than was read")


def rank(note: Note) -> tuple[int, int, int, int]:
    """Return the place of a note among others, of which some may lie a tick elsewhere.

    Notes that a tick could bring into another order are told apart by their velocity first.
    """
    return note.pitch, note.velocity, note.start, note.end


def is_same_note(one: Note | None, other: Note | None) -> bool:
    """Tell whether two notes are the same but for a tick by which an odd division was rounded twice."""
    if one is None or other is None:
        return False
    near = abs(one.start - other.start) <= 1 and abs(one.end - other.end) <= 1
    return near and (one.pitch, one.velocity) == (other.pitch, other.velocity)


def check_notes_end(path: Path) -> None:
    """Raise WrongOutputError for a file in which a note is not ended by a message."""
    for index, track in enumerate(smf.parse(path.read_bytes()).tracks):
        down: Counter[tuple[int, int]] = Counter()
        for _, status, first, second, _ in track.events:
            if status & 0xF0 == 0x90 and second:
                down[status & 0x0F, first] += 1
            elif status & 0xE0 == 0x80 and down[status & 0x0F, first]:
                down[status & 0x0F, first] -= 1
        if +down:
            raise WrongOutputError(f"track {index}: {sum(down.values())} notes do not end")


def list_songs(named: list[Path]) -> list[bytes]:
    """Return the files to change: those named, else some of every collection."""
    if named:
        return [path.read_bytes() for path in named]
    found: list[bytes] = []
    for archive in sorted(DATA.glob("*.tar.gz")):
        with tarfile.open(archive) as opened:
            count = 0
            for member in opened:
                if member.isfile() and member.name.endswith(".mid") and member.size < 100_000:
                    content = opened.extractfile(member)
                    assert content
                    found.append(content.read())
                    count += 1
                    if count == SONGS // 8:
                        break
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "houseband-fuzz")
    parser.add_argument("songs", nargs="*", type=Path, metavar="FILE.mid")
    args = parser.parse_args()
    logging.disable()
    songs = list_songs(args.songs)
    ends: Counter[str] = Counter()
    wrong: list[Json] = []
    slowest, until, seed = 0.0, time.monotonic() + args.seconds, args.seed
    with tempfile.TemporaryDirectory() as name:
        while time.monotonic() < until:
            data = damage(songs[seed % len(songs)], seed) if songs and seed % 3 else make(seed)
            begun = time.process_time()
            try:
                ends[try_file(data, Path(name))] += 1
                said = ""
            except Exception as error:  # noqa: BLE001 - which is what is looked for
                said = f"{type(error).__name__}: {error}"[:300]
            spent = time.process_time() - begun
            slowest = max(slowest, spent)
            if said or spent > LIMIT_S:
                wrong.append({"seed": seed, "said": said, "seconds": round(spent, 1)})
                args.keep.mkdir(exist_ok=True)
                (args.keep / f"{seed}.mid").write_bytes(data)
            seed += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    report = {"files": seed - args.seed, "ends": ends, "slowest_s": round(slowest, 2), "peak_mb": peak, "wrong": wrong}
    print(json.dumps(report, indent=1))  # noqa: T201
    return 0 if not wrong and peak <= LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
