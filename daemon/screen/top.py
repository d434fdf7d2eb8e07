"""The display of `houseband top`: a piano roll with the plan right of the now-line, meters and figures.

Everything it shows comes through the control socket.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from daemon.control.client import ControlClient
from daemon.screen.piano_roll import LANES, RollNote, draw, frames, lane, lane_heights
from music.charts.chord_names import parse_chord_name
from music.note import MELODY, TICKS_PER_BEAT, TICKS_PER_STEP

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Json = dict[str, Any]
TOPICS = ("notes", "heard", "plans", "tempo", "counters", "controls", "chords")
#: share of the width that lies before the now-line
PAST_SHARE = 0.7
#: time in which a meter falls by half
METER_HALF_LIFE_NS = 250_000_000
_LABEL_COLUMNS, _METER_COLUMNS = 8, 7
_KEPT_TICKS = 64 * TICKS_PER_BEAT  # notes that ended earlier are forgotten
_STEPS_PER_BAR = 16  # the socket tells no metre
_SHOWN_CONTROLS = ("intensity", "density", "temperature", "swing", "humanise", "seed")


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
    tick: int = 0  #: where it was
    at: int = 0  #: at this time, ns
    us: float = 500_000  #: microseconds per beat
    notes: dict[str, list[SoundedNote]] = field(default_factory=lambda: {role: [] for role in LANES})
    planned: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)  # role -> (tick, pitch, ticks)
    last_onsets: dict[str, tuple[int, int]] = field(default_factory=dict)  # role -> (velocity, ns)

    def begin(self, state: Json, now: int) -> None:
        """Take in the state that the server answers with, at a time (ns)."""
        self.controls, self.counters, self.chord = state["controls"], state["counters"], state.get("chord", {})
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

    def tick_at(self, now: int) -> int:
        """Return the tick of a time (ns); it stands still while the band does not play."""
        if not self.playing:
            return self.tick
        return self.tick + int((now - self.at) * TICKS_PER_BEAT / (self.us * 1_000))

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

    def _note(self, role: str, event: Json, now: int) -> None:
        tick = self.tick_at(now) if event["tick"] is None else event["tick"]
        for note in self.notes[role]:
            if note.pitch == event["pitch"] and note.end is None:
                note.end = tick
        if event["on"]:
            self.notes[role].append(SoundedNote(event["pitch"], tick))
            self.last_onsets[role] = event["velocity"], now


def picture(band: BandState, now: int, width: int, height: int, ascii_only: bool) -> Text:
    """Return the whole display at a time (ns), for a terminal of that size."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    text.append(f"{_heading(band, now)}\n", "bold")
    columns = max(1, width - _LABEL_COLUMNS - _METER_COLUMNS - 1)
    heights = lane_heights(max(len(LANES), height - 4))
    lanes = {role: band.lane(role, now, columns, rows) for role, rows in heights.items()}
    draw(text, lanes, {role: _label(band, role, now, ascii_only) for role in lanes}, ascii_only=ascii_only)
    for line in _footing(band):
        text.append(f"{line}\n", "default")
    return text


def _heading(band: BandState, now: int) -> str:
    found = band.controls
    bar, rest = divmod(band.tick_at(now), 4 * TICKS_PER_BEAT)
    where = f"bar {bar + 1}.{rest // TICKS_PER_BEAT + 1}" if band.playing else "waiting for the melody"
    if band.waiting_for and band.waiting_for != ["note"]:
        where = f"waiting for {', '.join(band.waiting_for)}"
    chord = describe_chord(band.chord)
    return (
        f"houseband   {where}   {found.get('style')}, {found.get('technique')}   {60e6 / band.us:.4g} bpm"
        f"{'   ' if chord else ''}{chord}"
    )


def describe_chord(chord: Mapping[str, Any]) -> str:
    """Return the chords that the band is given, as charts write them; empty where it guesses."""
    if not chord.get("now"):
        return ""
    following = f", then {write_symbol(chord['next'])}" if chord.get("next") else ""
    return f"{write_symbol(chord['now'])}{following} ({chord['source']})"


def write_symbol(label: str) -> str:
    """Return the chord of a label of Harte et al. as charts write it: `Am7/G`."""
    return parse_chord_name(label).symbol


def _label(band: BandState, role: str, now: int, ascii_only: bool) -> str:
    return f"{role:<{_LABEL_COLUMNS}}{_meter(band, role, now, ascii_only):<{_METER_COLUMNS}} "


def _meter(band: BandState, role: str, now: int, ascii_only: bool) -> str:
    """Return a role's meter as text, `mute` where it is muted."""
    if band.controls.get(f"mute.{role}"):
        return "mute"
    full = round(band.meter(role, now) * (_METER_COLUMNS - 1))
    return ("#" if ascii_only else "▮") * full + ("." if ascii_only else "▯") * (_METER_COLUMNS - 1 - full)


def _footing(band: BandState) -> tuple[str, str]:
    found, counted = band.controls, band.counters
    turned = "   ".join(f"{key} {found[key]:g}" for key in _SHOWN_CONTROLS if key in found)
    if not counted:
        return turned, ""
    figures = (
        f"in time {_figure(counted, 'isr')}   plan {_figure(counted, 'inference_ms_p50')}/"
        f"{_figure(counted, 'inference_ms_p99')} ms   late {_figure(counted, 'lateness_ms_p99')} ms   knows "
        f"{_figure(counted, 'age_ms_p50')}/{_figure(counted, 'age_ms_p99')} ms   notes {counted['onsets']}   "
        f"dropped {counted['dropped']}   plans late {counted['late']}"
    )
    return turned, figures


def _figure(counted: Mapping[str, Any], key: str) -> str:
    value = counted.get(key)
    return "-" if value is None else f"{value:.3g}"


def watch(client: ControlClient, console: Console) -> None:
    """Draw until the band leaves; in a terminal. Ctrl-C raises KeyboardInterrupt as usual."""
    from rich.live import Live

    band = BandState()
    client.ask("subscribe", to=list(TOPICS))
    band.begin(client.ask("get")["state"], time.monotonic_ns())
    events: SimpleQueue[Json | None] = SimpleQueue()
    threading.Thread(target=_read, args=(client, events), name="top-reader", daemon=True).start()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        for over in frames(events, lambda event: band.take(event, time.monotonic_ns())):
            if over:
                return
            now, size = time.monotonic_ns(), console.size
            live.update(picture(band, now, size.width, size.height, console.options.ascii_only), refresh=True)
            band.forget(band.tick_at(now))


def _read(client: ControlClient, events: SimpleQueue[Json | None]) -> None:
    for event in client.read_events():
        events.put(event)
    events.put(None)
