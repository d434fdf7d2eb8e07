"""The functions of `import houseband`: rendering, regenerating, evaluating, reading charts, talking to a band."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from daemon.core.techniques import DEFAULT_TECHNIQUE
from music.errors import UserError, report_os_errors
from music.files import check_writable, write_atomically
from music.note import Note

if TYPE_CHECKING:
    from daemon.control.client import ControlClient
    from daemon.core.player_info import PlayerInfo
    from daemon.core.settings import Settings
    from daemon.offline.render import RenderOptions
    from daemon.players.ensemble import Ensemble
    from music.charts.chart import Chart

#: the name of a file, or its path
FileName = str | Path
#: called with the share done, 0..1
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Rendering:
    """A band's part that was made, and the MIDI file that it is in."""

    #: the bytes of the file
    data: bytes
    #: role -> its notes, those of the selection where one was regenerated; ticks of 1/24 beat from bar 1
    parts: Mapping[str, tuple[Note, ...]]
    #: the bars that were played, from 1: the first and the last
    bars: tuple[int, int]
    #: the file, where one was written
    file: Path | None = None


def render(
    melody: FileName,
    output: FileName | None = None,
    *,
    style: str | None = None,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    technique: str = DEFAULT_TECHNIQUE,
    graph: FileName | None = None,
    chart: FileName | None = None,
    chord_track: str | None = None,
    bpm: float | None = None,
    offline: bool = False,
    track: str | None = None,
    channel: int | None = None,
    progress: Progress | None = None,
) -> Rendering:
    """Play along with the melody in a MIDI file, as `houseband render` does.

    output: the .mid to write, None for none; settings: control -> value, as `houseband set` takes them, such as
    {"mute.pad": True}; channel: 1..16; progress: called with the share done. The other parameters are the options of
    the command. The same arguments give the same bytes. Raises HousebandError.
    """
    from daemon.engine.song import bar_starts
    from daemon.offline.render import render_file

    player = _load_band(technique, graph)
    options = _build_options(player.info, technique, style, seed, settings, chart, chord_track, bpm, offline=offline)
    if output is not None:
        _check_output(Path(output), Path(melody))
    with report_os_errors(), tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out.mid") if output is None else Path(output)
        done = render_file(Path(melody), target, player, options, track, progress, channel)
        data = target.read_bytes()
    first = len(bar_starts(done.metres, done.begin))
    return Rendering(data, done.parts, (first, first + done.bars - 1), None if output is None else target)


