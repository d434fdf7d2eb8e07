"""Logging to stderr, or to the journal where stderr is connected to it."""

from __future__ import annotations

import contextlib
import faulthandler
import logging

from daemon.system import journald

#: modules that log once at a start or a reload: in the journal what they say is always kept
_ALWAYS_IN_JOURNAL = ("daemon.live.service_mode", "daemon.live.reload", "daemon.midi.alsa_reconnect")


def start_logging(verbose: int) -> None:
    """Begin to log. verbose: 0 for warnings, 1 for what happens, 2 for everything."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    if journald.stderr_is_journal():
        faulthandler.enable()  # the watchdog's SIGABRT leaves a trace of where it was stuck
        with contextlib.suppress(OSError):
            logging.basicConfig(level=level, format="%(message)s", handlers=[journald.JournalHandler()])
            for name in _ALWAYS_IN_JOURNAL:
                logging.getLogger(name).setLevel(min(level, logging.INFO))
            return
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
