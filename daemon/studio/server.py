"""The studio's server: one process with one event loop, which serves the page and stands between it and the band."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from daemon.studio.access import AccessControl, Refusal
from daemon.studio.band_link import BandLink
from daemon.studio.band_process import BandProcess
from daemon.studio.document_routes import open_documents
from daemon.studio.http_connection import HttpConnection, SocketConnection
from daemon.studio.keys import StudioKeys
from daemon.studio.live_socket import LiveSocket
from daemon.studio.pages import Pages
from daemon.studio.setup import StudioSetup
from daemon.studio.soundfont_route import make_soundfont_route
from music.errors import UserError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
#: where the studio is unless it is told otherwise, so that a bookmark and an open page find it again
USUAL_PORT = 8460
BACKLOG = 128
#: how long the end of the server waits for answers that are on their way
END_PATIENCE_S = 2
#: the largest message of a page to the band
MAX_MESSAGE_BYTES = 1 << 16
#: the page and all that it loads
STATIC = Path(str(files("daemon.studio"))) / "static"


def listen(port: int | None) -> socket.socket:
    """Return a socket that listens on loopback: on a port, or, where None, on the usual one, else on one that is free.

    Raises UserError for a port that cannot be had.
    """
    if port is None:
        with contextlib.suppress(OSError):
            return socket.create_server((HOST, USUAL_PORT), backlog=BACKLOG)
    try:
        return socket.create_server((HOST, port or 0), backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = "something else has it" if getattr(error, "errno", 0) == errno.EADDRINUSE else str(error)
        raise UserError(f"port {port} cannot be had: {reason}; name another one with --port") from None


def serve(
    setup: StudioSetup, own_band: BandProcess, listener: socket.socket, keys: StudioKeys, on_ready: Callable[[], bool]
) -> None:
    """Serve the studio until a signal ends it, and with it a band of its own.

    on_ready: called once, when the page can be asked for; returns False where a signal has come before that.
    """
    asyncio.run(_serve(setup, own_band, listener, keys, on_ready))


async def _serve(
    setup: StudioSetup, own_band: BandProcess, listener: socket.socket, keys: StudioKeys, on_ready: Callable[[], bool]
) -> None:
    pages = Pages()
    band = BandLink(setup.control, own_band, pages)
    following = asyncio.create_task(band.run())
    try:
        async with open_documents(setup, pages.tell) as documents:
            app = build_app(setup, LiveSocket(band, pages), documents)
            server = make_server(AccessControl(app, listener.getsockname()[1], keys))
            await _run(server, listener, on_ready)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def build_app(setup: StudioSetup, live: LiveSocket, documents: Sequence[BaseRoute]) -> Starlette:
    """Return what answers requests, once it is known that they may be made."""

    async def get_page(_request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    return Starlette(
        routes=[
            Route("/", get_page),
            make_soundfont_route(setup.soundfont),
            WebSocketRoute("/live", live.serve),
            Route("/chart", live.get_chart),
            *documents,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={
            HTTPException: _answer_http_error,
            Refusal: _answer_refusal,
            Exception: _answer_fault,
        },
    )


def make_server(app: AccessControl) -> uvicorn.Server:
    """Return the HTTP server around an application."""
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws=SocketConnection,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # it would take longer than loopback saves
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=END_PATIENCE_S,
    )
    return uvicorn.Server(config)


async def _run(server: uvicorn.Server, listener: socket.socket, on_ready: Callable[[], bool]) -> None:
    """Run the server until a signal ends it."""

    async def announce() -> None:
        while not server.started:
            await asyncio.sleep(0.005)
        if not on_ready():
            server.should_exit = True

    announcing = asyncio.create_task(announce())
    try:
        await server.serve(sockets=[listener])
    finally:
        announcing.cancel()


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _answer_refusal(_request: Request, error: Exception) -> Response:
    """Answer a request of which it turns out on the way that it is not to be answered."""
    assert isinstance(error, Refusal)
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return Response(error.body, error.status, headers, error.content_type.decode())


async def _answer_fault(_request: Request, error: Exception) -> Response:
    log.error("a request could not be answered", exc_info=error)
    return JSONResponse({"error": "this could not be done, for a mistake in the studio; its terminal says more"}, 500)
