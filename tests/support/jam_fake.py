"""`houseband jam` with a player that needs no graph.

Usage: jam_fake.py OUT.mid BARS API [--plain] [--sound] [--click] [--ports]

--sound: what would be heard is written to OUT.mid.sound, as the audio process is told it. --ports: plays to a port
`synth:in` of a MIDI system that exists in this process alone; if it is killed, what would end its notes is written to
$SILENCER_TOLD.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from daemon.commands.jam import describe_output
from daemon.core.settings import Settings
from daemon.live import jam
from daemon.live.crash_silencer import CrashSilencer
from daemon.live.jam import JamSetup, play
from daemon.midi.ports import PortError, PortRequest, StartedKeys
from daemon.players.worker import PlayerSpec
from daemon.sound.audio import Audio, AudioSetup
from music.tunes import TUNES


def open_ports(request: PortRequest) -> Any:
    """Open ports of no MIDI system, which keep the keys that were begun like others."""
    started = StartedKeys(request.keys)
    return SimpleNamespace(
        api="jack",
        names=("houseband in", "houseband out"),
        note=None,
        loses_ends=True,
        latency_ns=0,
        listen=lambda now, put: None,
        send=lambda data, due, at=None: started.add(data),
        find_failure=lambda: None,
        find_listeners=lambda: ["synth:in"],
        end_notes=lambda: None,
        close=lambda: None,
    )


def refuse_feed(api: str, name: str, target: str) -> None:
    """Open no melody port."""
    raise PortError(f"no {target} on {api} for {name}")


def use_made_up_ports() -> None:
    setattr(jam, "backends", SimpleNamespace(open_ports=open_ports))  # noqa: B010
    setattr(jam, "open_feed", refuse_feed)  # noqa: B010
    setattr(jam, "CrashSilencer", partial(CrashSilencer, "tests.support.silencer_child:watch"))  # noqa: B010


if __name__ == "__main__":
    output, bars, api = sys.argv[1:4]
    os.environ["KEPT_SOUND"] = f"{output}.sound"
    setattr(jam, "Audio", partial(Audio, target="tests.support.audio_children:keep"))  # noqa: B010
    if "--ports" in sys.argv:
        use_made_up_ports()
    done = play(
        JamSetup(
            PlayerSpec("tests.support.worker_players:fake"),
            TUNES["ode"].cut(int(bars)),
            400,
            lambda player: Settings(player.styles[0]),
            lambda _: Path(output),
            api,
            plain="--plain" in sys.argv,
            sound=AudioSetup("--sound" in sys.argv, click="--click" in sys.argv),
        ),
        lambda ports, sound, _: print(describe_output(ports, sound), flush=True),  # noqa: T201
    )
    print(f"written: {done.path}", flush=True)  # noqa: T201
