"""The secrets of a studio: a token, by which its address opens it, and the value of the cookie that it then gives."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from daemon.system.paths import find_studio_token_file
from music.files import write_atomically

log = logging.getLogger(__name__)

_TOKEN_BYTES = 24
_TOKEN = re.compile(r"[\w-]{32}")


@dataclass(frozen=True, slots=True)
class StudioKeys:
    """The secrets of one studio."""

    #: stands in the address that is printed or opened
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES))

    @property
    def cookie(self) -> str:
        """The value of the cookie, from which the token cannot be told."""
        return hmac.new(self.token.encode(), b"houseband-studio-cookie", hashlib.sha256).hexdigest()


def load_keys(port: int) -> StudioKeys:
    """Return the keys of the studio on a port: those of the one before, so that pages which are open go on.

    They lie in the folder of what lives as long as the user's session, where nobody else can read them.
    """
    try:
        path = find_studio_token_file(port)
        kept = _read_own(path)
        if kept is not None:
            return StudioKeys(kept)
        keys = StudioKeys()
        _write_own(path, keys.token)
    except OSError as error:
        log.info("the token is not kept: %s", error)
        keys = StudioKeys()
    return keys


def _read_own(path: Path) -> str | None:
    """Return a token that is kept; None where there is none, or others could have read or written it."""
    with contextlib.suppress(OSError, ValueError):
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            status = os.fstat(file)
            is_own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
            text = os.read(file, 100).decode("ascii").strip()
        finally:
            os.close(file)
        if is_own and _TOKEN.fullmatch(text):
            return text
    return None


def _write_own(path: Path, token: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mask = os.umask(0o177)  # nobody else may read it
    try:
        path.unlink(missing_ok=True)  # with whatever mode it had
        write_atomically(path, f"{token}\n")
    finally:
        os.umask(mask)
