"""Takes: the journal, what a crash leaves of it, the cap, a full disk, and the command."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.commands import takes as takes_command
from daemon.core.events import ControlChange, Event, MidiIn, Quit
from daemon.core.observers import ObservedOutput, ObservedWorld
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine, open_chart
from daemon.harmony.observed_composer import ObservedComposer
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.takes import conversion, log_file, recorder, storage, take_log
from daemon.takes.recorder import Recorder
from daemon.takes.settings_history import parse_change
from daemon.takes.take import Take
from daemon.takes.take_log import (
    format_chord,
    format_hand,
    format_header,
    format_message,
    format_style,
    format_tempo,
)
from music import midifile, smf
from music.charts.reading import read_charts
from music.note import CHANNELS, HAND, MELODY, ROLES, Metre, Note
from tests.support.fakes import FakePlayer, midi
from tests.support.jack.stage import ROOT

TUNE = [Note(12 * i, 60 + i, 10, 90) for i in range(16)]


def played(
    folder: Path,
    limit: int = 1 << 20,
    more: Sequence[Event] = (),
    settings: Settings = Settings(),
    chart: ChartLine | None = None,
) -> RecordingOutput:
    """A tune on virtual time, with a change of style and one of tempo on the way, recorded into a folder."""
    tempo, player = TempoMap(500_000), FakePlayer()
    world = VirtualWorld(tempo.ns_at(-96))
    output = RecordingOutput(world)
    for event in (*midi(TUNE, tempo), *more):
        world.put(event)
    world.put(ControlChange(tempo.ns_at(90), "style", "rock"))
    world.put(ControlChange(tempo.ns_at(96), "bpm", 60.0))
    world.put(Quit(tempo.ns_at(192)))
    with closing(Recorder(folder, limit, Metre())) as kept:
        hears, plays = ObservedWorld(world, [kept]), ObservedOutput(output, [kept])
        composer = ObservedComposer(InlineComposer(world, player, 0), [kept])
        conductor = Conductor(hears, plays, composer, player.info, SongInfo(), settings, chart=chart)
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
    assert [text for _, text in song.source.tracks[0].find_bodies(smf.MARKER)] == [b"pop", b"rock"]
    for role in ROLES:
        onsets = sum(m.data[0] == 0x90 | CHANNELS[role] for m in sent)
        part = song.part(role)
        assert part is not None
        assert len(part.notes) == onsets


def song_roles(song: midifile.Song) -> list[str]:
    return [part.name for part in song.parts]


#: C, F/A, G7 and C again, a beat each, a little late
CHORDS = {0: (48, 52, 55), 24: (45, 53, 60), 48: (43, 47, 53), 72: (48, 52, 55)}
LED = [Note(start + 2, pitch, 20) for start, pitches in CHORDS.items() for pitch in pitches]
LABELS = ((0, "C:maj"), (24, "F:maj/3"), (48, "G:7"), (72, "C:maj"))
LEFT_CHANNEL = 11
#: ticks and values
PEDAL = [(0, 127), (18, 0), (30, 90), (60, 0)]


def played_with_hand(folder: Path) -> Path:
    """The tune, and chords on a channel of their own, as a take."""
    settings, tempo = Settings(harmony="hands", chord_channel=LEFT_CHANNEL + 1), TempoMap(500_000)
    pedal = [MidiIn(tempo.ns_at(tick), bytes((0xB0 | LEFT_CHANNEL, 64, value))) for tick, value in PEDAL]
    played(folder, more=[*pedal, *midi(LED, tempo, LEFT_CHANNEL)], settings=settings)
    (file,) = storage.list_takes(folder)
    return file


def test_a_take_holds_the_hand_that_led_and_the_chords_that_the_band_followed(tmp_path: Path) -> None:
    song = midifile.read(played_with_hand(tmp_path))
    assert song_roles(song)[:2] == [MELODY, HAND]
    melody, hand = song.parts[:2]
    assert [note.pitch for note in melody.notes] == [note.pitch for note in TUNE]
    assert [(note.start, note.pitch) for note in hand.notes] == sorted((note.start, note.pitch) for note in LED)
    assert hand.channel == LEFT_CHANNEL
    assert song.source is not None
    moves = [(tick // 20, *event) for tick, *event, _ in song.source.tracks[hand.index].events if event[0] >> 4 == 0xB]
    assert moves == [(tick, 0xB0 | LEFT_CHANNEL, 64, value) for tick, value in PEDAL]
    assert song.markers == LABELS


def test_a_take_of_a_chart_holds_its_chords(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text("Time: 2/4\n| C | Am/C | N.C. |\n")
    played(tmp_path, settings=Settings(harmony="chart"), chart=open_chart(tmp_path / "song.txt")[1])
    (file,) = storage.list_takes(tmp_path)
    song = midifile.read(file)
    assert HAND not in song_roles(song)
    assert song.markers[:4] == ((0, "C:maj"), (48, "A:min/b3"), (96, "N"), (144, "C:maj"))
    run = CliRunner().invoke(main, ["takes", "list", "--dir", str(tmp_path), "--json"])
    assert json.loads(run.stdout)[0]["styles"] == "pop, rock"


@pytest.mark.parametrize(
    "options",
    [
        ["--harmony", "hands", "--chord-track", HAND],
        ["--harmony", "hands", "--chord-channel", "12"],
        ["--harmony", "chart", "--chart", "TAKE"],
    ],
)
def test_a_take_plays_again(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.players.load.load_band", lambda *_: FakePlayer())
    take, again = played_with_hand(tmp_path), tmp_path / "again" / "again.mid"
    again.parent.mkdir()
    given = [option.replace("TAKE", str(take)) for option in options]
    run = CliRunner().invoke(main, ["render", str(take), "-o", str(again), *given])
    assert run.exit_code == 0, run.output
    assert midifile.read(again).markers == midifile.read(take).markers


def run_takes(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["takes", *map(str, arguments)])


def test_the_chords_of_a_take_are_exported_as_a_chart(tmp_path: Path) -> None:
    folder, out = tmp_path / "takes", tmp_path / "song.txt"
    take = played_with_hand(folder)
    run = run_takes("export", "--chart", "--dir", folder, "-o", out)
    assert (run.exit_code, run.output) == (0, f"{out}\n")
    bars = ["| C F/A G7 C | C |"]
    assert out.read_text().splitlines() == [f"Title: {take.stem}", "Key: C", "Time: 4/4", "", *bars]
    shown = CliRunner().invoke(main, ["chart", str(out)])
    assert (shown.exit_code, shown.output) == (0, out.read_text())
    told = [json.loads(CliRunner().invoke(main, ["chart", "--json", str(file)]).output) for file in (out, take)]
    assert all(told[0][key] == told[1][key] for key in ("metre", "key", "pickup", "bars", "order", "timed"))
    assert told[1]["title"] == ""
    assert run_takes("export", "--chart", "--dir", folder, "-o", "-").stdout == out.read_text()


def test_a_chord_ends_in_a_take_where_the_band_guesses_again(tmp_path: Path) -> None:
    turn = ControlChange(TempoMap(500_000).ns_at(42), "harmony", "melody")
    settings, tempo = Settings(harmony="hands", chord_channel=LEFT_CHANNEL + 1), TempoMap(500_000)
    played(tmp_path, more=[*midi(LED, tempo, LEFT_CHANNEL), turn], settings=settings)
    (file,) = storage.list_takes(tmp_path)
    song = midifile.read(file)
    assert song.markers == (*LABELS[:2], (48, "N"))
    out = tmp_path / "song.txt"
    assert run_takes("export", "--chart", "--dir", tmp_path, "-o", out).exit_code == 0
    assert "| C F/A N.C. / |" in out.read_text()


@pytest.mark.parametrize("kept_as", ["journal", "memory"])
def test_a_take_changes_its_metre_with_the_chart(kept_as: str, tmp_path: Path) -> None:
    """A waltz is chosen in bar 2 of a chart in 4/4."""
    tempo, player, take = TempoMap(500_000), FakePlayer(), Take()
    first, waltz = tmp_path / "first.txt", tmp_path / "waltz.txt"
    first.write_text("| C | F |\n")
    waltz.write_text("Time: 3/4\n| G | Am |\n")
    world = VirtualWorld(tempo.ns_at(-96))
    for event in midi([Note(12 * i, 60 + i % 12, 10, 90) for i in range(36)], tempo):
        world.put(event)
    world.put(ControlChange(tempo.ns_at(100), "chart", open_chart(waltz)))
    world.put(Quit(tempo.ns_at(400)))
    folder, opened, output = tmp_path / "takes", open_chart(first), RecordingOutput(world)
    with closing(Recorder(folder, 1 << 20, Metre())) as kept:
        hears, plays = ObservedWorld(world, [kept, take]), ObservedOutput(output, [kept, take])
        composer = ObservedComposer(InlineComposer(world, player, 0), [kept, take])
        song = SongInfo(metres=opened.metres[:1], follows_chart=True)
        conductor = Conductor(hears, plays, composer, player.info, song, Settings(harmony="chart"), chart=opened.line)
        for observer in (kept, take):
            observer.on_start(conductor)
        conductor.run()
    (file,) = storage.list_takes(folder)
    if kept_as == "memory":
        assert conductor.tempo is not None
        file = tmp_path / "take.mid"
        take.write(file, conductor.tempo, Metre())
    assert midifile.read(file).metres == ((0, Metre()), (192, Metre(3, 4)))
    (chart,) = read_charts(file)
    assert [[str(bar.metre), *(each.name.symbol for each in bar.chords)] for bar in chart.bars][:5] == [
        ["4/4", "C"],
        ["4/4", "F"],
        ["3/4", "G"],
        ["3/4", "Am"],
        ["3/4", "G"],
    ]


def test_a_chart_is_exported_only_where_there_are_chords_and_as_text(tmp_path: Path) -> None:
    folder, out = tmp_path / "takes", tmp_path / "out"
    out.mkdir()
    played(folder)
    (folder / "2026-01-01_00-00-00.take").write_text(LOG + format_chord(0, "E:min"))
    run = run_takes("export", "--chart", "--dir", folder)
    assert run.exit_code == 2
    assert "the band was given no chords in this take" in run.output
    assert not list(tmp_path.glob("*.txt"))
    run = run_takes("export", "--chart", "--dir", folder, "-o", out / "song.musicxml")
    assert run.exit_code == 2
    assert "ends in .txt" in run.output
    run = run_takes("export", "--chart", "--all", "--dir", folder, "-o", out)
    assert run.exit_code == 0
    assert [file.name for file in out.iterdir()] == ["2026-01-01_00-00-00.txt"]
    assert (out / "2026-01-01_00-00-00.txt").read_text().splitlines()[-1] == "| Em |"
    assert "was given no chords" in run.stderr


def test_a_chord_that_nobody_could_write_down_is_known_when_the_disk_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MAX_WAITING_BYTES", 100)
    disk = Disk(monkeypatch)
    writer = recorder._TakeWriter(tmp_path, 1 << 20, format_header(Metre()), SimpleQueue())
    lost = [format_hand(0, 15), format_chord(96, "C:maj"), format_chord(192, "F:maj")]
    writer._take_lines([*lines_of(0, 9), *lost], True)
    disk.full = False
    writer._take_lines([], True)
    writer._take_lines([*lines_of(20, 21), None], True)
    (log,) = storage.list_logs(tmp_path)
    assert log.read_text().splitlines()[-3:-1] == ["h 0 15", "c 192 F:maj"]


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
    song = midifile.read(made)
    assert sum(len(part.notes) for part in song.parts) > 5
    assert storage.list_takes(tmp_path) == [made]
    hand = song.part(HAND)
    assert hand is not None
    assert [note.pitch for note in hand.notes] == [48, 52, 55]
    assert [label for _, label in song.markers] == ["C:maj"]


def own_take(folder: Path, number: int) -> Path:
    """A take as the band leaves it, older the smaller its number."""
    log, file = folder / "made.take", folder / f"2026-01-01_00-00-{number:02}.mid"
    log.write_text(LOG)
    conversion.convert(log, file)
    log.unlink()
    os.utime(file, (number, number))
    return file


LOG = format_header(Metre()) + format_tempo((0, 0, 500_000)) + format_message("i", 5, b"\x90\x3c\x40")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_the_oldest_takes_go_first(tmp_path: Path) -> None:
    takes = [own_take(tmp_path, number) for number in range(5)]
    storage.prune(tmp_path, takes[0].stat().st_size * 5 // 2)
    assert storage.list_takes(tmp_path) == takes[3:]


def test_only_what_the_band_wrote_is_deleted(tmp_path: Path) -> None:
    renamed = own_take(tmp_path, 1).rename(tmp_path / "best of all.mid")
    changed = own_take(tmp_path, 2)
    changed.write_bytes(changed.read_bytes() + b"\0")
    (tmp_path / "2026-01-01_00-00-03.mid").write_bytes(b"MThd" + bytes(1000))
    (tmp_path / "2026-01-01_00-00-04.take").write_bytes(b"a list of what to take along\n")
    (tmp_path / "mine.take").write_text(LOG)
    (tmp_path / "mine.txt").write_bytes(bytes(5000))
    (tmp_path / "2026-01-01_00-00-05.mid").symlink_to(renamed)
    (tmp_path / "2026-01-01_00-00-06.take").symlink_to("nowhere")
    own_take(tmp_path, 7)
    (tmp_path / "2026-01-01_00-00-08.take").write_text(LOG)
    before = names(tmp_path)
    storage.prune(tmp_path, 0)
    assert set(before) - set(names(tmp_path)) == {"2026-01-01_00-00-07.mid", "2026-01-01_00-00-08.take"}


def test_older_takes_make_room_while_a_long_one_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PRUNE_INTERVAL_BYTES", 500)
    old = [own_take(tmp_path, number) for number in range(60)]
    monkeypatch.setattr(storage, "recover", lambda *_: [])
    played(tmp_path, limit=sum(file.stat().st_size for file in old) + 1_000)
    left = storage.list_takes(tmp_path)
    assert left[-1].suffix == take_log.LOG_SUFFIX
    assert 0 < len(left) - 1 < len(old)
    assert left[:-1] == old[-(len(left) - 1) :]


def test_a_take_fills_half_of_the_room_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "recover_in_background", lambda _: None)
    played(tmp_path, limit=2_000)
    assert [line.split(":")[0] for line in warnings(caplog)] == ["the rest of this take is not recorded"]
    assert [file.suffix for file in storage.list_takes(tmp_path)] == [".mid"]


def test_sysex_and_clock_are_no_part_of_a_take(tmp_path: Path) -> None:
    old = own_take(tmp_path, 1)
    sysex = b"\xf0\x7d" + bytes(1 << 17) + b"\xf7"
    played(tmp_path, limit=1 << 16, more=[MidiIn(0, sysex), MidiIn(0, b"\xf8"), MidiIn(96_000_000, sysex)])
    assert old.exists()
    assert len(storage.list_takes(tmp_path)) == 2


class Disk:
    """os.write that works or does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, self._write = True, os.write
        monkeypatch.setattr("os.write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(file, data)


def lines_of(first: int, count: int) -> list[str | None]:
    """Lines of a log: notes a beat apart."""
    found: list[str | None] = [format_tempo((0, 0, 500_000))] if not first else []
    return found + [format_message("i", n * 500_000_000, bytes((0x90, 60 + n % 12, 9))) for n in range(first, count)]


def notes_in(file: Path) -> int:
    return sum(len(part.notes) for part in midifile.read(file).parts)


def test_a_disk_freed_again_is_used_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch)
    writer = recorder._TakeWriter(tmp_path, 1 << 20, format_header(Metre()), SimpleQueue())
    writer._take_lines(lines_of(0, 5), True)
    writer._take_lines(lines_of(5, 10), True)
    disk.full = False
    writer._take_lines([*lines_of(10, 15), None], True)
    (made,) = storage.recover(tmp_path)
    assert notes_in(made) == 15
    assert warnings(caplog) == [
        f"takes are no longer recorded: No space left on device ({tmp_path})",
        f"takes are recorded again ({tmp_path})",
    ]


