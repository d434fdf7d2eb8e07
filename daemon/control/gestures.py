"""MIDI gestures: a knob, a pad, a key or a program change turns a control. What is a gesture is never melody.

A gesture is written as in the configuration: `cc 80`, `cc 80 channel 2`, `note 38 channel 16`, `program 5`, `program`,
with channels 1 to 16, on any channel where none is said. What it does is a control's key, or `key=value`:

- a trigger (fill, ...) happens when a controller comes to 64 or more, or a key goes down;
- a number follows the controller over its whole range; a switch is on from 64 on; a choice (style, ...) is the range
  divided evenly among all there are, and a program change's number counts them from 0 (devices that count from 1: 1);
- a key turns a switch over. With `key=value` the value is set, as for a trigger.

`Gestures` knows this and nothing of time; `GestureWorld` hands the conductor commands instead of MIDI.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from daemon.core import controls
from daemon.core.controls import CONTROLS, TOGGLE
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture, MidiIn, RebindGestures
from daemon.core.world import World
from music import midi
from music.errors import UserError

#: who leaves all as it is plays with these: controllers that MIDI leaves free, and channel 16
DEFAULTS: dict[str, str] = {
    "cc 16": "intensity",
    "cc 17": "density",
    "cc 18": "temperature",
    "cc 19": "swing",
    "cc 80": "fill",
    "cc 81": "variation",
    "cc 82": "ending",
    "cc 83": "tap",
    "cc 85": "undo",
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
    "program channel 16": "style",
}

#: keys of the server's commands that are for the gestures and not for the conductor
LEARN, FORGET = "learn", "forget"

CC, NOTE, PROGRAM = "cc", "note", "program"
#: pedals and channel modes are not to be learnt
_NEVER_LEARNT = frozenset((midi.PEDAL, *range(midi.ALL_SOUND_OFF, 128)))
_TEXT = re.compile(r"(cc|note|program)(?: +(\d+))?(?: +channel +(\d+))?")
_KINDS = {midi.CONTROL_CHANGE: CC, midi.NOTE_ON: NOTE, midi.NOTE_OFF: NOTE, midi.PROGRAM_CHANGE: PROGRAM}


class GestureError(UserError):
    """A gesture that is none, or that cannot do what it is told."""


@dataclass(frozen=True, slots=True)
class Gesture:
    """kind: cc, note or program; number: None for any program; channel: 0..15, None for any."""

    kind: str
    number: int | None
    channel: int | None = None

    def __str__(self) -> str:
        number = "" if self.number is None else f" {self.number}"
        return f"{self.kind}{number}" + ("" if self.channel is None else f" channel {self.channel + 1}")


def gesture(text: str) -> Gesture:
    """The gesture that is written so. Raises GestureError."""
    found = _TEXT.fullmatch(text.strip().lower())
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
    """What a gesture does. value: set, where the gesture itself says none."""

    key: str
    value: object = None

    @property
    def kind(self) -> str:
        """The control's kind."""
        return CONTROLS[self.key].kind


def target(text: str, made_by: Gesture) -> Target:
    """What is written so, for a gesture of this kind. Raises GestureError and ControlError."""
    key, separator, value = (part.strip() for part in text.partition("="))
    if separator:
        return Target(key, controls.parse(key, value))
    kind = CONTROLS[key].kind if key in CONTROLS else controls.parse(key, None)
    if kind == "spans" or (
        kind in ("number", "integer", "choice")
        and (made_by.kind == NOTE or (made_by.kind == PROGRAM and (kind != "choice" or made_by.number is not None)))
    ):
        raise GestureError(f"{key} takes {CONTROLS[key].range}: say which, as in '{key}=...'")
    return Target(key)


def check_binding(text: str, what: object) -> None:
    """Check one line of a table of gestures. Raises GestureError and ControlError where it makes no sense."""
    if not isinstance(what, str):
        raise GestureError(f"takes a control's name, or 'key=value', not {what!r}")
    made = gesture(text)
    if what.strip():
        target(what, made)


