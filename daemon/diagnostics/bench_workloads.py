"""What `houseband bench` runs in processes of their own: each part measures one thing and prints it as JSON.

Usage: python -m daemon.diagnostics.bench_workloads PART [ARGUMENTS as JSON]. Parts that stay (`ports`, `echo`) print a
line when they
are ready and leave when their stdin ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from daemon.core.events import MidiIn, Quit
from daemon.core.observers import ObservedWorld, Observer
from daemon.core.plan import PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.diagnostics import measure
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.live.performance import LivePerformance
from daemon.midi.rtmidi_ports import APIS, RtMidiPorts, rtmidi_module
from daemon.players.worker import PlayerSpec, Worker
from daemon.system.live_world import LiveWorld, real_time_section
from music.note import ROLES, TICKS_PER_BEAT

_LOAD = "daemon.players.load:load_player"


def bare_wait(seconds: float) -> dict[str, Any]:
    """Lateness (ns) of waits for a deadline."""
    with real_time_section():
        return {"late": measure.bare_waits(seconds)}


class _Late:
    """An Output that sends nowhere and keeps how late it was asked to."""

    def __init__(self) -> None:
        self.late: list[int] = []

    def send(self, data: bytes, due: int) -> None:
        if data[0] & 0xF0 == 0x90:
            self.late.append(time.monotonic_ns() - due)


def band(seconds: float, bpm: float, technique: str, graph: str | None) -> dict[str, Any]:
    """The band on the live world, with its worker, playing along with quavers; its output goes nowhere."""
    output = _Late()
    with LivePerformance(PlayerSpec(_LOAD, (technique, graph))) as live:
        settings = Settings(style=live.wait_for_player().styles[0], technique=technique)
        conductor = live.make_conductor(live.world, output, SongInfo(bpm=bpm), settings)
        performer = threading.Thread(target=_perform, args=(live.world, bpm, seconds), daemon=True)
        before, begun = _cpu(live.worker), time.monotonic_ns()
        performer.start()
        live.run(conductor)
        after, spent = _cpu(live.worker), time.monotonic_ns() - begun
        performer.join()
    counters = conductor.counters
    return {
        "late": output.late,
        "cpu": None if None in (before, after) else (after - before) / spent,  # type: ignore[operator]
        "answered": counters.answered,
        "steps": counters.steps,
        "in_time": counters.in_time,
        "age_ms_p99": (counters.age_ns.quantile(0.99) or 0) / 1e6,
        "seconds": spent / 1e9,
    }


def _cpu(worker: Worker) -> int | None:
    own, its = measure.cpu_ns(_pid()), measure.cpu_ns(worker.pid or 0)
    return own if own is None or its is None or worker.pid in measure.children(_pid()) else own + its


def _pid() -> int:
    import os

    return os.getpid()


def _perform(world: LiveWorld, bpm: float, seconds: float) -> None:
    """Quavers up and down a scale, put as the MIDI system's thread would."""
    scale = (60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62)
    tempo = TempoMap(us_per_beat(bpm), 0, world.now() + 100_000_000)
    watch = threading.Event()
    quaver = TICKS_PER_BEAT // 2
    for number in range(int(seconds * bpm / 60 * 2)):
        pitch = scale[number % len(scale)]
        for tick, data in ((number * quaver, (0x90, pitch, 90)), (number * quaver + quaver - 1, (0x80, pitch, 0))):
            watch.wait(max(0, tempo.ns_at(tick) - world.now()) / 1e9)
            world.put(MidiIn(world.now(), bytes(data)))
    world.put(Quit(world.now()))


