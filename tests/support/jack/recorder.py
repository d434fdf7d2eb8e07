"""Records a MIDI input of its own until its stdin ends; then prints a line `nanoseconds hex` for every message.

A process of its own with nothing else to do, so that its time stamps are as good as python-rtmidi's can be.
Usage: recorder.py CLIENT (its port is CLIENT:in).
"""

from __future__ import annotations

import gc
import sys
import time

import rtmidi


def main() -> None:
    client = sys.argv[1]
    heard: list[tuple[int, bytes]] = []

    def arrived(message: tuple[list[int], float], _data: object) -> None:
        heard.append((time.monotonic_ns(), bytes(message[0])))

    port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=client)
    port.ignore_types(sysex=False, timing=False, active_sense=False)
    port.set_callback(arrived)
    gc.disable()
    port.open_virtual_port("in")
    sys.stdin.read()
    port.close_port()
    sys.stdout.writelines(f"{at} {data.hex()}\n" for at, data in heard)


if __name__ == "__main__":
    main()
