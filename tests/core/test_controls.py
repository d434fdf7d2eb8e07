from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.control import automation
from daemon.control.automation import AutomationError, AutomationPoint
from daemon.core import controls
from daemon.core.controls import CONTROLS
from daemon.core.schema import SettingError
from daemon.core.settings import Settings
from tests.support.fakes import FakePlayer


@pytest.mark.parametrize(
    ("key", "given", "parsed"),
    [
        ("style", "rock", "rock"),
        ("seed", "7", 7),
        ("seed", -7, -7),
        ("temperature", "0.5", 0.5),
        ("density", 2, 2.0),
        ("bpm", 97.5, 97.5),
        ("mute.bass", "on", True),
        ("mute.bass", False, False),
        ("level.drums", "1.5", 1.5),
        ("panic", None, True),
        ("stop", 0, True),
    ],
)
def test_a_value_gets_its_type(key: str, given: object, parsed: object) -> None:
    found = controls.parse(key, given, ("pop", "rock"))
    assert found == parsed
    assert type(found) is type(parsed)


@pytest.mark.parametrize(
    ("key", "given", "sentence"),
    [
        ("style", "polka", "style: no style 'polka'; the player knows pop, rock"),
        ("style", 3, "style: takes one of the player's styles, not 3"),
        ("seed", 1.5, "seed: takes a whole number, not 1.5"),
        ("seed", "x", "seed: takes a whole number, not 'x'"),
        ("temperature", 2.1, "temperature: takes a number from 0 to 2, not 2.1"),
        ("temperature", "nan", "temperature: takes a number from 0 to 2, not 'nan'"),
        ("density", True, "density: takes a number from 0 to 2, not True"),
        ("bpm", 0, "bpm: takes a number from 10 to 400, not 0"),
        ("bpm", [120], r"bpm: takes a number from 10 to 400, not \[120\]"),
        ("mute.bass", "maybe", "mute.bass: takes true or false, not 'maybe'"),
        ("level.pad", -0.1, "level.pad: takes a number from 0 to 1.5, not -0.1"),
        ("volume", 1, "volume: no such control; there are style, seed"),
        ("mute.kazoo", True, "mute.kazoo: no such control"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(key: str, given: object, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        controls.parse(key, given, ("pop", "rock"))


def test_every_setting_has_a_control_that_sets_it() -> None:
    settings = Settings()
    for key, value in {
        "style": "jazz", "seed": 3, "temperature": 0.1, "density": 0.2, "intensity": 0.3, "swing": 0.4,
        "mute.bass": True, "level.pad": 0.5,
    }.items():  # fmt: skip
        settings = controls.with_control(settings, key, controls.parse(key, value))
    assert settings == Settings(
        style="jazz", seed=3, temperature=0.1, density=0.2, intensity=0.3, swing=0.4, levels={"pad": 0.5},
        muted=frozenset({"bass"}),
    )  # fmt: skip
    assert controls.with_control(settings, "mute.bass", False).muted == frozenset()
    assert controls.with_control(settings, "bpm", 99.0) == controls.with_control(settings, "panic", True) == settings


def test_every_control_says_what_it_does_and_takes() -> None:
    assert all(control.help and control.range for control in CONTROLS.values())


def test_automation_is_sorted_by_tick(tmp_path: Path) -> None:
    lines = [
        {"tick": 96, "key": "density", "value": 0.5},
        {"tick": 0, "key": "style", "value": "rock"},
        {"tick": 96, "key": "mute.bass", "value": True},
        {"tick": 200, "key": "panic"},
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    assert automation.read_automation(file, FakePlayer(styles=("rock",)).info) == (
        AutomationPoint(0, "style", "rock"),
        AutomationPoint(96, "density", 0.5),
        AutomationPoint(96, "mute.bass", True),
        AutomationPoint(200, "panic", True),
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 2: not a JSON object such as"),
        ("[" * 100_000, "line 2: not a JSON object such as"),
        ("[1, 2]", "line 2: takes exactly tick, key and value"),
        ('{"tick": 1}', "line 2: takes exactly tick, key and value"),
        ('{"tick": 1, "key": "stop", "value": 1, "bar": 2}', "line 2: takes exactly tick, key and value"),
        ('{"tick": -1, "key": "stop"}', "line 2: tick: takes a whole number from 0, not -1"),
        ('{"tick": 1.5, "key": "stop"}', "line 2: tick: takes a whole number from 0, not 1.5"),
        ('{"tick": true, "key": "stop"}', "line 2: tick: takes a whole number from 0, not True"),
        ('{"tick": 1, "key": "bpm", "value": 0}', "line 2: bpm: takes a number from 10 to 400, not 0"),
        ('{"tick": 1, "key": ["bpm"], "value": 0}', r"line 2: \['bpm'\]: no such control"),
        ('{"tick": 1, "key": "style", "value": "polka"}', "line 2: style: no style 'polka'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"tick": 0, "key": "stop"}\n' + line + "\n")
    with pytest.raises(AutomationError, match=sentence):
        automation.read_automation(file, FakePlayer(styles=("pop",)).info)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(AutomationError, match=r"nothing\.jsonl: cannot be read as text: No such file"):
        automation.read_automation(tmp_path / "nothing.jsonl")
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AutomationError, match="b: cannot be read as text: 'utf-8' codec"):
        automation.read_automation(tmp_path / "b")
