"""`houseband jam` with a player that needs no graph. Usage: jam_fake.py OUT.mid BARS API [--plain]"""

from __future__ import annotations

import sys
from pathlib import Path

from daemon.commands.jam import where
from daemon.jam import Setup, play
from daemon.plan import Settings
from daemon.worker import PlayerSpec
from music.tunes import TUNES

if __name__ == "__main__":
    output, bars, api = sys.argv[1:4]
    done = play(
        Setup(
            PlayerSpec("tests.worker_players:fake"),
            TUNES["ode"].first_bars(int(bars)),
            400,
            lambda styles: Settings(styles[0]),
            lambda _: Path(output),
            api,
            plain="--plain" in sys.argv,
        ),
        lambda ports, _: print(where(ports), flush=True),  # noqa: T201
    )
    print(f"written: {done.path}", flush=True)  # noqa: T201
