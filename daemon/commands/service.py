"""`houseband service`: the band in the background, from every login on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from daemon.config.cli_options import LoadedConfig
from daemon.system import paths, service_units
from daemon.system.service_units import Needs
from music.errors import UserError


@click.group(short_help="Install the band as a service of yours.")
def command() -> None:
    """Run the band in the background, from every login on: a user service of systemd (Linux) or launchd (macOS)."""


@command.command(context_settings={"ignore_unknown_options": True})
@click.option("--print", "to_print", is_flag=True, help="Print the service instead, and change nothing.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def install(to_print: bool, options: tuple[str, ...]) -> None:
    """Write the service for the environment that houseband runs from, enable and start it.

    OPTIONS are those of `houseband run`, after `--`; to change them, install again. Better put them into the
    configuration (`houseband config --edit`): the service reads it again on `systemctl --user reload houseband`.

    Under systemd the service may write into its own folders only, and into those that the configuration names, and has
    no network unless Ableton Link is on (clock = "link"): install again when these change.
    """
    loaded = _load_as_service(options)  # a mistake in it would be the service's only log line
    manager = service_units.find_service_manager(to_print=to_print)
    if to_print:
        click.echo(manager.describe(options, _list_needs(loaded)), nl=False)
        click.echo(f"this would be {manager.path}", err=True)
        return
    manager.install(options, _list_needs(loaded))
    click.echo(f"installed and started: {manager.path}")
    click.echo("to have it play before anyone logs in (Linux): loginctl enable-linger", err=True)


def _load_as_service(options: tuple[str, ...]) -> LoadedConfig:
    """Return the configuration with options of `houseband run`. Raises ConfigError and click's errors."""
    from daemon.commands import run

    with run.command.make_context("houseband run", list(options)) as context:
        return run.load_options(context.params)


def _list_needs(loaded: LoadedConfig) -> Needs:
    """Return what a band of a configuration needs of the system. Raises NoHomeError."""
    from daemon.control.protocol import AUTO, OFF, TCP

    config = loaded.config
    folders = [paths.find_config_file().parent, paths.find_takes_folder().parent, paths.find_graph_cache_folder()]
    if config.takes not in (AUTO, OFF):
        folders.append(Path(config.takes))
    folders += [file.parent for file in (loaded.file, config.record, config.report, config.metrics) if file is not None]
    if config.control not in (AUTO, OFF) and not config.control.startswith(TCP):
        folders.append(Path(config.control).parent)
    home = paths.find_home()  # where a service's relative paths begin
    found = dict.fromkeys(home / folder for folder in folders if folder is not None)
    return Needs(tuple(found), config.clock == "link", config.control.startswith(TCP))


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
