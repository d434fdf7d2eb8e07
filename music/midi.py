"""The bytes of MIDI 1.0: messages made and read, and note-ons paired with the note-offs that end them.

Channels are 0..15 (a musician's 1..16), pitches, velocities, controller numbers and values 0..127. Messages are `bytes`
whose first one is the status; what reads them takes any sequence of integers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

# Statuses of channel messages; the channel is added to them.
NOTE_OFF = 0x80
NOTE_ON = 0x90
CONTROL_CHANGE = 0xB0
PROGRAM_CHANGE = 0xC0
CHANNEL_PRESSURE = 0xD0
PITCH_BEND = 0xE0
#: a status with these bits only is NOTE_OFF if it begins or ends a note: the two differ in one bit
_NOTE_BITS = 0xE0

# Statuses of system messages, which belong to no channel; SYSEX is the lowest.
SYSEX = 0xF0
SONG_POSITION = 0xF2
SYSEX_END = 0xF7
CLOCK = 0xF8
START = 0xFA
CONTINUE = 0xFB
STOP = 0xFC
ACTIVE_SENSING = 0xFE
SYSTEM_RESET = 0xFF

# Controller numbers.
BANK_HIGH, BANK_LOW = 0, 32
DATA_ENTRY = 6
VOLUME = 7
PEDAL = 64
OTHER_PARAMETER_LOW, OTHER_PARAMETER_HIGH = 98, 99  # of parameters that are not registered
REGISTERED_PARAMETER_LOW, REGISTERED_PARAMETER_HIGH = 100, 101
ALL_SOUND_OFF = 120
RESET_CONTROLLERS = 121
ALL_NOTES_OFF = 123
#: those that choose a parameter and set it
PARAMETER_CONTROLLERS = frozenset(
    (DATA_ENTRY, OTHER_PARAMETER_LOW, OTHER_PARAMETER_HIGH, REGISTERED_PARAMETER_LOW, REGISTERED_PARAMETER_HIGH)
)

#: those that may release keys, hold them, or say on which channels they are
KEY_CONTROLLERS = PARAMETER_CONTROLLERS | {PEDAL, ALL_SOUND_OFF, RESET_CONTROLLERS, *range(ALL_NOTES_OFF, 128)}

CHANNEL_COUNT, PITCH_COUNT = 16, 128
#: General MIDI's channel 10
DRUM_CHANNEL = 9

#: what a note-off ends: channel, pitch
Key = tuple[int, int]

#: bytes of a table that has one for each key of each channel, and what it says of a key that was begun
KEY_COUNT, KEY_SOUNDS, KEY_ENDED = CHANNEL_COUNT * PITCH_COUNT, 2, 1

#: bytes of a message by its status; 0: a data byte, or a status that means nothing; SysEx may be of any length
_LENGTHS = (*[0] * 0x80, *[3] * 0x40, *[2] * 0x20, *[3] * 0x10, 0, 2, 3, 2, 0, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1)


def note_on(channel: int, pitch: int, velocity: int) -> bytes:
    """Return the message that begins a note; velocity: 1..127, for 0 would end it."""
    return bytes((NOTE_ON | channel, pitch, velocity))


def note_off(channel: int, pitch: int) -> bytes:
    """Return the message that ends a note."""
    return bytes((NOTE_OFF | channel, pitch, 0))


def control_change(channel: int, number: int, value: int) -> bytes:
    """Return the message that moves a controller."""
    return bytes((CONTROL_CHANGE | channel, number, value))


def program_change(channel: int, program: int) -> bytes:
    """Return the message that chooses an instrument, 0..127."""
    return bytes((PROGRAM_CHANGE | channel, program))


def all_notes_off(channel: int) -> bytes:
    """Return the message that ends every note of a channel."""
    return control_change(channel, ALL_NOTES_OFF, 0)


def is_pedal(data: Sequence[int]) -> bool:
    """Tell whether a message moves the sustain pedal."""
    return len(data) == 3 and data[0] & 0xF0 == CONTROL_CHANGE and data[1] == PEDAL


def is_pedal_down(data: Sequence[int]) -> bool:
    """Tell whether the value of a message that moves the pedal means that it is down."""
    return data[2] >= 64


def is_performed(data: Sequence[int]) -> bool:
    """Tell whether a message is part of what is played: of a channel, and none that ends all notes or resets it."""
    return (
        2 <= len(data) <= 3 and data[0] < SYSEX and not (kind_of(data) == CONTROL_CHANGE and data[1] >= ALL_SOUND_OFF)
    )


def chooses_program(data: Sequence[int]) -> bool:
    """Tell whether a message chooses an instrument, or the bank that it is in."""
    if len(data) == 2:
        return data[0] & 0xF0 == PROGRAM_CHANGE
    return len(data) == 3 and data[0] & 0xF0 == CONTROL_CHANGE and data[1] in (BANK_HIGH, BANK_LOW)


def with_channel(data: Sequence[int], channel: int) -> bytes:
    """Return a channel message moved to another channel."""
    return bytes((kind_of(data) | channel, *data[1:]))


def kind_of(data: Sequence[int]) -> int:
    """Return a channel message's status without its channel, such as NOTE_ON."""
    return data[0] & 0xF0


