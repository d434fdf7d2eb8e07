"""`houseband run`: play along live, through MIDI ports."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from daemon.commands._plugin_sessions import plugins_served, serve_plugins_only
from daemon.commands._standard_streams import reopen_without_waiting
from daemon.config.cli_options import LoadedConfig, add_config_options, load_config
from daemon.config.config import Config
from daemon.core.settings import AUTO_START, BAND_START, COUNT_IN_START, INTRO_START, NO_CHART, Settings
from daemon.core.value_types import Metres
from daemon.midi.ports import NO_PORTS
from daemon.players.worker import PlayerSpec, PreloadedWorker
from daemon.system import journald, memory, sd_notify
from daemon.system.log_setup import start_logging
from daemon.system.paths import NoHomeError
from music.errors import UserError, report_os_errors
from music.midi_text import make_printable

if TYPE_CHECKING:
    from daemon.engine.song import SongInfo
    from daemon.harmony.chart_line import ChartLine
    from daemon.live.listeners import Listeners
    from daemon.live.run import PerformanceSetup
    from daemon.midi.reconnecting import ReconnectingPorts

#: the clock of a band that plays for the plugin only
PLUGIN_CLOCK = "plugin"
#: takes of one performance whose files are named at its end
MAX_TOLD_TAKES = 3


@click.command(short_help="Play along live, through virtual MIDI ports.")
@add_config_options
@click.option("--from-start", is_flag=True, help="Begin with start, or with a DAW's bar 1: --start-with band.")
@click.option("--plugin", is_flag=True, help="Play for the plugin of a DAW only; it ends when no project is open.")
def command(plugin: bool, **options: object) -> None:
    """Open the MIDI input `houseband in` and the output `houseband out`, and play along with what is heard.

    The first note starts the band and is bar 1, beat 1; the gesture `start` begins as --start-with has it. Bass is on
    channel 2, chords on 3, pad on 4, drums on 10. Ctrl-C ends it and leaves no note on. While it plays, MIDI gestures
    turn its controls (`houseband learn --list`), and so do `houseband set`, `panic`, `status` and `top`. Every option
    is also a key of the configuration (`houseband config`), which holds where an option is not given.

    Windows has no virtual ports: make two with loopMIDI, called `houseband in` and `houseband out`, or name others
    with --in-port and --out-port.
    """
    loaded = load_options(options)
    reopen_without_waiting(2)
    start_logging(loaded.config.verbose)
    if plugin or loaded.config.clock == PLUGIN_CLOCK:
        serve_plugins_only(options, loaded.config, ends_when_idle=plugin)
        return
    if sd_notify.is_managed():
        memory.disable_huge_pages()  # before there is a process to be given them, too
    with closing(PreloadedWorker(build_player_spec(loaded.config))) as preloaded:
        from daemon.live.run import play  # imported while the player is loaded

        setup = replace(
            build_setup(loaded),
            reload=(loaded.config, lambda: load_options(options).config),
            preloaded=preloaded,
        )

        def announce(ports: ReconnectingPorts, song: SongInfo, settings: Settings) -> None:
            if not journald.stderr_is_journal():
                click.echo(describe_start(ports.api, ports.names, song, settings), err=True)

        with report_os_errors(), plugins_served(options, loaded.config):
            takes = play(setup, announce)
    for path in [*takes[-MAX_TOLD_TAKES:], *([setup.record] if setup.record is not None else [])]:
        click.echo(f"take written to {make_printable(str(path))}", err=True)
    if len(takes) > MAX_TOLD_TAKES:
        click.echo(f"{len(takes)} takes in all; `houseband takes list` shows them", err=True)


def load_options(options: Mapping[str, Any]) -> LoadedConfig:
    """Return the configuration with the options of this command. Raises ConfigError and SettingError."""
    values = dict(options)
    values.pop("plugin", None)  # no key of the configuration
    if values.pop("from_start"):
        values["start_with"] = BAND_START
    return load_config(values.pop("file"), values.pop("assigned"), values)


def build_setup(loaded: LoadedConfig) -> PerformanceSetup:
    """Return the performance that a configuration describes. Raises ClockError for keys that do not go together."""
    from daemon.live.connections import Connections
    from daemon.live.remote_control import RemoteControl
    from daemon.live.run import PerformanceSetup

    config = loaded.config
    song, chart = open_song(config)
    return PerformanceSetup(
        player=build_player_spec(config),
        song=song,
        chart=chart,
        settings=config.make_settings,
        book=config.book,
        api=config.api,
        in_port=config.in_port or None,
        out_port=config.out_port or None,
        record=config.record,
        report=config.report,
        channel=config.melody_channel,
        connections=Connections.from_config(config),
        listeners=build_listeners(config),
        remote=RemoteControl(
            config.gestures, loaded.learned, loaded.learned_file, config.presets, config.control, config.clock
        ),
    )


def open_song(config: Config) -> tuple[SongInfo, ChartLine | None]:
    """Return the song that a configuration describes, and its chords. Raises UserError."""
    song, chart, source = build_song(config), None, config.settings.chart
    if not source and config.settings.harmony == "chart":
        raise UserError(f"{NO_CHART}; name one with --chart")
    if source:
        from daemon.harmony.chart_line import open_chart

        opened = open_chart(source)
        chart = opened.line
        if song.follows_chart:
            song = replace(song, metres=opened.metres[:1])
    return song, chart


def build_player_spec(config: Config) -> PlayerSpec:
    """Return the players that a configuration names."""
    memory_mb = config.graph_memory_mb
    if config.graph is None:
        return PlayerSpec("daemon.players.confined:load_band", (config.technique, None, memory_mb))
    stand_in = PlayerSpec("daemon.players.confined:load_stand_in", (config.technique, memory_mb))
    return PlayerSpec(
        "daemon.players.confined:load_band", (config.technique, str(config.graph), memory_mb), stand_in=stand_in
    )


def build_listeners(config: Config) -> Listeners:
    """Return what records takes and sounds, as a configuration has it."""
    from daemon.live.listeners import Listeners
    from daemon.sound.audio import AudioSetup
    from daemon.takes.storage import find_folder

    sound = AudioSetup(config.audio, str(config.soundfont) if config.soundfont else None, config.click)
    if sound.click and not sound.on:
        logging.getLogger(__name__).warning("the click is heard with --audio only")
    try:
        takes = find_folder(config.takes)
    except NoHomeError as error:
        logging.getLogger(__name__).warning("takes are not kept: %s (--takes)", error)
        takes = None
    return Listeners(takes, config.takes_mb << 20, sound)


def build_song(config: Config) -> SongInfo:
    """Return the tempo, metre, pickup and count-in that a configuration gives."""
    from daemon.engine.song import SongInfo

    settings = config.settings
    return SongInfo(
        bpm=config.bpm,
        metres=settings.metres,
        follows_chart=settings.metre == Metres.AUTO,
        pickup=settings.pickup_ticks,
        count_in=settings.count_in,
    )


def describe_start(api: str, names: tuple[str, str], song: SongInfo, settings: Settings) -> str:
    """Return the line that tells the user what to play into, and what happens then. names: of input and output."""
    begin, how = "the first note starts the band", settings.start_with
    if how == INTRO_START or (how == AUTO_START and settings.intro_bars):
        begin += ", `houseband set start` an intro"
    elif how == BAND_START:
        begin += ", `houseband set start` or a clock that is followed bar 1"
    elif song.count_in and how in (AUTO_START, COUNT_IN_START):
        begin = f"{song.count_in} bar{'' if song.count_in == 1 else 's'} of count-in"
    played = f"{settings.song!r}, " if settings.song else ""
    how_it_plays = f"{played}{settings.style}, {song.bpm:g} bpm, {song.metres[0][1]}"
    if api == NO_PORTS:
        return (
            "houseband is ready without MIDI ports: `houseband studio` and other clients of the control socket play to "
            f"it ({how_it_plays}); {begin}, Ctrl-C ends it"
        )
    return (
        f"houseband is ready on {api}: play into '{names[0]}', the band answers on '{names[1]}' "
        f"({how_it_plays}); {begin}, Ctrl-C ends it"
    )
