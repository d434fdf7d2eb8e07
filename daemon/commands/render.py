"""`houseband render`: a melody file in, a band file out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.config.config import ConfigError, config
from daemon.config.config import read as read_config
from daemon.control.automation import AutomationError
from daemon.control.automation import read as read_automation
from daemon.core import controls
from daemon.core.errors import UserError, user_errors
from daemon.core.plan import REPLAN_CHOICES
from daemon.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.offline.render import RenderOptions
    from daemon.players.player import Player
    from daemon.sound.synth import Synth

#: the controls that have an option of their own
CONTROL_OPTIONS = ("style", "seed", "temperature", "density", "intensity", "swing")
#: and those of the AR-CNN, which hold for nobody else
EDIT_OPTIONS = (
    *("remove_max", "add_max", "creative_risk", "lock_pitches", "lock_bars", "register_low", "register_high"),
)
ARCNN = "arcnn"


def control_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that set controls at the start; `settings_from` reads them."""
    function = click.option(
        "--set",
        "assigned",
        metavar="KEY=VALUE",
        multiple=True,
        help="Set any live control at the start, e.g. mute.pad=on.",
    )(function)
    return _control_options(CONTROL_OPTIONS, function)


def _control_options(keys: tuple[str, ...], function: Callable[..., None]) -> Callable[..., None]:
    for key in reversed(keys):
        control = controls.CONTROLS[key]
        about = f"{control.help[0].upper()}{control.help[1:]}: {control.range}."
        function = click.option(f"--{key.replace('_', '-')}", key, metavar="VALUE", help=about)(function)
    return function


def edit_options(function: Callable[..., None]) -> Callable[..., None]:
    """What the AR-CNN takes beside; `None` where it is not said."""
    for option in (
        click.option("--undo", type=click.IntRange(0), help="AR-CNN: take back so many of the last edits at the end."),
        click.option("--at-once", type=click.IntRange(1, 64), help="AR-CNN: edits from one evaluation of 8 bars."),
        click.option("--iterations", type=click.IntRange(0), help="AR-CNN: the most evaluations [default: 100]."),
        click.option("--edits", metavar="FILE.jsonl", type=click.Path(path_type=Path), help="AR-CNN: keep every edit."),
    ):
        function = option(function)
    return _control_options(EDIT_OPTIONS, function)


def settings_from(
    values: dict[str, str | None], assigned: tuple[str, ...], styles: tuple[str, ...], before: Settings | None = None
) -> Settings:
    """The settings those options stand for, where nothing is said those before, else the player's first style. Raises
    ControlError."""
    pairs = [(key, value) for key, value in values.items() if value is not None]
    for text in assigned:
        key, separator, value = text.partition("=")
        if not separator:
            raise controls.ControlError(f"--set {text}: takes KEY=VALUE")
        pairs.append((key.strip(), value.strip()))
    settings = before or Settings(style=styles[0])
    for key, value in pairs:
        settings = controls.with_control(settings, key, controls.parse(key, value, styles))
    return settings


def _epilog() -> str:
    rows = [
        "FILE.jsonl turns controls on the way, one a line, at ticks of 1/24 beat from bar 1:",
        '  {"tick": 96, "key": "density", "value": 0.5}',
        "Controls:",
    ]
    for key, control in controls.CONTROLS.items():
        kind, dot, role = key.partition(".")
        if not dot:
            rows.append(f"  {key}: {control.help} ({control.range})")
        elif role == controls.MIXED_ROLES[0]:
            rows.append(f"  {kind}.ROLE: {control.help.replace(role, 'a role')} ({control.range})")
    return "\b\n" + "\n".join(rows)


#: what is neither written nor meant as the name of a MIDI file
_OTHER_SOUND = (".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac", ".aif", ".aiff")


