"""`houseband control`: print the protocol of the control socket, and where it is."""

from __future__ import annotations

from importlib.resources import files

import click

from daemon.config.cli_options import add_connect_option, choose_control_address
from daemon.control.protocol import resolve_address
from music.errors import UserError


@click.command(short_help="Describe the control socket and its protocol.")
@add_connect_option
@click.option("--path", is_flag=True, help="Print only its address.")
def command(control: str | None, path: bool) -> None:
    """Describe the control socket, for programs that want to talk to the band: where it is, and its protocol."""
    try:
        where = resolve_address(choose_control_address(control))
    except OSError as error:
        if path:
            raise UserError(f"there is no control socket: {error}") from None
        where = f"nowhere: {error}"
    if path:
        click.echo(where)
    else:
        protocol = (files("daemon.control") / "protocol.md").read_text(encoding="utf-8")
        click.echo(f"{protocol}\nOn this machine the control socket is {where}.")