def regenerate(
    source: FileName | bytes,
    output: FileName | None = None,
    *,
    bars: tuple[int, int] | int | None = None,
    roles: Sequence[str] | None = None,
    style: str | None = None,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    technique: str = DEFAULT_TECHNIQUE,
    graph: FileName | None = None,
    chart: FileName | None = None,
    bpm: float | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Rendering:
    """Play some bars of some roles of a rendered MIDI file anew, and leave all else in it as it is, to the byte.

    source: the file, or its bytes; output: the file to write, which may be the same, None for none; bars: the first and
    the last, from 1, one alone, or None for all; roles: of bass, chords, pad and drums, None for all. The others as
    `render` takes them: give those that the file was rendered with, and another seed. Raises HousebandError.
    """
    from daemon.offline import regenerate as regeneration
    from music.midifile import read
    from music.note import ROLES

    name = "" if isinstance(source, bytes) else str(source)
    if not isinstance(source, bytes):
        read(source)  # says what is wrong with it
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    first, last = (bars, bars) if bars is None or isinstance(bars, int) else bars
    chosen = regeneration.Selection(first, last, ROLES if roles is None else tuple(roles))
    if output is not None:
        _check_output(Path(output))
    player = _load_band(technique, graph)
    options = _build_options(player.info, technique, style, seed, settings, chart, None, bpm, offline=offline)
    done = regeneration.regenerate(data, chosen, player, options, progress, name=name)
    if output is not None:
        with report_os_errors():
            write_atomically(Path(output), done.data)
    return Rendering(done.data, done.parts, done.bars, None if output is None else Path(output))


def evaluate(
    data: FileName,
    *,
    style: str | None = None,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    technique: str | None = DEFAULT_TECHNIQUE,
    graph: FileName | None = None,
    modes: Sequence[str] = ("live",),
    chart: FileName | None = None,
    songs: int | None = None,
    bars: int | None = None,
    jobs: int = 1,
) -> dict[str, Any]:
    """Return figures of how good the band's accompaniment is, as `houseband evaluate --json` prints them.

    data: a song with an accompaniment of its own, or a folder of such songs; technique: None for no band, so that only
    what is in the files is measured, beside baselines; modes: `live`, `offline` or both. The others are the options of
    the command. Raises HousebandError.
    """
    from daemon.evaluation.evaluate import EvaluationOptions
    from daemon.evaluation.evaluate import evaluate as measure
    from daemon.evaluation.scoring import BandUnderTest
    from daemon.harmony.chart_line import open_chart

    band = None
    if technique is not None:
        info = _load_band(technique, graph).info
        chosen = _build_settings(info, technique, style, seed, settings)
        band = BandUnderTest(technique, None if graph is None else str(graph), chosen, chosen.style)
    options = EvaluationOptions(
        *(Path(data), "", None, songs, seed, band, style),
        modes=tuple(modes) if band is not None else (),
        chart=open_chart(chart).line if chart else None,
        bars=bars,
        jobs=jobs,
    )
    with report_os_errors():
        return measure(options).as_json()


def read_chart(source: FileName) -> Chart:
    """Return the chord chart in a file (plain text, ChordPro, MusicXML, iReal Pro, MIDI) or in an iReal link.

    Its `bars` are those that are written, `iterate_played()` yields them as they are played, `describe()` is JSON.
    Raises HousebandError.
    """
    from music.charts.reading import read_charts

    return read_charts(source)[0]


def connect(where: str = "auto") -> RunningBand:
    """Connect to the band that `houseband run` plays.

    where: its control socket, as the configuration's `control` has it. Raises HousebandError where none answers.
    """
    from daemon.control.client import ControlClient

    return RunningBand(ControlClient(where))


class RunningBand:
    """A connection to a band that plays, over its control socket. A context manager."""

    def __init__(self, client: ControlClient) -> None:
        """Use a client of the control socket, which is closed with the connection."""
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: str | None = None) -> Any:
        """Return the value of a control, or of a member of the state; None: the whole state."""
        return self._client.ask("get")["state"] if key is None else self._client.ask("get", key=key)["value"]

    def set(self, key: str, value: object = True) -> None:
        """Set a control, once the band has done it; actions such as `fill` need no value."""
        self._client.ask("set", key=key, value=value)

    def panic(self) -> None:
        """End everything that sounds."""
        self._client.ask("panic")

    def play(self, *pitches: int, velocity: int = 80, channel: int = 1) -> None:
        """Begin notes, as if they were played on a keyboard; what is not ended is when the connection is closed."""
        notes = [{"pitch": pitch, "velocity": velocity, "channel": channel} for pitch in pitches]
        self._client.ask("play", notes=notes)

    def release(self, *pitches: int, channel: int = 1) -> None:
        """End notes."""
        self._client.ask("play", notes=[{"pitch": pitch, "on": False, "channel": channel} for pitch in pitches])

    def subscribe(self, *topics: str) -> Iterator[dict[str, Any]]:
        """Subscribe to topics, and return an iterator over the events that come until the band leaves.

        There are notes, heard, plans, edits, tempo, counters, controls, chords, bars and songs; `houseband control`
        describes them.
        """
        self._client.ask("subscribe", to=list(topics))
        return self._client.read_events()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _check_output(output: Path, *inputs: Path) -> None:
    """Raise UserError for a file that cannot be written, or must not be."""
    if output.suffix.lower() == ".wav":
        raise UserError(f"{output}: MIDI files are written here; `houseband render` writes sound")
    check_writable(output, *inputs)


@lru_cache(maxsize=2)
def _load_band(technique: str, graph: FileName | None) -> Ensemble:
    from daemon.players.load import load_band

    return load_band(technique, graph)


def _build_settings(
    player: PlayerInfo, technique: str, style: str | None, seed: int, settings: Mapping[str, object] | None
) -> Settings:
    """Return the settings that arguments stand for. Raises SettingError."""
    from daemon.core.controls import change_settings
    from daemon.core.settings import Settings

    begin = Settings(style=player.get_styles(technique)[0], technique=technique)
    chosen = {"seed": seed, **({} if style is None else {"style": style}), **(settings or {})}
    return change_settings(begin, chosen.items(), player)


def _build_options(
    player: PlayerInfo,
    technique: str,
    style: str | None,
    seed: int,
    settings: Mapping[str, object] | None,
    chart: FileName | None,
    chord_track: str | None,
    bpm: float | None,
    *,
    offline: bool,
) -> RenderOptions:
    """Return the options of a rendering. Raises SettingError, ChartError."""
    from daemon.harmony.chart_line import open_chart
    from daemon.offline.render import RenderOptions

    given = dict(settings or {})
    line = open_chart(chart or str(given["chart"])).line if chart or given.get("chart") else None
    if line is not None or chord_track is not None or given.get("split") or given.get("chord_channel"):
        given.setdefault("harmony", "auto")
    chosen = _build_settings(player, technique, style, seed, given)
    return RenderOptions(chosen, bpm=bpm, offline=offline, chart=line, chord_track=chord_track)
