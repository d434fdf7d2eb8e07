"""Command-line options that are made from the schema of settings, and the configuration that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from daemon.config.completion import complete_assignment, complete_values, find_users_config, read_users_config
from daemon.config.config import KEYS, Config
from daemon.config.reading import build_config, parse_key, read_config
from daemon.control.learned import read_learned
from daemon.core import techniques
from daemon.core.schema import KeySpec, split_assignment
from daemon.core.value_types import FileName, RepeatCount, Switch, Text
from daemon.system.paths import find_learned_gestures_file
from music.errors import UserError

#: a decorator that adds options to a command's function
Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class KeyParam(click.ParamType):  # type: ignore[type-arg]  # generic in some versions of click only
    """The value of a key on a command line."""

    def __init__(self, spec: KeySpec) -> None:
        self.name = spec.name
        self._spec = spec

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the value in its own type. Raises UserError."""
        parsed = self._spec.parse(value)
        if self._spec.name == "technique":
            try:
                techniques.find(str(parsed))
            except UserError as error:
                raise UserError(f"{self._spec.name}: {error}") from None
        return parsed

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin so."""
        if isinstance(self._spec.type, FileName):
            return [CompletionItem(incomplete, type="file")]
        return complete_values(self._spec, incomplete)


def make_key_option(name: str, *names: str, default: bool = False, help: str | None = None) -> Decorator:  # noqa: A002
    """Return a decorator that adds the option of a key; the function gets a value in its own type, or None.

    names: further names of the option, or another one for the function's argument; default: give the function the key's
    default instead of None; help: what the help says instead of the schema's words.
    """
    spec = KEYS[name]
    about = help or _describe(spec)
    if isinstance(spec.type, RepeatCount):
        most = spec.type.high or 0
        return click.option(
            f"-{name[0]}", spec.option, *names, count=True, help=about, callback=lambda _c, _p, given: min(given, most)
        )
    kind: dict[str, Any] = {"type": KeyParam(spec), "metavar": spec.metavar, "help": about}
    if isinstance(spec.type, Switch):  # `--audio` turns it on, `--audio false` off, whatever the configuration says
        kind |= {"is_flag": False, "flag_value": "true", "metavar": "[BOOL]"}
    if default:
        kind["default"] = spec.default
    return click.option(spec.option, *names, **kind)


def _describe(spec: KeySpec) -> str:
    if spec.name == "technique":  # which are loaded is known only later
        return f"{spec.summary}: {techniques.describe_choice()}.  [default: {spec.default}]"
    is_plain = isinstance(spec.type, Text | FileName | Switch | RepeatCount)
    about = f"{spec.summary}." if is_plain else f"{spec.summary}: {spec.range}."
    shown = spec.to_toml(spec.default)
    return about if shown in ("", False) else f"{about}  [default: {shown}]"


def add_config_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every key that has one, `--set` for the others, and `--config`; `load_config` reads them."""
    function = click.option(
        "--set",
        "assigned",
        metavar="KEY=VALUE",
        multiple=True,
        shell_complete=complete_assignment,
        help="Any key of the configuration, e.g. mute.pad=on or offset_ms.bass=20; `houseband config` lists them.",
    )(function)
    for spec in reversed(KEYS.values()):
        if spec.has_option:
            function = make_key_option(spec.name)(function)
    return click.option(
        "--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration."
    )(function)


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, and where it is from."""

    config: Config
    #: the configuration file, which need not exist; None where the user has no home for one
    file: Path | None
    #: gestures learned in earlier performances, as gesture -> target
    learned: Mapping[str, str]

    @property
    def learned_file(self) -> Path | None:
        """The file in which learned gestures are kept; None where there is no place for one."""
        return None if self.file is None else find_learned_gestures_file(self.file)


def load_config(
    file: Path | None = None, assigned: tuple[str, ...] = (), values: Mapping[str, object] | None = None
) -> LoadedConfig:
    """Return the configuration of a file (the user's where None) and of the options that `add_config_options` adds.

    assigned: what `--set` said; values: the values of the options, None where one was not given. Raises ConfigError and
    SettingError.
    """
    given: dict[str, object] = {}
    for name, value in (values or {}).items():
        if value is not None and not (isinstance(KEYS[name].type, RepeatCount) and value == 0):
            given[name] = parse_key(name, value)
    for text in assigned:
        key, value = split_assignment(text)
        given[key] = parse_key(key, value)
    found = file or find_users_config()
    if found is None:
        return LoadedConfig(build_config(None, given), None, {})
    learned = read_learned(find_learned_gestures_file(found))
    return LoadedConfig(build_config(read_config(found, must_exist=file is not None), given), found, learned)


def add_connect_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says how to find a band that plays; `choose_control_address` reads it."""
    return click.option(
        "--control",
        type=KeyParam(KEYS["control"]),
        metavar="WHERE",
        help="Its control socket, where it is not the configuration's: a path, or tcp:PORT.",
    )(function)


def choose_control_address(control: str | None) -> str:
    """Return where the band is: as the option says, else as the configuration does. Raises ConfigError."""
    if control is not None:
        return control
    return build_config(read_users_config()).control
