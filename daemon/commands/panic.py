"""`houseband panic`: end everything that sounds, at once."""

from __future__ import annotations

from contextlib import closing

import click

from daemon.config.cli_options import add_connect_option, choose_control_address
from daemon.control.client import ControlClient


@click.command(short_help="End everything that sounds, at once.")
@add_connect_option
def command(control: str | None) -> None:
    """End everything that sounds, at once. The band goes on with its next plan; `houseband set stop` ends it."""
    with closing(ControlClient(choose_control_address(control))) as client:
        client.ask("panic")
