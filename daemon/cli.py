"""The command line: one group, `houseband`. Commands are found by name and loaded only when called.

The daemon's own are the modules of `daemon.commands`; those of other rooms (`train`, `export`) are entry points of the
group `houseband.commands`, so that no import leads from here to torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from daemon import commands
from daemon.core.errors import UserError
from daemon.core.version import installed_version

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "houseband.commands"

#: one line for `--help`, which loads no torch
_ELSEWHERE = {
    "train": "Train a player on music of your own (needs houseband[train]).",
    "export": "Write a trained player as an ONNX graph (needs houseband[train]).",
}


class Commands(click.Group):
    """A group that imports a command's module only when the command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *_own(), *_elsewhere()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None when there is none. Raises Refusal when what it needs is not installed."""
        if cmd_name in _own():
            command: click.Command = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
            return command
        if cmd_name in _elsewhere():
            return _load(_elsewhere()[cmd_name])
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`."""
        own, rows = _own(), []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name) if name in own else None
            rows.append((name, command.get_short_help_str(80) if command else _ELSEWHERE.get(name, "")))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What could stand here; loads no command for it."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [*map(CompletionItem, names), *click.Command.shell_complete(self, ctx, incomplete)]


def _own() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(commands.__path__)}


def _elsewhere() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(ENTRY_POINTS)}


def entry_points(group: str) -> list[EntryPoint]:
    """What installed packages offer under this name."""
    from importlib import metadata  # here, for it is slow to load

    return list(metadata.entry_points(group=group))


def _load(point: EntryPoint) -> click.Command:
    try:
        command: click.Command = point.load()
    except ModuleNotFoundError as error:
        raise UserError(
            f"houseband {point.name} needs the package {error.name}, which is not installed; "
            "install what training needs with: pip install 'houseband[train]'"
        ) from None
    return command


def _tell_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"houseband, version {installed_version()}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_tell_version,
    help="Show the version and exit.",
)  # fmt: skip
def main() -> None:
    """The band in your laptop: play a melody, and neural players add bass, chords, pad and drums in time."""
