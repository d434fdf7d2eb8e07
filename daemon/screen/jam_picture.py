"""The process that draws a jam: a piano roll scrolling by, or a line of text for every bar."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from daemon.core import wire
from daemon.screen.jam_display import DisplaySetup
from daemon.screen.piano_roll import LANES, RollNote, draw, frames, lane, lane_heights
from music import midi
from music.note import CHANNELS, MELODY, ROLES, STEPS_PER_BEAT, TICKS_PER_BEAT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_LABEL_COLUMNS = 8
_ROLE_OF = {CHANNELS[role]: role for role in ROLES}
_PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


@dataclass(slots=True)
class PlayedNote:
    """A note of the jam; times in ns."""

    role: str
    pitch: int
    start: int
    end: int | None = None  #: None while it sounds


@dataclass(slots=True)
class JamState:
    """Everything that has been played so far."""

    setup: DisplaySetup
    begin: int | None = None  #: when bar 1 begins (ns), None before the first note
    isr: float | None = None  #: the latest in-time share
    notes: list[PlayedNote] = field(default_factory=list)
    _sounding: dict[tuple[str, int], PlayedNote] = field(default_factory=dict)

    def take(self, kind: str, at: int, data: bytes, isr: float | None) -> None:
        """Take a MIDI message in; kind: `heard` or `sent`."""
        self.isr = isr
        if not midi.is_note(data):
            return
        role = MELODY if kind == "heard" else _ROLE_OF.get(midi.channel_of(data))
        if role is None:
            return
        before = self._sounding.pop((role, data[1]), None)
        if before is not None:
            before.end = at
        if midi.is_note_on(data):
            if self.begin is None:
                self.begin = at + int(self.setup.pickup * self.setup.step_ns * STEPS_PER_BEAT / TICKS_PER_BEAT)
            note = self._sounding[role, data[1]] = PlayedNote(role, data[1], at)
            self.notes.append(note)

    def step_at(self, at: int) -> int:
        """Return the step that a time (ns) lies in; bar 1 begins with step 0."""
        return 0 if self.begin is None else int((at - self.begin) // self.setup.step_ns)

    def nearest_step(self, at: int) -> int:
        """Return the step that an onset or an end belongs to: what is played is a little early or late."""
        return self.step_at(at + int(self.setup.step_ns / 2))

    def bar_at(self, at: int) -> int:
        """Return the bar of a time (ns), from 1; an upbeat is in bar 0."""
        return self.step_at(at) // self.setup.metre.steps_per_bar + 1

    def lane(self, role: str, now: int, width: int, rows: int) -> list[str]:
        """Return a role's lane; the rightmost column is the step of `now` (ns)."""
        current = self.step_at(now)
        notes = []
        for note in self.notes:
            if note.role == role:
                start = self.nearest_step(note.start)
                last = current if note.end is None else self.nearest_step(note.end) - 1
                notes.append(RollNote(start, max(start, last), note.pitch))
        return lane(notes, current - width + 1, width, rows, self.setup.metre.steps_per_bar)


def picture(jam: JamState, now: int, width: int, height: int, ascii_only: bool) -> Text:
    """Return the whole display at a time (ns), for a terminal of that size."""
    from rich.text import Text

    setup = jam.setup
    bar = max(0, min(jam.bar_at(now), setup.bars)) if jam.begin is not None else 0
    text = Text(no_wrap=True, overflow="crop")
    text.append(f"bar {bar:>2}/{setup.bars}", "bold")
    text.append(f"   in time {_share(jam.isr)}   {setup.style}   {setup.bpm:g} bpm   ")
    text.append(f"{setup.title}\n", "bold")
    columns = max(1, width - _LABEL_COLUMNS)
    heights = lane_heights(max(len(LANES), height - 2))
    lanes = {role: jam.lane(role, now, columns, rows) for role, rows in heights.items()}
    draw(text, lanes, {role: f"{role:<{_LABEL_COLUMNS}}" for role in lanes}, ascii_only=ascii_only)
    return text


def describe_bar(jam: JamState, bar: int) -> str:
    """Return a bar in words, for where there is no terminal."""
    steps_per_bar = jam.setup.metre.steps_per_bar
    parts = []
    for role in LANES:
        begun = [n for n in jam.notes if n.role == role and jam.nearest_step(n.start) // steps_per_bar + 1 == bar]
        if role == "drums":
            parts.append(f"drums {len(begun)} hits")
        else:
            parts.append(f"{role} {' '.join(_chords(begun)) or '-'}")
    return f"bar {bar:>2}/{jam.setup.bars}  {'  '.join(parts)}  in time {_share(jam.isr)}"


def _chords(notes: Sequence[PlayedNote]) -> Iterator[str]:
    """Yield the names of notes; those that begin together are joined."""
    together: list[PlayedNote] = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
        if together and note.start != together[0].start:
            yield "+".join(_pitch_name(n.pitch) for n in together)
            together = []
        together.append(note)
    if together:
        yield "+".join(_pitch_name(n.pitch) for n in together)


def _pitch_name(pitch: int) -> str:
    return f"{_PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def _share(isr: float | None) -> str:
    return "-" if isr is None else f"{isr:.3f}"


def serve() -> None:
    """Draw what comes in on stdin until that ends. The function that the process runs."""
    if hasattr(os, "nice"):
        os.nice(10)  # a picture may come late
    from rich.console import Console

    with contextlib.suppress(EOFError, OSError):  # nobody looks any more, or what it prints to is full
        setup, plain = wire.receive(sys.stdin.buffer)
        console = Console()
        jam = JamState(setup)
        messages: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_read, args=(messages,), daemon=True).start()
        if console.is_terminal and not plain:
            _draw(console, jam, messages)
        else:
            _print(jam, messages)


def _read(messages: SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError):
        while True:
            messages.put(wire.receive(sys.stdin.buffer))
    messages.put(None)


def _draw(console: Console, jam: JamState, messages: SimpleQueue[Any]) -> None:
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        for _ in frames(messages, lambda message: jam.take(*message)):
            size, now = console.size, time.monotonic_ns()
            live.update(picture(jam, now, size.width, size.height - 1, console.options.ascii_only), refresh=True)


def _print(jam: JamState, messages: SimpleQueue[Any]) -> None:
    bar = 1
    for over in frames(messages, lambda message: jam.take(*message)):
        current = jam.bar_at(time.monotonic_ns()) if jam.begin is not None else 1
        while bar < current or (over and bar <= min(current, jam.setup.bars)):
            if bar <= jam.setup.bars:
                sys.stdout.write(describe_bar(jam, bar) + "\n")
                sys.stdout.flush()
            bar += 1
