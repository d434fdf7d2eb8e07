"""Options that several commands share, and the settings they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from daemon.core import controls, techniques
from daemon.core.plan import REPLAN_CHOICES
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from music import midi
from music.errors import UserError

#: a decorator that adds options to a command's function
Decorator = Callable[[Callable[..., None]], Callable[..., None]]

#: the controls that have an option of their own
CONTROL_OPTIONS = ("style", "seed", "temperature", "density", "intensity", "swing")
#: and those of the AR-CNN, which no other player has
EDIT_OPTIONS = (
    *("remove_max", "add_max", "creative_risk", "lock_pitches", "lock_bars", "register_low", "register_high"),
)


def _parse_technique(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the name of a technique as it was given. Raises UserError where there is none of that name."""
    try:
        return value if value is None else techniques.find(value).name
    except UserError as error:
        raise UserError(f"technique: {error}") from None


def _complete_technique(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in techniques.list_names() if name.startswith(incomplete)]


technique_option = click.option(
    "--technique",
    default=techniques.DEFAULT_TECHNIQUE,
    show_default=True,
    metavar="NAME",
    callback=_parse_technique,
    shell_complete=_complete_technique,
    help=f"Which player: {techniques.describe_choice()}.",
)
graph_option = click.option(
    "--graph", metavar="FILE.onnx", type=click.Path(path_type=Path), help="Weights to play instead of the shipped ones."
)
track_option = click.option(
    "--track",
    metavar="NAME",
    help="The melody's track, by name, by a word of it or by number; else one that is called a melody, else the first.",
)
channel_option = click.option(
    "--channel",
    metavar="N",
    type=click.IntRange(1, midi.CHANNEL_COUNT),
    help="The melody's channel, 1 to 16, where one track holds them all.",
)
latency_option = click.option(
    "--latency-ms",
    type=click.FloatRange(0, 60_000),
    default=10,
    show_default=True,
    help="Milliseconds that a plan is taken to need.",
)
replan_option = click.option(
    "--replan", type=click.Choice(REPLAN_CHOICES), default="step", show_default=True, help="How often to plan."
)


def control_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that set controls at the start; `build_settings` reads them."""
    assign = click.option(
        "--set",
        "assigned",
        metavar="KEY=VALUE",
        multiple=True,
        help="Set any live control at the start, e.g. mute.pad=on.",
    )
    return _make_options(CONTROL_OPTIONS)(assign(function))


def edit_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that only the AR-CNN takes; each is None where it is not given."""
    for option in (
        click.option("--undo", type=click.IntRange(0), help="AR-CNN: take back so many of the last edits at the end."),
        click.option("--at-once", type=click.IntRange(1, 64), help="AR-CNN: edits from one evaluation of 8 bars."),
        click.option("--iterations", type=click.IntRange(0), help="AR-CNN: the most evaluations [default: 100]."),
        click.option("--edits", metavar="FILE.jsonl", type=click.Path(path_type=Path), help="AR-CNN: keep every edit."),
    ):
        function = option(function)
    return _make_options(EDIT_OPTIONS)(function)


def _make_options(keys: tuple[str, ...]) -> Decorator:
    """Return a decorator that adds an option for each of these controls."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        for key in reversed(keys):
            control = controls.CONTROLS[key]
            about = f"{control.help[0].upper()}{control.help[1:]}: {control.range}."
            function = click.option(f"--{key.replace('_', '-')}", key, metavar="VALUE", help=about)(function)
        return function

    return add


def list_controls() -> list[tuple[str, str]]:
    """Return (key, help) of every control; those of a role are listed once, as KEY.ROLE."""
    rows = []
    for key, control in controls.CONTROLS.items():
        kind, dot, role = key.partition(".")
        if not dot:
            rows.append((key, f"{control.help} ({control.range})"))
        elif role == controls.MIXED_ROLES[0]:
            rows.append((f"{kind}.ROLE", f"{control.help.replace(role, 'a role')} ({control.range})"))
    return rows


def build_settings(
    values: Mapping[str, str | None],
    assigned: tuple[str, ...],
    player: PlayerInfo,
    before: Settings | None = None,
) -> Settings:
    """Return the settings that the options of `control_options` stand for. Raises ControlError.

    values: control -> what its option said, None where it was not given; assigned: what `--set` said; player: that
    they are for; before: the settings that hold where no option was given, else its defaults in its first style.
    """
    pairs = [(key, value) for key, value in values.items() if value is not None]
    for text in assigned:
        key, separator, value = text.partition("=")
        if not separator:
            raise controls.ControlError(f"--set {text}: takes KEY=VALUE")
        pairs.append((key.strip(), value.strip()))
    settings = before or Settings(style=player.styles[0], technique=player.techniques[0])
    for key, value in pairs:
        settings = controls.with_control(settings, key, controls.parse(key, value, player.styles, player.techniques))
    return settings
