"""The performance figures of the design, each beside a reference that is measured in the same run.

What is compared is measured in turns or at once, in processes of their own (`daemon.diagnostics.bench_workloads`), and
several times
over. Values are medians of everything; a ratio is that of the best rounds of either side, for what else the machine
does only ever adds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.core.counters import quantile
from daemon.diagnostics import measure
from daemon.midi.rtmidi_ports import APIS, PortError, rtmidi_module
from music.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
#: a JACK server of our own, where no MIDI system runs; one name for ever, for each takes a place in JACK's registry
SERVER = "houseband-bench"
#: frames of its period: a short one for what passes through, and the one that JACK itself takes for everything else
SHORT, USUAL = 128, 1024
#: so many bands, one after the other and each for a third of a round, play in it: every process has a lateness of its
#: own, by where it lies in memory and which core it is on
TURNS = 4
#: seconds until a part is thought to hang
PATIENCE = 120
Say = Callable[[str], None]
Round = dict[str, Any]
#: values by rounds
Rounds = Sequence[list[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. value, reference: in `unit`; ratio: of the two in their best rounds, None without a reference;
    bound: what the design promises, in words, and kept: whether it is; note: why there is no value."""

    figure: str
    unit: str
    value: float | None = None
    against: str = ""
    reference: float | None = None
    ratio: float | None = None
    bound: str = ""
    kept: bool | None = None
    note: str = ""


