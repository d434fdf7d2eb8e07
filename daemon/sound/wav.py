"""Writing a performance as WAV files, 16-bit stereo, with the same synthesisers that play live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_S, TempoMap
from daemon.sound.stems import Loudness, StemRecording
from daemon.sound.synth import RATE, Synth
from music.click import song_clicks
from music.midi import note_off, note_on
from music.note import CHANNELS, TICKS_PER_BEAT, Metre, Note

#: time after the last note, for it to die away
FADE_S = 2
#: the stem of the click
CLICK = "click"


def write(
    path: Path,
    parts: Mapping[str, Iterable[Note]],
    tempo: TempoMap,
    synth: Synth,
    click: Sequence[tuple[int, Metre]] = (),
    note_ticks: int = TICKS_PER_BEAT,
    *,
    controls: Mapping[str, Sequence[tuple[int, bytes]]] | None = None,
    played: Mapping[str, Sequence[tuple[int, bytes]]] | None = None,
    settings: Settings = Settings(),
    stems: Mapping[str, Path] | None = None,
) -> dict[str, Loudness]:
    """Write a WAV file that begins at tick 0, balanced by loudness; return the loudness of each role and of the mix.

    parts: role -> notes; click: (tick, metre) of every change, for a click on every beat; note_ticks: to the beat,
    that the notes are given in, a multiple of the tempo's; controls: role -> (tick, message) of what is no note;
    played: role -> (ns from tick 0, message) of what the player played; settings: with the levels; stems: role -> file
    to write that role into on its own. Nothing half-written is ever seen. Raises OSError.
    """
    fine = note_ticks // TICKS_PER_BEAT
    tracks: dict[str, list[tuple[int, int, bytes]]] = {}
    for role, messages in (played or {}).items():
        tracks[role] = [(max(0, at) * RATE // NS_PER_S, 1, data) for at, data in messages]
    end = 0
    for role, line in parts.items():
        for note in line:
            end = max(end, note.end)
            tracks.setdefault(role, []).extend(_messages(CHANNELS.get(role, 0), note, tempo, fine))
    for role, changes in (controls or {}).items():
        tracks.setdefault(role, []).extend((_frame_at(tempo, tick, 1), 0, data) for tick, data in changes)
    last = max((each[0] for track in tracks.values() for each in track), default=0)
    beats = song_clicks(click, -(-end // fine))
    for beat in beats:
        scaled = replace(beat, start=beat.start * fine, length=beat.length * fine)
        tracks.setdefault(CLICK, []).extend(_messages(CHANNELS["drums"], scaled, tempo, fine))
    frames = max(_frame_at(tempo, end, fine), last) + FADE_S * RATE
    with StemRecording(synth, frames) as recording:
        for role, track in tracks.items():
            recording.add(role, [(at, data) for at, _, data in sorted(track, key=lambda each: each[:2])])
        return recording.write(stems or {}, path, settings)


def _messages(channel: int, note: Note, tempo: TempoMap, fine: int) -> Iterator[tuple[int, int, bytes]]:
    yield _frame_at(tempo, note.start, fine), 2, note_on(channel, note.pitch, note.velocity)
    yield _frame_at(tempo, note.end, fine), 1, note_off(channel, note.pitch)


def _frame_at(tempo: TempoMap, at: int, fine: int) -> int:
    """Return the frame of a position, of which there are `fine` to a tick."""
    tick, part = divmod(at, fine)
    ns = tempo.ns_at(tick)
    if part:
        ns += (tempo.ns_at(tick + 1) - ns) * part // fine
    return max(0, ns - tempo.ns_at(0)) * RATE // NS_PER_S
