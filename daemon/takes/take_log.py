"""The log of a take while it is recorded: a text that only grows, so that a crash leaves all that was written.

    houseband-take 1 4 4           version, metre
    t 0 918273645 500000           a tempo mark: tick, ns, microseconds per beat
    s 918273645 jazz               the style from that moment (ns) on
    i 918273645 903c64             a message that came in, hexadecimal
    o 918273645 912430             one that was sent, at the moment it was meant for

A line that was cut off, or that makes no sense, is as if it were not there.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from daemon.core.tempo import NS_PER_US, TempoMap
from daemon.takes.take import Take
from music.note import TICKS_PER_BEAT, Metre, Note

LOG_SUFFIX = ".take"
_HEAD = "houseband-take 1"
_Mark = tuple[int, int, int]


def format_header(metre: Metre) -> str:
    """Return the first line of a log."""
    return f"{_HEAD} {metre.numerator} {metre.denominator}\n"


def format_tempo(mark: _Mark) -> str:
    """Return the line of a tempo mark: tick, ns, microseconds per beat."""
    return "t {} {} {}\n".format(*mark)


def format_style(at: int, style: str) -> str:
    """Return the line of a style that holds from a time (ns) on."""
    return f"s {at} {style}\n"


def format_message(way: str, at: int, data: bytes) -> str:
    """Return the line of a MIDI message at a time (ns); way: i for input, o for output."""
    return f"{way} {at} {data.hex()}\n"


@dataclass(frozen=True, slots=True)
class TakeLog:
    """The contents of a log."""

    take: Take
    metre: Metre
    marks: tuple[_Mark, ...]  #: of the tempo: (tick, ns, microseconds per beat)
    styles: tuple[tuple[int, str], ...]  #: (ns from which on it holds, style)
    messages: int  #: how many there are


def read(path: Path) -> TakeLog | None:
    """Return the contents of a log, None for a file that holds no take. Raises OSError."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]  # the last was never finished
    if not lines or not lines[0].startswith(f"{_HEAD} "):
        return None
    take, marks, styles, messages = Take(), list[_Mark](), list[tuple[int, str]](), 0
    metre = Metre()
    with contextlib.suppress(ValueError):
        metre = Metre(*(int(word) for word in lines[0].split()[2:4]))
    for line in lines[1:]:
        with contextlib.suppress(ValueError, IndexError):
            kind, at, *words = line.split(" ")
            if kind == "t":
                marks.append((int(at), int(words[0]), int(words[1])))
            elif kind == "s":
                styles.append((int(at), " ".join(words)))
            elif kind in ("i", "o") and words:
                (take.on_input if kind == "i" else take.on_output)(bytes.fromhex(words[0]), int(at))
                messages += 1
    marks = [mark for mark in marks if mark[2] > 0]
    if not messages or not marks:
        return None
    return TakeLog(take, metre, tuple(marks), tuple(styles), messages)


def write_midi(log: TakeLog, path: Path) -> None:
    """Write a log as a MIDI file: the melody, a track for each role, the tempo map, and a marker for every style.

    The file begins with the bar in which the first note begins. Raises OSError.
    """
    from music import midifile

    tempo = TempoMap.from_marks_ns(log.marks)
    parts = log.take.parts(tempo)
    bar = log.metre.ticks_per_bar
    first = min((n.start for notes in parts.values() for n in notes), default=0) // bar * bar
    moved = {
        role: [Note(n.start - first, n.pitch, n.length, n.velocity) for n in notes] for role, notes in parts.items()
    }
    tempos: dict[int, int] = {}
    for tick, us in _tempos(log.marks):
        tempos[max(0, tick - first)] = us  # of those before the beginning the last holds
    tempos = {0: next(iter(tempos.values())), **tempos}
    markers = [(max(0, tempo.tick_at(at) - first), style) for at, style in log.styles]
    midifile.write(path, moved, tempos=tempos.items(), metres=[(0, log.metre)], markers=markers)


def _tempos(marks: tuple[_Mark, ...]) -> list[tuple[int, int]]:
    """Return (tick, microseconds per beat) marks.

    Where marks between two were never written down, the tempo is the one that leads from the one to the other.
    """
    found = []
    for (tick, ns, us), (later, then, _) in pairwise(marks):
        if later <= tick or then <= ns:
            continue
        needed = (then - ns) * TICKS_PER_BEAT // ((later - tick) * NS_PER_US)
        found.append((tick, us if abs(needed - us) <= 1 else max(1, min(needed, 0xFFFFFF))))
    return [*found, (marks[-1][0], marks[-1][2])]


def convert(path: Path) -> Path | None:
    """Write a log as a MIDI file beside it, delete the log, and return the MIDI file.

    Returns None for a log that holds no take; it is deleted, too. Raises OSError.
    """
    log = read(path)
    target = path.with_suffix(".mid")
    if log is not None:
        write_midi(log, target)
        stamp = path.stat().st_mtime
        with contextlib.suppress(OSError):
            os.utime(target, (stamp, stamp))
    path.unlink(missing_ok=True)
    return target if log is not None else None
