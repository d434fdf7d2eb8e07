"""A process that confines itself and tells what it still can do, for the tests of daemon.system.confinement."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from daemon.system import confinement, memory


def report(folder: str) -> None:
    """Confine this process, with folder/readable to read and folder/writable to write; print what can be done."""
    place = Path(folder)
    confinement.confine([f"{folder}/readable"], [f"{folder}/writable"])
    memory.limit_growth(64 << 20)
    done = {
        "udp": _try(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "tcp": _try(lambda: socket.socket(socket.AF_INET6)),
        "unix": _try(lambda: socket.socket(socket.AF_UNIX)),
        "read": _try((place / "readable" / "a").read_text),
        "write": _try(lambda: (place / "writable" / "a").write_text("b")),
        "replace": _try(lambda: (place / "writable" / "a").rename(place / "writable" / "b")),
        "read elsewhere": _try((place / "secret").read_text),
        "write elsewhere": _try(lambda: (place / "readable" / "a").write_text("b")),
        "program": _try(lambda: subprocess.run(["true"], check=True, stdin=subprocess.DEVNULL)),
        "signal": _try(lambda: os.kill(os.getppid(), 0)),
        "memory": _try(lambda: bytes(32 << 20)),
        "more memory": _try(lambda: bytes(128 << 20)),
    }
    confinement.forbid_programs()
    done["program later"] = _try(lambda: subprocess.run(["true"], check=True))
    done["fork later"] = _try(_fork)
    done["thread later"] = _try(threading.Thread(target=int).start)
    sys.stdout.write(json.dumps(done) + "\n")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _try(call: Callable[[], object]) -> bool:
    try:
        call()
    except (OSError, MemoryError):
        return False
    return True
