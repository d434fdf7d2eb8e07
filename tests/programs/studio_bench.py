"""How fast the studio is, and what it costs the band, on this machine, as JSON; needs Debian's Chromium.

    python -m tests.programs.studio_bench [--seconds 20] [--rounds 3] [--only start,keys,frames,lateness]

- start: seconds from the command to its address, to a page's greeting, to the band, and to the band's first note.
- keys: milliseconds from a key that is pressed on the page until the page is told that the band has heard it, until it
  has painted that, and until its sound is in the analyser.
- frames: the share of frames that were dropped while the band plays at 180 bpm and the page shows it.
- lateness: how late the band sends what it plays at 180 bpm, in pairs of bands: one alone, and one with a page that
  shows it and is hammered (notes, changes of controls and requests, as fast as the page can make them).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from daemon.control.client import ClientError, ControlClient, NoBandError
from daemon.core.counters import quantile
from tests.support.studio import StudioProcess, make_environment, open_page

BPM = 180
KEYS = 24
#: keys of the computer's keyboard that play, one after the other
CODES = ("KeyZ", "KeyX", "KeyC", "KeyV", "KeyB", "KeyN", "KeyM")
MELODY = (60, 62, 64, 67, 69, 67, 64, 62)
PAGE_READY = "() => window.houseband?.ready && window.houseband.live.hasBand"

#: listens for a key, for what is heard, painted and sounds; the times are those of performance.now()
WATCH_KEYS = """
async () => {
    const { on } = await import("/static/js/bus.js");
    const watched = { heard: [], painted: [], sounds: [] };
    window.watchedKeys = watched;
    let began = NaN;
    addEventListener("keydown", (event) => {
        began = event.timeStamp;
        const analyser = window.houseband.synth?.analyser;
        if (!analyser) return;
        const samples = new Float32Array(analyser.fftSize);
        const look = () => {
            analyser.getFloatTimeDomainData(samples);
            const passed = performance.now() - event.timeStamp;
            if (samples.some((sample) => Math.abs(sample) > 1e-3)) watched.sounds.push(passed);
            else if (passed < 500) setTimeout(look, 1);
        };
        look();
    }, { capture: true });
    on("live:heard", (heard) => {
        if (!heard.on) return;
        const since = began;
        watched.heard.push(performance.now() - since);
        requestAnimationFrame(() => setTimeout(() => watched.painted.push(performance.now() - since)));
    });
}
"""
HAMMER = """
() => {
    const { live } = window.houseband;
    let count = 0;
    const strike = () => {
        for (let each = 0; each < 4; each += 1) {
            const on = (count += 1) % 2 === 1;
            live.request("play", { pitch: 84 + (count >> 1) % 12, on }).catch(() => {});
            live.request("set", { key: "level.pad", value: (count % 100) / 100 }).catch(() => {});
            live.request("get", {}).catch(() => {});
        }
        setTimeout(strike, 4);
    };
    strike();
}
"""


def describe(values: list[float]) -> dict[str, float | int]:
    """Return what is told of times: how many, the median, the 99th percentile, the longest."""
    figures = {
        name: round(quantile(values, share), 3) for name, share in (("median", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    return {"count": len(values), **figures}


@contextlib.contextmanager
def browse(studio: StudioProcess) -> Iterator[Page]:
    """Open the studio's page in Chromium."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SystemExit("needs Chromium (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(studio.url)
        page.wait_for_function(PAGE_READY, timeout=60_000)
        yield page
        browser.close()


def measure_start(folder: Path) -> dict[str, float]:
    """Start a studio and play one note as soon as there is a band."""
    begun = time.monotonic()
    found = {}
    with StudioProcess(folder, "--api", "none") as studio:
        found["address_s"] = time.monotonic() - begun
        with open_page(studio) as page:
            found["greeting_s"] = time.monotonic() - begun
            page.wait_for_band()
            found["band_s"] = time.monotonic() - begun
            page.ask("play", pitch=60)
            page.read_until(lambda message: message.get("event") == "note" and message["on"])
            found["first_note_s"] = time.monotonic() - begun
    return {name: round(value, 3) for name, value in found.items()}


def measure_keys(folder: Path) -> dict[str, Any]:
    """Press keys on the page, one after the other."""
    with StudioProcess(folder, "--api", "none") as studio, browse(studio) as page:
        page.mouse.click(600, 300)
        page.evaluate(WATCH_KEYS)
        page.wait_for_function("() => window.houseband.synth?.state === 'ready'", timeout=60_000)
        # what the band plays would be taken for the key's sound
        page.evaluate("() => window.houseband.live.set('stop', true)")
        for number in range(KEYS):
            code = CODES[number % len(CODES)]
            page.keyboard.down(code)
            page.wait_for_timeout(40)
            page.keyboard.up(code)
            page.wait_for_timeout(1600)  # until the room is silent again
        watched = page.evaluate("() => window.watchedKeys")
    return {f"key_to_{name}_ms": describe(values) for name, values in watched.items()}


