"""Sound in a process of its own: what is sent is told to it through a pipe that is never waited for.

The conductor writes sixteen bytes a message: when it was meant for (ns of the machine's monotonic clock), and the
message. A pipe that is full, for the process hangs, loses the message and nothing else; once it takes some again, the
first thing told is to end what sounds. The process plays every message a fixed time after the moment it was meant for,
to the sample, so that how late it came is not heard.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from daemon.core.observers import Observer, PerformanceView
from daemon.core.tempo import NS_PER_MS, NS_PER_S
from daemon.system.child_process import ChildProcess, guard_stdout
from daemon.system.live_world import real_time_section
from music.errors import UserError, describe_error
from music.note import CHANNELS, MELODY, TICKS_PER_BEAT, Metre

log = logging.getLogger(__name__)

RECORD = struct.Struct("<qB7s")  # due, bytes of the message (0: end what sounds), the message
#: ns that sound comes later than meant, besides a block and the sound system's own latency
MARGIN = 3 * NS_PER_MS
#: onsets that come later than this (ns) are not played any more
STALE = 200 * NS_PER_MS
#: seconds until an audio device is thought to hang, and for the last sound to die away
START_LIMIT, TAIL = 15.0, 0.4
#: wood blocks, on the drums' channel
CLICK_HIGH, CLICK_LOW = 76, 77
_TARGET = "daemon.sound.audio:serve"


class AudioError(UserError):
    """No sound."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Whether the band is to be heard, on which soundfont (a path; None: the usual ones), and whether with a click."""

    on: bool = False
    soundfont: str | None = None
    click: bool = False


class Audio(Observer):
    """The audio process, as the conductor's thread sees it: everything the band and its player play is passed on."""

    def __init__(self, soundfont: str | None = None, target: str = _TARGET) -> None:
        """Start the process. target: the function that it runs, `module:function`."""
        self._child = ChildProcess(target, soundfont or "", new_session=True, buffering=0)
        self._pipe = self._child.stdin.fileno()
        self._full = self._gone = False
        with contextlib.suppress(OSError, AttributeError):  # Windows, before Python 3.12
            os.set_blocking(self._pipe, False)

    @property
    def pid(self) -> int:
        """The process."""
        return self._child.pid

    def wait_ready(self) -> str:
        """What plays. Raises AudioError when nothing does."""
        guard = threading.Timer(START_LIMIT, self._child.kill)
        guard.daemon = True
        guard.start()
        said = self._child.stdout.readline().decode(errors="replace").strip()
        guard.cancel()
        kind, _, text = said.partition(" ")
        if kind == "ready":
            return text
        self.close()
        raise AudioError(text or f"the audio device does not start within {START_LIMIT:g} seconds")

    def on_input(self, data: bytes, at: int) -> None:
        """Play a note of the melody."""
        if len(data) == 3 and data[0] & 0xF0 in (0x80, 0x90):
            self.send(bytes((data[0] & 0xF0 | CHANNELS[MELODY], *data[1:])), at)

    def on_output(self, data: bytes, due: int) -> None:
        """Play a message of the band."""
        if data[0] < 0xF0:
            self.send(data, due)

    def send(self, data: bytes, due: int) -> None:
        """Play a message; return at once, whatever becomes of it."""
        if self._gone or len(data) > 7:
            return
        try:
            if self._full:
                os.write(self._pipe, RECORD.pack(due, 0, b""))
                self._full = False
            os.write(self._pipe, RECORD.pack(due, len(data), data))
        except BlockingIOError:
            self._full = True
        except OSError:
            self._gone = True
            log.warning("the audio process is gone; the band plays on in silence")

    def close(self) -> None:
        """End it; a process that hangs is not waited for long."""
        self._child.close_stdin()
        self._child.stop(TAIL + 1)
        self._child.stdout.close()


