"""A pseudo-terminal's screen, as text."""

from __future__ import annotations

import os
import re


def read_until_closed(descriptor: int) -> bytes:
    """Return what is still written to a pseudo-terminal, until its last writer has gone; close it."""
    seen = b""
    while True:
        try:
            some = os.read(descriptor, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not some:
            break
        seen += some
    os.close(descriptor)
    return seen


def strip_escapes(written: bytes) -> str:
    """Return the text in what was written to a terminal, without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
