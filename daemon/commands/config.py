"""`houseband config`: where the configuration is, what it says, and how to change it."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.commands._files import report_write_errors
from daemon.config import config
from daemon.config.cli_options import config_from
from daemon.system.paths import config_file
from music.errors import UserError


@click.command(short_help="Show or edit the configuration.")
@click.option("--show", "action", flag_value="show", default=True, help="Print every key as it stands (the default).")
@click.option(
    "--edit", "action", flag_value="edit", help="Open it in your editor; it begins with every key documented."
)
@click.option("--path", "action", flag_value="path", help="Print where it is.")
@click.option("--default", "action", flag_value="default", help="Print the documented file that --edit begins with.")
@click.option("--preset", metavar="NAME", help="Show it with this preset.")
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration.")
def command(action: str, preset: str | None, file: Path | None) -> None:
    """Show or edit the configuration: one TOML file, whose keys are the options of `houseband run` and some more.

    It is checked whenever it is read, and refused with the name of the key that is wrong.
    """
    there = file or config_file()
    if action == "path":
        click.echo(there)
    elif action == "default":
        click.echo(config.documented(), nl=False)
    elif action == "edit":
        _edit(there)
    else:
        chosen = config_from(file, (), {} if preset is None else {"preset": preset})
        click.echo(config.shown(chosen.config), nl=False)


def _edit(there: Path) -> None:
    try:
        with report_write_errors(there):
            if not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                there.write_text(config.documented(), encoding="utf-8")
            click.edit(filename=str(there))
    except click.ClickException as error:
        raise UserError(f"{error.message}; set VISUAL or EDITOR to an editor, or edit {there} yourself") from None
    config.config(config.read(there), {})
    click.echo(f"{there} is a good configuration; a band that plays has read it at its start")
