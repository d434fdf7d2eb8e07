"""The WebSocket `/live`: what happens in the band, for a page, and what the page asks of the band."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from daemon.control.client import NoBandError
from daemon.control.requests import make_answer, make_refusal
from daemon.core.controls import PANIC
from daemon.core.schema import shorten
from daemon.core.version import find_installed_version
from daemon.projects.techniques_on_offer import list_technique_styles
from daemon.studio.band_link import BandLink
from daemon.studio.control_table import list_controls
from daemon.studio.pages import Page, Pages
from daemon.studio.setup import Json
from music.errors import UserError, describe_error

#: requests of a page that the band is asked at a time; those that may wait beside them
MAX_UNDER_WAY, MAX_WAITING = 8, 256
#: requests that the band is asked as they are
PASSED_ON = frozenset({"get", "set", PANIC, "ping", "learn", "forget"})
#: those that wait for no others: a panic, and what is answered only once the player does something
AT_ONCE = frozenset({PANIC, "learn"})
#: requests that a page need not make, for it is told of everything
NEEDLESS = frozenset({"subscribe", "unsubscribe"})
#: WebSocket close codes: no room for another page; a message that is not text
TRY_AGAIN_LATER, UNSUPPORTED = 1013, 1003

_BUSY = "the band is busy; ask again later"
#: called once a request has been answered
Then = Callable[[], None]


def _do_nothing() -> None:
    pass


class LiveSocket:
    """The endpoint of `/live`."""

    def __init__(self, band: BandLink, pages: Pages) -> None:
        self._band, self._pages = band, pages

    async def serve(self, socket: WebSocket) -> None:
        """Serve one page until it is gone."""
        await socket.accept()
        if self._pages.is_full:
            await socket.close(TRY_AGAIN_LATER, "too many pages are open")
            return
        page = Page(socket.send_text)
        styles = await asyncio.to_thread(list_technique_styles)  # reads the graphs' signatures, once
        page.add_answer(self._make_hello(styles))
        self._pages.add(page)
        requests = PageRequests(page, self._band)
        tasks = [asyncio.create_task(page.send_all()), asyncio.create_task(_read(socket, page, requests))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pages.remove(page)
            self._band.notes.release(page)
            requests.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # that it is gone is no error
            with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect):
                await socket.close()

    async def get_chart(self, _request: Request) -> Response:
        """Answer `/chart`: the chart that the band plays from, as `houseband chart --json` prints it."""
        source = self._band.find_chart()
        if not source:
            raise HTTPException(404, "the band plays from no chart")
        try:
            return JSONResponse(await asyncio.to_thread(_describe_chart, source))
        except UserError as error:
            raise HTTPException(400, str(error)) from None

    def _make_hello(self, technique_styles: dict[str, list[str]]) -> Json:
        state = self._band.state
        return {
            "event": "hello",
            "state": state,
            "controls": list_controls(),
            "technique_styles": (state or {}).get("technique_styles") or technique_styles,
            "now": time.monotonic_ns(),
            "band": self._band.describe(),
            "version": find_installed_version(),
        }


async def _read(socket: WebSocket, page: Page, requests: PageRequests) -> None:
    """Take a page's requests until it is gone."""
    while True:
        text = await socket.receive_text()
        requests.take(text)
        await page.wait_for_room()


