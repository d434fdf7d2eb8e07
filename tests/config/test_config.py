"""The configuration: one table of keys, from which options, documented file, and refusals come."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.config.checks import ConfigError
from daemon.config.cli_options import load_config
from daemon.config.config import KEYS
from daemon.config.reading import ConfigFile, build_config, read_config
from daemon.config.toml_text import format_config, format_documented_config
from daemon.control.gestures import DEFAULT_GESTURES
from daemon.control.learned import write_learned
from daemon.core.settings import Settings
from daemon.system.paths import CONFIG_VARIABLE, find_learned_gestures_file
from tests.support.fakes import FakePlayer


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configuration would be."""
    path = tmp_path / "houseband" / "config.toml"
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    return path


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def houseband(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


# Reading


def test_without_a_file_all_is_as_documented(file: Path) -> None:
    chosen = load_config(None, (), {})
    usual = Settings(style="jazz", pause_bars=4, harmony="auto")
    assert {name: chosen.config.get_value(name) for name in KEYS} == {name: key.default for name, key in KEYS.items()}
    assert chosen.config.gestures == DEFAULT_GESTURES
    assert chosen.config.make_settings(FakePlayer(styles=("jazz", "pop")).info) == usual


def test_the_documented_file_says_nothing_until_a_key_is_taken(file: Path) -> None:
    assert read_config(written(file, format_documented_config())) == ConfigFile()
    lines = format_documented_config().splitlines()
    active = [line[2:] for line in lines if line.startswith("# ") and (" = " in line or line.startswith("# ["))]
    given = read_config(written(file, "\n".join(active)))
    whole = build_config(given)
    assert {name: given.values[name] for name in KEYS} == {name: key.default for name, key in KEYS.items()}
    assert whole.gestures == DEFAULT_GESTURES
    assert whole.presets == {"quiet": (("intensity", 0.4), ("density", 0.6), ("mute.drums", True))}
    assert all(key.help for key in KEYS.values())


def test_what_is_shown_is_read_back_the_same(file: Path) -> None:
    text = 'bpm = 97.5\nmetre = "6/8"\nmute.pad = true\n[gestures]\n"cc 1" = "fill"\n[presets.loud]\nlevel.bass = 1.5\n'
    whole = build_config(read_config(written(file, text)))
    again = build_config(read_config(written(file, format_config(whole))))
    assert again == whole
    assert (whole.bpm, whole.settings.metre, whole.presets) == (97.5, "6/8", {"loud": (("level.bass", 1.5),)})
    assert whole.make_settings(FakePlayer(styles=("pop",)).info).muted == {"pad"}


def test_the_command_line_goes_before_a_preset_and_that_before_the_file(file: Path) -> None:
    text = (
        'density = 0.1\nintensity = 0.1\nswing = 0.1\npreset = "mine"\n[presets.mine]\ndensity = 0.2\nintensity = 0.2\n'
    )
    written(file, text)
    settings = load_config(None, ("density=0.3",), {}).config.make_settings(FakePlayer(styles=("pop",)).info)
    assert (settings.density, settings.intensity, settings.swing) == (0.3, 0.2, 0.1)


def test_every_option_of_run_is_a_key_and_says_so_in_its_help() -> None:
    help_text = houseband("run", "--help").output
    command = main.get_command(None, "run")  # type: ignore[arg-type]
    assert command is not None
    options = {name for p in command.params for name in p.opts if name.startswith("--")}
    keys = {key.option for key in KEYS.values() if key.has_option}
    assert options - {"--config", "--set", "--help", "--from-start", "--plugin"} == keys
    assert all(option in help_text for option in keys)


@pytest.mark.parametrize("name", [key.name for key in KEYS.values()])
def test_every_key_can_be_set_from_the_command_line(name: str, file: Path) -> None:
    default = KEYS[name].to_toml(KEYS[name].default)
    text = str(default).lower() if isinstance(default, bool) else str(default)
    assert load_config(None, (f"{name}={text}",), {}).config.get_value(name) == KEYS[name].default


def test_learnt_gestures_survive_a_restart(file: Path) -> None:
    learnt = {"cc 21 channel 3": "intensity", "note 3 channel 1": 'style=a "b"'}
    write_learned(find_learned_gestures_file(file), learnt)
    assert load_config(None, (), {}).learned == learnt
    write_learned(find_learned_gestures_file(file), {})
    assert load_config(None, (), {}).learned == {}


# Refusing: one line, which names file and key


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tempperature = 1", "tempperature: no such key; did you mean temperature?"),
        ("xyz = 1", "xyz: no such key; there are technique, graph, style"),
        ("temperature = 3", "temperature: takes a number from 0 to 2, not 3"),
        ('temperature = "hot"', "temperature: takes a number from 0 to 2, not 'hot'"),
        ("temperature = nan", "temperature: takes a number from 0 to 2, not nan"),
        ("temperature = true", "temperature: takes a number from 0 to 2, not True"),
        ("bpm = 0", "bpm: takes a number from 10 to 400, not 0"),
        ("count_in = 1.5", "count_in: takes a whole number from 0 to 16, not 1.5"),
        ("pickup = 4", "pickup: takes beats from 0 to less than a bar of 4/4, not 4"),
        ('metre = "7"', "metre: takes auto, a time signature such as 3/4, 6/8 or '7/8 2+2+3', or several"),
        ("metre = 4", "metre: takes auto, a time signature such as 3/4, 6/8 or '7/8 2+2+3', or several"),
        ("graph = 7", "graph: takes a file's name, not 7"),
        ('api = "oss"', "api: takes one of auto, alsa, jack, coremidi, windows, none, not 'oss'"),
        ("default_gestures = 3", "default_gestures: takes true or false, not 3"),
        ("mute = true", "mute: takes a table, [mute], not True"),
        ("mute.kazoo = true", "mute.kazoo: no such key; did you mean mute."),
        ("level.bass = 9", "level.bass: takes a number from 0 to 1.5, not 9"),
        ("offset_ms.pad = 9999", "offset_ms.pad: takes a number from -500 to 500, not 9999"),
        ("program.bass = 129", "program.bass: takes a whole number from 0 to 128, not 129"),
        ('preset = "loud"', "preset: no preset 'loud'; the configuration has none"),
        ("presets = 3", "presets: takes a table, [presets], not 3"),
        ("presets.loud = 3", "presets.loud: takes a table, [presets.loud], not 3"),
        ("presets.loud.volume = 3", "presets.loud.volume: no such control"),
        ("presets.loud.density = 3", "presets.loud.density: takes a number from 0 to 2, not 3"),
        ('presets.loud.preset = "a"', "presets.loud.preset: a preset cannot name another"),
        ('gestures."knob 1" = "fill"', "gestures.'knob 1': takes a gesture such as 'cc 80'"),
        ('gestures."cc 1" = "volume"', "gestures.'cc 1': volume: no such control"),
        ('gestures."note 1" = "intensity"', "gestures.'note 1': intensity takes a number from 0 to 1: say which"),
        ('gestures."cc 1" = 3', "gestures.'cc 1': takes a control's name, or 'key=value', not 3"),
        ("bpm = ", "not TOML: "),
        ("bpm = 1\nbpm = 2", "not TOML: "),
        ("a = " + "[" * 5_000, "not TOML: "),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line_that_names_file_and_key(
    file: Path, text: str, sentence: str
) -> None:
    written(file, text)
    result = houseband("config", "--show")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert sentence in line
    assert str(file) in line or sentence.startswith(("pickup", "preset: no"))
    assert houseband("run").exit_code == 2


def test_a_style_that_the_player_does_not_know_is_refused_wherever_it_stands() -> None:
    with pytest.raises(ConfigError, match="style: no style 'polka'"):
        build_config(ConfigFile({"style": "polka"})).make_settings(FakePlayer(styles=("pop",)).info)
    with pytest.raises(ConfigError, match=r"presets\.loud\.style: no style 'polka'"):
        build_config(ConfigFile(presets={"loud": (("style", "polka"),)})).make_settings(
            FakePlayer(styles=("pop",)).info
        )


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "no such file"), (b"\xff\xfe", "cannot be read as text: 'utf-8' codec")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    result = houseband("config", "--config", str(path))
    assert (result.exit_code, result.stderr.strip().startswith(f"Error: {path}: {sentence}")) == (2, True)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    assert "cannot be read as text: Is a directory" in houseband("config", "--config", str(tmp_path)).stderr


