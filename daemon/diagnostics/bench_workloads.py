"""Workloads of the bench, each run in a process of its own: it measures one thing and prints it as JSON.

Usage: python -m daemon.diagnostics.bench_workloads NAME [ARGUMENTS as JSON]. Those that stay (`ports`, `echo`) print a
line when they are ready and leave when their stdin ends.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from daemon.core.events import MidiIn, PlanReady, Quit
from daemon.core.observers import ObservedWorld, Observer
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.diagnostics import measure
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.live.performance import LivePerformance
from daemon.midi.rtmidi_library import find_api, load_rtmidi
from daemon.midi.rtmidi_ports import RtMidiPorts
from daemon.players.player import Player
from daemon.players.worker import PlayerSpec, Worker
from daemon.system.live_world import LiveWorld
from daemon.system.priority import real_time_section
from music import midi
from music.note import EDITS, MELODY, ROLES, TICKS_PER_BEAT, Note

_LOAD = "daemon.players.confined:load_player"
#: how long an answer may take
_ANSWER_TIMEOUT_S = 30.0
#: plans whose parts are not counted, for what is slow only once
_WARM_UP_PLANS = 5


def measure_waits(seconds: float) -> dict[str, Any]:
    """Measure how late (ns) waits for a deadline end."""
    with real_time_section():
        return {"late": measure.measure_waits(seconds)}


class _LatenessOutput:
    """An Output that sends nowhere and records how late (ns) each note was handed to it."""

    def __init__(self) -> None:
        self.late: list[int] = []

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        if midi.is_note_on(data):
            self.late.append(time.monotonic_ns() - due)


def play_band(seconds: float, bpm: float, technique: str, graph: str | None) -> dict[str, Any]:
    """Let the live band play along with quavers; what it plays goes nowhere."""
    output = _LatenessOutput()
    with LivePerformance(PlayerSpec(_LOAD, (technique, graph, 0))) as live:
        settings = Settings(style=live.wait_for_player().styles[0], technique=technique)
        conductor = live.make_conductor(live.world, output, SongInfo(bpm=bpm), settings)
        performer = threading.Thread(target=_play_scale, args=(live.world, bpm, seconds), daemon=True)
        before, begun = _read_cpu_ns(live.worker), time.monotonic_ns()
        performer.start()
        live.run(conductor)
        after, spent = _read_cpu_ns(live.worker), time.monotonic_ns() - begun
        performer.join()
    counters = conductor.counters
    return {
        "late": output.late,
        "cpu": None if None in (before, after) else (after - before) / spent,  # type: ignore[operator]
        "answered": counters.answered,
        "steps": counters.steps,
        "in_time": counters.in_time,
        "age": [counters.age_ns.quantile(share) or 0 for share in (0.5, 0.99)],
        "seconds": spent / 1e9,
    }


def _read_cpu_ns(worker: Worker) -> int | None:
    """Return the processor time of this process and its worker; None where the system does not tell."""
    own, its = measure.read_cpu_ns(os.getpid()), measure.read_cpu_ns(worker.pid or 0)
    counted_already = worker.pid in measure.find_children(os.getpid())
    return own if own is None or its is None or counted_already else own + its


def _play_scale(world: LiveWorld, bpm: float, seconds: float) -> None:
    """Play quavers up and down a scale into the inbox, as the MIDI system's thread would."""
    scale = (60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62)
    tempo = TempoMap(us_per_beat(bpm), 0, world.now() + 100_000_000)
    timer = threading.Event()
    quaver = TICKS_PER_BEAT // 2
    for number in range(int(seconds * bpm / 60 * 2)):
        pitch = scale[number % len(scale)]
        begin, end = number * quaver, (number + 1) * quaver - 1
        for tick, data in ((begin, midi.note_on(0, pitch, 90)), (end, midi.note_off(0, pitch))):
            timer.wait(max(0, tempo.ns_at(tick) - world.now()) / 1e9)
            world.put(MidiIn(world.now(), data))
    world.put(Quit(world.now()))


