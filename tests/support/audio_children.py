"""Stand-ins for the audio process."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path


def hang(_soundfont: str) -> None:
    """Is ready, and reads nothing."""
    _say("ready deaf")
    threading.Event().wait(60)


def end(_soundfont: str) -> None:
    """Is ready, and ends."""
    _say("ready soon gone")


def fail(_soundfont: str) -> None:
    """Finds no sound."""
    _say("failed the speaker is broken")


def keep(_soundfont: str) -> None:
    """Writes all that it is told to the file KEPT_SOUND."""
    _say("ready a file")
    with Path(os.environ["KEPT_SOUND"]).open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
