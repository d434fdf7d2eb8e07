"""Stems: the sound of each role on its own, balanced by loudness, and the mix that they add up to, as WAV files.

Each role is played through the synthesiser by itself and kept on the disk until its loudness is known; then it is
written with the gain that the balance asks for. The mix is the sum of the stems.
"""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from daemon.core.settings import Settings
from daemon.sound.balance import MAX_PEAK, MIX_LUFS, find_gains
from daemon.sound.loudness import LoudnessMeter
from daemon.sound.synth import RATE, Samples, Synth, render_messages
from music.files import open_atomically

#: (frame, message) by frame
Messages = Sequence[tuple[int, bytes]]
_PIECE_FRAMES = 10 * RATE  # rendered at a time
#: sound that the last role leaves in the synthesiser's effects dies away for so long before the next
_REST_FRAMES = 2 * RATE
_FULL_SCALE = 32767


@dataclass(frozen=True, slots=True)
class Loudness:
    """The loudness of a stem or of the mix, as it is written."""

    lufs: float  #: integrated, by ITU-R BS.1770; minus infinity for silence
    peak: float  #: highest sample, 0..1


class StemRecording:
    """The sound of roles, each by itself, kept in files without a name. A context manager, which deletes them."""

    def __init__(self, synth: Synth, frames: int) -> None:
        """frames: the length of every stem."""
        self._synth, self._frames = synth, frames
        self._files: dict[str, IO[bytes]] = {}
        self._loudness: dict[str, float] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, role: str, messages: Messages) -> None:
        """Record what a role plays. Raises OSError."""
        file = self._files[role] = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the stack
        meter = LoudnessMeter()
        for begin in range(0, self._frames, _PIECE_FRAMES):
            last = min(begin + _PIECE_FRAMES, self._frames)
            here = [(at - begin, data) for at, data in messages if begin <= at < last]
            samples = render_messages(self._synth, here, last - begin)
            meter.add(samples)
            file.write(_pack(samples))
        self._loudness[role] = meter.measure()
        self._synth.silence()
        self._synth.render(_REST_FRAMES)

    def write(self, targets: Mapping[str, Path], mix: Path, settings: Settings) -> dict[str, Loudness]:
        """Write the mix, and the stems that `targets` names by role; return how loud they are, the mix as `mix`.

        settings: with the levels that the roles were played with. Nothing half-written is ever seen. Raises OSError.
        """
        gains = find_gains(self._loudness, settings, self._synth.velocity_exponent)
        master = self._find_master(gains)
        gains = {role: gain * master for role, gain in gains.items()}
        meters = {name: LoudnessMeter() for name in (*self._files, "mix")}
        with ExitStack() as stack:
            files = {role: stack.enter_context(_create(path, self._frames)) for role, path in targets.items()}
            mixed = stack.enter_context(_create(mix, self._frames))
            for pieces in self._read():
                total = np.zeros_like(next(iter(pieces.values())))
                for role, samples in pieces.items():
                    scaled = samples * np.float32(gains[role])
                    total += scaled
                    meters[role].add(scaled)
                    if role in files:
                        files[role].writeframesraw(_pack(scaled))
                meters["mix"].add(total)
                mixed.writeframesraw(_pack(total))
        return {name: Loudness(meter.measure(), meter.peak) for name, meter in meters.items()}

    def _find_master(self, gains: Mapping[str, float]) -> float:
        """Return the factor with which the mix, and every stem, is as loud as its peaks allow."""
        meters = {name: LoudnessMeter() for name in (*self._files, "mix")}
        for pieces in self._read():
            scaled = {role: samples * np.float32(gains[role]) for role, samples in pieces.items()}
            meters["mix"].add(np.sum(list(scaled.values()), axis=0))
            for role, samples in scaled.items():
                meters[role].peak = max(meters[role].peak, float(np.abs(samples).max(initial=0)))
        peak, lufs = max(meter.peak for meter in meters.values()), meters["mix"].measure()
        wanted = 1.0 if np.isinf(lufs) else 10 ** ((MIX_LUFS - lufs) / 20)
        return min(wanted, MAX_PEAK / peak) if peak else 1.0

    def _read(self) -> Iterator[dict[str, Samples]]:
        """Yield the samples of all roles, piece by piece."""
        for file in self._files.values():
            file.seek(0)
        for begin in range(0, self._frames, _PIECE_FRAMES):
            size = min(_PIECE_FRAMES, self._frames - begin)
            yield {role: _unpack(file.read(size * 4)) for role, file in self._files.items()}


def _pack(samples: Samples) -> bytes:
    return (np.clip(samples, -1, 1) * _FULL_SCALE).round().astype("<i2").tobytes()


def _unpack(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").reshape(-1, 2).astype(np.float32) / np.float32(_FULL_SCALE)


@contextmanager
def _create(path: Path, frames: int) -> Iterator[wave.Wave_write]:
    """Open a WAV file that is seen once it is whole. Raises OSError."""
    with open_atomically(path) as opened, wave.open(opened) as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(frames)  # the header is right from the beginning, for a pipe cannot be wound back
        yield file
