"""Records JACK output ports until its stdin ends; then writes an .npz: samples, and the moment (ns) of the first.

Usage: listener.py FILE.npz PORT. Prints `ready` once it listens.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jack
import numpy as np


def main() -> None:
    path, source = Path(sys.argv[1]), sys.argv[2]
    client = jack.Client("listener", no_start_server=True)
    port = client.inports.register("in")
    heard: list[np.ndarray] = []
    moments: list[int] = []

    def process(_frames: int) -> None:
        moments.append(time.monotonic_ns())
        heard.append(port.get_array().copy())

    client.set_process_callback(process)
    rate = client.samplerate
    with client:
        client.connect(source, port)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
    np.savez(path, samples=placed(moments, heard, rate), begin=moments[0], rate=rate)


def placed(moments: list[int], heard: list[np.ndarray], rate: int) -> np.ndarray:
    """The blocks side by side as they sounded, from moments[0] on: callbacks come late by chance and never early, so a
    block's place is the earliest that its neighbours of a quarter of a second allow; an xrun leaves a gap."""
    length = len(heard[0])
    reach = rate // 4 // length
    starts = (np.array(moments) - moments[0]) * rate / 1e9 - np.arange(len(heard)) * length
    places = [int(starts[max(0, k - reach) : k + reach + 1].min()) + k * length for k in range(len(heard))]
    out = np.zeros(max(places) + length, np.float32)
    for place, block in zip(places, heard, strict=True):
        skipped = max(0, -place)  # the first blocks, when the very first came late
        out[place + skipped : place + length] = block[skipped:]
    return out


if __name__ == "__main__":
    main()
