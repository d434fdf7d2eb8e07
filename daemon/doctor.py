"""Is this machine fit to play on: findings, each with its remedy.

What is looked at is handed in (paths, modules, limits), so that a test can show every illness.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon import measure
from daemon.measure import Loop, quantile
from daemon.ports import APIS, AUTOMATIC, PortError, quiet, rtmidi_module

GOOD, ODD, BAD = "good", "odd", "bad"
#: tempo that the lookahead of one step should reach
FASTEST = 300
#: bytes that the two processes may want to lock
LOCKED = 256 << 20
SEQUENCER = Path("/dev/snd/seq")
JACK_FILES = Path("/dev/shm")  # noqa: S108 - where JACK's servers leave their names


@dataclass(frozen=True, slots=True)
class Finding:
    """what: what was looked at; state: good, odd (it plays, but less well than it could) or bad (it does not play);
    found: what is the case; remedy: what to do about it, empty for nothing."""

    what: str
    state: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """All that was found, and figures for programs."""

    findings: tuple[Finding, ...]
    figures: dict[str, float | int | str | None]


def examine(
    api: str = "auto", technique: str = "gan", graph: str | None = None, soundfont: str | None = None
) -> Examined:
    """Looks at everything; takes a few seconds."""
    figures: dict[str, float | int | str | None] = {}
    findings = [python_rtmidi()]
    running: list[str] = []
    if findings[0].state != BAD:
        running = running_apis(api)
        findings.append(midi_system(api, running))
    findings += [real_time(), locking()]
    if running:
        findings.append(_looped(running[0], figures))
    findings += [_inference(technique, graph, figures), _lookahead(figures), *audio(soundfont)]
    return Examined(tuple(findings), figures)


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


def midi_system(api: str, running: list[str], sequencer: Path = SEQUENCER, jack: Path = JACK_FILES) -> Finding:
    """Which MIDI system runs, and why not, where none does."""
    what = "MIDI system"
    if running:
        return Finding(what, GOOD, f"{running[0]} gives ports" + (f" ({running[1]} would, too)" if running[1:] else ""))
    wanted = AUTOMATIC.get(sys.platform, ("alsa", "jack")) if api == "auto" else (api,)
    reasons = [reason for name in wanted for reason in (_why_not(name, sequencer, jack),) if reason]
    causes = "; ".join(cause for cause, _ in reasons) or f"{' and '.join(wanted)}: no ports"
    remedies = [remedy for _, remedy in reasons if remedy]
    if any("permission" in cause for cause, _ in reasons):  # the nearest way: what is there already
        remedies = [remedy for cause, remedy in reasons if "permission" in cause]
    return Finding(what, BAD, causes, "; or ".join(remedies))


def _why_not(api: str, sequencer: Path, jack: Path) -> tuple[str, str] | None:
    if api == "alsa":
        if not sequencer.exists():
            return "ALSA: the kernel has no sequencer", "load it: sudo modprobe snd-seq"
        if not os.access(sequencer, os.R_OK | os.W_OK):
            group = f"sudo usermod -aG {_group(sequencer)} {_user()}, then log in anew"
            return f"ALSA: no permission to open {sequencer}", group
        return f"ALSA: {sequencer} is there, but gives no ports", "see whether another program holds it: fuser -v"
    if api == "jack":
        others = sorted(_jack_users(jack) - {_user_id()})
        if others:
            text = f"JACK: no permission, the server is that of user {others[0]}"
            return text, "start houseband as the same user, or a JACK server of your own"
        return "JACK: no server runs", "start a JACK server: jackd -d alsa, qjackctl or PipeWire's"
    if api == "windows":
        return "Windows: no MIDI ports", "install loopMIDI and make two ports, 'houseband in' and 'houseband out'"
    return f"{api}: gives no ports", ""


def _jack_users(folder: Path) -> set[int]:
    """The user ids of JACK servers that have been here."""
    found = set()
    for file in [*folder.glob("jack_default_*"), *folder.glob("jack-*-*"), *folder.glob("jack_sem.*_*")]:
        with contextlib.suppress(OSError):
            found.add(file.stat().st_uid)
    return found


def _group(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError, NotImplementedError):
        return "audio"


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


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
    from daemon.realtime import undisturbed

    with undisturbed():
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


def looped(api: str, found: Loop) -> Finding:
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
    from daemon.players.load import load_player
    from daemon.session import GraphError

    what = "graph and inference"
    remedy = "leave --graph out to play the shipped weights, or write the file anew with `houseband export`"
    if graph is None:
        remedy = "install houseband anew, or name a graph with --graph"
    try:
        times = measure.plan_times(load_player(technique, graph), 80)
    except GraphError as error:
        return Finding(what, BAD, str(error), remedy)
    except Exception as error:  # noqa: BLE001 - whatever a broken graph raises when it runs
        return Finding(what, BAD, f"{graph or technique}: does not play ({type(error).__name__}: {error})", remedy)
    waits = measure.bare_waits(1.0)
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
    text = f"{spare:.1f} ms, {steps} step{'s' if steps > 1 else ''} at 120 bpm"
    if fastest >= FASTEST:
        return Finding("lookahead", GOOD, f"{text}; one step is enough at every tempo up to {FASTEST} bpm"), steps
    remedy = "close what else keeps the processor busy, choose its performance governor, or take a smaller graph"
    return Finding("lookahead", ODD, f"{text}; one step is enough up to {fastest:.0f} bpm only", remedy), steps


def audio(
    soundfont: str | None = None, load: Callable[[str], object] = importlib.import_module, fonts: tuple[Path, ...] = ()
) -> Iterator[Finding]:
    """What --audio would play through. load: imports a module; fonts: where to look instead of the usual places."""
    from daemon.soundfont import PLACES, SoundFontError, find

    extra = "pip install 'houseband[audio]'"
    try:
        sounddevice = load("sounddevice")
        yield _loudspeaker(sounddevice)
    except ImportError:
        yield Finding("loudspeakers", ODD, "sounddevice is not installed; --audio does not work", extra)
    except OSError as error:
        remedy = "install PortAudio (Debian: apt install libportaudio2)"
        yield Finding("loudspeakers", ODD, f"sounddevice cannot be used ({error})", remedy)
    try:
        load("fluidsynth")
        yield Finding("soundfont player", GOOD, "fluidsynth")
    except (ImportError, OSError) as error:
        remedy = f"{extra} and the system's fluidsynth (Debian: apt install libfluidsynth3)"
        yield Finding("soundfont player", ODD, f"none ({error}); the built-in synthesiser plays instead", remedy)
    try:
        found = find(soundfont, fonts or PLACES)
    except SoundFontError as error:
        yield Finding("soundfont", BAD, str(error), "name one that is there with --soundfont")
        return
    if found is None:
        remedy = "install one (Debian: apt install fluid-soundfont-gm), or name one with --soundfont"
        yield Finding("soundfont", ODD, "there is none; the built-in synthesiser plays instead", remedy)
    else:
        yield Finding("soundfont", GOOD, str(found))


def _loudspeaker(sounddevice: object) -> Finding:
    try:
        with quiet():
            device = sounddevice.query_devices(kind="output")  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - PortAudioError, ValueError: no device
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "plug one in, or start JACK or PipeWire; `render -o OUT.wav` needs none"
        return Finding("loudspeakers", ODD, f"no audio device ({said})", remedy)
    return Finding("loudspeakers", GOOD, str(device["name"]))
