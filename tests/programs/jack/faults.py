"""The list of faults on a real JACK server, as JSON: what is left on, and whether the band plays again without a
restart.

    python -m tests.programs.jack.faults [FAULT ...] [--output rtmidi|jack] [--period 1024]

A clock master of python-rtmidi plays a melody with MIDI clock to a band without a graph; then something happens to it:
server (jackd killed and started again), closed (the master goes without a word), silent (the clock stops in the
middle of a bar and goes on later), jitter (10 ms), bytes (a million at random), notes (2,000 in a second), hung (an
inference that takes 5 s), killed (the worker process), stuck (the server stands still for 5 s), frozen (the band does),
wedged (JACK does not call the band's client any more). `nothing` is what it looks like without a fault. Exit status 1
when a note stays on or the band does not play again. The server is a real-time one where that is allowed: on a busy
machine another loses what is under way, which is a fault of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rtmidi

from tests.support.jack.server import start_server
from tests.support.jack.stage import connect, process, realtime, wait_ready

SERVER = "houseband-faults"  # one name for ever: each new one takes a place in JACK's registry
BPM = 120
SPAN = 60 / BPM / 24


class Witness:
    """Hears the band's output: what sounds, and when the last note began. Outlives its server as the band must."""

    def __init__(self, source: str) -> None:
        self.on: set[tuple[int, int]] = set()
        self.began = 0.0
        self.count = 0
        self._source = source
        self.open()

    def open(self) -> None:
        """Listen."""
        self._port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="fault witness")
        self._port.set_callback(self._heard)
        self._port.open_virtual_port("in")
        connect(self._source, "fault witness:in")

    def close(self) -> None:
        """Listen no more."""
        self._port.close_port()
        self._port.delete()

    def _heard(self, message: tuple[list[int], float], _: object) -> None:
        status, *rest = message[0]
        key = status & 0x0F, rest[0] if rest else 0
        if status & 0xF0 == 0x90 and rest[1]:
            self.on.add(key)
            self.began, self.count = time.monotonic(), self.count + 1
        elif status & 0xF0 in (0x80, 0x90):
            self.on.discard(key)
        elif status & 0xF0 == 0xB0 and rest[0] in (120, 123):
            self.on = {other for other in self.on if other[0] != key[0]}

    def played(self, since: float, seconds: float) -> bool:
        """Return True where a note begins within so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.began > since:
                return True
            time.sleep(0.05)
        return False

    def quiet(self, seconds: float) -> bool:
        """Return True where everything ends within so many seconds."""
        until = time.monotonic() + seconds
        while self.on and time.monotonic() < until:
            time.sleep(0.05)
        return not self.on


class Master:
    """A clock and a melody, in a thread."""

    def __init__(self, sink: str) -> None:
        self.jitter = 0.0
        self.silent = False
        self._sink = sink
        self._over = threading.Event()
        self.open()

    def open(self) -> None:
        """Connect, and begin with Start."""
        self.port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="fault master")
        self.port.open_virtual_port("out")
        connect("fault master:out", self._sink)
        self._over.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def relink(self) -> None:
        """The band's input is another."""
        connect("fault master:out", self._sink)

    def end(self) -> None:
        """Say Stop."""
        self._over.set()
        self._thread.join()
        self.port.send_message([0xFC])

    def close(self) -> None:
        """Go, without a word."""
        self._over.set()
        self._thread.join()
        self.port.close_port()
        self.port.delete()

    def _run(self) -> None:
        rng, tick, begin, pitch = random.Random(1), 0, time.monotonic() + 0.2, 60
        self.port.send_message([0xFA])
        while not self._over.wait(max(0.0, begin + tick * SPAN + rng.uniform(0, self.jitter) - time.monotonic())):
            if not self.silent:
                self.port.send_message([0xF8])
            if tick % 24 == 0:
                pitch = 60 + tick // 24 * 5 % 12
                self.port.send_message([0x90, pitch, 90])
            elif tick % 24 == 20:
                self.port.send_message([0x80, pitch, 0])
            tick += 1


class Stage:
    """A server, a band, a master and a witness."""

    def __init__(self, stack: ExitStack, output: str, period: int, player: str) -> None:
        self._period, self.output = period, output
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.server = self.serve()
        stack.callback(self.end_server)
        command = [
            sys.executable,
            "-m",
            "tests.support.jack.fake_band",
            str(BPM),
            str(self.folder / "report.json"),
            "midi",
        ]
        self.band = stack.enter_context(process([*command, output, player], stderr=subprocess.PIPE))
        wait_ready(self.band)
        self._log: list[str] = []
        assert self.band.stderr is not None
        threading.Thread(target=self._log.extend, args=(self.band.stderr,), daemon=True).start()
        name = "houseband {0}:{0}" if output == "rtmidi" else "houseband:{0}"
        self.witness = Witness(name.format("out"))
        self.master = Master(name.format("in"))

    def serve(self) -> subprocess.Popen[bytes]:
        """A JACK server without hardware."""
        return start_server(self._period, realtime(), SERVER)

    def end_server(self) -> None:
        """Kill it."""
        self.server.kill()
        self.server.wait()

    def child(self) -> int:
        """The worker process of the band."""
        listed = subprocess.run(["pgrep", "-P", str(self.band.pid)], capture_output=True, text=True, check=True)
        return int(listed.stdout.split()[0])


def nothing(_: Stage) -> None:
    """All is well."""
    time.sleep(5)


def server(stage: Stage) -> None:
    """Jackd is killed, and started again."""
    stage.end_server()
    stage.master.close()
    stage.witness.close()
    stage.witness.on.clear()  # what was on went with the server
    time.sleep(3)
    stage.server = stage.serve()
    stage.witness.open()
    stage.master.open()


