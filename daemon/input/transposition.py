"""Transposition of what is played: the player's key against the band's."""

from __future__ import annotations

from daemon.core.events import MidiIn
from music import midi
from music.note import PITCHES, fit_pitch

_Key = tuple[int, int, int]  # port, channel, pitch


class Transposition:
    """Moves notes by semitones; each ends where it began, however the transposition is changed meanwhile."""

    def __init__(self) -> None:
        #: by how many semitones notes are moved up that begin from now on
        self.semitones = 0
        self._moved: dict[_Key, int] = {}  # key that is down -> by how much it was moved

    def apply(self, event: MidiIn) -> MidiIn:
        """Return a message as the band hears it. A note that would lie outside of MIDI's is moved back by octaves."""
        if not (self.semitones or self._moved):  # as nearly always
            return event
        data = event.data
        if len(data) != 3 or not midi.is_note(data) or data[1] >= PITCHES:
            return event
        key = (event.port, midi.channel_of(data), data[1])
        if midi.is_note_on(data):
            moved = fit_pitch(data[1] + self.semitones) - data[1]
            self._moved.pop(key, None)
            if moved:
                self._moved[key] = moved
        else:
            moved = self._moved.pop(key, 0)
        return MidiIn(event.at, bytes((data[0], data[1] + moved, data[2])), event.port) if moved else event