@click.command(epilog=_epilog())
@click.argument("melody", metavar="MELODY.mid", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="OUT", required=True, type=click.Path(path_type=Path), help="A .mid to write, or a .wav."
)
@click.option("--technique", default="gan", show_default=True, help="Which player: gan, arcnn or transformer.")
@click.option("--graph", metavar="FILE.onnx", type=click.Path(path_type=Path), help="Weights other than the shipped.")
@click.option("--track", metavar="NAME", help="The melody's track, by name or number; else `melody`, else the first.")
@click.option("--bpm", metavar="VALUE", help="Beats per minute instead of the file's tempo.")
@control_options
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Controls and presets.")
@click.option("--automation", metavar="FILE.jsonl", type=click.Path(path_type=Path), help="Controls turned on the way.")
@click.option(
    "--latency-ms", type=click.FloatRange(0, 60_000), default=10, show_default=True, help="What inference takes."
)
@click.option("--offline", is_flag=True, help="The players see the whole melody, not only what has been heard.")
@click.option(
    "--replan", type=click.Choice(REPLAN_CHOICES), default="step", show_default=True, help="How often to plan."
)
@click.option("--soundfont", metavar="FILE.sf2", type=click.Path(path_type=Path), help="Instruments for a .wav.")
@click.option("--click", "clicks", is_flag=True, help="A click on every beat of a .wav.")
@edit_options
def command(
    melody: Path,
    output: Path,
    technique: str,
    graph: Path | None,
    track: str | None,
    bpm: str | None,
    assigned: tuple[str, ...],
    file: Path | None,
    automation: Path | None,
    latency_ms: float,
    offline: bool,
    replan: str,
    soundfont: Path | None,
    clicks: bool,
    edits: Path | None,
    iterations: int | None,
    at_once: int | None,
    undo: int | None,
    **values: str | None,
) -> None:
    """Play along with the melody in a MIDI file and write the band to another.

    With --technique arcnn the notes themselves are edited: OUT.mid has what was given, on the grid, on the track
    `melody`, and the edited notes on the track `edits`; FILE.jsonl of --edits has one line for every edit, which
    lead from one to the other. Given is the track `melody`, else --track, else all pitched tracks together.

    All others are the very engine that plays live, on virtual time: unless --offline, the players know at any moment
    only what has been heard by then. A .mid has the melody untouched on the track `melody`, and a track for every role;
    a .wav is what `houseband run --audio` plays.
    """
    from daemon.core.tempo import NS_PER_MS
    from daemon.offline import render
    from daemon.players.graph import GraphError
    from daemon.players.load import load_band
    from daemon.sound.soundfont import SoundFontError
    from daemon.sound.synth import open_synth
    from music.midifile import MidiFileError

    if output.is_dir() or not output.parent.is_dir():
        raise UserError(f"{output}: cannot be written, for its folder does not exist or it is one itself")
    if output.suffix.lower() in _OTHER_SOUND:
        raise UserError(f"{output}: sound is written as .wav; name such a file, and convert it afterwards")
    sound = output.suffix.lower() == ".wav"
    if not sound and (soundfont or clicks):
        raise UserError(f"{output}: --soundfont and --click are for sound; name a file that ends in .wav")
    said_of_edits = {"edits": edits, "iterations": iterations, "at_once": at_once, "undo": undo}
    if technique == ARCNN:
        if automation or offline or sound:
            raise UserError(f"{output}: with --technique arcnn there is no --automation, no --offline and no .wav")
        edit_file(melody, output, graph, track, bpm, assigned, file, values, said_of_edits)
        return
    unused = [k for k, v in (said_of_edits | {k: values[k] for k in EDIT_OPTIONS}).items() if v is not None]
    if unused:
        raise UserError(f"--{unused[0].replace('_', '-')}: is for --technique arcnn, not for the {technique}")
    with user_errors(controls.ControlError, ConfigError, AutomationError, GraphError, MidiFileError, SoundFontError):
        synth = open_synth(soundfont) if sound else None
        said = read_config(file) if file else {}
        whole = config({"pause_bars": 0, **said}, {})
        tempo = said.get("bpm") if bpm is None else controls.parse("bpm", bpm)
        player = load_band(technique, graph)
        before = replace(whole.settings(player.info.styles), technique=technique)
        options = render.RenderOptions(
            settings=settings_from(values, assigned, player.info.styles, before),
            bpm=tempo if isinstance(tempo, float) else None,
            latency_ns=round(latency_ms * NS_PER_MS),
            offline=offline,
            replan=replan,
            automation=read_automation(automation, player.info.styles, whole.presets) if automation else (),
        )
        try:
            with progress_bar(f"playing along with {melody.name}") as progress:
                if synth is None:
                    render.to_file(melody, output, player, options, track, progress)
                else:
                    to_wav(melody, output, player, options, track, progress, synth, clicks)
        except OSError as error:
            raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None


