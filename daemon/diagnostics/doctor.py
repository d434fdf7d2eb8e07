"""Is this machine fit to play on: findings, each with its remedy.

What is looked at is handed in (paths, modules, limits), so that a test can show every illness.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daemon.core.counters import quantile
from daemon.diagnostics import measure
from daemon.diagnostics.measure import WireLoop
from daemon.midi import port_diagnosis
from daemon.midi.rtmidi_ports import APIS, AUTOMATIC, PortError, quiet, rtmidi_module

GOOD, ODD, BAD = "good", "odd", "bad"
#: tempo that the lookahead of one step should reach
FASTEST = 300
#: bytes that the two processes may want to lock
LOCKED = 256 << 20
#: bytes that a disk should have left for takes, at least
ROOM = 50 << 20
#: what a system's library is called in Debian
PACKAGES = {
    "libportaudio": "libportaudio2",
    "libasound": "libasound2, or libasound2t64",
    "libfluidsynth": "libfluidsynth3",
    "libjack": "libjack-jackd2-0",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """what: what was looked at; state: good, odd (it plays, but less well than it could) or bad (it does not play);
    found: what is the case; remedy: what to do about it, empty for nothing."""

    what: str
    state: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What a band is to play with. takes: the folder of its takes, None for none, which may have takes_limit bytes;
    audio: whether the band is to be heard here."""

    api: str = "auto"
    technique: str = "gan"
    graph: str | None = None
    soundfont: str | None = None
    audio: bool = False
    takes: Path | None = None
    takes_limit: int = 500 << 20


@dataclass(frozen=True, slots=True)
class Examined:
    """All that was found, and figures for programs."""

    findings: tuple[Finding, ...]
    figures: dict[str, float | int | str | None]

    @property
    def fit(self) -> bool:
        """Whether the band can play."""
        return all(finding.state != BAD for finding in self.findings)


def verdict(findings: Sequence[Finding]) -> str:
    """What it comes to, in a line."""
    worst = [finding.what for finding in findings if finding.state == BAD]
    odd = sum(finding.state == ODD for finding in findings)
    if worst:
        return f"The band cannot play like this; mend first: {', '.join(worst)}."
    if odd:
        return f"The band can play; {odd} thing{'s' if odd > 1 else ''} could be better."
    return "All is well: the band can play."


def examine(patient: Patient, tell: Callable[[Finding], None] = lambda _: None) -> Examined:
    """Looks at everything; takes a few seconds. tell: told of every finding at once."""
    findings: list[Finding] = []
    figures: dict[str, float | int | str | None] = {}
    for finding in _look(patient, figures):
        findings.append(finding)
        tell(finding)
    return Examined(tuple(findings), figures)


def _look(patient: Patient, figures: dict[str, float | int | str | None]) -> Iterator[Finding]:
    library = python_rtmidi()
    yield library
    if library.state != BAD:
        running = running_apis(patient.api)
        yield midi_system(patient.api, running)
        if running:
            yield _looped(running[0], figures)
    yield real_time()
    yield locking()
    yield _inference(patient.technique, patient.graph, figures)
    yield _lookahead(figures)
    yield from audio(patient.soundfont, wanted=patient.audio)
    yield takes(patient.takes, patient.takes_limit)


def python_rtmidi() -> Finding:
    """Whether the MIDI library can be loaded, and what it was built for."""
    what = "python-rtmidi"
    try:
        rtmidi = rtmidi_module()
    except PortError as error:
        cause, _, remedy = str(error).partition("; ")
        return Finding(what, BAD, cause, remedy)
    compiled = rtmidi.get_compiled_api()
    names = [name for name, constant in APIS.items() if getattr(rtmidi, constant, None) in compiled]
    if not names:
        return Finding(
            what, BAD, "its build knows no MIDI system", "install a wheel: pip install --force python-rtmidi"
        )
    return Finding(what, GOOD, f"version {rtmidi.get_rtmidi_version()}, built for {', '.join(names)}")


def running_apis(api: str) -> list[str]:
    """The MIDI systems among those asked for that give a port now."""
    rtmidi = rtmidi_module()
    found = []
    for name in AUTOMATIC.get(sys.platform, ("alsa", "jack")) if api == "auto" else (api,):
        code = getattr(rtmidi, APIS[name])
        if code not in rtmidi.get_compiled_api():
            continue
        with quiet(), contextlib.suppress(rtmidi.RtMidiError):
            rtmidi.MidiIn(code, name="houseband doctor").delete()
            found.append(name)
    return found


def midi_system(api: str, running: list[str], places: port_diagnosis.Places | None = None) -> Finding:
    """Which MIDI system runs, and why not, where none does."""
    what = "MIDI system"
    if running:
        return Finding(what, GOOD, f"{running[0]} gives ports" + (f" ({running[1]} would, too)" if running[1:] else ""))
    wanted = AUTOMATIC.get(sys.platform, ("alsa", "jack")) if api == "auto" else (api,)
    reasons = port_diagnosis.diagnose(wanted, places)
    return Finding(what, BAD, "; ".join(reason.cause for reason in reasons), port_diagnosis.remedy(reasons))


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"


