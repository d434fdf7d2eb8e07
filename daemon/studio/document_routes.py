"""Documents and results over HTTP: projects, inputs, results, takes, exports.

Answers that change the project hold it as it is then; what takes long is answered with a job. Errors are one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from daemon.core.controls import CONTROLS
from daemon.projects import item_changes, take_files, workshop
from daemon.projects.durable_files import BusyFileError
from daemon.projects.exporting import name_file
from daemon.projects.history import HistoryError
from daemon.projects.importing import ImportedChart, decode_file_name, import_file, make_example, parse_recording
from daemon.projects.item import (
    MAX_BARS,
    MAX_EDITS,
    Item,
    expect,
    parse_controls,
    parse_integer,
    parse_name,
    parse_notes,
    parse_seed,
)
from daemon.projects.jobs import JobError, TooManyJobsError
from daemon.projects.project import MissingError, StorageError
from daemon.projects.techniques_on_offer import Wish, is_musical
from daemon.projects.workshop import Workshop
from daemon.studio.setup import StudioSetup, Tell
from music.errors import HousebandError, UserError

log = logging.getLogger(__name__)

T = TypeVar("T")
Answer = Callable[[Request], Awaitable[Response]]
#: statuses by error, the first that fits; all others of ours are the request's mistake
_STATUSES: tuple[tuple[type[HousebandError], int], ...] = (
    (MissingError, 404),
    (HistoryError, 409),
    (BusyFileError, 409),
    (TooManyJobsError, 429),
    (StorageError, 507),
    (JobError, 500),
    (UserError, 400),
    (HousebandError, 500),
)
_MAX_LABEL_LENGTH = 100


@contextlib.asynccontextmanager
async def open_documents(setup: StudioSetup, tell: Tell) -> AsyncIterator[list[BaseRoute]]:
    """Open the documents for as long as the server runs; yield the routes below `/api` by which pages reach them.

    tell: sends an event to all pages. Where they cannot be opened, each request is answered with the reason: the band
    can be played all the same.
    """
    loop = asyncio.get_running_loop()

    def tell_from_thread(event: dict[str, Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(tell, event)

    try:
        opened = await asyncio.to_thread(lambda: Workshop(setup.takes, tell_from_thread))
    except UserError as error:
        log.warning("%s", error)
        yield [_make_refusing_route(str(error))]
        return
    try:
        yield list_document_routes(opened, setup.controls)
    finally:
        await asyncio.to_thread(opened.close)


def _make_refusing_route(sentence: str) -> BaseRoute:
    """Return the route of documents that cannot be opened."""

    async def refuse(_request: Request) -> Response:
        return JSONResponse({"error": sentence}, 507)

    return Route("/api/{path:path}", refuse, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])


def list_document_routes(opened: Workshop, controls: Mapping[str, object] | None = None) -> list[BaseRoute]:
    """Return the routes by which pages reach a workshop.

    controls: values of controls that results are made with where a page names no others.
    """
    documents = DocumentRoutes(opened, controls or {})
    item = "/api/project/items/{id}"
    table: list[tuple[str, str, Answer]] = [
        ("GET", "/api/project", documents.get_project),
        ("PATCH", "/api/project", documents.rename_project),
        ("GET", "/api/projects", documents.list_projects),
        ("POST", "/api/projects", documents.create_project),
        ("POST", "/api/projects/{id}/open", documents.open_project),
        ("DELETE", "/api/projects/{id}", documents.delete_project),
        ("POST", "/api/project/import", documents.import_file),
        ("GET", "/api/examples", documents.list_examples),
        ("POST", "/api/project/inputs", documents.add_input),
        ("POST", "/api/project/make", documents.make),
        ("POST", "/api/project/undo", documents.undo),
        ("POST", "/api/project/redo", documents.redo),
        ("POST", "/api/jobs/{id}/cancel", documents.cancel),
        ("GET", item, documents.get_item),
        ("PATCH", item, documents.rename_item),
        ("DELETE", item, documents.delete_item),
        ("PUT", f"{item}/notes", documents.put_notes),
        ("PUT", f"{item}/edits", documents.put_edits),
        ("POST", f"{item}/trim", documents.trim),
        ("POST", f"{item}/input", documents.copy_to_input),
        ("POST", f"{item}/regenerate", documents.regenerate),
        ("GET", f"{item}/export.mid", documents.export_midi),
        ("GET", f"{item}/export.wav", documents.export_wav),
        ("GET", "/api/takes", documents.list_takes),
        ("GET", "/api/takes/{name}", documents.get_take),
        ("PATCH", "/api/takes/{name}", documents.rename_take),
        ("DELETE", "/api/takes/{name}", documents.delete_take),
        ("POST", "/api/takes/{name}/restore", documents.restore_take),
        ("GET", "/api/takes/{name}/export.mid", documents.export_take),
        ("GET", "/api/takes/{name}/export.wav", documents.export_take_wav),
    ]
    return [Route(path, _telling_errors(answer), methods=[method]) for method, path, answer in table]


def _telling_errors(answer: Answer) -> Answer:
    """Return a function that answers as another does, and with a status and a sentence where that raises an error."""

    async def answer_or_tell(request: Request) -> Response:
        try:
            return await answer(request)
        except HousebandError as error:
            status = next(status for kind, status in _STATUSES if isinstance(error, kind))
            return JSONResponse({"error": str(error)}, status)

    return answer_or_tell


class DocumentRoutes:
    """The answers to requests, each with the status and the JSON that docs/studio.md describes."""

    def __init__(self, opened: Workshop, controls: Mapping[str, object]) -> None:
        self._workshop = opened
        self._usual = {
            key: value
            for key, value in controls.items()
            if key in CONTROLS and is_musical(key) and isinstance(value, bool | int | float | str)
        }

    async def _ask(self, function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._workshop.ask(function))

    async def _answer(self, function: Callable[[], object], status: int = 200) -> Response:
        return JSONResponse(await self._ask(function), status)

    # Projects

    async def get_project(self, request: Request) -> Response:
        """Return the open project."""
        return await self._answer(self._workshop.describe)

    async def rename_project(self, request: Request) -> Response:
        """Give the open project another name."""
        body = await _read_json(request)
        return await self._answer(lambda: self._workshop.rename_project(body.get("name")))

    async def list_projects(self, request: Request) -> Response:
        """Return all projects."""
        return await self._answer(self._workshop.list_projects)

    async def create_project(self, request: Request) -> Response:
        """Begin a project."""
        body = await _read_json(request)
        return await self._answer(lambda: self._workshop.create_project(body.get("name") or "Untitled"))

    async def open_project(self, request: Request) -> Response:
        """Open another project."""
        return await self._answer(lambda: self._workshop.open_project(request.path_params["id"]))

    async def delete_project(self, request: Request) -> Response:
        """Move a project to the bin."""
        return await self._answer(lambda: self._workshop.delete_project(request.path_params["id"]))

    async def undo(self, request: Request) -> Response:
        """Undo the last change."""
        return await self._answer(self._workshop.undo)

    async def redo(self, request: Request) -> Response:
        """Make the change again that was undone last."""
        return await self._answer(self._workshop.redo)

    # Inputs

    async def import_file(self, request: Request) -> Response:
        """Import a MIDI file or a chart."""
        data = await request.body()
        name = decode_file_name(request.headers.get("x-file-name", "file"))
        found = await asyncio.to_thread(import_file, data, name)
        if isinstance(found, ImportedChart):
            return await self._answer(lambda: self._workshop.add_chart(found))
        return await self._answer(lambda: {**self._workshop.add_input(found.item), "told": found.told})

    async def list_examples(self, request: Request) -> Response:
        """Return the examples."""
        return JSONResponse(workshop.list_examples())

    async def add_input(self, request: Request) -> Response:
        """Add what was recorded on the page, a take or an example."""
        body = await _read_json(request)
        if "take" in body:
            item = await asyncio.to_thread(take_files.open_take, self._workshop.takes, str(body["take"]))
        elif "example" in body:
            item = make_example(str(body["example"]))
        else:
            item = parse_recording(body)
        return await self._answer(lambda: self._workshop.add_input(item))

    # Results

    async def make(self, request: Request) -> Response:
        """Have a result made."""
        body = await _read_json(request)
        key = str(expect(body.get("input"), str, "input"))
        wish = _read_wish({**body, "controls": {**self._usual, **parse_controls(body.get("controls") or {})}})
        job = await self._ask(lambda: self._workshop.make(key, wish))
        return JSONResponse({"job": job["id"]}, 202)

    async def regenerate(self, request: Request) -> Response:
        """Have some bars of some roles played anew."""
        body, key = await _read_json(request), request.path_params["id"]
        bars = expect(body.get("bars"), list, "bars", 2)
        first, last = (parse_integer(bars[at], "bars", 1, MAX_BARS) for at in (0, -1)) if bars else (0, 0)
        roles = [str(role) for role in expect(body.get("roles"), list, "roles", 16)]

        def regenerate() -> dict[str, Any]:
            item = self._workshop.project.get(key)
            return self._workshop.regenerate(key, (first, last), roles, _read_wish({**_describe_wish(item), **body}))

        return JSONResponse({"job": (await self._ask(regenerate))["id"]}, 202)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        return await self._answer(lambda: self._workshop.cancel(request.path_params["id"]))

    # Items

    async def get_item(self, request: Request) -> Response:
        """Return an item."""
        return await self._answer(lambda: self._get_item(request).as_json())

    async def rename_item(self, request: Request) -> Response:
        """Give an item another name."""
        name = parse_name((await _read_json(request)).get("name"))
        return await self._change(request, f"rename to {name}", lambda item: item_changes.rename(item, name))

    async def delete_item(self, request: Request) -> Response:
        """Delete an item."""
        return await self._answer(lambda: self._workshop.delete_item(request.path_params["id"]))

    async def put_notes(self, request: Request) -> Response:
        """Put other notes into some roles of an item."""
        body = await _read_json(request)
        notes = parse_notes(body.get("notes"))
        label = str(expect(body.get("label", "change notes"), str, "label"))[:_MAX_LABEL_LENGTH]
        return await self._change(request, label, lambda item: item_changes.put_notes(item, notes))

    async def put_edits(self, request: Request) -> Response:
        """Apply other edits of those that the AR-CNN made."""
        body = await _read_json(request)
        shown = None if body.get("shown") is None else parse_integer(body["shown"], "shown", 0, MAX_EDITS)
        kept = None
        if body.get("kept") is not None:
            kept = [bool(expect(flag, bool, "kept")) for flag in expect(body["kept"], list, "kept", MAX_EDITS)]
        return await self._change(request, "choose edits", lambda item: item_changes.show_edits(item, shown, kept))

    async def trim(self, request: Request) -> Response:
        """Leave only some bars of an item."""
        bars = expect((await _read_json(request)).get("bars"), list, "bars", 2)
        first, last = (parse_integer(bars[at], "bars", 1, MAX_BARS) for at in (0, -1)) if bars else (0, 0)
        return await self._change(
            request, f"trim to bars {first} to {last}", lambda i: item_changes.trim(i, first, last)
        )

    async def copy_to_input(self, request: Request) -> Response:
        """Make an input of an item."""
        return await self._answer(lambda: self._workshop.copy_to_input(request.path_params["id"]))

    async def _change(self, request: Request, label: str, change: Callable[[Item], Item]) -> Response:
        key = request.path_params["id"]
        return await self._answer(lambda: self._workshop.change_item(key, label, change))

    def _get_item(self, request: Request) -> Item:
        return self._workshop.project.get(request.path_params["id"])

    def _get_with_source(self, request: Request) -> tuple[Item, str]:
        """Return an item, and the name of what it was made of."""
        item, items = self._get_item(request), self._workshop.project.list_items()
        return item, next((each.name for each in items if each.id == item.parent), "")

    # Files

    async def export_midi(self, request: Request) -> Response:
        """Return an item as a MIDI file."""
        item, source = await self._ask(lambda: self._get_with_source(request))
        data = await asyncio.to_thread(self._workshop.export_midi, item, _read_mix(request, item))
        return _attach(data, name_file(item, ".mid", source))

    async def export_wav(self, request: Request) -> Response:
        """Return the sound of an item."""
        item, source = await self._ask(lambda: self._get_with_source(request))
        return await self._send_sound(item, _read_mix(request, item), source)

    async def _send_sound(self, item: Item, mix: Mapping[str, object], source: str = "") -> Response:
        folder = await asyncio.to_thread(lambda: tempfile.TemporaryDirectory(prefix="houseband-"))
        target = Path(folder.name, "item.wav")
        try:
            job = await self._ask(lambda: self._workshop.write_wav(item, mix, target))
            try:
                await asyncio.wrap_future(job.answer)
            except asyncio.CancelledError:  # whoever asked is gone
                self._workshop.ask(lambda: self._workshop.cancel(job.id))
                raise
        except BaseException:
            folder.cleanup()
            raise
        headers = _name_attachment(name_file(item, ".wav", source))
        return FileResponse(target, headers=headers, media_type="audio/wav", background=BackgroundTask(folder.cleanup))

    # Takes

    async def list_takes(self, request: Request) -> Response:
        """Return all takes."""
        return JSONResponse(await asyncio.to_thread(take_files.describe_takes, self._workshop.takes))

    async def get_take(self, request: Request) -> Response:
        """Return a take as an item."""
        return JSONResponse((await self._open_take(request)).as_json())

    async def rename_take(self, request: Request) -> Response:
        """Give a take another name."""
        body = await _read_json(request)
        return await self._answer(lambda: self._workshop.rename_take(request.path_params["name"], body.get("name")))

    async def delete_take(self, request: Request) -> Response:
        """Move a take to the bin."""
        return await self._answer(lambda: self._workshop.delete_take(request.path_params["name"]))

    async def restore_take(self, request: Request) -> Response:
        """Bring a take back from the bin."""
        return await self._answer(lambda: self._workshop.restore_take(request.path_params["name"]))

    async def export_take(self, request: Request) -> Response:
        """Return the MIDI file of a take."""
        name = request.path_params["name"]
        return _attach(await asyncio.to_thread(take_files.read_take, self._workshop.takes, name), f"{name}.mid")

    async def export_take_wav(self, request: Request) -> Response:
        """Return the sound of a take."""
        item = await self._open_take(request)
        return await self._send_sound(item, _read_mix(request, item))

    async def _open_take(self, request: Request) -> Item:
        name = request.path_params["name"]
        return await asyncio.to_thread(take_files.open_take, self._workshop.takes, name)


async def _read_json(request: Request) -> dict[str, Any]:
    """Return the object in a request's body; an empty body is an empty object. Raises UserError."""
    data = await request.body()
    try:
        body = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError):
        raise UserError("the request is no JSON") from None
    return dict(expect(body, dict, "the request"))


