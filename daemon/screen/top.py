"""A band that plays, seen through the control socket: a roll with what is planned right of the now-line, and meters."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from daemon.control.client import ControlClient
from daemon.screen.jam_display import FRAME, LANES, heights
from music.note import MELODY, TICKS_PER_BEAT, TICKS_PER_STEP

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Json = dict[str, Any]
TOPICS = ("notes", "heard", "plans", "tempo", "counters", "controls")
#: share of the width that lies before the now-line
PAST = 0.7
#: columns of a role's name and meter; ns in which a meter falls by half; and until a note is of no account
_LABEL, _METER, FALL, MEMORY = 8, 7, 250_000_000, 64 * TICKS_PER_BEAT
#: how sounding, held, planned, planned to be held, bar lines and the now-line are drawn, then the same in ASCII
_SIGNS, _ASCII = "█━▒┄│┃", "#=o-|!"
_EMPTY, _ON, _HELD, _PLAN, _TAIL, _BAR, _NOW = " ", *range(6)


@dataclass(slots=True)
class Seen:
    """One note. end: None while it sounds. Ticks."""

    pitch: int
    start: int
    end: int | None = None


@dataclass(slots=True)
class Scene:
    """All that is known of the band. at: where in time (ns) `tick` was; us: microseconds per beat."""

    controls: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, Any] = field(default_factory=dict)
    playing: bool = False
    tick: int = 0
    at: int = 0
    us: float = 500_000
    notes: dict[str, list[Seen]] = field(default_factory=lambda: {role: [] for role in LANES})
    planned: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)  # role -> (tick, pitch, ticks)
    struck: dict[str, tuple[int, int]] = field(default_factory=dict)  # role -> (velocity, ns)

    def begin(self, state: Json, now: int) -> None:
        """How everything stood when we came."""
        self.controls, self.counters = state["controls"], state["counters"]
        self._tempo(state if state["at"] is not None else {**state, "tick": 0, "at": now})

    def take(self, event: Json, now: int) -> None:
        """An event that came at `now` (ns)."""
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

    def tick_at(self, now: int) -> int:
        """The tick of a moment; it stands still while the band does not play."""
        if not self.playing:
            return self.tick
        return self.tick + int((now - self.at) * TICKS_PER_BEAT / (self.us * 1_000))

    def meter(self, role: str, now: int) -> float:
        """How loud a role just was, 0..1."""
        velocity, at = self.struck.get(role, (0, 0))
        return float(velocity / 127 * 0.5 ** (max(0, now - at) / FALL))

    def forget(self, tick: int) -> None:
        """Drop what ended long before."""
        for role, notes in self.notes.items():
            if notes and notes[0].start < tick - 2 * MEMORY:
                self.notes[role] = [note for note in notes if note.end is None or note.end > tick - MEMORY]

    def _tempo(self, found: Json) -> None:
        self.us, self.playing = 60e6 / found["bpm"], found["playing"]
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
            self.notes[role].append(Seen(event["pitch"], tick))
            self.struck[role] = event["velocity"], now


def lane(scene: Scene, role: str, now: int, width: int, rows: int) -> list[list[int | str]]:
    """A role's cells, highest pitch first; a column is a sixteenth, and the now-line stands at PAST of the width."""
    current = scene.tick_at(now) // TICKS_PER_STEP
    first = current - int(width * PAST)
    seen: list[tuple[int, int, int, bool]] = []
    for note in scene.notes[role]:
        start = (note.start + TICKS_PER_STEP // 2) // TICKS_PER_STEP
        end = current if note.end is None else (note.end - 1) // TICKS_PER_STEP
        seen.append((start, max(start, end), note.pitch, False))
    for tick, pitch, length in scene.planned.get(role, ()):
        start, end = tick // TICKS_PER_STEP, (tick + length - 1) // TICKS_PER_STEP
        if start > current:
            seen.append((start, end, pitch, True))
    seen = [note for note in seen if note[1] >= first and note[0] < first + width]
    blank = [_NOW if first + x == current + 1 else _BAR if (first + x) % 16 == 0 else _EMPTY for x in range(width)]
    cells: list[list[int | str]] = [list(blank) for _ in range(rows)]
    low, high = min((n[2] for n in seen), default=0), max((n[2] for n in seen), default=0)
    span = max(high - low + 1, rows)
    low -= (span - (high - low + 1)) // 2
    for start, end, pitch, planned in sorted(seen, key=lambda n: (not n[3], n)):
        row = cells[rows - 1 - (pitch - low) * rows // span]
        for step in range(max(start, first), min(end, first + width - 1) + 1):
            row[step - first] = (_PLAN if planned else _ON) if step == start else (_TAIL if planned else _HELD)
    return cells


def picture(scene: Scene, now: int, width: int, height: int, ascii_only: bool) -> Text:
    """The whole display, for a terminal of that size."""
    from rich.text import Text

    signs = _ASCII if ascii_only else _SIGNS
    text = Text(no_wrap=True, overflow="crop")
    text.append(f"{_heading(scene, now)}\n", "bold")
    for role, rows in heights(max(len(LANES), height - 4)).items():
        colour = LANES[role][0]
        labels = [f"{role:<{_LABEL}}{_gauge(scene, role, now, ascii_only):<{_METER}} "]
        labels += [" " * (_LABEL + _METER + 1)] * (rows - 1)
        for label, cells in zip(labels, lane(scene, role, now, max(1, width - len(labels[0])), rows), strict=True):
            text.append(label, colour)
            for kind, run in groupby(cells):
                drawn = signs[kind] if isinstance(kind, int) else kind
                style = colour if kind in (_ON, _HELD) else "white" if kind == _NOW else "bright_black"
                text.append(drawn * len(list(run)), style)
            text.append("\n")
    for line in _footing(scene):
        text.append(f"{line}\n", "default")
    return text


def _heading(scene: Scene, now: int) -> str:
    found = scene.controls
    bar, rest = divmod(scene.tick_at(now), 4 * TICKS_PER_BEAT)
    where = f"bar {bar + 1}.{rest // TICKS_PER_BEAT + 1}" if scene.playing else "waiting for the melody"
    return f"houseband   {where}   {found.get('style')}, {found.get('technique')}   {60e6 / scene.us:.4g} bpm"


def _gauge(scene: Scene, role: str, now: int, ascii_only: bool) -> str:
    """A role's meter, `mute` where it is muted."""
    if scene.controls.get(f"mute.{role}"):
        return "mute"
    full = round(scene.meter(role, now) * (_METER - 1))
    return ("#" if ascii_only else "▮") * full + ("." if ascii_only else "▯") * (_METER - 1 - full)


def _footing(scene: Scene) -> tuple[str, str]:
    found, counted = scene.controls, scene.counters
    turned = "   ".join(f"{key} {found[key]:g}" for key in _TURNED if key in found)
    if not counted:
        return turned, ""
    figures = (
        f"in time {_figure(counted, 'isr')}   plan {_figure(counted, 'inference_ms_p50')}/"
        f"{_figure(counted, 'inference_ms_p99')} ms   late {_figure(counted, 'lateness_ms_p99')} ms   knows "
        f"{_figure(counted, 'age_ms_p50')}/{_figure(counted, 'age_ms_p99')} ms   notes {counted['onsets']}   "
        f"dropped {counted['dropped']}   plans late {counted['late']}"
    )
    return turned, figures


_TURNED = ("intensity", "density", "temperature", "swing", "humanise", "seed")


def _figure(counted: Mapping[str, Any], key: str) -> str:
    value = counted.get(key)
    return "-" if value is None else f"{value:.3g}"


def watch(client: ControlClient, console: Console) -> None:
    """Draws until the band leaves; in a terminal. Ctrl-C raises KeyboardInterrupt as usual."""
    from rich.live import Live

    scene = Scene()
    client.ask("subscribe", to=list(TOPICS))
    scene.begin(client.ask("get")["state"], time.monotonic_ns())
    events: SimpleQueue[Json | None] = SimpleQueue()
    threading.Thread(target=_read, args=(client, events), name="top-reader", daemon=True).start()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        due = time.monotonic()
        while True:
            try:
                event = events.get(timeout=max(0.0, due - time.monotonic()))
            except Empty:
                now, size = time.monotonic_ns(), console.size
                live.update(picture(scene, now, size.width, size.height, console.options.ascii_only), refresh=True)
                scene.forget(scene.tick_at(now))
                due = time.monotonic() + FRAME
                continue
            if event is None:
                return
            scene.take(event, time.monotonic_ns())


def _read(client: ControlClient, events: SimpleQueue[Json | None]) -> None:
    for event in client.events():
        events.put(event)
    events.put(None)
