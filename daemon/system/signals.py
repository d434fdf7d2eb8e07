"""The signals that stop the program, make it read its configuration again, or end what sounds."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from daemon.system.sd_notify import is_managed

#: Ctrl-C, the service manager's stop, and a terminal that is closed
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
#: ends what sounds where the control socket does not answer; None on Windows, which has no such signal
PANIC_SIGNAL: signal.Signals | None = getattr(signal, "SIGUSR1", None)
#: sent to all processes of the program, these concern only the one that started the others
IGNORED_BY_HELPERS = (*STOP_SIGNALS, *(() if PANIC_SIGNAL is None else (PANIC_SIGNAL,)))
#: a program that was told to stop and has not ended by then hangs: it says where, and is ended
END_LIMIT_S = 60


@contextlib.contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop`, in the main thread, whenever a stop signal arrives; the old handlers return at the end.

    That must come within `END_LIMIT_S` of the first signal: whatever hangs by then, the program is ended. Under a
    service manager SIGHUP does not stop the program: it means to read the configuration again (`on_reload`).
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if not (managed and number == getattr(signal, "SIGHUP", None)):
            if not stopped:
                stopped.append(number)
                limit.enter_context(_limited_end())
            stop()

    managed, stopped = is_managed(), list[int]()
    with contextlib.ExitStack() as limit, _handling(STOP_SIGNALS, handle):
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
def on_panic(panic: Callable[[], None]) -> Iterator[None]:
    """Call `panic`, in the main thread, whenever the signal for it arrives; it must return at once."""
    numbers = () if PANIC_SIGNAL is None else (PANIC_SIGNAL,)
    with _handling(numbers, lambda _number, _frame: panic()):
        yield


@contextlib.contextmanager
def _limited_end() -> Iterator[None]:
    """End the program, with a look at where its threads are, unless the block ends within `END_LIMIT_S`.

    Neither needs the interpreter, whose lock a library may hold for ever as it closes a port.
    """
    with contextlib.suppress(RuntimeError, ValueError, OSError, AttributeError):  # no thread, or no stderr, for it
        faulthandler.dump_traceback_later(END_LIMIT_S, exit=True)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(END_LIMIT_S + 2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


@contextlib.contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
