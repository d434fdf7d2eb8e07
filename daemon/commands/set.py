"""`houseband set`: turn a control of the band that plays."""

from __future__ import annotations

import json
from contextlib import closing

import click

from daemon.commands._completion import complete_control, complete_value
from daemon.config.cli_options import add_connect_option, choose_control_address
from daemon.config.completion import list_values
from daemon.control.client import ControlClient
from daemon.core.controls import CONTROLS
from daemon.core.value_types import FilePath
from music.errors import UserError


class _CommandWithControls(click.Command):
    """A command whose help ends with the controls."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of controls."""
        from daemon.commands._options import list_controls

        super().format_epilog(ctx, formatter)
        with formatter.section("Controls"):
            formatter.write_dl(list_controls())


@click.command(
    cls=_CommandWithControls,
    short_help="Turn a control of the band that plays.",
    context_settings={"ignore_unknown_options": True},  # a value may be below zero
)
@add_connect_option
@click.option("--list", "listing", is_flag=True, help="List all controls instead; needs no band.")
@click.option("--json", "as_json", is_flag=True, help="Print the list, or how the control stands then, as JSON.")
@click.argument("key", metavar="KEY", required=False, shell_complete=complete_control)
@click.argument("value", required=False, metavar="[VALUE]", shell_complete=complete_value)
def command(control: str | None, listing: bool, as_json: bool, key: str | None, value: str | None) -> None:
    """Turn a control of the band that plays: `houseband set intensity 0.9`, `houseband set fill`."""
    if listing:
        _list_controls(as_json=as_json)
        return
    if key is None:
        raise UserError("set what? Name a control, such as intensity (`houseband set --list` lists them)")
    given: object = value
    if value and key in CONTROLS and isinstance(CONTROLS[key].type, FilePath):
        given = CONTROLS[key].parse(value)  # the band has a folder of its own
    with closing(ControlClient(choose_control_address(control))) as client:
        client.ask("set", key=key, value=given)
        if as_json:
            stands = client.ask("get")["state"]
            click.echo(json.dumps({"key": key, "value": stands["controls"].get(key, stands.get(key))}))


def _list_controls(*, as_json: bool) -> None:
    from daemon.commands._options import list_controls

    if not as_json:
        for key, about in list_controls():
            click.echo(f"{key:<18} {about}")
        return
    rows = [
        {
            "key": key,
            "help": spec.help,
            "values": spec.range,
            "default": spec.to_toml(spec.default) if spec.field else None,
            "choices": list(list_values(spec)),
        }
        for key, spec in CONTROLS.items()
    ]
    click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