def closed(stage: Stage) -> None:
    """The DAW goes in the middle of a bar, and is started again."""
    stage.master.close()
    assert stage.witness.quiet(4), "the band plays on without its master"
    stage.master.open()


def silent(stage: Stage) -> None:
    """The clock stops in the middle of a bar without a Stop, and goes on."""
    stage.master.silent = True
    time.sleep(3)
    assert stage.witness.quiet(1), "the band plays on without a clock"
    stage.master.silent = False


def jitter(stage: Stage) -> None:
    """10 ms of jitter."""
    stage.master.jitter = 0.01
    time.sleep(5)


def random_bytes(stage: Stage) -> None:
    """A million bytes in messages that are none."""
    rng, left = random.Random(3), 1_000_000
    while left > 0:
        data = [rng.choice([0x80, 0x90, 0xA0, 0xB0, 0xE0]) | rng.randrange(16), rng.randrange(128), rng.randrange(128)]
        data = rng.choice([data, data, [rng.choice([0xF1, 0xF3]), rng.randrange(128)], [0xF0, *data[1:], 0xF7]])
        stage.master.port.send_message(data)
        left -= len(data)
        if rng.random() < 0.02:
            time.sleep(0.002)
    for channel in range(16):
        stage.master.port.send_message([0xB0 | channel, 123, 0])


def notes(stage: Stage) -> None:
    """2,000 notes in a second."""
    rng = random.Random(4)
    for i in range(2_000):
        pitch = rng.randrange(128)
        stage.master.port.send_message([0x90, pitch, 80])
        stage.master.port.send_message([0x80, pitch, 0])
        if i % 20 == 19:
            time.sleep(0.01)


def hung(stage: Stage) -> None:
    """An inference takes 5 s: the worker stands still."""
    child = stage.child()
    os.kill(child, signal.SIGSTOP)
    time.sleep(5)
    with contextlib.suppress(ProcessLookupError):  # it has been replaced
        os.kill(child, signal.SIGCONT)


def stuck(stage: Stage) -> None:
    """The server stands still for a while, as when the machine sleeps."""
    stage.server.send_signal(signal.SIGSTOP)
    time.sleep(5)
    stage.server.send_signal(signal.SIGCONT)


def frozen(stage: Stage) -> None:
    """The band stands still for a while, its worker too."""
    child = stage.child()
    for pid in (stage.band.pid, child):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5)
    for pid in (stage.band.pid, child):
        os.kill(pid, signal.SIGCONT)


def wedged(stage: Stage) -> None:
    """The way out leads nowhere any more, though the server runs: JACK calls it no more, or has thrown it out."""
    os.kill(stage.band.pid, signal.SIGUSR1)
    time.sleep(1)
    began = time.monotonic()
    assert not stage.witness.played(began, 0.5), "it is not wedged"
    time.sleep(3)
    if stage.output == "rtmidi":  # which cannot make the connections of others again
        stage.witness.close()
        stage.witness.open()
        stage.master.relink()


def killed(stage: Stage) -> None:
    """The worker process is killed."""
    os.kill(stage.child(), signal.SIGKILL)


FAULTS: dict[str, Callable[[Stage], None]] = {
    "nothing": nothing,
    "server": server,
    "closed": closed,
    "silent": silent,
    "jitter": jitter,
    "bytes": random_bytes,
    "notes": notes,
    "hung": hung,
    "killed": killed,
    "stuck": stuck,
    "frozen": frozen,
    "wedged": wedged,
}


def suffer(fault: str, output: str, period: int) -> dict[str, Any]:
    """One fault from beginning to end."""
    with ExitStack() as stack:
        stage = Stage(stack, output, period, "marks")
        assert stage.witness.played(time.monotonic(), 10), "the band did not begin"
        time.sleep(3.3)
        FAULTS[fault](stage)
        began = time.monotonic()
        again = stage.witness.played(began, 15)
        recovered = time.monotonic() - began
        time.sleep(3)
        stage.master.end()
        stopped = stage.witness.quiet(0.5)
        stage.master.close()
        alive = stage.band.poll() is None
        stage.band.terminate()
        status = stage.band.wait(20)
        time.sleep(0.5)
        hanging = len(stage.witness.on)
        stage.witness.close()
        report = json.loads((stage.folder / "report.json").read_text(encoding="utf-8"))
        return {
            "fault": fault,
            "output": output,
            "hanging": hanging,
            "silent_after_stop": stopped,
            "plays_again": again,
            "after_s": round(recovered, 2),
            "alive": alive,
            "exit": status,
            "notes": stage.witness.count,
            "isr": report["isr"],
            "losses": report["losses"],
            "failed": report["failed"],
            **{name: report[name] for name in ("steps", "uncovered", "late", "jumps", "clock_lost", "stalls")},
            "jitter_p99_ms": report["clock_jitter_ms"]["p99"],
        }


def main() -> int:
    """Suffer them all, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)} (default: all)")
    parser.add_argument("--output", choices=["rtmidi", "jack"], default="rtmidi")
    parser.add_argument("--period", type=int, default=1024)
    args = parser.parse_args()
    good = True
    for fault in args.faults or FAULTS:
        if fault not in FAULTS:
            parser.error(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        found = suffer(fault, args.output, args.period)
        found["good"] = bool(
            found["plays_again"]
            and found["alive"]
            and found["silent_after_stop"]
            and found["hanging"] == found["exit"] == 0
        )
        good = good and found["good"]
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