class ClickTrack(Observer):
    """Clicks on the beat while the band plays, each sent a little before it is due."""

    def __init__(self, metre: Metre, send: Callable[[bytes, int], None]) -> None:
        """send: takes a MIDI message and the time (ns) at which it is to sound."""
        self._metre, self._send = metre, send
        self._performance: PerformanceView | None = None
        self._next: int | None = None  # the tick of the next click

    def on_start(self, performance: PerformanceView) -> None:
        """Click to this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Send the clicks of the next half beat."""
        tempo = None if self._performance is None or not self._performance.playing else self._performance.tempo
        if tempo is None:
            self._next = None
            return
        beat = TICKS_PER_BEAT * 4 // self._metre.denominator
        tick = tempo.tick_at(now)
        if self._next is None or not -beat <= self._next - tick <= 2 * beat:
            self._next = -(-tick // beat) * beat
        while self._next <= tick + beat // 2:
            first = self._next % self._metre.ticks_per_bar == 0
            at, pitch = tempo.ns_at(self._next), CLICK_HIGH if first else CLICK_LOW
            self._send(bytes((0x99, pitch, 110 if first else 80)), at)
            self._send(bytes((0x89, pitch, 0)), at + 30 * NS_PER_MS)
            self._next += beat


# The process


class BlockRenderer:
    """Messages in, blocks of samples out: which message belongs to which sample. One thread puts, another takes."""

    def __init__(self, synth: Any, rate: int, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._synth, self._rate, self._now = synth, rate, now
        self._mail: list[tuple[int, int, bytes]] = []
        self._heap: list[tuple[int, int, bytes]] = []
        self._number = 0
        self._frames = 0
        self._length = 0  # ns of the longest block so far
        self._origin: int | None = None  # ns of the first frame, as far as is known

    def put(self, due: int, data: bytes) -> None:
        """A message (none: end what sounds) that was meant for `due` (ns)."""
        self._number += 1
        self._mail.append((due, self._number, data))

    def block(self, frames: int) -> Any:
        """The next samples."""
        import numpy as np

        begin = self._begin(frames)
        self._length = max(self._length, frames * NS_PER_S // self._rate)
        end, delay = begin + frames * NS_PER_S // self._rate, self._length + MARGIN
        mail, self._mail = self._mail, []
        for item in mail:
            heapq.heappush(self._heap, item)
        pieces, at = [], 0
        while self._heap and self._heap[0][0] + delay < end:
            due, _, data = heapq.heappop(self._heap)
            place = min(frames, max(at, (due + delay - begin) * self._rate // NS_PER_S))
            if place > at:
                pieces.append(self._synth.render(place - at))
                at = place
            if not data:
                self._synth.quiet()
            elif data[0] & 0xF0 != 0x90 or begin - due - delay < STALE:
                self._synth.play(data)
        if at < frames:
            pieces.append(self._synth.render(frames - at))
        self._frames += frames
        return np.concatenate(pieces)

    def _begin(self, frames: int) -> int:
        """When (ns) this block begins: callbacks come late by chance and never early, so the earliest is right; it may
        rise by a thousandth, for sound cards have clocks of their own, and an xrun loses frames."""
        played = self._frames * NS_PER_S // self._rate
        seen = self._now() - played
        if self._origin is None or seen - self._origin > 20 * NS_PER_MS:
            self._origin = seen
        self._origin = min(seen, self._origin + frames * NS_PER_S // self._rate // 1_000)
        return self._origin + played


def serve(soundfont: str = "") -> None:
    """The process: plays what comes through stdin until that ends. Prints one line: `ready WHAT` or `failed WHY`."""
    answers = guard_stdout(silence_stderr=True)  # PortAudio and sound servers print what they please
    try:
        desk, stream, name = _open(soundfont)
    except Exception as error:  # noqa: BLE001 - whatever PortAudio raises, the user gets one sentence
        answers.write(f"failed {describe_error(error)}\n".encode())
        answers.flush()
        return
    with (
        stream,
        real_time_section(),
    ):  # who reads holds the interpreter, which the device's own thread must not wait for
        answers.write(f"ready {name}\n".encode())
        answers.flush()
        read(sys.stdin.buffer, desk)
        threading.Event().wait(TAIL)


def _open(soundfont: str) -> tuple[BlockRenderer, Any, str]:
    try:
        import sounddevice
    except ImportError:
        raise AudioError("sound needs the package sounddevice: pip install 'houseband[audio]'") from None
    except OSError:
        raise AudioError("sound needs PortAudio: install it (Debian: apt install libportaudio2)") from None
    from daemon.sound.synth import RATE, open_synth

    synth = open_synth(soundfont or None)
    try:
        device = sounddevice.query_devices(kind="output")
    except (sounddevice.PortAudioError, ValueError):
        raise AudioError(
            "there is no audio device: plug one in, start JACK or PipeWire, or leave --audio out (render -o OUT.wav "
            "needs none)"
        ) from None
    rate = RATE if _takes(sounddevice, RATE) else int(device["default_samplerate"])
    if rate != RATE:
        raise AudioError(f"the audio device {device['name']} plays at {rate} Hz only; set it, or JACK, to {RATE} Hz")
    desk = BlockRenderer(synth, rate)

    def fill(out: Any, frames: int, _time: object, _status: object) -> None:
        out[:] = desk.block(frames)

    desk.block(256)  # what is slow only once is over before anybody listens
    desk = BlockRenderer(synth, rate)
    stream = sounddevice.OutputStream(
        samplerate=rate, blocksize=0, channels=2, dtype="float32", latency="low", callback=fill
    )
    return desk, stream, f"{synth.name}, on {device['name']}"


def _takes(sounddevice: Any, rate: int) -> bool:
    try:
        sounddevice.check_output_settings(samplerate=rate, channels=2, dtype="float32")
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


def read(pipe: IO[bytes], desk: BlockRenderer) -> None:
    """Puts on the desk what comes until nothing more does; then what sounds ends."""
    while len(record := pipe.read(RECORD.size)) == RECORD.size:
        due, length, data = RECORD.unpack(record)
        desk.put(due, data[:length])
    desk.put(time.monotonic_ns(), b"")
