"""Measurements that `doctor` and `bench` share: waits, plans, matrix products, a MIDI loop, the cost of a process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from daemon.core.counters import quantile
from daemon.core.plan import LoopState, PlanRequest
from daemon.core.settings import Settings
from daemon.midi.ports import PortError
from daemon.midi.rtmidi_library import capture_stderr, find_api, load_rtmidi
from daemon.players.player import Player
from music import midi
from music.note import EDITS, TICKS_PER_BEAT, TICKS_PER_STEP, Note

#: the product of two square matrices of this side is what GEMM is measured by
GEMM_SIDE = 512


def measure_waits(seconds: float, interval_ns: int = 20_000_000) -> list[int]:
    """Return how late (ns) bare waits for a deadline end, one every `interval_ns`."""
    queue: SimpleQueue[None] = SimpleQueue()
    late = []
    due = time.monotonic_ns()
    for _ in range(int(seconds * 1e9 / interval_ns)):
        due += interval_ns
        with contextlib.suppress(Empty):
            while (left := due - time.monotonic_ns()) > 0:
                queue.get(timeout=left / 1e9)
        late.append(time.monotonic_ns() - due)
    return late


def make_plan_requests(settings: Settings, edits: bool = False) -> Iterator[PlanRequest]:
    """Yield the request of every step while a melody of quavers goes up and down a scale, for ever.

    edits: each also has a loop of eight bars to edit, never the same one twice.
    """
    scale = (60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62)
    melody = [Note(0, scale[0], 11, 90)]
    number = 0
    while True:
        number += 1
        now = 4 + number
        tick = now * TICKS_PER_STEP
        if tick % (TICKS_PER_BEAT // 2) == 0:
            melody = [*melody[-64:], Note(tick, scale[tick // 12 % len(scale)], 6, 90)]
        measure_port_loop = _make_loop(scale, number) if edits else None
        yield PlanRequest(number, now, tick, tuple(melody), {}, settings=settings, loop=measure_port_loop)


def _make_loop(scale: Sequence[int], turn: int) -> LoopState:
    notes = tuple((step, scale[(step // 2 + turn) % len(scale)], 2, 90, False) for step in range(0, 128, 2))
    return LoopState(128, tuple(range(0, 128, 16)), notes, len(notes), 0, 1, turn)


def time_plans(
    player: Player,
    count: int,
    between: Callable[[], object] | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[int]:
    """Return the times (ns) of plans, from the request to the notes; the first five, which warm up, are left out.

    between: called after every plan; clock: to measure by.
    """
    asked = make_plan_requests(replace(Settings(), style=player.info.styles[0]), EDITS in player.info.roles)
    spent = []
    for request, _ in zip(asked, range(count + 5), strict=False):
        begun = clock()
        player.plan(request)
        spent.append(clock() - begun)
        if between is not None:
            between()
    return spent[5:]


def make_gemm_timer() -> Callable[[], int]:
    """Return a function that multiplies two fp32 matrices of side GEMM_SIDE and returns the time (ns) it took.

    It uses one thread only where OPENBLAS_NUM_THREADS=1 (or its like) was set before numpy was loaded.
    """
    import numpy as np

    random = np.random.default_rng(0)
    a, b = (random.standard_normal((GEMM_SIDE, GEMM_SIDE), np.float32) for _ in range(2))
    out = np.empty_like(a)

    def multiply() -> int:
        begun = time.perf_counter_ns()
        np.matmul(a, b, out=out)
        return time.perf_counter_ns() - begun

    return multiply


@dataclass(frozen=True, slots=True)
class PortLoop:
    """Messages that were sent round a virtual port."""

    #: ns from sending to arrival, of those that arrived
    times: tuple[int, ...]
    #: number of those that did not
    lost: int

    @property
    def median_ms(self) -> float:
        """Median time from sending to arrival."""
        return quantile(self.times, 0.5) / 1e6

    @property
    def jitter_ms(self) -> float:
        """Distance from the median that 99 of 100 messages keep."""
        middle = quantile(self.times, 0.5)
        return quantile([abs(t - middle) for t in self.times], 0.99) / 1e6


#: sends a message
Sender = Callable[[bytes], None]


@contextlib.contextmanager
def open_port_loop(api: str, name: str = "houseband test") -> Iterator[tuple[Sender, list[tuple[int, bytes]]]]:
    """Connect a virtual output to a virtual input of this program; yields how to send, and the list of arrivals.

    An arrival is (ns, message). api: a MIDI system, as `--api` names it. Raises PortError.
    """
    rtmidi = load_rtmidi()
    code = find_api(rtmidi, api)
    made: list[Any] = []
    arrived: list[tuple[int, bytes]] = []
    try:
        with capture_stderr():
            made.append(rtmidi.MidiIn(code, name=f"{name} in"))
            made.append(rtmidi.MidiOut(code, name=f"{name} out"))
        receiver, sender = made
        receiver.open_virtual_port("in")
        receiver.set_callback(lambda message, _data: arrived.append((time.monotonic_ns(), bytes(message[0]))))
        wanted = [index for index, port in enumerate(sender.get_ports()) if f"{name} in" in port]
        if not wanted:
            raise PortError(f"{api}: our own virtual port does not appear")
        sender.open_port(wanted[-1], "out")
        time.sleep(0.1)  # JACK connects at the next cycle
        yield sender.send_message, arrived
    except (rtmidi.RtMidiError, NotImplementedError) as error:
        raise PortError(f"{api}: {error}") from None
    finally:
        for port in made:
            port.close_port()
            port.delete()


def send_spaced(send: Sender, messages: Iterable[bytes], interval: float) -> list[tuple[int, bytes]]:
    """Send messages `interval` seconds apart; return them as (ns, message)."""
    sent = []
    for message in messages:
        sent.append((time.monotonic_ns(), message))
        send(message)
        time.sleep(interval)
    return sent


def match_arrivals(sent: Sequence[tuple[int, bytes]], arrived: Sequence[tuple[int, bytes]]) -> PortLoop:
    """Match messages sent with messages that arrived; no two may be the same."""
    when = {data: at for at, data in reversed(arrived)}
    times = tuple(when[data] - at for at, data in sent if data in when)
    return PortLoop(times, len(sent) - len(times))


def make_messages(count: int, channel: int = 15) -> list[bytes]:
    """Return so many different messages, at most 12 * 128: controllers that nothing listens to."""
    return [midi.control_change(channel, 20 + number // 128 % 12, number % 128) for number in range(count)]


def measure_port_loop(api: str, count: int = 200) -> PortLoop:
    """Send messages round a virtual port and measure them. Raises PortError."""
    with open_port_loop(api) as (send, arrived):
        sent = send_spaced(send, make_messages(count), 0.0053)
        time.sleep(0.1)
        return match_arrivals(sent, arrived)


def read_cpu_ns(pid: int) -> int | None:
    """Return the processor time (ns) of a process and its living children; None where the system does not tell."""
    try:
        spent = sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    except (OSError, ValueError, IndexError):
        return None
    return spent + sum(read_cpu_ns(child) or 0 for child in find_children(pid)) if spent else None


def read_memory_mb(pid: int) -> float | None:
    """Return the memory (MB) of a process and its children, shared pages in shares; None where that is unknown."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return own / 1024 + sum(read_memory_mb(child) or 0.0 for child in find_children(pid))


def find_children(pid: int) -> list[int]:
    """Return the ids of the processes that one has started."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, file.read_text().split())
    return found


def make_single_thread_environment() -> dict[str, str]:
    """Return an environment in which libraries start no pools of threads."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