def edit_file(
    source: Path,
    target: Path,
    graph: Path | None,
    track: str | None,
    bpm: str | None,
    assigned: tuple[str, ...],
    file: Path | None,
    values: dict[str, str | None],
    said: dict[str, Any],
) -> None:
    """A MIDI file edited by the AR-CNN, as the options say. Raises Refusal."""
    from daemon.core.tempo import us_per_beat
    from daemon.offline import file_editing
    from daemon.players.arcnn import Editor
    from daemon.players.graph import Graph, GraphError
    from music.midifile import MidiFileError

    edits: Path | None = said["edits"]
    if edits is not None and (edits.is_dir() or not edits.parent.is_dir()):
        raise UserError(f"{edits}: cannot be written, for its folder does not exist or it is one itself")
    if edits is not None and edits.resolve() == target.resolve():
        raise UserError(f"{edits}: is the output already; keep the edits in another file")
    with user_errors(controls.ControlError, ConfigError, GraphError, MidiFileError):
        whole = config(read_config(file) if file else {}, {})
        tempo = None if bpm is None else controls.parse("bpm", bpm)
        editor = Editor(Graph(graph, ARCNN))
        settings = settings_from(values, assigned, editor.styles, whole.settings(editor.styles))
        options = file_editing.EditOptions(
            style=settings.style,
            limits=settings.limits,
            iterations=100 if said["iterations"] is None else said["iterations"],
            risk=settings.creative_risk,
            seed=settings.seed,
            at_once=said["at_once"],
            undo=said["undo"] or 0,
        )
        if options.limits.low > options.limits.high:
            raise UserError("register_low: lies above register_high, so nothing could be edited")
        us = us_per_beat(tempo) if isinstance(tempo, float) else None
        try:
            with progress_bar(f"editing {source.name}") as progress:
                file_editing.to_file(
                    source, target, editor, options, track=track, edits=edits, us=us, progress=progress
                )
        except OSError as error:
            raise UserError(f"{error.filename or target}: cannot be written: {error.strerror or error}") from None


def to_wav(
    source: Path,
    target: Path,
    player: Player,
    options: RenderOptions,
    track: str | None,
    progress: Callable[[float], None],
    synth: Synth,
    clicks: bool,
) -> None:
    """Render a MIDI file's melody, and the band, as sound. Raises as `daemon.offline.render.to_file`."""
    from daemon.core.tempo import TempoMap
    from daemon.offline.render import perform
    from daemon.sound import wav
    from music import midifile
    from music.note import MELODY

    song = midifile.read(source)
    melody = midifile.melody_part(song, track)
    done = perform(song, melody, player, options, progress)
    metre = done.metres[0][1] if clicks else None
    wav.write(target, {MELODY: melody.notes, **done.parts}, TempoMap.from_marks(done.tempos), synth, metre)


@contextlib.contextmanager
def progress_bar(text: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr while something takes long, where stderr is a terminal; call it with the share done, 0..1."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(text, total=1.0)
        yield lambda share: bars.update(task, completed=share)
