"""Timing through a real JACK server, as JSON: how far the band's notes scatter, how late they leave, what is left on.

    python -m tests.programs.jack.bench [--onsets 1000] [--bpm 140] [--period 128] [--graph FILE] [--no-realtime]
    [--fake]

Starts a `jackd -d dummy` of its own. Scatter is the deviation of recorded onsets from their mean offset to the grid of
sixteenths, by the machine's clock (the frames of a server without hardware stand still during an xrun); lateness is
that of sending against the schedule, as the band reports it, beside bare deadline waits of another process in the same
run. An xrun loses or delays what is under way: the more of them, the less the figures say about the band. Exit status
1 when a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon.core.counters import quantile
from music.note import TICKS_PER_BEAT, Note
from tests.support.jack.server import RATE, jack_server
from tests.support.jack.stage import (
    Performance,
    count_xruns,
    ended_well,
    list_end_figures,
    offsets,
    onsets,
    perform,
    realtime,
)


def some_melody(seconds: float, bpm: int, seed: int) -> list[Note]:
    """A random walk through a major scale in quavers and crotchets."""
    rng = random.Random(seed)
    scale = [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79]
    notes, tick, degree = [], 0, 4
    while tick < seconds * bpm / 60 * TICKS_PER_BEAT:
        length = rng.choice([12, 12, 24])
        notes.append(Note(tick, scale[degree], length - 2, rng.randint(70, 100)))
        tick += length
        degree = min(len(scale) - 1, max(0, degree + rng.choice([-2, -1, 1, 2])))
    return notes


def scatter(times: Sequence[int], step: float, unit_ms: float) -> dict[str, float]:
    """Deviations of onsets from their mean offset to the grid, in ms."""
    off = [x * unit_ms for x in offsets(times, step)]
    away = [abs(x) for x in off]
    sd = (sum(x * x for x in off) / max(1, len(off))) ** 0.5
    found = {"sd": sd, "p50": quantile(away, 0.5), "p99": quantile(away, 0.99), "worst": max(away, default=0.0)}
    return {name: round(value, 3) for name, value in found.items()}


def figures(done: Performance, bpm: int, period: int, xruns: int) -> dict[str, Any]:
    """Return all figures, and the bounds."""
    step_ns = 60e9 / bpm / 4
    late = done.report["lateness_ms"]
    bare = {f"p{100 * share:g}": round(quantile(done.bare, share) / 1e6, 3) for share in (0.5, 0.99, 0.999, 1.0)}
    return {
        "onsets": len(onsets(done.heard)),
        "scatter_ms": scatter([at for at, _ in onsets(done.heard)], step_ns, 1e-6),
        "scatter_bound_ms": round(period / RATE * 500 + 1, 3),
        "lateness_ms": late,
        "lateness_bound_ms": round(step_ns / 4e6, 3),
        "bare_wait_ms": bare,
        "later_than_bare_p99.9_ms": round(late["p99.9"] - bare["p99.9"], 3) if late["count"] else None,
        **list_end_figures(done, xruns),
        "lost_onsets": done.report["onsets"] - len(onsets(done.heard)),
        "steps": {name: done.report[name] for name in ("steps", "in_time", "late", "uncovered", "failed")},
    }


def within_bounds(found: dict[str, Any]) -> bool:
    """Return True where every figure keeps its bound."""
    return bool(
        found["scatter_ms"]["p99"] <= found["scatter_bound_ms"]
        and found["lateness_ms"]["p99"] <= found["lateness_bound_ms"]
        and found["later_than_bare_p99.9_ms"] <= 1.0
        and ended_well(found)
    )


def main() -> int:
    """Perform until there are enough onsets, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onsets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0, help="how long to play (default: guessed from --onsets)")
    parser.add_argument("--bpm", type=int, default=140)
    parser.add_argument("--period", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--style", default="pop")
    parser.add_argument("--graph", default="")
    parser.add_argument(
        "--realtime",
        action=argparse.BooleanOptionalAction,
        default=realtime(),
        help="a server with real-time priority (default: where it is allowed)",
    )
    parser.add_argument("--fake", action="store_true", help="a player without a graph")
    args = parser.parse_args()
    seconds = args.seconds or args.onsets / (args.bpm / 60 * 3)
    options = ["--style", args.style, *(["--graph", args.graph] if args.graph else [])]
    with tempfile.TemporaryDirectory() as folder:
        log, report = Path(folder) / "jackd.log", Path(folder) / "report.json"
        with jack_server(args.period, log, args.realtime):
            melody = some_melody(seconds, args.bpm, args.seed)
            done, xruns = count_xruns(log, lambda: perform(melody, args.bpm, report, options=options, fake=args.fake))
    found = figures(done, args.bpm, args.period, xruns)
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if within_bounds(found) and found["onsets"] >= args.onsets else 1


if __name__ == "__main__":
    sys.exit(main())
