"""A left hand that changes between beats, through a real JACK server, as JSON: how soon the bass follows.

    python -m tests.programs.jack.hands [--chords 48] [--bpm 120] [--period 1024] [--technique gan|transformer]
    [--output rtmidi|jack]

Starts a `jackd -d dummy` of its own, and plays a melody above middle C and triads below it, in all inversions, to
`houseband run --harmony hands --split 60`. A triad is struck at any tick, its keys up to 20 ms apart, and every fourth
one has the root of the one before. `steps` is how many steps after that of the stroke (by its last key) the bass
sounds the new root: 1 is the next one. Of triads whose root sounds already, `struck_again` tells how many were
followed by a bass note in the next step though that of before was right and sounded on, and beside it how often a bass
note is repeated like that in any other step, which is the rhythm of the bass. An xrun loses keys, and a server without
real-time priority has many at short periods. Exit status 1 when a figure misses its
bound.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from daemon.core.counters import quantile
from music import midi
from music.note import CHANNELS, TICKS_PER_BEAT, TICKS_PER_STEP, Note
from tests.programs.jack.bench import some_melody
from tests.support.jack.server import jack_server
from tests.support.jack.stage import Performance, Stamped, count_xruns, ended_well, list_end_figures, perform

#: the lowest key of the left hand's octave: G2
LOWEST = 43
MIDDLE_C = 60
SPREAD_S = 0.02
#: the share of chords that the bass must follow in the next step; one struck a moment before a step comes too late
MIN_SHARE = 0.9
BASS = CHANNELS["bass"]


class Stroke(NamedTuple):
    """A triad that is struck."""

    tick: int  #: of its first key
    root: int  #: pitch class
    keys: tuple[Note, ...]


class BassNote(NamedTuple):
    """A note of the bass, as it was heard."""

    begin: int  #: ns
    end: int  #: ns
    pitch: int


def draw_strokes(count: int, bpm: int, seed: int) -> list[Stroke]:
    """Draw triads whose roots change by any interval, held from one to three beats, the first at bar 2."""
    rng = random.Random(seed)
    strokes, tick, root, spread = [], 4 * TICKS_PER_BEAT, 0, round(SPREAD_S * bpm / 60 * TICKS_PER_BEAT)
    for number in range(count):
        length = rng.randrange(TICKS_PER_BEAT, 3 * TICKS_PER_BEAT)
        if number % 4 != 3:
            root = (root + rng.randrange(1, 12)) % 12
        keys = [LOWEST + (root + up - LOWEST) % 12 for up in (0, rng.choice((3, 4)), 7)]
        notes = [Note(tick + rng.randint(0, spread), key, length - spread - 1, 80) for key in keys]
        strokes.append(Stroke(tick, root, tuple(notes)))
        tick += length
    return strokes


def list_bass(heard: Sequence[Stamped]) -> list[BassNote]:
    """Return the bass notes that were heard."""
    notes = midi.pair_notes(each for each in heard if each[1][0] & 0x0F == BASS)
    return sorted(BassNote(note.start, note.end, note.pitch) for note in notes)


def find_following(bass: Sequence[BassNote], struck: int, until: int, root: int) -> int | None:
    """Return when, from a moment to another, the bass sounds a root first; None where it does not."""
    sounding = (max(note.begin, struck) for note in bass if note.pitch % 12 == root and note.end > struck)
    first = min(sounding, default=until)
    return first if first < until else None


def list_repeats(bass: Sequence[BassNote], step_ns: float) -> Iterator[int]:
    """Yield when a bass note begins whose pitch class sounded up to then, or to a quarter of a step before."""
    for before, note in pairwise(bass):
        if before.pitch % 12 == note.pitch % 12 and note.begin - before.end < step_ns / 4:
            yield note.begin


def figures(done: Performance, strokes: Sequence[Stroke], bpm: int, xruns: int) -> dict[str, Any]:
    """Return all figures, and the bounds."""
    step_ns = 60e9 / bpm / 4
    origin, end = done.played[0][0], done.played[-1][0]  # the band's bar 1 is where the first note is heard
    downs = [at for at, data in done.played if midi.is_note_on(data) and data[1] < MIDDLE_C]
    bass = list_bass(done.heard)
    repeats = sorted(round((at - origin) / step_ns) for at in list_repeats(bass, step_ns))
    steps, waits, again, sounding = [], [], [], 0
    for i, stroke in enumerate(strokes):
        struck = downs[3 * i + 2]
        until = downs[3 * i + 3] if i + 1 < len(strokes) else end
        at = int((struck - origin) // step_ns)
        if i and strokes[i - 1].root == stroke.root:
            if find_following(bass, struck, struck + 1, stroke.root) is not None:
                sounding += 1
                again += [step for step in repeats if step == at + 1]
            continue
        heard = find_following(bass, struck, until, stroke.root)
        steps.append(None if heard is None else max(0, round((heard - origin) / step_ns) - at))
        waits.append(0.0 if heard is None else (heard - struck) / 1e6)
    followed = [step for step in steps if step is not None]
    return {
        "chords": len(steps),
        "steps": {str(step): count for step, count in sorted(Counter(followed).items())},
        "never": steps.count(None),
        "share_next_step": round(sum(step <= 1 for step in followed) / max(1, len(steps)), 3),
        "share_bound": MIN_SHARE,
        "wait_ms": {f"p{100 * q:g}": round(quantile(waits, q), 1) for q in (0.5, 0.9, 1.0)},
        "struck_again": {
            "after": f"{len(again)} of {sounding}",
            "elsewhere": f"{len(repeats) - len(again)} of {round((end - origin) / step_ns)}",
        },
        "bass_onsets": len(bass),
        **list_end_figures(done, xruns),
    }


def within_bounds(found: dict[str, Any]) -> bool:
    """Return True where every figure keeps its bound."""
    return bool(ended_well(found) and found["never"] == 0 and found["share_next_step"] >= MIN_SHARE)


def main() -> int:
    """Perform, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chords", type=int, default=48)
    parser.add_argument("--bpm", type=int, default=120)
    parser.add_argument("--period", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--technique", choices=["gan", "transformer"], default="gan")
    parser.add_argument("--output", choices=["rtmidi", "jack"], default="rtmidi")
    parser.add_argument("--realtime", action="store_true", help="a server with real-time priority, where one may")
    args = parser.parse_args()
    strokes = draw_strokes(args.chords, args.bpm, args.seed)
    end = strokes[-1].tick + 4 * TICKS_PER_BEAT
    tune = some_melody(end / TICKS_PER_BEAT * 60 / args.bpm, args.bpm, args.seed)  # middle C is its lowest note
    notes = sorted([*tune, *(key for stroke in strokes for key in stroke.keys)])
    notes.append(Note(end + TICKS_PER_STEP, 84, TICKS_PER_BEAT, 80))
    with tempfile.TemporaryDirectory() as folder:
        log, report = Path(folder) / "jackd.log", Path(folder) / "report.json"
        options = ["--technique", args.technique, "--harmony", "hands", "--split", str(MIDDLE_C), "--takes", "off"]
        with jack_server(args.period, log, args.realtime):
            done, xruns = count_xruns(
                log, lambda: perform(notes, args.bpm, report, options=options, output=args.output)
            )
    found = figures(done, strokes, args.bpm, xruns)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if within_bounds(found) else 1


if __name__ == "__main__":
    sys.exit(main())