def test_what_a_full_disk_does_not_take_is_kept_up_to_a_limit_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_file, "MAX_WAITING_BYTES", 200)
    disk = Disk(monkeypatch)
    writer = recorder._TakeWriter(tmp_path, 1 << 20, format_header(Metre()), SimpleQueue())
    writer._take_lines(lines_of(0, 50), True)
    writer._take_lines([format_tempo((24, 500_000_000, 400_000)), format_tempo((48, 900_000_000, 300_000))], True)
    disk.full = False
    writer._take_lines([], True)
    writer._take_lines([*lines_of(60, 61), None], True)
    (log,) = storage.list_logs(tmp_path)
    written = log.read_text().splitlines()
    assert written[-2:] == ["t 48 900000000 300000", "i 30000000000 903c09"]
    kept = sum(line.startswith("i") for line in written) - 1
    assert (
        warnings(caplog)[-1] == f"takes are recorded again; {50 - kept} messages of this one are missing ({tmp_path})"
    )


def test_a_folder_deleted_while_playing_is_made_anew_with_all_that_was_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "takes"
    writer = recorder._TakeWriter(folder, 1 << 20, format_header(Metre()), SimpleQueue())
    writer._take_lines(lines_of(0, 5), True)
    shutil.rmtree(folder)
    writer._take_lines([*lines_of(5, 10), None], True)
    (made,) = storage.recover(folder)
    assert notes_in(made) == 10
    assert warnings(caplog) == [f"a take was deleted while it was recorded; it has been made anew ({folder})"]


