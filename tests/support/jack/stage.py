"""A stage on a real JACK server: somebody plays a melody to the band, and what it answers is recorded.

Two recorders listen: one of python-rtmidi that stamps the machine's clock, and Debian's jack_midi_dump, which stamps
JACK's frames and is nobody of ours. Both go on until a second after the band was told to leave.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import rtmidi

from daemon.system.live_world import LiveWorld
from music import midi
from music.note import TICKS_PER_BEAT, Note

ROOT = Path(__file__).resolve().parents[3]
RUN = [sys.executable, "-m", "daemon", "run"]
FAKE = [sys.executable, "-m", "tests.support.jack.fake_band"]
IN_PORT, OUT_PORT = "houseband in:in", "houseband out:out"
#: output -> (in, out)
PORTS = {"rtmidi": (IN_PORT, OUT_PORT), "jack": ("houseband:in", "houseband:out")}
#: ns between two bare waits
BARE_INTERVAL = 20_000_000
#: of a real-time JACK server, where it is allowed
PRIORITY = 70
Stamped = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Performance:
    """played: the melody's messages with the ns they were sent at; heard: the band's with the ns of their arrival;
    frames: the same with JACK's frame time; report: what `--report` wrote; bare: lateness of bare waits, ns."""

    played: list[Stamped]
    heard: list[Stamped]
    frames: list[Stamped]
    report: dict[str, Any]
    bare: list[int]
    status: int
    stderr: str


def perform(
    melody: Sequence[Note],
    bpm: int,
    report: Path,
    *,
    options: Sequence[str] = (),
    fake: bool = False,
    output: str = "rtmidi",
) -> Performance:
    """Let the band play along with a melody; it is told to leave (SIGTERM) while the melody's last note sounds.
    output: as `houseband run` has it."""
    if fake:
        command = [*FAKE, str(bpm), str(report)]
    else:
        command = [*RUN, "--api", "jack", "--output", output, "--bpm", str(bpm), "--report", str(report), *options]
    with ExitStack() as stack:
        recorder = stack.enter_context(process([sys.executable, "-m", "tests.support.jack.recorder", "recorder"]))
        dump = stack.enter_context((report.parent / "witness.txt").open("w"))
        witness = stack.enter_context(process(["stdbuf", "-oL", "jack_midi_dump", "-a", "witness"], stdout=dump))
        bare = stack.enter_context(process([sys.executable, "-m", "tests.support.jack.bare_wait", str(BARE_INTERVAL)]))
        band = stack.enter_context(process(command, stderr=subprocess.PIPE))
        stderr = wait_ready(band)
        for port in ("recorder:in", "witness:input"):
            connect(PORTS[output][1], port)
        played = play(melody, bpm, PORTS[output][0])
        band.terminate()
        stderr += band.communicate(timeout=20)[1]
        time.sleep(1)
        heard = [(int(at), bytes.fromhex(data)) for at, data in (line.split() for line in ended(recorder))]
        witness.terminate()
        witness.wait(timeout=10)
        return Performance(
            played,
            heard,
            dumped((report.parent / "witness.txt").read_text(encoding="utf-8", errors="replace")),
            json.loads(report.read_text(encoding="utf-8")),
            [int(line) for line in ended(bare)],
            band.returncode,
            stderr,
        )


