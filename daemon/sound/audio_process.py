"""The audio process: a synthesiser on the sound card, fed through stdin by `daemon.sound.audio`.

Every message is played a fixed time after the moment it was due, to the sample, so that how late it came is not heard.
"""

from __future__ import annotations

import heapq
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from daemon.core.tempo import NS_PER_MS, NS_PER_S
from daemon.sound.audio import FADE_S, RECORD, AudioError
from daemon.sound.balance import balance_channels
from daemon.sound.fluid_synth import open_synth
from daemon.sound.synth import RATE, Samples, Synth
from daemon.system.child_process import guard_stdout
from daemon.system.priority import real_time_section
from music import midi
from music.errors import describe_error

#: time by which sound comes later than due, besides a block and the sound system's own latency
MARGIN_NS = 3 * NS_PER_MS
#: onsets that come later than this are not played any more
MAX_ONSET_DELAY_NS = 200 * NS_PER_MS
#: blocks that come later than this mean that the sound card has stood still
_MAX_CALLBACK_DELAY_NS = 20 * NS_PER_MS
#: share of a block's length by which the estimated beginning of the stream may rise: the drift of a sound card's clock
_MAX_DRIFT = 1_000


class BlockRenderer:
    """Turns messages into blocks of samples: decides which sample a message belongs to.

    One thread puts messages, another one, the sound card's, takes blocks.
    """

    def __init__(self, synth: Synth, rate: int, now: Callable[[], int] = time.monotonic_ns) -> None:
        """rate: samples a second; now: the clock (ns) that messages are stamped by."""
        self._synth, self._rate, self._now = synth, rate, now
        self._inbox: list[tuple[int, int, bytes]] = []
        self._queue: list[tuple[int, int, bytes]] = []  # a heap: (due, number, message)
        self._number = 0
        self._frames = 0
        self._longest_block = 0  # ns
        self._origin: int | None = None  # when the first frame sounded (ns), as far as is known

    def put(self, due: int, data: bytes) -> None:
        """Play a message that was due at a time (ns); an empty one ends everything that sounds."""
        self._number += 1
        self._inbox.append((due, self._number, data))

    def render(self, frames: int) -> Samples:
        """Return the next samples."""
        begin = self._block_begin(frames)
        self._longest_block = max(self._longest_block, frames * NS_PER_S // self._rate)
        end, delay = begin + frames * NS_PER_S // self._rate, self._longest_block + MARGIN_NS
        inbox, self._inbox = self._inbox, []
        for item in inbox:
            heapq.heappush(self._queue, item)
        pieces, at = [], 0
        while self._queue and self._queue[0][0] + delay < end:
            due, _, data = heapq.heappop(self._queue)
            place = min(frames, max(at, (due + delay - begin) * self._rate // NS_PER_S))
            if place > at:
                pieces.append(self._synth.render(place - at))
                at = place
            if not data:
                self._synth.silence()
            elif not midi.is_note_on(data) or begin - due - delay < MAX_ONSET_DELAY_NS:
                self._synth.play(data)
        if at < frames:
            pieces.append(self._synth.render(frames - at))
        self._frames += frames
        return np.concatenate(pieces)

    def _block_begin(self, frames: int) -> int:
        """Return the time (ns) at which this block begins.

        Callbacks come late by chance and never early, so the earliest one is right. The estimate may rise by a
        thousandth, for sound cards have clocks of their own, and an xrun loses frames.
        """
        played = self._frames * NS_PER_S // self._rate
        seen = self._now() - played
        if self._origin is None or seen - self._origin > _MAX_CALLBACK_DELAY_NS:
            self._origin = seen
        self._origin = min(seen, self._origin + frames * NS_PER_S // self._rate // _MAX_DRIFT)
        return self._origin + played


def serve(soundfont: str = "") -> None:
    """Play what comes through stdin until that ends. The function that the process runs.

    Prints one line first: `ready` and the name of what plays, or `failed` and the reason.
    """
    answers = guard_stdout(silence_stderr=True)  # PortAudio and sound servers print what they please
    try:
        renderer, stream, name = _open_stream(soundfont)
    except Exception as error:  # noqa: BLE001 - whatever PortAudio raises, the user gets one sentence
        answers.write(f"failed {describe_error(error)}\n".encode())
        answers.flush()
        return
    # the thread that reads holds the interpreter's lock, which the device's own thread must not wait for
    with stream, real_time_section():
        answers.write(f"ready {name}\n".encode())
        answers.flush()
        read_messages(sys.stdin.buffer, renderer)
        threading.Event().wait(FADE_S)


def _open_stream(soundfont: str) -> tuple[BlockRenderer, Any, str]:
    try:
        import sounddevice
    except ImportError:
        raise AudioError("sound needs the package sounddevice: pip install 'houseband[audio]'") from None
    except OSError:
        raise AudioError("sound needs PortAudio: install it (Debian: apt install libportaudio2)") from None
    synth = open_synth(soundfont or None)
    device = _find_device(sounddevice)
    balance_channels(synth)
    BlockRenderer(synth, RATE).render(256)  # what is slow only once is over before anybody listens
    renderer = BlockRenderer(synth, RATE)

    def fill(out: Any, frames: int, _time: object, _status: object) -> None:
        out[:] = renderer.render(frames)

    stream = sounddevice.OutputStream(
        samplerate=RATE, blocksize=0, channels=2, dtype="float32", latency="low", callback=fill
    )
    return renderer, stream, f"{synth.name}, on {device}"


def _find_device(sounddevice: Any) -> str:
    """Return the name of the default output device. Raises AudioError."""
    try:
        device = sounddevice.query_devices(kind="output")
    except (sounddevice.PortAudioError, ValueError):
        raise AudioError(
            "there is no audio device: plug one in, start JACK or PipeWire, or leave --audio out (render -o OUT.wav "
            "needs none)"
        ) from None
    rate = int(device["default_samplerate"])
    if not _takes_rate(sounddevice) and rate != RATE:
        raise AudioError(f"the audio device {device['name']} plays at {rate} Hz only; set it, or JACK, to {RATE} Hz")
    return str(device["name"])


def _takes_rate(sounddevice: Any) -> bool:
    try:
        sounddevice.check_output_settings(samplerate=RATE, channels=2, dtype="float32")
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


def read_messages(pipe: IO[bytes], renderer: BlockRenderer) -> None:
    """Pass on the messages that come through a pipe until it ends; then end everything that sounds."""
    while len(record := pipe.read(RECORD.size)) == RECORD.size:
        due, length, data = RECORD.unpack(record)
        renderer.put(due, data[:length])
    renderer.put(time.monotonic_ns(), b"")
