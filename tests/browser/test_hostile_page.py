"""A page of another server on the same machine, in a browser that has the studio's cookie, reaches nothing of it.

Cookies do not tell ports apart, so that the browser sends the cookie along with most of what this page tries.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.support.studio import StudioProcess

#: what the browser writes into the console about it
BLOCKED = ("403", "blocked", "WebSocket connection to", "Refused to", "Failed to load", "violates", "CORS")
TRIES = """
async (origin) => {
    const outcomes = {};
    const attempt = async (name, promise) => {
        outcomes[name] = await promise.then(() => "reached", () => "refused");
    };
    const load = (tag, address) => new Promise((resolve, reject) => {
        const element = document.createElement(tag);
        element.onload = resolve;
        element.onerror = reject;
        element.src = address;
        document.body.append(element);
    });
    const body = JSON.stringify({ name: "hostile" });
    await attempt("read", fetch(origin + "/api/project", { credentials: "include" }));
    await attempt("write", fetch(origin + "/api/projects", { method: "POST", credentials: "include", body }));
    const blind = { method: "POST", credentials: "include", mode: "no-cors", body };
    await attempt("blind write", fetch(origin + "/api/projects", blind));
    await attempt("script", load("script", origin + "/static/js/bus.js"));
    await attempt("picture", load("img", origin + "/static/icon.svg"));
    await attempt("socket", new Promise((resolve, reject) => {
        const socket = new WebSocket(origin.replace("http", "ws") + "/live");
        socket.onopen = resolve;
        socket.onerror = reject;
    }));
    return outcomes;
}
"""


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """The address of a page that another server on this machine serves."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title><body>", encoding="utf-8")
    (tmp_path / "favicon.ico").touch()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


def test_it_reaches_nothing(
    studio: StudioProcess, open_page: OpenPage, elsewhere: str, expected_errors: list[str]
) -> None:
    expected_errors.extend(BLOCKED)
    own = open_page(studio.url)
    own.wait_for_function("() => window.houseband?.live?.hasBand")
    with studio.make_client() as client:
        before = client.get("/api/projects").json()
        page = open_page(elsewhere)
        assert set(page.evaluate(TRIES, studio.origin).values()) == {"refused"}
        assert client.get("/api/projects").json() == before


def test_it_cannot_frame_the_studio(
    studio: StudioProcess, open_page: OpenPage, elsewhere: str, expected_errors: list[str]
) -> None:
    expected_errors.extend(BLOCKED)
    page = open_page(elsewhere)
    page.evaluate(
        """(address) => new Promise((resolve) => {
            const frame = document.createElement("iframe");
            frame.onload = resolve;
            frame.src = address;
            document.body.append(frame);
        })""",
        studio.url,
    )
    [_, frame] = page.frames
    assert frame.locator("#start").count() == 0
