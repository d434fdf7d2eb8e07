"""Drummers' takes, made up, in files as the Groove MIDI Dataset has them."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import mido


def write_take(path: Path, hits: list[tuple[int, int, int]], text: str, bpm: float = 100) -> None:
    """Write a take. hits: tick (480 a beat), pitch, velocity."""
    tempo = mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))
    track = mido.MidiTrack([mido.MetaMessage("text", text=text), tempo])
    at = 0
    for tick, pitch, velocity in sorted(hits):
        track.append(mido.Message("note_on", channel=9, note=pitch, velocity=velocity, time=tick - at))
        at = tick
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    file.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)


def write_takes(folder: Path) -> None:
    """Write six grooves of eight bars: the kick a little early, the snare late, each drummer as loud as he is."""
    for number in range(6):
        hits = [(480 * beat - 12 * (beat > 0), 36, 60 + 10 * number) for beat in range(32)]
        hits += [(960 * beat + 480 + 24, 38, 120) for beat in range(16)]
        hits += [(240 * i, 42, 40 + 20 * (i % 2)) for i in range(64)]
        for style in ("rock", "jazz/swing", "pop"):
            split = "valid" if number == 5 else "train"
            text = f"Groove MIDI Dataset drummer{number}/1, {style}, beat"
            write_take(folder / "grooves" / split / f"d{number}-{style[:4]}.mid", hits, text)


@lru_cache(maxsize=1)
def _open_folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    write_takes(Path(folder.name))
    return folder


def find_takes() -> str:
    """Return a folder with those takes, which is there until the process ends."""
    return _open_folder().name