class Gestures:
    """What messages mean. choices: key -> what it can be, for style, technique and preset."""

    def __init__(self, bindings: Mapping[str, str], choices: Mapping[str, Sequence[str]]) -> None:
        """Raises GestureError and ControlError for bindings that make no sense; an empty target is none."""
        self._choices = choices
        self._targets: dict[Gesture, Target] = {}
        self._stood: dict[Gesture, int] = {}  # controllers' last values
        self._learnt: dict[str, Gesture] = {}
        self._covered: dict[Gesture, Target] = {}  # what gestures did before they learnt something else
        for text, what in bindings.items():
            self.bind(text, what)

    def bind(self, text: str, what: str) -> None:
        """From now on this gesture does that; nothing, when `what` is empty. Raises GestureError and ControlError."""
        made = gesture(text)
        if what.strip():
            self._targets[made] = target(what, made)
        else:
            self._targets.pop(made, None)

    def read(self, data: bytes) -> list[tuple[str, object]] | None:
        """What a MIDI message turns, as (key, value) (nothing: it only ends a gesture); None when it is no gesture."""
        heard = _heard(data)
        if heard is None:
            return None
        made, value = heard
        aim = self._aim(made)
        if aim is None:
            return None
        before = self._stood.get(made, 0)
        self._stood[made] = value
        turned = self._turned(aim, made, value, before)
        return [] if turned is None else [(aim.key, turned)]

    def learn(self, data: bytes, what: str) -> Gesture | None:
        """Bind what was just sent to `what` (a target); None when that cannot be and one waits for another message.
        What was learnt for the same target before is forgotten."""
        heard = _heard(data)
        if heard is None or not heard[1]:
            return None
        made, _ = heard
        if made.kind == CC and made.number in _NEVER_LEARNT:
            return None
        if made.kind == PROGRAM and what in CONTROLS and CONTROLS[what].kind == "choice":
            made = Gesture(PROGRAM, None, made.channel)
        try:
            aim = target(what, made)
        except GestureError:  # a key for a number: it is melody, the knob is still to come
            return None
        self.forget(what)
        self._cover(made, aim, what)
        return made

    def forget(self, what: str) -> Gesture | None:
        """Unlearn a target: the gesture it had."""
        made = self._learnt.pop(what, None)
        if made is not None:
            del self._targets[made]
            if made in self._covered:
                self._targets[made] = self._covered.pop(made)
        return made

    def was_learnt(self, learnt: Mapping[str, str]) -> None:
        """Bindings (gesture -> target) learnt before, which can be forgotten. Raises GestureError and ControlError."""
        for text, what in learnt.items():
            made = gesture(text)
            self._cover(made, target(what, made), what)

    def rebind(self, bindings: Mapping[str, str]) -> None:
        """Other bindings than those it was made with; what was learnt stays. Raises GestureError and ControlError."""
        learnt = {str(made): what for what, made in self._learnt.items()}
        self._targets, self._learnt, self._covered = {}, {}, {}
        for text, what in bindings.items():
            self.bind(text, what)
        self.was_learnt(learnt)

    def _cover(self, made: Gesture, aim: Target, what: str) -> None:
        for other in [there for there, known in self._learnt.items() if known == made]:
            self.forget(other)
        if made in self._targets:
            self._covered[made] = self._targets[made]
        self._learnt[what] = made
        self._targets[made] = aim

    def _aim(self, made: Gesture) -> Target | None:
        """What a message is bound to: the nearest description of it counts."""
        kind, number, channel = made.kind, made.number, made.channel
        for known in (made, Gesture(kind, number), Gesture(kind, None, channel), Gesture(kind, None)):
            if known in self._targets:
                return self._targets[known]
        return None

    def _turned(self, aim: Target, made: Gesture, value: int, before: int) -> object:
        """The value that a gesture gives its target, None for none."""
        kind = aim.kind
        if made.kind == PROGRAM:
            value, pressed = made.number or 0, True
        else:  # some pads send 127 every time and never 0
            pressed = value > 0 if made.kind == NOTE else value >= 64 and (before < 64 or value == before)
        if aim.value is not None or kind == "trigger":
            return (True if aim.value is None else aim.value) if pressed else None
        if kind == "switch":
            if made.kind == CC:
                return value >= 64
            return TOGGLE if pressed else None
        if kind == "choice":
            there = self._choices.get(aim.key, ())
            place = value if made.kind == PROGRAM else value * len(there) // 128
            return there[place] if place < len(there) else None
        return _scaled(aim.key, value)