def time_plans(count: int, technique: str, graph: str | None) -> dict[str, Any]:
    """Time (ns) plans and, one after each, matrix products; then the processor time of plans alone."""
    from daemon.players.load import load_player

    multiply, products = measure.make_gemm_timer(), list[int]()
    player = load_player(technique, graph)
    with real_time_section():
        spent = measure.time_plans(player, count, lambda: products.append(multiply()))
        cpu = measure.time_plans(player, count // 2, clock=time.process_time_ns)
    return {"plan": spent, "gemm": products[5:], "cpu": cpu}


def time_plan_parts(count: int, technique: str, graph: str | None) -> dict[str, Any]:
    """Time (ns) the parts of plans in a performance: before the graph, in it, after it began, and between processes."""
    player = _load_whole(technique, graph)
    requests = _list_requests(player, count)
    parts: dict[str, list[int]] = {"prepare": [], "infer": [], "write": [], "transport": []}
    with _record_runs() as runs, real_time_section():
        for request in requests:
            runs.clear()
            begun = time.perf_counter_ns()
            player.plan(request)
            whole = time.perf_counter_ns() - begun
            infer = sum(end - start for start, end in runs)  # of the drummer's feel, too
            prepare = runs[0][0] - begun if runs else whole
            for part, spent in zip(parts, (prepare, infer, whole - prepare - infer), strict=False):
                parts[part].append(spent)
    answers: SimpleQueue[object] = SimpleQueue()
    worker = Worker(PlayerSpec(_LOAD, (technique, graph, 0)), answers.put, time.monotonic_ns)
    worker.start()
    try:
        worker.wait_ready()
        with real_time_section():
            for request in requests:
                begun = time.perf_counter_ns()
                worker.ask(request)
                answer = answers.get(timeout=_ANSWER_TIMEOUT_S)
                if isinstance(answer, PlanReady):
                    parts["transport"].append(time.perf_counter_ns() - begun - answer.plan.inference_ns)
    finally:
        worker.close()
    return {part: values[_WARM_UP_PLANS:] for part, values in parts.items()}


def _load_whole(technique: str, graph: str | None) -> Player:
    """Return the player of a technique with a drummer's feel, as the worker has it, but not confined."""
    from daemon.players.ensemble import Ensemble
    from daemon.players.load import load_feel, load_player

    return Ensemble({technique: load_player(technique, graph)}, feel=load_feel())


@contextlib.contextmanager
def _record_runs() -> Iterator[list[tuple[int, int]]]:
    """Record when runs of graphs begin and end (ns) inside the block."""
    from daemon.players.onnx_runtime import onnxruntime

    session, runs = onnxruntime.InferenceSession, list[tuple[int, int]]()
    originals = {name: getattr(session, name) for name in ("run", "run_with_iobinding")}

    def record(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            begun = time.perf_counter_ns()
            made = original(*arguments)
            runs.append((begun, time.perf_counter_ns()))
            return made

        return run

    try:
        for name, original in originals.items():
            setattr(session, name, record(original))
        yield runs
    finally:
        for name, original in originals.items():
            setattr(session, name, original)


def _list_requests(player: Player, count: int) -> list[PlanRequest]:
    """Return requests as they come one after another in a performance, with what the band has played."""
    if EDITS in player.info.roles:
        settings = Settings(style=player.info.styles[0])
        return list(itertools.islice(measure.make_plan_requests(settings, edits=True), count))
    asked: list[PlanRequest] = []

    class Listener(Player):
        """Answers as the player does, and keeps what it was asked."""

        info = player.info

        def plan(self, request: PlanRequest) -> Plan:
            asked.append(request)
            return player.plan(request)

    _render_scale(Listener(), count // 4, offline=False)
    return asked[:count]


def measure_renders(beats: int, technique: str, graph: str | None) -> dict[str, Any]:
    """Measure how many beats are rendered in a second of processor time, live and offline; nothing of an editor."""
    player = _load_whole(technique, graph)
    if EDITS in player.info.roles:
        return {}
    rates = {}
    for mode in ("live", "offline"):
        begun = time.process_time_ns()
        _render_scale(player, beats, offline=mode == "offline")
        rates[mode] = beats / (time.process_time_ns() - begun) * 1e9
    return rates


def _render_scale(player: Player, beats: int, *, offline: bool) -> None:
    """Render the accompaniment to quavers up and down a scale."""
    from daemon.offline.render import render_notes  # here: what is not measured by others is not loaded with them
    from music.midifile import Part, Song

    scale = (60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62)
    quaver = TICKS_PER_BEAT // 2
    notes = tuple(Note(quaver * i, scale[i % len(scale)], quaver - 1, 90) for i in range(2 * beats))
    render_notes(Song((Part(MELODY, notes, 0, 0),)), player, Settings(style=player.info.styles[0]), offline=offline)


def time_torch(technique: str, graph: str | None) -> None:
    """Let `export.torch_timing` time the same network in torch, at the same priority, and print it."""
    import runpy

    sys.argv[1:] = [technique, *([graph] if graph else [])]
    with real_time_section():
        runpy.run_module("export.torch_timing", run_name="__main__")


class _SilentComposer:
    """A Composer that never answers."""

    def ask(self, request: PlanRequest) -> None:
        """Drop the request."""


class _InputCounter(Observer):
    """Counts the messages that reach the conductor."""

    def __init__(self) -> None:
        self.arrived = 0

    def on_input(self, data: bytes, at: int) -> None:
        self.arrived += 1


def count_events(count: int, turns: int) -> dict[str, Any]:
    """Send events through a bare queue and into the engine, in turns: processor time (ns), and how many were lost.

    The first turn warms up and is left out. Processor time, for other programs would delay long turns and short ones
    unlike.
    """
    events = [bytes((midi.NOTE_ON if n % 2 == 0 else midi.NOTE_OFF, 40 + n // 2 % 48, 80)) for n in range(count)]
    spent: dict[str, list[int]] = {"bare": [], "band": []}
    lost = 0
    for _ in range(turns + 1):
        for name, run in (("bare", _send_through_queue), ("band", _send_through_conductor)):
            begun = time.process_time_ns()
            arrived = run(events)
            spent[name].append(time.process_time_ns() - begun)
            lost += count - arrived if name == "band" else 0
    return {name: values[1:] for name, values in spent.items()} | {"lost": lost}


def _send_through_queue(events: list[bytes]) -> int:
    """Return how many events came out of a bare queue."""
    queue: SimpleQueue[MidiIn | None] = SimpleQueue()

    def feed() -> None:
        for data in events:
            queue.put(MidiIn(time.monotonic_ns(), data))
        queue.put(None)

    threading.Thread(target=feed, daemon=True).start()
    arrived = 0
    with real_time_section():
        while queue.get() is not None:
            arrived += 1
    return arrived


def _send_through_conductor(events: list[bytes]) -> int:
    """Return how many events a conductor was given."""
    world, counter = LiveWorld(), _InputCounter()

    def feed() -> None:
        for data in events:
            world.put(MidiIn(world.now(), data))
        world.put(Quit(world.now()))

    info = PlayerInfo(32, 32, 32, ROLES, ("pop",))
    conductor = Conductor(ObservedWorld(world, [counter]), _LatenessOutput(), _SilentComposer(), info)
    threading.Thread(target=feed, daemon=True).start()
    with real_time_section():
        conductor.run()
    return counter.arrived


def load_libraries() -> dict[str, Any]:
    """Load numpy, onnxruntime and the MIDI library, which no start can do without, and end."""
    import numpy  # noqa: F401

    import daemon.players.onnx_runtime  # noqa: F401

    load_rtmidi()
    return {}


def open_ports(api: str) -> None:
    """Keep an input and an output open whose callback does nothing."""
    with measure.open_port_loop(api, "houseband bare"):
        _stay_until_told()


def pass_through(api: str, kind: str) -> None:
    """Send on what comes in: `bare`, in rtmidi's own callback; or `band`, through houseband's ports and inbox."""
    rtmidi = load_rtmidi()
    code, name = find_api(rtmidi, api), f"houseband {kind}"
    receiver, sender = rtmidi.MidiIn(code, name=f"{name} in"), rtmidi.MidiOut(code, name=f"{name} out")
    receiver.open_virtual_port("in")
    sender.open_virtual_port("out")
    receiver.ignore_types(sysex=False, timing=False, active_sense=True)
    if kind == "bare":
        receiver.set_callback(lambda message, _data: sender.send_message(message[0]))
        with real_time_section():
            _stay_until_told()
        return

    world, ports = LiveWorld(), RtMidiPorts(api, [receiver], {None: sender}, ("in", "out"))
    ports.listen(world.now, world.put)

    def end() -> None:
        _stay_until_told()
        world.put(Quit(world.now()))

    threading.Thread(target=end, daemon=True).start()
    with real_time_section():
        while isinstance(event := world.wait(None), MidiIn):
            ports.send(event.data, event.at)


def _stay_until_told() -> None:
    """Say that all is ready, and return when stdin ends."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


#: workload -> its function, which returns what to print
WORKLOADS: dict[str, Callable[..., dict[str, Any] | None]] = {
    "bare_wait": measure_waits,
    "band": play_band,
    "plans": time_plans,
    "parts": time_plan_parts,
    "renders": measure_renders,
    "torch": time_torch,
    "events": count_events,
    "start": load_libraries,
    "ports": open_ports,
    "echo": pass_through,
}


def main() -> None:
    """Run the workload that is named and print what it measured."""
    found = WORKLOADS[sys.argv[1]](*json.loads(sys.argv[2] if len(sys.argv) > 2 else "[]"))
    if found is not None:
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