@contextmanager
def process(
    command: list[str], stdout: int | IO[str] = subprocess.PIPE, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A program in the checkout's root that does not outlive the block."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def realtime() -> bool:
    """Return True where a server with real-time priority may be had."""
    with suppress(OSError, AttributeError):
        usual = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        os.sched_setscheduler(0, *usual)
        return True
    return False


def wait_ready(band: subprocess.Popen[str]) -> str:
    """Reads what the band says until it is ready. Raises AssertionError when it ends before."""
    said = ""
    assert band.stderr is not None
    for line in band.stderr:
        said += line
        if "houseband is ready" in line:
            return said
    raise AssertionError(f"the band did not start: {said}")


def connect(source: str, sink: str) -> None:
    """Connects two JACK ports, as soon as both are there, unless somebody else has."""
    for attempt in range(100, -1, -1):
        done = subprocess.run(["jack_connect", source, sink], capture_output=True, text=True, check=False)
        if done.returncode == 0 or connected(source, sink):
            return
        assert attempt, f"{source} -> {sink}: {done.stderr}"
        time.sleep(0.05)


def connected(source: str, sink: str) -> bool:
    """Return True where one JACK port plays into another."""
    listed = subprocess.run(["jack_lsp", "-c", source], capture_output=True, text=True, check=False).stdout
    return sink in (line.strip() for line in listed.splitlines() if line.startswith(" "))


def play(melody: Sequence[Note], bpm: int, into: str = IN_PORT) -> list[Stamped]:
    """Plays it to the band in real time; all but the last note's end. Returns what was sent and when (ns)."""
    port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="melody")
    port.open_virtual_port("out")
    try:
        connect("melody:out", into)
        world = LiveWorld()
        begin = world.now() + 300_000_000
        events = [(n.start, 1, midi.note_on(0, n.pitch, n.velocity)) for n in melody]
        events += [(n.end, 0, midi.note_off(0, n.pitch)) for n in melody]
        played = []
        for tick, _, data in sorted(events)[:-1]:
            world.wait(begin + tick * 60_000_000_000 // (bpm * TICKS_PER_BEAT))
            played.append((world.now(), data))
            port.send_message(data)
        world.wait(world.now() + 50_000_000)
        return played
    finally:
        port.close_port()
        port.delete()


def ended(running: subprocess.Popen[str]) -> list[str]:
    """Closes a program's stdin and returns the lines it prints then."""
    return running.communicate(timeout=20)[0].splitlines()


def dumped(text: str) -> list[Stamped]:
    """jack_midi_dump's lines `frame: 90 3c 50 ...` as (frame, message)."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*(\d+):((?: [0-9a-f]{2})+)", line)
        if match:
            found.append((int(match[1]), bytes.fromhex(match[2])))
    return found


def onsets(messages: Sequence[Stamped]) -> list[Stamped]:
    """The note-ons."""
    return [(at, data) for at, data in messages if midi.is_note_on(data)]


def hanging(messages: Sequence[Stamped]) -> set[tuple[int, int]]:
    """(channel, pitch) of notes that never end. All-notes-off does not count as an end: not every synthesiser obeys."""
    on: set[tuple[int, int]] = set()
    for _, data in messages:
        if midi.is_note_on(data):
            on.add(midi.key_of(data))
        elif midi.is_note_off(data):
            on.discard(midi.key_of(data))
    return on


def count_xruns(log: Path, play: Callable[[], Performance]) -> tuple[Performance, int]:
    """Let a performance be played; return it, and how many xruns the server's log tells of meanwhile."""
    before = log.read_text(errors="replace").count("XRun")
    done = play()
    return done, log.read_text(errors="replace").count("XRun") - before


def list_end_figures(done: Performance, xruns: int) -> dict[str, Any]:
    """Return how a performance ended, as every program that measures one prints it."""
    return {
        "hanging": len(hanging(done.heard)),
        "hanging_witness": len(hanging(done.frames)),
        "isr": done.report["isr"],
        "inference_ms": done.report["inference_ms"],
        "status": done.status,
        "xruns": xruns,
    }


def ended_well(found: Mapping[str, Any]) -> bool:
    """Return True where these figures say that no note was left on and the band left with status 0."""
    return bool(found["hanging"] == found["hanging_witness"] == found["status"] == 0)


def offsets(times: Sequence[int], step: float) -> list[float]:
    """Return the distance of each moment from the nearest point of a grid of that width, less the mean of all."""
    if not times:
        return []
    origin: float = times[0]
    for _ in range(2):  # the first onset may itself be the odd one
        off = [(at - origin + step / 2) % step - step / 2 for at in times]
        origin += sorted(off)[len(off) // 2]
    off = [(at - origin + step / 2) % step - step / 2 for at in times]
    mean = sum(off) / len(off)
    return [x - mean for x in off]
