"""`houseband takes`: what has been played, and how to get at it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import click

from daemon.config.cli_options import config_from
from music.errors import UserError


@click.group(short_help="List and export what has been played.")
def command() -> None:
    """List and export what has been played: every take is kept as a MIDI file, until they have more disk space than
    `takes_mb` of the configuration allows; then the oldest go."""


def _folder(said: Path | None) -> Path:
    from daemon.takes.recorder import OFF, folder

    if said is not None:
        return said
    found = folder(str(config_from(None, (), {}).config.values["takes"]))
    if found is None:
        raise UserError(f"takes are not kept (takes = '{OFF}'); name a folder with --dir, or change the configuration")
    return found


@command.command("list")
@click.option("--dir", "where", metavar="DIR", type=click.Path(path_type=Path), help="Instead of the usual folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_takes(where: Path | None, as_json: bool) -> None:
    """List all takes, the oldest first."""
    from daemon.takes.recorder import files, is_being_played, recover

    where = _folder(where)
    recover(where)
    rows = []
    for file in files(where):
        about = (
            _about(file) if file.suffix == ".mid" else {"state": "playing" if is_being_played(file) else "unwritten"}
        )
        stamp = time.strftime("%Y-%m-%d %H:%M", time.localtime(file.stat().st_mtime))
        rows.append({"name": file.stem, "when": stamp, "bytes": file.stat().st_size, **about})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        text = row.get("state") or f"{row['seconds']:6.0f} s {row['notes']:6d} notes  {row['styles']}"
        click.echo(f"{row['name']}  {text}")
    click.echo(f"{len(rows)} take{'' if len(rows) == 1 else 's'} in {where}", err=True)


def _about(file: Path) -> dict[str, object]:
    from music import midifile

    try:
        song = midifile.read(file)
    except midifile.MidiFileError:
        return {"state": "not readable"}
    source = song.source
    assert source is not None
    styles = dict.fromkeys(message.text for track in source.tracks for message in track if message.type == "marker")
    notes = sum(len(part.notes) for part in song.parts)
    return {"seconds": round(source.length, 1), "notes": notes, "styles": ", ".join(styles)}


@command.command("export")
@click.argument("name", required=False)
@click.option("-o", "--output", metavar="FILE.mid", type=click.Path(path_type=Path), help="File to write, or a folder.")
@click.option("--all", "everything", is_flag=True, help="All takes, into a folder.")
@click.option("--dir", "where", metavar="DIR", type=click.Path(path_type=Path), help="Instead of the usual folder.")
def export(name: str | None, output: Path | None, everything: bool, where: Path | None) -> None:
    """Copy a take, the newest unless NAME is given, as a MIDI file: a track for the melody and for every role, the
    tempo map, and markers where the style changes. What a crash left is written up first; one that is being played is
    left out."""
    from daemon.takes.recorder import files, is_being_played, recover

    where = _folder(where)
    recover(where)
    takes = [file for file in files(where) if file.suffix == ".mid" or not is_being_played(file)]
    if name is not None:
        takes = [file for file in takes if file.stem == name.removesuffix(".mid")]
    if not takes:
        there = f"there is no take {name!r} in {where}" if name else f"there are no takes in {where}"
        raise UserError(f"{there}; `houseband takes list` shows what there is")
    target = output or Path()
    if everything and not target.is_dir():
        raise UserError(f"{target}: not a folder; --all wants one")
    for file in takes if everything else takes[-1:]:
        to = target / f"{file.stem}.mid" if target.is_dir() else target
        try:
            _copy(file, to)
        except (OSError, shutil.SameFileError) as error:
            raise UserError(f"{to}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
        click.echo(to)


def _copy(file: Path, to: Path) -> None:
    """A take, be it a MIDI file or, on a disk too full for one, still a journal. Raises OSError, UserError."""
    from daemon.takes import take_log

    if file.suffix == ".mid":
        shutil.copyfile(file, to)
        return
    journal = take_log.read(file)
    if journal is None:
        raise UserError(f"{file}: nothing was played in this take")
    take_log.write_midi(journal, to)
