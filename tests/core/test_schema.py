"""The schema of settings: types, what they refuse, and that no value makes unbounded work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.config.cli_options import KeyParam
from daemon.config.completion import list_values
from daemon.config.config import KEYS, Config
from daemon.config.reading import build_config, parse_key
from daemon.control.gestures import GestureError, parse_gesture
from daemon.core import controls
from daemon.core.controls import CONTROLS
from daemon.core.schema import SettingError, declare_key, declare_key_per_role, list_keys, read_value, with_value
from daemon.core.settings import Settings
from daemon.core.value_types import Choice, Integer, Number, PlaceOrWord, Ranges, Switch, Text
from music.errors import UserError

HUGE = 10**400


@dataclass(frozen=True)
class Toy:
    """Keys of a toy."""

    size: int = declare_key(3, Integer(1, 9), "how large it is", metavar="CM")
    gains: Mapping[str, float] = declare_key_per_role("gain", ("bass", "pad"), 1.0, Number(0, 2), "how loud {role} is")
    silent: frozenset[str] = declare_key_per_role(
        "quiet", ("bass", "pad"), False, Switch(), "{role} rests", as_set=True
    )
    note: str = "no key"


def test_a_key_is_declared_once_and_known_by_all_that_was_said() -> None:
    size, bass, _, quiet, _ = keys = list(list_keys(Toy, live=True))
    assert [key.name for key in keys] == ["size", "gain.bass", "gain.pad", "quiet.bass", "quiet.pad"]
    assert (size.default, size.range, size.help, size.live, size.metavar) == (
        3, "a whole number from 1 to 9", "how large it is", True, "CM",
    )  # fmt: skip
    assert (bass.help, bass.role, bass.has_option, size.has_option) == ("how loud bass is", "bass", False, True)
    toy = with_value(with_value(Toy(), bass, 0.5), quiet, True)
    assert (toy.gains, toy.silent) == ({"bass": 0.5}, frozenset({"bass"}))
    assert (read_value(toy, bass), read_value(toy, quiet)) == (0.5, True)
    assert with_value(with_value(toy, bass, 1.0), quiet, False) == Toy()


def test_every_key_is_a_typed_field_and_its_default_has_its_type() -> None:
    for key, spec in KEYS.items():
        assert spec.field
        assert spec.parse(spec.to_toml(spec.default)) == spec.default, key
        assert Config().get_value(key) == spec.default
    assert {key for key, spec in KEYS.items() if spec.live} == {key for key in CONTROLS if key in KEYS}


def test_a_live_key_is_the_same_key_everywhere() -> None:
    for key, spec in CONTROLS.items():
        if key in KEYS and key != "preset":
            assert (KEYS[key].type, KEYS[key].help) == (spec.type, spec.help)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key in ("temperature", "seed", "bpm", "pickup", "count_in", "add_max") for value in (
            HUGE, -HUGE, "9" * 401, "1e999", "9" * 5_000, float("inf"), [1], None,
        )),
        *((key, value) for key in ("graph", "record", "takes") for value in ("a\0b", "x" * 5_000, "\ud800\udfff", 7)),
        *((key, value) for key in ("in_port", "preset", "style", "technique", "player.bass") for value in (
            "x" * 2_000, "a\nb", "a\x7fb", "\ud800", 7,
        )),
        *(("control", value) for value in ("tcp:99999", "tcp:-1", "tcp:x", "tcp:" + "9" * 5_000, "a\0b")),
        *(("metre", value) for value in ("9" * 5_000 + "/4", "4/4/4", "0/4", "65/4", "4/3", 4, "4/4, 2: 3/4," * 200)),
        *(("lock_bars", value) for value in ("0-100001", "1-" + "9" * 5_000, ",".join(["0-100000"] * 5_000), "a")),
        *(("lock_pitches", value) for value in ("128", "0-200", "-1", 1.5)),
    ],
)  # fmt: skip
def test_an_absurd_value_is_refused_in_one_short_sentence(key: str, value: object) -> None:
    with pytest.raises(UserError) as error:
        parse_key(key, value)
    sentence = str(error.value)
    assert sentence.startswith(f"{key}: ")
    assert len(sentence) < 300
    assert "\n" not in sentence


@pytest.mark.parametrize("key", ["graph", "record", "soundfont", "takes", "control"])
def test_a_home_that_there_is_not_is_named(key: str) -> None:
    with pytest.raises(UserError, match=f"{key}: there is no home folder ~nosuchuser"):
        parse_key(key, "~nosuchuser/file")


@pytest.mark.parametrize("option", [["--control", "tcp:99999"], ["--graph", "~nosuchuser/x"], ["--bpm", "9" * 401]])
def test_so_it_is_on_the_command_line(option: list[str]) -> None:
    result = CliRunner().invoke(main, ["run", *option])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)


def test_an_address_in_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSEBAND_CONTROL", "tcp:99999")
    result = CliRunner().invoke(main, ["status"])
    takes = "takes auto, off, a path, or tcp:PORT with a port of at most 65535"
    assert (result.exit_code, result.stderr) == (2, f"Error: HOUSEBAND_CONTROL: {takes}, not 'tcp:99999'\n")


@pytest.mark.parametrize("text", ["cc " + "9" * 5_000, "note 60 channel " + "1" * 5_000, "x" * 100_000])
def test_an_absurd_gesture_is_refused(text: str) -> None:
    with pytest.raises(GestureError):
        parse_gesture(text)


def test_many_ranges_cost_no_more_than_all_bars() -> None:
    text = ",".join(["0-100000"] * 110)
    assert len(text) < 1_000
    begun = time.process_time()
    settings = controls.with_control(Settings(), "lock_bars", controls.parse("lock_bars", text))
    for _ in range(1_000):  # as often as plans are asked for
        assert len(settings.limits.locked_bars) == 100_001
    assert time.process_time() - begun < 0.5


def test_a_key_that_there_is_not_is_repeated_in_part_only() -> None:
    for refuse in (controls.parse, parse_key):
        with pytest.raises(UserError, match=r"^x{57}\.\.\.: no such ") as error:
            refuse("x" * 50_000, 1)
        assert len(str(error.value)) < 2_000


def test_paths_are_expanded_and_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    config = build_config(values={"graph": parse_key("graph", "~/band.onnx"), "record": parse_key("record", "")})
    assert (config.graph, config.record) == (Path("/home/somebody/band.onnx"), None)


def test_types_say_what_they_take_and_what_can_be_completed() -> None:
    assert Integer().range == "a whole number"
    assert Choice(("a", "b")).suggestions == ("a", "b")
    assert (Switch().suggestions, Switch(live=True).suggestions) == (("true", "false"), ("true", "false", "toggle"))
    assert PlaceOrWord(("auto", "off")).range == "auto, off or a folder"
    assert Text().parse("Klavier é 日本") == "Klavier é 日本"
    assert Ranges(127).parse(7) == "7"
    assert parse_key("metre", " 13/8,4 : 3/4") == "13/8, 4: 3/4"


def test_a_shell_completes_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[presets.quiet]\nintensity = 0.1\n")
    monkeypatch.setenv("HOUSEBAND_CONFIG", str(file))
    assert {"pop", "jazz"} <= set(list_values(CONTROLS["style"]))
    assert list_values(CONTROLS["technique"])[:3] == ("gan", "arcnn", "transformer")
    assert list_values(CONTROLS["preset"]) == ("quiet",)
    assert "link" in list_values(KEYS["clock"])
    found = KeyParam(KEYS["api"]).shell_complete(None, None, "al")  # type: ignore[arg-type]
    assert [item.value for item in found] == ["alsa"]


def test_a_setting_error_is_the_users() -> None:
    assert issubclass(SettingError, UserError)