def measure_frames(folder: Path, seconds: float) -> dict[str, Any]:
    """Let the band play at 180 bpm and count the frames of the roll."""
    with StudioProcess(folder, "--api", "none", "--bpm", str(BPM)) as studio, browse(studio) as page, play(studio):
        page.wait_for_timeout(3000)
        page.evaluate("() => window.houseband.frames.reset()")
        page.wait_for_timeout(1000 * seconds)
        found: dict[str, Any] = page.evaluate(
            """() => {
                const { painted, dropped, worstMs, paintMs, share } = window.houseband.frames;
                return { painted, dropped, share, worst_ms: worstMs, paint_ms: paintMs / painted };
            }"""
        )
    return found


def measure_lateness(folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure pairs of bands, alone and with a page that is hammered, the first of either kind in turns."""
    kinds: dict[str, Callable[[Path, float], dict[str, Any]]] = {"alone": run_alone, "hammered": run_hammered}
    pairs = []
    for number in range(rounds):
        order = list(kinds) if number % 2 else list(reversed(kinds))
        pairs.append({kind: kinds[kind](folder / f"{kind}-{number}", seconds) for kind in order})
    worse = [pair["hammered"]["lateness_ms"]["p99"] - pair["alone"]["lateness_ms"]["p99"] for pair in pairs]
    return {"pairs": pairs, "p99_worse_by_ms": worse}


def run_alone(folder: Path, seconds: float) -> dict[str, Any]:
    """Return what a band reports that nobody watches."""
    environment, report = make_environment(folder), folder / "report.json"
    options = ["--api", "none", "--bpm", str(BPM), "--report", str(report)]
    band = subprocess.Popen([sys.executable, "-m", "daemon", "run", *options], env=environment)
    try:
        with feed(folder):
            time.sleep(seconds)
    finally:
        band.terminate()
        band.wait(30)
    return read_report(report)


def run_hammered(folder: Path, seconds: float) -> dict[str, Any]:
    """Return what the studio's band reports, of which a page is open and hammers it."""
    report = folder / "report.json"
    options = ["--api", "none", "--bpm", str(BPM), "--set", f"report={report}"]
    with StudioProcess(folder, *options) as studio, browse(studio) as page:
        page.evaluate(HAMMER)
        with feed(folder):
            page.wait_for_timeout(1000 * seconds)
    return read_report(report)


def read_report(path: Path) -> dict[str, Any]:
    """Return the figures of a band's report that say how late it was."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: found[name] for name in ("isr", "onsets", "dropped", "lateness_ms")}


def play(studio: StudioProcess) -> contextlib.AbstractContextManager[None]:
    """Play a melody to a studio's band while the block runs."""
    return feed(Path(studio.environment["HOME"]))


@contextlib.contextmanager
def feed(folder: Path) -> Iterator[None]:
    """Play eighths to the band whose files lie below a folder, while the block runs, from when the band is there."""
    where, ended, ready = str(folder / "run" / "houseband" / "control.sock"), threading.Event(), threading.Event()

    def run() -> None:
        client = None
        while client is None and not ended.wait(0.1):
            with contextlib.suppress(NoBandError):
                client = ControlClient(where)
        ready.set()
        if client is None:
            return
        with contextlib.closing(client), contextlib.suppress(ClientError):
            due, number, eighth_s = time.monotonic(), 0, 30 / BPM
            while not ended.wait(max(0.0, due - time.monotonic())):
                pitch = MELODY[number % len(MELODY)]
                client.ask("play", pitch=pitch)
                ended.wait(0.8 * eighth_s)
                client.ask("play", pitch=pitch, on=False)
                due, number = due + eighth_s, number + 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        if not ready.wait(60):
            raise SystemExit("there is no band")
        yield
    finally:
        ended.set()
        thread.join()


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="start,keys,frames,lateness")
    given = parser.parse_args()
    asked = given.only.split(",")
    with tempfile.TemporaryDirectory(prefix="studio-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        measurements: dict[str, Callable[[], object]] = {
            "start": lambda: [measure_start(folder / f"start-{number}") for number in range(2)],
            "keys": lambda: measure_keys(folder / "keys"),
            "frames": lambda: measure_frames(folder / "frames", given.seconds),
            "lateness": lambda: measure_lateness(folder / "lateness", given.seconds, given.rounds),
        }
        found = {name: measure() for name, measure in measurements.items() if name in asked}
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg(), **found}, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
