"""Edits as system exclusive messages, which a DAW can record."""

from __future__ import annotations

from dataclasses import dataclass, field

from music import midi
from music.edits.draft import Draft, EditError
from music.edits.edit import ADD, REMOVE, Action, Edit

#: non-commercial id, then `hb`, then the version of this layout
_HEADER = bytes((midi.SYSEX, 0x7D, 0x68, 0x62, 0x01))
#: the largest number in two bytes of seven bits
_MAX_TWO_BYTES = 16383


@dataclass(frozen=True, slots=True)
class EditMessage:
    """An edit as a message has it."""

    action: Action
    bar: int  #: from 1
    step: int  #: in the bar, from 0
    pitch: int
    length: int  #: steps
    velocity: int
    log_probability: float = field(compare=False, default=0.0)  #: nats


def encode_sysex(edit: Edit, draft: Draft) -> bytes:
    """Return the message for an edit of a draft.

    `F0 7D 68 62 01`, then action (0 add, 1 remove), bar (from 1), step in the bar (from 0), pitch, length in steps as
    two bytes (high 7 bits first), velocity, minus the log-probability in hundredths of a nat as two bytes likewise,
    then `F7`. Bars beyond 127 and lengths and probabilities beyond 16383 are told as those.
    """
    bar, step = draft.locate(edit.step)
    length = min(edit.length, _MAX_TWO_BYTES)
    nats = min(_MAX_TWO_BYTES, max(0, round(-100 * edit.log_probability)))
    data = (edit.action == REMOVE, min(bar, 127), min(step, 127), edit.pitch, length >> 7, length & 127)
    return _HEADER + bytes((*data, edit.velocity, nats >> 7, nats & 127, midi.SYSEX_END))


def decode_sysex(data: bytes) -> EditMessage:
    """Return the edit in a message. Raises EditError for a message of another kind."""
    if len(data) != len(_HEADER) + 10 or data[:5] != _HEADER or data[-1] != midi.SYSEX_END or data[5] > 1:
        raise EditError("not a message of an edit")
    _, bar, step, pitch, high, low, velocity, nats_high, nats_low = data[5:-1]
    action: Action = REMOVE if data[5] else ADD
    return EditMessage(action, bar, step, pitch, high << 7 | low, velocity, -(nats_high << 7 | nats_low) / 100)
