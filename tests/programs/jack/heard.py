"""The sound of the audio process beside the messages sent to it: it plays on JACK, another client records it.

    python -m tests.programs.jack.heard [--hang] [--soundfont FILE.sf2]

For a while the live band plays, with a player without a graph, on the built-in synthesiser or on a soundfont. Every
stretch of the recording is compared with what the messages sent should sound like at their moments, and an onset's lag
is where the two agree best; a scale's pitches are read from the recording's spectrum. --hang: the audio process is
stopped in the middle, and the lateness of sending is compared. Prints JSON; exit status 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from daemon.core.counters import quantile
from daemon.core.events import MidiIn, Quit
from daemon.core.settings import Settings
from daemon.diagnostics.system_checks import is_real_time_allowed
from daemon.engine.song import SongInfo
from daemon.live.performance import LivePerformance
from daemon.players.worker import PlayerSpec
from daemon.sound.audio import Audio
from daemon.sound.fluid_synth import open_synth
from daemon.sound.soundfont import BUILT_IN
from daemon.sound.synth import RATE, render_messages
from tests.support.jack.server import jack_server
from tests.support.jack.stage import process

Message = tuple[int, bytes]


class Kept:
    """An Output that keeps what was sent, and how late (ns) onsets were."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.late: list[tuple[int, int]] = []

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        self.messages.append((due, data))
        if data[0] & 0xF0 == 0x90:
            now = time.monotonic_ns()
            self.late.append((now, now - due))


def first_port() -> str:
    """The first output of PortAudio's JACK client."""
    for _ in range(100):
        listed = subprocess.run(["jack_lsp"], capture_output=True, text=True, check=False).stdout.splitlines()
        found = [line for line in listed if line.endswith(":out_0")]
        if found:
            return found[0]
        time.sleep(0.05)
    raise SystemExit("PortAudio opened no port of JACK's")


def listened(path: Path, play: Any) -> tuple[np.ndarray, int]:
    """Record while `play` runs: (samples, time of the first in ns)."""
    with process([sys.executable, "-m", "tests.support.jack.listener", str(path), first_port()]) as listener:
        assert listener.stdout
        assert listener.stdout.readline() == "ready\n"
        play()
        time.sleep(0.3)
        listener.communicate(timeout=20)
    with np.load(path) as found:
        return found["samples"].astype(float), int(found["begin"])


def scale(audio: Audio, pitches: Sequence[int], gap: float) -> list[Message]:
    """Plays single notes `gap` seconds apart; returns the onsets."""
    begin = time.monotonic_ns() + 200_000_000
    onsets = []
    for number, pitch in enumerate(pitches):
        at = begin + int(number * gap * 1e9)
        time.sleep(max(0, at - time.monotonic_ns()) / 1e9)
        audio.send(bytes((0x90, pitch, 100)), at)
        audio.send(bytes((0x80, pitch, 0)), at + int(0.3 * gap * 1e9))
        onsets.append((at, bytes((0x90, pitch, 100))))
    time.sleep(gap)
    return onsets


