"""`houseband run`: play along live, through virtual MIDI ports."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.config.cli_options import Chosen, config_from, config_options
from daemon.config.config import Config
from daemon.core.errors import report_os_errors
from daemon.players.worker import PlayerSpec, PreloadedWorker
from daemon.system import journald, memory, sd_notify
from music.note import TICKS_PER_BEAT

if TYPE_CHECKING:
    from daemon.engine.song import SongInfo
    from daemon.live.listeners import Listeners
    from daemon.live.run import PerformanceSetup


@click.command(short_help="Play along live, through virtual MIDI ports.")
@config_options
def command(file: Path | None, assigned: tuple[str, ...], **values: object) -> None:
    """Open the MIDI input `houseband in` and the output `houseband out`, and play along with what is heard.

    The first note starts the band and is bar 1, beat 1. Bass is on channel 2, chords on 3, pad on 4, drums on 10.
    Ctrl-C ends it and leaves no note on. While it plays, MIDI gestures turn its controls (`houseband learn --list`),
    and so do `houseband set`, `panic`, `status` and `top`. Every option is also a key of the configuration
    (`houseband config`), which holds where an option is not given.

    Windows has no virtual ports: make two with loopMIDI, called `houseband in` and `houseband out`, or name others
    with --in-port and --out-port.
    """
    chosen = config_from(file, assigned, values)
    start_logging(chosen.config.verbose)
    if sd_notify.is_managed():
        memory.disable_huge_pages()  # before there is a process to be given them, too
    with closing(PreloadedWorker(player_of(chosen.config))) as preloaded:
        from daemon.live.run import (  # after the options have been looked at, and while the player is loaded
            PerformanceSetup,
            play,
        )

        setup = replace(
            setup_of(chosen, PerformanceSetup),
            reload=(chosen.config, lambda: config_from(file, assigned, values).config),
            preloaded=preloaded,
        )
        with report_os_errors():
            play(
                setup,
                lambda ports, settings: (
                    None
                    if journald.stderr_is_journal()
                    else click.echo(ready_line(ports.api, ports.names, setup.song, settings.style), err=True)
                ),
            )
    if setup.record is not None:
        click.echo(f"take written to {setup.record}", err=True)


def setup_of(chosen: Chosen, make: type[PerformanceSetup]) -> PerformanceSetup:
    """The live performance that a configuration describes."""
    from daemon.live.connections import Connections
    from daemon.live.remote_control import RemoteControl

    said = chosen.config
    return make(
        player=player_of(said),
        song=song_of(said),
        settings=said.settings,
        api=said.api,
        in_port=said.in_port,
        out_port=said.out_port,
        record=said.record,
        report=said.report,
        channel=said.in_channel,
        connections=Connections.from_config(said.values),
        listeners=listeners_of(said),
        remote=RemoteControl(
            said.gestures, chosen.learned, chosen.learned_file, said.presets, said.control, said.programs
        ),
    )


def player_of(said: Config) -> PlayerSpec:
    """The players that a configuration names."""
    return PlayerSpec("daemon.players.load:load_band", (said.technique, str(said.graph) if said.graph else None))


def listeners_of(said: Config) -> Listeners:
    """Who is told of what is played: the recorder of takes, and the loudspeakers."""
    from daemon.live.listeners import Listeners
    from daemon.sound.audio import AudioSetup
    from daemon.takes.storage import find_folder

    values = said.values
    sound = AudioSetup(bool(values["audio"]), str(values["soundfont"] or "") or None, bool(values["click"]))
    if sound.click and not sound.on:
        logging.getLogger(__name__).warning("the click is heard with --audio only")
    return Listeners(find_folder(str(values["takes"])), int(str(values["takes_mb"])) << 20, sound)


def song_of(said: Config) -> SongInfo:
    """The song that a configuration describes."""
    from daemon.engine.song import SongInfo

    pickup = round(said.pickup * TICKS_PER_BEAT)
    return SongInfo(bpm=said.bpm, metres=((0, said.metre),), pickup=pickup, count_in=said.count_in)


def ready_line(api: str, names: tuple[str, str], song: SongInfo, style: str) -> str:
    """What is said when it can begin."""
    begin = f"{song.count_in} bars of count-in" if song.count_in else "the first note starts the band"
    return (
        f"houseband is ready on {api}: play into '{names[0]}', the band answers on '{names[1]}' "
        f"({style}, {song.bpm:g} bpm, {song.metres[0][1]}); {begin}, Ctrl-C ends it"
    )


def start_logging(verbose: int) -> None:
    """Messages to stderr, or to the journal where that is the same: warnings, with -v what happens, with -vv
    everything."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    if journald.stderr_is_journal():
        faulthandler.enable()  # the watchdog's SIGABRT says where it was stuck
        with contextlib.suppress(OSError):
            logging.basicConfig(level=level, format="%(message)s", handlers=[journald.JournalHandler()])
            for name in (
                "daemon.live.service_mode",
                "daemon.live.reload",
                "daemon.midi.alsa_reconnect",
            ):  # once at a start or a reload
                logging.getLogger(name).setLevel(min(level, logging.INFO))
            return
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
