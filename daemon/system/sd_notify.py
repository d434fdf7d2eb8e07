"""Messages to the service manager that started the program, as in sd_notify(3); with the standard library only."""

from __future__ import annotations

import contextlib
import os
import socket
import time

#: a manager that does not read is waited for no longer
TIMEOUT_S = 2.0


def is_managed() -> bool:
    """Tell whether a service manager started the program and waits for its messages.

    SIGHUP then means to read the configuration again; in a terminal it means that the terminal is gone.
    """
    return bool(os.environ.get("NOTIFY_SOCKET"))


def open_notify_socket() -> socket.socket | None:
    """Return a socket to the service manager on which sending never waits; None where no manager listens."""
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
    """Send the service manager a state, such as READY=1; return False where no manager listens."""
    manager = open_notify_socket()
    if manager is None:
        return False
    with contextlib.suppress(OSError), manager:
        manager.settimeout(TIMEOUT_S)
        manager.sendall(state.encode())
        return True
    return False


def notify_reloading() -> bool:
    """Tell the service manager that the configuration is being read again; READY=1 says that it has been."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