def channel_of(data: Sequence[int]) -> int:
    """Return a channel message's channel."""
    return data[0] & 0x0F


def key_of(data: Sequence[int]) -> Key:
    """Return the channel and the pitch of a note-on or a note-off."""
    return data[0] & 0x0F, data[1]


def find_place(data: Sequence[int]) -> int:
    """Return where a table of keys has the key of a note-on or a note-off."""
    return (data[0] & 0x0F) * PITCH_COUNT + data[1]


def list_note_offs(table: bytes) -> list[bytes]:
    """Return the note-offs of all keys that were begun by a table of keys; first of those that sound."""
    return [
        note_off(*divmod(place, PITCH_COUNT))
        for wanted in (KEY_SOUNDS, KEY_ENDED)
        for place, state in enumerate(table)
        if state == wanted
    ]


def is_valid_message(data: bytes) -> bool:
    """Tell whether bytes are one whole message as the standard has it, with data bytes up to 127; SysEx ends with F7.

    What comes in is asked about once, where it enters; the rest of the program relies on it.
    """
    if not data:
        return False
    if data[0] == SYSEX:
        return len(data) > 1 and data[-1] == SYSEX_END and data[1:-1].isascii()
    return len(data) == _LENGTHS[data[0]] and data[1:].isascii()


def split_messages(data: bytes) -> Iterator[bytes]:
    """Yield the whole messages in bytes that are not one: a SysEx that nobody ended is run into by those after it.

    As the standard has it, any status but those of real-time messages, which may stand anywhere, ends a SysEx. What is
    not whole is left out.
    """
    message = b""
    for byte in data:
        if byte >= CLOCK:
            if is_valid_message(bytes((byte,))):
                yield bytes((byte,))
        elif byte == SYSEX_END:
            if is_valid_message(message + bytes((byte,))):
                yield message + bytes((byte,))
            message = b""
        elif byte & 0x80:
            message = bytes((byte,))
        elif message:
            message += bytes((byte,))
        if is_valid_message(message):
            yield message
            message = b""


def is_system(data: Sequence[int]) -> bool:
    """Tell whether a message belongs to no channel."""
    return len(data) > 0 and data[0] >= SYSEX


def is_note(data: Sequence[int]) -> bool:
    """Tell whether a message begins or ends a note."""
    return len(data) == 3 and data[0] & _NOTE_BITS == NOTE_OFF


def is_note_on(data: Sequence[int]) -> bool:
    """Tell whether a message begins a note; a note-on of velocity 0 ends one."""
    return len(data) == 3 and data[0] & 0xF0 == NOTE_ON and data[2] > 0


def is_note_off(data: Sequence[int]) -> bool:
    """Tell whether a message ends a note."""
    return is_note(data) and not is_note_on(data)


def concerns_keys(data: Sequence[int]) -> bool:
    """Tell whether a channel message may move keys or pedals; a knob, a wheel or the pressure on a key does not."""
    if len(data) != 3:
        return False
    status = data[0]
    return status & _NOTE_BITS == NOTE_OFF or (status & 0xF0 == CONTROL_CHANGE and data[1] in KEY_CONTROLLERS)


class TimedNote(NamedTuple):
    """A note between a note-on and its note-off, in the unit of time of the messages it was paired from."""

    channel: int
    pitch: int
    velocity: int
    start: int
    end: int


def pair_notes(
    messages: Iterable[tuple[int, Sequence[int]]], end: int | None = None, *, overlap: bool = False
) -> Iterator[TimedNote]:
    """Yield the notes in messages (time, data), sorted by time, in the order in which they end.

    end: when notes end that have no note-off; None leaves them out. overlap: a second note-on of a key that sounds
    begins another note, and a note-off ends the oldest, as in files; without it the second note-on ends the first, as
    on a keyboard whose note-off was lost. Messages that begin or end no note are ignored.
    """
    sounding: dict[Key, deque[tuple[int, int]]] = {}  # key -> (start, velocity), the oldest first
    for at, data in messages:
        if not is_note(data):
            continue
        key, begins = key_of(data), is_note_on(data)
        begun = sounding.get(key)
        if begun and not (begins and overlap):
            start, velocity = begun.popleft()
            yield TimedNote(*key, velocity, start, at)
        if begins:
            sounding.setdefault(key, deque()).append((at, data[2]))
    for key, begun in sounding.items() if end is not None else ():
        for start, velocity in begun:
            assert end is not None
            yield TimedNote(*key, velocity, start, end)
