"""MIDI gestures: a knob, a pad, a key or a program change turns a control, and is then no melody.

A gesture is written as in the configuration: `cc 80`, `cc 80 channel 2`, `note 38 channel 16`, `program 5`, `program`,
with channels from 1 to 16; one without a channel is heard on all. Its target is a control's key, or `key=value`:

- a trigger (fill, ...) happens when a controller comes to 64 or more, or when a key goes down;
- a number follows the controller over its whole range; a switch is on from 64 on; a choice (style, ...) divides the
  controller's range evenly among all there are, while a program change counts them from 0 (1 where a device counts
  from 1);
- a key turns a switch over. With `key=value` the value is set, as a trigger happens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.core import controls
from daemon.core.controls import CONTROLS
from daemon.core.schema import shorten
from daemon.core.value_types import TOGGLE, Choice, Integer, KnownName, Number, Switch, Trigger, ValueType, is_line
from music import midi
from music.errors import UserError

#: gesture -> target, unless the configuration says otherwise: controllers that MIDI leaves free, and channel 16
DEFAULT_GESTURES: dict[str, str] = {
    "cc 16": "intensity",
    "cc 17": "density",
    "cc 18": "temperature",
    "cc 19": "swing",
    "cc 80": "fill",
    "cc 81": "variation",
    "cc 82": "ending",
    "cc 83": "tap",
    "cc 85": "undo",
    "cc 86": "vamp",
    "cc 87": "intro",
    "cc 89": "start_stop",
    "cc 102": "start",
    "cc 103": "stop",
    "cc 104": "panic",
    "cc 105": "mute.bass",
    "cc 106": "mute.chords",
    "cc 107": "mute.pad",
    "cc 108": "mute.drums",
    "cc 109": "level.bass",
    "cc 110": "level.chords",
    "cc 111": "level.pad",
    "cc 112": "level.drums",
    "cc 117": "previous_song",
    "cc 118": "next_song",
    "cc 119": "song",
    "cc 113": "style",
    "cc 114": "technique",
    "cc 115": "humanise",
    "note 36 channel 16": "start",
    "note 37 channel 16": "stop",
    "note 38 channel 16": "fill",
    "note 39 channel 16": "variation",
    "note 40 channel 16": "ending",
    "note 41 channel 16": "tap",
    "note 42 channel 16": "panic",
    "note 43 channel 16": "mute.bass",
    "note 44 channel 16": "mute.chords",
    "note 45 channel 16": "mute.pad",
    "note 46 channel 16": "mute.drums",
    "note 47 channel 16": "undo",
    "note 48 channel 16": "vamp",
    "note 49 channel 16": "intro",
    "note 50 channel 16": "start_stop",
    "note 51 channel 16": "previous_song",
    "note 52 channel 16": "next_song",
    "program channel 16": "style",
}

#: keys of the server's commands that do not reach the conductor
LEARN, FORGET, PING = "learn", "forget", "ping"

CC, NOTE, PROGRAM = "cc", "note", "program"
#: controllers that cannot be learned: those that choose a parameter, and the channel modes
_NEVER_LEARNED = frozenset((*midi.PARAMETER_CONTROLLERS - {midi.DATA_ENTRY}, *range(midi.ALL_SOUND_OFF, 128)))
_SYNTAX = re.compile(r"(cc|note|program)(?: +(\d{1,4}))?(?: +channel +(\d{1,4}))?")
_KINDS = {midi.CONTROL_CHANGE: CC, midi.NOTE_ON: NOTE, midi.NOTE_OFF: NOTE, midi.PROGRAM_CHANGE: PROGRAM}


class GestureError(UserError):
    """Raised for a text that is no gesture, or for a target that it cannot have; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Gesture:
    """A MIDI message that turns a control, whatever its value."""

    kind: str  #: `CC`, `NOTE` or `PROGRAM`
    number: int | None  #: 0..127; None for any program
    channel: int | None = None  #: 0..15; None for any

    def __str__(self) -> str:
        number = "" if self.number is None else f" {self.number}"
        return f"{self.kind}{number}" + ("" if self.channel is None else f" channel {self.channel + 1}")


