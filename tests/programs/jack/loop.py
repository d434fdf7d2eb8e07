"""The loop that the AR-CNN edits, through a real JACK server, as JSON: on the grid, heard as told, nothing left on.

    python -m tests.programs.jack.loop [--passes 12] [--bars 4] [--bpm 120] [--period 128] [--edits 10] [--output
    rtmidi|jack]

Starts a `jackd -d dummy` of its own, plays some bars to `houseband run --technique arcnn`, then lets them go round
while edits stream in, each told to a subscriber of the control socket and as SysEx on the output. Scatter and lateness
are those of tests.programs.jack.bench. `heard_wrong` are edits after which a note did not sound when the band came
there next,
though it had been added, or did, though it had been removed. Exit status 1 when a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daemon.control.client import ClientError, ControlClient
from daemon.core.counters import quantile
from music.edits.sysex import decode_sysex
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Note
from tests.programs.jack.bench import scatter
from tests.support.jack.server import RATE, jack_server
from tests.support.jack.stage import Performance, count_xruns, ended_well, list_end_figures, onsets, perform

BAR = 4 * TICKS_PER_BEAT
CHANNEL = 4  # 5 as musicians count
Json = dict[str, Any]
#: roots of a bar each, over which somebody plays a tune
_TUNE = ((60, 64, 67, 72), (65, 69, 72, 69), (67, 71, 74, 71), (64, 67, 72, 60))


def melody(bars: int, passes: int) -> list[Note]:
    """So many bars in crotchets and quavers; one note, overdubbed, two passes later; one at the very end."""
    notes = []
    for bar in range(bars):
        for beat, pitch in enumerate(_TUNE[bar % len(_TUNE)]):
            start = bar * BAR + beat * TICKS_PER_BEAT
            notes.append(Note(start, pitch, TICKS_PER_BEAT // (1 + beat % 2) - 2, 90))
    notes.append(Note(2 * bars * BAR + TICKS_PER_BEAT, 79, TICKS_PER_BEAT - 2, 100))
    notes.append(Note(passes * bars * BAR, 84, TICKS_PER_BEAT, 100))
    return notes


class Subscriber(threading.Thread):
    """Hears of edits and of the band's notes until the band leaves."""

    def __init__(self, where: Path) -> None:
        super().__init__(daemon=True)
        self.edits: list[Json] = []
        self.notes: list[Json] = []
        self._where = str(where)

    def run(self) -> None:
        """Subscribe as soon as somebody is there."""
        client = None
        for _ in range(1_000):
            try:
                client = ControlClient(self._where)
                break
            except ClientError:
                threading.Event().wait(0.02)
        if client is None:
            return
        client.ask("subscribe", to=["edits", "notes"])
        for event in client.read_events():
            if event["event"] == "edit":
                self.edits.append(event)
            elif event["event"] == "note" and event["role"] == "edits" and event["on"]:
                self.notes.append(event)


def heard_wrong(edits: Iterable[Json], notes: Iterable[Json], loop: int, last: int) -> list[Json]:
    """Edits that were not heard as they should have been, the next time the band came to their place, which is at or
    after the step it was in; up to the tick `last`. loop: ticks of it."""
    onsets_at = {(note["tick"], note["pitch"]) for note in notes}
    made = sorted(edits, key=lambda edit: int(edit["serial"]))
    wrong = []
    for index, edit in enumerate(made):
        place = (edit["bar"] - 1) * BAR + edit["step"] * TICKS_PER_STEP
        due = edit["tick"] + (place - edit["tick"]) % loop
        if due == edit["tick"]:
            continue  # in the very tick: either way is right
        same = ("bar", "step", "pitch")
        again = [e for e in made[index + 1 :] if all(e[k] == edit[k] for k in same) and e["tick"] <= due]
        if due < last and not again and ((due, edit["pitch"]) in onsets_at) != (edit["action"] == "add"):
            wrong.append(edit)
    return wrong


def figures(done: Performance, told: Subscriber, bpm: int, period: int, loop: int, xruns: int) -> dict[str, Any]:
    """Return all figures, and the bounds."""
    step_ns = 60e9 / bpm / 4
    mine = [at for at, data in onsets(done.heard) if data[0] & 0x0F == CHANNEL]
    messages = [decode_sysex(data) for _, data in done.heard if data[0] == 0xF0]
    last = max((note["tick"] for note in told.notes), default=0)
    return {
        "onsets": len(mine),
        "scatter_ms": scatter(mine, step_ns, 1e-6),
        "scatter_bound_ms": round(period / RATE * 1000 + 1, 3),
        "lateness_ms": done.report["lateness_ms"],
        "bare_wait_ms": {f"p{100 * q:g}": round(quantile(done.bare, q) / 1e6, 3) for q in (0.5, 0.99, 0.999)},
        "edits": len(told.edits),
        "removals": sum(edit["action"] == "remove" for edit in told.edits),
        "edits_as_sysex": len(messages),
        "heard_wrong": len(heard_wrong(told.edits, told.notes, loop, last)),
        **list_end_figures(done, xruns),
    }


def within_bounds(found: dict[str, Any]) -> bool:
    """Return True where every figure keeps its bound."""
    return bool(
        found["scatter_ms"]["p99"] <= found["scatter_bound_ms"]
        and found["edits"] == found["edits_as_sysex"] > 0
        and found["heard_wrong"] == 0
        and ended_well(found)
    )


def main() -> int:
    """Perform, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=12, help="how often the loop goes round")
    parser.add_argument("--bars", type=int, default=4)
    parser.add_argument("--bpm", type=int, default=120)
    parser.add_argument("--period", type=int, default=128)
    parser.add_argument("--edits", type=float, default=10, help="edits a second, at most")
    parser.add_argument("--risk", type=float, default=1.5, help="creative risk")
    parser.add_argument("--output", choices=["rtmidi", "jack"], default="rtmidi")
    parser.add_argument("--style", default="chorale")
    parser.add_argument("--graph", default="")
    parser.add_argument("--realtime", action="store_true", help="a server with real-time priority, where one may")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log, report, where = (Path(folder) / name for name in ("jackd.log", "report.json", "control.sock"))
        options = ["--technique", "arcnn", "--style", args.style, "--loop-bars", str(args.bars), "--overdub", "true"]
        options += ["--edits-per-second", str(args.edits), "--edit-sysex", "true", "--creative-risk", str(args.risk)]
        options += ["--control", str(where), "--takes", "off", *(["--graph", args.graph] if args.graph else [])]
        told = Subscriber(where)
        with jack_server(args.period, log, args.realtime):
            told.start()
            tune = melody(args.bars, args.passes)
            done, xruns = count_xruns(log, lambda: perform(tune, args.bpm, report, options=options, output=args.output))
        told.join(10)
    found = figures(done, told, args.bpm, args.period, args.bars * BAR, xruns)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if within_bounds(found) else 1


if __name__ == "__main__":
    sys.exit(main())
