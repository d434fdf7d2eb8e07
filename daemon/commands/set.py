"""`houseband set`: turn a control of the band that plays."""

from __future__ import annotations

from contextlib import closing

import click
from click.shell_completion import CompletionItem

from daemon.config.cli_options import add_connect_option, choose_control_address, list_values
from daemon.control.client import ControlClient
from daemon.core.controls import CONTROLS
from daemon.core.value_types import FilePath


class _CommandWithControls(click.Command):
    """A command whose help ends with the controls."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of controls."""
        from daemon.commands._options import list_controls

        super().format_epilog(ctx, formatter)
        with formatter.section("Controls"):
            formatter.write_dl(list_controls())


def _complete_key(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(key, help=spec.help) for key, spec in CONTROLS.items() if key.startswith(incomplete)]


def _complete_value(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    spec = CONTROLS.get(context.params.get("key", ""))
    return [CompletionItem(value) for value in (list_values(spec) if spec else ()) if value.startswith(incomplete)]


@click.command(
    cls=_CommandWithControls,
    short_help="Turn a control of the band that plays.",
    context_settings={"ignore_unknown_options": True},  # a value may be below zero
)
@add_connect_option
@click.argument("key", metavar="KEY", shell_complete=_complete_key)
@click.argument("value", required=False, metavar="[VALUE]", shell_complete=_complete_value)
def command(control: str | None, key: str, value: str | None) -> None:
    """Turn a control of the band that plays: `houseband set intensity 0.9`, `houseband set fill`."""
    given: object = value
    if value and key in CONTROLS and isinstance(CONTROLS[key].type, FilePath):
        given = CONTROLS[key].parse(value)  # the band has a folder of its own
    with closing(ControlClient(choose_control_address(control))) as client:
        client.ask("set", key=key, value=given)
