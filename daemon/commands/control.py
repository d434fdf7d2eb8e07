"""`houseband control`: what is spoken on the control socket."""

from __future__ import annotations

import click

from daemon.config.cli_options import connect_option, control_of
from daemon.control import control_socket
from daemon.control.control_socket import resolve


@click.command(short_help="Describe the control socket and its protocol.")
@connect_option
@click.option("--path", is_flag=True, help="Print only where it is.")
def command(control: str | None, path: bool) -> None:
    """Describe the control socket, for programs that want to talk to the band: where it is and what is spoken there."""
    where = resolve(control_of(control))
    if path:
        click.echo(where)
    else:
        click.echo(f"{_documentation()}\nHere it is {where}.")


def _documentation() -> str:
    return control_socket.__doc__ or ""
