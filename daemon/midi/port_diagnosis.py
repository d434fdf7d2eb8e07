"""Why a MIDI system gives no ports, and what to do about it: for whoever could open none, and for the doctor.

Where things are is handed in, so that a test can show every illness.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: the ports a kernel's sequencer gives, and the sequencer itself
SEQUENCER, KERNEL = Path("/dev/snd/seq"), Path("/proc/asound/seq/clients")
#: sockets that somebody listens at, JACK's servers among them
SOCKETS = Path("/proc/net/unix")
#: listening: the flag of a socket that takes connections
_SERVER = re.compile(r" 00010000 .* \S*/jack_(?P<name>.+)_(?P<user>\d+)_0$")
_LOADED = "load ALSA's sequencer: sudo modprobe snd-seq"


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look."""

    sequencer: Path = SEQUENCER
    kernel: Path = KERNEL
    sockets: Path = SOCKETS


PLACES = Places()


@dataclass(frozen=True, slots=True)
class Reason:
    """cause; remedy: what to do, empty where nothing helps; near: whether what is missing is here already, so that this
    remedy goes before those for other systems."""

    cause: str
    remedy: str = ""
    near: bool = False


def diagnose(apis: Iterable[str], places: Places | None = None) -> list[Reason]:
    """Why each of these systems (as --api has them) gives no ports."""
    return [_reason(api, places or PLACES) for api in apis]


def remedy(found: Iterable[Reason]) -> str:
    """What to do in the end: the nearest, else either of all."""
    found = list(found)
    near = [reason.remedy for reason in found if reason.near and reason.remedy]
    return "; or ".join(near[:1] or [reason.remedy for reason in reversed(found) if reason.remedy])


def _reason(api: str, places: Places) -> Reason:
    if api == "alsa":
        return _alsa(places)
    if api == "jack":
        return _jack(places)
    if api == "windows":
        text = "install loopMIDI and make two ports, 'houseband in' and 'houseband out'"
        return Reason("Windows: no MIDI ports", text)
    return Reason(f"{api}: gives no ports")


def _alsa(places: Places) -> Reason:
    there = places.sequencer
    try:
        os.close(os.open(there, os.O_RDWR | getattr(os, "O_NONBLOCK", 0)))
    except PermissionError:
        return Reason(f"ALSA: no permission to open {there}", _let_in(there), near=True)
    except OSError as error:
        if places.kernel.exists():
            text = "a container must be given it (docker run --device /dev/snd ...)"
            return Reason(f"ALSA: the kernel has a sequencer, but {there} cannot be opened here", text, near=True)
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            return Reason("ALSA: the kernel's sequencer is not loaded", _LOADED)
        return Reason(f"ALSA: {there}: {error.strerror or error}", _LOADED)
    return Reason(f"ALSA: {there} can be opened, but gives no ports", "see what ALSA says: aconnect -l")


def _let_in(path: Path) -> str:
    """How somebody gets at a file of a group's."""
    group = _group(path)
    if _joined(group):
        return f"you have been put into the group {group} since you logged in: log in anew"
    return f"join the group {group}: sudo usermod -aG {group} {_user()}, then log in anew"


def _group(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError, NotImplementedError):
        return "audio"


def _joined(group: str) -> bool:
    """Whether a user is in a group by now that this login does not know of."""
    try:
        import grp

        found = grp.getgrnam(group)
    except (ImportError, KeyError):
        return False
    return _user() in found.gr_mem and found.gr_gid not in (os.getegid(), *os.getgroups())


def _jack(places: Places) -> Reason:
    wanted = os.environ.get("JACK_DEFAULT_SERVER") or "default"
    servers = set(_jack_servers(places.sockets))
    mine = sorted(name for name, user in servers if user == _user_id())
    if mine and wanted not in mine:
        text = f"say which one: export JACK_DEFAULT_SERVER={mine[0]}"
        return Reason(f"JACK: the server that runs is called {mine[0]!r}, not {wanted!r}", text, near=True)
    if wanted in mine:
        return Reason("JACK: its server takes no clients", "restart the JACK server", near=True)
    others = sorted(user for name, user in servers if name == wanted)
    if others:
        text = "start a JACK server of your own, or this one as the same user"
        return Reason(f"JACK: no permission, the server is that of user {others[0]}", text)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime, "pipewire-0").exists():
        text = "start it through PipeWire's JACK (Debian: pipewire-jack): pw-jack houseband run"
        return Reason("JACK: PipeWire runs, but JACK's own library finds no server there", text, near=True)
    return Reason("JACK: no server runs", "start a JACK server (qjackctl, or jackd -d alsa)")


def _jack_servers(sockets: Path) -> Iterable[tuple[str, int]]:
    """(name, user id) of the JACK servers that run."""
    try:
        lines = sockets.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if match := _SERVER.search(line):
            yield match["name"], int(match["user"])


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
