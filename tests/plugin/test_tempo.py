"""Notes of the plugin where the tempo changes: each at the sample that is nearest to its position."""

from __future__ import annotations

import ctypes
import math
import shutil
from collections.abc import Callable

import pytest

from tests.plugin.instances import BASS, NOTE_ON, RATE, Daemon, Instance, Place, at, tell_all

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")

#: quarter notes a minute by which a tempo rises with every sample
RISE = 20 / RATE
TICKS_PER_FRAME_AND_BPM = 24 / 60 / RATE
FIRST_NOTE = 8
#: samples: what is told as float is not exact
NEAREST = 0.55


#: instead of a rise: the host rounds its positions
ROUNDS = math.inf


def round_to_float(value: float) -> float:
    return ctypes.c_float(value).value


def find_place(tick: float, frame: int, bpm: float, rise: float | None) -> Place:
    """Return what a host tells: as CLAP does or, with no rise, as LV2 does, whose numbers are float."""
    if rise == ROUNDS:
        place = at(round(tick * 80) / 80, frame)  # 1920 parts of a quarter note
        place.bpm, place.hides_ramps, place.rounded = round_to_float(bpm), True, 0.51 / 80
        return place
    if rise is not None:
        place = at(tick, frame)
        place.bpm, place.bpm_per_frame = bpm, rise
        return place
    place = at(round_to_float(tick / 24) * 24, frame)
    place.bpm, place.hides_ramps = round_to_float(bpm), True
    return place


class Host:
    """A host with one instance, for which a note is told at every quarter of a tick."""

    def __init__(
        self,
        make: Callable[..., Instance],
        daemon: Daemon,
        *,
        tells_rise: bool,
        rounds: bool = False,
        tells_bpm: float | None = None,
    ) -> None:
        """tells_bpm: the host tells this, whatever the tempo."""
        self._bass, self._connection = make(BASS), daemon.accept()
        self._tells_rise, self._rounds, self._tells_bpm = tells_rise, rounds, tells_bpm
        self._tick, self._frame, self._bpm = 0.0, 0, 120.0
        self._run(64, 0.0)
        epoch = int(self._connection.hear("at")[0])
        notes = [f"note {epoch} bass {250 * number} {36 + number % 60} 90 0" for number in range(FIRST_NOTE, 400)]
        tell_all(self._connection, self._bass, *notes, f"until {epoch} 100000")

    def _run(self, frames: int, rise: float) -> list[tuple[int, bytes]]:
        told = rise if self._tells_rise else ROUNDS if self._rounds else None
        place = find_place(self._tick, self._frame, self._tells_bpm or self._bpm, told)
        sent = self._bass.run(frames, (0, place))
        self._tick += (self._bpm * frames + rise * frames**2 / 2) * TICKS_PER_FRAME_AND_BPM
        self._bpm += rise * frames
        self._frame += frames
        return sent

    def play(self, frames: int, rise: float = 0.0, step: float = 0.0) -> float:
        """Play a block, before which the tempo leaps and in which it rises; return the most by which a note is off."""
        self._bpm += step
        tick, bpm = self._tick, self._bpm
        begins = [frame for frame, message in self._run(frames, rise) if message[0] & 0xF0 == NOTE_ON]
        half = bpm * TICKS_PER_FRAME_AND_BPM / 2  # of a sample, which rounds to the next block
        first = max(FIRST_NOTE, math.ceil((tick - half) * 4))
        assert abs(len(begins) - len(range(first, math.ceil((self._tick - half) * 4)))) <= 1
        deviations = [0.0]
        for frame in begins:
            at_frame = tick + (bpm + rise * frame / 2) * frame * TICKS_PER_FRAME_AND_BPM
            frames_even = (round(at_frame * 4) / 4 - tick) / (bpm * TICKS_PER_FRAME_AND_BPM)
            exact = 2 * frames_even / (1 + math.sqrt(1 + 2 * frames_even * rise / bpm))
            deviations.append(abs(frame - exact))
        return max(deviations)


@pytest.fixture(params=[True, False], ids=["clap", "lv2"])
def host(request: pytest.FixtureRequest, make: Callable[..., Instance], daemon: Daemon) -> Host:
    return Host(make, daemon, tells_rise=request.param)


def test_a_ramp_is_followed_from_its_second_block_at_the_latest(host: Host) -> None:
    host.play(2048)
    host.play(1000, RISE)
    assert host.play(8192, RISE) < NEAREST
    assert host.play(64, RISE) < NEAREST
    assert host.play(8192, RISE) < NEAREST


def test_a_ramp_that_falls_is_followed(host: Host) -> None:
    host.play(2048)
    host.play(1000, -RISE)
    assert host.play(8192, -RISE) < NEAREST


def test_a_ramp_is_followed_through_blocks_of_one_sample(host: Host) -> None:
    host.play(2048)
    for _ in range(1500):
        host.play(1, RISE)
    assert host.play(8192, RISE) < NEAREST


def test_a_ramp_that_has_ended_is_followed_no_longer(host: Host) -> None:
    host.play(2048)
    for _ in range(3):
        host.play(2048, RISE)
    host.play(512)
    assert host.play(8192) < NEAREST


def test_a_tempo_that_leaps_is_no_ramp(host: Host) -> None:
    for frames in (2048, 1, 64, 700):
        host.play(frames, step=8)
        assert host.play(4096) < NEAREST


def test_a_tempo_that_leaps_in_a_host_that_rounds_its_positions_is_no_ramp(
    make: Callable[..., Instance], daemon: Daemon
) -> None:
    host = Host(make, daemon, tells_rise=False, rounds=True)
    for frames in (2048, 500, 64, 1, 700):
        host.play(frames, step=8)
        assert host.play(4096) < 10 * NEAREST  # a part of a beat is 12 samples


def test_a_ramp_of_which_a_host_tells_only_the_first_tempo_and_rounded_places_is_followed(
    make: Callable[..., Instance], daemon: Daemon
) -> None:
    host = Host(make, daemon, tells_rise=False, rounds=True, tells_bpm=120)
    assert max(host.play(1024) for _ in range(10)) < NEAREST
    bpm, deviations = 120.0, []
    for _ in range(60):  # even in beats, as Ardour's ramps are
        rise = bpm * 0.1 / RATE
        deviations.append(host.play(1024, rise))
        bpm += 1024 * rise
    assert max(deviations[:15]) < 25  # it may be no ramp yet; a part of a beat is 12 samples
    assert max(deviations[15:]) < 6  # without a ramp they would be 100 late by now


def test_a_ramp_that_a_host_tells_is_followed_from_its_first_sample(
    make: Callable[..., Instance], daemon: Daemon
) -> None:
    host = Host(make, daemon, tells_rise=True)
    host.play(3000)
    assert host.play(8192, RISE) < NEAREST
    assert host.play(8192, -3 * RISE) < NEAREST
