"""Reading a configuration from a TOML file, and putting file and command line together.

The command line goes before a preset, a preset before the file, the file before the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.config.config import KEYS, Config, ConfigError, Preset, check_control, is_setting
from daemon.control import gestures
from daemon.control.gestures import DEFAULT_GESTURES, GestureError
from daemon.core import controls, techniques
from daemon.core.schema import SettingError, shorten, with_value
from daemon.system.text_files import MissingFileError, TextFileError, read_toml
from music.errors import UserError

#: tables whose keys are the user's own
GESTURES, PRESETS = "gestures", "presets"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The contents of a configuration file, checked key by key."""

    values: Mapping[str, object] = field(default_factory=dict)  #: by dotted key
    gestures: Mapping[str, str] = field(default_factory=dict)  #: gesture -> target
    presets: Mapping[str, Preset] = field(default_factory=dict)


def read_config(file: Path, *, must_exist: bool = True) -> ConfigFile:
    """Return the contents of a configuration file. Raises ConfigError, which names the file and the key."""
    try:
        tables = read_toml(file)
    except MissingFileError as error:
        if must_exist:
            raise ConfigError(str(error)) from None
        return ConfigFile()
    except TextFileError as error:
        raise ConfigError(str(error)) from None
    try:
        return _check_tables(tables)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def parse_key(name: str, value: object) -> object:
    """Return a key's value in its own type, from what TOML or a command line gave. Raises ConfigError."""
    spec = KEYS.get(name)
    if spec is None:
        raise ConfigError(f"{shorten(name, quote=False)}: no such key{_suggest(name)}")
    try:
        return spec.parse(value)
    except SettingError as error:
        raise ConfigError(str(error)) from None


def build_config(file: ConfigFile | None = None, values: Mapping[str, object] | None = None) -> Config:
    """Return the configuration that a file and the parsed values of a command line make. Raises ConfigError."""
    file, values = file or ConfigFile(), values or {}
    name = str(values.get("preset", file.values.get("preset", "")))
    if name and name not in file.presets:
        raise ConfigError(f"preset: no preset {name!r}; the configuration has {', '.join(file.presets) or 'none'}")
    preset = {key: value for key, value in file.presets.get(name, ()) if key in KEYS}
    config = Config(presets=file.presets, given=frozenset((*file.values, *values)))
    settings = config.settings
    for key, value in {**file.values, **preset, **values}.items():
        if is_setting(key):
            settings = controls.with_control(settings, key, value)
        else:
            config = with_value(config, KEYS[key], value)
    try:
        settings = replace(settings, technique=techniques.find(settings.technique).name)
    except UserError as error:
        raise ConfigError(f"technique: {error}") from None
    try:
        controls.check_pickup(settings)
    except SettingError as error:
        raise ConfigError(str(error)) from None
    usual = DEFAULT_GESTURES if config.default_gestures else {}
    return replace(config, settings=settings, gestures={**usual, **file.gestures})


def _check_tables(tables: Mapping[str, object]) -> ConfigFile:
    values: dict[str, object] = {}
    bindings: dict[str, str] = {}
    presets: dict[str, Preset] = {}
    own_tables = {spec.name.partition(".")[0] for spec in KEYS.values() if spec.role}
    for name, value in tables.items():
        if name == GESTURES:
            bindings = {
                gesture: _check_gesture(gesture, target) for gesture, target in _check_table(name, value).items()
            }
        elif name == PRESETS:
            for preset, keys in _check_table(name, value).items():
                presets[preset] = _check_preset(f"{name}.{preset}", keys)
        elif name in own_tables:
            for role, inner in _check_table(name, value).items():
                values[f"{name}.{role}"] = parse_key(f"{name}.{role}", inner)
        else:
            values[name] = parse_key(name, value)
    return ConfigFile(values, bindings, presets)


def _check_preset(name: str, keys: object) -> Preset:
    pairs: list[tuple[str, object]] = []
    for key, value in _check_table(name, keys).items():
        rows = {f"{key}.{sub}": inner for sub, inner in value.items()} if isinstance(value, Mapping) else {key: value}
        for control, wanted in rows.items():
            if control == "preset":
                raise ConfigError(f"{name}.{control}: a preset cannot name another")
            pairs.append((control, check_control(f"{name}.", control, wanted)))
    return tuple(pairs)


def _check_gesture(gesture: str, target: object) -> str:
    try:
        gestures.check_binding(gesture, target)
    except (GestureError, SettingError) as error:
        raise ConfigError(f"{GESTURES}.'{shorten(gesture, quote=False)}': {error}") from None
    return str(target)


def _check_table(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: takes a table, [{name}], not {shorten(value)}")
    return value


def _suggest(name: str) -> str:
    import difflib  # for a mistake only

    near = difflib.get_close_matches(name[:100], KEYS, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(key for key in KEYS if '.' not in key)}"
