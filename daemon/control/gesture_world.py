"""A World in which MIDI gestures arrive as control changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from daemon.control.gestures import Gestures
from daemon.core.controls import sort_changes
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture, MidiIn, Ping, RebindGestures
from daemon.core.tempo import NS_PER_S
from daemon.core.world import World
from daemon.input.melody_channels import MelodyChannels
from music import midi

#: a sustain pedal that is held down for so long, while nobody plays, is meant as a gesture
LONG_PRESS_NS = NS_PER_S


class PedalPress:
    """A press of the sustain pedal while a gesture is waited for: one that is meant as such, or for the music.

    It is meant as a gesture when the pedal goes up again, or has long been down, and no key was struck meanwhile.
    """

    def __init__(self) -> None:
        self._press: MidiIn | None = None

    @property
    def deadline(self) -> int | None:
        """When (ns) a press will have been long; None while there is none."""
        return None if self._press is None else self._press.at + LONG_PRESS_NS

    def hear(self, event: MidiIn) -> bytes | None:
        """Take a message; return that of the press that it shows to be a gesture, None for none."""
        if midi.is_note_on(event.data):
            self._press = None
        elif midi.is_pedal(event.data):
            is_down = midi.is_pedal_down(event.data)
            if is_down and self._press is None:
                self._press = event
            elif not is_down and self._press is not None and self._press.data[0] == event.data[0]:
                return self.end().data
        return None

    def end(self) -> MidiIn:
        """Forget the press, and return it."""
        assert self._press is not None
        press, self._press = self._press, None
        return press


class GestureWorld:
    """Hands on a control change where MIDI was a gesture, and the changes of a preset where a preset was asked for."""

    def __init__(
        self,
        world: World,
        gestures: Gestures,
        presets: Mapping[str, Sequence[tuple[str, object]]] | None = None,
        tell_learned: Callable[[str, str], None] = lambda _gesture, _target: None,
        channel: int | None = None,
    ) -> None:
        """Hear what `world` hears; `presets` are name -> (key, value) pairs; channel: as `MelodyChannels` takes it.

        `tell_learned` is called on the waiting thread with (gesture, target) when one was learned and with
        (gesture, "") when one was forgotten; it must be quick.
        """
        self._world, self._gestures, self._presets = world, gestures, presets or {}
        self._song_presets: Mapping[str, Sequence[tuple[str, object]]] = {}
        self._tell_learned = tell_learned
        self._channels = MelodyChannels(channel)
        self._learning: str | None = None  # the target that waits for a gesture
        self._pedal = PedalPress()  # of the sustain pedal, while one waits
        self._ready: deque[Event] = deque()

    def now(self) -> int:
        """Return the world's time, ns."""
        return self._world.now()

    def use_song(self, presets: Mapping[str, Sequence[tuple[str, object]]], songs: Sequence[str]) -> None:
        """Let the presets of a song go before the configuration's; songs: those that a gesture chooses from."""
        self._song_presets = presets
        self._gestures.change_choices("preset", tuple(presets) or tuple(self._presets))
        self._gestures.change_choices("song", songs)

    def wait(self, until: int | None) -> Event | None:
        """Wait for the next event, at the latest until `until` (ns); None when nothing came."""
        while not self._ready:
            long = self._pedal.deadline
            event = self._world.wait(until if long is None else long if until is None else min(until, long))
            if event is None and long is not None and self.now() >= long:
                self._learn_held_pedal()
                continue
            match event:
                case MidiIn():
                    self._ready.extend(self._read(event))
                case ControlChange():
                    self._ready.extend(self._expand(event))
                case LearnGesture():
                    self._learning, self._pedal = event.target or None, PedalPress()
                    _report(event.done)
                case ForgetGesture():
                    gesture = self._gestures.forget(event.target)
                    if gesture is not None:
                        self._tell_learned(str(gesture), "")
                    _report(event.done)
                case Ping():
                    _report(event.done)
                case RebindGestures():
                    self._presets = event.presets
                    self._gestures.rebind(event.bindings)
                case _:
                    return event
        return self._ready.popleft()

    def _read(self, event: MidiIn) -> list[Event]:
        """Return the control changes that a MIDI message makes, or itself where it is no gesture."""
        if self._channels.hear(event.data, event.port):  # it sets up an MPE zone
            return [event]
        if self._learning is not None and not midi.is_pedal(event.data):
            self._pedal.hear(event)
            self._learn(event.data)
        elif self._learning is not None:
            is_bound, press = self._gestures.is_bound(event.data), self._pedal.hear(event)
            if press is not None:
                self._learn(press)
            return [] if is_bound else [event]  # the melody hears what it has heard so far, the pedal's end, too
        is_key = midi.is_note(event.data)
        is_melody = is_key and self._channels.has_been_chosen(midi.channel_of(event.data), event.port)
        turned = self._gestures.read(event.data, is_melody=is_melody)
        if turned is None:
            return [event]
        return [change for key, value in turned for change in self._expand(ControlChange(event.at, key, value))]

    def _learn(self, data: bytes) -> None:
        """Bind the gesture that a message makes to the target that waits for one, if it can be."""
        assert self._learning is not None
        gesture = self._gestures.learn(data, self._learning)
        if gesture is not None:
            self._tell_learned(str(gesture), self._learning)
            self._learning, self._pedal = None, PedalPress()

    def _learn_held_pedal(self) -> None:
        """Bind the sustain pedal, which is held down; for the melody it goes up, for that will not hear of it again."""
        press = self._pedal.end()
        if not self._gestures.is_bound(press.data):
            self._ready.append(MidiIn(self.now(), bytes((*press.data[:2], 0)), press.port))
        self._learn(press.data)

    def _expand(self, change: ControlChange) -> list[Event]:
        """Return the changes of a preset in place of the preset."""
        presets = {**self._presets, **self._song_presets} if change.key == "preset" else {}
        if not isinstance(change.value, str) or change.value not in presets:
            return [change]
        preset = sort_changes(presets[change.value])
        done = None if change.done is None else _report_once(len(preset), change.done)
        return [ControlChange(change.at, key, value, done=done, explain=change.explain) for key, value in preset]


def _report(done: Callable[[bool], None] | None) -> None:
    if done is not None:
        done(True)


def _report_once(count: int, done: Callable[[bool], None]) -> Callable[[bool], None]:
    """Return a function that, called `count` times, calls `done` once: with True if it was always told True."""
    outcomes: list[bool] = []

    def collect(accepted: bool) -> None:
        outcomes.append(accepted)
        if len(outcomes) == count:
            done(all(outcomes))

    if not count:
        done(True)
    return collect
