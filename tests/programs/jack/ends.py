"""Keys left on when a band on a loaded JACK server is told to leave, is killed, or its server runs late, as JSON.

    python -m tests.programs.jack.ends [WAY ...] [--times 30] [--output rtmidi|jack] [--period 128] [--load 4]

A melody is played to a band without a graph, over and over, while `--load` processes keep the processors busy; then it
ends in one of the ways: term (SIGTERM), kill (SIGKILL of the main process alone), xrun (the server stands still for
some 30 ms, again and again, while the band plays on; then SIGTERM). Debian's jack_midi_dump hears what it plays. One
JSON line a way: the ends, those that left keys on ten seconds after the process was gone, how many keys, the longest
that a note sounded, and the number of those that sounded longer than two seconds, which none is meant to. Exit status 1
when a key stayed on. All-notes-off does not count as an end: not every synthesiser obeys.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import rtmidi

from music import midi
from tests.support.jack.server import RATE, start_server
from tests.support.jack.stage import FAKE, PORTS, Stamped, connect, dumped, hanging, process, wait_ready

SERVER = "houseband-ends"
BPM = 120
WAYS = ("term", "kill", "xrun")
#: a note that sounds longer than that has lost its end (s); the longest is meant to be 0.4 s
LONG_S = 2.0
#: how long the band plays while its server runs late again and again (s)
XRUN_SECONDS = 10.0
#: how long after its end a band may still be silenced (s)
PATIENCE_S = 10.0
_BUSY = "while True: sum(range(10_000))"


def play_until(over: threading.Event, sink: str) -> None:
    """Play a melody into a port until told to stop."""
    port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="ends melody")
    port.open_virtual_port("out")
    connect("ends melody:out", sink)
    pitch = 60
    while not over.is_set():
        port.send_message([0x90, pitch, 90])
        over.wait(0.2)
        port.send_message([0x80, pitch, 0])
        over.wait(0.05)
        pitch = 60 + (pitch - 60 + 5) % 12
    port.close_port()
    port.delete()


def disturb(server: subprocess.Popen[bytes], seconds: float, rng: random.Random) -> None:
    """Let the server stand still for a moment, again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.1, 0.4))
        server.send_signal(signal.SIGSTOP)
        time.sleep(rng.uniform(0.01, 0.05))
        server.send_signal(signal.SIGCONT)


def find_longest(heard: Sequence[Stamped]) -> tuple[float, int]:
    """Return the longest time (s) that a key sounded, and how often one sounded longer than LONG_S.

    A second onset ends nothing: its key has sounded on since the first.
    """
    lengths: list[float] = []
    on: dict[midi.Key, int] = {}
    for frame, data in heard:
        if midi.is_note_on(data):
            on.setdefault(midi.key_of(data), frame)
        elif midi.is_note_off(data) and midi.key_of(data) in on:
            lengths.append((frame - on.pop(midi.key_of(data))) / RATE)
    return max(lengths, default=0.0), sum(length > LONG_S for length in lengths)


def _read_dump(path: Path) -> list[Stamped]:
    return dumped(path.read_text(encoding="utf-8", errors="replace"))


def _left_on(path: Path) -> int:
    """Return how many keys sound, as far as has been written down."""
    return len(hanging(_read_dump(path)))


def end_once(way: str, output: str, server: subprocess.Popen[bytes], rng: random.Random) -> dict[str, float]:
    """One band from its first note to a second after its end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dump = stack.enter_context((folder / "heard.txt").open("w"))
        witness = stack.enter_context(process(["stdbuf", "-oL", "jack_midi_dump", "-a", "witness"], stdout=dump))
        command = [*FAKE, str(BPM), str(folder / "report.json"), "internal", output]
        band = stack.enter_context(process(command, stderr=subprocess.PIPE))
        wait_ready(band)
        threading.Thread(target=lambda: list(band.stderr or ()), daemon=True).start()
        sink, source = PORTS[output]
        connect(source, "witness:input")
        over = threading.Event()
        melody = threading.Thread(target=play_until, args=(over, sink), daemon=True)
        melody.start()
        stack.callback(melody.join, 10)
        stack.callback(over.set)
        until = time.monotonic() + 20
        while not (folder / "heard.txt").stat().st_size and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(rng.uniform(1.0, 2.0))
        if way == "xrun":
            disturb(server, XRUN_SECONDS, rng)
        band.send_signal(signal.SIGKILL if way == "kill" else signal.SIGTERM)
        status = band.wait(20)
        until = time.monotonic() + PATIENCE_S
        while _left_on(folder / "heard.txt") and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)
        witness.terminate()
        witness.wait(10)
        heard = _read_dump(folder / "heard.txt")
        longest, lost = find_longest(heard)
        return {
            "keys": len(hanging(heard)),
            "onsets": sum(midi.is_note_on(data) for _, data in heard),
            "longest_s": longest,
            "long": lost,
            "bad_exit": way != "kill" and status != 0,
        }


def repeat(way: str, output: str, times: int, server: subprocess.Popen[bytes]) -> dict[str, object]:
    """End so many times in one way; return what was counted."""
    rng = random.Random(way)
    found = [end_once(way, output, server, rng) for _ in range(times)]
    return {
        "way": way,
        "output": output,
        "ends": len(found),
        "ends_with_keys_on": sum(each["keys"] > 0 for each in found),
        "keys_on": [int(each["keys"]) for each in found if each["keys"]],
        "bad_exits": sum(bool(each["bad_exit"]) for each in found),
        "silent": sum(not each["onsets"] for each in found),
        "onsets": sum(int(each["onsets"]) for each in found),
        "longest_s": round(max(each["longest_s"] for each in found), 2),
        f"longer_than_{LONG_S:g}_s": sum(int(each["long"]) for each in found),
    }


def main() -> int:
    """End in all ways that are asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)} (default: all)")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--output", choices=[*PORTS], default="rtmidi")
    parser.add_argument("--period", type=int, default=128)
    parser.add_argument("--load", type=int, default=2 * (os.cpu_count() or 1), help="busy processes")
    args = parser.parse_args()
    if unknown := set(args.ways) - set(WAYS):
        parser.error(f"no way {min(unknown)!r}; there are {', '.join(WAYS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server and the load are ended
    server = start_server(args.period, False, SERVER)
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(args.load)]
    good = True
    try:
        for way in args.ways or WAYS:
            found = repeat(way, args.output, args.times, server)
            good = good and not (found["ends_with_keys_on"] or found["bad_exits"] or found["silent"])
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
    finally:
        for each in (*busy, server):
            each.kill()
            each.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
