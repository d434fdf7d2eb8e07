"""The process of a performance for the plugin of a DAW, as the user's configuration has it."""

from __future__ import annotations

import logging
import socket
import sys

from daemon.commands import run
from daemon.config.cli_options import LoadedConfig
from daemon.control.owner_lock import find_owner
from daemon.control.protocol import AUTO, OFF, resolve_address
from daemon.core import wire
from daemon.live.remote_control import RemoteControl
from daemon.plugin.session import SessionSetup, play_session
from daemon.system.log_setup import start_logging
from daemon.system.paths import find_runtime_folder
from music.errors import HousebandError

log = logging.getLogger(__name__)


def _build_setup(loaded: LoadedConfig, number: int) -> SessionSetup:
    config = loaded.config
    song, chart = run.open_song(config)
    control = _choose_control_address(config.control, number)
    return SessionSetup(
        player=run.build_player_spec(config),
        song=song,
        chart=chart,
        settings=config.make_settings,
        book=config.book,
        channel=config.melody_channel,
        remote=RemoteControl(config.gestures, loaded.learned, None, config.presets, control, "plugin"),
    )


def _choose_control_address(control: str, number: int) -> str:
    """Return the address of a performance's control socket: the usual one where no band has it, else one of its own."""
    if control == OFF or resolve_address(control) == OFF:
        return OFF
    if number == 1 and control == AUTO and find_owner(resolve_address(AUTO)) is None:
        return AUTO
    return str(find_runtime_folder() / f"control-plugin-{number}.sock")


def play_for_project(number: str, channel: str) -> None:
    """Play for a project, in a process of its own.

    number: of the performance, from 1; channel: the number of the open file that connections come through.
    """
    loaded = run.load_options(wire.receive(sys.stdin.buffer))
    start_logging(loaded.config.verbose)
    try:
        play_session(_build_setup(loaded, int(number)), socket.socket(fileno=int(channel)))
    except HousebandError as error:
        log.error("the performance for a project of a DAW: %s", error)
        sys.exit(error.exit_code)
