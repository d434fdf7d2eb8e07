"""Items written as MIDI files, a track for each role, and as sound."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_S, TempoMap
from daemon.output.programs import SOUND_CHANNELS, list_program_changes
from daemon.projects.item import ITEM_ROLES, Item, Line
from daemon.sound import wav
from daemon.sound.fluid_synth import PROGRAMS
from daemon.sound.synth import RATE, Samples, Synth
from music import midi, midifile
from music.errors import UserError
from music.note import CHANNELS, EDITS, MELODY

US_PER_MINUTE = 60_000_000
#: the longest sound that is written
_MAX_MINUTES = 60


def make_midi(item: Item, mix: Settings = Settings()) -> bytes:
    """Return an item as a MIDI file: tempo, metres, chords, and a track for each role that has notes.

    mix: with the instruments. Raises OSError.
    """
    parts = {role: item.get(role) for role in ITEM_ROLES if item.get(role)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "item.mid")
        midifile.write(
            path,
            parts,
            tempos=((0, round(US_PER_MINUTE / item.bpm)),),
            metres=item.metres,
            harmony=item.chords,
            channels=SOUND_CHANNELS,
            controls=_choose_programs(mix, parts),
        )
        return path.read_bytes()


def write_wav(item: Item, mix: Settings, target: Path, synth: Synth, progress: Callable[[float], None]) -> None:
    """Write the sound of an item, with the levels, mutes and instruments of a mix. Raises OSError, UserError."""
    parts = {role: item.get(role) for role in ITEM_ROLES if item.get(role) and role not in mix.muted}
    if parts.get(EDITS) and MELODY not in mix.muted:  # what the AR-CNN made of the melody is heard in its place
        parts.pop(MELODY, None)
    if not parts:
        raise UserError("there is nothing to hear: no role that has notes is audible")
    if item.ticks / 24 / item.bpm > _MAX_MINUTES:
        raise UserError(f"sound is written up to {_MAX_MINUTES} minutes; take fewer bars")
    tempo = TempoMap.from_marks(((0, round(US_PER_MINUTE / item.bpm)),))
    counting = _CountingSynth(synth, tempo, item, len(parts), progress)
    # levels are gains here, for the notes were not played with them
    programs = {
        role: [(tick, midi.with_channel(data, CHANNELS.get(role, 0))) for tick, data in messages]
        for role, messages in _choose_programs(mix, parts).items()
    }
    wav.write(target, parts, tempo, counting, controls=programs, settings=mix)


def _choose_programs(mix: Settings, roles: Mapping[str, Line]) -> dict[str, list[tuple[int, bytes]]]:
    """Return, by role, the messages at tick 0 that choose its instrument, General MIDI's usual ones for the band."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    for role in roles:
        messages = list_program_changes(mix, [role])
        channel = SOUND_CHANNELS[role]
        if not messages and channel in PROGRAMS:
            messages = [midi.program_change(channel, PROGRAMS[channel])]
        found[role] = [(0, data) for data in messages]
    return found


def name_file(item: Item, suffix: str, source: str = "") -> str:
    """Return a sensible name for the file of an item: small letters, digits and dashes.

    source: the name of the input that it was made of.
    """
    words = "".join(c if c.isalnum() else " " for c in f"{source} {item.name}".lower()).split()
    return f"{'-'.join(words)[:80].strip('-') or item.id}{suffix}"


class _CountingSynth:
    """A synthesiser that reports how much of an item has been rendered."""

    def __init__(
        self, synth: Synth, tempo: TempoMap, item: Item, roles: int, progress: Callable[[float], None]
    ) -> None:
        seconds = tempo.ns_at(item.ticks) / NS_PER_S + 2 * wav.FADE_S
        self._total, self._done = max(1.0, seconds * RATE * roles), 0
        self._synth, self._progress = synth, progress
        self.name, self.velocity_exponent = synth.name, synth.velocity_exponent

    def play(self, data: bytes) -> None:
        """Take one MIDI message."""
        self._synth.play(data)

    def render(self, frames: int) -> Samples:
        """Return the next samples, and report."""
        self._done += frames
        self._progress(min(1.0, self._done / self._total))
        return self._synth.render(frames)

    def set_gain(self, channel: int, gain: float) -> None:
        """Multiply what a channel plays by a factor."""
        self._synth.set_gain(channel, gain)

    def silence(self) -> None:
        """End everything that sounds."""
        self._synth.silence()