def test_a_file_that_vanishes_while_the_folder_is_looked_at_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "2026-01-01_00-00-00.mid"
    listed = storage._list_files
    monkeypatch.setattr(storage, "_list_files", lambda *args: [gone, *listed(*args)])
    storage.prune(tmp_path, 0)
    assert storage.recover(tmp_path) == []


def test_takes_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "takes"
    writer = recorder._TakeWriter(folder, 1 << 20, format_header(Metre()), SimpleQueue())
    old = os.umask(0o022)
    try:
        writer._take_lines([*lines_of(0, 5), None], True)
        assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]
        (made,) = storage.recover(folder)
    finally:
        os.umask(old)
    assert (folder.stat().st_mode & 0o777, made.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_pipe_or_a_link_called_like_a_take_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.take")
    os.mkfifo(tmp_path / "b.mid")
    (tmp_path / "c.take").symlink_to("nowhere")
    (tmp_path / "d.mid").mkdir()
    played(tmp_path)
    assert [file.suffix for file in storage.list_takes(tmp_path)] == [".mid"]
    assert CliRunner().invoke(main, ["takes", "list", "--dir", str(tmp_path)]).exit_code == 0


def test_a_damaged_take_is_set_aside_once_and_the_rest_of_it_is_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "2026-01-01_00-00-01.take"
    damaged.write_bytes(LOG.encode() + b"i 7 90ae64\ns 9 caf\xe9\n")
    (tmp_path / "notes.take").write_text("a list of what to take along\n")
    played(tmp_path)
    assert warnings(caplog) == [
        f"{damaged}: this take has lines that make no sense (1); the rest is saved in 2026-01-01_00-00-01.mid; "
        "what was recorded is kept as 2026-01-01_00-00-01.damaged"
    ]
    caplog.clear()
    assert notes_in(tmp_path / "2026-01-01_00-00-01.mid") == 1
    assert storage.recover(tmp_path) == []
    run = CliRunner().invoke(main, ["takes", "list", "--dir", str(tmp_path), "--json"])
    assert {row["name"]: row.get("state") for row in json.loads(run.stdout)}["notes"] == "no take"
    assert (tmp_path / "notes.take").exists()


def test_a_take_that_nobody_foresaw_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.take").write_text(LOG)
    (tmp_path / "b.take").write_text(LOG)
    convert = conversion.convert

    def broken(log: Path, *args: Any, **options: Any) -> Any:
        if log.name == "a.take":
            raise KeyError("out of tune")
        return convert(log, *args, **options)

    monkeypatch.setattr(conversion, "convert", broken)
    problems: list[str] = []
    assert storage.recover(tmp_path, problems) == [tmp_path / "b.mid"]
    assert names(tmp_path) == ["a.damaged", "b.mid"]
    assert len(problems) == 1


def test_a_conversion_replaces_no_file_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "song.take").write_text(LOG)
    (tmp_path / "song.mid").write_bytes(b"mine")
    assert storage.recover(tmp_path) == [tmp_path / "song-2.mid"]
    assert (tmp_path / "song.mid").read_bytes() == b"mine"


