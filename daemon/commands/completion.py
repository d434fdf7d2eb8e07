"""`houseband completion`: print a script that lets the shell complete commands, options, controls and values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from daemon.commands._completion import VARIABLE


@click.command(short_help="Print a script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete houseband's commands, options, controls, values and takes.

    Keep what it prints: for bash as ~/.local/share/bash-completion/completions/houseband, for zsh as _houseband in a
    directory of your $fpath, for fish as ~/.config/fish/completions/houseband.fish.
    """
    completer = get_completion_class(shell)
    assert completer is not None
    root = context.find_root().command
    click.echo(completer(root, {}, "houseband", VARIABLE).source())
