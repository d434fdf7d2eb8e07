"""`make fuzz`: programs gone mad at the control socket of a band that plays, through a real JACK server, as JSON.

    python -m tests.programs.fuzz_socket [--seconds 60] [--clients 12] [--seed 0] [--tcp]

Starts a `jackd -d dummy` of its own and plays a melody to `houseband run`. Meanwhile clients send requests and garbage
as fast as they may, hang up in the middle, or never read; now and then one asks for a panic as a user would. Exit
status 1 unless every step was in time but the ones that panics ended, every panic got through, no note hangs, and
nobody said a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from daemon.control.client import ClientError, ControlClient
from music.note import TICKS_PER_BEAT, Note
from tests.programs.jack.loop import melody as make_melody
from tests.support.hostile import make_line
from tests.support.jack.server import jack_server
from tests.support.jack.stage import hanging, perform

BPM = 120
#: these rightly end what is planned, or change what is measured
_MUSIC = (b"panic", b"stop", b"ending", b"bpm", b"tap", b"pause_bars", b"technique", b"player")
Json = dict[str, Any]


class Attacker(threading.Thread):
    """A client that sends whatever comes to its mind until it is told that it is over."""

    def __init__(self, where: str, seed: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.counts: Counter[str] = Counter()
        self._where, self._rng, self._over = where, random.Random(seed), over

    def run(self) -> None:
        """Connect and attack, over and over."""
        while not self._over.is_set():
            try:
                with connect(self._where) as there:
                    self._attack(there)
            except OSError:
                self.counts["cut off"] += 1
                self._over.wait(0.02)

    def _attack(self, there: socket.socket) -> None:
        reads = self._rng.random() < 0.8
        there.settimeout(0.2)
        for _ in range(self._rng.choice((1, 20, 400))):
            if self._over.is_set():
                return
            line = make_line(self._rng)
            if any(word in line for word in _MUSIC):
                continue
            with suppress(TimeoutError):
                there.sendall(line[: self._rng.randrange(len(line))] if self._rng.random() < 0.02 else line)
                self.counts["lines"] += 1
                if reads:
                    self.counts["bytes read"] += len(there.recv(1 << 16))


def connect(where: str) -> socket.socket:
    """Return a connection to the socket; over TCP one that has not shown the token. Raises OSError."""
    if where.startswith("tcp:"):
        return socket.create_connection(("127.0.0.1", int(where[4:])), timeout=5)
    found = socket.socket(socket.AF_UNIX)
    try:
        found.connect(where)
    except OSError:
        found.close()
        raise
    return found


def panic(where: str, over: threading.Event, every_s: float) -> list[float | str]:
    """Ask for a panic again and again; return how long each took (s), or why it did not get through."""
    found: list[float | str] = []
    while not over.wait(every_s):
        began = time.monotonic()
        try:
            with closing(ControlClient(where)) as client:
                client.ask("panic")
            found.append(round(time.monotonic() - began, 3))
        except ClientError as error:
            found.append(str(error))
    return found


def main() -> int:
    """Attack, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tcp", action="store_true", help="over TCP, where the attackers do not know the token")
    args = parser.parse_args()
    beats = int(args.seconds * BPM / 60)
    tune = [note for note in make_melody(4, 1 + beats // 16) if note.start < beats * TICKS_PER_BEAT]
    tune = [Note(TICKS_PER_BEAT * i, tune[i % 16].pitch, TICKS_PER_BEAT - 2, 90) for i in range(beats)]
    over = threading.Event()
    panics: list[float | str] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        where = "tcp:47115" if args.tcp else str(Path(folder) / "control.sock")
        attackers = [Attacker(where, args.seed * 1000 + i, over) for i in range(args.clients)]
        friend = threading.Thread(target=lambda: panics.extend(panic(where, over, 5.0)), daemon=True)

        def begin() -> None:
            time.sleep(3)
            for each in (*attackers, friend):
                each.start()

        starter = threading.Thread(target=begin, daemon=True)
        config = Path(folder, "config.toml")  # what is learnt is kept beside it
        config.touch()
        options = ["--control", where, "--takes", "off", "--config", str(config)]
        with jack_server(256, Path(folder) / "jackd.log"):
            starter.start()
            done = perform(tune, BPM, Path(folder) / "report.json", options=options)
        over.set()
        friend.join(10)
    counts = sum((each.counts for each in attackers), Counter[str]())
    missed = done.report["steps"] - done.report["in_time"]
    found: Json = {
        "missed_steps": missed,
        "isr": done.report["isr"], "lateness_ms": done.report["lateness_ms"], "counts": dict(counts), "panics": panics,
        "refused": done.report.get("refused"), "hanging": len(hanging(done.heard)), "status": done.status,
        "tracebacks": done.stderr.count("Traceback"), "warnings": done.stderr.splitlines()[:20],
    }  # fmt: skip
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    through = bool(panics) and all(isinstance(each, float) for each in panics[:-1])
    well = missed <= len(panics) and found["hanging"] == found["status"] == found["tracebacks"] == 0 and through
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