def _read_wish(body: Mapping[str, Any]) -> Wish:
    """Return the wish for a result in a request. Raises ItemError."""
    controls = parse_controls(body.get("controls") or {})
    iterations = body.get("iterations", controls.pop("iterations", None))
    return Wish(
        technique=str(expect(body.get("technique"), str, "technique")),
        style=str(expect(body.get("style") or "", str, "style")),
        seed=parse_seed(body.get("seed", 0)),
        controls={**controls, **({"chart": body["chart"]} if isinstance(body.get("chart"), str) else {})},
        extension=parse_integer(body.get("extend") or 0, "extend", 0, 1000),
        **({} if iterations is None else {"iterations": parse_integer(iterations, "iterations", 0, 100_000)}),
    )


def _describe_wish(item: Item) -> dict[str, Any]:
    """Return what an item was made with, for bars of it that are made anew; what is no result has the usual."""
    technique = item.technique if item.technique not in ("", "arcnn") else "gan"
    style = item.style if technique == item.technique else ""
    return {"technique": technique, "style": style, "seed": item.seed + 1, "controls": dict(item.controls)}


def _read_mix(request: Request, item: Item) -> dict[str, object]:
    """Return the mix that a request names, over what the item was made with. Raises ItemError."""
    try:
        given = json.loads(request.query_params.get("mix") or "{}")
    except (ValueError, RecursionError):
        raise UserError("mix: is no JSON") from None
    return {**item.controls, **parse_controls(given)}


def _attach(data: bytes, name: str) -> Response:
    return Response(data, headers=_name_attachment(name), media_type="audio/midi")


def _name_attachment(name: str) -> dict[str, str]:
    """Return the headers that have a browser save an answer under a name."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}
