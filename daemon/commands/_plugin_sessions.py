"""The performances for the plugin of a DAW: `houseband run` listens for projects, and starts a process for each."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from daemon.config.config import Config
from daemon.core import wire
from daemon.system import signals
from daemon.system.child_process import ChildProcess
from daemon.system.paths import find_plugin_socket_file
from music.errors import HousebandError, UserError

if TYPE_CHECKING:
    from daemon.plugin.broker import Broker, Starter

log = logging.getLogger(__name__)

#: another houseband may serve the plugin, and end: so often it is looked whether it has
RETRY_S = 5.0


def check_system() -> None:
    """Raise UserError where no plugin can be served."""
    if sys.platform == "win32":
        raise UserError("--plugin: there is no plugin for this system; use the ports (docs/daw.md)")


def serve_plugins_only(options: Mapping[str, Any], config: Config, *, ends_when_idle: bool) -> None:
    """Serve the plugin until a signal stops it. Raises HousebandError where another houseband does.

    ends_when_idle: it also ends when there has been no project for a while.
    """
    check_system()
    if not config.plugin_sessions:
        raise UserError("--plugin: plugin_sessions is 0, which means that no project is played for")
    try:
        broker = _open_broker(options, config)
    except OSError as error:
        raise HousebandError(str(error)) from None
    with signals.on_stop(broker.close):
        broker.run(ends_when_idle=ends_when_idle)


@contextlib.contextmanager
def plugins_served(options: Mapping[str, Any], config: Config) -> Iterator[None]:
    """Serve the plugin, too, while the block is run; where another houseband does, once that has ended."""
    if sys.platform == "win32" or not config.plugin_sessions:
        yield
        return
    is_over, brokers = threading.Event(), list["Broker"]()
    thread = threading.Thread(
        target=_keep_serving, args=(options, config, is_over, brokers), name="plugin-broker", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        for broker in brokers:
            broker.close()
        thread.join()


def _keep_serving(options: Mapping[str, Any], config: Config, is_over: threading.Event, brokers: list[Broker]) -> None:
    has_told = False
    while not is_over.is_set():
        try:
            broker = _open_broker(options, config)
        except OSError as error:
            if not has_told:
                log.info("plugins of DAWs are not served yet: %s", error)
            has_told = True
            is_over.wait(RETRY_S)
            continue
        brokers.append(broker)
        if is_over.is_set():
            broker.close()
        broker.run()
        return


def _open_broker(options: Mapping[str, Any], config: Config) -> Broker:
    from daemon.plugin.broker import Broker

    return Broker(find_plugin_socket_file(), make_starter(options), config.plugin_sessions)


def make_starter(options: Mapping[str, Any]) -> Starter:
    """Return the function that starts the process of a performance with the options of `houseband run`."""

    def start(number: int, channel: socket.socket) -> ChildProcess:
        process = ChildProcess(
            "daemon.commands._plugin_session_child:play_for_project",
            str(number),
            str(channel.fileno()),
            pipe_stdout=False,
            pass_files=(channel.fileno(),),
        )
        try:
            process.write(wire.pack(dict(options)), 5.0)
        except (OSError, TimeoutError):
            process.stop()
            raise
        return process

    return start
