"""Takes: the journal, what a crash leaves of it, the cap, a full disk, and the command."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.core.events import ControlChange, Quit
from daemon.core.observers import ObservedOutput, ObservedWorld
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.takes import recorder, storage, take_log
from daemon.takes.recorder import Recorder
from daemon.takes.take_log import format_header, format_message, format_style, format_tempo
from music import midifile, smf
from music.note import CHANNELS, MELODY, ROLES, Metre, Note
from tests.support.fakes import FakePlayer, midi
from tests.support.jack.stage import ROOT

TUNE = [Note(12 * i, 60 + i, 10, 90) for i in range(16)]


def played(folder: Path, until: int = 192, limit: int = 1 << 20) -> RecordingOutput:
    """A tune on virtual time, with a change of style and one of tempo on the way, recorded into a folder."""
    tempo, player = TempoMap(500_000), FakePlayer()
    world = VirtualWorld(tempo.ns_at(-96))
    output = RecordingOutput(world)
    for event in midi(TUNE, tempo):
        world.put(event)
    world.put(ControlChange(tempo.ns_at(90), "style", "rock"))
    world.put(ControlChange(tempo.ns_at(96), "bpm", 60.0))
    world.put(Quit(tempo.ns_at(until)))
    with closing(Recorder(folder, limit, Metre())) as kept:
        hears, plays = ObservedWorld(world, [kept]), ObservedOutput(output, [kept])
        conductor = Conductor(hears, plays, InlineComposer(world, player, 0), player.info, SongInfo())
        kept.on_start(conductor)
        conductor.run()
    return output


def test_a_take_is_a_midi_file_of_melody_roles_tempo_and_styles(tmp_path: Path) -> None:
    sent = played(tmp_path).sent
    (file,) = storage.list_takes(tmp_path)
    song = midifile.read(file)
    assert file.suffix == ".mid"
    assert [part.name for part in song.parts] == [MELODY, *(role for role in song_roles(song) if role != MELODY)]
    assert set(song_roles(song)) == {MELODY, *ROLES}
    melody = song.part(MELODY)
    assert melody is not None
    assert [(n.start, n.pitch) for n in melody.notes][:8] == [(n.start, n.pitch) for n in TUNE][:8]
    assert [us for _, us in song.tempos] == [500_000, 1_000_000]
    assert song.source is not None
    assert [text for _, text in song.source.tracks[0].bodies(smf.MARKER)] == [b"pop", b"rock"]
    for role in ROLES:
        onsets = sum(m.data[0] == 0x90 | CHANNELS[role] for m in sent)
        part = song.part(role)
        assert part is not None
        assert len(part.notes) == onsets


def song_roles(song: midifile.Song) -> list[str]:
    return [part.name for part in song.parts]


def test_a_journal_cut_off_anywhere_holds_what_came_before(tmp_path: Path) -> None:
    lines = [
        format_header(Metre(3, 4)),
        format_tempo((0, 0, 500_000)),
        format_style(0, "jazz"),
    ]
    lines += [format_message("io"[n % 2], n * 1000, bytes((0x90, 60 + n, 9))) for n in range(20)]
    whole = "".join(lines).encode()
    path = tmp_path / "one.take"
    found = None
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        found = take_log.read(path)
        complete = whole[:end].count(b"\n") - 3
        assert (found.messages if found else 0) == max(0, complete)
    assert found is not None
    assert (found.metre, found.styles) == (Metre(3, 4), ((0, "jazz"),))


def test_garbage_in_a_journal_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "one.take"
    good = format_header(Metre()) + format_tempo((0, 0, 500_000)) + format_message("i", 5, b"\x90\x3c\x40")
    path.write_bytes(good.encode() + b"\x00\xff\nx\ni 5\ni six 903c40\no 7 zz\nt 1 2\n\n")
    found = take_log.read(path)
    assert found is not None
    assert found.messages == 1
    path.write_bytes(b"something else\n")
    assert take_log.read(path) is None


def test_a_killed_band_leaves_its_take(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.take_child", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    for line in child.stdout:  # until something has been written that was heard; then no more is waited for
        journals = [file for file in storage.list_takes(tmp_path) if file.stat().st_size > 500]
        if journals and line:
            assert storage.is_being_recorded(journals[0])
            assert storage.recover(tmp_path) == []
            break
    child.kill()
    child.communicate()
    (made,) = storage.recover(tmp_path)
    assert sum(len(part.notes) for part in midifile.read(made).parts) > 5
    assert storage.list_takes(tmp_path) == [made]


def test_the_oldest_takes_go_first(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / f"{number}.mid"
        file.write_bytes(bytes(1000))
        os.utime(file, (number, number))
    (tmp_path / "mine.txt").write_bytes(bytes(5000))
    storage.prune(tmp_path, 2500)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3.mid", "4.mid", "mine.txt"]


def test_older_takes_make_room_while_a_long_one_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PRUNE_INTERVAL_BYTES", 500)
    for number in range(3):
        file = tmp_path / f"{number}.mid"
        file.write_bytes(bytes(1000))
        os.utime(file, (number, number))
    monkeypatch.setattr(storage, "recover", lambda *_: [])
    played(tmp_path, limit=5500)
    names = [file.name for file in storage.list_takes(tmp_path)]
    assert [name for name in names if name.endswith(".mid")] == ["2.mid"]
    assert len(names) == 2


def test_a_full_disk_is_one_warning_and_the_band_plays_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with caplog.at_level(logging.DEBUG):
        sent = played(tmp_path).sent
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        f"takes are no longer recorded: No space left on device ({tmp_path})"
    ]
    assert sum(m.data[0] & 0xF0 == 0x90 for m in sent) > 20


def test_no_room_for_the_midi_file_is_one_warning_and_the_take_can_be_exported_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    takes, out = tmp_path / "takes", tmp_path / "out.mid"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as short:
        short.setattr(take_log, "write_midi", full)
        played(takes)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        f"a take is not a MIDI file yet: No space left on device ({takes}); it is kept as it is"
    ]
    (left,) = storage.list_takes(takes)
    assert left.suffix == take_log.LOG_SUFFIX
    monkeypatch.setattr(storage, "recover", lambda *_: [])  # there is no room still
    run = CliRunner().invoke(main, ["takes", "export", left.stem, "--dir", str(takes), "-o", str(out)])
    assert run.exit_code == 0, run.output
    assert {part.name for part in midifile.read(out).parts} == {MELODY, *ROLES}


def test_a_folder_that_cannot_be_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    played(tmp_path / "file" / "takes")
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1


def test_list_and_export(tmp_path: Path) -> None:
    takes, out = tmp_path / "takes", tmp_path / "out"
    out.mkdir()
    played(takes)
    (takes / "old.take").write_text(
        format_header(Metre()) + format_tempo((0, 0, 500_000)) + format_message("i", 5, b"\x90\x3c\x40")
    )
    run = CliRunner().invoke(main, ["takes", "list", "--dir", str(takes), "--json"])
    rows = json.loads(run.output[: run.output.rindex("]") + 1])
    assert [row["notes"] for row in rows if row["name"] == "old"] == [1]
    assert any(row.get("styles") == "pop, rock" for row in rows)
    run = CliRunner().invoke(main, ["takes", "export", "old", "--dir", str(takes), "-o", str(out)])
    assert (run.exit_code, [file.name for file in out.iterdir()]) == (0, ["old.mid"])
    assert CliRunner().invoke(main, ["takes", "export", "--all", "--dir", str(takes), "-o", str(out)]).exit_code == 0
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "none such"], "there is no take 'none such'"),
        (["export"], "there are no takes"),
        (["list"], "takes are not kept"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], said: str, tmp_path: Path) -> None:
    where = [] if arguments == ["list"] else ["--dir", str(tmp_path)]
    run = CliRunner().invoke(main, ["takes", *arguments, *where])
    assert run.exit_code == 2
    assert said in run.output