def test_a_take_too_long_to_convert_while_stopping_is_left_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder, "MAX_CONVERSION_S", -1.0)
    played(tmp_path)
    (left,) = storage.list_logs(tmp_path)
    assert warnings(caplog) == [f"{left}: not a MIDI file yet: it is too long to be converted now; it is kept as it is"]
    assert storage.recover(tmp_path) == [left.with_suffix(".mid")]


def test_a_style_of_any_name_is_recorded(tmp_path: Path) -> None:
    writer = recorder._TakeWriter(tmp_path, 1 << 20, format_header(Metre()), SimpleQueue())
    writer._take_lines([*lines_of(0, 2), format_style(5, "日本\ud800"), *lines_of(2, 3), None], True)
    (made,) = storage.recover(tmp_path)
    assert notes_in(made) == 3


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

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as short:
        short.setattr(conversion, "convert", full)
        played(takes)
    (left,) = storage.list_takes(takes)
    assert warnings(caplog) == [f"{left}: not a MIDI file yet: No space left on device; it is kept as it is"]
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
    (takes / "old.take").write_text(LOG)
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
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], said: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(main, ["takes", *arguments, "--dir", str(tmp_path)])
    assert run.exit_code == 2
    assert said in run.output


def test_takes_are_listed_where_they_are_no_longer_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSEBAND_TAKES", "off")
    monkeypatch.setattr(takes_command, "find_takes_folder", lambda: tmp_path)
    tmp_path.joinpath("old.mid").write_bytes(b"no MIDI")
    run = CliRunner().invoke(main, ["takes", "list"])
    assert (run.exit_code, run.stdout) == (0, "old  not readable\n")
    assert "takes are not kept now" in run.stderr