def parse_gesture(text: str) -> Gesture:
    """Return the gesture that a text describes. Raises GestureError."""
    found = _SYNTAX.fullmatch(text.strip().lower())
    if found is None:
        raise GestureError("takes a gesture such as 'cc 80', 'note 38 channel 16' or 'program 5'")
    kind, number, channel = found[1], found[2], found[3]
    if number is None and kind != PROGRAM:
        raise GestureError(f"which {kind}? One from 0 to 127, such as '{kind} 80'")
    if number is not None and int(number) > 127:
        raise GestureError(f"there is no {kind} {number}, only 0 to 127")
    if channel is not None and not 1 <= int(channel) <= 16:
        raise GestureError(f"there is no channel {channel}, only 1 to 16")
    return Gesture(kind, None if number is None else int(number), None if channel is None else int(channel) - 1)


@dataclass(frozen=True, slots=True)
class Target:
    """The control that a gesture turns."""

    key: str
    #: the value that it sets; None where the gesture itself says how far it turns
    value: object = None

    @property
    def type(self) -> ValueType:
        """The type of the control's values."""
        return CONTROLS[self.key].type


def parse_target(text: str, gesture: Gesture) -> Target:
    """Return the target that a text describes, for a gesture that is to have it. Raises GestureError, SettingError."""
    if not is_line(text):
        raise GestureError(f"takes a control's name, or 'key=value', of one short line, not {shorten(text)}")
    key, separator, value = (part.strip() for part in text.partition("="))
    if separator:
        return Target(key, controls.parse(key, value))
    if key not in CONTROLS:
        controls.parse(key, None)  # raises the error that names it
    if not _gives_value(gesture, CONTROLS[key].type):
        raise GestureError(f"{key} takes {CONTROLS[key].range}: say which, as in '{key}=...'")
    return Target(key)


def _gives_value(gesture: Gesture, values: ValueType) -> bool:
    """Return whether a gesture says by itself which value it sets."""
    match values:
        case Trigger() | Switch():
            return True
        case Number() | Integer():
            return gesture.kind == CC
        case KnownName() | Choice():
            return gesture.kind == CC or (gesture.kind == PROGRAM and gesture.number is None)
        case _:
            return False


def check_binding(gesture: str, target: object) -> None:
    """Check one line of a table of gestures. Raises GestureError and SettingError where it makes no sense."""
    if not isinstance(target, str):
        raise GestureError(f"takes a control's name, or 'key=value', not {shorten(target)}")
    parsed = parse_gesture(gesture)
    if target.strip():
        parse_target(target, parsed)


