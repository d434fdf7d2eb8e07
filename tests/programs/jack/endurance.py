"""Ten real minutes at 180 bpm through a JACK server while another process keeps every core busy.

    python -m tests.programs.jack.endurance [options of tests.programs.jack.bench]

Prints what tests.programs.jack.bench prints. Exit status 1 when a step was not in time or a note stayed on; its other
figures show how such a machine keeps time, and decide nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys

from tests.support.jack.stage import ROOT


def burn() -> None:
    """Keep a core busy."""
    while True:
        sum(range(10_000))


def main() -> int:
    """Burn and measure."""
    burning = [multiprocessing.Process(target=burn, daemon=True) for _ in range(multiprocessing.cpu_count())]
    for process in burning:
        process.start()
    try:
        bench = [sys.executable, "-m", "tests.programs.jack.bench"]
        command = [*bench, "--bpm", "180", "--seconds", "600", "--period", "1024"]
        done = subprocess.run([*command, *sys.argv[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    finally:
        for process in burning:
            process.kill()
    sys.stdout.write(done.stdout)
    if not done.stdout.startswith("{"):  # --help, or a mistake in the options
        return done.returncode
    found = json.loads(done.stdout)
    return 0 if found["isr"] == 1.0 and found["hanging"] == found["status"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
