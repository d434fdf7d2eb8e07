"""Scenes with the plugin in a real DAW (Ardour 7, headless): what the tracks play, sample by sample.

    python -m tests.programs.daw.plugin [SCENE ...]

Needs `../shared/tools/daw` beside the checkout, Debian's ardour and lv2-dev, and a C compiler; Ardour runs without JACK
and hardware. A session has the plugin on the melody's track and on one for each role, and behind each a witness that
writes down what it hears. Scenes: takes (four, recorded), loop (of four bars), tempo (a change and a ramp), locate
(while it rolls), six_eight, two_two, reload (saved and opened again), export (faster than real time), killed (the band,
by kill -9), two (projects at once, and a third). One JSON line for each; exit status 1 where a bound is missed.
`late_notes` are those for which the band took too long: where the machine has other things to do, play it again.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mido

from daemon.plugin import bundles
from daemon.plugin.lines import READY, VERSION
from tests.programs.daw.scenes import ROOT, TOOLS, edit, melody_file, tools

HERE = Path(__file__).resolve().parent
LUA, WITNESS = HERE / "plugin.lua", HERE / "witness.lv2"
RATE = 48_000
TRACKS = ("Melody", "Bass", "Chords", "Pad", "Drums")
#: seconds that the band may take to get ready, Ardour for a scene, and the band to end after it
READY_S, SCENE_S, END_S = 60, 240, 40
#: samples by which a note may lie beside its tick, for both round
MOST_DEVIATION = 1.0
#: and where the tempo rises: Ardour tells where it is in parts of a beat, which are 12 samples long at 120
MOST_RAMP_DEVIATION = 13
#: Ardour at its end, or in its export, gets stuck or crashes now and then, without any plugin, too
TRIES = 3


@dataclass(frozen=True)
class Heard:
    """A MIDI message, or a place of the transport, as a witness wrote it down."""

    track: str
    passed: int  #: samples since the first block
    frame: int  #: of the song
    speed: float
    data: bytes  #: empty: the transport

    @property
    def is_band(self) -> bool:
        """True for what is no melody, which passes through the plugin on its track, on channel 1."""
        return self.track != TRACKS[0] or bool(self.data and self.data[0] & 15)

    @property
    def begins(self) -> bool:
        """True where a note begins."""
        return len(self.data) == 3 and self.data[0] & 0xF0 == 0x90 and self.data[2] > 0

    @property
    def ends(self) -> bool:
        """True where a note ends."""
        return len(self.data) == 3 and self.data[0] & 0xE0 == 0x80 and not self.begins


@dataclass
class Played:
    """What came of a scene."""

    heard: list[Heard]
    said: str  #: by Ardour
    grid: list[int] = field(default_factory=list)  #: the sample of each tick

    @property
    def exported_in_s(self) -> float:
        """The seconds that the export took."""
        return float(re.findall(r"EXPORT_SECONDS ([\d.]+)", self.said)[0])


class Studio:
    """A user's folders: the plugins, the band's socket, the sessions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "run" / "plugin.sock"
        self.socket.parent.mkdir(mode=0o700)
        self.lv2 = folder / "lv2"
        bundles.build(folder / "built", "")
        shutil.copytree(folder / "built" / bundles.LV2_BUNDLE, self.lv2 / bundles.LV2_BUNDLE)
        shutil.copytree(WITNESS, self.lv2 / "witness.lv2")
        flags = ["-std=c11", "-O2", "-fPIC", "-shared", "-o", str(self.lv2 / "witness.lv2" / "witness.so")]
        done = subprocess.run(["cc", *flags, str(WITNESS / "witness.c")], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the witness cannot be built; it needs Debian's lv2-dev: {done.stderr[-500:]}")
        starter = folder / "houseband"
        starter.write_text(
            f"#!/bin/sh\ncd {ROOT}\necho $$ > {folder}/band.pid\n"
            f'exec {sys.executable} -m daemon "$@" >> {folder}/band.log 2>&1\n'
        )
        starter.chmod(0o755)
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LV2_PATH": f"{self.lv2}:/usr/lib/lv2",
            "HOUSEBAND_PLUGIN_SOCKET": str(self.socket),
            "HOUSEBAND_PROGRAM": str(starter),
        }

    def make(self, name: str, tempos: str = "0:120", metre: str = "4/4") -> Path:
        """Make a session with a melody and return its folder."""
        session, log = self.folder / name, self.folder / f"{name}-make.log"
        for _ in range(TRIES):
            shutil.rmtree(session, ignore_errors=True)
            self._lua(log, None, "make", session, name, tempos, metre)
            if (session / f"{name}.ardour").exists() and "Error" not in log.read_text(errors="replace"):
                break
        else:
            raise SystemExit(f"Ardour made no session: {log.read_text(errors='replace')[-1000:]}")
        tools().put_melody(session, name, melody_file(self.folder / "melody.mid", 120), 0)
        return session

    def play(self, session: Path, script: str, *, act: Callable[[Path], None] | None = None) -> Played:
        """Let Ardour play a session by a script; act: called meanwhile with the session's folder."""
        player = Ardour(self, session, script)
        if act is not None:
            act(session)
        return player.finish()

    def get_session_id(self, session: Path) -> str:
        """Return the id that the plugin's instances have in a saved session."""
        ids: set[str] = {
            found
            for path in session.glob("plugins/*/state*/*.ttl")
            for found in re.findall(r"^session (\w+)$", path.read_text(), re.M)
        }
        if len(ids) != 1:
            raise SystemExit(f"the instances of one session have these ids: {sorted(ids)}")
        return ids.pop()

    def ask_band(self, session: str, seconds: float = READY_S) -> str:
        """Return READY once the band is ready for a session, or why it is not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(max(0.1, deadline - time.monotonic()))
                    connection.connect(str(self.socket))
                    connection.sendall(f"hello {VERSION} {session} a test\nplays 0 0\n".encode())
                    for line in connection.makefile():
                        word, *rest = line.split(" ", 2)
                        if word == "refused" or (word == "state" and rest[0] == str(READY)):
                            return word if word == "state" else rest[1].strip()
                        connection.sendall(b"ping\n")
            except OSError:
                time.sleep(0.1)
        return "nobody answers"

    def wait_band_gone(self) -> bool:
        """Tell whether the band that the plugin started ends by itself."""
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            if not self.find_band():
                return True
            time.sleep(0.2)
        return False

    def find_band(self) -> int:
        """Return the id of the band's process, 0 where there is none."""
        try:
            pid = int((self.folder / "band.pid").read_text())
            return pid if b"daemon" in Path(f"/proc/{pid}/cmdline").read_bytes() else 0
        except (OSError, ValueError):
            return 0

    def _lua(self, log: Path, folder: Path | None, *arguments: object) -> None:
        with log.open("w") as out:
            command = ["ardour7-lua", str(LUA), *map(str, arguments)]
            environment = {**self.environment, "HOUSEBAND_WITNESS": str(folder or "")}
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(command, env=environment, stdout=out, stderr=subprocess.STDOUT, timeout=60, check=False)


