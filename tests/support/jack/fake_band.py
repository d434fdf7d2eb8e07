"""`houseband run` on JACK with a player that needs no graph.

Usage: fake_band.py BPM REPORT.json [CLOCK [OUTPUT [PLAYER]]]
PLAYER: a function of tests.support.worker_players. The band's control socket is off.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from daemon.commands.run import describe_start
from daemon.core.settings import Settings
from daemon.engine.song import SongInfo
from daemon.live.connections import Connections
from daemon.live.run import PerformanceSetup, play
from daemon.midi.jack_ports import JackPorts
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.players.worker import PlayerSpec
from daemon.system.log_setup import start_logging


def wedge(kept: ReconnectingPorts) -> None:
    """From now on nothing that is sent arrives, as where JACK has given up on a client."""
    ports: Any = kept._ports
    if isinstance(ports, JackPorts):
        ports._clock = Any  # type: ignore[assignment]  # so that the callback raises, after which JACK does not call again
    else:
        ports._senders[None].close_port()


def ready(ports: ReconnectingPorts, song: SongInfo, settings: Settings) -> None:
    signal.signal(signal.SIGUSR1, lambda *_: wedge(ports))
    print(describe_start(ports.api, ports.names, song, settings), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    bpm, report, *rest = sys.argv[1:]
    clock, output, maker = (*rest, *("auto", "rtmidi", "fake")[len(rest) :])
    start_logging(1)
    song = SongInfo(bpm=float(bpm))
    player = PlayerSpec(f"tests.support.worker_players:{maker}")
    connections = Connections(clock=clock, output=output)
    play(
        PerformanceSetup(
            player,
            song,
            lambda info: Settings(info.styles[0]),
            api="jack",
            report=Path(report),
            connections=connections,
        ),
        ready,
    )