def real_time(limit: int | None = None, granted: bool | None = None) -> Finding:
    """Whether the conductor may have real-time priority. limit, granted: instead of asking the system."""
    what = "real-time scheduling"
    if sys.platform != "linux":
        return Finding(what, GOOD, f"{platform.system()} looks after it itself")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0] if limit is None else limit
    if may_be_real_time() if granted is None else granted:
        return Finding(what, GOOD, "granted")
    return Finding(
        what,
        ODD,
        f"not allowed (limit of real-time priority: {limit}); notes may leave late while the machine is busy",
        "put '@audio - rtprio 95' into /etc/security/limits.d/audio.conf, join the group audio "
        f"(sudo usermod -aG audio {_user()}) and log in anew; as a service: LimitRTPRIO=95",
    )


def may_be_real_time() -> bool:
    """Whether the system grants SCHED_FIFO; it is given back at once."""
    from daemon.system.live_world import real_time_section

    with real_time_section():
        return (os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK) == os.SCHED_FIFO


def locking(limit: int | None = None) -> Finding:
    """Whether memory may be kept from being swapped out. limit: bytes, instead of asking the system; -1 for none."""
    what = "memory locking"
    if sys.platform != "linux":
        return Finding(what, GOOD, f"{platform.system()} looks after it itself")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] if limit is None else limit
    if limit in (-1, resource.RLIM_INFINITY) or limit >= LOCKED:
        return Finding(what, GOOD, "as much as is wanted")
    return Finding(
        what,
        ODD,
        f"limited to {limit >> 10} kB; on a machine short of memory JACK clients stall",
        "put '@audio - memlock unlimited' into /etc/security/limits.d/audio.conf and log in anew; "
        "as a service: LimitMEMLOCK=infinity",
    )


def _looped(api: str, figures: dict[str, float | int | str | None]) -> Finding:
    try:
        found = measure.loop(api)
    except PortError as error:
        return Finding("virtual port loop", BAD, str(error), _PORTLESS.get(api, "restart the MIDI system"))
    figures |= {"loop_ms": found.median_ms, "loop_jitter_ms": found.jitter_ms, "loop_lost": found.lost}
    return looped(api, found)


_PORTLESS = {"windows": "make ports with loopMIDI"}


def looped(api: str, found: WireLoop) -> Finding:
    """What a measured loop means."""
    what = "virtual port loop"
    text = f"{api}: latency {found.median_ms:.2f} ms, jitter {found.jitter_ms:.2f} ms (99 of 100)"
    if not found.times:
        return Finding(what, BAD, f"{api}: nothing came round", "restart the MIDI system")
    if found.lost:
        remedy = "give the server real-time priority, or a longer period (jackd -p 256)"
        return Finding(what, ODD, f"{text}, {found.lost} of {found.lost + len(found.times)} messages lost", remedy)
    if found.median_ms > 10 or found.jitter_ms > 3:
        return Finding(
            what, ODD, f"{text}: one can hear that", "a shorter period (jackd -p 128), or real-time priority"
        )
    return Finding(what, GOOD, text)


def _inference(technique: str, graph: str | None, figures: dict[str, float | int | str | None]) -> Finding:
    """Whether the graph plays, and how long a plan takes here."""
    from daemon.players.graph import TECHNIQUES, GraphError
    from daemon.players.load import load_player

    what = "graph and inference"
    remedy = "leave --graph out to play the shipped weights, or write the file anew with `houseband export`"
    if technique not in TECHNIQUES:
        remedy = f"choose --technique {' or '.join(TECHNIQUES)}"
    elif graph is None:
        remedy = "install houseband anew, or name a graph with --graph"
    try:
        with np.errstate(invalid="raise"):
            times = measure.plan_times(load_player(technique, graph), 200)
    except GraphError as error:
        return Finding(what, BAD, str(error), remedy)
    except FloatingPointError:
        return Finding(what, BAD, f"{graph or technique}: it answers with NaN: its weights are broken", remedy)
    except Exception as error:  # noqa: BLE001 - whatever a broken graph raises when it runs
        return Finding(what, BAD, f"{graph or technique}: does not play ({type(error).__name__}: {error})", remedy)
    waits = measure.bare_waits(2.0)
    figures |= {
        "plan_ms_p50": quantile(times, 0.5) / 1e6,
        "plan_ms_p99": quantile(times, 0.99) / 1e6,
        "wait_ms_p50": quantile(waits, 0.5) / 1e6,
        "wait_ms_p99": quantile(waits, 0.99) / 1e6,
    }
    said = f"a plan takes {figures['plan_ms_p50']:.1f} ms (99 of 100 under {figures['plan_ms_p99']:.1f})"
    return Finding(what, GOOD, f"{said}; a bare wait ends {figures['wait_ms_p99']:.2f} ms late (99 of 100)")


