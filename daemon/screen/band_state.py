"""The band as `houseband top` knows it: everything that came through the control socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from daemon.core.value_types import Metres
from daemon.screen.piano_roll import LANES, RollNote, lane
from music.charts.chord_names import parse_chord_name
from music.charts.metres import read_metres
from music.note import MELODY, TICKS_PER_BEAT, TICKS_PER_STEP, Metre

Json = dict[str, Any]
#: share of the width that lies before the now-line
PAST_SHARE = 0.7
#: time in which a meter falls by half
METER_HALF_LIFE_NS = 250_000_000
_KEPT_TICKS = 64 * TICKS_PER_BEAT  # notes that ended earlier are forgotten
_STEPS_PER_BAR = 16  # the roll's bar lines are those of 4/4


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the song; bars and beats count from 1."""

    bar: int
    beat: int
    beats: int  #: in this bar
    metre: str  #: as in 6/8


@dataclass(slots=True)
class SoundedNote:
    """A note that has begun; times in ticks."""

    pitch: int
    start: int
    end: int | None = None  #: None while it sounds


@dataclass(slots=True)
class BandState:
    """Everything that is known of the band."""

    controls: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, Any] = field(default_factory=dict)
    playing: bool = False
    waiting_for: Sequence[str] = ()  #: as the control socket has it
    chord: Mapping[str, Any] = field(default_factory=dict)  #: as the control socket has it
    song: Mapping[str, Any] = field(default_factory=dict)  #: as the control socket has it, where there are songs
    bar: Mapping[str, Any] = field(default_factory=dict)  #: the event of the bar that has begun last
    clock: str = ""  #: the clock that it follows, as `--clock` has it
    tick: int = 0  #: where it was
    at: int = 0  #: at this time, ns
    us: float = 500_000  #: microseconds per beat
    notes: dict[str, list[SoundedNote]] = field(default_factory=lambda: {role: [] for role in LANES})
    planned: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)  # role -> (tick, pitch, ticks)
    last_onsets: dict[str, tuple[int, int]] = field(default_factory=dict)  # role -> (velocity, ns)

    def begin(self, state: Json, now: int) -> None:
        """Take in the state that the server answers with, at a time (ns)."""
        self.controls, self.counters, self.chord = state["controls"], state["counters"], state.get("chord", {})
        self.song, self.clock = state.get("song") or {}, state.get("clock", "")
        self._tempo(state if state["at"] is not None else {**state, "tick": 0, "at": now})

    def take(self, event: Json, now: int) -> None:
        """Take in an event that came at `now` (ns)."""
        match event.get("event"):
            case "note" if event["role"] in self.notes:
                self._note(event["role"], event, now)
            case "heard":
                self._note(MELODY, event, now)
            case "plan":
                for role, notes in event["notes"].items():
                    self.planned[role] = [(tick, pitch, length) for tick, pitch, length, _ in notes]
            case "tempo":
                self._tempo(event)
            case "counters":
                self.counters = event["counters"]
            case "controls":
                self.controls = event["controls"]
            case "chord":
                self.chord = event
            case "song":
                self.song = event
            case "bar":
                self.bar = event

    def tick_at(self, now: int) -> int:
        """Return the tick of a time (ns); it stands still while the band does not play."""
        if not self.playing:
            return self.tick
        return self.tick + int((now - self.at) * TICKS_PER_BEAT / (self.us * 1_000))

    def find_place(self, now: int) -> Place:
        """Return the bar and beat of a time (ns)."""
        tick, bar = self.tick_at(now), self._find_bar()
        beats, unit = (int(part) for part in bar["metre"].split("/"))
        later, passed = divmod(tick - bar["tick"], bar["end"] - bar["tick"])
        return Place(bar["bar"] + later, passed * unit // (4 * TICKS_PER_BEAT) + 1, beats, bar["metre"])

    def _find_bar(self) -> Mapping[str, Any]:
        """Return the bar that was told last; while nothing is played, bar 1 of the metre that is chosen, if one is."""
        chosen = str(self.controls.get("metre", Metres.AUTO))
        if self.bar and (self.playing or chosen == Metres.AUTO):
            return self.bar
        metre = Metre() if chosen == Metres.AUTO else read_metres(chosen)[0][1]
        return {"bar": 1, "metre": str(metre), "tick": 0, "end": metre.ticks_per_bar}

    def meter(self, role: str, now: int) -> float:
        """Return how loud a role was just before `now` (ns), 0..1."""
        velocity, at = self.last_onsets.get(role, (0, 0))
        return float(velocity / 127 * 0.5 ** (max(0, now - at) / METER_HALF_LIFE_NS))

    def forget(self, tick: int) -> None:
        """Drop notes that ended long before a tick."""
        for role, notes in self.notes.items():
            if notes and notes[0].start < tick - 2 * _KEPT_TICKS:
                self.notes[role] = [note for note in notes if note.end is None or note.end > tick - _KEPT_TICKS]

    def lane(self, role: str, now: int, width: int, rows: int) -> list[str]:
        """Return a role's lane at a time (ns)."""
        current = self.tick_at(now) // TICKS_PER_STEP
        notes = []
        for note in self.notes[role]:
            start = (note.start + TICKS_PER_STEP // 2) // TICKS_PER_STEP
            last = current if note.end is None else (note.end - 1) // TICKS_PER_STEP
            notes.append(RollNote(start, max(start, last), note.pitch))
        for tick, pitch, length in self.planned.get(role, ()):
            start, last = tick // TICKS_PER_STEP, (tick + length - 1) // TICKS_PER_STEP
            if start > current:
                notes.append(RollNote(start, last, pitch, planned=True))
        return lane(notes, current - int(width * PAST_SHARE), width, rows, _STEPS_PER_BAR, now=current + 1)

    def _tempo(self, found: Json) -> None:
        self.us, self.playing = 60e6 / found["bpm"], found["playing"]
        self.waiting_for = found.get("waiting_for", ())
        if found["tick"] is not None:
            self.tick, self.at = found["tick"], found["at"]
        if not self.playing:
            self.planned.clear()
            self.bar = {}  # the next one is another

    def _note(self, role: str, event: Json, now: int) -> None:
        tick = self.tick_at(now) if event["tick"] is None else event["tick"]
        for note in self.notes[role]:
            if note.pitch == event["pitch"] and note.end is None:
                note.end = tick
        if event["on"]:
            self.notes[role].append(SoundedNote(event["pitch"], tick))
            self.last_onsets[role] = event["velocity"], now


def describe_chord(chord: Mapping[str, Any]) -> str:
    """Return the chords that the band is given, as charts write them; empty where it guesses."""
    if not chord.get("now"):
        return ""
    following = f", then {write_symbol(chord['next'])}" if chord.get("next") else ""
    return f"{write_symbol(chord['now'])}{following} ({chord['source']})"


def write_symbol(label: str) -> str:
    """Return the chord of a label of Harte et al. as charts write it: `Am7/G`."""
    return parse_chord_name(label).symbol
