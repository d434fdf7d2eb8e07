"""`houseband top`: watch a running band in the terminal."""

from __future__ import annotations

import contextlib

import click

from daemon.config.cli_options import add_connect_option, choose_control_address
from daemon.control.client import ControlClient, find_address
from daemon.control.owner_lock import find_owner
from music.errors import UserError


@click.command(short_help="Watch the band that plays: a live roll and meters.")
@add_connect_option
@click.option("--stage", is_flag=True, help="Begin with the stage view.")
def command(control: str | None, stage: bool) -> None:
    """Watch the band that plays: a live piano roll, meters and figures.

    Right of the now-line stands what the band plans to play. The key s shows the stage view and the roll in turns: in
    big figures the bar and beat, the song and the next one, the chord and the next one, what the band waits for, and
    whose clock it follows. q or Ctrl-C leaves, and the band plays on.
    """
    from rich.console import Console

    from daemon.screen.top import watch

    console = Console()
    if not console.is_terminal:
        raise UserError("top draws in a terminal; for programs there is `houseband status --json`")
    address = find_address(choose_control_address(control))
    with contextlib.suppress(KeyboardInterrupt), contextlib.closing(ControlClient(address)) as client:
        client.check_band()
        if watch(client, console, on_stage=stage):
            return
        if find_owner(address) is None:
            click.echo("the band has gone")
        else:
            click.echo("the connection is lost, though the band plays on; start top again")
