"""What the live side does besides when it is a service: reload, connections that survive, memory locked, journal."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from daemon import aftermath, service
from daemon.config import Config
from daemon.control import runtime_path
from daemon.events import Event
from daemon.journald import fields
from daemon.keeper import KeptPorts
from daemon.reload import Reloading

log = logging.getLogger(__name__)

CONNECTIONS = "connections.json"
#: mlockall(2): what is there now, each page once it is used; prctl(2)
_MCL_CURRENT, _MCL_ONFAULT = 1, 4
_PR_SET_THP_DISABLE = 41


@contextmanager
def attended(
    ports: KeptPorts,
    now: Callable[[], int],
    put: Callable[[Event], None],
    styles: tuple[str, ...],
    reread: tuple[Config, Callable[[], Config]] | None,
) -> Iterator[None]:
    """While the band is ready and plays. Whoever was left sounding by a band that was killed is told to end it; where
    there is a service manager, SIGHUP reads the configuration again (reread: as it stands, and how to read it) and
    connections are remembered."""
    with ExitStack() as stack:
        if service.is_managed():
            if ports.api == "alsa":
                memory = aftermath.Memory(runtime_path() / CONNECTIONS)
                memory.start()
                stack.enter_context(closing(memory))
            if reread is not None:
                known, read = reread
                stack.enter_context(service.on_reload(Reloading(read, now, put, known, styles)))
            lock_memory()
        for message in aftermath.all_notes_off():
            ports.send(message, now())
        log.info(
            "ready on %s: heard is %r, the band plays to %r", ports.api, *ports.names,
            extra=fields(event="ready", api=ports.api, heard=ports.names[0], played=ports.names[1]),
        )  # fmt: skip
        service.notify(f"READY=1\nSTATUS=ready on {ports.api}")
        try:
            yield
        finally:
            service.notify("STOPPING=1\nSTATUS=ending what sounds")


def small_pages() -> bool:
    """No huge pages for us and the processes we start: over the hours the kernel would fill the holes in their memory
    with them. False where that cannot be."""
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False


def lock_memory() -> bool:
    """Keep what is loaded in memory, where the limits allow it; False where they do not."""
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_ONFAULT)) == 0
    except (OSError, AttributeError):
        return False
