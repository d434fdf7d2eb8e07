"""The soundfont that the page plays: the one on the machine, else the bank of the program's own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from functools import cache
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from daemon.sound.soundfont import PLACES, SoundFontError, find_soundfont
from daemon.studio.builtin_bank import NAME, make_builtin_bank

log = logging.getLogger(__name__)

#: what pages play best, first: compressed soundfonts load in a fraction of the time that others take
PAGE_PLACES = (
    Path("/usr/share/sounds/sf3/FluidR3Mono_GM.sf3"),
    Path("/usr/share/sounds/sf3/default-GM.sf3"),
    Path("/usr/share/sounds/sf3"),
    *PLACES,
)
_MEDIA_TYPE = "application/octet-stream"


def make_soundfont_route(named: Path | None) -> Route:
    """Return the route `/soundfont`. named: the soundfont that the user named.

    The header X-Soundfont tells which it is, and X-Soundfont-Problem why it is not the one that was named; both are
    percent-encoded.
    """

    async def get_soundfont(request: Request) -> Response:
        found, problem = await asyncio.to_thread(_find, named)
        headers = {"Cache-Control": "private, no-cache", "X-Soundfont": quote(found.name if found else NAME)}
        if problem:
            headers["X-Soundfont-Problem"] = quote(problem)
        headers["ETag"] = await asyncio.to_thread(_tag, found)
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if found is None:
            return Response(await asyncio.to_thread(make_builtin_bank), media_type=_MEDIA_TYPE, headers=headers)
        return FileResponse(found, media_type=_MEDIA_TYPE, headers=headers)

    return Route("/soundfont", get_soundfont)


def _find(named: Path | None) -> tuple[Path | None, str]:
    """Return the soundfont's file, None for the bank of our own; and what is wrong with the one that was named."""
    try:
        found = find_soundfont(named, PAGE_PLACES)
        if found is not None:
            with found.open("rb"):  # others than the named one have not been looked into
                return found, ""
    except SoundFontError as error:
        log.warning("%s; the page plays sounds of its own", error)
        return None, str(error)
    except OSError as error:
        log.warning("%s cannot be read (%s); the page plays sounds of its own", error.filename, error.strerror)
    return None, ""


def _tag(found: Path | None) -> str:
    if found is None:
        return _tag_builtin_bank()
    status = found.stat()
    return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'


@cache
def _tag_builtin_bank() -> str:
    return f'"{hashlib.sha256(make_builtin_bank()).hexdigest()[:32]}"'
