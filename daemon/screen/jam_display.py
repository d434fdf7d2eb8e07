"""The performance scrolling by in the terminal: a piano roll in a process of its own, so that drawing disturbs nobody.

`Display` is the conductor's side: it is told of messages, keeps them in a short queue and drops what does not fit; a
thread passes them on. `serve` is the child: it draws with rich, or prints a line per bar where there is no terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from daemon.core import wire
from daemon.core.observers import Observer, PerformanceView
from daemon.system.child_process import ChildProcess
from music.note import CHANNELS, MELODY, ROLES, STEPS_PER_BEAT, TICKS_PER_BEAT, Metre

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: messages waiting to be drawn; a display that has stalled for longer than these last loses some
CAPACITY = 2000
#: seconds between two pictures, and until a display that does not end is ended
FRAME, PATIENCE = 1 / 15, 2.0

_ROLE_OF = {CHANNELS[role]: role for role in ROLES}
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


@dataclass(frozen=True, slots=True)
class DisplaySetup:
    """What the display says of the performance. bpm: beats per minute; pickup: ticks by which the first note comes
    before bar 1; bars: how many there are."""

    title: str
    style: str
    bpm: float
    metre: Metre
    pickup: int
    bars: int

    @property
    def step_ns(self) -> float:
        """A sixteenth in ns."""
        return 60e9 / self.bpm / STEPS_PER_BEAT


class Display(Observer):
    """Shows what is played, in a process of its own."""

    def __init__(self, poster: DisplaySetup, plain: bool = False) -> None:
        """plain: a line a bar, even in a terminal."""
        self._performance: PerformanceView | None = None
        self._queue: SimpleQueue[tuple[str, int, bytes, float | None] | None] = SimpleQueue()
        self._child = ChildProcess("daemon.screen.jam_display:serve", pipe_stdout=False)
        self._thread = threading.Thread(target=self._feed, args=(poster, plain), name="display-feed", daemon=True)
        self._thread.start()

    def on_start(self, performance: PerformanceView) -> None:
        """Show the in-time share of this performance."""
        self._performance = performance

    def on_input(self, data: bytes, at: int) -> None:
        """Show a message of the melody."""
        self._tell("heard", at, data)

    def on_output(self, data: bytes, due: int) -> None:
        """Show a message of the band."""
        self._tell("sent", due, data)

    def close(self) -> None:
        """Ends the display; returns when it has drawn its last, or was too slow for that."""
        self._queue.put(None)
        self._thread.join(PATIENCE)
        self._child.stop(PATIENCE)

    def _tell(self, kind: str, at: int, data: bytes) -> None:
        if self._queue.qsize() < CAPACITY:
            isr = None if self._performance is None else self._performance.counters.isr
            self._queue.put((kind, at, data, isr))

    def _feed(self, poster: DisplaySetup, plain: bool) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is gone, or closed: nobody looks any more
            wire.send(self._child.stdin, (poster, plain))
            while (message := self._queue.get()) is not None:
                wire.send(self._child.stdin, message)
        self._child.close_stdin()


# The child


@dataclass(slots=True)
class Drawn:
    """One note as it is drawn; end None while it sounds. Times in ns."""

    role: str
    pitch: int
    start: int
    end: int | None = None


@dataclass(slots=True)
class Roll:
    """All that the display knows. begin: the moment of bar 1, None before the first note."""

    poster: DisplaySetup
    begin: int | None = None
    isr: float | None = None
    notes: list[Drawn] = field(default_factory=list)
    _sounding: dict[tuple[str, int], Drawn] = field(default_factory=dict)

    def take(self, kind: str, at: int, data: bytes, isr: float | None) -> None:
        """A message was heard or sent."""
        self.isr = isr
        if len(data) != 3 or data[0] & 0xF0 not in (0x80, 0x90):
            return
        role = MELODY if kind == "heard" else _ROLE_OF.get(data[0] & 0x0F)
        if role is None:
            return
        before = self._sounding.pop((role, data[1]), None)
        if before is not None:
            before.end = at
        if data[0] & 0xF0 == 0x90 and data[2]:
            if self.begin is None:
                self.begin = at + int(self.poster.pickup * self.poster.step_ns * STEPS_PER_BEAT / TICKS_PER_BEAT)
            note = self._sounding[role, data[1]] = Drawn(role, data[1], at)
            self.notes.append(note)

    def step(self, at: int) -> int:
        """The step a moment lies in: 0 where bar 1 begins."""
        return 0 if self.begin is None else int((at - self.begin) // self.poster.step_ns)

    def nearest(self, at: int) -> int:
        """The step that an onset or an end at this moment belongs to; what is played is a little early or late."""
        return self.step(at + int(self.poster.step_ns / 2))

    def bar(self, at: int) -> int:
        """The bar of a moment, counted from 1; an upbeat is in bar 0."""
        return self.step(at) // self.poster.metre.steps_per_bar + 1


#: role -> its colour and its share of the height
LANES = {
    MELODY: ("bright_yellow", 5),
    "chords": ("bright_cyan", 5),
    "pad": ("bright_blue", 3),
    "bass": ("bright_green", 3),
    "drums": ("bright_magenta", 3),
}
_LABEL = 8


def heights(total: int) -> dict[str, int]:
    """Role -> rows, of so many in all (at least one each)."""
    whole = sum(share for _, share in LANES.values())
    return {role: max(1, total * share // whole) for role, (_, share) in LANES.items()}


def lane(roll: Roll, role: str, now: int, width: int, rows: int) -> list[str]:
    """A role's rows, highest pitch first: `#` where a note begins, `=` where it goes on, `|` at bars, else a space.

    The rightmost column is the step of `now`; a column is a sixteenth.
    """
    last = roll.step(now)
    first = last - width + 1
    seen: list[tuple[int, int, int]] = []
    for note in roll.notes:
        start, end = roll.nearest(note.start), roll.step(now) if note.end is None else roll.nearest(note.end) - 1
        if note.role == role and end >= first and start <= last:
            seen.append((start, max(start, end), note.pitch))
    bar = roll.poster.metre.steps_per_bar
    blank = ["|" if (first + column) % bar == 0 else " " for column in range(width)]
    cells = [list(blank) for _ in range(rows)]
    low, high = min((p for *_, p in seen), default=0), max((p for *_, p in seen), default=0)
    span = max(high - low + 1, rows)
    low -= (span - (high - low + 1)) // 2  # a few pitches stand in the middle
    for start, end, pitch in sorted(seen):
        row = cells[rows - 1 - (pitch - low) * rows // span]
        for step in range(max(start, first), min(end, last) + 1):
            row[step - first] = "=" if step > start else "#"
    return ["".join(row) for row in cells]


def picture(roll: Roll, now: int, width: int, height: int, ascii_only: bool) -> Text:
    """The whole display, for a terminal of that size."""
    from rich.text import Text

    poster = roll.poster
    isr = "-" if roll.isr is None else f"{roll.isr:.3f}"
    bar = max(0, min(roll.bar(now), poster.bars)) if roll.begin is not None else 0
    text = Text(no_wrap=True, overflow="crop")
    text.append(f"bar {bar:>2}/{poster.bars}", "bold")
    text.append(f"   in time {isr}   {poster.style}   {poster.bpm:g} bpm   ")
    text.append(f"{poster.title}\n", "bold")
    signs = {} if ascii_only else str.maketrans("#=|", "█━│")
    for role, rows in heights(max(len(LANES), height - 2)).items():
        colour = LANES[role][0]
        for number, line in enumerate(lane(roll, role, now, max(1, width - _LABEL), rows)):
            text.append(f"{role if number == 0 else '':<{_LABEL}}", colour)
            for is_note, run in groupby(line, lambda sign: sign in "#="):
                text.append("".join(run).translate(signs), colour if is_note else "bright_black")
            text.append("\n")
    return text


def line_of(roll: Roll, bar: int) -> str:
    """A bar in words, for where there is no terminal."""
    poster = roll.poster
    length = poster.metre.steps_per_bar
    said = []
    for role in LANES:
        begun = [note for note in roll.notes if note.role == role and roll.nearest(note.start) // length + 1 == bar]
        if role == "drums":
            said.append(f"drums {len(begun)} hits")
        else:
            said.append(f"{role} {' '.join(_grouped(begun)) or '-'}")
    isr = "-" if roll.isr is None else f"{roll.isr:.3f}"
    return f"bar {bar:>2}/{poster.bars}  {'  '.join(said)}  in time {isr}"


def _grouped(notes: Sequence[Drawn]) -> Iterator[str]:
    """Names of notes; those that begin together are joined."""
    together: list[Drawn] = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
        if together and note.start != together[0].start:
            yield "+".join(_name(n.pitch) for n in together)
            together = []
        together.append(note)
    if together:
        yield "+".join(_name(n.pitch) for n in together)


def _name(pitch: int) -> str:
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def serve() -> None:
    """The child: draws what comes in on stdin until that ends."""
    if hasattr(os, "nice"):
        os.nice(10)  # a picture may come late
    from rich.console import Console

    with contextlib.suppress(EOFError, BrokenPipeError):
        poster, plain = wire.receive(sys.stdin.buffer)
        console = Console()
        roll = Roll(poster)
        messages: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_read, args=(messages,), daemon=True).start()
        if console.is_terminal and not plain:
            _draw(console, roll, messages)
        else:
            _print(roll, messages)


def _read(messages: SimpleQueue[Any]) -> None:
    with contextlib.suppress(EOFError):
        while True:
            messages.put(wire.receive(sys.stdin.buffer))
    messages.put(None)


def _draw(console: Console, roll: Roll, messages: SimpleQueue[Any]) -> None:
    from rich.live import Live

    def now_picture() -> Text:
        size = console.size
        return picture(roll, time.monotonic_ns(), size.width, size.height - 1, console.options.ascii_only)

    with Live(console=console, auto_refresh=False) as live:
        for _ in _frames(roll, messages):
            live.update(now_picture(), refresh=True)


def _print(roll: Roll, messages: SimpleQueue[Any]) -> None:
    bar = 1
    for over in _frames(roll, messages):
        current = roll.bar(time.monotonic_ns()) if roll.begin is not None else 1
        while bar < current or (over and bar <= min(current, roll.poster.bars)):
            if bar <= roll.poster.bars:
                sys.stdout.write(line_of(roll, bar) + "\n")
                sys.stdout.flush()
            bar += 1


def _frames(roll: Roll, messages: SimpleQueue[Any]) -> Iterator[bool]:
    """Takes in what comes, and yields when it is time for the next picture; True for the last."""
    due = time.monotonic() + FRAME
    while True:
        try:
            message = messages.get(timeout=max(0.0, due - time.monotonic()))
        except Empty:
            yield False
            due = time.monotonic() + FRAME
            continue
        if message is None:
            yield True
            return
        roll.take(*message)
