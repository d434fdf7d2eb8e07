"""Finding out why a MIDI system gives no ports, and what to do about it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

#: a line of /proc/net/unix about a JACK server; 00010000 is the flag of a socket that takes connections
_SERVER_LINE = re.compile(r" 00010000 .* \S*/jack_(?P<name>.+)_(?P<user>\d+)_0$")
_LOAD_SEQUENCER = "load ALSA's sequencer: sudo modprobe snd-seq"


@dataclass(frozen=True, slots=True)
class Places:
    """Files of the operating system that tell what runs; tests have others."""

    sequencer: Path = Path("/dev/snd/seq")  #: ALSA's sequencer
    kernel: Path = Path("/proc/asound/seq/clients")  #: there where the kernel has one
    sockets: Path = Path("/proc/net/unix")  #: sockets that programs listen on, JACK's servers among them


PLACES = Places()


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason why a MIDI system gives no ports."""

    cause: str
    remedy: str = ""  #: what to do; empty where nothing helps
    #: whether the system is there and lacks little, so that this remedy goes before those for other systems
    is_near: bool = False


def diagnose(apis: Iterable[str], places: Places | None = None) -> list[Reason]:
    """Return why each of these MIDI systems, named as `--api` does, gives no ports."""
    return [
        _DIAGNOSES[api](places or PLACES) if api in _DIAGNOSES else Reason(f"{api}: gives no ports") for api in apis
    ]


def choose_remedy(reasons: Iterable[Reason]) -> str:
    """Return what to do: the remedy of a system that is near, else those of all, one of which will do."""
    found = list(reasons)
    near = [reason.remedy for reason in found if reason.is_near and reason.remedy]
    return "; or ".join(near[:1] or [reason.remedy for reason in reversed(found) if reason.remedy])


def _diagnose_windows(_: Places) -> Reason:
    return Reason("Windows: no MIDI ports", "install loopMIDI and make two ports, 'houseband in' and 'houseband out'")


def _diagnose_alsa(places: Places) -> Reason:
    there = places.sequencer
    try:
        os.close(os.open(there, os.O_RDWR | getattr(os, "O_NONBLOCK", 0)))
    except PermissionError:
        return Reason(f"ALSA: no permission to open {there}", _remedy_permission(there), is_near=True)
    except OSError as error:
        if places.kernel.exists():
            text = "a container must be given it (docker run --device /dev/snd ...)"
            return Reason(f"ALSA: the kernel has a sequencer, but {there} cannot be opened here", text, is_near=True)
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            return Reason("ALSA: the kernel's sequencer is not loaded", _LOAD_SEQUENCER)
        return Reason(f"ALSA: {there}: {error.strerror or error}", _LOAD_SEQUENCER)
    return Reason(f"ALSA: {there} can be opened, but gives no ports", "see what ALSA says: aconnect -l")


def _remedy_permission(path: Path) -> str:
    """Return how somebody gets at a file that belongs to a group."""
    group = _group_of(path)
    if _has_joined(group):
        return f"you have been put into the group {group} since you logged in: log in anew"
    return f"join the group {group}: sudo usermod -aG {group} {_user()}, then log in anew"


def _group_of(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError, NotImplementedError):
        return "audio"


def _has_joined(group: str) -> bool:
    """Tell whether the user is in a group by now that this login does not know of."""
    try:
        import grp

        found = grp.getgrnam(group)
    except (ImportError, KeyError):
        return False
    return _user() in found.gr_mem and found.gr_gid not in (os.getegid(), *os.getgroups())


def _diagnose_jack(places: Places) -> Reason:
    wanted = os.environ.get("JACK_DEFAULT_SERVER") or "default"
    servers = set(_find_jack_servers(places.sockets))
    mine = sorted(name for name, user in servers if user == _user_id())
    if mine and wanted not in mine:
        text = f"say which one: export JACK_DEFAULT_SERVER={mine[0]}"
        return Reason(f"JACK: the server that runs is called {mine[0]!r}, not {wanted!r}", text, is_near=True)
    if wanted in mine:
        return Reason("JACK: its server takes no clients", "restart the JACK server", is_near=True)
    others = sorted(user for name, user in servers if name == wanted)
    if others:
        text = "start a JACK server of your own, or this one as the same user"
        return Reason(f"JACK: no permission, the server is that of user {others[0]}", text)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime, "pipewire-0").exists():
        text = "start it through PipeWire's JACK (Debian: pipewire-jack): pw-jack houseband run"
        return Reason("JACK: PipeWire runs, but JACK's own library finds no server there", text, is_near=True)
    return Reason("JACK: no server runs", "start a JACK server (qjackctl, or jackd -d alsa)")


def _find_jack_servers(sockets: Path) -> Iterable[tuple[str, int]]:
    """Yield (name, user id) of the JACK servers that run."""
    try:
        lines = sockets.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if match := _SERVER_LINE.search(line):
            yield match["name"], int(match["user"])


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


#: MIDI system, as `--api` names it -> what finds out why it gives no ports
_DIAGNOSES: dict[str, Callable[[Places], Reason]] = {
    "alsa": _diagnose_alsa,
    "jack": _diagnose_jack,
    "windows": _diagnose_windows,
}