def test_a_folder_that_cannot_be_read_has_no_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(storage, "list_takes", refuse)
    run = CliRunner().invoke(main, ["takes", "list", "--dir", str(tmp_path)])
    assert run.exit_code == 0
    assert "Permission denied" in run.stderr


def test_a_take_is_all_that_was_played_and_turned(tmp_path: Path) -> None:
    """Bend, pressure, knobs and programs of both sides, and every control with the moment at which it was turned."""
    tempo = TempoMap(500_000)
    played_messages = [(-60, "c005"), (-30, "e00040"), (12, "e00150"), (18, "d040"), (20, "a03c30"), (30, "b0010a")]
    more: list[Event] = [MidiIn(tempo.ns_at(tick), bytes.fromhex(data)) for tick, data in played_messages]
    more += [ControlChange(tempo.ns_at(t), k, v) for t, k, v in ((40, "level.bass", 0.5), (60, "program.pad", 90))]
    more += [MidiIn(tempo.ns_at(150), b"\xb0\x7b\x00")]  # ends all notes: of no use to who plays the take
    settings = Settings(seed=7, programs={"bass": 34}, banks={"bass": 130})
    output = played(tmp_path, more=more, settings=settings)
    (file,) = storage.list_takes(tmp_path)
    song = midifile.read(file)
    assert song.source is not None
    found: dict[str, list[tuple[int, str]]] = {}
    for part in song.parts:
        for tick, status, first, second, _ in song.source.tracks[part.index].events:
            data = bytes((status, first, second)) if status & 0xE0 != 0xC0 else bytes((status, first))
            if status < 0xF0 and status & 0xE0 != 0x80:
                found.setdefault(part.name, []).append((tick * 24 // song.source.division, data.hex()))
    assert sorted(found.pop("melody")) == [
        *((0, "c005"), (0, "e00040"), (12, "e00150"), (18, "d040"), (20, "a03c30"), (30, "b0010a")),
    ]
    assert found == {
        "bass": [(0, "b10001"), (0, "b12002"), (0, "c121")],
        "pad": [(60, "c359")],
    }
    told = [
        (tick * 24 // song.source.division, parse_change(body.decode()))
        for tick, body in song.source.tracks[0].find_bodies(smf.SEQUENCER_SPECIFIC)
    ]
    assert told == [
        *((0, pair) for pair in (("seed", 7), ("program.bass", 34), ("bank.bass", 130))),
        *(
            (tick, pair)
            for tick, pair in ((40, ("level.bass", 0.5)), (60, ("program.pad", 90)), (90, ("style", "rock")))
        ),
    ]
    assert output.sent


def test_the_recorder_tells_the_files_of_all_takes(tmp_path: Path) -> None:
    tempo, player = TempoMap(500_000), FakePlayer()
    world = VirtualWorld(tempo.ns_at(-96))
    for event in midi(TUNE, tempo):
        world.put(event)
    for tick, key in ((60, "stop"), (61, "start"), (150, "stop")):
        world.put(ControlChange(tempo.ns_at(tick), key, True))
    world.put(Quit(tempo.ns_at(192)))
    with closing(Recorder(tmp_path, 1 << 20, Metre())) as kept:
        output = ObservedOutput(RecordingOutput(world), [kept])
        conductor = Conductor(ObservedWorld(world, [kept]), output, InlineComposer(world, player), player.info)
        kept.on_start(conductor)
        conductor.run()
    assert len(kept.takes) == 2
    assert sorted(kept.takes) == storage.list_takes(tmp_path)


def test_a_take_is_rendered_again_as_it_was_set_and_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    players: list[FakePlayer] = []

    def load(technique: str, graph: Path | None) -> FakePlayer:
        assert (technique, graph) == ("gan", None)
        players.append(FakePlayer())
        return players[-1]

    monkeypatch.setattr("daemon.players.load.load_band", load)
    turned: list[Event] = [ControlChange(TempoMap(500_000).ns_at(40), "level.bass", 0.5)]
    played(tmp_path / "takes", more=turned, settings=Settings(seed=7, programs={"bass": 34}))
    out = tmp_path / "again.mid"
    run = run_takes("render", "--again", "--dir", tmp_path / "takes", "-o", out, "--json")
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["notes"]["bass"] > 4
    asked = players[0].asked
    assert {(each.settings.seed, each.settings.style) for each in asked} == {(7, "pop"), (7, "rock")}
    assert [each.settings.levels for each in asked if each.now * 6 in (12, 66)] == [{}, {"bass": 0.5}]
    before, after = (midifile.read(path) for path in (storage.list_takes(tmp_path / "takes")[0], out))
    assert after.tempos == before.tempos
    assert [p.program for p in after.parts if p.name == "bass"] == [33]
    assert run_takes("render", "--again", "--dir", tmp_path / "takes", "-o", out, "--set", "style=rock").exit_code == 0
    assert {each.settings.style for each in players[1].asked} == {"rock"}
    assert run_takes("render", "--dir", tmp_path / "takes", "-o", out).exit_code == 2
    missing = run_takes("render", "--again", "nothing", "--dir", tmp_path / "takes", "-o", out)
    assert (missing.exit_code, "houseband takes list" in missing.stderr) == (2, True)
