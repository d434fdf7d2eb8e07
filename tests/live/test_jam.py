"""`houseband jam`: in real time, but fast, in a process of its own."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.live.jam import (
    JamSetup,
    MelodyThru,
    Performer,
    build_display_setup,
    build_song,
    open_melody_input,
    open_wanted_ports,
)
from daemon.midi.ports import PortError, PortRequest
from daemon.offline.virtual_world import RecordingOutput, VirtualWorld
from daemon.players.worker import PlayerSpec
from daemon.sound.audio import RECORD
from daemon.system.live_world import LiveWorld
from music import midi, midifile
from music.click import BAR_PITCH, BEAT_PITCH
from music.note import CHANNELS, ROLES, TICKS_PER_STEP, Note
from music.tunes import TUNES, Tune, parse_tune
from tests.support.terminal import read_until_closed, strip_escapes

ROOT = Path(__file__).resolve().parents[2]
FAST = TempoMap(1_000)  # a beat lasts a microsecond times a thousand


def jam(output: Path, bars: int, *options: str, api: str = "none") -> subprocess.Popen[str]:
    """Without any MIDI system, whatever the machine has, unless another `api` is named."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.jam_fake", str(output), str(bars), api, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "SILENCER_TOLD": f"{output}.told"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def setup(tune: Tune, bpm: float | None = None, api: str = "none", out_port: str | None = None) -> JamSetup:
    return JamSetup(
        PlayerSpec("none:none"), tune, bpm, lambda _: Settings(), lambda style: Path(f"{style}.mid"), api, out_port
    )


def test_it_plays_once_without_ports_or_terminal_and_leaves_a_file(tmp_path: Path) -> None:
    running = jam(tmp_path / "take.mid", 3)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("No MIDI system here")
    assert [re.match(r"bar +(\d+)/3  melody ", line) is not None for line in lines[1:-1]] == [True] * 3
    assert lines[1].startswith("bar  1/3  melody F#4 F#4 G4 A4 ")
    assert lines[-1] == f"written: {tmp_path / 'take.mid'}"
    song = midifile.read(tmp_path / "take.mid")
    parts = {part.name: part for part in song.parts}
    assert set(parts) == {"melody", *ROLES}
    played = TUNES["ode"].cut(3).notes
    assert [n.pitch for n in parts["melody"].notes] == [n.pitch for n in played]
    assert parts["melody"].notes[0].start == 0
    for role in ROLES:  # the band is on the grid, whatever the machine was at
        assert {n.start % TICKS_PER_STEP for n in parts[role].notes} == {0}
    assert song.tempos == ((0, 150_000),)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a process alone there")
def test_melody_and_band_are_heard_and_every_note_ends(tmp_path: Path) -> None:
    running = jam(tmp_path / "take.mid", 2, "--sound")
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert out.startswith("No MIDI system here, so melody and band meet inside this program. Sound: a file.")
    told = [data[:length] for _, length, data in RECORD.iter_unpack((tmp_path / "take.mid.sound").read_bytes())]
    begun = Counter((data[0] & 0x0F, data[1]) for data in told if data[0] & 0xF0 == 0x90)
    ended = Counter((data[0] & 0x0F, data[1]) for data in told if data[0] & 0xF0 == 0x80)
    assert begun == ended
    parts = {part.name: part for part in midifile.read(tmp_path / "take.mid").parts}
    for role in ("melody", *ROLES):
        notes = Counter((CHANNELS[role], note.pitch) for note in parts[role].notes)
        assert {key: count for key, count in begun.items() if key[0] == CHANNELS[role]} == notes


def test_a_click_is_heard_on_every_beat_and_is_not_in_the_take(tmp_path: Path) -> None:
    running = jam(tmp_path / "take.mid", 2, "--sound", "--click")
    assert running.communicate(timeout=60)[1] == ""
    told = [data[:length] for _, length, data in RECORD.iter_unpack((tmp_path / "take.mid.sound").read_bytes())]
    clicks = [data[1] for data in told if data[0] == 0x99 and data[1] in (BAR_PITCH, BEAT_PITCH)]
    assert clicks[:8] == [BAR_PITCH, *3 * [BEAT_PITCH]] * 2
    drums = next(part for part in midifile.read(tmp_path / "take.mid").parts if part.name == "drums")
    assert not {BAR_PITCH, BEAT_PITCH} & {note.pitch for note in drums.notes}


def test_ctrl_c_ends_it_and_keeps_what_was_played(tmp_path: Path) -> None:
    running = jam(tmp_path / "take.mid", 16)
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("bar  2"):
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert out.splitlines()[-1] == f"written: {tmp_path / 'take.mid'}"
    melody = midifile.choose_melody(midifile.read(tmp_path / "take.mid"))
    assert 8 <= len(melody.notes) < len(TUNES["ode"].notes)


@pytest.mark.skipif(os.name == "nt", reason="a process is given no open file there")
def test_killed_it_is_silenced_on_the_ports_that_it_played_to(tmp_path: Path) -> None:
    told = tmp_path / "take.mid.told"
    os.mkfifo(told)  # where there is something to read once it has been written
    with open(os.open(told, os.O_RDONLY | os.O_NONBLOCK)) as ends:  # noqa: PTH123
        running = jam(tmp_path / "take.mid", 16, "--ports", api="jack")
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("bar  3"):  # who listens is asked for twice a second
                break
        running.kill()
        running.communicate(timeout=60)
        assert select.select([ends], [], [], 60)[0]
        system, name, *data = ends.read().split()
    assert (system, name) == ("API_UNIX_JACK", "synth:in")
    channels = {midi.channel_of(bytes.fromhex(each)) for each in data}
    assert channels == {CHANNELS[role] for role in ("melody", *ROLES)}
    assert all(midi.is_note_off(bytes.fromhex(each)) for each in data)


