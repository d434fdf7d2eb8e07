# Types of houseband.py for type checkers: Python looks for those of a single module here only (PEP 561).
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
