"""Notes that clients of the control socket play to the band: what they may say, and the keys that they hold down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from daemon.core.events import Event, MidiIn
from daemon.core.schema import shorten
from daemon.input.sources import HeldKeys
from music import midi
from music.errors import UserError

#: the most notes of one request; at 200 requests a second from all clients the band spends a tenth of its time on them
#: at the worst (27 us a note)
MAX_NOTES = 16
#: the first of the ports that clients play on: one for each, none of which is a MIDI port's
FIRST_PORT = 1 << 20
_VELOCITY = 80

#: a MIDI message, as three numbers
Message = tuple[int, int, int]


class ClientNoteError(UserError):
    """Raised for a note that cannot be played; the message is a sentence."""


def read_notes(request: Mapping[str, Any]) -> list[Message]:
    """Return the messages that a request to play stands for: its `notes`, or the one note that it is itself.

    Raises ClientNoteError.
    """
    notes = request.get("notes", [request])
    if not isinstance(notes, list) or not 1 <= len(notes) <= MAX_NOTES:
        raise ClientNoteError(f"notes: takes a list of 1 to {MAX_NOTES} notes")
    return [_read_note(note) for note in notes]


def _read_note(note: object) -> Message:
    if not isinstance(note, dict):
        raise ClientNoteError(f"a note is an object with pitch, on, velocity and channel, not {shorten(note)}")
    is_on = note.get("on", True)
    if not isinstance(is_on, bool):
        raise ClientNoteError(f"on: takes true or false, not {shorten(is_on)}")
    pitch = _read_number(note, "pitch", 0, 127, None)
    velocity = _read_number(note, "velocity", 0, 127, _VELOCITY)
    channel = _read_number(note, "channel", 1, midi.CHANNEL_COUNT, 1) - 1
    status, first, second = midi.note_on(channel, pitch, velocity) if is_on else midi.note_off(channel, pitch)
    return status, first, second


def _read_number(note: Mapping[str, Any], name: str, low: int, high: int, usual: int | None) -> int:
    value = note.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ClientNoteError(f"{name}: takes a whole number from {low} to {high}, not {shorten(value)}")
    return value


class ClientKeys:
    """Hands on what clients play as MIDI that comes in, each client on a port of its own. Owned by one thread."""

    def __init__(self, put: Callable[[Event], None], now: Callable[[], int]) -> None:
        """put, now: the inbox and the clock (ns) of the band."""
        self._put, self._now = put, now
        self._held = HeldKeys()

    def play(self, client: int, messages: Sequence[Message]) -> None:
        """Let a client, by number, play notes and end them."""
        port, at = FIRST_PORT + client, self._now()
        for message in messages:
            data = bytes(message)
            self._held.hear(data, port)
            self._put(MidiIn(at, data, port))

    def release(self, client: int | None = None) -> None:
        """End what a client has not ended, who has gone; None: all of them have."""
        at = self._now()
        for port in self._held.ports if client is None else [FIRST_PORT + client]:
            for data in self._held.release(port):
                self._put(MidiIn(at, data, port))
