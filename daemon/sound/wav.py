"""Writing notes as a WAV file, 16-bit stereo, with the same synthesisers that play live."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from daemon.core.tempo import NS_PER_S, TempoMap
from daemon.sound.synth import RATE, Synth, render_messages
from music.click import clicks
from music.files import open_atomically
from music.midi import note_off, note_on
from music.note import CHANNELS, Metre, Note

#: time after the last note, for it to die away
FADE_S = 2
_PIECE_S = 10  # rendered at a time


def write(
    path: Path, parts: Mapping[str, Iterable[Note]], tempo: TempoMap, synth: Synth, click: Metre | None = None
) -> None:
    """Write a WAV file that begins at tick 0. Raises OSError.

    parts: role -> notes in ticks; click: the metre of a click, None for none. Nothing half-written
    is ever seen.
    """
    notes = [(CHANNELS.get(role, 0), note) for role, line in parts.items() for note in line]
    end = max((note.end for _, note in notes), default=0)
    if click is not None:
        notes += [(CHANNELS["drums"], note) for note in clicks(0, end, click)]
    events = sorted(event for channel, note in notes for event in _messages(channel, note, tempo))
    frames = _frame_at(tempo, end) + FADE_S * RATE
    with open_atomically(path) as opened, wave.open(opened) as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(frames)  # the header is right from the beginning, for a pipe cannot be wound back
        for begin in range(0, frames, _PIECE_S * RATE):
            last = min(begin + _PIECE_S * RATE, frames)
            here = [(at - begin, data) for at, _, data in events if begin <= at < last]
            samples = render_messages(synth, here, last - begin)
            file.writeframesraw((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _messages(channel: int, note: Note, tempo: TempoMap) -> Iterator[tuple[int, int, bytes]]:
    yield _frame_at(tempo, note.start), 1, note_on(channel, note.pitch, note.velocity)
    yield _frame_at(tempo, note.end), 0, note_off(channel, note.pitch)


def _frame_at(tempo: TempoMap, tick: int) -> int:
    return max(0, tempo.ns_at(tick) - tempo.ns_at(0)) * RATE // NS_PER_S
