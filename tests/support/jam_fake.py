"""`houseband jam` with a player that needs no graph. Usage: jam_fake.py OUT.mid BARS API [--plain] [--sound] [--click]

--sound: what would be heard is written to OUT.mid.sound, as the audio process is told it.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from daemon.commands.jam import describe_output
from daemon.core.settings import Settings
from daemon.live import jam
from daemon.live.jam import JamSetup, play
from daemon.players.worker import PlayerSpec
from daemon.sound.audio import Audio, AudioSetup
from music.tunes import TUNES

if __name__ == "__main__":
    output, bars, api = sys.argv[1:4]
    os.environ["KEPT_SOUND"] = f"{output}.sound"
    setattr(jam, "Audio", partial(Audio, target="tests.support.audio_children:keep"))  # noqa: B010
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
