"""`houseband render`: a melody file in, a band file out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands._console import show_progress
from daemon.commands._edit_file import edit_file
from daemon.commands._files import report_write_errors
from daemon.commands._options import (
    CHORD_OPTIONS,
    EDIT_OPTIONS,
    FORM_OPTIONS,
    build_settings,
    channel_option,
    chord_options,
    control_options,
    edit_options,
    form_options,
    graph_option,
    latency_option,
    list_controls,
    replan_option,
    technique_option,
    track_option,
)
from daemon.commands._render_arguments import EditArguments, PlayingArguments, RenderArguments
from daemon.commands._selection import (
    SelectionArguments,
    check_selection,
    choose_files,
    list_inputs,
    regenerate_selection,
    selection_options,
)
from daemon.commands._written import count_notes, json_option, report_written
from daemon.config.cli_options import make_key_option
from daemon.config.reading import ConfigFile, build_config, read_config
from daemon.control.automation import read_automation
from daemon.core.player_info import PlayerInfo, describe_limits
from daemon.core.settings import NO_CHART
from daemon.core.techniques import find, list_techniques
from daemon.core.value_types import Metres
from music.errors import UserError
from music.files import check_writable

if TYPE_CHECKING:
    from daemon.offline.render import RenderedSong, RenderOptions

WAV = ".wav"
#: files of sound that are not written, and that nobody means as the name of a MIDI file
_OTHER_SOUND = (".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac", ".aif", ".aiff")


def _make_epilog() -> str:
    rows = [
        "FILE.jsonl turns controls on the way, one a line, at ticks of 1/24 beat from bar 1:",
        '  {"tick": 96, "key": "density", "value": 0.5}',
        "Controls:",
        *(f"  {key}: {about}" for key, about in list_controls()),
    ]
    return "\b\n" + "\n".join(rows)


@click.command(epilog=_make_epilog())
@click.argument("melody", metavar="MELODY.mid", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path), help="A .mid to write, or a .wav.")
@technique_option
@graph_option
@track_option
@channel_option
@make_key_option("bpm", help="Beats per minute instead of the file's tempo.")
@chord_options
@control_options
@form_options
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Controls and presets.")
@click.option("--automation", metavar="FILE.jsonl", type=click.Path(path_type=Path), help="Controls turned on the way.")
@latency_option
@click.option("--offline", is_flag=True, help="The players see the whole melody, not only what has been heard.")
@replan_option
@make_key_option("soundfont", help="Instruments for a .wav.")
@click.option("--stems", is_flag=True, help="Beside a .wav, the mix, one of each role: OUT-bass.wav, ...")
@click.option("--click", "clicks", is_flag=True, help="A click on every beat of a .wav.")
@selection_options
@edit_options
@json_option
def command(
    melody: Path | None,
    output: Path | None,
    technique: str,
    graph: Path | None,
    track: str | None,
    channel: int | None,
    bpm: float | None,
    assigned: tuple[str, ...],
    file: Path | None,
    automation: Path | None,
    latency_ms: float,
    offline: bool,
    replan: str | None,
    chart: str | None,
    chord_track: str | None,
    soundfont: Path | None,
    stems: bool,
    clicks: bool,
    edits: Path | None,
    iterations: int | None,
    at_once: int | None,
    undo: int | None,
    as_json: bool,
    selection: SelectionArguments,
    **values: object,
) -> None:
    """Play along with the melody in a MIDI file and write the band to another.

    With --technique arcnn the notes themselves are edited: OUT.mid has what was given, on the grid, on the track
    `melody`, and the edited notes on the track `edits`; FILE.jsonl of --edits has one line for every edit, which
    lead from one to the other. Given is the track `melody`, else --track, else all pitched tracks together.

    All others are the very engine that plays live, on virtual time: unless --offline, the players know at any moment
    only what has been heard by then. A .mid has the melody untouched on the track `melody`, and a track for every role;
    a .wav is what `houseband run --audio` plays, with the roles balanced by loudness and the melody above them.
    Markers, key signatures and the other tracks of the file stay, but for those that are called like an accompaniment
    (`bass`, `piano`, ...), in whose place the band plays.

    Chords are guessed from the melody, unless --harmony, --chart, --chord-track, --chord-channel or --split give them.
    Then the hand's track is copied, too, and a track `harmony` has a marker for every change of chord.

    With --from OUT.mid the bars and roles of --only and --roles are played anew, and all else in OUT.mid stays.
    """
    melody, output = choose_files(melody, output, selection.source)
    given = RenderArguments(melody, output, technique, graph, track, channel, bpm, file, values, assigned)
    playing = PlayingArguments(automation, latency_ms, offline, replan, chart, chord_track)
    editing = EditArguments(edits=edits, iterations=iterations, at_once=at_once, undo=undo)
    inputs = [graph, file, automation, soundfont, Path(chart) if chart else None]
    check_writable(output, *list_inputs(melody, output, selection), *inputs)
    _check_sound(output, soundfont, clicks, stems)
    if selection.source is not None:
        check_selection(technique, output)
    if find(technique).edits_notes:
        _check_editing(technique, output, playing)
        _check_chords(technique, {"chart": chart, "chord_track": chord_track, **values})
        edit_file(given, editing, as_json)
    else:
        _check_playing(technique, {**editing, **{key: values[key] for key in EDIT_OPTIONS}})
        _play_along(given, playing, selection, soundfont, clicks, stems, as_json)


def _check_sound(output: Path, soundfont: Path | None, clicks: bool, stems: bool) -> None:
    """Raise UserError for sound that is not written, and for options of sound where none is wanted."""
    if output.suffix.lower() in _OTHER_SOUND:
        raise UserError(f"{output}: sound is written as .wav; name such a file, and convert it afterwards")
    if output.suffix.lower() != WAV and (soundfont or clicks or stems):
        raise UserError(f"{output}: --soundfont, --stems and --click are for sound; name a file that ends in .wav")


def _check_editing(technique: str, output: Path, playing: PlayingArguments) -> None:
    """Raise UserError for what a player that edits notes cannot do with a file."""
    if playing.automation or playing.offline or output.suffix.lower() == WAV:
        raise UserError(f"{output}: with --technique {technique} there is no --automation, no --offline and no .wav")


def _check_chords(technique: str, values: Mapping[str, object]) -> None:
    """Raise UserError for chords that are given to a player that edits notes."""
    for key in (*CHORD_OPTIONS, *FORM_OPTIONS, "key"):
        if values.get(key) is not None:
            raise UserError(f"--{key.replace('_', '-')}: is not for --technique {technique}, which hears notes alone")


def _check_playing(technique: str, editing: Mapping[str, object]) -> None:
    """Raise UserError for options that were given and only players which edit notes take."""
    unused = [key for key, value in editing.items() if value is not None]
    if unused:
        editors = " or ".join(known.name for known in list_techniques() if known.edits_notes)
        raise UserError(f"--{unused[0].replace('_', '-')}: is for --technique {editors}, not for the {technique}")


def _play_along(
    given: RenderArguments,
    playing: PlayingArguments,
    selection: SelectionArguments,
    soundfont: Path | None,
    clicks: bool,
    stems: bool,
    as_json: bool,
) -> None:
    """Render the band as MIDI or, to a .wav, as sound. Raises UserError."""
    from daemon.offline import render
    from daemon.players.load import load_band
    from daemon.sound.fluid_synth import open_synth

    selected = selection.parse()
    synth = open_synth(soundfont) if given.output.suffix.lower() == WAV else None
    player = load_band(given.technique, given.graph)
    options = _build_options(given, playing, player.info)
    if selected is not None and selection.source is not None:
        regenerate_selection(
            *(selected, selection.source, given.melody, given.output, player, options),
            *(given.track, given.channel, as_json),
        )
        return
    with report_write_errors(given.output), show_progress(f"playing along with {given.melody.name}") as progress:
        if synth is None:
            done = render.render_file(given.melody, given.output, player, options, given.track, progress, given.channel)
        else:
            done = render.render_wav(
                *(given.melody, given.output, player, options, given.track, progress, synth, clicks, given.channel),
                stems=stems,
            )
    for limit in describe_limits(player.info, options.settings, [metre for _, metre in done.metres]):
        click.echo(limit, err=True)
    facts = _describe(done, options)
    if done.loudness:
        facts["lufs"] = {
            role: None if math.isinf(each.lufs) else round(each.lufs, 1) for role, each in done.loudness.items()
        }
    if stems:
        facts["stems"] = {role: str(render.name_stem(given.output, role)) for role in done.loudness if role != "mix"}
    report_written(given.output, facts, as_json)


def _describe(done: RenderedSong, options: RenderOptions) -> dict[str, object]:
    """Return what is told of a rendering, by the names that it has in JSON."""
    settings = options.settings
    return {
        "technique": settings.technique,
        "style": settings.style,
        "seed": settings.seed,
        "bars": done.bars,
        "seconds": round(done.seconds, 3),
        "notes": count_notes(done.parts),
        "chords": [{"tick": tick, "chord": label} for tick, label in done.harmony],
    }


def _build_options(given: RenderArguments, playing: PlayingArguments, player: PlayerInfo) -> RenderOptions:
    """Return what the options and the configuration say. Raises SettingError, ConfigError, AutomationError."""
    from daemon.core.tempo import NS_PER_MS
    from daemon.harmony.chart_line import open_chart
    from daemon.offline.render import RenderOptions

    file = read_config(given.config_file) if given.config_file else ConfigFile()
    chords = {**given.values, "chart": playing.chart, "chord_track": playing.chord_track}
    are_given = any(chords[key] is not None for key in CHORD_OPTIONS)
    usual = {"pause_bars": 0, "harmony": "auto" if are_given else "melody"}  # a file is played to its end
    own = {"metre": Metres.AUTO, "pickup": 0.0, "count_in": 0}  # the melody's file tells where its bars lie
    file = replace(file, values={**usual, **file.values, **own})
    config = build_config(file, {"technique": given.technique})
    settings = build_settings(given.values, given.assigned, player, config.make_settings(player))
    settings = replace(settings, chart=playing.chart or settings.chart)
    presets, automation = config.presets, playing.automation
    if settings.harmony == "chart" and not settings.chart:
        raise UserError(f"{NO_CHART}; name one with --chart")
    return RenderOptions(
        settings=settings,
        bpm=config.bpm if given.bpm is None and "bpm" in config.given else given.bpm,
        latency_ns=round(playing.latency_ms * NS_PER_MS),
        offline=playing.offline,
        replan=playing.replan,
        automation=read_automation(automation, player, presets, settings.technique) if automation else (),
        chart=open_chart(settings.chart).line if settings.chart else None,
        chord_track=playing.chord_track,
        ending=bool(given.values["ending"]),
    )