def test_with_ports_it_ends_like_any_other(tmp_path: Path) -> None:
    running = jam(tmp_path / "take.mid", 2, "--ports", api="jack")
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert out.startswith("MIDI: jack, port 'houseband out'.")
    assert not (tmp_path / "take.mid.told").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_in_a_terminal_a_piano_roll_scrolls_by(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.support.jam_fake", str(tmp_path / "take.mid"), "2", "none"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "TERM": "xterm-256color", "COLUMNS": "60", "LINES": "20"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = read_until_closed(ours)
    assert running.wait(timeout=60) == 0
    text = strip_escapes(seen)
    assert "Ode to Joy" in text
    assert "bar  2/2" in text
    assert "█━" in text
    assert "bar  1/2  melody" not in text


def test_a_tune_with_an_upbeat_is_one() -> None:
    upbeat = setup(parse_tune("test", 100, "-:3 C4:1 | D4:4 | E4:4"))
    assert build_song(upbeat).pickup == 24
    assert build_display_setup(upbeat, build_song(upbeat), Settings("jazz")).bars == 2
    assert build_song(setup(TUNES["ode"])).pickup == 0
    assert (build_song(setup(TUNES["ode"])).bpm, build_song(setup(TUNES["ode"], 77)).bpm) == (104, 77)


def test_the_performer_plays_every_note_in_order_and_says_when_it_is_over() -> None:
    tune = parse_tune("test", 100, "C4:2 D4:2 | E4:4")
    played: list[bytes] = []
    performer = Performer(tune, FAST, played.append, lambda: played.append(b"over"))
    performer.start()
    performer._thread.join()
    performer.close()
    keys = [(data[0], data[1]) for data in played[:-1]]
    assert keys == [(0x90, 60), (0x80, 60), (0x90, 62), (0x80, 62), (0x90, 64), (0x80, 64)]
    assert played[-1] == b"over"


def test_a_performer_stopped_in_a_note_ends_it() -> None:
    world = LiveWorld()
    tune = Tune("test", 100, TUNES["ode"].metre, (Note(0, 60, 24 * 4), Note(96, 62, 24)), 2)
    played: list[bytes] = []

    def play(data: bytes) -> None:
        played.append(data)
        world.put(None)  # type: ignore[arg-type]

    performer = Performer(tune, TempoMap(60_000_000, 0, world.now()), play, lambda: played.append(b"over"))
    performer.start()
    world.wait(None)  # the first note has begun; the next would come in four minutes
    performer.close()
    assert played == [bytes((0x90, 60, 80)), bytes((0x80, 60, 0))]


def test_the_melody_goes_through_on_its_own_channel_and_ends_with_the_jam() -> None:
    output = RecordingOutput(VirtualWorld())
    thru = MelodyThru(output)
    for data in (bytes((0x95, 60, 70)), bytes((0x85, 60, 0)), bytes((0x95, 62, 70)), bytes((0xB5, 1, 1))):
        thru.on_input(data, 3)
    thru.end(4)
    thru.end(5)
    assert [(sent.due, sent.data) for sent in output.sent] == [
        (3, bytes((0x90, 60, 70))),
        (3, bytes((0x80, 60, 0))),
        (3, bytes((0x90, 62, 70))),
        (4, bytes((0x80, 62, 0))),
    ]


def test_ports_are_done_without_unless_they_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_there(_: PortRequest) -> None:
        raise PortError("no MIDI system found")

    monkeypatch.setattr("daemon.live.jam.backends.open_ports", none_there)
    with ExitStack() as stack:
        assert open_wanted_ports(setup(TUNES["ode"], api="auto"), stack) is None
        assert open_wanted_ports(setup(TUNES["ode"], api="none"), stack) is None
        for asked in (setup(TUNES["ode"], api="jack"), setup(TUNES["ode"], api="auto", out_port="synth")):
            with pytest.raises(PortError):
                open_wanted_ports(asked, stack)


def test_without_ports_the_melody_comes_in_this_process() -> None:
    world = LiveWorld()
    with ExitStack() as stack:
        open_melody_input(None, world, stack)(b"\x90\x3c\x40")
    event = world.wait(None)
    assert getattr(event, "data", None) == b"\x90\x3c\x40"


def test_the_command_plays_the_shipped_weights_and_says_where_the_take_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "daemon", "jam", "--bars", "1", "--bpm", "300", "--api", "none"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    files = [path.name for path in tmp_path.iterdir()]
    assert len(files) == 1
    assert re.fullmatch(r"jam-\w+\.mid", files[0])
    assert done.stdout.splitlines()[-1].endswith(f"is in {files[0]}")
    assert midifile.choose_melody(midifile.read(tmp_path / files[0])).notes


def test_a_jam_overwrites_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept.mid"
    kept.write_bytes(b"precious")
    result = CliRunner().invoke(main, ["jam", "--bars", "1", "--api", "none", "-o", str(kept)])
    assert (result.exit_code, kept.read_bytes()) == (2, b"precious")
    assert "name another file" in result.stderr