def plans(count: int, technique: str, graph: str | None) -> dict[str, Any]:
    """Times (ns) of plans and, one after each, of matrix products; and the processor's time for plans."""
    from daemon.players.load import load_player

    multiply, products = measure.gemm_timer(), list[int]()
    player = load_player(technique, graph)
    with real_time_section():
        spent = measure.plan_times(player, count, lambda: products.append(multiply()))
        cpu = measure.plan_times(player, count // 2, clock=time.process_time_ns)
    return {"plan": spent, "gemm": products[5:], "cpu": cpu}


def eager(technique: str, graph: str | None) -> None:
    """Times of the same network in torch, printed by the export room's own program; as urgent as plans are."""
    import runpy

    sys.argv[1:] = [technique, *([graph] if graph else [])]
    with real_time_section():
        runpy.run_module("export.torch_timing", run_name="__main__")


class _Nobody:
    """A Composer that never answers."""

    def ask(self, request: PlanRequest) -> None:
        """Nothing comes of it."""


class _InputCounter(Observer):
    """Counts the messages that reach the conductor."""

    def __init__(self) -> None:
        self.arrived = 0

    def on_input(self, data: bytes, at: int) -> None:
        self.arrived += 1


def flood(count: int, turns: int) -> dict[str, Any]:
    """Events through a bare queue and into the engine, by turns: the processor's time (ns) of every turn but the first,
    which warms up, and how many were lost. Who else wants the processor would meet long turns and short ones unlike."""
    events = [bytes((0x90 if n % 2 == 0 else 0x80, 40 + n // 2 % 48, 80)) for n in range(count)]
    spent: dict[str, list[int]] = {"bare": [], "band": []}
    lost = 0
    for _ in range(turns + 1):
        for name, run in (("bare", _drain), ("band", _conduct)):
            begun = time.process_time_ns()
            arrived = run(events)
            spent[name].append(time.process_time_ns() - begun)
            lost += count - arrived if name == "band" else 0
    return {name: values[1:] for name, values in spent.items()} | {"lost": lost}


def _drain(events: list[bytes]) -> int:
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


def _conduct(events: list[bytes]) -> int:
    world, counter = LiveWorld(), _InputCounter()

    def feed() -> None:
        for data in events:
            world.put(MidiIn(world.now(), data))
        world.put(Quit(world.now()))

    info = PlayerInfo(32, 32, 32, ROLES, ("pop",))
    conductor = Conductor(ObservedWorld(world, [counter]), _Late(), _Nobody(), info)
    threading.Thread(target=feed, daemon=True).start()
    with real_time_section():
        conductor.run()
    return counter.arrived


def start() -> dict[str, Any]:
    """Bare start: the interpreter, numpy, onnxruntime and the MIDI library; what no start can do without."""
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401

    rtmidi_module()
    return {}


def ports(api: str) -> None:
    """Bare ports, open and idle: an input and an output whose callback does nothing."""
    with measure.wire_loop(api, "houseband bare"):
        _until_told()


def echo(api: str, how: str) -> None:
    """Passes on what comes in: `bare`, in rtmidi's own callback; or `band`, by houseband's ports and world."""
    rtmidi = rtmidi_module()
    code, name = getattr(rtmidi, APIS[api]), f"houseband {how}"
    receiver, sender = rtmidi.MidiIn(code, name=f"{name} in"), rtmidi.MidiOut(code, name=f"{name} out")
    receiver.open_virtual_port("in")
    sender.open_virtual_port("out")
    receiver.ignore_types(sysex=False, timing=False, active_sense=True)
    if how == "bare":
        receiver.set_callback(lambda message, _data: sender.send_message(message[0]))
        with real_time_section():
            _until_told()
        return

    world, open_ports = LiveWorld(), RtMidiPorts(api, [receiver], {None: sender}, ("in", "out"))
    open_ports.listen(world.now, world.put)

    def end() -> None:
        _until_told()
        world.put(Quit(world.now()))

    threading.Thread(target=end, daemon=True).start()
    with real_time_section():
        while isinstance(event := world.wait(None), MidiIn):
            open_ports.send(event.data, event.at)


def _until_told() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


PARTS: dict[str, Callable[..., dict[str, Any] | None]] = {
    "bare_wait": bare_wait, "band": band, "plans": plans, "eager": eager, "flood": flood, "start": start,
    "ports": ports, "echo": echo,
}  # fmt: skip


def main() -> None:
    """Run the part that is named."""
    found = PARTS[sys.argv[1]](*json.loads(sys.argv[2] if len(sys.argv) > 2 else "[]"))
    if found is not None:
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
