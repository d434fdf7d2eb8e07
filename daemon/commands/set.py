"""`houseband set`: turn a control of the band that plays."""

from __future__ import annotations

from contextlib import closing

import click

from daemon.commands._options import list_controls
from daemon.config.cli_options import connect_option, control_of
from daemon.control.client import ControlClient


class _CommandWithControls(click.Command):
    """A command whose help ends with the controls."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of controls."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Controls"):
            formatter.write_dl(list_controls())


@click.command(cls=_CommandWithControls, short_help="Turn a control of the band that plays.")
@connect_option
@click.argument("key", metavar="KEY")
@click.argument("value", required=False, metavar="[VALUE]")
def command(control: str | None, key: str, value: str | None) -> None:
    """Turn a control of the band that plays: `houseband set intensity 0.9`, `houseband set fill`."""
    with closing(ControlClient(control_of(control))) as client:
        client.ask("set", key=key, value=value)
