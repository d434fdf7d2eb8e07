"""`houseband set`: turn a control of the band that plays."""

from __future__ import annotations

from contextlib import closing

import click

from daemon.config.cli_options import connect_option, control_of
from daemon.control.client import ControlClient
from daemon.core.controls import CONTROLS, MIXED_ROLES


class _WithControls(click.Command):
    """Its help ends with the controls."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of controls."""
        super().format_epilog(ctx, formatter)
        rows = []
        for key, control in CONTROLS.items():
            kind, dot, role = key.partition(".")
            if not dot:
                rows.append((key, f"{control.help}: {control.range}"))
            elif role == MIXED_ROLES[0]:
                rows.append((f"{kind}.ROLE", f"{control.help.replace(role, 'a role')}: {control.range}"))
        with formatter.section("Controls"):
            formatter.write_dl(rows)


@click.command(cls=_WithControls, short_help="Turn a control of the band that plays.")
@connect_option
@click.argument("key", metavar="KEY")
@click.argument("value", required=False, metavar="[VALUE]")
def command(control: str | None, key: str, value: str | None) -> None:
    """Turn a control of the band that plays: `houseband set intensity 0.9`, `houseband set fill`."""
    with closing(ControlClient(control_of(control))) as client:
        client.ask("set", key=key, value=value)
