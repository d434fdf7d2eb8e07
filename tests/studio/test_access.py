"""Who may ask the studio's server, and what every answer says to the browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.studio.access import AccessControl
from daemon.studio.keys import StudioKeys

KEYS = StudioKeys()
PORT = 8123
HOST = (b"host", b"127.0.0.1:8123")
COOKIE = (b"cookie", f"houseband-studio-{PORT}={KEYS.cookie}".encode())


def ask(
    path: str = "/", method: str = "GET", headers: Any = (HOST, COOKIE), query: str = ""
) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of the answer to a request; 200 is that of the application behind."""
    told: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    scope = {"type": "http", "path": path, "raw_path": path.encode(), "method": method, "headers": list(headers),
             "query_string": query.encode()}  # fmt: skip
    asyncio.run(AccessControl(app, PORT, KEYS)(scope, receive, send))  # type: ignore[arg-type]
    return told[0]["status"], {name.decode(): value.decode() for name, value in told[0]["headers"]}


def test_the_page_is_for_who_has_the_cookie() -> None:
    assert ask()[0] == 200
    assert ask(headers=[HOST])[0] == 403


@pytest.mark.parametrize(
    "host", [b"127.0.0.1.attacker.example:8123", b"attacker.example", b"127.0.0.1", b"localhost:8124"]
)
def test_other_names_of_this_machine_are_not_answered(host: bytes) -> None:
    assert ask(headers=[(b"host", host), COOKIE])[0] == 403
