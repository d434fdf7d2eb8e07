"""Scenes with a real DAW (Ardour, headless) as clock master: what happens on stage beside one take at one tempo.

    python -m tests.programs.daw.scenes [SCENE ...] [--output rtmidi|jack] [--period 1024] [--player fake|gan]

Needs `../shared/tools/daw/daw.py` beside the checkout and Debian's ardour, jackd2, jack-tools. Scenes: take (one
tempo), tempo (two changes), loop, relocate (while it rolls), stop (in the middle, and on again). One JSON line for
each: how far the band's onsets lie from the clock's own sixteenths, in JACK's frames (deviation from the mean, ms);
how soon after Stop and jumps the last note ended; how many bars begin where the DAW's do; what was left on. Exit
status 1 when a bound is missed. A scene with xruns says nothing about timing: run it again or with a longer --period.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
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

from music.note import TICKS_PER_BEAT
from music.tunes import TUNES
from tests.support.jack.stage import PRIORITY, dumped, realtime

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TOOLS = ROOT.parent / "shared" / "tools" / "daw" / "daw.py"
RATE = 48_000
BEATS = 96
#: how often a scene is played until it has no more xruns than that: the server, too, can get stuck while clients come
TAKES, MOST_XRUNS = 3, 4
#: what happens (see scene.lua), and after which events (in clock messages) the first beat is no matter of timing
SCENES = {
    "take": "goto:0,roll,at:64,stop,wait:1",
    "tempo": "goto:0,roll,at:24,tempo:90,at:40,tempo:140,at:64,stop,wait:1",
    "loop": "goto:0,loop,roll,wait:24,stop,wait:1",
    "relocate": "goto:0,roll,at:13.3,locate:32,at:41.7,locate:5,at:12.9,locate:64,at:80,stop,wait:1",
    "stop": "goto:0,roll,at:14.4,stop,wait:2,roll,at:30.2,stop,wait:1,goto:8,roll,at:24,stop,wait:1",
}
LOOP = (8, 16)  # beats
SUPERCLOCKS = 282_240_000  # Ardour's, a second


@dataclass
class Clocked:
    """A stretch of the DAW's clock: the frames of its ticks, and the position (ticks) of the first."""

    position: int
    ticks: list[int] = field(default_factory=list)
    end: int = 1 << 62  # the frame of what ended it

    def place(self, frame: int) -> float | None:
        """Ticks since the beginning of the stretch, None outside."""
        if not self.ticks or not self.ticks[0] - 400 <= frame < self.end:
            return None
        after = next((i for i, tick in enumerate(self.ticks) if tick > frame), len(self.ticks))
        if after == 0:
            return (frame - self.ticks[0]) / (self.ticks[1] - self.ticks[0]) if len(self.ticks) > 1 else 0.0
        if after == len(self.ticks):
            last = self.ticks[-1] - self.ticks[-2] if after > 1 else 1000
            return after - 1 + (frame - self.ticks[-1]) / last
        return after - 1 + (frame - self.ticks[after - 1]) / (self.ticks[after] - self.ticks[after - 1])


def stretches(messages: Sequence[tuple[int, bytes]]) -> tuple[list[Clocked], list[int]]:
    """The clock's stretches, and the frames of its stops."""
    found: list[Clocked] = []
    stops: list[int] = []
    position = 0
    for frame, data in messages:
        if data[0] in (0xFA, 0xFB):
            if found:
                found[-1].end = min(found[-1].end, frame)
            found.append(Clocked(0 if data[0] == 0xFA else position))
        elif data[0] == 0xF2:
            position = data[1] | data[2] << 7
        elif data[0] == 0xFC:
            stops.append(frame)
            if found:
                found[-1].end = min(found[-1].end, frame)
        elif data[0] == 0xF8 and found and frame < found[-1].end:
            found[-1].ticks.append(frame)
    return [stretch for stretch in found if stretch.ticks], stops


