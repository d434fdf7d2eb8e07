"""`houseband songs`: the songs that can be played, and what each of them holds."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from daemon.commands._files import report_write_errors
from daemon.config.checks import ConfigError, check_control
from daemon.config.cli_options import load_config
from daemon.config.completion import complete_values
from daemon.config.reading import SONGS, read_config
from daemon.config.songs import (
    SUFFIX,
    SongBook,
    SongEntry,
    check_charts,
    check_name,
    format_new_song,
    format_song,
    parse_song,
    read_song,
)
from daemon.core.controls import CONTROLS
from daemon.core.schema import split_assignment
from daemon.system.paths import find_config_file
from daemon.system.text_files import format_toml
from music.errors import UserError
from music.files import check_writable, write_atomically
from music.midi_text import make_printable

CHART_SUFFIX = ".txt"


class UnplayableSongsError(UserError):
    """Some of the songs that were checked cannot be played."""


_config_option = click.option(
    "--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(short_help="List, make and check the songs of a set.")
def command() -> None:
    """List, make and check the songs of a set.

    A song is a file NAME.toml in the folder `songs` beside the configuration, or a table [songs.NAME] of that: title,
    tempo, chart, metre and any other live control, and presets of its own. A set list is a line of the table
    [setlists]. `houseband set song NAME`, `next_song` and `previous_song` go from one to another while the band plays;
    so do MIDI gestures.
    """


@command.command("list")
@click.option("--setlist", metavar="NAME", help="Those of a set list, in its order.")
@_json_option
@_config_option
def list_command(setlist: str | None, as_json: bool, file: Path | None) -> None:
    """List all songs, or those of a set list."""
    book = _load_book(file)
    book.check_setlist(setlist or "")
    rows = [_describe(song) for name in book.list_names(setlist or "") if (song := book.songs.get(name)) is not None]
    rows += [] if setlist else [{"name": name, "error": reason} for name, reason in sorted(book.broken.items())]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        said = f"{row['title']}  {row['summary']}".rstrip() if "title" in row else f"cannot be used: {row['error']}"
        click.echo(make_printable(f"{row['name']!s:{width}}  {said}"))
    for name, songs in {} if setlist else book.setlists.items():
        click.echo(make_printable(f"set list {name}: {', '.join(songs)}"), err=True)


def _complete_name(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return complete_values(CONTROLS["song"], incomplete)


@command.command("show")
@click.argument("name", shell_complete=_complete_name)
@_json_option
@_config_option
def show_command(name: str, as_json: bool, file: Path | None) -> None:
    """Show a song, as its file has it."""
    song = _find(_load_book(file), name)
    if not as_json:
        for line in format_song(song).splitlines():
            click.echo(make_printable(line))
        return
    presets = {preset: dict(pairs) for preset, pairs in song.presets.items()}
    told = {"name": song.name, "title": song.title, "preset": song.preset, "controls": dict(song.controls)}
    click.echo(json.dumps({**told, "presets": presets}, ensure_ascii=False, indent=1))


@command.command("new")
@click.argument("name")
@click.option("--title", help="The name that is shown.")
@click.option("--set", "assigned", metavar="KEY=VALUE", multiple=True, help="A control that it holds, e.g. bpm=96.")
@_config_option
def new_command(name: str, title: str | None, assigned: tuple[str, ...], file: Path | None) -> None:
    """Make the file of a new song, with the usual controls in it, and say where it is."""
    pairs = [split_assignment(text) for text in assigned]
    controls = tuple((key, check_control("", key, value)) for key, value in pairs)
    path = _find_new_file(file, name)
    text = format_new_song(title or name, controls)
    parse_song(name, tomllib.loads(text))
    _write_new(path, text)
    click.echo(make_printable(str(path)))


@command.command("edit")
@click.argument("name", shell_complete=_complete_name)
@_config_option
def edit_command(name: str, file: Path | None) -> None:
    """Open the file of a song in your editor, and check it afterwards."""
    path = _find_folder(file) / f"{check_name(name)}{SUFFIX}"
    if not path.exists():
        _find(_load_book(file), name)
        raise UserError(f"the song {name!r} is a table of the configuration; `houseband config --edit` opens that")
    try:
        click.edit(filename=str(path))
    except click.ClickException as error:
        raise UserError(f"{error.message}; set VISUAL or EDITOR to an editor, or edit {path} yourself") from None
    if reason := check_charts(read_song(path)):
        raise ConfigError(f"{path}: {reason}")
    click.echo(make_printable(f"{path} is a good song; a band that plays now takes it after a reload"))


@command.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_name)
@_config_option
def check_command(names: tuple[str, ...], file: Path | None) -> None:
    """Check songs, all of them unless some are named: their controls, styles and charts, and the set lists."""
    from daemon.players.load import load_band

    book = _load_book(file)
    player = load_band(load_config(file).config.technique).info
    wrong = dict(book.broken)
    for name, song in book.songs.items():
        try:
            song.check(player)
        except ConfigError as error:
            wrong[name] = str(error)
        else:
            if reason := check_charts(song):
                wrong[name] = f"song {name!r}: {reason}"
    for name in names:
        if name not in wrong:
            _find(book, name)
    found = {name: reason for name, reason in sorted(wrong.items()) if not names or name in names}
    if not names:
        for setlist in book.setlists:
            try:
                book.check_setlist(setlist)
            except ConfigError as error:
                found[f"set list {setlist}"] = str(error)
    for reason in found.values():
        click.echo(make_printable(reason), err=True)
    count = len(names) if names else len(book.songs) + len(book.broken)
    if found:
        raise UnplayableSongsError(f"{len(found)} of these cannot be used; mend what is said above")
    click.echo(f"{count} song{'' if count == 1 else 's'} can be played")


@command.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="FILE...")
@_config_option
def import_command(sources: tuple[str, ...], file: Path | None) -> None:
    """Make a song of every chart in files: of any format that `houseband chart` shows, or a song's own.

    A book of charts, as iReal Pro exports it, becomes as many songs. Beside each song lies its chart in plain text. A
    song of that name that is there already is left as it is, and the new one gets a number.
    """
    folder = _find_folder(file)
    taken = {*_load_book(file).songs, *_load_book(file).broken}
    for source in sources:
        for name, text, chart in _import(source):
            free = _find_free_name(name, taken)
            taken.add(free)
            if chart is not None:
                _write_new(folder / f"{free}{CHART_SUFFIX}", chart)
                text += f'chart = {format_toml(free + CHART_SUFFIX)}\nharmony = "auto"\n'
            _write_new(folder / f"{free}{SUFFIX}", text)
            read_song(folder / f"{free}{SUFFIX}")
            click.echo(make_printable(str(folder / f"{free}{SUFFIX}")))


def _import(source: str) -> list[tuple[str, str, str | None]]:
    """Return (name, the song's file, its chart in plain text) of the songs in a file; a song's own has no chart."""
    if source.endswith(SUFFIX):
        song = read_song(Path(source))
        return [(song.name, format_song(song), None)]
    from music.charts.reading import read_charts
    from music.charts.text_writing import format_text

    found: list[tuple[str, str, str | None]] = []
    for chart in read_charts(source):
        chart.check_playable()
        title = make_printable(chart.title) or ("song" if "://" in source else Path(source).stem)
        lines = [f"title = {format_toml(title)}"]
        if chart.tempo_bpm is not None and 10 <= chart.tempo_bpm <= 400:
            lines.append(f"bpm = {round(chart.tempo_bpm, 2)}")
        found.append((_make_name(title), "\n".join(lines) + "\n", format_text(chart)))
    return found


def _make_name(title: str) -> str:
    """Return a name that a file can have."""
    return re.sub(r"[^\w-]+", "-", title.lower()).strip("-")[:60] or "song"


def _find_free_name(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises UserError for one that is."""
    if path.exists():
        raise UserError(f"{path}: is there already; `houseband songs edit` opens a song")
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        check_writable(path)
        write_atomically(path, text)


def _find_new_file(file: Path | None, name: str) -> Path:
    """Return the file for a new song. Raises UserError for a name that is taken."""
    if check_name(name) in _load_book(file).songs:
        raise UserError(f"there is a song {name!r} already; `houseband songs edit` opens it")
    return _find_folder(file) / f"{name}{SUFFIX}"


def _find_folder(file: Path | None) -> Path:
    return (file or find_config_file()).parent / SONGS


def _load_book(file: Path | None) -> SongBook:
    return read_config(file or find_config_file(), must_exist=file is not None).book


def _find(book: SongBook, name: str) -> SongEntry:
    """Return a song. Raises UserError for one that does not exist, ConfigError for one that cannot be used."""
    if name in book.broken:
        raise ConfigError(book.broken[name])
    if name not in book.songs:
        raise UserError(f"no song {name!r}; there are {', '.join(book.list_names()) or 'none: `houseband songs new`'}")
    return book.songs[name]


def _describe(song: SongEntry) -> dict[str, object]:
    """Return what the list tells of a song, by the names that it has in JSON."""
    held = dict(song.changes)
    shown = [f"{held['bpm']:g} bpm"] if "bpm" in held else []
    shown += [str(held[key]) for key in ("metre", "key", "style") if held.get(key)]
    return {"name": song.name, "title": song.shown, "summary": ", ".join(shown), "presets": list(song.presets)}
