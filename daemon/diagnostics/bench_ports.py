"""Figures of a band with MIDI ports: messages passed through, start to ready, memory, and what waiting costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from daemon.core.counters import quantile
from daemon.diagnostics import measure
from daemon.diagnostics.bench_process import BenchError, BenchOptions, keep_band, keep_workload, run_workload
from daemon.diagnostics.bench_row import Row, compare_rounds, flatten
from daemon.diagnostics.midi_system import MidiSystem
from daemon.midi.rtmidi_library import find_api, load_rtmidi

MESSAGES_PER_ROUND = 120
MESSAGE_INTERVAL_S = 0.0053
_NOT_TOLD = "this system does not tell"


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Times of messages through the band and through a bare rtmidi callback."""

    label: str
    #: "band" or "bare" -> milliseconds by round
    times_ms: dict[str, list[list[float]]]
    #: "band" or "bare" -> messages that did not arrive
    lost: dict[str, int]


def measure_pass_through(options: BenchOptions, midi: MidiSystem) -> PassThrough:
    """Send messages through the band's ports and through bare ones, in turns."""
    options.say("messages passed through")
    found = PassThrough(midi.label, {"band": [], "bare": []}, {"band": 0, "bare": 0})
    with ExitStack() as stack:
        probes = {}
        for kind in found.times_ms:
            stack.enter_context(keep_workload("echo", midi.api, kind))
            probes[kind] = stack.enter_context(_connect_probe(midi.api, kind))
        for number in range(options.rounds + 1):
            for kind, (send, arrived) in probes.items():
                arrived.clear()
                sent = measure.send_spaced(send, measure.make_messages(MESSAGES_PER_ROUND), MESSAGE_INTERVAL_S)
                time.sleep(0.1)
                if number:  # the first round warms up
                    loop = measure.match_arrivals(sent, arrived)
                    found.times_ms[kind].append([t / 1e6 for t in loop.times])
                    found.lost[kind] += loop.lost
    return found


@contextlib.contextmanager
def _connect_probe(api: str, kind: str) -> Iterator[tuple[measure.Sender, list[tuple[int, bytes]]]]:
    """Connect to the ports of the workload `echo`: how to send into them, and what comes back. Raises BenchError."""
    rtmidi = load_rtmidi()
    code, name = find_api(rtmidi, api), f"houseband {kind}"
    sender, receiver = (make(code, name=f"{name} probe") for make in (rtmidi.MidiOut, rtmidi.MidiIn))
    arrived: list[tuple[int, bytes]] = []
    try:
        for port, end in ((sender, "in"), (receiver, "out")):
            there = [index for index, text in enumerate(port.get_ports()) if f"{name} {end}" in text]
            if not there:
                raise BenchError(f"the port '{name} {end}' does not appear")
            port.open_port(there[-1], end)
        receiver.set_callback(lambda message, _data: arrived.append((time.monotonic_ns(), bytes(message[0]))))
        time.sleep(0.1)
        yield sender.send_message, arrived
    finally:
        for port in (sender, receiver):
            port.close_port()
            port.delete()


def report_pass_through(found: PassThrough) -> Row:
    """Report the median time through the band beside that through bare rtmidi."""
    mine, theirs = found.times_ms["band"], found.times_ms["bare"]
    return compare_rounds(f"pass-through ({found.label}), p50", "ms", mine, "bare rtmidi", theirs)


def report_pass_through_tail(found: PassThrough) -> Row:
    """Report how long one message of a hundred takes through the band, and through bare rtmidi."""
    worst = [quantile(flatten(found.times_ms[kind]), 0.99) for kind in ("band", "bare")]
    return Row(f"pass-through ({found.label}), p99", "ms", worst[0], "bare rtmidi", worst[1])


def report_lost_messages(found: PassThrough) -> Row:
    """Report how many messages did not arrive."""
    return Row("messages lost on the way", "", found.lost["band"], "bare rtmidi", found.lost["bare"])


def draw_pass_through(found: PassThrough) -> dict[str, dict[str, list[float]]]:
    """Return the histogram of the times."""
    mine, theirs = flatten(found.times_ms["band"]), flatten(found.times_ms["bare"])
    return {f"pass-through ({found.label}), ms": {"houseband": mine, "bare rtmidi": theirs}}


@dataclass(frozen=True, slots=True)
class StartTimes:
    """Seconds until the band is ready, and until Python has loaded the libraries alone, by turn."""

    label: str
    band: list[list[float]]
    bare: list[list[float]]


def measure_start(options: BenchOptions, midi: MidiSystem) -> StartTimes:
    """Start the band, and Python with its libraries, in turns."""
    found = StartTimes(midi.label, [], [])
    for number in range(2 * options.rounds):
        options.say(f"start, {number + 1} of {2 * options.rounds}")
        begun = time.monotonic()
        run_workload("start")
        found.bare.append([time.monotonic() - begun])
        begun = time.monotonic()
        with keep_band(options, midi.api):
            found.band.append([time.monotonic() - begun])
    return found


def report_start(found: StartTimes) -> Row:
    """Report the time from start to ready."""
    figure = f"start to ready ({found.label})"
    return compare_rounds(figure, "s", found.band, "Python with its libraries", found.bare, "1 s", 1)


@dataclass(frozen=True, slots=True)
class IdleCost:
    """Cost of the band while nobody plays, beside bare ports that do nothing."""

    label: str
    #: megabytes of the band and of the bare ports; None where the system does not tell
    memory_mb: tuple[float | None, float | None]
    #: percent of a core by turn; empty where the system does not tell
    cpu: tuple[list[list[float]], list[list[float]]]


def measure_waiting(options: BenchOptions, midi: MidiSystem) -> IdleCost:
    """Let the band and bare ports wait side by side, and read their memory and processor time."""
    options.say("waiting")
    with keep_band(options, midi.api) as band, keep_workload("ports", midi.api) as bare:
        time.sleep(2)
        found = IdleCost(midi.label, (measure.read_memory_mb(band.pid), measure.read_memory_mb(bare.pid)), ([], []))
        for _ in range(4 * options.rounds):
            before = [measure.read_cpu_ns(process.pid) for process in (band, bare)]
            begun = time.monotonic_ns()
            time.sleep(0.3 * options.seconds)
            after = [measure.read_cpu_ns(process.pid) for process in (band, bare)]
            length = time.monotonic_ns() - begun
            for side, b, a in zip(found.cpu, before, after, strict=True):
                if a is not None and b is not None:
                    side.append([100 * (a - b) / length])
    return found


def report_memory(found: IdleCost) -> Row:
    """Report the resident memory of all processes together."""
    band, bare = found.memory_mb
    if band is None or bare is None:
        return Row("memory", "MB", note=_NOT_TOLD)
    return compare_rounds("memory", "MB", [[band]], "bare ports in Python", [[bare]], "200 MB", 200)


def report_idle_cpu(found: IdleCost) -> Row:
    """Report the processor time of waiting."""
    figure, unit = f"idle CPU ({found.label})", "% of a core"
    if not all(found.cpu):
        return Row(figure, unit, note=_NOT_TOLD)
    band, bare = found.cpu
    return compare_rounds(figure, unit, band, "bare idle ports", bare, "1 % of a core", 1)