def _heard(data: bytes) -> tuple[Gesture, int] | None:
    """A channel message as a gesture and its value (a note's is 0 when it ends, a program's 127)."""
    kind = _KINDS.get(midi.kind_of(data)) if data else None
    if kind is None or len(data) != (2 if kind == PROGRAM else 3) or max(data[1:]) > 127:
        return None
    made = Gesture(kind, data[1], midi.channel_of(data))
    if kind == PROGRAM:
        return made, 127
    return made, 0 if midi.is_note_off(data) else data[2]


def _scaled(key: str, value: int) -> object:
    """A controller's value over a number's range."""
    control = CONTROLS[key]
    if control.kind == "integer":
        return round(control.low + (control.high - control.low) * value / 127) if control.high else value
    return round(control.low + (control.high - control.low) * value / 127, 4)


class GestureWorld:
    """A World that hands on commands where MIDI was a gesture, and what a preset turns where a preset was wanted.

    presets: name -> [(key, value)]; learnt: called on the waiting thread with (gesture, target) when one has been
    learnt and with (gesture, "") when it has been forgotten; it must be quick.
    """

    def __init__(
        self,
        world: World,
        gestures: Gestures,
        presets: Mapping[str, Sequence[tuple[str, object]]] | None = None,
        learnt: Callable[[str, str], None] = lambda _made, _what: None,
    ) -> None:
        self._world, self._gestures, self._presets, self._learnt = world, gestures, presets or {}, learnt
        self._learning: str | None = None
        self._ready: deque[Event] = deque()

    def now(self) -> int:
        """As the world's."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """As the world's."""
        while not self._ready:
            event = self._world.wait(until)
            match event:
                case MidiIn():
                    self._ready.extend(self._heard(event))
                case ControlChange():
                    self._ready.extend(self._meant(event))
                case LearnGesture():
                    self._learning = event.target or None
                    _report(event.done)
                case ForgetGesture():
                    made = self._gestures.forget(event.target)
                    if made is not None:
                        self._learnt(str(made), "")
                    _report(event.done)
                case RebindGestures():
                    self._presets = event.presets
                    self._gestures.rebind(event.bindings)
                case _:
                    return event
        return self._ready.popleft()

    def _heard(self, event: MidiIn) -> list[Event]:
        if self._learning is not None:
            made = self._gestures.learn(event.data, self._learning)
            if made is not None:
                self._learnt(str(made), self._learning)
                self._learning = None
        turned = self._gestures.read(event.data)
        if turned is None:
            return [event]
        return [c for key, value in turned for c in self._meant(ControlChange(event.at, key, value))]

    def _meant(self, change: ControlChange) -> list[Event]:
        if change.key != "preset" or not isinstance(change.value, str) or change.value not in self._presets:
            return [change]
        preset = self._presets[change.value]
        done = None if change.done is None else _once_all_are(len(preset), change.done)
        return [ControlChange(change.at, key, value, done=done) for key, value in preset]


def _report(done: Callable[[bool], None] | None) -> None:
    if done is not None:
        done(True)


def _once_all_are(count: int, done: Callable[[bool], None]) -> Callable[[bool], None]:
    """Return a function that, called `count` times, calls `done` once: with True if it was always told True."""
    outcomes: list[bool] = []

    def collect(accepted: bool) -> None:
        outcomes.append(accepted)
        if len(outcomes) == count:
            done(all(outcomes))

    if not count:
        done(True)
    return collect