@dataclass(slots=True)
class Bench:
    """One run. rounds: how often everything is measured; seconds: how long what takes time is; histograms: label ->
    values, for plots."""

    technique: str = "gan"
    graph: str | None = None
    rounds: int = 5
    seconds: float = 5.0
    say: Say = lambda _text: None
    rows: list[Row] = field(default_factory=list)
    histograms: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def run(self) -> None:
        """Measure everything; takes two to three minutes."""
        self._play()
        self._throughput()
        self._with_midi(SHORT, self._pass_through, "pass-through")
        self._with_midi(USUAL, self._start, "start to ready")
        self._with_midi(USUAL, self._resident, "memory", "idle CPU")

    def _with_midi(self, period: int, measured: Callable[[str, str], None], *figures: str) -> None:
        with ExitStack() as stack:
            found = midi_system(stack, period)
            if found is None:
                note = "no MIDI system runs, and jackd is not there to start one"
                self.rows += [Row(name, "", note=note) for name in figures]
            else:
                measured(*found)

    def _play(self) -> None:
        """How late notes leave, what plans take and what playing costs: one after the other in every round."""
        rounds = []
        why_not = no_eager(self.technique)
        for number in range(self.rounds):
            self.say(f"the band plays beside bare waits, {number + 1} of {self.rounds}")
            bands, waits = [], []
            for _ in range(TURNS):
                waiting = begin("bare_wait", self.seconds / 3 + 1)
                bands.append(part("band", self.seconds / 3, 140, self.technique, self.graph))
                waits.append(ended(waiting)["late"])
            found: Round = {"bands": bands, "waits": waits}
            found |= part("plans", 60, self.technique, self.graph)
            if not why_not:
                found["eager"] = run_eager(self.technique, self.graph)
                why_not = "" if found["eager"] else "this graph's network cannot be built in torch here"
            rounds.append(found)
        self._send_lateness(rounds)
        self._cost(rounds)
        self._plan_time(rounds, why_not)

    def _send_lateness(self, rounds: Sequence[Round]) -> None:
        bands = [band for found in rounds for band in found["bands"]]
        late = [[x / 1e6 for x in band["late"]] for band in bands]
        bare = [[x / 1e6 for x in waits] for found in rounds for waits in found["waits"]]
        self._row("send lateness, p50", "ms", late, "a bare deadline wait", bare)
        all_late, all_bare = flat(late), flat(bare)
        self.histograms["send lateness, ms"] = {"notes": all_late, "bare waits": all_bare}
        tail = [quantile(values, 0.999) for values in (all_late, all_bare)]
        bound = "1 ms later than it"
        self.rows.append(
            Row("send lateness, p99.9", "ms", tail[0], "a bare wait", tail[1], None, bound, tail[0] - tail[1] <= 1)
        )
        steps, in_time = (sum(band[name] for band in bands) for name in ("steps", "in_time"))
        if steps:
            self.rows.append(Row("in-time share", "", in_time / steps, bound="1.000", kept=in_time == steps))

    def _row(
        self, figure: str, unit: str, mine: Rounds, against: str, theirs: Rounds, bound: str = "", most: float = 0.0
    ) -> None:
        """A figure beside its reference, both by rounds; most: what the bound allows."""
        values = [middle(flat(side)) for side in (mine, theirs)]
        kept = values[0] <= most if bound else None
        self.rows.append(Row(figure, unit, values[0], against, values[1], best(mine) / best(theirs), bound, kept))

    def _cost(self, rounds: Sequence[Round]) -> None:
        turns = [(band, middle(found["cpu"])) for found in rounds for band in found["bands"]]
        if any(band["cpu"] is None for band, _ in turns):
            self.rows.append(Row("CPU while playing", "", note="this system does not tell"))
            return
        used = [[100 * band["cpu"]] for band, _ in turns]
        alone = [[band["answered"] / band["seconds"] * plan / 1e7] for band, plan in turns]
        self._row("CPU while playing", "% of a core", used, "its plans alone", alone)

    def _plan_time(self, rounds: Sequence[Round], why_not: str) -> None:
        plans, products = ([[x / 1e6 for x in found[side]] for found in rounds] for side in ("plan", "gemm"))
        eager = [found["eager"]["ms"] for found in rounds if found.get("eager")]
        self.histograms["plan, ms"] = {"onnxruntime": flat(plans), "torch eager": flat(eager)}
        work = 2 * measure.GEMM_SIDE**3 / 1e6  # MFLOP
        self._row("plan, p50", "ms", plans, f"a {measure.GEMM_SIDE}^3 GEMM", products)
        self.rows.append(Row("plan, p99", "ms", quantile(flat(plans), 0.99)))
        if why_not or not eager:
            self.rows.append(Row("plan, p50", "ms", note=f"not beside torch eager: {why_not}"))
            return
        self._row("plan, p50", "ms", plans, "torch eager", eager)
        mflop = next(found["eager"]["mflop"] for found in rounds if found.get("eager"))
        speeds = [mflop / middle(flat(plans)), work / middle(flat(products))]
        share = mflop / best(plans) / (work / best(products))
        self.rows.append(Row("plan's work", "GFLOP/s", speeds[0], "GEMM peak", speeds[1], share))

    def _throughput(self) -> None:
        self.say("a flood of events")
        count = 4000
        rounds = [part("flood", count, 2 * self.rounds) for _ in range(self.rounds)]
        band, bare = ([found[name] for found in rounds] for name in ("band", "bare"))
        rates = [count / middle(flat(spent)) * 1e9 for spent in (band, bare)]
        lost = sum(found["lost"] for found in rounds)
        self.rows.append(Row("events", "per s", rates[0], "a bare queue", rates[1], best(bare) / best(band)))
        self.rows.append(Row("events lost", "", lost, bound="none", kept=lost == 0))

    def _pass_through(self, api: str, label: str) -> None:
        self.say("messages passed through")
        times: dict[str, list[list[float]]] = {"band": [], "bare": []}
        lost = dict.fromkeys(times, 0)
        with ExitStack() as stack:
            ways = {}
            for how in times:
                stack.enter_context(ready("echo", api, how))
                ways[how] = stack.enter_context(_way(api, how))
            for number in range(self.rounds + 1):
                for how, (send, arrived) in ways.items():
                    arrived.clear()
                    sent = measure.send_spaced(send, measure.numbered(120), 0.0053)
                    time.sleep(0.1)
                    if number:  # the first warms up
                        found = measure.pair(sent, arrived)
                        times[how].append([t / 1e6 for t in found.times])
                        lost[how] += found.lost
        mine, theirs = times.values()
        self.histograms[f"pass-through ({label}), ms"] = {"houseband": flat(mine), "bare rtmidi": flat(theirs)}
        self._row(f"pass-through ({label}), p50", "ms", mine, "bare rtmidi", theirs)
        worst = [quantile(flat(side), 0.99) for side in (mine, theirs)]
        self.rows.append(Row(f"pass-through ({label}), p99", "ms", worst[0], "bare rtmidi", worst[1]))
        self.rows.append(Row("messages lost on the way", "", lost["band"], "bare rtmidi", lost["bare"]))

    def _start(self, api: str, label: str) -> None:
        mine, bare = [], []
        for number in range(2 * self.rounds):
            self.say(f"start, {number + 1} of {2 * self.rounds}")
            begun = time.monotonic()
            part("start")
            bare.append([time.monotonic() - begun])
            begun = time.monotonic()
            with self._running(api):
                mine.append([time.monotonic() - begun])
        self._row(f"start to ready ({label})", "s", mine, "Python with its libraries", bare, "1 s", 1)

    def _resident(self, api: str, label: str) -> None:
        """Memory, and what waiting costs, beside bare ports that do nothing."""
        self.say("waiting")
        with self._running(api) as band, ready("ports", api) as bare:
            time.sleep(2)
            memory = [measure.memory_mb(process.pid) for process in (band, bare)]
            spent: tuple[list[list[float]], list[list[float]]] = [], []
            for _ in range(4 * self.rounds):
                before = [measure.cpu_ns(process.pid) for process in (band, bare)]
                begun = time.monotonic_ns()
                time.sleep(0.3 * self.seconds)
                after = [measure.cpu_ns(process.pid) for process in (band, bare)]
                length = time.monotonic_ns() - begun
                for side, b, a in zip(spent, before, after, strict=True):
                    if a is not None and b is not None:
                        side.append([100 * (a - b) / length])
        if memory[0] is None or memory[1] is None or not all(spent):
            self.rows.append(Row("memory, idle CPU", "", note="this system does not tell"))
            return
        self._row("memory", "MB", [[memory[0]]], "bare ports in Python", [[memory[1]]], "200 MB", 200)
        self._row(f"idle CPU ({label})", "% of a core", spent[0], "bare idle ports", spent[1], "1 % of a core", 1)

    @contextlib.contextmanager
    def _running(self, api: str) -> Iterator[subprocess.Popen[str]]:
        """`houseband run`, from when it is ready."""
        given = ["--graph", self.graph] if self.graph else []
        command = ["run", "--api", api, "--control", "off", "--technique", self.technique, *given]
        environment = {**os.environ, "HOUSEBAND_TAKES": "off", "HOUSEBAND_CONFIG": os.devnull}
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon", *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr
            said = ""
            for line in process.stderr:
                said += line
                if "is ready" in line:
                    break
            else:
                raise BenchError(f"houseband run does not start: {said.strip().splitlines()[-1:]}")
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


