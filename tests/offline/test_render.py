"""File to file: what is heard, what is written, what is refused."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import mido
import numpy as np
import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.control.automation import AutomationPoint
from daemon.core.controls import CONTROLS
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.offline import render
from daemon.offline.render import RenderOptions
from daemon.output.humanise import MAX_STRAY_NS
from daemon.players.graph import GraphError, InferenceError
from music import midi, midifile, smf
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, only
from tests.support.smf_bytes import PITCHES, file, meta, track, tune

TUNE = tuple(Note(i * 24, 60 + i * 5 % 12, 20, 80 + i % 7) for i in range(16))
Write = Callable[..., Path]


@pytest.fixture
def song(tmp_path: Path) -> Write:
    """Writes a melody to a file and says where it is."""

    def write(notes: tuple[Note, ...] = TUNE, name: str = "melody", **also: object) -> Path:
        path = tmp_path / "song.mid"
        midifile.write(path, {name: notes}, **also)  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture(autouse=True)
def players(monkeypatch: pytest.MonkeyPatch) -> list[FakePlayer]:
    """The command line finds a player without a graph; the list has those it was given."""
    given: list[FakePlayer] = []

    def load(technique: str, graph: Path | None = None) -> FakePlayer:
        if technique != "gan" or graph is not None:
            raise GraphError(f"{graph or technique}: not to be had")
        given.append(FakePlayer())
        return given[-1]

    def none(graph: Path | None, technique: str) -> None:
        raise GraphError(f"{graph or technique}: not to be had")

    monkeypatch.setattr("daemon.players.load.load_player", load)
    monkeypatch.setattr("daemon.players.load.read_signature", none)
    return given


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["render", *map(str, arguments)])


def performed(path: Path, player: FakePlayer | None = None, **options: object) -> render.RenderedSong:
    song = midifile.read(path)
    return render.perform(song, midifile.choose_melody(song), player or FakePlayer(), RenderOptions(**options))  # type: ignore[arg-type]


# The file


def test_out_has_the_melody_untouched_and_a_track_for_every_role(song: Write, tmp_path: Path) -> None:
    source = song(tempos=((0, 600_000), (96, 400_000)), metres=((0, Metre(3, 4)), (72, Metre(4, 4))))
    out = tmp_path / "out.mid"
    assert run(source, "-o", out).exit_code == 0
    file = mido.MidiFile(out)
    assert (file.type, file.ticks_per_beat) == (1, 480)
    assert [track.name for track in file.tracks] == ["", "melody", "bass", "chords", "pad", "drums"]
    before, after = midifile.read(source), midifile.read(out)
    assert (after.tempos, after.metres) == (before.tempos, before.metres)
    assert [m for m in file.tracks[1] if not m.is_meta] == [m for m in mido.MidiFile(source).tracks[1] if not m.is_meta]
    assert [p.name for p in after.parts] == ["melody", "bass", "chords", "pad", "drums"]
    assert [p.channel for p in after.parts] == [0, 1, 2, 3, 9]


def test_a_melody_of_another_resolution_keeps_its_times(tmp_path: Path) -> None:
    file = mido.MidiFile(type=0, ticks_per_beat=96)
    tune = [("note_on", 0, 60, 90), ("note_off", 95, 60, 0), ("note_on", 1, 62, 70), ("note_on", 37, 62, 0)]
    messages = [mido.Message(kind, note=note, velocity=v, time=t, channel=5) for kind, t, note, v in tune]
    other = mido.Message("note_on", note=30, channel=6, time=0)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=700_000), *messages, other]))
    file.save(tmp_path / "in.mid")
    assert run(tmp_path / "in.mid", "-o", tmp_path / "out.mid").exit_code == 0
    written = [m for m in mido.MidiFile(tmp_path / "out.mid").tracks[1] if not m.is_meta]
    assert written == [m.copy(time=m.time * 5) for m in messages]


def test_the_same_again_is_the_same_to_the_byte(song: Write, tmp_path: Path) -> None:
    for out in ("a.mid", "b.mid"):
        assert run(song(), "-o", tmp_path / out, "--seed", 3).exit_code == 0
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_notes_are_written_where_they_sounded(song: Write, tmp_path: Path) -> None:
    performance = render.render_file(song(), tmp_path / "out.mid", FakePlayer())
    written = midifile.read(tmp_path / "out.mid")
    for role, notes in performance.parts.items():
        part = written.part(role)
        assert part is not None
        assert part.notes == notes


def test_the_band_plays_to_the_end_of_the_bar_in_which_the_melody_ends(song: Write) -> None:
    player = only("pad", lambda request, step: 60, length=600)
    performance = performed(song((Note(100, 60, 24), Note(200, 62, 12))), player)
    assert (performance.begin, performance.end) == (96, 288)
    assert performance.parts["pad"][0].start == 108
    assert performance.parts["pad"][-1].end == 288
    assert performance.counters.steps == (288 - 108) // 6


@pytest.mark.parametrize(
    ("start", "length", "begin", "end"), [(94, 24, 96, 192), (92, 4, 0, 96), (0, 97, 0, 96), (0, 100, 0, 192)]
)
def test_bars_are_those_of_the_steps_that_notes_belong_to(
    song: Write, start: int, length: int, begin: int, end: int
) -> None:
    performance = performed(song((Note(start, 60, length),)))
    assert (performance.begin, performance.end) == (begin, end)


def test_bars_follow_the_files_metres(song: Write) -> None:
    metres = ((0, Metre(4, 4)), (96, Metre(3, 4)))
    performance = performed(song((Note(180, 60, 24),), metres=metres))
    assert (performance.begin, performance.end) == (168, 240)


# What the players hear


def asked(path: Path, **options: object) -> list[PlanRequest]:
    player = FakePlayer()
    performed(path, player, **options)
    return player.asked


def test_live_nothing_reaches_the_players_before_it_has_been_heard(song: Write) -> None:
    requests = asked(song())
    assert [r.now for r in requests] == list(range(1, 65))
    for request in requests:
        assert request.heard == request.now * 6 - 3
        assert max(n.start for n in request.melody) < request.heard
        assert max(n.end for n in request.melody) <= request.heard


def test_offline_they_hear_all_of_it_from_the_beginning(song: Write) -> None:
    requests = asked(song(tuple(replace(n, start=n.start + 192) for n in TUNE)), offline=True)
    assert requests[0].now == 32
    assert {(r.heard, len(r.melody), r.melody[-1].start) for r in requests} == {(None, 16, 552)}


def test_offline_from_bar_1_on_the_first_step_is_played(song: Write) -> None:
    performance = performed(song(), only("bass", lambda request, step: 40), offline=True, latency_ns=60 * MS)
    assert performance.parts["bass"][0].start == 0
    assert performance.counters.isr == 1.0


def test_of_a_polyphonic_track_the_top_voice_is_heard(song: Write) -> None:
    chords = tuple(Note(i * 24, pitch + i, 20) for i in range(4) for pitch in (50, 60, 70))
    (request,) = {r.melody for r in asked(song(chords), offline=True)}
    assert request == tuple(Note(i * 24, 70 + i, 20) for i in range(4))
    assert [n.pitch for n in asked(song(chords))[-1].melody] == [70, 71, 72, 73]


def test_the_files_sustain_pedal_lengthens_the_melody(tmp_path: Path) -> None:
    file = mido.MidiFile(type=1, ticks_per_beat=24)
    pedal = [mido.Message("control_change", control=64, value=value, time=t) for value, t in ((127, 0), (0, 30))]
    key = [mido.Message("note_on", note=60, time=0), mido.Message("note_off", note=60, time=12)]
    file.tracks.append(mido.MidiTrack([pedal[0], *key, pedal[1]]))
    file.save(tmp_path / "in.mid")
    assert asked(tmp_path / "in.mid", offline=True)[0].melody == (Note(0, 60, 42, 64),)


def test_automation_turns_controls_at_their_ticks(song: Write) -> None:
    turns = (
        AutomationPoint(0, "density", 0.5),
        AutomationPoint(100, "style", "rock"),
        AutomationPoint(192, "density", 1.5),
    )
    seen = {r.now: (r.settings.density, r.settings.style) for r in asked(song(), automation=turns)}
    assert [seen[step] for step in (1, 17, 18, 32, 33)] == [
        (0.5, "pop"), (0.5, "pop"), (0.5, "rock"), (0.5, "rock"), (1.5, "rock"),
    ]  # fmt: skip


def test_automation_of_the_tempo_moves_melody_and_band_together(song: Write) -> None:
    usual = performed(song(tempos=((0, 600_000), (200, 400_000))))
    turned = performed(song(tempos=((0, 600_000), (200, 400_000))), automation=(AutomationPoint(100, "bpm", 60.0),))
    assert turned.tempos == ((0, 600_000), (100, 1_000_000))
    assert turned.parts == usual.parts
    assert turned.counters.isr == 1.0


def test_a_tempo_turned_at_tick_0_holds_from_the_start(song: Write) -> None:
    turned = performed(song(tempos=((0, 600_000), (200, 400_000))), automation=(AutomationPoint(0, "bpm", 60.0),))
    assert turned.tempos == ((0, 1_000_000),)
    assert turned.parts == performed(song()).parts


def test_automation_of_mute_and_stop(song: Write) -> None:
    usual = performed(song()).parts
    turns = (
        AutomationPoint(96, "mute.bass", True),
        AutomationPoint(192, "mute.bass", False),
        AutomationPoint(300, "stop", True),
    )
    parts = performed(song(), automation=turns).parts
    assert [n for n in usual["bass"] if not 96 <= n.start < 192 and n.end <= 300] == [
        n for n in parts["bass"] if n.end < 300
    ]
    assert max(n.end for notes in parts.values() for n in notes) == 300


def test_latency_is_charged_on_virtual_time(song: Write) -> None:
    quick, slow = performed(song(), latency_ns=0), performed(song(), latency_ns=200 * MS)
    assert quick.counters.isr == 1.0
    assert slow.counters.isr == 0.0
    assert slow.counters.uncovered == 2
    age = slow.counters.age_ticks.quantile(0.5)
    assert age is not None
    assert age > 9


def test_a_later_melody_changes_nothing_before_it(song: Write) -> None:
    usual = performed(song()).parts
    for cut in (1, 2, 7, 13, 15):
        later = tuple(replace(n, pitch=n.pitch + 3, velocity=120) for n in TUNE[cut:])
        changed = performed(song(TUNE[:cut] + later)).parts
        for role, notes in usual.items():
            assert [n for n in changed[role] if n.end <= cut * 24] == [n for n in notes if n.end <= cut * 24]
        assert usual != changed


# The command line


def test_options_become_settings(song: Write, tmp_path: Path, players: list[FakePlayer]) -> None:
    options = ["--style", "rock", "--seed", 9, "--temperature", 0.3, "--density", 0.4, "--intensity", 0.5, "--swing", 1]
    result = run(
        song(), "-o", tmp_path / "o.mid", *options, "--set", "level.pad=0.6", "--set", "mute.bass=on", "--bpm", 90
    )
    assert result.exit_code == 0, result.output
    (player,) = players
    assert {r.now: r.settings for r in player.asked}[5] == Settings(
        style="rock", seed=9, temperature=0.3, density=0.4, intensity=0.5, swing=1.0, levels={"pad": 0.6},
        muted=frozenset({"bass"}),
    )  # fmt: skip
    assert midifile.read(tmp_path / "o.mid").tempos == ((0, 666_667),)


def test_the_style_is_the_players_first_unless_it_is_said(
    song: Write, tmp_path: Path, players: list[FakePlayer]
) -> None:
    assert run(song(), "-o", tmp_path / "o.mid").exit_code == 0
    assert players[0].asked[0].settings.style == "pop"


def test_track_latency_offline_replan_and_automation_are_passed_on(
    song: Write, tmp_path: Path, players: list[FakePlayer]
) -> None:
    turns = tmp_path / "a.jsonl"
    turns.write_text(json.dumps({"tick": 0, "key": "seed", "value": 4}))
    options = ["--track", "lead", "--offline", "--replan", "beat", "--latency-ms", 0, "--automation", turns]
    assert run(song(name="lead"), "-o", tmp_path / "o.mid", *options).exit_code == 0
    requests = players[0].asked
    assert [r.now for r in requests][:3] == [0, 4, 8]
    assert {r.heard for r in requests} == {None}
    assert requests[0].settings.seed == 4


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ([], [1, 2, 3]),
        (["--offline"], [0, 4, 8]),
        (["--offline", "--replan", "two-beats"], [0, 8, 16]),
        (["--offline", "--replan", "step"], [0, 1, 2]),
    ],
)
def test_who_sees_the_whole_melody_is_asked_once_a_beat(
    options: list[str], steps: list[int], song: Write, tmp_path: Path, players: list[FakePlayer]
) -> None:
    assert run(song(), "-o", tmp_path / "o.mid", "--latency-ms", 0, *options).exit_code == 0
    assert [request.now for request in players[0].asked][:3] == steps


def test_help_names_every_control() -> None:
    text = run("--help").output
    for key in CONTROLS:
        kind, dot, _ = key.partition(".")
        assert f"  {kind}.ROLE: " in text if dot else f"  {key}: " in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--style", "polka"], "style: no style 'polka'; the player knows pop, rock"),
        (["--bpm", "0"], "bpm: takes a number from 10 to 400, not '0'"),
        (["--temperature", "hot"], "temperature: takes a number from 0 to 2, not 'hot'"),
        (["--set", "mute.bass"], "--set mute.bass: takes KEY=VALUE"),
        (["--set", "volume=1"], "volume: no such control"),
        (["--track", "lead"], "no track 'lead' with notes in it; the file has: melody"),
        (["--technique", "kazoo"], "technique: no technique 'kazoo'; there are gan, arcnn, transformer"),
        (["--graph", "g.onnx"], "g.onnx: not to be had"),
        (["--automation", "none.jsonl"], "none.jsonl: cannot be read as text"),
        (["--latency-ms", "-1"], "Invalid value for '--latency-ms'"),
        (["--replan", "never"], "Invalid value for '--replan'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    song: Write, tmp_path: Path, options: list[str], sentence: str
) -> None:
    result = run(song(), "-o", tmp_path / "o.mid", *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["song.mid"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "in.mid: no such file"),
        (b"", "in.mid: not a readable MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\1\0", "in.mid: not a readable MIDI file"),
        (b"MThd\0\0\0\6\0\1\0\0\1\xe0", "no melody: the file has no pitched notes"),
    ],
)
def test_a_source_that_is_none_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    source = tmp_path / "in.mid"
    if content is not None:
        source.write_bytes(content)
    result = run(source, "-o", tmp_path / "o.mid")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "o.mid").exists()


def test_a_melody_that_lasts_for_days_is_refused(song: Write, tmp_path: Path) -> None:
    result = run(song((*TUNE, Note(10**7, 60, 24))), "-o", tmp_path / "o.mid")
    assert (result.exit_code, "the melody lasts 416667 beats, and that is too long" in result.stderr) == (2, True)


def test_notes_hours_apart_are_refused_at_once(song: Write, tmp_path: Path) -> None:
    result = run(song((Note(0, 60, 24), Note(90_000 * 24, 62, 24))), "-o", tmp_path / "o.mid")
    assert result.exit_code == 2
    assert f"{tmp_path}/song.mid: the melody lasts 90001 beats" in result.stderr


def test_a_bar_of_a_thousand_beats_is_not_played_to_its_end(song: Write) -> None:
    performance = performed(song(metres=((0, Metre(255, 1)),)))
    assert (performance.begin, performance.end) == (0, TUNE[-1].start + 18 + render.MAX_BAR_TICKS)


def test_sound_of_many_hours_is_refused(song: Write, tmp_path: Path) -> None:
    result = run(song((Note(24 * 900, 60, 24),), tempos=((0, 0xFFFFFF),)), "-o", tmp_path / "o.wav")
    assert result.exit_code == 2
    assert "it lasts 4 hours at this tempo, and a .wav may last 3; use --bpm" in result.stderr


MENDED = [
    ("clock", file(track(meta(smf.TRACK_NAME, b"melody"), tune(), b"\0\xf8")), "system messages left out (1)"),
    ("cut", file(track(tune()))[:-2], "truncated tracks read up to there (1)"),
    ("metre", file(track(tune(), meta(smf.TIME_SIGNATURE, b"\x0d\5\x18\x08"))), f"{midifile.BAD_METRE} (1)"),
]


@pytest.mark.parametrize(("content", "mended"), [row[1:] for row in MENDED], ids=[row[0] for row in MENDED])
def test_a_worn_file_is_played_and_one_line_says_what_was_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, mended: str
) -> None:
    source = tmp_path / "in.mid"
    source.write_bytes(content)
    assert run(source, "-o", tmp_path / "o.mid").exit_code == 0
    assert [record.getMessage() for record in caplog.records] == [f"{source}: mended while reading: {mended}"]
    melody = midifile.read(tmp_path / "o.mid").part("melody")
    assert melody is not None
    assert [note.pitch for note in melody.notes] == list(PITCHES)


@pytest.mark.parametrize(
    ("options", "first"),
    [((), 60), (("--channel", 3), 72), (("--track", "melodie"), 60), (("--track", "mel", "--channel", 3), 72)],
)
def test_the_melody_is_chosen_by_track_and_channel(tmp_path: Path, options: tuple[object, ...], first: int) -> None:
    source = tmp_path / "in.mid"
    melody = track(meta(smf.TRACK_NAME, "Mélodie".encode()), tune(0), tune(2, (72, 74)))
    source.write_bytes(file(track(tune(1, (36, 38))), melody))
    assert run(source, "-o", tmp_path / "o.mid", *options).exit_code == 0
    played = midifile.read(tmp_path / "o.mid").part("melody")
    assert played is not None
    assert played.notes[0].pitch == first


def test_drums_alone_are_no_melody(song: Write, tmp_path: Path) -> None:
    result = run(song(name="drums"), "-o", tmp_path / "o.mid")
    assert (result.exit_code, "no melody" in result.stderr) == (2, True)


@pytest.mark.parametrize("target", [".", "nowhere/o.mid"])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_played(
    song: Write, tmp_path: Path, players: list[FakePlayer], target: str
) -> None:
    result = run(song(), "-o", tmp_path / target)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert players == []


def test_a_full_disk_is_refused_in_a_sentence_and_leaves_nothing(
    song: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: mido.MidiFile, file: BinaryIO) -> None:
        file.write(b"MThd")
        raise OSError(28, "No space left on device")

    source = song()
    monkeypatch.setattr(mido.MidiFile, "save", full)
    result = run(source, "-o", tmp_path / "o.mid")
    assert result.exit_code == 2
    assert "o.mid: cannot be written: No space left on device" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["song.mid"]


def test_a_configuration_gives_controls_and_presets(song: Write, tmp_path: Path, players: list[FakePlayer]) -> None:
    turns, settings = tmp_path / "a.jsonl", tmp_path / "c.toml"
    turns.write_text(json.dumps({"tick": 96, "key": "preset", "value": "mine"}))
    settings.write_text("density = 0.5\nbpm = 90\n[presets.mine]\nseed = 7\nswing = 1\n")
    options = ["--config", settings, "--automation", turns, "--temperature", 0.2]
    result = run(song(), "-o", tmp_path / "o.mid", *options)
    assert result.exit_code == 0, result.output
    (player,) = players
    seen = {r.now: r.settings for r in player.asked}
    assert seen[5] == Settings("pop", temperature=0.2, density=0.5)
    assert seen[30] == Settings("pop", seed=7, temperature=0.2, density=0.5, swing=1.0)
    assert midifile.read(tmp_path / "o.mid").tempos == ((0, 666_667),)
    assert "preset: no preset 'mine'; the configuration has none" in run(song(), "-o", "o.mid", *options[2:4]).stderr


def test_programs_are_those_of_the_configuration(song: Write, tmp_path: Path) -> None:
    settings = tmp_path / "c.toml"
    settings.write_text("[program]\nbass = 34\npad = 90\n")
    given = ["--config", settings, "--set", "program.pad=91", "--set", "swing=1"]
    assert run(song(), "-o", tmp_path / "o.mid", *given).exit_code == 0
    tracks = {track.name: track for track in mido.MidiFile(tmp_path / "o.mid").tracks}
    found = {name: [(m.time, m.program) for m in track if m.type == "program_change"] for name, track in tracks.items()}
    assert {name: programs for name, programs in found.items() if programs} == {"bass": [(0, 33)], "pad": [(0, 90)]}
    assert run(song(), "-o", tmp_path / "o.mid", "--set", "program.pad=900").exit_code == 2


def test_the_melody_and_the_band_have_banks_and_programs_in_the_file_where_they_are_turned(
    song: Write, tmp_path: Path
) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text(
        '{"tick": 96, "key": "program.melody", "value": 74}\n{"tick": 100, "key": "bank.bass", "value": 0}\n'
    )
    given = [f"--set={pair}" for pair in ("program.melody=41", "program.bass=34", "bank.bass=129")]
    assert run(song(), "-o", tmp_path / "o.mid", *given, "--automation", lines).exit_code == 0
    plain = run(song(), "-o", tmp_path / "plain.mid")
    assert plain.exit_code == 0
    found, notes = _list_events(tmp_path / "o.mid")
    late = [(2000, "B1 00 00"), (2000, "B1 20 00"), (2000, "C1 21")]
    assert found == {
        "melody": [(0, "C0 28"), (96 * 20, "C0 49")],
        "bass": [*((0, m) for m in ("B1 00 01", "B1 20 01", "C1 21")), *late],
    }
    assert ({}, notes) == _list_events(tmp_path / "plain.mid")


def _list_events(path: Path) -> tuple[dict[str, list[tuple[int, str]]], dict[str, list[tuple[int, str]]]]:
    """(tick, message) by track: what chooses instruments, and the rest."""
    programs: dict[str, list[tuple[int, str]]] = {}
    others: dict[str, list[tuple[int, str]]] = {}
    for each in mido.MidiFile(path).tracks:
        at = 0
        for message in each:
            at += message.time
            if not message.is_meta:
                kind = programs if midi.chooses_program(message.bytes()) else others
                kind.setdefault(each.name, []).append((at, message.hex()))
    return programs, others


def test_stems_lie_beside_the_mix_and_the_melody_is_turned_like_a_role(song: Write, tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"tick": 48, "key": "mute.melody", "value": true}\n')
    given = ["--soundfont", "built-in", "--stems", "--json", "--set", "mute.pad=on", "--automation", lines]
    result = run(song(), "-o", tmp_path / "o.wav", *given)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["stems"] == {role: str(tmp_path / f"o-{role}.wav") for role in ("melody", "bass", "chords", "drums")}
    assert set(told["lufs"]) == {*told["stems"], "mix"}
    found = {}
    for role, path in told["stems"].items():
        with wave.open(path) as opened:
            found[role] = np.abs(np.frombuffer(opened.readframes(opened.getnframes()), "<i2")).reshape(-1, 2).max(1)
    muted = round(48 / 24 * 60 / 120 * 48_000) + 48_000 // 2  # and what dies away
    assert found["melody"][:muted].max() > 1000 > 10 > found["melody"][muted:].max()
    assert found["bass"][muted:].max() > 1000
    refused = run(song(), "-o", tmp_path / "o.mid", "--stems")
    assert (refused.exit_code, "name a file that ends in .wav" in refused.output) == (2, True)


@pytest.mark.parametrize("slow_ms", [0.0, 40.0])
def test_a_human_hand_is_early_and_late_as_live(song: Write, tmp_path: Path, slow_ms: float) -> None:
    """However early messages leave for a slow synthesiser: in the file, notes lie where they are heard."""
    settings = Settings("pop", humanise=1.0, offsets_ms={"bass": slow_ms})
    done = render.render_file(song(), tmp_path / "o.mid", FakePlayer(), RenderOptions(settings))
    tracks = {track.name: track for track in mido.MidiFile(tmp_path / "o.mid").tracks}
    at, offs = 0, []
    for message in tracks["bass"]:
        at += message.time
        if message.type == "note_on":
            offs.append((at + 60) % 120 - 60)  # 480ths of a beat from the nearest sixteenth
    limit = MAX_STRAY_NS * 480 / 500_000_000 + 1
    assert done.strayed is not None
    assert min(offs) < -2
    assert max(offs) > 2
    assert max(map(abs, offs)) <= limit


def test_a_metre_and_a_style_that_were_not_learned_are_said(song: Write, tmp_path: Path) -> None:
    said = run(song(metres=((0, Metre(7, 8)),)), "-o", tmp_path / "o.mid").stderr
    assert "the gan has learned from music in 4/4, 3/4, 6/8, 12/8: in 7/8 it keeps your bars" in said


class TiredPlayer(FakePlayer):
    """Answers some questions and fails at the others."""

    def __init__(self, fails: Callable[[int], bool]) -> None:
        super().__init__()
        self._fails = fails

    def plan(self, request: PlanRequest) -> Plan:
        if self._fails(request.number):
            raise RuntimeError("the graph is tired")
        return super().plan(request)


def test_failed_inferences_are_told_once_the_rest_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mid", tmp_path / "out.mid"
    midifile.write(source, {"melody": tuple(Note(24 * i, 60, 24) for i in range(8))})
    with pytest.raises(InferenceError, match=r"^.*out.mid: is written, .*: 2 of \d+ inferences failed: .* tired$"):
        render.render_file(source, target, TiredPlayer(lambda number: number in (3, 4)))
    assert midifile.read(target).parts


def test_where_every_inference_fails_nothing_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mid", tmp_path / "out.mid"
    midifile.write(source, {"melody": (Note(0, 60, 24),)})
    with pytest.raises(InferenceError, match=r"plays nothing: .* inferences failed: RuntimeError: .* tired"):
        render.render_file(source, target, TiredPlayer(lambda number: True))
    assert not target.exists()


def test_a_line_says_what_was_written(song: Write, tmp_path: Path) -> None:
    done = run(song(), "-o", tmp_path / "out.mid")
    assert done.stdout == f"{tmp_path / 'out.mid'}: 4 bars, 0:08, bass 31, chords 93, pad 31, drums 63 notes\n"
    assert done.stderr == ""


def test_json_says_what_was_written(song: Write, tmp_path: Path) -> None:
    done = run(song(), "-o", tmp_path / "out.mid", "--json", "--seed", 3)
    told = json.loads(done.stdout)
    written = {part.name: len(part.notes) for part in midifile.read(tmp_path / "out.mid").parts}
    assert told["notes"] == {role: count for role, count in written.items() if role != "melody"}
    assert (told["file"], told["bars"], told["seed"], told["style"]) == (str(tmp_path / "out.mid"), 4, 3, "pop")


def test_a_file_on_standard_output_has_nothing_else_there(song: Write, tmp_path: Path) -> None:
    run(song(), "-o", tmp_path / "out.mid")
    done = run(song(), "-o", "-")
    assert done.stdout_bytes == (tmp_path / "out.mid").read_bytes()
    assert done.stderr.startswith("standard output: 4 bars")
