"""A band that plays as long as the program that has started it: `houseband run` in a helper process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence

import click

from daemon.commands.run import command, load_options
from daemon.config.config import KEYS
from daemon.core.errors import report_errors
from daemon.midi.backends import AUTO, find_running_apis
from daemon.midi.ports import NO_PORTS, PortError
from daemon.system.signals import STOP_SIGNALS


def play_until_stdin_ends(*options: str) -> None:
    """Play as `houseband run` with these options until stdin ends, as it does however the other program ends.

    Where no MIDI system runs, and none was asked for, it plays without ports.
    """
    os.dup2(2, 1)  # the stdout of the other program is not ours
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # a helper ignores them; `run` heeds them once it has begun
    threading.Thread(target=_stop_with_stdin, name="parent-watch", daemon=True).start()
    try:
        with report_errors():
            needed = ("--api", NO_PORTS) if _lacks_midi(options) else ()
            command.main([*options, *needed], "houseband run", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _lacks_midi(options: Sequence[str]) -> bool:
    """Tell whether the configuration leaves the MIDI system open, and none runs that gives ports."""
    with command.make_context("houseband run", list(options)) as context:
        known = {"file", "assigned", "from_start", *KEYS}  # not what asks for another way to run
        config = load_options({name: value for name, value in context.params.items() if name in known}).config
    if config.api != AUTO or config.in_port or config.out_port:
        return False
    with contextlib.suppress(PortError):
        return not find_running_apis()
    return True  # the library does not load


def _stop_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