class BenchError(UserError):
    """Something that was to be measured does not run."""


def middle(values: Sequence[float]) -> float:
    """The median."""
    return quantile(values, 0.5)


def flat(rounds: Rounds) -> list[float]:
    """All values."""
    return [value for turn in rounds for value in turn]


def best(rounds: Rounds) -> float:
    """The least of the rounds' medians."""
    return min(middle(turn) for turn in rounds if turn)


def no_eager(technique: str) -> str:
    """Why the network cannot be measured in torch; empty when it can."""
    if technique == "transformer":
        return "a plan of the transformer's is many runs of several small graphs"
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed here" if missing else ""


def begin(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts a part."""
    return subprocess.Popen(
        [sys.executable, "-m", "daemon.diagnostics.bench_workloads", name, json.dumps(arguments)],
        cwd=ROOT,
        env=measure.one_thread(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(running: subprocess.Popen[str]) -> dict[str, Any]:
    """What a part has found. Raises BenchError."""
    try:
        out, err = running.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise BenchError("a measurement hangs") from None
    if running.returncode:
        raise BenchError(f"a measurement failed: {(err.strip().splitlines() or ['no reason given'])[-1]}")
    found: dict[str, Any] = json.loads(out)
    return found


def part(name: str, *arguments: object) -> dict[str, Any]:
    """Runs a part to its end. Raises BenchError."""
    return ended(begin(name, *arguments))


@contextlib.contextmanager
def ready(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A part that stays until the block's end. Raises BenchError."""
    running = begin(name, *arguments)
    try:
        assert running.stdout
        if running.stdout.readline() != "ready\n":
            raise BenchError(f"{name}: {(running.communicate()[1].strip().splitlines() or ['does not start'])[-1]}")
        yield running
    finally:
        running.kill() if running.poll() is None and not _left(running) else None
        running.wait()
        for pipe in (running.stdin, running.stdout, running.stderr):
            assert pipe
            pipe.close()


def _left(running: subprocess.Popen[str]) -> bool:
    """Tells a part to leave; whether it does."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        assert running.stdin
        running.stdin.close()
        running.wait(5)
    return running.returncode is not None


@contextlib.contextmanager
def _way(api: str, how: str) -> Iterator[tuple[measure.Sender, list[tuple[int, bytes]]]]:
    """In and out of an echo: how to send into it, and what comes back."""
    rtmidi = rtmidi_module()
    code, name = getattr(rtmidi, APIS[api]), f"houseband {how}"
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


def midi_system(stack: ExitStack, period: int) -> tuple[str, str] | None:
    """A MIDI system that runs, and what to call it; else a JACK server of our own, without hardware, until the stack
    ends; else None."""
    from daemon.diagnostics.midi_checks import running_apis
    from daemon.diagnostics.system_checks import may_be_real_time

    try:
        running = running_apis("auto")
    except PortError:
        return None
    if running:
        return running[0], running[0]
    if not (shutil.which("jackd") and shutil.which("jack_wait")):
        return None
    before = {key: os.environ.get(key) for key in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER")}
    os.environ |= {"JACK_DEFAULT_SERVER": SERVER, "JACK_NO_START_SERVER": "1"}
    stack.callback(_restore, before)
    priority = "--realtime" if may_be_real_time() else "--no-realtime"
    command = ["jackd", priority, "-n", SERVER, "-d", "dummy", "-r", "48000", "-p", str(period)]
    environment = {**os.environ, "JACK_NO_AUDIO_RESERVATION": "1"}
    nothing = subprocess.DEVNULL
    server = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, env=environment)
    stack.callback(_stop, server)
    waited = subprocess.run(["jack_wait", "-s", SERVER, "-w", "-t", "10"], capture_output=True, check=False)
    if waited.returncode or server.poll() is not None:
        return None
    return "jack", f"jack, periods of {period}"


def _restore(before: dict[str, str | None]) -> None:
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait(timeout=10)


def run_eager(technique: str, graph: str | None) -> dict[str, Any] | None:
    """The same network in torch, by the export room, in a process of its own; None if that cannot be."""
    try:
        return part("eager", technique, graph)
    except BenchError:
        return None


def draw(path: Path, histograms: dict[str, dict[str, list[float]]]) -> None:
    """Write a PNG of histograms. Raises BenchError without matplotlib, OSError when it cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchError("plots are drawn by matplotlib, which is not installed: pip install matplotlib") from None
    figure = Figure(figsize=(9, 3 * len(histograms)), layout="constrained")
    for axes, (title, sides) in zip(
        figure.subplots(len(histograms), squeeze=False)[:, 0], histograms.items(), strict=True
    ):
        top = max(quantile(values, 0.995) for values in sides.values() if values)
        for label, values in sides.items():
            if values:
                axes.hist([min(v, top) for v in values], bins=60, range=(0, top), alpha=0.6, label=label, density=True)
        axes.set_xlabel(title)
        axes.set_yticks([])
        axes.legend()
    figure.savefig(path, dpi=110)


def differences(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> dict[str, float]:
    """By how much (share) the ratios of two runs differ, by figure."""
    ratios = {(row["figure"], row["against"]): row["ratio"] for row in one if row["ratio"]}
    return {
        f"{row['figure']} / {row['against']}": abs(row["ratio"] / ratios[key] - 1)
        for row in other
        if (key := (row["figure"], row["against"])) in ratios and row["ratio"]
    }