def apart(recorded: Sequence[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """The DAW's clock and the band's notes, of what one recorder heard: each counts frames from its own beginning."""
    clock = [message for message in recorded if message[1][0] >= 0xF0]
    return clock, [message for message in recorded if message[1][0] < 0xF0]


def measure_scene(clock: Sequence[tuple[int, bytes]], band: Sequence[tuple[int, bytes]]) -> dict[str, Any]:
    """Return the figures of a scene."""
    found, stops = stretches(clock)
    away: list[float] = []
    bars: list[int] = []
    early: list[float] = []
    for frame, data in band:
        if data[0] & 0xF0 != 0x90 or not data[2]:
            continue
        for stretch in found:
            place = stretch.place(frame)
            if place is None:
                continue
            ms = (place - round(place / 6) * 6) * span(stretch, place) / RATE * 1000
            settled = place > TICKS_PER_BEAT and not changed(stretch, int(place))
            (away if settled else early).append(ms)
            if data[1] == 36 and settled:  # the player marks the bar
                bars.append((stretch.position + round(place / 6) * 6) % 96)
            break
    mean = sum(away) / len(away) if away else 0.0
    scatter = sorted(abs(ms - mean) for ms in away)
    quiet = [silent_after(band, stop) for stop in stops]
    return {
        "notes": len(away) + len(early),
        "mean_ms": round(mean, 3),
        "sd_ms": round((sum(x * x for x in scatter) / max(1, len(scatter))) ** 0.5, 3),
        "p99_ms": round(scatter[int(0.99 * (len(scatter) - 1))], 3) if scatter else None,
        "worst_ms": round(scatter[-1], 3) if scatter else None,
        "stretches": len(found),
        "positions": [stretch.position for stretch in found],
        "silent_after_stop_ms": round(max(quiet, default=0.0), 1),
        "bars": len(bars),
        "bars_in_step": sum(bar == 0 for bar in bars),
        "hanging": len(left_on(band)),
    }


def span(stretch: Clocked, place: float) -> float:
    """Frames in a tick there."""
    i = min(max(0, int(place)), len(stretch.ticks) - 2)
    return stretch.ticks[i + 1] - stretch.ticks[i] if len(stretch.ticks) > 1 else 1000.0


def changed(stretch: Clocked, place: int) -> bool:
    """Return True where the tempo changed within the last beat."""
    gaps = [b - a for a, b in zip(stretch.ticks, stretch.ticks[1:], strict=False)]
    last = gaps[max(0, place - TICKS_PER_BEAT - 1) : place + 1]
    return bool(last) and max(last) - min(last) > 8


def silent_after(band: Sequence[tuple[int, bytes]], stop: int) -> float:
    """Return the time (ms) from a stop to the end of the last note that sounded then."""
    on: set[tuple[int, int]] = set()
    last = stop
    for frame, data in band:
        key = data[0] & 0x0F, data[1]
        if data[0] & 0xF0 == 0x90 and data[2]:
            if frame > stop:
                if not on:
                    break
                if frame < stop + RATE // 20:  # begun on its way, while Stop was on its own
                    on.add(key)
                continue
            on.add(key)
        elif data[0] & 0xF0 in (0x80, 0x90) and key in on:
            on.discard(key)
            last = max(last, frame)
    return (last - stop) / RATE * 1000 if not on else 1e9


def left_on(band: Sequence[tuple[int, bytes]]) -> set[tuple[int, int]]:
    """Return the notes that never ended."""
    on: set[tuple[int, int]] = set()
    for _, data in band:
        key = data[0] & 0x0F, data[1]
        if data[0] & 0xF0 == 0x90 and data[2]:
            on.add(key)
        elif data[0] & 0xF0 in (0x80, 0x90):
            on.discard(key)
    return on


def melody_file(path: Path, bpm: float) -> Path:
    """A bundled tune, over and over."""
    tune = next(iter(TUNES.values()))
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
    length = tune.bars * tune.metre.ticks_per_bar
    events = []
    for again in range(BEATS * TICKS_PER_BEAT // length + 1):
        for note in tune.notes:
            start = note.start + again * length
            if start >= 0 and start + note.length < BEATS * TICKS_PER_BEAT:
                events += [(start * 20, 1, note.pitch), ((start + note.length) * 20 - 5, 0, note.pitch)]
    now = 0
    for tick, on, pitch in sorted(events):
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=90 * on, time=tick - now))
        now = tick
    song.save(path)
    return path


def add_loop(root: ET.Element) -> None:
    """Gives a saved session a loop range, for which the DAW's Lua has no function."""
    number = int(root.get("id-counter", "0"))
    places = root.find("Locations")
    if places is None:
        places = ET.SubElement(root, "Locations")
    begin, end = (beat * 60 / 120 * SUPERCLOCKS for beat in LOOP)
    ET.SubElement(
        places,
        "Location",
        {
            "id": str(number), "name": "Loop", "start": f"a{begin:.0f}", "end": f"a{end:.0f}", "flags": "IsAutoLoop",
            "locked": "0", "timestamp": "0", "cue": "0",
        },
    )  # fmt: skip
    root.set("id-counter", str(number + 1))


def edit(session: Path, name: str, change: Callable[[ET.Element], None]) -> None:
    """Changes a saved session."""
    file = session / f"{name}.ardour"
    tree = ET.parse(file)
    change(tree.getroot())
    tree.write(file, encoding="UTF-8", xml_declaration=True)


EDITS = {"loop": add_loop}


def tools() -> Any:
    """The DAW script that takes one take. Raises SystemExit where it is absent."""
    if not TOOLS.exists():
        raise SystemExit("the scenes need ../shared/tools/daw/daw.py beside the checkout, and it is not there")
    spec = importlib.util.spec_from_file_location("daw", TOOLS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start_jack(daw: Any, period: int, log: Path, priority: bool) -> subprocess.Popen[bytes]:
    """A server without hardware, by the name that the DAW script looks for. Raises SystemExit."""
    command = ["jackd", *(["--realtime", f"-P{PRIORITY}"] if priority else ["--no-realtime"]), "-n", daw.SERVER]
    command += ["-d", "dummy", "-r", str(RATE), "-p", str(period), "-C", "0", "-P", "0"]
    for _ in range(5):  # a server that has just gone can still hold its name
        with log.open("w") as out:
            server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        subprocess.run(["jack_wait", "-w", "-t", "5"], env=daw.ENV, capture_output=True, check=False)
        if server.poll() is None:
            return server
        time.sleep(1)
    raise SystemExit(f"jackd did not start: {log.read_text(errors='replace')[-500:]}")


def play(scene: str, output: str, period: int, player: str, keep: Path | None = None) -> dict[str, Any]:
    """Plays a scene. keep: a folder for what was recorded. Raises SystemExit when the DAW or the band does not come
    up."""
    daw = tools()
    work = Path(tempfile.mkdtemp(prefix=f"scene-{scene}-"))
    session, name = work / "scene", "scene"
    priority = realtime()
    running: list[subprocess.Popen[Any]] = []
    environment = {**daw.ENV, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    try:
        running.append(start_jack(daw, period, work / "jackd.log", priority))
        daw.make_session(session, name, 120, work / "make.log")
        daw.put_melody(session, name, melody_file(work / "melody.mid", 120), 0)
        if scene in EDITS:
            edit(session, name, EDITS[scene])
        dump = (work / "witness.txt").open("w")
        command = ["stdbuf", "-oL", "jack_midi_dump", "-a", "witness"]
        running.append(subprocess.Popen(command, env=environment, stdout=dump, stderr=subprocess.DEVNULL))
        report = work / "report.json"
        band = [sys.executable, "-m", "daemon", "run", "--api", "jack", "--output", output, "--clock", "midi"]
        band += ["--control", "off", "--report", str(report)]
        if player != "gan":
            band = [sys.executable, "-m", "tests.support.jack.fake_band", "120", str(report), "midi", output, player]
        said = (work / "band.log").open("w")
        program = subprocess.Popen(band, env=environment, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        running.append(program)
        ins, outs = appeared(daw, program, work)
        roll = rolled(daw, session, name, SCENES[scene], (ins, outs), work / "roll.log")
        program.terminate()
        program.wait(20)
        time.sleep(1)
        running[1].terminate()
        running[1].wait(5)
        recorded = dumped((work / "witness.txt").read_text(errors="replace"))
        figures = json.loads(report.read_text(encoding="utf-8"))
        xruns = re.search(r"xruns\s+(\d+)", roll)
        return {
            "scene": scene,
            "output": output,
            "period": period,
            "realtime": priority,
            **measure_scene(*apart(recorded)),
            "isr": figures["isr"],
            "jumps": figures["jumps"],
            "clock_lost": figures["clock_lost"],
            "jitter_p99_ms": figures["clock_jitter_ms"]["p99"],
            "exit": program.returncode,
            "xruns": int(xruns[1]) if xruns else None,
        }
    finally:
        for process in reversed(running):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if keep is not None:
            shutil.copytree(work, keep / f"{scene}-{output}-{period}", dirs_exist_ok=True)
        shutil.rmtree(work, ignore_errors=True)


def appeared(daw: Any, program: subprocess.Popen[Any], work: Path) -> tuple[str, str]:
    """The band's ports, once they are there."""
    for _ in range(100):
        ins = daw.ports(r"(?i)houseband.*in$", "input")
        outs = daw.ports(r"(?i)houseband.*out$", "output")
        if ins and outs:
            return ins, outs
        if program.poll() is not None:
            break
        time.sleep(0.2)
    raise SystemExit(f"the band's ports did not appear: {(work / 'band.log').read_text()[-1000:]}")


def rolled(daw: Any, session: Path, name: str, script: str, ports: tuple[str, str], log: Path) -> str:
    """Lets the DAW play the script to its end; what it printed. Its start races with JACK now and then."""
    one = str(max(os.sched_getaffinity(0)))  # its start races with JACK's on more
    command = ["taskset", "-c", one, "ardour7-lua", str(HERE / "scene.lua"), str(session), name, *ports, script]
    for _ in range(4):
        with log.open("w") as out:
            subprocess.run(command, env=daw.ENV, stdout=out, stderr=subprocess.STDOUT, timeout=240, check=False)
        if "ENGINE_HALTED" not in log.read_text(errors="replace"):
            break
    return log.read_text(errors="replace")


def bounds(output: str, period: int) -> dict[str, float]:
    """The most a figure may be: timing within a period and a ms through python-rtmidi, within a ms through JACK-Client;
    silence at once, which is a way in and a way out; nothing left on."""
    ms = period / RATE * 1000
    return {
        "p99_ms": round(ms + 1, 3) if output == "rtmidi" else 1.0,
        "silent_after_stop_ms": round(4 * ms + 10, 3),
        "hanging": 0,
        "exit": 0,
    }


def missed(found: dict[str, Any]) -> list[str]:
    """The figures of a scene that miss their bounds; bars must begin where the DAW's do, and where the server lost
    nothing no tick may be missed."""
    most = bounds(found["output"], found["period"])
    wrong = [name for name, bound in most.items() if found[name] is None or found[name] > bound]
    if not found["bars"] or found["bars_in_step"] < found["bars"]:
        wrong.append("bars_in_step")
    if found["xruns"] == 0 and found["clock_lost"]:
        wrong.append("clock_lost")
    return wrong


def main() -> int:
    """Plays the scenes and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {', '.join(SCENES)} (default: all)")
    parser.add_argument("--output", choices=["rtmidi", "jack"], default="rtmidi")
    parser.add_argument("--period", type=int, default=1024)
    parser.add_argument("--keep", type=Path, help="a folder for what was recorded")
    parser.add_argument("--player", default="marks", help="marks (no graph, says where bars begin), fake, or gan")
    args = parser.parse_args()
    good = True
    for scene in args.scenes or SCENES:
        if scene not in SCENES:
            parser.error(f"no scene {scene!r}; there are {', '.join(SCENES)}")
        found: dict[str, Any] = {}
        for take in range(1, TAKES + 1):
            found = {"takes": take, **play(scene, args.output, args.period, args.player, args.keep)}
            if found["xruns"] is not None and found["xruns"] <= MOST_XRUNS:
                break
        found["bounds"], found["missed"] = bounds(args.output, args.period), missed(found)
        good = good and not found["missed"]
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
