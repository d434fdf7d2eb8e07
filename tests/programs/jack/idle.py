"""Start, memory and processor time of the service when nobody plays, on this machine, as JSON.

    python -m tests.programs.jack.idle [--minutes 10] [--play 20] [--starts 5] [--output rtmidi|jack] [run-options after
    --]

The band runs as its unit runs it (readiness and watchdog are a service manager's, played here), on a JACK server of
no hardware. It is started a few times, then plays along for some seconds, is told to stop, and is watched while it
idles. RSS counts what processes share in each of them, PSS once. Exit status 1 when a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daemon.diagnostics import measure
from daemon.diagnostics.bench import USUAL_PERIOD
from daemon.diagnostics.midi_system import open_midi_system
from tests.programs.jack.bench import some_melody
from tests.support.jack.stage import PORTS, ROOT, play

BPM = 120
#: what is asked of the service: MB resident, per cent of a core, seconds from start to ready
MEGABYTES, CPU, READY = 200, 1.0, 1.0
_NAMES = {"daemon.players.worker": "worker", "daemon.control.server": "control", "-m daemon run": "conductor"}


@contextmanager
def service(options: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The band as a service, from when it is ready, and the seconds that took."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = folder / "notify"
        address.unlink(missing_ok=True)
        manager.bind(str(address))
        environment = {
            **os.environ, "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "10000000", "XDG_RUNTIME_DIR": str(folder),
            "HOUSEBAND_CONFIG": os.devnull, "HOUSEBAND_TAKES": str(folder / "takes"),
        }  # fmt: skip
        ready = threading.Event()
        threading.Thread(target=_listen, args=(manager, ready), daemon=True).start()
        begun = time.monotonic()
        band = subprocess.Popen([sys.executable, "-m", "daemon", "run", *options], cwd=ROOT, env=environment)
        try:
            while not ready.wait(0.05):
                if band.poll() is not None:
                    raise SystemExit("the band does not start")
            yield band, time.monotonic() - begun
        finally:
            band.terminate()
            band.wait(20)


def _listen(manager: socket.socket, ready: threading.Event) -> None:
    """Reads what the band tells its manager until that is gone."""
    with suppress(OSError):
        while said := manager.recv(4096):
            if b"READY=1" in said:
                ready.set()


def family(root: int) -> dict[str, int]:
    """The service's processes by name."""
    found = {}
    for process in [root, *measure.find_children(root)]:
        line = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        found[next((name for mark, name in _NAMES.items() if mark in line), line)] = process
    return found


def memory(processes: dict[str, int]) -> dict[str, dict[str, float]]:
    """MB of each, and of all: what is resident (RSS) without the JACK server's own memory, which its clients share,
    that memory, and the proportional share of everything (PSS)."""
    found: dict[str, dict[str, float]] = {"rss": {}, "of_jack": {}, "pss": {}}
    for name, process in processes.items():
        status, rollup = (Path(f"/proc/{process}/{file}").read_text() for file in ("status", "smaps_rollup"))
        found["rss"][name] = _mb("RssAnon", status) + _mb("RssFile", status)
        found["of_jack"][name] = _mb("RssShmem", status)
        found["pss"][name] = _mb("Pss", rollup)
    return {key: {**_rounded(each), "all": round(sum(each.values()), 1)} for key, each in found.items()}


def _mb(key: str, text: str) -> float:
    told = re.search(rf"^{key}:\s+(\d+)", text, re.M)
    return int(told[1]) / 1024 if told else 0.0


def _rounded(each: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in each.items()}


def _cpu_s(process: int) -> float:
    """Seconds of processor time that all threads of a process have used."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def told(folder: Path, *words: str) -> None:
    """Tells the band something through its socket."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    subprocess.run([sys.executable, "-m", "daemon", *words], cwd=ROOT, env=environment, check=True)


def measured(asked: argparse.Namespace, folder: Path, api: str) -> dict[str, Any]:
    """All figures."""
    options = ["--api", api, "--output", asked.output, *asked.options]
    starts = []
    for _ in range(asked.starts):
        with service(options, folder) as (_, seconds):
            starts.append(round(seconds, 3))
    with service(options, folder) as (band, seconds):
        starts.append(round(seconds, 3))
        time.sleep(2)
        found: dict[str, Any] = {"ready_s": sorted(starts), "fresh_mb": memory(family(band.pid))}
        if asked.play:
            for technique in asked.techniques:
                told(folder, "set", "technique", technique)
                told(folder, "set", "start")
                play(some_melody(asked.play, BPM, 0), BPM, PORTS[asked.output][0])
                told(folder, "set", "stop")
                time.sleep(3)
                found.setdefault("played_mb", {})[technique] = memory(family(band.pid))
        processes = family(band.pid)
        before = {name: _cpu_s(process) for name, process in processes.items()}
        begun = time.monotonic()
        time.sleep(60 * asked.minutes)
        seconds = time.monotonic() - begun
        used = {name: 100 * (_cpu_s(processes[name]) - cpu) / seconds for name, cpu in before.items()}
        found["idle_s"] = round(seconds)
        found["cpu_percent"] = {**{k: round(v, 3) for k, v in used.items()}, "all": round(sum(used.values()), 3)}
        found["idle_mb"] = memory(family(band.pid))
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--play", type=float, default=20)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--output", choices=list(PORTS), default="rtmidi")
    parser.add_argument("--techniques", nargs="+", default=["gan"])
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_midi_system(USUAL_PERIOD) as midi:
        if midi is None:
            sys.stderr.write("Error: no MIDI system, and no jackd to start one\n")
            return 2
        found = measured(asked, Path(folder), midi.api)
    median = found["ready_s"][len(found["ready_s"]) // 2]
    found["bounds"] = {
        "RSS": [found["idle_mb"]["rss"]["all"], MEGABYTES],
        "CPU": [found["cpu_percent"]["all"], CPU],
        "ready, median": [median, READY],
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0 if all(value < bound for value, bound in found["bounds"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
