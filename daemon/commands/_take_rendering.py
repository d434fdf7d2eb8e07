"""Rendering a take again: the band plays anew to what was played, as its controls were set and turned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.core.controls import CONTROLS, check_style, parse, sort_changes, with_control
from daemon.core.player_info import PlayerInfo
from daemon.core.schema import SettingError, split_assignment
from daemon.core.settings import Settings
from daemon.core.techniques import DEFAULT_TECHNIQUE

if TYPE_CHECKING:
    from daemon.offline.render import RenderedSong, RenderOptions
    from music.midifile import Song

#: (tick, key, value) of a control
Turn = tuple[int, str, object]
#: controls that are no part of how a take sounds, or that its file tells otherwise
_LEFT_OUT = frozenset(
    {"chart", "harmony", "chord_channel", "metre", "pickup", "count_in", "pause_bars", "song", "setlist"}
)


def render_again(take: Path, output: Path, assigned: Iterable[str]) -> RenderedSong:
    """Let the band play anew to a take, into a .mid or a .wav; assigned: KEY=VALUE, which holds throughout.

    Raises UserError.
    """
    from daemon.commands._console import show_progress
    from daemon.offline import render
    from daemon.players.load import load_band
    from daemon.sound.fluid_synth import open_synth
    from music import midifile

    song = midifile.read(take)
    own = [split_assignment(text) for text in assigned]
    turns = [turn for turn in _list_turns(song) if turn[1] not in dict(own)] + [(0, key, value) for key, value in own]
    technique = next((str(value) for tick, key, value in turns if key == "technique" and tick == 0), DEFAULT_TECHNIQUE)
    player = load_band(technique, None)
    options = _build_options(take, song, turns, player.info)
    with show_progress(f"playing along with {take.name}") as progress:
        if output.suffix.lower() == ".wav":
            return render.render_wav(take, output, player, options, None, progress, open_synth(), False)
        return render.render_file(take, output, player, options, None, progress)


def _list_turns(song: Song) -> list[Turn]:
    """Return the controls that a take remembers, by tick."""
    from daemon.takes.settings_history import parse_change
    from music import smf
    from music.note import TICKS_PER_BEAT

    assert song.source is not None
    found: list[Turn] = []
    for tick, body in song.source.tracks[0].find_bodies(smf.SEQUENCER_SPECIFIC):
        change = parse_change(body.decode("utf-8", "replace"))
        if change is not None and change[0] in CONTROLS and change[0] not in _LEFT_OUT:
            found.append((tick * TICKS_PER_BEAT // song.source.division, *change))
    return found


def _build_options(take: Path, song: Song, turns: Iterable[Turn], player: PlayerInfo) -> RenderOptions:
    """Return how a take is rendered again. Raises SettingError for a style that is not known any more."""
    from daemon.control.automation import AutomationPoint
    from daemon.harmony.chart_line import open_chart
    from daemon.offline.render import RenderOptions
    from music.midifile import HARMONY
    from music.note import HAND

    turned = [(tick, key, _parse(key, value, player)) for tick, key, value in turns]
    settings = Settings(style=player.styles[0], technique=player.techniques[0])
    for key, value in sort_changes((key, value) for tick, key, value in turned if not tick):
        settings = with_control(settings, key, value)
    check_style(settings, player)
    names = {part.name for part in song.parts}
    tracks = set(_list_track_names(song))
    chart = None
    if HAND in names:
        settings = replace(settings, harmony="auto")
    elif HARMONY in tracks:
        chart = open_chart(str(take)).line
        settings = replace(settings, harmony="chart", chart=str(take))
    return RenderOptions(
        settings=settings,
        automation=tuple(AutomationPoint(tick, key, value) for tick, key, value in turned if tick),
        chart=chart,
        chord_track=HAND if HAND in names else None,
    )


def _parse(key: str, value: object, player: PlayerInfo) -> object:
    """Return a control's value in its own type. Raises SettingError."""
    try:
        return parse(key, value, techniques=player.techniques)
    except SettingError as error:
        raise click.UsageError(f"this take cannot be played as it was: {error}; choose another with --set") from None


def _list_track_names(song: Song) -> list[str]:
    from music.midifile import read_track_name

    return [] if song.source is None else [read_track_name(track) for track in song.source.tracks]
