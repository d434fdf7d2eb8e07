"""JACK servers without hardware."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

RATE = 48_000
#: The name of the programs' server: the same for ever, for each new one takes a place in JACK's registry.
SERVER = os.environ.get("JACK_DEFAULT_SERVER") or "houseband-bench"


def start_server(
    period: int, real_time: bool, name: str = SERVER, log: IO[str] | int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a server, with an environment that finds it. Raises SystemExit when it does not come up.

    period: frames of a cycle; log: where its messages go.
    """
    os.environ |= {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}
    priority = "--realtime" if real_time else "--no-realtime"
    command = ["jackd", priority, "-n", name, "-d", "dummy", "-r", str(RATE), "-p", str(period)]
    for _ in range(5):
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        subprocess.run(["jack_wait", "-w", "-t", "5"], capture_output=True, check=False)
        if server.poll() is None:
            return server
        time.sleep(1)  # a server that has just gone can still hold its name
    raise SystemExit("jackd did not come up")


@contextmanager
def jack_server(period: int, log: Path, real_time: bool = False) -> Iterator[None]:
    """Keep a server running inside the block. Raises SystemExit when it does not come up."""
    with log.open("w") as out:
        server = start_server(period, real_time, log=out)
    try:
        yield
    finally:
        server.terminate()
        server.wait(timeout=10)
