"""A take on disk while it is played: a text that only grows, so that whatever ends it leaves all that was written.

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

ENDING = ".take"
_HEAD = "houseband-take 1"
_Mark = tuple[int, int, int]


def head(metre: Metre) -> str:
    """The first line."""
    return f"{_HEAD} {metre.numerator} {metre.denominator}\n"


def tempo_line(mark: _Mark) -> str:
    """A tempo mark."""
    return "t {} {} {}\n".format(*mark)


def style_line(at: int, style: str) -> str:
    """A style from a moment on."""
    return f"s {at} {style}\n"


def message_line(way: str, at: int, data: bytes) -> str:
    """A message; way: i or o."""
    return f"{way} {at} {data.hex()}\n"


@dataclass(frozen=True, slots=True)
class TakeLog:
    """What a journal holds. marks: (tick, ns, microseconds per beat); styles: (ns, style); begin, end: ns of the first
    and of the last message."""

    take: Take
    metre: Metre
    marks: tuple[_Mark, ...]
    styles: tuple[tuple[int, str], ...]
    begin: int
    end: int
    messages: int


def read(path: Path) -> TakeLog | None:
    """What is in a journal; None for a file that holds no take. Raises OSError."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]  # the last was never finished
    if not lines or not lines[0].startswith(f"{_HEAD} "):
        return None
    take, marks, styles, moments = Take(), list[_Mark](), list[tuple[int, str]](), list[int]()
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
                moments.append(int(at))
    marks = [mark for mark in marks if mark[2] > 0]
    if not moments or not marks:
        return None
    return TakeLog(take, metre, tuple(marks), tuple(styles), min(moments), max(moments), len(moments))


def write_midi(journal: TakeLog, path: Path) -> None:
    """Write it as a multi-track MIDI file: the melody, a track per role, tempo map, and a marker for every style. It
    begins with the bar in which the first note begins. Raises OSError."""
    from music import midifile

    tempo = TempoMap.from_places(journal.marks)
    parts = journal.take.parts(tempo)
    bar = journal.metre.ticks_per_bar
    first = min((n.start for notes in parts.values() for n in notes), default=0) // bar * bar
    moved = {
        role: [Note(n.start - first, n.pitch, n.length, n.velocity) for n in notes] for role, notes in parts.items()
    }
    tempos: dict[int, int] = {}
    for tick, us in _paces(journal.marks):
        tempos[max(0, tick - first)] = us  # of those before the beginning the last holds
    tempos = {0: next(iter(tempos.values())), **tempos}
    markers = [(max(0, tempo.tick_at(at) - first), style) for at, style in journal.styles]
    midifile.write(path, moved, tempos=tempos.items(), metres=[(0, journal.metre)], markers=markers)


def _paces(marks: tuple[_Mark, ...]) -> list[tuple[int, int]]:
    """(tick, microseconds per beat): where marks between two were never written down, the pace that leads from the one
    to the other."""
    found = []
    for (tick, ns, us), (later, then, _) in pairwise(marks):
        if later <= tick or then <= ns:
            continue
        needed = (then - ns) * TICKS_PER_BEAT // ((later - tick) * NS_PER_US)
        found.append((tick, us if abs(needed - us) <= 1 else max(1, min(needed, 0xFFFFFF))))
    return [*found, (marks[-1][0], marks[-1][2])]


def convert(path: Path) -> Path | None:
    """A journal's MIDI file beside it; the journal goes once that is written. None for one that held nothing, which
    goes, too. Raises OSError."""
    journal = read(path)
    target = path.with_suffix(".mid")
    if journal is not None:
        write_midi(journal, target)
        stamp = path.stat().st_mtime
        with contextlib.suppress(OSError):
            os.utime(target, (stamp, stamp))
    path.unlink(missing_ok=True)
    return target if journal is not None else None
