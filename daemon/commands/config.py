"""`houseband config`: where the configuration is, what it says, and how to change it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.commands._completion import complete_preset
from daemon.commands._files import report_write_errors
from daemon.config.cli_options import load_config
from daemon.config.reading import build_config, read_config
from daemon.config.toml_text import describe_config, format_config, format_documented_config
from daemon.system.paths import find_config_file
from music.errors import UserError
from music.files import write_atomically


@click.command(short_help="Show or edit the configuration.")
@click.option("--show", "action", flag_value="show", default=True, help="Print every key as it stands (the default).")
@click.option(
    "--edit", "action", flag_value="edit", help="Open it in your editor; a new one begins with every key documented."
)
@click.option("--path", "action", flag_value="path", help="Print where it is.")
@click.option("--default", "action", flag_value="default", help="Print the documented file that --edit begins with.")
@click.option("--preset", metavar="NAME", shell_complete=complete_preset, help="Show it with this preset.")
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print what is shown as JSON.")
def command(action: str, preset: str | None, file: Path | None, as_json: bool) -> None:
    """Show or edit the configuration: one TOML file, whose keys are the options of `houseband run` and some more.

    It is checked whenever it is read, and refused with the name of the key that is wrong.
    """
    if action == "path":
        path = file or find_config_file()
        click.echo(json.dumps({"path": str(path), "exists": path.exists()}) if as_json else path)
    elif action == "default":
        click.echo(format_documented_config(), nl=False)
    elif action == "edit":
        _edit(file or find_config_file())
    else:
        shown = load_config(file, values={"preset": preset}).config
        if as_json:
            click.echo(json.dumps(describe_config(shown), ensure_ascii=False, indent=1))
        else:
            click.echo(format_config(shown), nl=False)


def _edit(path: Path) -> None:
    """Open the configuration in the user's editor, and check it afterwards. Raises UserError."""
    try:
        with report_write_errors(path):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, format_documented_config())
            click.edit(filename=str(path))
    except click.ClickException as error:
        raise UserError(f"{error.message}; set VISUAL or EDITOR to an editor, or edit {path} yourself") from None
    build_config(read_config(path))
    click.echo(f"{path} is a good configuration; a band that plays now read it when it started")
