"""The options of `houseband run`, made from the configuration's table of keys, and the configuration they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from daemon.config import config
from daemon.config.config import KEYS, Config, ConfigError, KeySpec
from daemon.control.learned import LearnedGesturesError, read_learned
from daemon.system import paths

_SET_HELP = "Any key of the configuration, e.g. mute.pad=on or offset_ms.bass=20; `houseband config` lists them."


def config_options(function: Callable[..., None]) -> Callable[..., None]:
    """Every key that has an option, `--set` for the others, and `--config`; `config_from` reads them."""
    function = click.option("--set", "assigned", metavar="KEY=VALUE", multiple=True, help=_SET_HELP)(function)
    for key in reversed(KEYS.values()):
        if key.option:
            function = _option(key)(function)
    return click.option(
        "--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration."
    )(function)


def _option(key: KeySpec) -> Callable[[Callable[..., None]], Callable[..., None]]:
    if key.flag:
        return click.option(f"-{key.name[0]}", key.options, count=True, help=f"{key.help}.")
    if key.kind == "switch":  # `--audio` turns it on, `--audio false` turns off what the configuration turns on
        return click.option(key.options, is_flag=False, flag_value="true", metavar="[BOOL]", help=f"{key.help}.")
    default = "" if key.default in ("", None, False) else f"  [default: {key.default}]"
    about = f"{key.help}." if key.kind in ("text", "file", "metre") else f"{key.help}: {key.range}."
    return click.option(key.options, metavar=key.metavar, help=about + default)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A configuration and where it is from. file: the configuration's, which need not exist; learned: gestures learned
    before, which are kept in learned_file."""

    config: Config
    file: Path
    learned: Mapping[str, str]

    @property
    def learned_file(self) -> Path:
        """Where learned gestures are kept."""
        return paths.learned_gestures_file(self.file)


def config_from(file: Path | None, assigned: tuple[str, ...], values: Mapping[str, object]) -> Chosen:
    """The configuration of a file (the usual one when none is said) and of these options. Raises ConfigError."""
    said: dict[str, object] = {}
    for name, value in values.items():
        if value is not None and not (KEYS[name].flag and value == 0):
            said[name] = config.parse(name, min(int(str(value)), round(KEYS[name].high)) if KEYS[name].flag else value)
    for text in assigned:
        key, separator, value = (part.strip() for part in text.partition("="))
        if not separator:
            raise ConfigError(f"--set {text}: takes KEY=VALUE")
        said[key] = config.parse(key, value)
    there = file or paths.config_file()
    given = config.read(there, must_exist=file is not None)
    try:
        learned = read_learned(paths.learned_gestures_file(there))
    except LearnedGesturesError as error:
        raise ConfigError(str(error)) from None
    return Chosen(config.config(given, said), there, learned)


def connect_option(function: Callable[..., None]) -> Callable[..., None]:
    """How to find a band that plays; `control_of` reads it."""
    return click.option(
        "--control",
        metavar="WHERE",
        help="Its control socket, where it is not the configuration's: a path, or tcp:PORT.",
    )(function)


def control_of(said: str | None) -> str:
    """Where the band is, as said or as the configuration has it. Raises ConfigError."""
    if said is not None:
        return said
    return config.config(config.read(paths.config_file(), must_exist=False), {}).control
