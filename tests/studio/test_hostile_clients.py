"""Clients that mean no good, on real sockets: the server refuses them, and serves its page meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator, Sequence

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.studio import http_connection, server
from daemon.studio.access import CONTENT_SECURITY_POLICY, AccessControl
from daemon.studio.keys import StudioKeys
from daemon.studio.live_socket import LiveSocket
from daemon.studio.server import build_app, make_server
from daemon.studio.setup import StudioSetup
from tests.support.studio import StudioProcess, open_page


def exchange(port: int, request: bytes) -> bytes:
    """Return all that is answered to bytes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(request)
        answer = b""
        while more := client.recv(1 << 16):
            answer += more
        return answer


def make_request(studio: StudioProcess, target: str, *headers: str, method: str = "GET") -> bytes:
    """Return a request that may be made, but for its target, method and further headers."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: 127.0.0.1:{studio.port}",
        f"Cookie: {studio.get_cookie()}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read_status(answer: bytes) -> int:
    """Return the status of an answer, which has the headers of all answers."""
    head, _, body = answer.partition(b"\r\n\r\n")
    policies = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-security-policy:")]
    assert policies == [b"content-security-policy: " + CONTENT_SECURITY_POLICY.encode()], answer
    assert b"x-content-type-options: nosniff" in head
    status = int(head.split(b" ")[1])
    if status >= 400 and b"content-type: application/json" in head:
        assert json.loads(body)["error"]
    return status


@pytest.mark.parametrize(
    "target",
    [
        *("/static/../keys.py", "/static/%2e%2e/keys.py", "/static/..%2fkeys.py", "/static/js/../../keys.py"),
        *(
            "/static//etc/passwd",
            "/static/%2fetc%2fpasswd",
            "/static/%00",
            "/static/..\\keys.py",
            "/static/",
            "/static",
        ),
        *(
            "/static/" + "a" * 300,
            "/static/%ff",
            "//static/js/main.js",
            "/index.html",
            "/etc/passwd",
            "/../../etc/passwd",
        ),
        *("/api/project/items/..%2f..%2fetc%2fpasswd", "/api/takes/..%2F..%2Fetc%2Fpasswd", "/api/takes/%00"),
    ],
)
def test_no_path_leads_out_of_the_page_and_the_documents(studio: StudioProcess, target: str) -> None:
    answer = exchange(studio.port, make_request(studio, target))
    assert read_status(answer) in (400, 404, 405, 307)
    assert b"root:" not in answer
    assert b"class StudioKeys" not in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1.attacker.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET / HTTP/1.0\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            403,
        ),
        (b"GET http://attacker.example/ HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n", 403),
        (b"CONNECT attacker.example:443 HTTP/1.1\r\nHost: attacker.example:443\r\nConnection: close\r\n\r\n", 403),
    ],
)
def test_what_is_no_request_of_ours_is_refused(studio: StudioProcess, request_: bytes, status: int) -> None:
    assert read_status(exchange(studio.port, request_)) == status


def test_every_kind_of_answer_has_the_policy(studio: StudioProcess) -> None:
    known = [
        ("/", "GET", 200),
        ("/", "HEAD", 200),
        ("/soundfont-", "GET", 404),
        ("/", "DELETE", 403),
        ("/static/index.html", "PATCH", 403),
        ("/?token=x", "GET", 403),
    ]
    for target, method, status in known:
        assert read_status(exchange(studio.port, make_request(studio, target, method=method))) == status
    origin = f"Origin: {studio.origin}"
    for target, method in (("/", "POST"), ("/static/index.html", "PUT"), ("/live", "DELETE")):
        assert read_status(exchange(studio.port, make_request(studio, target, origin, method=method))) in (404, 405)
    assert read_status(exchange(studio.port, make_request(studio, "/live"))) in (404, 426)


UPGRADE = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def make_handshake(studio: StudioProcess, *headers: str) -> bytes:
    return make_request(studio, "/live", *UPGRADE, *headers).replace(b"Connection: close", b"Connection: Upgrade")


def test_websockets_of_other_pages_are_refused_before_they_open(studio: StudioProcess) -> None:
    for origin in ("http://attacker.example", "null", f"http://127.0.0.1:{studio.port + 1}"):
        answer = exchange(studio.port, make_handshake(studio, f"Origin: {origin}"))
        assert read_status(answer) == 403
    assert read_status(exchange(studio.port, make_handshake(studio))) == 403


def test_a_handshake_that_is_none_is_refused(studio: StudioProcess) -> None:
    handshake = make_handshake(studio, f"Origin: {studio.origin}")
    for part, other in ((b"13", b"12"), (b"Sec-WebSocket-Key", b"X-Key"), (b"dGhlIHNhbXBsZSBub25jZQ==", b"x")):
        assert read_status(exchange(studio.port, handshake.replace(part, other))) in (400, 426)


def test_a_message_without_end_ends_its_page_alone(studio: StudioProcess) -> None:
    with open_page(studio) as other, open_page(studio) as page:
        page.socket.send("x" * (1 << 20))
        with contextlib.suppress(Exception):
            while page.socket.recv(timeout=60):
                pass
        assert page.socket.close_code == 1009
        assert other.ask("get", key="bpm")["id"] == "asked"


def test_silent_connections_keep_nobody_out(studio: StudioProcess) -> None:
    with contextlib.ExitStack() as silent:
        for number in range(http_connection.MAX_CONNECTIONS + 50):
            one = silent.enter_context(socket.create_connection(("127.0.0.1", studio.port), timeout=60))
            if number % 2:
                one.sendall(b"GET / HTTP/1.1\r\nHost: ")
        with open_page(studio) as page, studio.make_client() as client:
            assert client.get("/").status_code == 200
            assert page.ask("get", key="bpm")["id"] == "asked"


async def ask_slowly(pieces: Sequence[bytes], port: int) -> bytes:
    """Return what is answered to a client that sends some pieces and then nothing, until it is cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(http_connection, "HEAD_PATIENCE_S", 0.05)
    monkeypatch.setattr(http_connection, "BODY_PATIENCE_S", 0.05)
    yield
    http_connection.HttpConnection.waiting.clear()


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"GET / HTT"],
        [b"GET / HTTP/1.1\r\n", b"Host: 127.0.0.1\r\n", b"X: y\r\n"],
        [b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n"
         b"Content-Length: 10\r\n\r\n", b"abc"],
    ],
)  # fmt: skip
def test_who_does_not_finish_a_request_is_cut_off(impatient: None, pieces: list[bytes]) -> None:
    keys = StudioKeys()

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    async def scenario() -> bytes:
        with server.listen(0) as listener:
            port = listener.getsockname()[1]
            app = build_app(StudioSetup("", None), LiveSocket(None, None), [Route("/echo", echo, methods=["POST"])])  # type: ignore[arg-type]
            running = make_server(AccessControl(app, port, keys))
            serving = asyncio.create_task(running.serve([listener]))
            while not running.started:
                await asyncio.sleep(0)
            cookie = f"houseband-studio-{port}={keys.cookie}".encode()
            filled = [piece.replace(b"{port}", b"%d" % port).replace(b"{cookie}", cookie) for piece in pieces]
            answer = await ask_slowly(filled, port)
            running.should_exit = True
            await serving
            return answer

    answer = asyncio.run(scenario())
    assert answer == b""


def test_a_fault_of_ours_is_told_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    keys = StudioKeys()

    def fail(_request: Request) -> Response:
        raise RuntimeError("the inside of the program")

    app = build_app(StudioSetup("", None), LiveSocket(None, None), [Route("/api/fault", fail)])  # type: ignore[arg-type]
    transport = httpx.ASGITransport(AccessControl(app, 8123, keys), raise_app_exceptions=False)

    async def ask() -> httpx.Response:
        headers = {"cookie": f"houseband-studio-8123={keys.cookie}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8123", headers=headers) as client:
            return await client.get("/api/fault")

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert "the inside" not in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "the inside of the program" in caplog.text
