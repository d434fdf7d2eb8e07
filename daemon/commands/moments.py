"""`houseband moments`: the same bars as a training run played them at ten moments, to see and to hear."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands._console import show_progress
from daemon.commands._files import report_write_errors
from daemon.commands._options import build_settings, channel_option, control_options, track_option
from daemon.config.cli_options import make_key_option
from music.midi_text import make_printable
from music.tunes import TUNES

if TYPE_CHECKING:
    from daemon.offline.render import RenderOptions
    from music.midifile import Part, Song

#: the folder, in the run's, unless another is named
_FOLDER = "played"


@click.command(short_help="Show and play ten moments of a training run, from noise to music.")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("melody", metavar="[IN.mid]", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="A folder.  [default: RUN/played]")
@click.option("--bars", metavar="N", type=click.IntRange(1, 24), default=8, show_default=True, help="So many bars.")
@click.option("--tune", type=click.Choice([*TUNES]), default="ode", show_default=True, help="Which, without IN.mid.")
@track_option
@channel_option
@make_key_option("bpm", help="Beats per minute instead of the melody's tempo.")
@control_options
@make_key_option("soundfont", help="Instruments for the sound.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def command(
    run: Path,
    melody: Path | None,
    output: Path | None,
    bars: int,
    tune: str,
    track: str | None,
    channel: int | None,
    bpm: float | None,
    assigned: tuple[str, ...],
    soundfont: Path | None,
    as_json: bool,
    **values: object,
) -> None:
    """Let the weights that a training run has kept at ten moments play the same bars of a melody.

    Writes `moments.png` (a piano roll of each moment under each other), `moments.wav` and `moments.mid` (all of them in
    a row, with a bar of silence between) into a folder. RUN is the folder of a run of the GAN, the transformer or the
    AR-CNN, which edits the melody by itself. The run need not be over.

    Writes the graph of each moment first, which takes half a minute each (needs the `train` and `torch` extras).
    """
    from daemon.evaluation import moments, piano_roll_png
    from daemon.offline.render import RenderOptions
    from daemon.players.load import describe_player
    from daemon.sound.fluid_synth import open_synth

    piano_roll_png.check_matplotlib()
    song, part = _read_melody(melody, tune, track, channel)
    song, part = moments.cut_beginning(song, part, bars)
    synth = open_synth(soundfont)

    def choose(technique: str, styles: tuple[str, ...]) -> RenderOptions:
        return RenderOptions(build_settings(values, assigned, describe_player(technique, styles)), bpm)

    folder = output or run / _FOLDER
    with tempfile.TemporaryDirectory(prefix="houseband-moments-") as graphs:
        _export(run, Path(graphs))
        found = moments.find_graphs(Path(graphs))
        played = []
        with show_progress(f"{len(found)} moments play") as progress:
            for moment in moments.play_moments(found, song, part, choose):
                played.append(moment)
                progress(len(played) / len(found))
    with report_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        name = make_printable(Path(song.name).name)
        moments.write_moments(folder, f"{name}, at {len(played)} moments", song, part, played, bpm, synth)
    steps = [moment.step for moment in played]
    files = [str(folder / each) for each in (moments.PICTURE, moments.SOUND, moments.MIDI)]
    if as_json:
        click.echo(json.dumps({"files": files, "updates": steps}, indent=1))
    else:
        click.echo(f"{', '.join(map(make_printable, files))}: after {', '.join(map(str, steps))} updates")


def _export(run: Path, folder: Path) -> None:
    """Write the moments' graphs by `houseband export`. Raises UserError where what it needs is not installed."""
    context = click.get_current_context()
    group = context.find_root().command
    assert isinstance(group, click.Group)
    export = group.get_command(context, "export")
    if export is None:
        raise click.UsageError("houseband export is not installed; install houseband[train,torch] again")
    arguments = [str(run), "--moments", str(folder)]
    with contextlib.redirect_stdout(sys.stderr):  # it tells each file as it is written
        export.main(arguments, prog_name="houseband export", standalone_mode=False)


def _read_melody(melody: Path | None, tune: str, track: str | None, channel: int | None) -> tuple[Song, Part]:
    """Return a file's song and melody, or those of a tune. Raises MidiFileError."""
    from daemon.core.tempo import us_per_beat
    from music import midifile
    from music.midifile import Part, Song
    from music.note import CHANNELS, MELODY

    if melody is not None:
        song = midifile.read(melody)
        return song, midifile.choose_melody(song, track, channel)
    known = TUNES[tune]
    part = Part(MELODY, known.notes, CHANNELS[MELODY], 0)
    return Song((part,), ((0, us_per_beat(known.bpm)),), ((0, known.metre),), name=known.title), part
