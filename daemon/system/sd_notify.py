"""What a service manager wants to know and how it says stop: readiness and signals, with the standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import FrameType

#: seconds that one is waited for which does not read
PATIENCE = 2.0
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def is_managed() -> bool:
    """Whether a service manager waits to hear of us. Then SIGHUP means to read the configuration again; in a terminal
    it means that the terminal is gone."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify_socket() -> socket.socket | None:
    """A socket to the service manager that never waits; None where none listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return None
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        manager.connect(address)
    except OSError:
        manager.close()
        return None
    manager.setblocking(False)
    return manager


def notify(state: str) -> bool:
    """Tell the service manager `state`, e.g. READY=1 (see sd_notify(3)); False where none listens."""
    manager = notify_socket()
    if manager is None:
        return False
    with contextlib.suppress(OSError), manager:
        manager.settimeout(PATIENCE)
        manager.sendall(state.encode())
        return True
    return False


def reloading() -> bool:
    """Tell the service manager that the configuration is being read again; READY=1 says that it has been."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


@contextlib.contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` in the main thread whenever Ctrl-C, SIGTERM or SIGHUP comes (SIGHUP not where a service manager is:
    `on_reload`); the old handlers return at the end."""

    def handle(signum: int, _frame: FrameType | None) -> None:
        if not (managed and signum == getattr(signal, "SIGHUP", None)):
            stop()

    managed = is_managed()
    with _handling(STOP_SIGNALS, handle):
        yield


@contextlib.contextmanager
def on_reload(reload: Callable[[], None]) -> Iterator[None]:
    """Calls `reload` in the main thread whenever SIGHUP comes from a service manager; it must be quick."""
    if not is_managed() or not hasattr(signal, "SIGHUP"):
        yield
        return
    with _handling((signal.SIGHUP,), lambda _signum, _frame: reload()):
        yield


@contextlib.contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
