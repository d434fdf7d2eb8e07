"""`houseband plugin`: the plugin for DAWs, built on this machine and put where they look for it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import click

from daemon.control.owner_lock import find_owner
from daemon.plugin import bundles
from daemon.system.paths import find_plugin_bundles, find_plugin_socket_file
from daemon.system.service_units import find_program
from music.errors import HousebandError, report_os_errors


@click.group(short_help="Install the plugin for DAWs: houseband on a track.")
def command() -> None:
    """Build the plugin for DAWs (LV2 and CLAP), and put it where they look for it. docs/daw.md says how to use it."""


@command.command()
def install() -> None:
    """Build the plugin with this machine's C compiler, and put it into your plugin folders.

    Install it again after every update of houseband: the plugin starts the program that it was installed by.
    """
    program = _find_program_file()
    with report_os_errors(), tempfile.TemporaryDirectory(prefix="houseband-plugin-") as folder:
        built = {path.name: path for path in bundles.build(Path(folder), program)}
        for place in find_plugin_bundles():
            place.parent.mkdir(parents=True, exist_ok=True)
            _replace(built[place.name], place)
            click.echo(f"installed: {place}")
    click.echo("now let your DAW look for new plugins; on the melody's track, add houseband", err=True)


@command.command()
def uninstall() -> None:
    """Remove the plugin from your plugin folders."""
    there = [place for place in find_plugin_bundles() if place.exists()]
    with report_os_errors():
        for place in there:
            remove_bundle(place)
            click.echo(f"removed: {place}")
    if not there:
        click.echo("there was none")


@command.command()
def status() -> None:
    """Show where the plugin is, and whether a band serves it. Exit status 0 when it is installed."""
    places = find_plugin_bundles()
    for place in places:
        click.echo(f"{'installed' if place.exists() else 'not installed'}: {place}")
    with contextlib.suppress(OSError):
        owner = find_owner(str(find_plugin_socket_file()))
        served = "no band serves it now; the plugin starts one" if owner is None else f"process {owner} serves it"
        click.echo(served)
    if not all(place.exists() for place in places):
        raise HousebandError("the plugin is not installed: houseband plugin install")


def remove_bundle(place: Path) -> None:
    """Remove a bundle, which may be a file or a folder. Raises OSError."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _replace(built: Path, place: Path) -> None:
    """Put a bundle in a place; a DAW that has the old one open keeps it. Raises OSError."""
    beside = place.with_name(f".{place.name}.new")
    remove_bundle(beside)
    if built.is_dir():
        shutil.copytree(built, beside)
        remove_bundle(place)
    else:
        shutil.copy2(built, beside)
    beside.replace(place)


def _find_program_file() -> str:
    """Return the program that the plugin is to start, an absolute path. Raises HousebandError."""
    program = find_program()
    if len(program) != 1:
        raise HousebandError("houseband is not installed as a program, which the plugin could start")
    return program[0]
