"""A MIDI system to measure on: the one that runs or, without one, a JACK server of our own without hardware."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from daemon.diagnostics.system_checks import is_real_time_allowed
from daemon.midi.backends import find_running_apis
from daemon.midi.ports import PortError

#: our server's name: the same for ever, for each takes a place in JACK's registry
SERVER_NAME = "houseband-bench"
START_TIMEOUT_S = 10


class MidiSystem(NamedTuple):
    """A MIDI system that gives ports."""

    #: as `--api` takes it
    api: str
    #: what to call it in a table
    label: str


@contextlib.contextmanager
def open_midi_system(period: int) -> Iterator[MidiSystem | None]:
    """Yield a MIDI system that stays until the block's end, or None; period: frames of our own server's cycle."""
    try:
        running = find_running_apis()
    except PortError:
        yield None
        return
    if running:
        yield MidiSystem(running[0], running[0])
    elif not (shutil.which("jackd") and shutil.which("jack_wait")):
        yield None
    else:
        ours = {"JACK_DEFAULT_SERVER": SERVER_NAME, "JACK_NO_START_SERVER": "1"}
        with _change_environment(ours), _run_jack_server(period) as is_up:
            yield MidiSystem("jack", f"jack, periods of {period}") if is_up else None


@contextlib.contextmanager
def _run_jack_server(period: int) -> Iterator[bool]:
    """Run a JACK server; yields False where it does not come up."""
    priority = "--realtime" if is_real_time_allowed() else "--no-realtime"
    command = ["jackd", priority, "-n", SERVER_NAME, "-d", "dummy", "-r", "48000", "-p", str(period)]
    nothing = subprocess.DEVNULL
    environment = {**os.environ, "JACK_NO_AUDIO_RESERVATION": "1"}
    server = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, env=environment)
    try:
        wait = ["jack_wait", "-s", SERVER_NAME, "-w", "-t", str(START_TIMEOUT_S)]
        waited = subprocess.run(wait, capture_output=True, check=False)
        yield waited.returncode == 0 and server.poll() is None
    finally:
        server.terminate()
        server.wait(timeout=10)


@contextlib.contextmanager
def _change_environment(changes: dict[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in changes}
    os.environ |= changes
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