class PageRequests:
    """The requests of one page, those included that have not been answered yet.

    Few of them are with the band at a time, so that a page that asks too much keeps only itself waiting.
    """

    def __init__(self, page: Page, band: BandLink) -> None:
        self._page, self._band = page, band
        self._under_way = 0  # requests that the band has not answered
        self._waiting: deque[tuple[Json, Then]] = deque()  # those it will be asked then
        self._later: dict[str, list[Json]] = {}  # control -> the requests to set it that wait for the one under way
        self._is_closed = False

    def take(self, text: str) -> None:
        """Answer a request, now or once the band has."""
        request: Json = {}
        try:
            found = json.loads(text)
            if not isinstance(found, dict):
                raise UserError('a request is a JSON object such as {"op": "get"}')
            request = found
            self._answer(request)
        except UserError as error:
            self._page.add_answer(make_refusal(request, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a request says, it is answered, and the page goes on
            self._page.add_answer(
                make_refusal(request, f"this request cannot be carried out ({describe_error(error)})")
            )

    def close(self) -> None:
        """Forget what was asked: the page is gone."""
        self._is_closed = True
        self._waiting.clear()

    def _answer(self, request: Json) -> None:
        """Answer a request. Raises UserError."""
        match request.get("op"):
            case "clock":
                self._page.add_answer({"event": "clock", "t": request.get("t"), "now": time.monotonic_ns()})
            case "play":
                self._band.notes.play(self._page, request, lambda found: self._page.add_answer(_match(request, found)))
            case "set" if _is_value(request):
                self._set(request)
            case str() as op if op in PASSED_ON:
                self._pass_on(request)
            case str() as op if op in NEEDLESS:
                self._page.add_answer(make_answer(request))
            case other:
                raise UserError(f"no such op: {shorten(other)}; there are clock, play, {', '.join(sorted(PASSED_ON))}")

    def _set(self, request: Json) -> None:
        """Set a control; while one change of it is under way, only the last that comes meanwhile is made."""
        key = str(request.get("key"))
        if key in self._later:
            if len(self._later[key]) >= MAX_WAITING:
                raise UserError(_BUSY)
            self._later[key].append(request)
            return
        self._later[key] = []
        try:
            self._pass_on(request, lambda: self._set_again(key))
        except UserError:
            del self._later[key]
            raise

    def _set_again(self, key: str) -> None:
        waiting = self._later.pop(key, [])
        if not waiting:
            return
        *earlier, last = waiting
        for request in earlier:
            self._page.add_answer(make_answer(request))
        try:
            self._set(last)
        except UserError as error:
            self._page.add_answer(make_refusal(last, str(error)))

    def _pass_on(self, request: Json, then: Then = _do_nothing) -> None:
        """Ask the band, now or once it has answered others, and answer the page then. Raises UserError."""
        if request["op"] in AT_ONCE or self._under_way < MAX_UNDER_WAY:
            self._ask(request, then)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append((request, then))
        else:
            raise UserError(_BUSY)

    def _ask(self, request: Json, then: Then) -> None:
        """Ask the band. Raises NoBandError."""
        members = {key: value for key, value in request.items() if key not in ("id", "op")}
        asked = self._band.ask(request["op"], **members)
        counted = request["op"] not in AT_ONCE
        self._under_way += counted

        def finish(done: asyncio.Future[Json]) -> None:
            self._under_way -= counted
            error = done.exception()
            if self._is_closed:
                return
            answer = _match(request, done.result()) if error is None else make_refusal(request, str(error))
            self._page.add_answer(answer)
            then()
            self._ask_next()

        asked.add_done_callback(finish)

    def _ask_next(self) -> None:
        while self._waiting and self._under_way < MAX_UNDER_WAY:
            request, then = self._waiting.popleft()
            try:
                self._ask(request, then)
            except NoBandError as error:
                self._page.add_answer(make_refusal(request, str(error)))
                then()


def _match(request: Json, answer: Json) -> Json:
    """Return the band's answer as the answer to a page's request: with the id that the page has given it."""
    if answer.get("ok"):
        return make_answer(request, **{key: value for key, value in answer.items() if key not in ("id", "ok")})
    return make_refusal(request, str(answer.get("error", "")))


def _is_value(request: Json) -> bool:
    """Tell whether a request sets a control to a value that a later one replaces; taps and toggles all count."""
    return isinstance(request.get("value"), int | float) and not isinstance(request.get("value"), bool)


def _describe_chart(source: str) -> Json:
    """Return a chart as plain values. Raises UserError for what is no chart."""
    from music.charts.reading import read_charts  # with its readers of many formats, which few need

    return read_charts(source)[0].describe()
