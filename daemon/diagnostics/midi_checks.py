"""Checks of the MIDI library, the MIDI system, and how fast messages pass through it."""

from __future__ import annotations

from daemon.diagnostics import measure
from daemon.diagnostics.check import BAD, GOOD, ODD, CheckContext, CheckResult
from daemon.diagnostics.measure import PortLoop
from daemon.midi import port_diagnosis
from daemon.midi.backends import find_running_apis
from daemon.midi.ports import NO_PORTS, PortError
from daemon.midi.rtmidi_library import API_CONSTANTS, choose_apis, find_api, load_rtmidi

#: a loop that is slower than this, or strays further, can be heard
MAX_LATENCY_MS, MAX_JITTER_MS = 10, 3


def check_rtmidi(_: CheckContext) -> list[CheckResult]:
    """Load the MIDI library and see what it was built for."""
    subject = "python-rtmidi"
    try:
        rtmidi = load_rtmidi()
    except PortError as error:
        cause, _sep, remedy = str(error).partition("; ")
        return [CheckResult(subject, BAD, cause, remedy)]
    names = [name for name in API_CONSTANTS if find_api(rtmidi, name) is not None]
    if not names:
        remedy = "install a wheel: pip install --force python-rtmidi"
        return [CheckResult(subject, BAD, "its build knows no MIDI system", remedy)]
    return [CheckResult(subject, GOOD, f"version {rtmidi.get_rtmidi_version()}, built for {', '.join(names)}")]


def check_midi_system(context: CheckContext) -> list[CheckResult]:
    """Look for a MIDI system that gives ports; nothing to say where the library does not load."""
    try:
        context.running_apis = find_running_apis(context.setup.api)
    except PortError:
        return []
    return [explain_midi_system(context.setup.api, context.running_apis)]


def explain_midi_system(api: str, running: list[str], places: port_diagnosis.Places | None = None) -> CheckResult:
    """Say which MIDI system runs or, where none does, why not. places: where to look, for tests."""
    subject = "MIDI system"
    if api == NO_PORTS:
        return CheckResult(subject, GOOD, "none is wanted (api = none): clients of the control socket play to the band")
    if running:
        others = f" ({running[1]} would, too)" if running[1:] else ""
        return CheckResult(subject, GOOD, f"{running[0]} gives ports{others}")
    reasons = port_diagnosis.diagnose(choose_apis(api), places)
    remedy = port_diagnosis.choose_remedy(reasons)
    if not any(reason.is_near for reason in reasons):
        remedy += "; or play without ports: `houseband studio`, or `houseband run --api none`"
    return CheckResult(subject, BAD, "; ".join(reason.cause for reason in reasons), remedy)


_LOOP = "virtual port loop"


def check_port_loop(context: CheckContext) -> list[CheckResult]:
    """Send messages round a virtual port, where a MIDI system runs."""
    if not context.running_apis:
        return []
    api = context.running_apis[0]
    try:
        loop = measure.measure_port_loop(api)
    except PortError as error:
        remedy = "make ports with loopMIDI" if api == "windows" else "restart the MIDI system"
        return [CheckResult(_LOOP, BAD, str(error), remedy)]
    context.figures |= {"loop_ms": loop.median_ms, "loop_jitter_ms": loop.jitter_ms, "loop_lost": loop.lost}
    return [explain_loop(api, loop)]


def explain_loop(api: str, loop: PortLoop) -> CheckResult:
    """Say what a measured loop means for playing."""
    text = f"{api}: latency {loop.median_ms:.2f} ms, jitter {loop.jitter_ms:.2f} ms (99 of 100)"
    if not loop.times:
        return CheckResult(_LOOP, BAD, f"{api}: nothing came round", "restart the MIDI system")
    if loop.lost:
        remedy = "give the server real-time priority, or a longer period (jackd -p 256)"
        return CheckResult(_LOOP, ODD, f"{text}, {loop.lost} of {loop.lost + len(loop.times)} messages lost", remedy)
    if loop.median_ms > MAX_LATENCY_MS or loop.jitter_ms > MAX_JITTER_MS:
        remedy = "a shorter period (jackd -p 128), or real-time priority"
        return CheckResult(_LOOP, ODD, f"{text}: one can hear that", remedy)
    return CheckResult(_LOOP, GOOD, text)
