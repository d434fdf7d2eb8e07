"""Writing notes as a WAV file, 16-bit stereo, with the same synthesisers that play live."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from daemon.core.tempo import NS_PER_S, TempoMap
from daemon.sound.synth import RATE, Synth, render_messages
from music.click import song_clicks
from music.files import open_atomically
from music.midi import note_off, note_on
from music.note import CHANNELS, TICKS_PER_BEAT, Metre, Note

#: time after the last note, for it to die away
FADE_S = 2
_PIECE_S = 10  # rendered at a time


def write(
    path: Path,
    parts: Mapping[str, Iterable[Note]],
    tempo: TempoMap,
    synth: Synth,
    click: Sequence[tuple[int, Metre]] = (),
    note_ticks: int = TICKS_PER_BEAT,
) -> None:
    """Write a WAV file that begins at tick 0. Raises OSError.

    parts: role -> notes; click: (tick, metre) of every change, for a click on every beat; note_ticks: to the beat,
    that the notes are given in, a multiple of the tempo's. Nothing half-written is ever seen.
    """
    fine = note_ticks // TICKS_PER_BEAT
    notes = [(CHANNELS.get(role, 0), note) for role, line in parts.items() for note in line]
    end = max((note.end for _, note in notes), default=0)
    beats = song_clicks(click, -(-end // fine))
    notes += [(CHANNELS["drums"], replace(beat, start=beat.start * fine, length=beat.length * fine)) for beat in beats]
    events = sorted(event for channel, note in notes for event in _messages(channel, note, tempo, fine))
    frames = _frame_at(tempo, end, fine) + FADE_S * RATE
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


def _messages(channel: int, note: Note, tempo: TempoMap, fine: int) -> Iterator[tuple[int, int, bytes]]:
    yield _frame_at(tempo, note.start, fine), 1, note_on(channel, note.pitch, note.velocity)
    yield _frame_at(tempo, note.end, fine), 0, note_off(channel, note.pitch)


def _frame_at(tempo: TempoMap, at: int, fine: int) -> int:
    """Return the frame of a position, of which there are `fine` to a tick."""
    tick, part = divmod(at, fine)
    ns = tempo.ns_at(tick)
    if part:
        ns += (tempo.ns_at(tick + 1) - ns) * part // fine
    return max(0, ns - tempo.ns_at(0)) * RATE // NS_PER_S
