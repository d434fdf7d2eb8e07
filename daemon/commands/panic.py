"""`houseband panic`: end everything that sounds, at once."""

from __future__ import annotations

from contextlib import closing

import click

from daemon.config.cli_options import add_connect_option, choose_control_address
from daemon.control.client import ControlClient, NoBandError, find_address
from daemon.control.owner_lock import panic_by_signal


@click.command(short_help="End everything that sounds, at once.")
@add_connect_option
def command(control: str | None) -> None:
    """End everything that sounds, at once, and say so. The band goes on with its next plan; `set stop` ends it.

    It gets through however many programs are connected to the control socket, and by a signal where the socket does
    not answer.
    """
    address = find_address(choose_control_address(control))
    try:
        with closing(ControlClient(address)) as client:
            client.ask("panic")
    except NoBandError as error:
        confirmed = panic_by_signal(address)
        if confirmed is None:
            raise
        if not confirmed:
            raise NoBandError(f"{error}; it has been told by a signal, too, and has not confirmed it yet") from None
    click.echo("everything that sounded has been ended")
