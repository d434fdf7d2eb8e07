"""A configuration as TOML: the documented file to begin with, and a configuration as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from daemon.config.config import KEYS, Config
from daemon.config.reading import GESTURES, PRESETS, SETLISTS, SONGS
from daemon.control.gestures import DEFAULT_GESTURES
from daemon.core.schema import KeySpec
from daemon.system.text_files import format_toml


def format_documented_config() -> str:
    """Return the file to begin with: every key with its help, its values and its default, all commented out."""
    lines = [
        "# houseband's configuration. Every key is here with its default; take the '# ' away to change one.",
        "# Options on the command line of `houseband run` go before what is said here.",
        "",
        *_format_keys("# ", lambda spec: f"{format_toml(spec.to_toml(spec.default))}  # {spec.summary}: {spec.range}"),
        "",
        "# MIDI gestures: a gesture, then a control, 'control=value' or '' (nothing). These are the usual ones:",
        f"# [{GESTURES}]",
        *(f"# {format_toml(gesture)} = {format_toml(target)}" for gesture, target in DEFAULT_GESTURES.items()),
        "",
        "# Presets turn several live controls at once (`houseband set preset quiet`, or `--preset quiet`):",
        f"# [{PRESETS}.quiet]",
        "# intensity = 0.4",
        "# density = 0.6",
        "# mute.drums = true",
        "",
        "# Songs: each a file NAME.toml in the folder `songs` beside this one (`houseband songs new NAME`) or a table;",
        "# and set lists, which put some of them in order (`houseband set next_song`):",
        f"# [{SONGS}.waltz]",
        '# title = "A Waltz"',
        "# bpm = 96",
        '# metre = "3/4"',
        f"# [{SETLISTS}]",
        '# friday = ["waltz"]',
    ]
    return "\n".join(lines) + "\n"


def describe_config(config: Config) -> dict[str, Any]:
    """Return a configuration as plain values for JSON, with every key as it stands."""
    return {
        **{spec.name: spec.to_toml(config.get_value(spec.name)) for spec in KEYS.values()},
        GESTURES: dict(config.gestures),
        PRESETS: {name: dict(preset) for name, preset in config.presets.items()},
    }


def format_config(config: Config) -> str:
    """Return a configuration as TOML, with every key as it stands."""
    lines = [
        *_format_keys("", lambda spec: format_toml(spec.to_toml(config.get_value(spec.name)))),
        "",
        f"[{GESTURES}]",
        *(f"{format_toml(gesture)} = {format_toml(target)}" for gesture, target in config.gestures.items()),
    ]
    for name, preset in config.presets.items():
        lines += ["", f"[{PRESETS}.{format_toml(name)}]"]
        lines += [f"{key} = {format_toml(value)}" for key, value in preset if isinstance(value, str | float | int)]
    if config.book.setlists:
        lines += ["", f"[{SETLISTS}]"]
        for name, songs in config.book.setlists.items():
            lines.append(f"{format_toml(name)} = [{', '.join(map(format_toml, songs))}]")
    return "\n".join(lines) + "\n"


def _format_keys(prefix: str, value: Callable[[KeySpec], str]) -> Iterator[str]:
    """Yield a line for every key, and a header before every table of them."""
    table = ""
    for spec in KEYS.values():
        before, _, last = spec.name.rpartition(".")
        if before != table:
            table = before
            yield from ("", f"{prefix}[{table}]")
        yield f"{prefix}{last} = {value(spec)}"
