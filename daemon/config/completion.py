"""Values that a shell completes on a command line: what there is of each key, and `KEY=VALUE`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from daemon.config.config import KEYS
from daemon.config.reading import ConfigFile, read_config
from daemon.core import techniques
from daemon.core.controls import CONTROLS
from daemon.core.schema import KeySpec
from daemon.core.value_types import KnownName
from daemon.system.paths import NoHomeError, find_config_file
from music.errors import HousebandError


def list_values(spec: KeySpec) -> tuple[str, ...]:
    """Return the values of a key that a shell can complete."""
    if spec.name == "preset":  # as a key, any text: which there are is known once all of the file is read
        return tuple(read_users_config().presets)
    if not isinstance(spec.type, KnownName):
        return spec.type.suggestions
    match spec.type.domain:
        case "style":
            from music.styles import STYLES

            return tuple(style.name for style in STYLES)
        case "technique":
            return techniques.list_names()
        case "song":
            return read_users_config().book.list_names()
        case "setlist":
            return tuple(read_users_config().book.setlists)
    return ()


def complete_assignment(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the keys, or the values of a key, in `KEY=VALUE`."""
    known = {**KEYS, **CONTROLS}
    if "=" in incomplete:
        return complete_key_value(known.get(incomplete.partition("=")[0]), incomplete)
    settable = {key: spec for key, spec in known.items() if key in KEYS or spec.field}
    return [CompletionItem(f"{key}=", help=spec.help) for key, spec in settable.items() if key.startswith(incomplete)]


def complete_key_value(spec: KeySpec | None, incomplete: str) -> list[CompletionItem]:
    """Return the words that begin with an incomplete `KEY=VALUE`."""
    key, _, value = incomplete.partition("=")
    return [CompletionItem(f"{key}={item.value}") for item in complete_values(spec, value)]


def complete_values(spec: KeySpec | None, incomplete: str) -> list[CompletionItem]:
    """Return the values of a key that begin so; none where the configuration that has them cannot be read."""
    with contextlib.suppress(HousebandError):
        return offer(list_values(spec) if spec else (), incomplete)
    return []


def offer(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the values that begin so."""
    return [CompletionItem(value) for value in values if value.startswith(incomplete)]


def find_users_config() -> Path | None:
    """Return the file of the user's own configuration; None where there is no place for one."""
    try:
        return find_config_file()
    except NoHomeError:
        return None


def read_users_config() -> ConfigFile:
    """Return the contents of the user's own configuration, which need not exist. Raises ConfigError."""
    found = find_users_config()
    return ConfigFile() if found is None else read_config(found, must_exist=False)
