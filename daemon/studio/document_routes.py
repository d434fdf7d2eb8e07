"""Documents and results over HTTP: projects, inputs, results, takes, exports."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.routing import BaseRoute

from daemon.studio.setup import StudioSetup, Tell


@contextlib.asynccontextmanager
async def open_documents(setup: StudioSetup, tell: Tell) -> AsyncIterator[list[BaseRoute]]:
    """Open the documents for as long as the server runs; yield the routes below `/api` by which pages reach them.

    tell: sends an event to all pages.
    """
    del setup, tell
    yield []
