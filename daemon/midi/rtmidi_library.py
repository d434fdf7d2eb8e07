"""python-rtmidi: loading it, what it calls the MIDI systems, and its errors in plain words."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from daemon.midi.ports import PortError

#: MIDI system, as the option `--api` takes it -> python-rtmidi's name for it
API_CONSTANTS = {
    "alsa": "API_LINUX_ALSA",
    "jack": "API_UNIX_JACK",
    "coremidi": "API_MACOSX_CORE",
    "windows": "API_WINDOWS_MM",
}
#: platform -> the systems that `--api auto` tries. A JACK server runs only where somebody wants it; ALSA's sequencer
#: is there all the time.
_AUTOMATIC = {"linux": ("jack", "alsa"), "darwin": ("coremidi", "jack"), "win32": ("windows",)}


def load_rtmidi() -> Any:
    """Import python-rtmidi, which needs the system's libasound, and return it. Raises PortError."""
    try:
        import rtmidi
    except ImportError as error:
        missing = re.search(r"lib\w+\.so[.\d]*", str(error))
        remedy = "pip install python-rtmidi"
        if missing:
            remedy = f"install the system's {missing[0]} (Debian: apt install libasound2, or libasound2t64)"
        raise PortError(f"python-rtmidi cannot be loaded ({error}); {remedy}") from None
    return rtmidi


def choose_apis(api: str) -> tuple[str, ...]:
    """Return the MIDI systems that a value of `--api` stands for here, the preferred first."""
    return _AUTOMATIC.get(sys.platform, ("alsa", "jack")) if api == "auto" else (api,)


def find_api(rtmidi: Any, api: str) -> int | None:
    """Return python-rtmidi's number of a MIDI system, None where it was built without it."""
    number = getattr(rtmidi, API_CONSTANTS[api], None)
    return number if number in rtmidi.get_compiled_api() else None


def find_running_apis(api: str) -> list[str]:
    """Return the MIDI systems that give a port now, of those that `api` stands for. Raises PortError."""
    rtmidi = load_rtmidi()
    found = []
    for name in choose_apis(api):
        number = find_api(rtmidi, name)
        if number is not None:
            with capture_stderr(), contextlib.suppress(rtmidi.RtMidiError):
                rtmidi.MidiIn(number, name="houseband doctor").delete()
                found.append(name)
    return found


def close_input(api: str, port: Any) -> object:
    """Let no callback of an input begin any more; return what one that has begun uses, to be kept until it is done.

    python-rtmidi forgets its callback as it closes a port. A thread of the MIDI system may hold a bare pointer to it by
    then, as it waits for the interpreter: with MIDI coming in, more than half of all ends on JACK crashed. So there the
    port is closed without forgetting, after which no message comes; a port that is opened again is heard again.
    Elsewhere closing waits for the callback, with the interpreter's lock held: cancel it first, close the port later.
    """
    in_use = gc.get_referents(port)
    if api == "jack":
        super(type(port), port).close_port()  # MidiBase's
    else:
        port.cancel_callback()
    return in_use


def simplify_error(text: str) -> str:
    """Return an error without the C++ names, such as in `MidiInJack::initialize: JACK server not running?`."""
    return re.sub(r"^\w+::\w+:?\s*", "", text).rstrip(".?!")


def _open_scratch() -> IO[bytes]:
    """Open a file that nobody else sees; where there is no folder for one, what is written is lost."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return Path(os.devnull).open("w+b")


@contextlib.contextmanager
def capture_stderr() -> Iterator[Callable[[], str]]:
    """Keep from the terminal what C libraries print while they look for their server; yields a way to read it."""
    with _open_scratch() as sink:

        def read() -> str:
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            saved = os.dup(2)
        except OSError:  # there is no stderr
            yield read
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield read
        finally:
            os.dup2(saved, 2)
            os.close(saved)
