"""A performance as a service: readiness, reload, locked memory, and connections that survive a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from daemon.config.config import Config
from daemon.core.events import Event
from daemon.core.player_info import PlayerInfo
from daemon.live.reload import ConfigReloader
from daemon.midi import alsa_reconnect
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.system import memory, paths, sd_notify, signals
from daemon.system.journald import with_fields

log = logging.getLogger(__name__)


@contextmanager
def service_mode(
    ports: ReconnectingPorts,
    now: Callable[[], int],
    put: Callable[[Event], None],
    player: PlayerInfo,
    reload: tuple[Config, Callable[[], Config]] | None,
    find_chart: Callable[[], str],
) -> Iterator[None]:
    """Tell the service manager that the band is ready, and when the block is left that it stops.

    Notes that a killed band has left sounding are ended. Under a service manager, MIDI connections are remembered,
    memory is locked, and SIGHUP reads the configuration again. reload: the configuration as it stands, and how to
    read it again; find_chart: as `ConfigReloader` takes it.
    """
    with ExitStack() as stack:
        if sd_notify.is_managed():
            if ports.api == "alsa":
                connections = alsa_reconnect.ConnectionKeeper(paths.find_connections_file())
                connections.start()
                stack.enter_context(closing(connections))
            if reload is not None:
                known, read = reload
                stack.enter_context(signals.on_reload(ConfigReloader(read, now, put, known, player, find_chart).start))
            memory.lock_memory()
        for message in alsa_reconnect.make_silencing_messages():
            ports.send(message, now())
        log.info(
            "ready on %s: heard is %r, the band plays to %r", ports.api, *ports.names,
            extra=with_fields(event="ready", api=ports.api, heard=ports.names[0], played=ports.names[1]),
        )  # fmt: skip
        sd_notify.notify(f"READY=1\nSTATUS=ready on {ports.api}")
        try:
            yield
        finally:
            sd_notify.notify("STOPPING=1\nSTATUS=ending what sounds")
