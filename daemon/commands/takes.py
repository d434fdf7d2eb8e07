"""`houseband takes`: list and export what has been played, as MIDI or as a chord chart."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import tempfile
import time
from pathlib import Path

import click

from daemon.commands._completion import complete_take
from daemon.commands._files import report_write_errors
from daemon.commands._written import count_notes, json_option, report_written
from daemon.config.cli_options import load_config
from daemon.midi.backends import API_CHOICES
from daemon.system.paths import find_takes_folder
from music.errors import UserError, report_os_errors
from music.files import STDOUT, check_writable, open_atomically, write_atomically
from music.midi_text import decode_text, make_printable

#: charts are written as plain text
CHART_SUFFIX = ".txt"


class NothingExportedError(UserError):
    """A take holds nothing of what it is to be exported as."""


_folder_option = click.option(
    "--dir", "where", metavar="DIR", type=click.Path(path_type=Path), help="Instead of the usual folder."
)


@click.group(short_help="List and export what has been played.")
def command() -> None:
    """List and export what has been played.

    Every take is kept as a MIDI file. When all together need more disk space than `takes_mb` of the configuration
    allows, the oldest go.
    """


@command.command("list")
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(where: Path | None, as_json: bool) -> None:
    """List all takes, the oldest first."""
    folder = _find_folder(where)
    rows = [row for file in _recovered_takes(folder) if (row := _describe(file)) is not None]
    lines = [f"{row['name']}  {row.get('state') or _format_contents(row)}" for row in rows]
    with report_os_errors():
        click.echo(json.dumps(rows, indent=1) if as_json else "\n".join(lines), nl=as_json or bool(lines))
    if as_json:
        return
    click.echo(f"{len(rows)} take{'' if len(rows) == 1 else 's'} in {make_printable(str(folder))}", err=True)


def _format_contents(row: dict[str, object]) -> str:
    return f"{row['seconds']:6.0f} s {row['notes']:6d} notes  {row['styles']}"


@command.command("export")
@click.argument("name", required=False, shell_complete=complete_take)
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="File to write, or a folder.")
@click.option("--all", "everything", is_flag=True, help="All takes, into a folder.")
@click.option("--chart", "as_chart", is_flag=True, help="The chords that the band was given, as a chart (.txt).")
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print the files that were written as JSON.")
def export_command(
    name: str | None, output: Path | None, everything: bool, as_chart: bool, where: Path | None, as_json: bool
) -> None:
    """Copy a take as a MIDI file, the newest one unless NAME is given.

    The file has a track for the melody and for every role, the tempo map, and markers where the style changes; where
    the band was given chords, markers of these on a track `harmony`; and what was played on `chord_channel` on a track
    `hand`. A take that a crash left is made a MIDI file first; one that is being played is left out.

    With --chart it is these chords that are written, as bars in plain text with the headers Title, Key and Time, which
    `--chart FILE` of other commands and `houseband chart` read. A chord that begins between two beats of the metre
    stands on the nearest one; the key is told by the last chord.
    """
    from daemon.takes.storage import MIDI_SUFFIX, is_being_recorded

    folder = _find_folder(where)
    takes = [file for file in _recovered_takes(folder) if file.suffix == MIDI_SUFFIX or not is_being_recorded(file)]
    if name is None:
        takes = [file for file in takes if file.suffix == MIDI_SUFFIX or _is_log(file)]
    if name is not None:
        takes = [file for file in takes if file.stem == name.removesuffix(".mid")]
    if not takes:
        reason = f"there is no take {name!r} in {folder}" if name else f"there are no takes in {folder}"
        raise UserError(f"{reason}; `houseband takes list` shows what there is")
    target = output or Path()
    if everything and not target.is_dir():
        raise UserError(f"{target}: not a folder; --all wants one")
    if as_chart and not target.is_dir() and target.suffix.lower() not in ("", CHART_SUFFIX):
        raise UserError(f"{target}: a chart is written as plain text; name a file that ends in {CHART_SUFFIX}")
    suffix, export = (CHART_SUFFIX, _export_chart) if as_chart else (MIDI_SUFFIX, _export_midi)
    written: list[str] = []
    for file in takes if everything else takes[-1:]:
        to = target / f"{file.stem}{suffix}" if target.is_dir() else target
        check_writable(to, file)
        try:
            with report_os_errors():
                export(file, to)
        except NothingExportedError as nothing:
            if as_chart and not everything:
                raise
            click.echo(str(nothing), err=True)
            continue
        written.append(make_printable(str(to)))
        if to != STDOUT and not as_json:
            click.echo(written[-1])
    if as_json:
        click.echo(json.dumps({"files": written}, ensure_ascii=False, indent=1), err=target == STDOUT)


@command.command("render")
@click.argument("name", required=False)
@click.option(
    "--again", is_flag=True, required=True, expose_value=False, help="The band plays anew to what was played."
)
@click.option(
    "-o", "--output", metavar="OUT", type=click.Path(path_type=Path), required=True, help="A .mid to write, or a .wav."
)
@click.option("--set", "assigned", metavar="KEY=VALUE", multiple=True, help="Another value of a control, throughout.")
@_folder_option
@json_option
def render_command(
    name: str | None, output: Path, assigned: tuple[str, ...], where: Path | None, as_json: bool
) -> None:
    """Render a take again, the newest one unless NAME is given.

    The melody, the chords that the band was given, the tempo and all controls are those of the take, with the moments
    at which they were turned. `--set style=jazz` plays it otherwise.
    """
    from daemon.commands._take_rendering import render_again

    take = _find_take(name, _find_folder(where))
    check_writable(output, take)
    with report_write_errors(output):
        done = render_again(take, output, assigned)
    facts = {"take": take.stem, "bars": done.bars, "seconds": round(done.seconds, 3), "notes": count_notes(done.parts)}
    report_written(output, facts, as_json)


@command.command("play")
@click.argument("name", required=False)
@click.option("--audio", is_flag=True, help="Through this machine's loudspeakers, not a MIDI port.")
@click.option("--api", type=click.Choice(API_CHOICES), default="auto", show_default=True, help="MIDI system.")
@click.option("--out-port", metavar="NAME", help="An existing port to play to, not a virtual one.")
@_folder_option
def play_command(name: str | None, audio: bool, api: str, out_port: str | None, where: Path | None) -> None:
    """Play a take as it was, the newest one unless NAME is given. Ctrl-C ends it and leaves no note on."""
    from daemon.live.take_playback import play_file

    take = _find_take(name, _find_folder(where))
    click.echo(make_printable(f"playing {take.stem}; Ctrl-C ends it"), err=True)
    with report_os_errors():
        play_file(take, audio=audio, api=api, out_port=out_port)


def _find_take(name: str | None, folder: Path) -> Path:
    """Return the MIDI file of a take, of the newest one without a name. Raises UserError where there is none."""
    from daemon.takes.storage import MIDI_SUFFIX

    takes = [file for file in _recovered_takes(folder) if file.suffix == MIDI_SUFFIX]
    if name is not None:
        takes = [file for file in takes if file.stem == name.removesuffix(MIDI_SUFFIX)]
    if not takes:
        reason = f"there is no take {name!r} in {folder}" if name else f"there are no takes in {folder}"
        raise UserError(f"{reason}; `houseband takes list` shows what there is")
    return takes[-1]


def _find_folder(named: Path | None) -> Path:
    """Return the folder that was named, else the configuration's; where takes are not kept now, the usual one."""
    from daemon.takes.storage import OFF, find_folder

    if named is not None:
        return named
    found = find_folder(load_config().config.takes)
    if found is not None:
        return found
    click.echo(f"takes are not kept now (takes = '{OFF}'); --dir names another folder", err=True)
    return find_takes_folder()


