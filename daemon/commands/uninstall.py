"""`houseband uninstall`: what the program has left on this machine, and its removal."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from daemon.config.reading import SONGS
from daemon.system import paths, service_units
from music.errors import UserError, report_os_errors

#: folders in which nothing lies but what is ours
_WHOLE_FOLDERS = {"cache", "runtime files", "projects", "deleted takes", "plugin (lv2)"}


@dataclass(frozen=True, slots=True)
class Remainder:
    """Something that the program has left outside its package."""

    name: str
    place: Path  #: a file, or a folder
    files: Sequence[Path]  #: all files of it

    @property
    def text(self) -> str:
        """A line about it."""
        size = sum(file.lstat().st_size for file in self.files if file.is_symlink() or file.exists())
        count = "" if self.place.is_file() else f", {len(self.files)} file{'' if len(self.files) == 1 else 's'}"
        return f"  {self.name:<16} {self.place} ({size / 1e6:.1f} MB{count})"


@click.command(short_help="Show what houseband has left on this machine, and remove it with --purge.")
@click.option("--purge", is_flag=True, help="Remove it, once you have said yes.")
@click.option("--yes", is_flag=True, help="Do not ask, but for songs and takes.")
@click.option("--songs", "with_songs", is_flag=True, help="Do not ask for the songs either: they are removed, too.")
@click.option("--takes", "with_takes", is_flag=True, help="Do not ask for the takes either: they are removed, too.")
def command(purge: bool, yes: bool, with_songs: bool, with_takes: bool) -> None:
    """Show what houseband has left outside its own environment: service, plugin, configuration, cache, songs, takes.

    With --purge it is removed. Songs and takes cannot be made again, so they are asked for by themselves; projects of
    the studio go with the takes. Other files in the same folders stay. The program itself is removed by what installed
    it: `pipx uninstall houseband`, `uv tool uninstall houseband`, or by deleting its environment.
    """
    found, songs, takes = list_remainders(), find_songs(), find_takes()
    for each in (*found, *songs, *takes):
        click.echo(each.text)
    if not found and not songs and not takes:
        click.echo("nothing of houseband's is left on this machine")
    elif not purge:
        click.echo("`houseband uninstall --purge` removes it", err=True)
    else:
        _check_nobody_plays()
        with report_os_errors():
            if found and (yes or _confirm(f"Remove {', '.join(each.name for each in found)}?", "--yes")):
                _remove_service()
                _remove(found)
            if songs and (with_songs or _confirm("Remove the songs, too? They are your own work.", "--songs")):
                _remove(songs)
            if takes and (with_takes or _confirm("Remove the takes, too? They cannot be made again.", "--takes")):
                _remove(takes)
    click.echo("the program itself: pipx uninstall houseband, uv tool uninstall houseband, or delete its environment")


def list_remainders() -> list[Remainder]:
    """Return what there is but takes."""
    config = paths.find_config_file()
    learned = paths.find_learned_gestures_file(config)
    found = [Remainder("configuration", config, [config]), Remainder("learnt gestures", learned, [learned])]
    cache = paths.find_graph_cache_folder()
    if cache is not None:
        found.append(Remainder("cache", cache.parent, _list_files(cache.parent)))
    with contextlib.suppress(OSError):
        runtime = paths.find_runtime_folder()
        found.append(Remainder("runtime files", runtime, _list_files(runtime)))
    with contextlib.suppress(UserError):
        unit = service_units.find_service_manager(to_print=True).path
        found.insert(0, Remainder("service", unit, [unit]))
    with contextlib.suppress(UserError):
        found += [
            Remainder(f"plugin ({each.suffix[1:]})", each, _list_files(each) or [each])
            for each in paths.find_plugin_bundles()
        ]
    return [each for each in found if each.place.exists()]


def _confirm(question: str, option: str) -> bool:
    """Ask, and return True for yes. Raises UserError where nobody answers; option: what says yes in advance."""
    try:
        return click.confirm(question)
    except click.Abort:
        raise UserError(f"nobody has answered; say {option} to remove it without a question") from None


def find_songs() -> list[Remainder]:
    """Return the songs beside the configuration, where there are any."""
    folder = paths.find_config_file().parent / SONGS
    files = [file for file in sorted(folder.glob("*.toml")) if file.is_file()] if folder.is_dir() else []
    return [Remainder("songs", folder, files)] if files else []


def find_takes() -> list[Remainder]:
    """Return takes and projects, where there are any: what the band and the studio have written, in their folder."""
    from daemon.config.cli_options import load_config
    from daemon.projects.project_folder import BIN
    from daemon.projects.take_files import STUDIO
    from daemon.takes import storage

    configured = "auto"
    with contextlib.suppress(UserError):  # a configuration with a mistake is no reason to keep it
        configured = load_config().config.takes
    folder = storage.find_folder(configured)
    if folder is None or not folder.is_dir():
        return []
    files = [file for file in sorted(folder.iterdir()) if storage.is_own(file)]
    found = [Remainder("takes", folder, files)] if files else []
    for name, own in (("projects", folder / STUDIO), ("deleted takes", folder / BIN)):
        if own.is_dir() and not own.is_symlink():
            found.insert(0, Remainder(name, own, _list_files(own)))
    return found


def _list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _check_nobody_plays() -> None:
    """Raise UserError while a band plays that is no service, for that one is stopped."""
    from daemon.config.cli_options import choose_control_address
    from daemon.control.client import find_address
    from daemon.control.owner_lock import find_owner

    with contextlib.suppress(OSError, service_units.UnitError):
        if service_units.find_service_manager(to_print=True).path.exists():
            return
    try:
        owner = find_owner(find_address(choose_control_address(None)))
    except UserError:
        return  # none answers
    if owner is not None:
        raise UserError(f"a band is playing (process {owner}); end it first (Ctrl-C), then purge")


def _remove_service() -> None:
    with contextlib.suppress(OSError):
        manager = service_units.find_service_manager(to_print=True)
        if manager.path.exists():
            manager.uninstall()


def _remove(found: Iterable[Remainder]) -> None:
    """Remove files, and the folders that are empty then. Raises OSError."""
    for each in found:
        if each.name in _WHOLE_FOLDERS and each.place.is_dir() and not each.place.is_symlink():
            shutil.rmtree(each.place)
        for file in each.files:
            file.unlink(missing_ok=True)
        is_folder = each.name in ("songs", "takes")
        folder = each.place if is_folder else each.place.parent
        for empty in (folder, folder.parent) if is_folder else (folder,):
            with contextlib.suppress(OSError):  # it holds what is not ours
                if empty.name in (paths.NAME, SONGS, "takes"):
                    empty.rmdir()
        click.echo(f"removed: {each.name}")
