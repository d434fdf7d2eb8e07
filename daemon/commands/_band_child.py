"""A band that plays as long as the program that has started it: `houseband run` in a helper process."""

from __future__ import annotations

import os
import signal
import sys
import threading

import click

from daemon.commands.run import command
from daemon.core.errors import report_errors
from daemon.system.signals import STOP_SIGNALS


def play_until_stdin_ends(*options: str) -> None:
    """Play as `houseband run` with these options until stdin ends, as it does however the other program ends."""
    os.dup2(2, 1)  # the stdout of the other program is not ours
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # a helper ignores them; `run` heeds them once it has begun
    threading.Thread(target=_stop_with_stdin, name="parent-watch", daemon=True).start()
    try:
        with report_errors():
            command.main(list(options), "houseband run", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _stop_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
