"""Facts from the band turned into the events that clients of the control socket are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daemon.core import wire
from music import midi
from music.chords import name_usual
from music.note import CHANNELS

Json = dict[str, Any]

_ROLE_OF_CHANNEL = {channel: role for role, channel in CHANNELS.items()}
_EDIT_FIELDS = ("iteration", "action", "pitch", "length", "velocity", "log_probability")


def make_note_event(data: bytes, tick: int | None, due: int) -> Json:
    """Return the event for a note-on or note-off (3 bytes) that the band sends at `due` ns."""
    role = _ROLE_OF_CHANNEL.get(midi.channel_of(data))
    return {"event": "note", "role": role, **_describe_note(data), "tick": tick, "due": due}


def make_heard_event(data: bytes, tick: int | None, at: int) -> Json:
    """Return the event for a note-on or note-off (3 bytes) that the player sent at `at` ns."""
    return {"event": "heard", **_describe_note(data), "channel": midi.channel_of(data) + 1, "tick": tick, "at": at}


def make_plan_event(packed: object) -> Json:
    """Return the event for a plan, as `daemon.core.wire.pack_plan` packs it."""
    plan = wire.unpack_plan(packed)
    notes = {role: [[n.start, n.pitch, n.length, n.velocity] for n in line] for role, line in plan.notes.items()}
    return {
        "event": "plan", "number": plan.number, "first": plan.first, "last": plan.last, "heard": plan.heard,
        "ms": round(plan.inference_ns / 1e6, 3), "notes": notes,
        "chords": [[chord.tick, name_usual(chord.root, chord.quality)] for chord in plan.chords],
    }  # fmt: skip


def make_edit_event(
    serial: int, at: int, tick: int, bar: int, step: int, undone: bool, fields: Sequence[object]
) -> Json:
    """Return the event for an edit of the loop; `fields` are those of the edit itself, in the order of the protocol."""
    edit = dict(zip(_EDIT_FIELDS, fields, strict=True))
    return {
        "event": "edit", "serial": serial, **edit, "bar": bar, "step": step, "undone": undone, "tick": tick, "at": at,
    }  # fmt: skip


def make_tempo_event(us_per_beat: int, playing: bool, tick: int | None, at: int | None) -> Json:
    """Return the event that says how fast the band is, and that it was at `tick` at `at` ns; None before bar 1 lies."""
    return {"event": "tempo", "bpm": round(60e6 / us_per_beat, 3), "playing": playing, "tick": tick, "at": at}


def _describe_note(data: bytes) -> Json:
    return {"on": midi.is_note_on(data), "pitch": data[1], "velocity": data[2]}
