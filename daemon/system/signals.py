"""The signals that stop the program, make it read its configuration again, or end what sounds."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from daemon.system.sd_notify import is_managed


def _find_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals of these names that this system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


#: Ctrl-C, the service manager's stop, a terminal that is closed, and Ctrl-\\
STOP_SIGNALS = _find_signals("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
#: Ctrl-Z
SUSPEND_SIGNALS = _find_signals("SIGTSTP")
#: a program in the background that uses its terminal is stopped by them, in the middle of its notes; where they are
#: ignored, what it prints appears all the same
_BACKGROUND_SIGNALS = _find_signals("SIGTTOU", "SIGTTIN")
#: ends what sounds where the control socket does not answer; None on Windows, which has no such signal
PANIC_SIGNAL: signal.Signals | None = getattr(signal, "SIGUSR1", None)
#: sent to all processes of the program, these concern only the one that started the others
IGNORED_BY_HELPERS = (*STOP_SIGNALS, *SUSPEND_SIGNALS, *(() if PANIC_SIGNAL is None else (PANIC_SIGNAL,)))
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
def on_suspend(suspend: Callable[[], None]) -> Iterator[None]:
    """Call `suspend`, in the main thread, whenever Ctrl-Z asks the program to stop, which `stop_process` then does.

    Where Ctrl-Z is ignored, as under a shell without job control, it stays so.
    """
    numbers = [number for number in SUSPEND_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    with (
        _handling(numbers, lambda _number, _frame: suspend()),
        _handling(_BACKGROUND_SIGNALS, signal.SIG_IGN),
    ):
        yield


def stop_process() -> None:
    """Stop this process, all of its threads, until SIGCONT comes."""
    os.kill(os.getpid(), signal.SIGSTOP)


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
def _handling(
    numbers: Sequence[signal.Signals], handle: Callable[[int, FrameType | None], None] | signal.Handlers
) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