class Gestures:
    """Knows which gesture has which target, and what a MIDI message turns. Knows nothing of time."""

    def __init__(self, bindings: Mapping[str, str], choices: Mapping[str, Sequence[str]]) -> None:
        """Bind gestures to targets; an empty target unbinds. `choices`: the names there are of a domain, such as style.

        Raises GestureError and SettingError for bindings that make no sense.
        """
        self._choices = choices
        self._targets: dict[Gesture, Target] = {}
        self._last_values: dict[Gesture, int] = {}  # of controllers
        self._learned: dict[str, Gesture] = {}  # target as written -> gesture
        self._covered: dict[Gesture, Target] = {}  # what gestures did before they learned something else
        for gesture, target in bindings.items():
            self.bind(gesture, target)

    def bind(self, gesture: str, target: str) -> None:
        """Bind a gesture to a target, or to none where it is empty. Raises GestureError and SettingError."""
        parsed = parse_gesture(gesture)
        if target.strip():
            self._targets[parsed] = parse_target(target, parsed)
        else:
            self._targets.pop(parsed, None)

    def change_choices(self, domain: str, names: Sequence[str]) -> None:
        """Let others be the names there are of a domain, such as songs or presets."""
        self._choices = {**self._choices, domain: names}

    def rebind(self, bindings: Mapping[str, str]) -> None:
        """Replace all bindings; what was learned stays. Raises GestureError and SettingError."""
        learned = {str(gesture): target for target, gesture in self._learned.items()}
        self._targets, self._learned, self._covered = {}, {}, {}
        for gesture, target in bindings.items():
            self.bind(gesture, target)
        self.restore_learned(learned)

    def read(self, data: bytes, *, is_melody: bool = False) -> list[tuple[str, object]] | None:
        """Return what a MIDI message turns, as (key, value): none where it only ends a gesture.

        Returns None when the message is no gesture. is_melody: its channel is one of melody for certain, where keys are
        no gestures unless the player has bound them himself.
        """
        found = _read_gesture(data)
        if found is None:
            return None
        gesture, value = found
        target = self._find(gesture)
        if target is None or (is_melody and gesture.kind == NOTE and self._is_usual(gesture, target)):
            return None
        before = self._last_values.get(gesture, 0)
        self._last_values[gesture] = value
        turned = self._value_for(target, gesture, value, before)
        return [] if turned is None else [(target.key, turned)]

    def is_bound(self, data: bytes) -> bool:
        """Return whether a MIDI message is a gesture that has a target."""
        found = _read_gesture(data)
        return found is not None and self._find(found[0]) is not None

    def learn(self, data: bytes, target: str) -> Gesture | None:
        """Bind the gesture that a MIDI message makes to a target, whose earlier learned gesture is forgotten.

        Returns None when the message is no gesture for this target, and another has to be waited for.
        """
        found = _read_gesture(data)
        if found is None or not found[1]:
            return None
        gesture, _ = found
        if gesture.kind == CC and gesture.number in _NEVER_LEARNED:
            return None
        if gesture.kind == PROGRAM and target in CONTROLS and isinstance(CONTROLS[target].type, KnownName | Choice):
            gesture = Gesture(PROGRAM, None, gesture.channel)
        try:
            parsed = parse_target(target, gesture)
        except GestureError:  # a key for a number: it is melody, the knob is still to come
            return None
        self.forget(target)
        self._cover(gesture, parsed, target)
        return gesture

    def forget(self, target: str) -> Gesture | None:
        """Unbind the learned gesture of a target, and return it; None where it had none."""
        gesture = self._learned.pop(target, None)
        if gesture is not None:
            del self._targets[gesture]
            if gesture in self._covered:
                self._targets[gesture] = self._covered.pop(gesture)
        return gesture

    def restore_learned(self, learned: Mapping[str, str]) -> None:
        """Bind gestures that were learned earlier (gesture -> target). Raises GestureError and SettingError."""
        for text, target in learned.items():
            gesture = parse_gesture(text)
            self._cover(gesture, parse_target(target, gesture), target)

    def _cover(self, gesture: Gesture, target: Target, text: str) -> None:
        for other in [known for known, bound in self._learned.items() if bound == gesture]:
            self.forget(other)
        if gesture in self._targets:
            self._covered[gesture] = self._targets[gesture]
        self._learned[text] = gesture
        self._targets[gesture] = target

    def _is_usual(self, gesture: Gesture, target: Target) -> bool:
        """Return True if a gesture has its target from the start, and not because somebody bound it so."""
        usual = DEFAULT_GESTURES.get(str(gesture))
        return usual == target.key and target.value is None and gesture not in self._learned.values()

    def _find(self, gesture: Gesture) -> Target | None:
        """Return the target of the nearest description of a gesture."""
        kind, number, channel = gesture.kind, gesture.number, gesture.channel
        for known in (gesture, Gesture(kind, number), Gesture(kind, None, channel), Gesture(kind, None)):
            if known in self._targets:
                return self._targets[known]
        return None

    def _value_for(self, target: Target, gesture: Gesture, value: int, before: int) -> object:
        """Return the value that a gesture gives its target, None for none."""
        if gesture.kind == PROGRAM:
            value, pressed = gesture.number or 0, True
        else:  # some pads send 127 every time and never 0
            pressed = value > 0 if gesture.kind == NOTE else value >= 64 and (before < 64 or value == before)
        if target.value is not None or isinstance(target.type, Trigger):
            return (True if target.value is None else target.value) if pressed else None
        match target.type:
            case Switch():
                if gesture.kind == CC:
                    return value >= 64
                return TOGGLE if pressed else None
            case KnownName(domain=domain):
                return _choose(self._choices.get(domain, ()), gesture, value)
            case Choice(choices=choices):
                return _choose(choices, gesture, value)
            case Number(low=low, high=high):
                return round(low + (high - low) * value / 127, 4)
            case Integer(low=int(low), high=int(high)):
                return round(low + (high - low) * value / 127)
            case _:
                return value


def _choose(choices: Sequence[str], gesture: Gesture, value: int) -> str | None:
    """Return the one of some words that a controller's value or a program stands for."""
    place = value if gesture.kind == PROGRAM else value * len(choices) // 128
    return choices[place] if place < len(choices) else None


def _read_gesture(data: bytes) -> tuple[Gesture, int] | None:
    """Return a channel message as a gesture and its value: 0 for a note that ends, 127 for a program change."""
    status = midi.kind_of(data) if data else 0
    kind = _KINDS.get(status)
    if kind is None or len(data) != (2 if kind == PROGRAM else 3) or max(data[1:]) > 127:
        return None
    gesture = Gesture(kind, data[1], midi.channel_of(data))
    if kind == PROGRAM:
        return gesture, 127
    return gesture, 0 if status == midi.NOTE_OFF else data[2]