def _lookahead(figures: dict[str, float | int | str | None]) -> Finding:
    spent = [figures.get(name) for name in ("plan_ms_p99", "wait_ms_p99")]
    needs = [value for value in spent if isinstance(value, float)]
    if len(needs) < len(spent):
        return Finding("lookahead", ODD, "not known without a graph that plays", "mend the graph first")
    finding, steps = lookahead(sum(needs))
    figures |= {"lookahead_ms": round(1.5 * sum(needs), 2), "lookahead_steps_at_120": steps}
    return finding


def lookahead(needs_ms: float) -> tuple[Finding, int]:
    """How far ahead plans must be asked for that take so long, with half as much to spare; and in steps at 120 bpm."""
    spare = 1.5 * needs_ms
    steps = max(1, math.ceil(spare / 125))
    fastest = 15_000 / spare
    text = f"recommended are {spare:.1f} ms, {steps} step{'s' if steps > 1 else ''} at 120 bpm"
    if fastest >= FASTEST:
        return Finding("lookahead", GOOD, f"{text}; one step is enough at every tempo up to {FASTEST} bpm"), steps
    remedy = "close what else keeps the processor busy, choose its performance governor, or take a smaller graph"
    return Finding("lookahead", ODD, f"{text}; one step is enough up to {fastest:.0f} bpm only", remedy), steps


def audio(
    soundfont: str | None = None,
    load: Callable[[str], object] = importlib.import_module,
    fonts: tuple[Path, ...] = (),
    *,
    wanted: bool = False,
) -> Iterator[Finding]:
    """What --audio would play through. load: imports a module; fonts: where to look instead of the usual places;
    wanted: whether the band is to be heard here, and does not play if it cannot be."""
    from daemon.sound.soundfont import PLACES, SoundFontError, find

    extra = "pip install 'houseband[audio]'"
    silent = BAD if wanted else ODD
    try:
        yield _loudspeaker(load("sounddevice"), silent)
    except ImportError:
        yield Finding("loudspeakers", silent, "sounddevice is not installed; --audio does not work", extra)
    except OSError as error:
        remedy = _library(str(error), "libportaudio")
        yield Finding("loudspeakers", silent, f"sounddevice cannot be used ({error}); --audio does not work", remedy)
    try:
        load("fluidsynth")
        yield Finding("soundfont player", GOOD, "fluidsynth")
    except (ImportError, OSError) as error:
        missing = isinstance(error, ModuleNotFoundError)
        remedy = extra if missing else _library(str(error), "libfluidsynth")
        yield Finding("soundfont player", ODD, f"none ({error}); the built-in synthesiser plays instead", remedy)
    try:
        found = find(soundfont, fonts or PLACES)
    except SoundFontError as error:
        yield Finding("soundfont", silent, str(error), "name one that is there with --soundfont")
        return
    if found is None:
        remedy = "install one (Debian: apt install fluid-soundfont-gm), or name one with --soundfont"
        yield Finding("soundfont", ODD, "there is none; the built-in synthesiser plays instead", remedy)
    else:
        yield Finding("soundfont", GOOD, str(found))


def _library(error: str, usual: str) -> str:
    """How to get the library that a loader names last: the one it could not find."""
    named = re.findall(r"(lib[a-z]+)[\w.-]*\.so", error)
    library = next((name for name in reversed(named) if name in PACKAGES), usual)
    return f"install {library} (Debian: apt install {PACKAGES[library]})"


def _loudspeaker(sounddevice: object, silent: str) -> Finding:
    try:
        with quiet():
            device = sounddevice.query_devices(kind="output")  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - PortAudioError, ValueError: no device
        remedy = "plug one in, or start JACK or PipeWire; `houseband render -o OUT.wav` needs none"
        return Finding("loudspeakers", silent, "no audio device; --audio does not work", remedy)
    return Finding("loudspeakers", GOOD, str(device["name"]))


def takes(where: Path | None, limit: int) -> Finding:
    """Whether what is played can be kept. where: a folder, which need not be there yet, None for not keeping takes."""
    from daemon.takes.recorder import files

    what = "takes"
    if where is None:
        return Finding(what, GOOD, "are not kept, as the configuration says")
    here = next(folder for folder in (where.absolute(), *where.absolute().parents) if folder.exists())
    choose = 'choose another folder: takes = "DIR" in the configuration, or --takes DIR'
    if not here.is_dir() or not os.access(here, os.W_OK | os.X_OK):
        return Finding(what, ODD, f"cannot be kept: {here} is no folder one can write to", choose)
    room = shutil.disk_usage(here).free
    if room < ROOM:
        return Finding(what, ODD, f"{room >> 20} MB are left on the disk of {where}", f"make room, or {choose}")
    there = files(where)
    size = sum(file.stat().st_size for file in there)
    return Finding(what, GOOD, f"{len(there)} in {where}, {size / (1 << 20):.1f} of {limit >> 20} MB")
