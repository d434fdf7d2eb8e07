"""What the live side does besides when it is a service: reload, connections that survive, memory locked, journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from daemon.config.config import Config
from daemon.control.control_socket import runtime_path
from daemon.core.events import Event
from daemon.live.reload import ConfigReloader
from daemon.midi import alsa_reconnect
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.system import memory, sd_notify
from daemon.system.journald import fields

log = logging.getLogger(__name__)

CONNECTIONS = "connections.json"


@contextmanager
def service_mode(
    ports: ReconnectingPorts,
    now: Callable[[], int],
    put: Callable[[Event], None],
    styles: tuple[str, ...],
    reread: tuple[Config, Callable[[], Config]] | None,
) -> Iterator[None]:
    """While the band is ready and plays. Whoever was left sounding by a band that was killed is told to end it; where
    there is a service manager, SIGHUP reads the configuration again (reread: as it stands, and how to read it) and
    connections are remembered."""
    with ExitStack() as stack:
        if sd_notify.is_managed():
            if ports.api == "alsa":
                connections = alsa_reconnect.ConnectionKeeper(runtime_path() / CONNECTIONS)
                connections.start()
                stack.enter_context(closing(connections))
            if reread is not None:
                known, read = reread
                stack.enter_context(sd_notify.on_reload(ConfigReloader(read, now, put, known, styles)))
            memory.lock_memory()
        for message in alsa_reconnect.all_notes_off():
            ports.send(message, now())
        log.info(
            "ready on %s: heard is %r, the band plays to %r", ports.api, *ports.names,
            extra=fields(event="ready", api=ports.api, heard=ports.names[0], played=ports.names[1]),
        )  # fmt: skip
        sd_notify.notify(f"READY=1\nSTATUS=ready on {ports.api}")
        try:
            yield
        finally:
            sd_notify.notify("STOPPING=1\nSTATUS=ending what sounds")