def onset_lag(samples: np.ndarray, begin: int, at: int) -> float:
    """Seconds from the moment an onset was meant for until the sound rises to a tenth of its strength."""
    first = (at - begin) * RATE // 1_000_000_000 - RATE // 50
    piece = np.abs(samples[first : first + RATE // 5])
    return float(np.argmax(piece > 0.1 * piece.max()) - RATE // 50) / RATE


def pitch_at(samples: np.ndarray, begin: int, at: int, low: int = 40) -> int:
    """The MIDI pitch heard from 30 to 130 ms after a moment: the strongest partial's, or that of one an octave below it
    that is a tenth as strong, for strings often sound so; low: the lowest to be thought of."""
    first = (at - begin) * RATE // 1_000_000_000 + RATE * 3 // 100
    piece = samples[first : first + RATE // 10] * np.hanning(RATE // 10)
    spectrum = np.abs(np.fft.rfft(piece, 1 << 16))
    spectrum[: int(440 * 2 ** ((low - 69.5) / 12) * (1 << 16) / RATE)] = 0
    peak = int(spectrum.argmax())
    below = spectrum[peak // 2 - 8 : peak // 2 + 9]
    if below.max() > spectrum[peak] / 10:
        peak = peak // 2 - 8 + int(below.argmax())
    return round(69 + 12 * float(np.log2(peak * RATE / (1 << 16) / 440)))


def band(audio: Audio, seconds: float, middle: Any = None) -> Kept:
    """The live band, without ports, heard through `audio`; middle: called after half of the time."""
    output = Kept()
    with LivePerformance(PlayerSpec("tests.support.worker_players:fake")) as live:
        world = live.world
        live.wait_for_player()
        conductor = live.make_conductor(world, output, SongInfo(bpm=100), Settings(), [audio])

        def perform() -> None:
            begin, number = time.monotonic(), 0
            while time.monotonic() - begin < seconds:
                for status, velocity in ((0x90, 90), (0x80, 0)):
                    world.put(MidiIn(world.now(), bytes((status, 60 + (0, 4, 7, 5)[number % 4], velocity))))
                    time.sleep(0.3)
                number += 1
                if middle is not None and number == int(seconds / 1.2):
                    middle()
            world.put(Quit(world.now()))

        threading.Thread(target=perform, daemon=True).start()
        live.run(conductor)
    return output


def agreement(samples: np.ndarray, begin: int, sent: Sequence[Message], soundfont: str) -> list[tuple[float, float]]:
    """For every moment at which notes begin: (lag in ms at which both agree best, and how well, 0..1)."""
    first = min(at for at, _ in sent)
    origin = first - 500_000_000
    frames = [((at - origin) * RATE // 1_000_000_000, data) for at, data in sorted(sent, key=lambda m: m[0])]
    expected = render_messages(open_synth(soundfont), frames, frames[-1][0] + RATE)[:, 0]
    shift = (origin - begin) * RATE // 1_000_000_000
    reach, length = RATE * 40 // 1000, RATE * 150 // 1000
    found = []
    for frame in sorted({frame for frame, data in frames if data[0] & 0xF0 == 0x90}):
        wanted = expected[frame : frame + length]
        piece = samples[shift + frame - reach : shift + frame + length + reach]
        if len(piece) < length + 2 * reach:
            continue
        product = np.correlate(piece, wanted, "valid")
        energy = np.convolve(piece**2, np.ones(length), "valid")
        likeness = product / np.sqrt(np.maximum(energy, 1e-12) * np.sum(wanted**2))
        best = int(likeness.argmax())
        found.append(((best - reach) * 1000 / RATE, float(likeness[best])))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hang", action="store_true", help="stop the audio process in the middle")
    parser.add_argument("--soundfont", default=BUILT_IN, help="instead of the built-in synthesiser")
    parser.add_argument("--seconds", type=float, default=12)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(jack_server(256, Path(folder) / "jackd.log", is_real_time_allowed()))
        audio = stack.enter_context(closing(Audio(args.soundfont)))
        found: dict[str, Any] = {"audio": audio.wait_ready()}
        good = hung(audio, args.seconds, found) if args.hang else compared(audio, args, Path(folder), found)
    json.dump(found, sys.stdout, indent=1)
    return 0 if good else 1


def compared(audio: Audio, args: argparse.Namespace, folder: Path, found: dict[str, Any]) -> bool:
    onsets: list[Message] = []
    samples, begin = listened(folder / "scale.npz", lambda: onsets.extend(scale(audio, range(48, 85, 3), 0.3)))
    lags = [1000 * onset_lag(samples, begin, at) for at, _ in onsets]
    read = [(data[1], pitch_at(samples, begin, at)) for at, data in onsets]
    wrong = [f"{pitch} heard as {heard}" for pitch, heard in read if heard != pitch]
    kept: list[Kept] = []
    samples, begin = listened(folder / "band.npz", lambda: kept.append(band(audio, args.seconds)))
    agreed = agreement(samples, begin, kept[0].messages, args.soundfont)
    found["scale"] = {"onsets": len(onsets), "lag_ms": [round(lag, 1) for lag in lags], "wrong_pitches": wrong}
    found["band"] = {
        "moments": len(agreed),
        "lag_ms_p50": quantile([lag for lag, _ in agreed], 0.5),
        "lag_ms_worst": max((abs(lag) for lag, _ in agreed), default=None),
        "likeness_p1": quantile([like for _, like in agreed], 0.01),
        "likeness_p50": quantile([like for _, like in agreed], 0.5),
    }
    return bool(agreed) and not wrong and max(map(abs, lags)) <= 30 and found["band"]["lag_ms_worst"] <= 30


def hung(audio: Audio, seconds: float, found: dict[str, Any]) -> bool:
    stopped: list[int] = []

    def stop() -> None:
        os.kill(audio.pid, signal.SIGSTOP)
        stopped.append(time.monotonic_ns())

    kept = band(audio, seconds, stop)
    found["lateness_ms"] = {}
    for name, late in (
        ("before", [late for at, late in kept.late if at < stopped[0]]),
        ("while hung", [late for at, late in kept.late if at >= stopped[0]]),
    ):
        found["lateness_ms"][name] = {
            "onsets": len(late), **{f"p{100 * s:g}": round(quantile(late, s) / 1e6, 3) for s in (0.5, 0.99, 1.0)}
        }  # fmt: skip
    os.kill(audio.pid, signal.SIGCONT)
    before, after = (found["lateness_ms"][name]["p50"] for name in ("before", "while hung"))
    return bool(after <= before + 1)


if __name__ == "__main__":
    sys.exit(main())
