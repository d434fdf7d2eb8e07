"""The signals that stop the program or make it read its configuration again."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from daemon.system.sd_notify import is_managed

#: Ctrl-C, the service manager's stop, and a terminal that is closed
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop`, in the main thread, whenever a stop signal arrives; the old handlers return at the end.

    Under a service manager SIGHUP does not stop the program: it means to read the configuration again (`on_reload`).
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if not (managed and number == getattr(signal, "SIGHUP", None)):
            stop()

    managed = is_managed()
    with _handling(STOP_SIGNALS, handle):
        yield


@contextlib.contextmanager
def on_reload(reload: Callable[[], None]) -> Iterator[None]:
    """Call `reload`, in the main thread, whenever a service manager sends SIGHUP; it must return at once."""
    if not is_managed() or not hasattr(signal, "SIGHUP"):
        yield
        return
    with _handling((signal.SIGHUP,), lambda _number, _frame: reload()):
        yield


@contextlib.contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
