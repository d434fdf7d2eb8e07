"""Sound: the built-in synthesiser, the renderer, the pipe that is never waited for, and WAV files."""

from __future__ import annotations

import wave
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.core.counters import Counters
from daemon.core.observers import ChordNames, PlayedBar
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.looper import EditLoop
from daemon.sound import wav
from daemon.sound.audio import Audio, AudioError
from daemon.sound.audio_process import MARGIN_NS, BlockRenderer
from daemon.sound.builtin_synth import BuiltInSynth
from daemon.sound.click_track import ClickTrack
from daemon.sound.fluid_synth import open_synth
from daemon.sound.soundfont import PLACES, find_soundfont
from daemon.sound.synth import RATE, render_messages
from music import midifile
from music.click import BAR_PITCH, song_clicks
from music.note import CHANNELS, MELODY, Metre, Note

MS = 1_000_000


def pitch(samples: np.ndarray) -> int:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
    return round(69 + 12 * float(np.log2(spectrum.argmax() * RATE / (1 << 17) / 440)))


@pytest.mark.parametrize("role", [MELODY, "bass", "chords", "pad"])
@pytest.mark.parametrize("played", [36, 60, 84])
def test_every_part_sounds_at_its_pitch_and_ends(role: str, played: int) -> None:
    channel = CHANNELS[role]
    messages = [(4800, bytes((0x90 | channel, played, 100))), (24_000, bytes((0x80 | channel, played, 0)))]
    found = render_messages(BuiltInSynth(), messages, 3 * RATE)
    assert found.shape == (3 * RATE, 2)
    assert np.abs(found[:4800]).max() == 0
    assert np.abs(found[4800:9600]).max() > 0.01
    assert pitch(found[9600:24_000, 0]) == played
    assert np.abs(found[-4800:]).max() < 1e-4


def test_however_many_keys_are_down_it_stays_within_bounds() -> None:
    synth = BuiltInSynth()
    for channel in (0, 1, 2, 3, 9):
        for key in range(20, 108):
            synth.play(bytes((0x90 | channel, key, 127)))
    assert np.abs(synth.render(4800)).max() <= 1
    synth.silence()
    assert np.abs(synth.render(4800)).max() == 0


class Marks:
    """A synthesiser that plays a one for every onset."""

    name = "marks"
    velocity_exponent = 1.0

    def __init__(self) -> None:
        self.due = 0.0

    def play(self, data: bytes) -> None:
        self.due += data[0] & 0xF0 == 0x90

    def render(self, frames: int) -> np.ndarray:
        out = np.zeros((frames, 2), np.float32)
        if frames:
            out[0], self.due = self.due, 0.0
        return out

    def set_gain(self, channel: int, gain: float) -> None:
        """Marks are equally loud on all channels."""

    def silence(self) -> None:
        self.due = 0.0


def test_a_message_sounds_at_its_moment_however_late_it_came() -> None:
    clock = [0]
    renderer = BlockRenderer(Marks(), 1000, lambda: clock[0])
    heard: list[float] = []
    for block in range(20):
        clock[0] = block * 10 * MS + (3 * MS if block % 3 else 0)  # callbacks come late by chance
        if block == 3:
            renderer.put(29 * MS, b"\x90\x3c\x40")
            renderer.put(34 * MS, b"\x90\x3c\x40")
        heard += renderer.render(10)[:, 0].tolist()
    delay = 10 + MARGIN_NS // MS
    first, second = (at for at, value in enumerate(heard) if value)
    assert abs(first - 29 - delay) <= 1
    assert abs(second - 34 - delay) <= 1


def test_onsets_from_long_ago_are_not_played_and_ends_are() -> None:
    played: list[bytes] = []
    synth = Marks()
    synth.play = played.append  # type: ignore[method-assign, assignment]
    clock = [1000 * MS]
    renderer = BlockRenderer(synth, 1000, lambda: clock[0])
    renderer.put(10 * MS, b"\x90\x3c\x40")
    renderer.put(11 * MS, b"\x80\x3c\x00")
    renderer.render(10)
    assert played == [b"\x80\x3c\x00"]


CHILD = "tests.support.audio_children"


def test_a_process_that_hangs_is_never_waited_for() -> None:
    with closing(Audio(target=f"{CHILD}:hang")) as deaf:
        assert deaf.wait_ready() == "deaf"
        for number in range(20_000):  # several times what a pipe holds
            deaf.send(b"\x90\x3c\x40", number)


def test_a_process_that_dies_is_silence(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Audio(target=f"{CHILD}:end")) as gone:
        gone.wait_ready()
        gone._child.stop(20)
        for _ in range(3):
            gone.send(b"\x90\x3c\x40", 0)
    assert [record.getMessage() for record in caplog.records] == [
        "the audio process is gone; the band plays on in silence"
    ]


def test_no_sound_at_the_start_is_one_sentence() -> None:
    with pytest.raises(AudioError, match=r"^the speaker is broken$"):
        Audio(target=f"{CHILD}:fail").wait_ready()


