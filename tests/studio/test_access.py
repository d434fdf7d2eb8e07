"""Who may ask the studio's server, and what every answer says to the browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from daemon.studio.access import MAX_BODY_BYTES, MAX_UPLOAD_BYTES, SAFETY_HEADERS, AccessControl
from daemon.studio.keys import StudioKeys

KEYS = StudioKeys()
PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}".encode()
HOST = (b"host", f"127.0.0.1:{PORT}".encode())
COOKIE = (b"cookie", f"houseband-studio-{PORT}={KEYS.cookie}".encode())
SAFE = [HOST, COOKIE]

Headers = Sequence[tuple[bytes, bytes]]


class Asked:
    """The answer to one request."""

    def __init__(
        self,
        path: str = "/",
        method: str = "GET",
        headers: Headers = SAFE,
        query: str = "",
        kind: str = "http",
        body: Sequence[bytes] = (b"",),
    ) -> None:
        """Ask. body: in the pieces in which it comes."""
        self.told: list[dict[str, Any]] = []
        self.read = b""
        self.reached = False
        pieces = list(body)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.reached = True
            if scope["type"] == "http":
                more = True
                while more:
                    message = await receive()
                    self.read += message["body"]
                    more = message["more_body"]
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b""})

        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            self.told.append(message)

        scope = {"type": kind, "path": path, "raw_path": path.encode(), "method": method, "headers": list(headers)}
        asyncio.run(AccessControl(app, PORT, KEYS)({**scope, "query_string": query.encode()}, receive, send))
        self.status = self.told[0]["status"] if self.told else None
        self.headers = {name.decode(): value.decode() for name, value in self.told[0]["headers"]} if self.told else {}

    @property
    def is_refused(self) -> bool:
        """Tell whether it was refused in the one way: JSON with a sentence, and the headers of all answers."""
        assert self.told, "nothing was answered"
        assert {name.decode(): value.decode() for name, value in SAFETY_HEADERS}.items() <= self.headers.items()
        assert not self.reached
        return bool(json.loads(self.told[1]["body"])["error"]) and self.status == 403


def test_the_page_is_for_who_has_the_cookie() -> None:
    assert Asked().status == 200
    assert Asked(headers=[HOST]).is_refused
    assert Asked(headers=[(b"host", f"LOCALHOST:{PORT}".encode()), COOKIE]).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1.attacker.example:8123",
            "attacker.example:8123",
            "attacker.example",
            "127.0.0.1",
            "localhost:8124",
        ),
        *(
            "127.0.0.1:8123.attacker.example",
            "user@127.0.0.1:8123",
            "localhost.:8123",
            "0.0.0.0:8123",
            "[::1]:8123",
            "",
        ),
        *("127.0.0.1:08123", " 127.0.0.1:8123", "127.1:8123", "2130706433:8123", "localhost:8123, attacker.example"),
    ],
)
def test_other_names_of_this_machine_are_not_answered(host: str) -> None:
    assert Asked(headers=[(b"host", host.encode()), COOKIE]).is_refused
    socket = Asked("/live", headers=[(b"host", host.encode()), COOKIE, (b"origin", ORIGIN)], kind="websocket")
    assert socket.is_refused


def test_a_request_with_no_name_or_two_is_not_answered() -> None:
    assert Asked(headers=[COOKIE]).is_refused
    assert Asked(headers=[HOST, HOST, COOKIE]).is_refused
    assert Asked(headers=[HOST, (b"host", b"attacker.example"), COOKIE]).is_refused


STRANGERS = [
    *(
        b"http://attacker.example",
        b"https://127.0.0.1:8123",
        b"http://127.0.0.1:8124",
        b"http://127.0.0.1",
        b"null",
        b"",
    ),
    *(b"http://127.0.0.1:8123.attacker.example", b"http://127.0.0.1.attacker.example:8123", b"HTTP://127.0.0.1:8123/"),
]


@pytest.mark.parametrize("origin", STRANGERS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_pages_of_other_origins_are_refused(origin: bytes, method: str) -> None:
    assert Asked("/api/project", method, [*SAFE, (b"origin", origin)]).is_refused


@pytest.mark.parametrize("origin", STRANGERS)
def test_so_are_their_websockets(origin: bytes) -> None:
    assert Asked("/live", headers=[*SAFE, (b"origin", origin)], kind="websocket").is_refused
    assert Asked("/live", headers=[*SAFE, (b"origin", ORIGIN), (b"origin", origin)], kind="websocket").is_refused


def test_a_websocket_says_its_origin_and_brings_the_cookie() -> None:
    assert Asked("/live", headers=SAFE, kind="websocket").is_refused
    assert Asked("/live", headers=[HOST, (b"origin", ORIGIN)], kind="websocket").is_refused
    assert Asked("/live", headers=[*SAFE, (b"origin", ORIGIN)], kind="websocket").reached
    elsewhere = Asked("/other", headers=[*SAFE, (b"origin", ORIGIN)], kind="websocket")
    assert (elsewhere.reached, elsewhere.status) == (False, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_says_where_it_is_from(method: str) -> None:
    assert Asked("/api/project", method).is_refused
    assert Asked("/api/project", method, [*SAFE, (b"sec-fetch-site", b"same-site")]).is_refused
    assert Asked("/api/project", method, [*SAFE, (b"sec-fetch-site", b"none")]).is_refused
    assert Asked("/api/project", method, [*SAFE, (b"sec-fetch-site", b"same-origin")]).status == 200
    assert Asked("/api/project", method, [*SAFE, (b"origin", ORIGIN)]).status == 200


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
def test_a_page_of_another_port_includes_nothing_of_ours(site: bytes) -> None:
    for path in ("/api/project", "/soundfont", "/static/js/main.js"):
        assert Asked(path, headers=[*SAFE, (b"sec-fetch-site", site)]).is_refused


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "CONNECT", "get", "PROPFIND", "\u0130"])
def test_there_are_no_other_methods(method: str) -> None:
    asked = Asked(method=method, headers=[*SAFE, (b"origin", ORIGIN)])
    assert (asked.status, asked.reached) == (405, False)


def test_the_token_gives_the_cookie() -> None:
    asked = Asked(query=f"token={KEYS.token}", headers=[HOST])
    assert (asked.status, asked.headers["location"]) == (303, "/")
    cookie, *terms = asked.headers["set-cookie"].split("; ")
    assert set(terms) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert Asked(headers=[HOST, (b"cookie", f"other=1; {cookie}".encode())]).status == 200
    assert KEYS.token not in str(asked.told)


def test_who_is_led_here_by_another_page_is_led_on_by_one_of_ours() -> None:
    asked = Asked(query=f"token={KEYS.token}", headers=[HOST, (b"sec-fetch-site", b"cross-site")])
    assert asked.status == 200
    assert "set-cookie" in asked.headers
    assert b'http-equiv="refresh" content="0;url=/"' in asked.told[1]["body"]


@pytest.mark.parametrize(
    "query", ["token=", "token=x", "token={0}x", "token={0}&token={0}", "token={0}&token=x", "t={0}"]
)
def test_no_other_token_does(query: str) -> None:
    assert Asked(query=query.format(KEYS.token), headers=[HOST]).is_refused


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/static/js/main.js", "GET", [HOST]),
        ("/api/project", "GET", [HOST]),
        ("//", "GET", [HOST]),
        ("/", "POST", [HOST, (b"origin", ORIGIN)]),
        ("/", "GET", [(b"host", b"attacker.example:8123")]),
        ("/", "GET", [HOST, (b"origin", b"http://attacker.example")]),
    ],
)
def test_the_token_counts_nowhere_else(path: str, method: str, headers: Headers) -> None:
    assert Asked(path, method, headers, f"token={KEYS.token}").is_refused


@pytest.mark.parametrize(
    "header",
    [
        (b"cookie", f"houseband-studio-{PORT}={KEYS.token}".encode()),
        (b"cookie", f"houseband-studio-{PORT + 1}={KEYS.cookie}".encode()),
        (b"cookie", f"houseband-studio-{PORT}={KEYS.cookie[:-1]}".encode()),
        (b"cookie", f"houseband-studio-{PORT}=\xff\xfe".encode("latin-1")),
        (b"cookie", b"=;;; ="),
        (b"authorization", f"Bearer {KEYS.token}".encode()),
        (b"x-token", KEYS.token.encode()),
    ],
)
def test_nothing_else_is_the_cookie(header: tuple[bytes, bytes]) -> None:
    assert Asked(headers=[HOST, header]).is_refused


def post(body: Sequence[bytes], length: str | None = None, path: str = "/api/x") -> Asked:
    headers = [*SAFE, (b"origin", ORIGIN), *([] if length is None else [(b"content-length", length.encode())])]
    return Asked(path, "POST", headers, body=body)


def test_a_body_that_says_that_it_is_too_large_is_not_read() -> None:
    for length in (str(MAX_BODY_BYTES + 1), "9" * 40, "-1", "x", ""):
        asked = post([b"x"], length)
        assert (asked.status, asked.reached) == (413, False)
    assert post([b"x"], str(MAX_BODY_BYTES)).status == 200


def test_one_that_does_not_say_so_is_read_to_the_limit() -> None:
    asked = post([b"x" * (MAX_BODY_BYTES // 2)] * 3)
    assert (asked.status, len(asked.read)) == (413, MAX_BODY_BYTES)
    assert asked.headers["connection"] == "close"


def test_files_may_be_larger_where_files_are_taken() -> None:
    large = [b"x" * MAX_BODY_BYTES] * (MAX_UPLOAD_BYTES // MAX_BODY_BYTES)
    assert post(large, path="/api/project/import").status == 200
    assert post([*large, b"x"], path="/api/project/import").status == 413


def test_an_address_without_end_is_refused() -> None:
    assert Asked("/" + "a" * 5000).status == 414
    assert Asked(query="a" * 5000).status == 414


def test_the_policy_allows_no_inline_script_and_nothing_from_elsewhere() -> None:
    policy = Asked().headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert "*" not in policy
    assert "http" not in policy
