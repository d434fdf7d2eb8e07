"""One control, many ways in: whichever way it is turned, the band plays the same messages at the same nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.config.reading import build_config, read_config
from daemon.control import automation
from daemon.control.connection import Connection
from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import Gestures
from daemon.control.requests import RequestHandler
from daemon.core.controls import CONTROLS
from daemon.core.events import ControlChange, Event, MidiIn, Quit
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.core.value_types import TOGGLE, Trigger
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.offline import render
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, SentMessage, VirtualWorld
from daemon.players.ensemble import Ensemble
from music import midifile
from music.note import Note
from tests.support.fakes import MS, FakePlayer, midi

AT_120 = TempoMap(500_000)
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20, 70 + i) for i in range(12)]
CHOICES = {"style": ("pop", "rock"), "technique": ("gan", "transformer"), "preset": ("quiet",)}
QUIET = (("intensity", 0.2), ("mute.drums", True))
TURNED, UNTIL = 121, 520  # ticks

#: every kind of control, with a value that is heard
VALUES: dict[str, object] = {
    "style": "rock", "seed": 9, "temperature": 0.3, "density": 1.5, "intensity": 1.0, "swing": 1.0, "humanise": 1.0,
    "bpm": 90.0, "technique": "transformer", "pause_bars": 1, "split": 66, "mute.drums": True, "level.bass": 0.25,
    "offset_ms.chords": 25.0, "stop": True, "fill": True, "variation": True, "ending": True, "panic": True,
    "program.bass": 34, "octave.bass": 1, "semitones.chords": -5,
    "preset": "quiet", "recall": 0.4, "transpose": 5, "key": "D minor", "metre": "3/4", "intro": True,
    "start_stop": True,
}  # fmt: skip


#: controls of the loop that the AR-CNN edits, of who plays what, of chords that nobody plays here, of a beginning, and
#: of endings that nobody asks for: these players would not let them be heard (tests/engine/test_looper.py,
#: test_chord_correction.py, test_conductor.py, test_chart_playing.py, test_ending.py,
#: tests/players/test_transformer.py)
ELSEWHERE = {
    *("loop_bars", "overdub", "edits_per_second", "edit_sysex", "creative_risk", "remove_max", "add_max"),
    *("lock_pitches", "lock_bars", "register_low", "register_high", "undo", "player"),
    *("harmony", "harmony_hold", "chord_channel", "chart", "vamp"),
    *("final_chord", "ritardando", "start_with", "intro_bars"),
    *("pickup", "count_in"),  # of a beginning
    "bank",  # means something with a program only: tests/output/test_programs.py
    *("song", "setlist", "song_change", "next_song", "previous_song"),  # tests/live/test_song_world.py
}


def speaking(name: int) -> FakePlayer:
    """A player whose notes tell all that it was told."""

    spoken: dict[int, int] = {}  # by the request's number

    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        if request.number not in spoken:
            spoken[request.number] = speak(request)
        pitch = spoken[request.number]
        return {role: [Note(step * 6, pitch + i, 4 + i, 80)] for i, role in enumerate(("bass", "chords", "drums"))}

    def speak(request: PlanRequest) -> int:
        said = request.settings
        told = (
            said.style,
            said.seed,
            said.temperature,
            said.recall,
            said.density,
            name,
            [n.pitch for n in request.melody],
            request.key,
            request.metre,
        )
        return 30 + sum(map(ord, repr(told))) % 60

    return FakePlayer(write, roles=("bass", "chords", "drums"))


def band() -> Ensemble:
    return Ensemble({"gan": speaking(1), "transformer": speaking(2)})


def play(
    events: Iterable[Event], bindings: dict[str, str] | None = None, settings: Settings = Settings()
) -> list[SentMessage]:
    world = VirtualWorld(AT_120.ns_at(-96))
    for event in (*events, *midi(TUNE, AT_120), Quit(AT_120.ns_at(UNTIL))):
        world.put(event)
    hears = GestureWorld(world, Gestures(bindings or {}, CHOICES), {"quiet": QUIET})
    output, player = RecordingOutput(world), band()
    Conductor(
        hears, output, InlineComposer(world, player, 5 * MS), player.info, SongInfo(TempoMap(500_000)), settings
    ).run()
    return output.sent


@cache
def play_turned(key: str | None) -> list[SentMessage]:
    """What is played where a control is turned, or none."""
    return play([ControlChange(at(TURNED), key, VALUES[key])] if key else [])


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def by_cc(key: str, value: object) -> list[SentMessage]:
    return play([MidiIn(at(TURNED), b"\xb5\x14\x7f")], {"cc 20": said(key, value)})


def by_note(key: str, value: object) -> list[SentMessage]:
    events = [MidiIn(at(TURNED), b"\x9f\x14\x7f"), MidiIn(at(TURNED + 3), b"\x8f\x14\x00")]
    return play(events, {"note 20 channel 16": said(key, value)})


def by_program(key: str, value: object) -> list[SentMessage]:
    return play([MidiIn(at(TURNED), b"\xc3\x14")], {"program 20": said(key, value)})


def by_socket(key: str, value: object) -> list[SentMessage]:
    return play([passed_on({"op": "set", "key": key, "value": value})])


def ask_by_command_line(*words: str) -> dict[str, Any]:
    """What `houseband set` asks the band's socket for."""
    asked: list[dict[str, Any]] = []

    class Connected:
        def __init__(self, where: str) -> None:
            pass

        def ask(self, op: str, **members: Any) -> None:
            asked.append({"op": op, **members})

        def close(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.commands.set.ControlClient", Connected)
        result = CliRunner().invoke(main, ["set", *words])
    assert result.exit_code == 0, result.output
    return asked[0]


def by_command_line(key: str, value: object) -> list[SentMessage]:
    words = [key] if isinstance(CONTROLS[key].type, Trigger) else [key, str(value)]
    return play([passed_on(ask_by_command_line(*words))])


def test_a_file_is_named_from_the_root_for_the_band_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask_by_command_line("chart", "song.txt")["value"] == str(tmp_path / "song.txt")
    assert ask_by_command_line("chart", "")["value"] == ""


def said(key: str, value: object) -> str:
    return key if isinstance(CONTROLS[key].type, Trigger) else f"{key}={value}"


def passed_on(request: dict[str, Any]) -> ControlChange:
    """What the socket's server hands on for a request."""
    hello = {
        "controls": {}, "bpm": 120.0, "styles": CHOICES["style"], "techniques": CHOICES["technique"],
        "presets": CHOICES["preset"], "gestures": {}, "learned": {}, "ports": (),
        "restarts": 0, "serial": 0,
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    def pass_on(message: dict[str, Any]) -> bool:
        sent.append(message)
        return True

    client = Connection(None)  # type: ignore[arg-type]
    RequestHandler(hello, pass_on).answer(client, request)
    (message,) = sent
    return ControlChange(at(TURNED), message["key"], message["value"])


@pytest.mark.parametrize("way", [by_cc, by_note, by_program, by_socket, by_command_line])
@pytest.mark.parametrize("key", VALUES)
def test_whichever_way_a_control_is_turned_the_band_plays_the_same(
    key: str, way: Callable[[str, object], list[SentMessage]]
) -> None:
    turned = play_turned(key)
    assert turned != play_turned(None)
    assert way(key, VALUES[key]) == turned


def test_every_control_is_among_them() -> None:
    kinds = {key.partition(".")[0] for key in CONTROLS}
    follow, elsewhere = {"start", "tap"}, ELSEWHERE
    assert elsewhere <= kinds
    assert {key.partition(".")[0] for key in VALUES} == kinds - follow - elsewhere


@pytest.mark.parametrize("way", ["cc", "note", "program", "socket"])
def test_start_and_tap_are_the_same_from_everywhere(way: str) -> None:
    """Stop, then start; three taps."""
    moments = [(100, "stop"), (150, "start"), (200, "tap"), (220, "tap"), (240, "tap")]
    plain = play([ControlChange(at(tick), key, True) for tick, key in moments])
    number = {"stop": 1, "start": 2, "tap": 3}
    if way == "socket":
        events: list[Event] = [ControlChange(at(t), passed_on({"op": "set", "key": k}).key, True) for t, k in moments]
        assert play(events) == plain
        return
    status = {"cc": 0xB0, "note": 0x90, "program": 0xC0}[way]
    messages = [(t, bytes((status, number[k], 127)[: 2 if way == "program" else 3])) for t, k in moments]
    if way == "cc":  # a pad sends its release, too
        messages += [(t + 1, bytes((status, number[k], 0))) for t, k in moments]
    events = [MidiIn(at(t), data) for t, data in sorted(messages)]
    assert play(events, {f"{way} {n}": key for key, n in number.items()}) == plain


def test_a_knob_over_its_range_a_program_by_its_number_and_a_key_that_turns_over() -> None:
    assert play([MidiIn(at(TURNED), b"\xb0\x14\x7f")], {"cc 20": "intensity"}) == play(
        [ControlChange(at(TURNED), "intensity", 1.0)]
    )
    assert play([MidiIn(at(TURNED), b"\xc0\x01")], {"program": "style"}) == play(
        [ControlChange(at(TURNED), "style", "rock")]
    )
    twice: list[Event] = [MidiIn(at(t), b"\x9f\x14\x7f") for t in (TURNED, TURNED + 40)]
    on_and_off = [ControlChange(at(TURNED), "mute.bass", True), ControlChange(at(TURNED + 40), "mute.bass", False)]
    assert play(twice, {"note 20": "mute.bass"}) == play(on_and_off)
    assert play([ControlChange(at(t), "mute.bass", TOGGLE) for t in (TURNED, TURNED + 40)]) == play(on_and_off)


@pytest.mark.parametrize("key", [key for key in VALUES if not isinstance(CONTROLS[key].type, Trigger)])
def test_what_the_configuration_says_is_as_if_turned_at_the_start(key: str, tmp_path: Path) -> None:
    if key == "bpm":
        return _bpm_of_the_configuration_is_the_songs(tmp_path)
    file = tmp_path / "config.toml"
    text = f'harmony = "melody"\n{key} = {toml(VALUES[key])}\n'
    file.write_text(f"pause_bars = 0\n{text}" if key != "pause_bars" else text)
    if key == "preset":
        preset = 'preset = "quiet"\n[presets.quiet]\nintensity = 0.2\nmute.drums = true\n'
        file.write_text(f'harmony = "melody"\npause_bars = 0\n{preset}')
    settings = build_config(read_config(file)).make_settings(band().info)
    assert play([], settings=settings) == play([ControlChange(AT_120.ns_at(-96), key, VALUES[key])])
    return None


def _bpm_of_the_configuration_is_the_songs(tmp_path: Path) -> None:
    from daemon.commands.run import build_song

    file = tmp_path / "config.toml"
    file.write_text("bpm = 90")
    assert build_song(build_config(read_config(file))).bpm == 90.0


def toml(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value).replace("'", '"')


@pytest.mark.parametrize("key", [key for key in VALUES if key not in ("preset", "bpm")])
def test_automation_is_the_same_again(key: str, tmp_path: Path) -> None:
    """Rendered to a file; on ticks, as files hold."""
    lines = tmp_path / "a.jsonl"
    lines.write_text(f'{{"tick": {TURNED}, "key": "{key}", "value": {toml(VALUES[key])}}}\n')
    midifile.write(tmp_path / "tune.mid", {"melody": TUNE})
    song = midifile.read(tmp_path / "tune.mid")
    points = automation.read_automation(lines, band().info)
    options = render.RenderOptions(Settings(), latency_ns=5 * MS, automation=points)
    parts = render.perform(song, midifile.choose_melody(song), band(), options).parts
    world = VirtualWorld(AT_120.ns_at(-96))
    world.put(ControlChange(at(TURNED), key, VALUES[key]))
    for event in midi(TUNE, AT_120):
        world.put(event)
    world.put(Quit(at(288)))
    output, player = RecordingOutput(world), band()
    Conductor(world, output, InlineComposer(world, player, 5 * MS), player.info, SongInfo(TempoMap(500_000))).run()
    begun = sorted((m.data[0] & 0xF, m.data[1], m.data[2]) for m in output.sent if m.data[0] & 0xF0 == 0x90)
    channels = {"bass": 1, "chords": 2, "drums": 9}
    assert sorted((channels[role], n.pitch, n.velocity) for role, notes in parts.items() for n in notes) == begun
