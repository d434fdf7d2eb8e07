"""`houseband run` on JACK with a player that needs no graph. Usage: fake_band.py BPM REPORT.json"""

from __future__ import annotations

import sys
from pathlib import Path

from daemon.commands.run import ready_line
from daemon.conductor import Song
from daemon.live import Setup, play
from daemon.plan import Settings
from daemon.worker import PlayerSpec

if __name__ == "__main__":
    song = Song(bpm=float(sys.argv[1]))
    player = PlayerSpec("tests.worker_players:fake")
    play(
        Setup(player, song, lambda styles: Settings(styles[0]), api="jack", report=Path(sys.argv[2])),
        lambda ports, settings: print(ready_line(ports.api, ports.names, song, settings.style), file=sys.stderr),  # noqa: T201
    )
