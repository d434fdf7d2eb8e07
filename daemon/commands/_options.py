"""Options that several commands share, and the settings they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from daemon.config.cli_options import Decorator, make_key_option
from daemon.config.completion import complete_assignment
from daemon.core.controls import CONTROLS, change_settings
from daemon.core.plan import REPLAN_CHOICES
from daemon.core.player_info import PlayerInfo
from daemon.core.schema import SettingError, split_assignment
from daemon.core.settings import BAND_START, MIXED_ROLES, Settings
from music import midi

#: the controls that have an option of their own
CONTROL_OPTIONS = ("style", "seed", "temperature", "density", "intensity", "swing", "key")
#: and those of the AR-CNN, which no other player has
EDIT_OPTIONS = (
    *("remove_max", "add_max", "creative_risk", "lock_pitches", "lock_bars", "register_low", "register_high"),
)


#: options that give chords
CHORD_OPTIONS = ("harmony", "chart", "chord_track", "chord_channel", "split")
#: options that say how a rendering begins and ends
FORM_OPTIONS = ("intro_bars", "start_with", "ending")


technique_option = make_key_option("technique", default=True)
graph_option = make_key_option("graph")
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
    "--replan", type=click.Choice(REPLAN_CHOICES), help="How often to plan.  [default: step; beat with --offline]"
)


def control_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that set controls at the start; `build_settings` reads them."""
    assign = click.option(
        "--set",
        "assigned",
        metavar="KEY=VALUE",
        multiple=True,
        shell_complete=complete_assignment,
        help="Set any live control at the start, e.g. mute.pad=on.",
    )
    return _make_options(CONTROL_OPTIONS)(assign(function))


def chord_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that give chords; each is None where it is not given."""
    track = click.option(
        "--chord-track", metavar="NAME", help="The track, by name or number, that is heard as the leading hand."
    )
    harmony = make_key_option(
        "harmony",
        help="Where the chords come from: one of auto, melody, hands, chart.  [default: auto where they are given]",
    )
    channel = make_key_option("chord_channel", help="The channel, 1 to 16, that is heard as the leading hand.")
    split = make_key_option("split", help="Keys of the melody's track below this pitch are the leading hand.")
    return harmony(make_key_option("chart")(track(channel(split(function)))))


def form_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a rendering begins and ends; each is None where it is not given."""
    ending = click.option(
        "--ending", is_flag=True, default=None, flag_value=True, help="End with a chord on the melody's last note."
    )
    start = click.option(
        "--from-start", "start_with", flag_value=BAND_START, help="Play from bar 1 on, before the melody enters."
    )
    intro = make_key_option(
        "intro_bars",
        "--intro",
        "intro_bars",
        help="Bars that the band plays alone before the melody; they are added to the file.",
    )
    return intro(start(ending(function)))


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
    """Return a decorator that adds an option for each of these keys."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        for key in reversed(keys):
            function = make_key_option(key)(function)
        return function

    return add


def list_controls() -> list[tuple[str, str]]:
    """Return (key, help) of every control; those of a role are listed once, as KEY.ROLE."""
    rows = []
    for key, spec in CONTROLS.items():
        if not spec.role:
            rows.append((key, f"{spec.help} ({spec.range})"))
        elif spec.role == MIXED_ROLES[0]:
            rows.append((key.replace(spec.role, "ROLE"), f"{spec.help.replace(spec.role, 'a role')} ({spec.range})"))
    return rows


def build_settings(
    values: Mapping[str, object],
    assigned: tuple[str, ...],
    player: PlayerInfo,
    before: Settings | None = None,
) -> Settings:
    """Return the settings that the options of `control_options` stand for. Raises SettingError.

    values: control -> what its option says, None where it was not given; assigned: what `--set` said; player: that
    they are for; before: the settings that hold where no option was given, else its defaults in its first style.
    """
    pairs = [(key, value) for key, value in values.items() if value is not None]
    settings = before or Settings(style=player.styles[0], technique=player.techniques[0])
    changes = [*pairs, *map(split_assignment, assigned)]
    if any(key == "chart" for key, _ in changes):
        raise SettingError("chart: is named with --chart, where there is one, not with --set")
    return change_settings(settings, changes, player)
