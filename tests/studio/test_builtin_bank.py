"""The bank of the program's own: complete, in tune, and played by fluidsynth as it is meant."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import mido
import numpy as np
import pytest

from daemon.sound.soundfont_file import DRUM_BANK, ZoneParameter
from daemon.studio.builtin_bank import make_builtin_bank
from tests.support.soundfont_reader import read_presets

MAX_BYTES = 2_000_000


def test_it_has_all_of_general_midi() -> None:
    presets = read_presets(make_builtin_bank())
    assert set(presets) == {(0, program) for program in range(128)} | {(DRUM_BANK, 0)}
    for (bank, _), zones in presets.items():
        served = {key for zone in zones for key in range(zone.keys[0], zone.keys[1] + 1)}
        assert served == set(range(27, 88) if bank else range(128))


def test_it_is_small_and_the_same_every_time() -> None:
    bank = make_builtin_bank()
    assert len(bank) < MAX_BYTES
    make_builtin_bank.cache_clear()
    assert make_builtin_bank() == bank


def test_tones_are_in_tune_and_their_loops_have_no_step() -> None:
    presets = read_presets(make_builtin_bank())
    for zone in (zone for (bank, _), zones in presets.items() if bank == 0 for zone in zones):
        begin, end = zone.loop
        assert len(zone.samples) >= end
        period = 128
        assert (end - begin) % period == 0
        assert abs(1200 * np.log2(zone.rate / period / (440 * 2 ** ((zone.root - 69) / 12)))) < 15
        assert abs(int(zone.samples[begin]) - int(zone.samples[end])) <= 1
        assert np.abs(zone.samples).max() > 500


def test_drums_ring_and_the_hi_hat_is_closed() -> None:
    (*zones,) = read_presets(make_builtin_bank())[DRUM_BANK, 0]
    by_pitch = {zone.keys[0]: zone for zone in zones}
    assert by_pitch[36].name == "kick"
    assert {pitch for pitch, zone in by_pitch.items() if ZoneParameter.EXCLUSIVE_CLASS in zone.generators} == {
        42,
        44,
        46,
    }
    assert all(ZoneParameter.SAMPLE_MODES not in zone.generators for zone in zones)


@pytest.mark.skipif(not shutil.which("fluidsynth"), reason="the program fluidsynth is not installed")
@pytest.mark.parametrize(("program", "pitch"), [(0, 60), (33, 36), (4, 67), (89, 64), (73, 84), (48, 52)])
def test_fluidsynth_plays_it_in_tune(tmp_path: Path, program: int, pitch: int) -> None:
    samples, rate = _play(tmp_path, program, pitch)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    wanted = 440 * 2 ** ((pitch - 69) / 12)
    near = np.fft.rfftfreq(len(samples), 1 / rate)
    assert np.abs(samples).max() > 0.005
    assert abs(near[spectrum.argmax()] - wanted) < 0.02 * wanted


def _play(folder: Path, program: int, pitch: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], int]:
    """Return what fluidsynth makes of half a second of a note."""
    song = mido.MidiFile()
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.Message("program_change", program=program))
    track.append(mido.Message("note_on", note=pitch, velocity=100))
    track.append(mido.Message("note_off", note=pitch, time=song.ticks_per_beat))
    song.save(folder / "a.mid")
    (folder / "bank.sf2").write_bytes(make_builtin_bank())
    arguments = ("-ni", "-R", "0", "-C", "0", "-F", folder / "a.wav", folder / "bank.sf2", folder / "a.mid")
    subprocess.run(["fluidsynth", *arguments], check=True, capture_output=True)
    with wave.open(str(folder / "a.wav")) as file:
        data = np.frombuffer(file.readframes(file.getframerate() // 2), "<i2").reshape(-1, 2)
        return data.mean(1) / 32768, file.getframerate()