# The command


def test_the_command_shows_and_says_where(file: Path) -> None:
    assert houseband("config", "--path").output.strip() == str(file)
    assert houseband("config", "--default").output == format_documented_config()
    shown = tomllib.loads(houseband("config").output)
    assert (shown["bpm"], shown["pause_bars"], shown["offset_ms"]["bass"]) == (120.0, 4, 0.0)
    written(file, "[presets.slow]\nbpm = 60\n")
    assert tomllib.loads(houseband("config", "--preset", "slow").output)["bpm"] == 60.0


def test_editing_begins_with_the_documented_file_and_checks_what_was_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("click.edit", lambda filename: seen.append(Path(filename).read_text()))
    assert houseband("config", "--edit").exit_code == 0
    assert seen == [format_documented_config()]
    monkeypatch.setattr("click.edit", lambda filename: Path(filename).write_text("bpm = 0"))
    result = houseband("config", "--edit")
    assert (result.exit_code, "bpm: takes a number from 10 to 400, not 0" in result.stderr) == (2, True)


def test_what_is_learnt_and_usual_is_listed(file: Path) -> None:
    written(file, '[gestures]\n"cc 80" = ""\n')
    write_learned(find_learned_gestures_file(file), {"cc 21 channel 3": "intensity"})
    lines = houseband("learn", "--list").output.splitlines()
    assert "cc 80                  nothing" in lines
    assert "cc 81                  variation" in lines
    assert "cc 21 channel 3        intensity  (learnt)" in lines