class Ardour:
    """An Ardour that plays a session."""

    def __init__(self, studio: Studio, session: Path, script: str) -> None:
        self._studio, self._session = studio, session
        self._folder = Path(tempfile.mkdtemp(prefix=f"{session.name}-", dir=studio.folder))
        self._log = self._folder / "ardour.log"
        for mark in ("ready", "started"):
            (session / mark).unlink(missing_ok=True)
        command = ["ardour7-lua", str(LUA), "play", str(session), session.name, script]
        with self._log.open("w") as out:
            self._process = subprocess.Popen(
                command,
                env={**studio.environment, "HOUSEBAND_WITNESS": str(self._folder)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.answer = ""

    def make_ready(self) -> str:
        """Let Ardour go on once the band is ready; return why it is not, if so."""
        self.answer = self._studio.ask_band(self._studio.get_session_id(self._session))
        (self._session / "ready").touch()
        return self.answer

    def wait_mark(self, word: str) -> None:
        """Wait until the script has made a mark."""
        while not (self._session / word).exists() and self._process.poll() is None:
            time.sleep(0.02)

    def finish(self) -> Played:
        """Wait for its end and return what was heard."""
        try:
            if not self.answer:
                self.make_ready()
            self._process.wait(SCENE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        said = self._log.read_text(errors="replace")
        if "xruns" not in said:
            raise Stuck(f"Ardour did not come to its end: {said[-500:]}")
        heard = [each for path in sorted(self._folder.glob("*.txt")) for each in read_witness(path)]
        return Played(heard, said, [int(sample) for sample in re.findall(r"GRID\s+\d+\s+(\d+)", said)])


class Stuck(Exception):
    """Ardour got stuck."""


def read_witness(path: Path) -> list[Heard]:
    found = []
    for line in path.read_text(errors="replace").splitlines():
        number, passed, frame, speed, data = line.split(" ")
        found.append(
            Heard(
                TRACKS[int(number)],
                int(passed),
                int(frame),
                float(speed),
                b"" if data.startswith("at") else bytes.fromhex(data),
            )
        )
    return found


# What was heard


def list_notes(heard: Sequence[Heard], track: str | None = None) -> list[Heard]:
    """Return the beginnings of the band's notes: of the melody's track only what is on the band's channels."""
    return [each for each in heard if each.begins and each.is_band and track in (None, each.track)]


def find_deviation(note: Heard, grid: Sequence[int]) -> int:
    """Return the samples by which a note lies beside the nearest tick."""
    i = bisect.bisect(grid, note.frame)
    return min(abs(note.frame - grid[j]) for j in (i - 1, i) if 0 <= j < len(grid))


def split_late(heard: Sequence[Heard], grid: Sequence[int]) -> tuple[list[Heard], list[Heard]]:
    """Return the band's notes without those that came late, and these: they begin with a block, beside their tick."""
    starts = {(each.track, each.passed) for each in heard if not each.data}
    notes = list_notes(heard)
    late = [
        note for note in notes if (note.track, note.passed) in starts and find_deviation(note, grid) > MOST_DEVIATION
    ]
    return [note for note in notes if note not in late], late


def find_hanging(heard: Sequence[Heard]) -> int:
    """Return how many notes of the band never ended."""
    on: set[tuple[str, int, int]] = set()
    for each in heard:
        if each.begins and each.is_band:
            on.add((each.track, each.data[0] & 15, each.data[1]))
        elif each.ends:
            on.discard((each.track, each.data[0] & 15, each.data[1]))
    return len(on)


def list_stretches(heard: Sequence[Heard], track: str) -> list[list[Heard]]:
    """Return what was heard on a track while the transport rolled, apart at each start and jump."""
    found: list[list[Heard]] = []
    expected: tuple[int, int] | None = None
    for each in heard:
        if each.track != track:
            continue
        if not each.data:
            went_on = expected is not None and each.frame - expected[1] == each.passed - expected[0]
            if each.speed and not went_on:
                found.append([])
            expected = (each.passed, each.frame) if each.speed else None
        elif found and each.speed:
            found[-1].append(each)
    return found


def tell_takes(heard: Sequence[Heard]) -> list[list[tuple[str, int, int, int]]]:
    """Return the notes of each stretch of all roles, as (track, frame, pitch, velocity)."""
    by_track = [list_stretches(heard, track) for track in TRACKS[1:]]
    return [
        sorted(
            (note.track, note.frame, note.data[1], note.data[2])
            for stretch in stretches
            for note in list_notes(stretch)
        )
        for stretches in zip(*by_track, strict=True)
    ]


def measure(played: Played) -> dict[str, Any]:
    """Return the figures that every scene has."""
    notes, late = split_late(played.heard, played.grid)
    return {
        "notes": {track: len(list_notes(played.heard, track)) for track in TRACKS},
        "worst_deviation_samples": max((find_deviation(note, played.grid) for note in notes), default=None),
        "late_notes": len(late),
        "hanging": find_hanging(played.heard),
        "xruns": int(re.findall(r"xruns\s+(\d+)", played.said)[-1]),
    }


def check(figures: dict[str, Any], most_deviation: float = MOST_DEVIATION) -> list[str]:
    """Return the names of the figures that every scene has and that miss their bounds."""
    wrong = [f"notes of {track}" for track in TRACKS[1:] if not figures["notes"][track]]
    if figures["notes"]["Melody"]:
        wrong.append("the melody's track plays what other tracks play")
    if figures["worst_deviation_samples"] is None or figures["worst_deviation_samples"] > most_deviation:
        wrong.append("worst_deviation_samples")
    return wrong + [name for name in ("hanging", "late_notes") if figures[name]]


def play_takes(studio: Studio) -> dict[str, Any]:
    """Record four takes."""
    session = studio.make("takes")
    take = "arm goto:0 roll at:32 stop "
    played = studio.play(session, "grid:40 connect ready wait:1 " + take * 4 + "save")
    takes = [[note for note in take if note[1] < 31 * RATE // 2] for take in tell_takes(played.heard)]
    recorded = read_recorded(session)
    figures = {
        **measure(played),
        "takes": [len(take) for take in takes],
        "equal": len(takes) == 4 and all(take == takes[0] for take in takes),
        "recorded": {track: [len(take) for take in takes] for track, takes in recorded.items()},
        "recorded_worst_ms": max(
            (
                abs(beat * 24 - round(beat * 24)) * 500 / 24
                for takes in recorded.values()
                for take in takes
                for beat, _ in take
            ),
            default=None,
        ),
    }
    wrong = check(figures)
    if not figures["equal"]:
        wrong.append("takes")
    if any(len(counts) != 4 or not all(counts) for counts in figures["recorded"].values()):
        wrong.append("recorded")
    return {**figures, "missed": wrong}


def read_recorded(session: Path) -> dict[str, list[list[tuple[float, int]]]]:
    """Return what was recorded, by track and take: the quarter at which a note begins, and its key."""
    root = ET.parse(session / f"{session.name}.ardour").getroot()
    files = {source.get("id"): source.get("name") for source in root.iterfind("Sources/Source")}
    found: dict[str, list[list[tuple[float, int]]]] = {f"Rec{track}": [] for track in TRACKS[1:]}
    for playlist in root.iterfind("Playlists/Playlist"):
        for region in playlist:
            if (track := str(playlist.get("name"))) not in found:
                continue
            at = find_quarter(str(region.get("length")).split("@")[1]) - find_quarter(str(region.get("start")))
            song = mido.MidiFile(
                session / "interchange" / session.name / "midifiles" / str(files[region.get("source-0")])
            )
            notes, now = [], 0
            for message in mido.merge_tracks(song.tracks):
                now += message.time
                if message.type == "note_on" and message.velocity:
                    notes.append((at + now / song.ticks_per_beat, message.note))
            found[track].append(notes)
    return found


def find_quarter(place: str) -> float:
    """Return the quarter of a place in a session at 120 beats a minute, which Ardour writes in ticks or superclocks."""
    return int(place[1:]) / 1920 if place[0] == "b" else int(place[1:]) / 282_240_000 * 2


def play_loop(studio: Studio) -> dict[str, Any]:
    """Play four bars, bars 3 to 6, four times."""
    session = studio.make("loop")
    edit(session, session.name, lambda root: add_range(root, 8, 24))
    played = studio.play(session, "grid:40 ready goto:8 loop wait:0.1 roll rounds:4:16 wait:1 stop")
    begin, end = 8 * RATE // 2, 24 * RATE // 2
    rounds = tell_takes(played.heard)
    # Ardour tells of the round in the block after: what it says lies behind the loop's end is at its beginning
    seams = [[note for note in notes if note[1] >= end] for notes in rounds]
    figures = {
        **measure(played),
        "rounds": [len(notes) for notes in rounds],
        "at_the_seam": [sum(abs(frame - end) <= 1 for _, frame, *_ in notes) for notes in seams],
        "behind_the_seam": [sum(frame - end > 1 for _, frame, *_ in notes) for notes in seams],
        "before": sum(frame < begin for notes in rounds for _, frame, *_ in notes),
    }
    wrong = check(figures)
    if len(rounds) < 4 or not all(figures["at_the_seam"][:3]) or figures["before"]:
        wrong.append("rounds")
    return {**figures, "missed": wrong}


def add_range(root: ET.Element, begin: int, end: int) -> None:
    """Give a saved session a loop range, for which Ardour's Lua has no function; in quarters."""
    places = root.find("Locations")
    places = ET.SubElement(root, "Locations") if places is None else places
    number = int(root.get("id-counter", "0"))
    place = {
        "id": str(number),
        "name": "Loop",
        "start": f"b{begin * 1920}",
        "end": f"b{end * 1920}",
        "flags": "IsAutoLoop",
    }
    ET.SubElement(places, "Location", {**place, "locked": "0", "timestamp": "0", "cue": "0"})
    root.set("id-counter", str(number + 1))


def play_tempo(studio: Studio) -> dict[str, Any]:
    """Play over changes of the tempo and a ramp."""
    session = studio.make("tempo", "0:120 12:84 20:90-150 32:150 36:200")
    played = studio.play(session, "grid:50 ready goto:0 roll at:44 stop goto:24 roll at:34 stop")
    return plain(played, MOST_RAMP_DEVIATION)


def plain(played: Played, most_deviation: float = MOST_DEVIATION) -> dict[str, Any]:
    """Return the figures of a scene that has only those of every scene."""
    figures = measure(played)
    return {**figures, "missed": check(figures, most_deviation)}


def play_locate(studio: Studio) -> dict[str, Any]:
    """Locate while it rolls, on and beside bar lines."""
    session = studio.make("locate")
    rolling = "goto:0 roll at:13.3 locate:32 at:45.7 locate:5 at:12.9 locate:48 at:56 stop"
    played = studio.play(session, f"grid:70 ready {rolling} goto:8 roll at:16 stop")
    stretches = tell_takes(played.heard)
    figures = {**measure(played), "stretches": [len(notes) for notes in stretches]}
    wrong = check(figures)
    if len(stretches) != 5 or not all(figures["stretches"]):
        wrong.append("stretches")
    return {**figures, "missed": wrong}


def play_six_eight(studio: Studio) -> dict[str, Any]:
    """Play in 6/8."""
    session = studio.make("six", metre="6/8")
    return plain(studio.play(session, "grid:40 ready goto:0 roll at:32 stop goto:9 roll at:18 stop"))


def play_two_two(studio: Studio) -> dict[str, Any]:
    """Play in 2/2."""
    session = studio.make("half", metre="2/2")
    return plain(studio.play(session, "grid:40 ready goto:0 roll at:32 stop goto:9 roll at:18 stop"))


def play_reload(studio: Studio) -> dict[str, Any]:
    """Play, turn controls, play, save; open again, and play the same."""
    session = studio.make("reload")
    before = studio.get_session_id(session)
    once = "goto:0 roll at:24 stop "
    turns = "set:Melody:6:1 set:Melody:9:0.4 wait:0.5 "
    first = studio.play(session, f"grid:32 ready {once}{turns}{once}save")
    state = read_states(session)
    second = studio.play(session, f"grid:32 ready {once}save")
    plain_take, turned, again = [
        [note for note in take if note[1] < 23 * RATE // 2]
        for take in tell_takes(first.heard) + tell_takes(second.heard)
    ]
    figures = {
        **measure(second),
        "same_session": before == studio.get_session_id(session),
        "same_state": state == read_states(session),
        "turned": plain_take != turned,
        "same_notes": turned == again,
    }
    wrong = [name for name in ("same_session", "same_state", "turned", "same_notes") if not figures[name]]
    return {**figures, "missed": check(figures) + wrong}


def read_states(session: Path) -> list[str]:
    """Return the newest state of each instance in a saved session."""
    newest = [
        max(folder.glob("state*/state.ttl"), key=lambda path: int(path.parent.name[5:]))
        for folder in sorted(session.glob("plugins/*"))
    ]
    return [path.read_text() for path in newest]


def play_export(studio: Studio) -> dict[str, Any]:
    """Export what was played live."""
    session = studio.make("song")
    live = studio.play(session, "grid:40 ready goto:0 roll at:32 stop save")
    export = studio.play(session, "grid:40 ready wait:1 export:32")
    heard, exported = (
        [note for note in tell_takes(each.heard)[-1] if note[1] < 31 * RATE // 2] for each in (live, export)
    )
    figures = {
        **measure(export),
        "seconds_of_music": 16,
        "exported_in_s": export.exported_in_s,
        "live": len(heard),
        "missing": len(set(heard) - set(exported)),
        "other": len(set(exported) - set(heard)),
    }
    wrong = check(figures)
    if heard != exported:
        wrong.append("exported notes")
    if figures["exported_in_s"] >= figures["seconds_of_music"]:
        wrong.append("exported_in_s")
    return {**figures, "missed": wrong}


def play_killed(studio: Studio) -> dict[str, Any]:
    """Kill the band while it plays; the plugin starts another."""
    session = studio.make("killed")
    killed: list[int] = []

    def kill(session: Path) -> None:
        while not (session / "started").exists():
            time.sleep(0.05)
        killed.append(studio.find_band())
        os.kill(killed[0], signal.SIGKILL)
        (session / "killed").touch()

    ardour = Ardour(studio, session, "grid:130 ready goto:0 roll at:12 mark:started at:80 stop")
    ardour.make_ready()
    kill(session)
    played = ardour.finish()
    frames = [note.frame for note in list_notes(played.heard)]
    gaps = sorted(((b - a) / RATE, a / RATE) for a, b in zip(sorted(frames), sorted(frames)[1:], strict=False))
    figures = {
        **measure(played),
        "silence_s": [round(each, 3) for each in gaps[-1]],
        "stretches": len(list_stretches(played.heard, "Bass")),
        "last_note_s": round(max(frames) / RATE, 3),
        "restarted": studio.find_band() not in (0, killed[0]),
    }
    wrong = check(figures)
    if figures["last_note_s"] < 39:
        wrong.append("last_note_s")
    return {**figures, "missed": wrong}


def play_two(studio: Studio) -> dict[str, Any]:
    """Play two projects at once, and a third, for which the band has no place."""
    names = ("one", "another", "third")
    sessions = [studio.make(name) for name in names]
    script = "grid:40 ready goto:0 roll at:24 stop wait:6"
    studio.wait_band_gone()  # it keeps the places of projects that have been closed for a moment
    ardours, answers = [], []
    for session in sessions:
        ardours.append(Ardour(studio, session, script))
        answers.append(ardours[-1].make_ready() if len(ardours) < 3 else "")
    answers[2] = studio.ask_band(studio.get_session_id(sessions[2]))
    ardours[2].answer = answers[2]
    (sessions[2] / "ready").touch()
    found = [ardour.finish() for ardour in ardours]
    figures = {name: measure(played) for name, played in zip(names, found, strict=True)}
    wrong = [f"{name}: {each}" for name in names[:2] for each in check(figures[name])]
    if not answers[2].startswith("houseband plays for 2 projects already"):
        wrong.append("answers")
    return {**figures, "answers": answers, "missed": wrong}


SCENES: dict[str, Callable[[Studio], dict[str, Any]]] = {
    "takes": play_takes,
    "loop": play_loop,
    "tempo": play_tempo,
    "locate": play_locate,
    "six_eight": play_six_eight,
    "two_two": play_two_two,
    "reload": play_reload,
    "export": play_export,
    "killed": play_killed,
    "two": play_two,
}


def run_scene(name: str, keep: Path | None) -> dict[str, Any]:
    """Play a scene in folders of its own, again where Ardour got stuck."""
    for left in reversed(range(TRIES)):
        with tempfile.TemporaryDirectory(prefix=f"plugin-{name}-", ignore_cleanup_errors=True) as folder:
            studio = Studio(Path(folder))
            try:
                figures = SCENES[name](studio)
                if not studio.wait_band_gone():
                    figures["missed"].append("the band that the plugin started goes on")
                return {"scene": name, **figures}
            except Stuck as error:
                if not left:
                    return {"scene": name, "missed": [str(error)]}
                sys.stderr.write(f"{name}: {error}; once more\n")
            finally:
                if keep is not None:
                    shutil.copytree(folder, keep / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    raise AssertionError


def check_programs() -> None:
    """Raise SystemExit where something is missing, and say what."""
    if not TOOLS.exists():
        raise SystemExit("the scenes need ../shared/tools/daw beside the checkout, and it is not there")
    for program, package in (("ardour7-lua", "ardour"), ("cc", "gcc")):
        if not shutil.which(program):
            raise SystemExit(f"the scenes need {program}, and it is not there: install Debian's {package}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {', '.join(SCENES)} (default: all)")
    parser.add_argument("--keep", type=Path, help="a folder for what was written down")
    args = parser.parse_args()
    check_programs()
    failed = False
    for name in args.scenes or SCENES:
        if name not in SCENES:
            parser.error(f"no scene {name!r}; there are {', '.join(SCENES)}")
        figures = run_scene(name, args.keep)
        failed |= bool(figures["missed"])
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
