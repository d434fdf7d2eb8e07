"""houseband for scripts: render accompaniments, play bars anew, evaluate, read charts, talk to a band that plays.

    import houseband

    houseband.render("melody.mid", "song.mid", style="jazz", seed=7)
    houseband.regenerate("song.mid", "song.mid", bars=(5, 6), roles=["bass"], style="jazz", seed=9)

    with houseband.connect() as band:
        band.set("intensity", 0.9)
        band.play(60, 64, 67)
        for event in band.subscribe("bars", "chords"):
            print(event)

docs/scripting.md has a longer example. Files may be named by strings or paths. Every error is a `HousebandError`, whose
text is a sentence.
"""

from __future__ import annotations

from daemon.api import Rendering, RunningBand, connect, evaluate, read_chart, regenerate, render
from music.charts.chart import Chart
from music.errors import HousebandError
from music.note import Metre, Note

__all__ = [
    "Chart",
    "HousebandError",
    "Metre",
    "Note",
    "Rendering",
    "RunningBand",
    "connect",
    "evaluate",
    "read_chart",
    "regenerate",
    "render",
]
