"""The command line: one group, `houseband`, whose commands are loaded only when called.

The daemon's own commands are the modules of `daemon.commands`; `train` and `export` are entry points of the group
`houseband.commands`, so that no import leads from here to torch.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from daemon import commands
from daemon.commands._standard_streams import hold_nothing_up, open_missing_files
from daemon.core.errors import EXIT_CODES, report_errors
from daemon.core.version import find_installed_version
from music.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "houseband.commands"
#: set by the scripts of `houseband completion`
_COMPLETION_VARIABLE = "_HOUSEBAND_COMPLETE"

#: command that needs torch -> its line in `houseband --help`, which loads none
_ENTRY_POINT_HELP = {
    "train": "Train a player on music of your own (needs houseband[train,torch]).",
    "export": "Write a trained player as an ONNX graph (needs houseband[train,torch]).",
}


class CommandGroup(click.Group):
    """A group that imports a command's module only when the command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *_list_own(), *_find_installed()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None. Raises UserError when a package it needs is not installed."""
        if cmd_name in _list_own():
            command: click.Command = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
            return command
        if cmd_name in (installed := _find_installed()):
            return _load(installed[cmd_name])
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command as a program. A standard error that takes nothing neither ends nor stops it."""
        open_missing_files()
        if _COMPLETION_VARIABLE in os.environ:
            importlib.import_module(f"{commands.__name__}._completion").install_completion()
        with hold_nothing_up("stderr"):
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. A HousebandError ends the program with its sentence and its exit code."""
        with report_errors():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help`."""
        own, rows = _list_own(), []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name) if name in own else None
            rows.append((name, command.get_short_help_str(80) if command else _ENTRY_POINT_HELP.get(name, "")))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without loading any command."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [*map(CompletionItem, names), *click.Command.shell_complete(self, ctx, incomplete)]


def _list_own() -> set[str]:
    """Return the names of the modules of daemon.commands; one that begins with `_` helps the others."""
    return {module.name for module in pkgutil.iter_modules(commands.__path__) if not module.name.startswith("_")}


def _find_installed() -> dict[str, EntryPoint]:
    """Return the commands of installed packages, unloaded, by name."""
    return {point.name: point for point in find_entry_points(ENTRY_POINTS)}


def find_entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group."""
    from importlib import metadata  # slow to load

    return list(metadata.entry_points(group=group))


def _load(point: EntryPoint) -> click.Command:
    try:
        command: click.Command = point.load()
    except ModuleNotFoundError as error:
        raise UserError(
            f"houseband {point.name} needs the package {error.name}, which is not installed; "
            "install what training needs with: pip install 'houseband[train,torch]' "
            "(docs/training.md says how to have torch without CUDA)"
        ) from None
    except OSError as error:  # a library that wants a folder for temporary files, say
        raise UserError(f"houseband {point.name} cannot be loaded here: {error}") from None
    return command


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"houseband, version {find_installed_version()}")
        context.exit()


def _describe_exit_codes() -> str:
    return "Exit codes: " + "; ".join(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items()) + "."


@click.group(
    cls=CommandGroup,
    help="The band in your laptop: play a melody, and neural players add bass, chords, pad and drums in time.",
    epilog=_describe_exit_codes(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Show the version and exit.",
)  # fmt: skip
def main() -> None:
    """Run a command."""
