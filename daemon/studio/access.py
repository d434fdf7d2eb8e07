"""Access to the studio: who may ask its server, and what a browser may do with the answers.

The server listens on loopback, where every program and every web page on the machine can reach it. A request is
answered if it names this server by its address (a page elsewhere that had its own name resolved to 127.0.0.1 does not),
if it does not come from a page of another origin, and if it brings the cookie that only the address with the token
gives. Cookies do not tell ports apart, so that pages of other servers on the machine bring it, too: that is why the
origin matters for every request.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.studio.keys import StudioKeys
from music.errors import HousebandError

#: bytes of a request's body, where a route does not say otherwise, and of one that uploads a file
MAX_BODY_BYTES, MAX_UPLOAD_BYTES = 1 << 20, 8 << 20
#: bytes of a request's path with its query
MAX_TARGET_BYTES = 4096
#: paths to which a file is uploaded
UPLOAD_PATHS = frozenset({"/api/project/import"})
#: paths at which a WebSocket is opened
SOCKET_PATHS = frozenset({"/live"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
SAFE_METHODS = frozenset({"GET", "HEAD"})

#: `wasm-unsafe-eval` lets the synthesiser decode compressed samples; workers are never made from text
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
#: on every answer, whatever it is
SAFETY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_SAFETY_NAMES = frozenset(name for name, _ in SAFETY_HEADERS)


#: leads on to the studio: what a browser asks for from a page of ours, it sends the cookie with
_ENTRANCE = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><title>houseband studio</title>'
    b'<link rel="icon" href="data:,">'  # a browser asks for /favicon.ico otherwise
    b'<meta http-equiv="refresh" content="0;url=/"><a href="/">houseband studio</a></html>'
)


class Refusal(HousebandError):
    """Raised for a request that is not answered by the application behind: with a status, a sentence and headers."""

    def __init__(
        self, status: int, sentence: str, headers: Iterable[tuple[bytes, bytes]] = (), page: bytes = b""
    ) -> None:
        """sentence: says why; page: HTML instead."""
        super().__init__(sentence)
        self.status, self.headers = status, tuple(headers)
        self.body = page or json.dumps({"error": sentence}).encode()
        self.content_type = b"text/html; charset=utf-8" if page else b"application/json"


class AccessControl:
    """An ASGI application around another one, which answers only what may be asked."""

    def __init__(self, app: ASGIApp, port: int, keys: StudioKeys) -> None:
        """port: on which the server is reached, at 127.0.0.1 or localhost."""
        self._app = app
        self._keys = keys
        self._cookie_name = f"houseband-studio-{port}"
        self._hosts = frozenset(f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost"))
        self._origins = frozenset(b"http://" + host for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return
        begun = False

        async def send_safely(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(add_safety_headers(message))

        try:
            self._check(scope)
            if scope["type"] == "websocket":
                await self._app(scope, receive, send_safely)
            else:
                limit = MAX_UPLOAD_BYTES if scope["path"] in UPLOAD_PATHS else MAX_BODY_BYTES
                _check_length(scope, limit)
                await self._app(scope, BoundedBody(receive, limit).receive, send_safely)
        except Refusal as refusal:
            if begun:
                raise
            await refuse(scope, send, refusal)

    def _check(self, scope: Scope) -> None:
        """Raise Refusal for a request that is not to be answered."""
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Refusal(403, "this server answers by the names 127.0.0.1 and localhost only")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
            raise Refusal(414, "the address is too long")
        self._check_origin(scope, headers)
        if scope["type"] == "websocket":
            if scope["path"] not in SOCKET_PATHS:
                raise Refusal(404, "there is no WebSocket here")
        else:
            if scope["method"] not in METHODS:
                raise Refusal(405, "no such method", [(b"allow", ", ".join(sorted(METHODS)).encode())])
            if scope["path"] == "/" and scope["method"] in SAFE_METHODS:
                self._take_token(scope, headers)
        if not self._has_cookie(headers):
            raise Refusal(403, "open the studio by the address that `houseband studio` printed: it holds the token")

    def _check_origin(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        """Raise Refusal for a request that another origin's page makes, or may make."""
        origins = [value for name, value in headers if name == b"origin"]
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        if any(origin not in self._origins for origin in origins) or len(origins) > 1:
            raise Refusal(403, "pages of other origins may not use the studio")
        if scope["type"] == "websocket":
            if not origins:
                raise Refusal(403, "a WebSocket says which origin its page has")
        elif scope["method"] not in SAFE_METHODS:
            if not origins and sites != [b"same-origin"]:
                raise Refusal(403, "a request that changes something says which origin its page has")
        elif scope["path"] != "/" and any(site not in (b"same-origin", b"none") for site in sites):
            raise Refusal(403, "pages of other origins may not use the studio")

    def _take_token(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        """Raise the Refusal that gives the cookie where the address has the token, or that refuses a wrong one.

        A browser that was led here from elsewhere sends the cookie with what it asks for next only if a page of ours
        asks for it.
        """
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in query if name == "token"]
        if not tokens:
            return
        if len(tokens) != 1 or not _is_same(tokens[0], self._keys.token):
            raise Refusal(403, "this token is not the studio's; open the address that `houseband studio` printed last")
        cookie = f"{self._cookie_name}={self._keys.cookie}; HttpOnly; SameSite=Strict; Path=/"
        given = [(b"set-cookie", cookie.encode())]
        if any(name == b"sec-fetch-site" and value not in (b"none", b"same-origin") for name, value in headers):
            raise Refusal(200, "", given, _ENTRANCE)
        raise Refusal(303, "", [(b"location", b"/"), *given], _ENTRANCE)

    def _has_cookie(self, headers: list[tuple[bytes, bytes]]) -> bool:
        for name, value in headers:
            for part in value.decode("latin-1").split(";") if name == b"cookie" else ():
                key, _, found = part.strip().partition("=")
                if key == self._cookie_name and _is_same(found, self._keys.cookie):
                    return True
        return False


class BoundedBody:
    """A request's body, which is read no further than to a limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        """limit: in bytes."""
        self._receive = receive
        self._left = limit

    async def receive(self) -> Message:
        """Return the next message of the request. Raises Refusal."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise Refusal(413, "that is too large", [(b"connection", b"close")])
        return message


def _check_length(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > limit):
            raise Refusal(413, f"that is too large: {limit >> 20} MB at most", [(b"connection", b"close")])


def add_safety_headers(message: Message) -> Message:
    """Return a message of an answer; one that begins it has the headers of every answer."""
    if message["type"] not in ("http.response.start", "websocket.http.response.start"):
        return message
    headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in _SAFETY_NAMES]
    if all(name.lower() != b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-cache"))  # a new version's page is not made of an old one's parts
    return {**message, "headers": [*headers, *SAFETY_HEADERS]}


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer a request that is refused, a WebSocket's before it is opened."""
    kind = "http" if scope["type"] == "http" else "websocket.http"
    headers = [
        (b"content-type", refusal.content_type),
        (b"content-length", str(len(refusal.body)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    start: Message = {"type": f"{kind}.response.start", "status": refusal.status, "headers": headers}
    await send(add_safety_headers(start))
    await send({"type": f"{kind}.response.body", "body": refusal.body})


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
