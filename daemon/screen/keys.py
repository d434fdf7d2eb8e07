"""Keys that are pressed in the terminal, one by one."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

if sys.platform == "win32":

    @contextmanager
    def read_keys(put: Callable[[str], None]) -> Iterator[None]:
        """Pass each key to `put`, in a thread of its own, until the block is left."""
        import msvcrt

        def read() -> None:
            while True:
                put(msvcrt.getwch())

        if sys.stdin.isatty():
            threading.Thread(target=read, name="keys", daemon=True).start()
        yield

else:

    @contextmanager
    def read_keys(put: Callable[[str], None]) -> Iterator[None]:
        """Pass each key to `put`, in a thread of its own, until the block is left; none where stdin is no terminal."""
        import select
        import termios
        import tty

        try:
            terminal = sys.stdin.fileno()
            before = termios.tcgetattr(terminal)
        except (OSError, ValueError, termios.error):  # it is none, or is closed
            yield
            return
        awake, leave = os.pipe()

        def read() -> None:
            while True:
                ready, _, _ = select.select([terminal, awake], [], [])
                if awake in ready or not (pressed := os.read(terminal, 1)):
                    return
                put(pressed.decode("ascii", "replace"))

        reader = threading.Thread(target=read, name="keys", daemon=True)
        try:
            tty.setcbreak(terminal)  # a key comes at once, and Ctrl-C stays what it is
            reader.start()
            yield
        finally:
            os.close(leave)
            reader.join()
            os.close(awake)
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