def _recovered_takes(folder: Path) -> list[Path]:
    """Return the files in the folder of takes, once what can be has been made a MIDI file; say what cannot."""
    from daemon.takes.storage import list_takes, recover

    problems: list[str] = []
    recover(folder, problems)
    for problem in problems:
        click.echo(problem, err=True)
    try:
        return list_takes(folder)
    except OSError as error:
        click.echo(f"{make_printable(str(folder))}: {error.strerror or error}", err=True)
        return []


def _describe(file: Path) -> dict[str, object] | None:
    """Return what the list tells of a take, by the names that it has in JSON; None for one that is gone."""
    from daemon.takes.storage import MIDI_SUFFIX, is_being_recorded

    try:
        status = file.stat()
    except OSError:
        return None
    if file.suffix == MIDI_SUFFIX:
        contents = _describe_contents(file)
    elif is_being_recorded(file):
        contents = {"state": "playing"}
    else:
        contents = {"state": "unwritten" if _is_log(file) else "no take"}
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime))
    return {"name": make_printable(file.stem), "when": when, "bytes": status.st_size, **contents}


def _is_log(file: Path) -> bool:
    from daemon.takes import take_log

    try:
        with file.open("rb") as opened:
            return take_log.is_log(opened.readline(take_log.MAX_LINE_BYTES))
    except OSError:
        return False


def _describe_contents(file: Path) -> dict[str, object]:
    from music import midifile, smf

    try:
        song = midifile.read(file)
    except (midifile.MidiFileError, OSError):
        with contextlib.suppress(OSError):  # it may be gone meanwhile
            if file.stat().st_size > smf.MAX_MUSIC_BYTES:
                return {"state": "too long to be looked into"}
        return {"state": "not readable"}
    assert song.source is not None
    markers = (body for track in song.source.tracks[:1] for _, body in track.find_bodies(smf.MARKER))
    styles = dict.fromkeys(map(decode_text, markers))  # the other markers are chords
    notes = sum(len(part.notes) for part in song.parts)
    return {"seconds": round(song.seconds, 1), "notes": notes, "styles": ", ".join(styles)}


def _export_midi(file: Path, to: Path) -> None:
    """Copy a take: a MIDI file or, on a disk too full for one, still a log.

    Raises NothingExportedError for an empty one, OSError.
    """
    from daemon.takes import conversion
    from daemon.takes.storage import MIDI_SUFFIX

    if file.suffix == MIDI_SUFFIX:
        with file.open("rb") as source, open_atomically(to) as copy:
            shutil.copyfileobj(source, copy)
        return
    done = conversion.convert(file, to)
    if done is None or not done.made:
        raise NothingExportedError(f"{make_printable(str(file))}: nothing was played in this take")


def _export_chart(file: Path, to: Path) -> None:
    """Write the chords of a take as a chart. Raises NothingExportedError where it has none, MidiFileError, OSError."""
    from daemon.takes.storage import MIDI_SUFFIX
    from music import midifile
    from music.charts.chart import ChartError
    from music.charts.midi_texts import chart_markers
    from music.charts.text_writing import format_text, restate_chords

    if file.suffix == MIDI_SUFFIX:
        song = midifile.read(file)
    else:
        with tempfile.TemporaryDirectory() as folder:
            converted = Path(folder, f"{file.stem}{MIDI_SUFFIX}")
            _export_midi(file, converted)
            song = midifile.read(converted)
    try:
        chart = restate_chords(chart_markers(song))
    except ChartError:
        raise NothingExportedError(
            f"{make_printable(str(file))}: the band was given no chords in this take; play them with your left hand, "
            "or name a chart with --chart"
        ) from None
    write_atomically(to, format_text(dataclasses.replace(chart, title=file.stem)))
