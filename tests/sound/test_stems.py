"""Loudness, balance and stems: the melody is heard above the band, and the mix is the sum of its stems."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import pytest

from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.sound import wav
from daemon.sound.balance import BALANCE_LU, MAX_PEAK, balance_channels, find_gains
from daemon.sound.builtin_synth import BuiltInSynth
from daemon.sound.loudness import LoudnessMeter, measure_loudness
from daemon.sound.synth import RATE, Samples, render_messages
from music.midi import note_on
from music.note import CHANNELS, HAND, HAND_SOUND_CHANNEL, MELODY, Note

AT_120 = TempoMap(500_000)


def sine(seconds: float, dbfs: float) -> Samples:
    """997 Hz on both channels: by definition as many LUFS as dBFS of its peak."""
    t = np.arange(round(seconds * RATE)) / RATE
    one = np.sin(2 * np.pi * 997 * t) * 10 ** (dbfs / 20)
    return np.stack([one, one], 1).astype(np.float32)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(20, -23)], -23.0),
        ([(20, -33)], -33.0),
        ([(2, -36), (24, -23), (2, -36)], -23.0),  # the relative gate
        ([(2, -72), (2, -36), (24, -23), (2, -36), (2, -72)], -23.0),  # and the absolute one
    ],
)
def test_loudness_is_that_of_the_test_signals_of_ebu_3341(pieces: list[tuple[float, float]], expected: float) -> None:
    assert measure_loudness(np.concatenate([sine(*piece) for piece in pieces])) == pytest.approx(expected, abs=0.1)


def test_loudness_does_not_depend_on_the_pieces_that_sound_comes_in() -> None:
    random = np.random.default_rng(1)
    samples = random.uniform(-0.5, 0.5, (3 * RATE, 2)).astype(np.float32)
    meter = LoudnessMeter()
    for piece in np.split(samples, [0, 1, 777, 40_000, 40_001, 120_000]):
        meter.add(piece)
    assert meter.measure() == pytest.approx(measure_loudness(samples), abs=1e-6)
    assert meter.peak == np.abs(samples).max()


def test_silence_and_what_is_shorter_than_a_block_has_no_loudness() -> None:
    assert math.isinf(measure_loudness(np.zeros((2 * RATE, 2), np.float32)))
    assert math.isinf(measure_loudness(sine(0.3, -10)))


def test_a_level_is_heard_and_the_balance_is_that_of_level_one() -> None:
    loudness = {MELODY: -30.0, "bass": -10.0, "pad": -math.inf}
    gains = find_gains(loudness, Settings(levels={"bass": 0.5}), 2.0)
    sounding = {role: loudness[role] + 20 * math.log10(gains[role]) for role in (MELODY, "bass")}
    assert sounding["bass"] - sounding[MELODY] == pytest.approx(BALANCE_LU["bass"] + 40 * math.log10(0.5))
    assert gains["pad"] == 1.0


def test_live_the_melody_is_above_every_role_of_the_band() -> None:
    synth = BuiltInSynth()
    balance_channels(synth)
    found = {}
    for role, channel in {**CHANNELS, HAND: HAND_SOUND_CHANNEL}.items():
        pitches = {"bass": (40,), "chords": (60, 64, 67), "pad": (60, 64, 67)}.get(role, (72,))
        beats = [(number * RATE // 4, (36, 42, 38, 42)[number % 4]) for number in range(8)]
        messages = [(at, note_on(channel, p, 80)) for at, d in beats for p in ((d,) if role == "drums" else pitches)]
        found[role] = measure_loudness(render_messages(synth, messages, 2 * RATE))
        synth.silence()
    assert all(found[MELODY] - lufs > 2 for role, lufs in found.items() if role != MELODY), found


def read(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return (data / np.float32(32767)).astype(np.float32)


def write(folder: Path, melody_velocity: int, **levels: float) -> dict[str, Samples]:
    beats = range(0, 24 * 8, 24)
    parts = {
        MELODY: [Note(at, 72, 20, melody_velocity) for at in beats],
        "bass": [Note(at, 40, 20, 127) for at in beats],
        "chords": [Note(at, pitch, 20, 127) for at in beats for pitch in (60, 64, 67, 71)],
        "drums": [Note(at, pitch, 6, 127) for at in beats for pitch in (36, 38, 49)],
    }
    stems = {role: folder / f"{role}.wav" for role in parts}
    settings = Settings(levels=levels)
    told = wav.write(folder / "mix.wav", parts, AT_120, BuiltInSynth(), settings=settings, stems=stems)
    found = {name: read(folder / f"{name}.wav") for name in (*parts, "mix")}
    for name, samples in found.items():
        assert told[name].lufs == pytest.approx(measure_loudness(samples), abs=0.05)
    return found


@pytest.mark.parametrize("velocity", [20, 70, 127])
def test_the_melody_is_2_to_6_lu_above_the_loudest_of_the_band_and_nothing_clips(tmp_path: Path, velocity: int) -> None:
    found = write(tmp_path, velocity)
    loudness = {name: measure_loudness(samples) for name, samples in found.items()}
    assert 2 <= loudness[MELODY] - max(loudness[role] for role in ("bass", "chords", "drums")) <= 6
    assert max(np.abs(samples).max() for samples in found.values()) <= MAX_PEAK + 1e-4
    total = sum(samples for name, samples in found.items() if name != "mix")
    assert np.abs(total - found["mix"]).max() < 4 / 32767


def test_levels_hold_in_stems(tmp_path: Path) -> None:
    found = {name: measure_loudness(s) for name, s in write(tmp_path, 90, melody=0.5, chords=1.5).items()}
    unit = 20 * BuiltInSynth.velocity_exponent
    assert found["bass"] - found[MELODY] == pytest.approx(BALANCE_LU["bass"] - unit * math.log10(0.5), abs=0.2)
    assert found["chords"] - found["bass"] == pytest.approx(
        BALANCE_LU["chords"] - BALANCE_LU["bass"] + unit * math.log10(1.5), abs=0.2
    )
