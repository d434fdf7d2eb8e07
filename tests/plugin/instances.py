"""Instances of the plugin without a plugin interface, called from here, and a daemon that says what it is told to."""

from __future__ import annotations

import ctypes
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.plugin import bundles

RATE = 48_000
#: samples of a tick at 120 quarter notes a minute
FRAMES_PER_TICK = 1000
ALL, BASS, CHORDS = range(3)
ABSENT, CONNECTING, PLAYING, FAILED = range(4)
NOTE_ON, NOTE_OFF = 0x90, 0x80
#: seconds after which a test gives up
PATIENCE_S = 20
SOURCES = ("core.c", "link.c", "epochs.c", "ramp.c", "tempo.c", "start.c", "state.c", "parameters.c")

EMIT = ctypes.CFUNCTYPE(
    ctypes.c_bool, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint32
)


class Place(ctypes.Structure):
    """The `struct host_position` of core.h."""

    _fields_ = (
        ("speed", ctypes.c_double),
        ("bpm", ctypes.c_double),
        ("bpm_per_frame", ctypes.c_double),
        ("hides_ramps", ctypes.c_bool),
        ("rounded", ctypes.c_double),
        ("has_tick", ctypes.c_bool),
        ("tick", ctypes.c_double),
        ("bar_tick", ctypes.c_double),
        ("bar", ctypes.c_int64),
        ("quarters", ctypes.c_double),
        ("beats", ctypes.c_int),
        ("unit", ctypes.c_int),
        ("has_frame", ctypes.c_bool),
        ("frame", ctypes.c_double),
        ("tells_loop", ctypes.c_bool),
        ("has_loop", ctypes.c_bool),
        ("loop_start", ctypes.c_double),
        ("loop_end", ctypes.c_double),
    )


def at(tick: float, frame: float | None = None, **fields: Any) -> Place:
    """Return where a host is that plays in 4/4."""
    place = Place(speed=1, bpm=120, has_tick=True, tick=tick, beats=4, unit=4, **fields)
    if frame is not None:
        place.has_frame, place.frame = True, frame
    return place


def stopped(tick: float) -> Place:
    place = at(tick)
    place.speed = 0
    return place


def compile_library(target: Path, *more: str) -> None:
    """Build the plugin without its interfaces, and with more sources or flags."""
    sources = bundles.find_sources()
    command = ["cc", "-std=c11", "-shared", "-fPIC", "-pthread", f"-I{sources}", f"-I{sources / 'include'}"]
    files = [str(sources / name) for name in SOURCES]
    subprocess.run([*command, *more, *files, "-o", str(target), "-lm"], check=True, timeout=600)


def load_library(built: Path) -> ctypes.CDLL:
    """Build the plugin without its interfaces, and load it."""
    compile_library(built)
    found = ctypes.CDLL(str(built))
    pointer, number, whole = ctypes.c_void_p, ctypes.c_double, ctypes.c_uint32
    for name, arguments in (
        ("band_create", [number]),
        ("band_destroy", [pointer]),
        ("band_activate", [pointer, number]),
        ("band_deactivate", [pointer]),
        ("band_status", [pointer]),
        ("band_begin", [pointer, whole, EMIT, pointer]),
        ("band_locate", [pointer, whole, ctypes.POINTER(Place)]),
        ("band_hear", [pointer, whole, ctypes.c_char_p, whole]),
        ("band_set", [pointer, ctypes.c_uint, number]),
        ("band_end", [pointer]),
        ("band_where", [pointer, number, ctypes.POINTER(Place)]),
        ("band_save", [pointer, ctypes.c_char_p, ctypes.c_size_t]),
        ("band_load", [pointer, ctypes.c_char_p]),
    ):
        getattr(found, name).argtypes = arguments
    found.band_create.restype = pointer
    found.band_load.restype = ctypes.c_bool
    return found


class Instance:
    """An instance, which is processed when a test says so."""

    def __init__(self, library: ctypes.CDLL, plays: int, session: str = "") -> None:
        self._library = library
        self.band = library.band_create(float(RATE))
        if session:
            assert library.band_load(self.band, f"houseband 1\nsession {session}\n".encode())
        library.band_set(self.band, 0, float(plays))
        library.band_activate(self.band, float(RATE))
        self._sent: list[tuple[int, bytes]] = []
        self._emit = EMIT(self._keep)

    def _keep(self, _context: int, frame: int, midi: Any, size: int) -> bool:
        self._sent.append((frame, bytes(midi[:size])))
        return True

    def run(
        self, frames: int, *places: tuple[int, Place], heard: Sequence[tuple[int, bytes]] = ()
    ) -> list[tuple[int, bytes]]:
        """Process a block; return what was sent: samples and messages."""
        self._sent = []
        library = self._library
        library.band_begin(self.band, frames, self._emit, None)
        for frame, place in places:
            library.band_locate(self.band, frame, ctypes.byref(place))
        for frame, message in heard:
            library.band_hear(self.band, frame, message, len(message))
        library.band_end(self.band)
        return self._sent

    def find_tick(self) -> float:
        """Return where the host is at the end of the block that was processed last, as far as the instance knows."""
        place = Place()
        self._library.band_where(self.band, 0.0, ctypes.byref(place))
        return float(place.tick)

    def status(self) -> int:
        return int(self._library.band_status(self.band))

    def wait_for_status(self, status: int) -> None:
        """Stand still until the daemon has said so: all that it said before is there then."""
        wait_until(lambda: self.status() == status)

    def activate(self) -> None:
        self._library.band_activate(self.band, float(RATE))

    def deactivate(self) -> None:
        self._library.band_deactivate(self.band)

    def destroy(self) -> None:
        self.deactivate()
        self._library.band_destroy(self.band)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


class Daemon:
    """The other end of the plugin's connections."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._accepted: list[Connection] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        monkeypatch.setenv("HOUSEBAND_PLUGIN_SOCKET", str(path))
        monkeypatch.setenv("HOUSEBAND_PROGRAM", "")

    def accept(self) -> Connection:
        self._accepted.append(Connection(self._listener.accept()[0]))
        return self._accepted[-1]

    def close(self) -> None:
        self._listener.close()
        for each in self._accepted:
            each.close()


class Connection:
    """A connection of the plugin."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.settimeout(PATIENCE_S)
        self._lines = connected.makefile("r", encoding="utf-8")
        self.hello = self.hear("hello")
        self.say("welcome 1 test", "state 2 ")

    def say(self, *lines: str) -> None:
        self._socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def hear(self, word: str, *fields: int) -> list[str]:
        """Read on to a line that begins with a word and fields; return its fields."""
        begin = " ".join([word, *map(str, fields)])
        for line in self._lines:
            if (line.rstrip("\n") + " ").startswith(begin + " "):
                return line.split()[1:]
        raise AssertionError(f"the connection ended before {begin!r}")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def tell_all(connection: Connection, instance: Instance, *lines: str) -> None:
    """Say lines, and wait until they are where the instances find them."""
    connection.say(*lines, "state 3 ")
    instance.wait_for_status(FAILED)
    connection.say("state 2 ")
    instance.wait_for_status(PLAYING)
