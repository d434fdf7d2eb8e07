"""`houseband service`: the band in the background, from every login on."""

from __future__ import annotations

import subprocess

import click

from daemon.config.cli_options import load_config
from daemon.system import service_units
from music.errors import UserError


@click.group(short_help="Install the band as a service of yours.")
def command() -> None:
    """Run the band in the background, from every login on: a user service of systemd (Linux) or launchd (macOS)."""


@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def install(options: tuple[str, ...]) -> None:
    """Write the service for the environment that houseband runs from, enable and start it.

    OPTIONS are those of `houseband run`, after `--`; to change them, install again. Better put them into the
    configuration (`houseband config --edit`): the service reads it again on `systemctl --user reload houseband`.
    """
    load_config()  # a mistake in it would be the service's only log line
    manager = service_units.find_service_manager()
    manager.install(options)
    click.echo(f"installed and started: {manager.path}")
    click.echo("to have it play before anyone logs in (Linux): loginctl enable-linger", err=True)


@command.command()
def uninstall() -> None:
    """Stop the service and remove it."""
    there = service_units.find_service_manager().uninstall()
    click.echo("removed" if there else "there was none")


@command.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Show the service manager's report. Exit status 0 when the service runs."""
    context.exit(_pass_on(service_units.find_service_manager().status_command()))


@command.command()
@click.option("-f", "--follow", is_flag=True, help="Wait for new lines and show them, too.")
@click.option("-n", "--lines", metavar="N", default=50, show_default=True, help="How many of the last lines to show.")
@click.pass_context
def logs(context: click.Context, follow: bool, lines: int) -> None:
    """Show the service's log."""
    context.exit(_pass_on(service_units.find_service_manager().logs_command(follow, lines)))


def _pass_on(command_line: list[str]) -> int:
    try:
        return subprocess.run(command_line, check=False).returncode
    except OSError as error:
        raise UserError(f"{command_line[0]} cannot be run: {error.strerror}") from None
    except KeyboardInterrupt:
        return 0