class Playing:
    """A performance that plays at 120 bpm."""

    settings = Settings()
    tempo: TempoMap | None = TempoMap(500_000)
    counters = Counters()
    playing = True
    us_per_beat, waiting_for = 500_000, ""
    loop = EditLoop()

    def find_chords(self, now: int) -> ChordNames:
        return ChordNames()

    def find_bar(self, tick: int) -> PlayedBar:
        return PlayedBar(tick // 72 * 72, tick // 72 * 72 + 72, Metre(3, 4))


def test_clicks_come_on_the_beats_and_the_first_is_higher() -> None:
    sent: list[tuple[int, bytes]] = []
    clicker = ClickTrack(lambda data, at: sent.append((at, data)))
    clicker.on_start(Playing())
    for now in range(0, 3000, 60):
        clicker.on_wait(now * MS, None)
    clicks = [(at // MS, data[1]) for at, data in sent if data[0] == 0x99]
    assert clicks == [(500 * beat, 77 if beat % 3 else 76) for beat in range(len(clicks))]
    assert len(clicks) == 7


def test_clicks_follow_bars_that_change_while_the_band_plays() -> None:
    """Two bars of 4/4, the second of them cut short after two beats and a half; 3/4 from there on, then 6/8."""
    bars = [PlayedBar(0, 96, Metre()), PlayedBar(96, 156, Metre())]
    bars += [PlayedBar(156, 228, Metre(3, 4)), PlayedBar(228, 300, Metre(6, 8)), PlayedBar(300, 999, Metre(6, 8))]

    class Changing(Playing):
        def find_bar(self, tick: int) -> PlayedBar:
            return next(bar for bar in bars if tick < bar.end)

    sent: list[tuple[int, bytes]] = []
    clicker = ClickTrack(lambda data, at: sent.append((at, data)))
    clicker.on_start(Changing())
    tempo = TempoMap(500_000)
    for tick in range(290):
        clicker.on_wait(tempo.ns_at(tick), None)
    clicks = [(tempo.tick_at(at), data[1]) for at, data in sent if data[0] == 0x99]
    high = [tick for tick, pitch in clicks if pitch == 76]
    assert [tick for tick, _ in clicks] == [*range(0, 156, 24), *range(156, 228, 24), *range(228, 300, 12)]
    assert high == [0, 96, 156, 228]


def test_a_wav_has_the_notes_at_their_moments(tmp_path: Path) -> None:
    path, tempo = tmp_path / "a.wav", TempoMap(500_000)
    parts = {MELODY: [Note(24 * n, 60 + 5 * n, 12, 100) for n in range(4)]}
    wav.write(path, parts, tempo, BuiltInSynth())
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 0] / 32768
    for number in range(4):
        at = number * RATE // 2
        assert pitch(samples[at + 480 : at + 9600]) == 60 + 5 * number
    assert list(tmp_path.iterdir()) == [path]


def test_the_click_of_a_wav_follows_changes_of_metre(tmp_path: Path) -> None:
    """A bar of 4/4, two of 3/4, then 6/8; where a bar begins, the higher click sounds."""
    metres = ((0, Metre()), (96, Metre(3, 4)), (240, Metre(6, 8)))
    found = list(song_clicks(metres, 312))
    assert [click.start for click in found] == [*range(0, 240, 24), *range(240, 312, 12)]
    assert [click.start for click in found if click.pitch == BAR_PITCH] == [0, 96, 168, 240]
    plain, clicked = tmp_path / "plain.wav", tmp_path / "clicked.wav"
    parts = {MELODY: [Note(0, 60, 312, 1)]}
    for path, click in ((plain, ()), (clicked, metres)):
        wav.write(path, parts, TempoMap(500_000), BuiltInSynth(), click)
    sounds = []
    for path in (plain, clicked):
        with wave.open(str(path)) as file:
            sounds.append(np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 0].astype(int))
    click = np.abs(sounds[1] - sounds[0])
    beats = [click[at * RATE // 48 : at * RATE // 48 + 2000].max() for at in (240, 252, 264)]  # a tick takes 1/48 s
    assert min(beats) > 100


def test_render_writes_sound(tmp_path: Path) -> None:
    melody, target = tmp_path / "m.mid", tmp_path / "m.wav"
    midifile.write(melody, {MELODY: [Note(24 * n, 60 + n, 20, 90) for n in range(8)]})
    run = CliRunner().invoke(main, ["render", str(melody), "-o", str(target), "--soundfont", "built-in", "--click"])
    assert run.exit_code == 0, run.output
    with wave.open(str(target)) as file:
        assert file.getnframes() > 4 * RATE
        assert np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2")).max() > 1000
    run = CliRunner().invoke(main, ["render", str(melody), "-o", str(tmp_path / "m.mid.mid"), "--click"])
    assert (run.exit_code, "name a file that ends in .wav" in run.output) == (2, True)
    run = CliRunner().invoke(main, ["render", str(melody), "-o", str(tmp_path / "m.mp3")])
    assert (run.exit_code, "sound is written as .wav" in run.output) == (2, True)
    run = CliRunner().invoke(main, ["render", str(melody), "-o", str(target), "--soundfont", str(melody)])
    assert (run.exit_code, "not a soundfont" in run.output) == (2, True)


def test_a_soundfont_gives_every_channel_an_instrument_and_the_tenth_drums() -> None:
    pytest.importorskip("fluidsynth", reason="needs the extra `audio` and the system's fluidsynth")
    font = find_soundfont(places=PLACES)
    if font is None:
        pytest.skip("needs a soundfont (Debian: timgm6mb-soundfont)")
    synth = open_synth(font)
    assert synth.name.startswith("fluidsynth")
    for channel in CHANNELS.values():
        synth.play(bytes((0x90 | channel, 42, 110)))
        assert np.abs(synth.render(9600)).max() > 0.005, channel
        synth.silence()
        synth.render(48_000)
