"""Documents over HTTP: what each request is answered with, and what a wrong one is told."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from daemon.projects.item import ITEM_ROLES
from daemon.projects.workshop import Workshop
from daemon.studio.document_routes import list_document_routes, open_documents
from daemon.studio.setup import StudioSetup
from music import midifile
from music.note import Note

#: no answer takes longer, however busy the machine is
PATIENCE_S = 120


class Client:
    """A page that asks the documents' routes, without a server between."""

    def __init__(self, shop: Workshop, **setup: Any) -> None:
        self._shop = shop
        self.app = Starlette(routes=list_document_routes(shop, **setup))

    def ask(self, method: str, path: str, body: object = None, *, status: int = 200, **options: Any) -> Any:
        """Return the answer to a request, as JSON has it, once its status is what it is to be."""
        answer = self.fetch(method, path, body, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def fetch(self, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
        """Return the answer to a request."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://studio", timeout=PATIENCE_S) as client:
                given = options if body is None else {**options, "json": body}
                return await client.request(method, path, **given)

        return asyncio.run(ask())

    def refuse(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, str]:
        """Return status and sentence of a request that is refused."""
        answer = self.fetch(method, path, body, **options)
        assert list(answer.json()) == ["error"]
        return answer.status_code, answer.json()["error"]

    def make(self, path: str, body: dict[str, Any]) -> str:
        """Have something made, and return the id of its item."""
        key = self.ask("POST", path, body, status=202)["job"]
        self._shop.ask(lambda: self._shop._jobs._jobs[key].answer).result().exception(PATIENCE_S)
        job = next(job for job in self.ask("GET", "/api/project")["jobs"] if job["id"] == key)
        assert job["state"] == "done", job
        return str(job["item"])


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("takes")


@pytest.fixture(scope="module")
def shared(takes: Path) -> Iterator[Workshop]:
    opened = Workshop(takes, lambda event: None)
    yield opened
    opened.close()


@pytest.fixture
def client(shared: Workshop) -> Client:
    """A client of a new project."""
    opened = Client(shared)
    opened.ask("POST", "/api/projects", {"name": "Test"})
    return opened


def add_example(client: Client) -> str:
    key = client.ask("POST", "/api/project/inputs", {"example": "ode"})["item"]
    client.ask("POST", f"/api/project/items/{key}/trim", {"bars": [1, 4]})
    return str(key)


def test_the_way_from_an_input_to_a_file(client: Client) -> None:
    key = add_example(client)
    made = client.make("/api/project/make", {"input": key, "technique": "gan", "style": "pop", "seed": 1})
    item = client.ask("GET", f"/api/project/items/{made}")
    assert set(item["notes"]) == set(ITEM_ROLES)
    summary = client.ask("GET", "/api/project")["items"][-1]
    assert {name: value for name, value in item.items() if name in summary} == {
        name: value for name, value in summary.items() if name in item
    }
    answer = client.fetch("GET", f"/api/project/items/{made}/export.mid")
    assert answer.headers["content-disposition"].startswith('attachment; filename="ode-to-joy-gan-pop-seed-1.mid"')
    song = midifile.parse(answer.content)
    assert {part.name: len(part.notes) for part in song.parts} == {
        role: len(notes) for role, notes in item["notes"].items() if notes
    }
    sound = client.fetch("GET", f"/api/project/items/{made}/export.wav", params={"mix": json.dumps({"mute.pad": True})})
    assert (sound.status_code, sound.headers["content-type"], sound.content[:4]) == (200, "audio/wav", b"RIFF")


def test_bars_are_made_anew_with_what_the_result_was_made_with(client: Client) -> None:
    made = client.make("/api/project/make", {"input": add_example(client), "technique": "gan", "style": "rock"})
    path = f"/api/project/items/{made}"
    before = client.ask("GET", path)
    assert client.make(f"{path}/regenerate", {"bars": [2, 2], "roles": ["drums"], "seed": 4}) == made
    after = client.ask("GET", path)
    assert {**after["notes"], "drums": 0} == {**before["notes"], "drums": 0}
    assert (after["style"], after["seed"], after["name"]) == (before["style"], before["seed"], before["name"])
    assert client.ask("GET", "/api/project")["undo"] == "another bar 2 of drums"


def test_edits_are_shown_one_by_one(client: Client) -> None:
    body = {"input": add_example(client), "technique": "arcnn", "style": "pop", "controls": {"iterations": 3}}
    made = client.make("/api/project/make", body)
    path = f"/api/project/items/{made}"
    item = client.ask("GET", path)
    count = len(item["edits"])
    assert count
    client.ask("PUT", f"{path}/edits", {"shown": 0})
    assert client.ask("GET", path)["notes"]["edits"] == item["notes"]["melody"]
    client.ask("PUT", f"{path}/edits", {"shown": count, "kept": [False] * count})
    assert client.ask("GET", path)["notes"]["edits"] == item["notes"]["melody"]
    client.ask("POST", "/api/project/undo")
    client.ask("POST", "/api/project/undo")
    assert client.ask("GET", path) == item
    key = client.ask("POST", f"{path}/input")["item"]
    assert client.ask("GET", f"/api/project/items/{key}")["notes"]["melody"] == item["notes"]["edits"]


def test_notes_names_and_undo(client: Client) -> None:
    key = add_example(client)
    path = f"/api/project/items/{key}"
    project = client.ask("PUT", f"{path}/notes", {"notes": {"bass": [[0, 40, 24, 80]]}, "label": "add note"})
    assert project["undo"] == "add note"
    assert client.ask("PATCH", path, {"name": "  My   tune "})["items"][0]["name"] == "My tune"
    assert client.ask("DELETE", path)["items"] == []
    assert client.ask("POST", "/api/project/undo")["items"][0]["counts"]["bass"] == 1
    assert client.ask("POST", "/api/project/redo")["items"] == []
    assert client.refuse("POST", "/api/project/redo") == (409, "there is nothing to redo")
    assert client.ask("PATCH", "/api/project", {"name": "Mine"})["name"] == "Mine"


def test_files_are_imported(client: Client) -> None:
    data = client.fetch("GET", f"/api/project/items/{add_example(client)}/export.mid").content
    done = client.ask("POST", "/api/project/import", content=data, headers={"X-File-Name": "M%C3%BCller.mid"})
    assert done["items"][-1]["name"] == "Müller"
    assert (done["item"], done["told"]) == (done["items"][-1]["id"], "")
    chart = client.ask("POST", "/api/project/import", content=b"| C | F | G7 | C |", headers={"X-File-Name": "a.txt"})
    assert (chart["title"], chart["bars"]) == ("a", 4)
    body = {"input": done["item"], "technique": "gan", "style": "pop", "controls": {"chart": chart["chart"]}}
    made = client.ask("GET", f"/api/project/items/{client.make('/api/project/make', body)}")
    assert made["chords"][:2] == [[0, "C:maj"], [96, "F:maj"]]


def test_projects(client: Client) -> None:
    first = client.ask("GET", "/api/project")["id"]
    add_example(client)
    second = client.ask("POST", "/api/projects", {"name": "Second"})
    assert second["items"] == []
    assert len(client.ask("POST", f"/api/projects/{first}/open")["items"]) == 1
    client.ask("DELETE", f"/api/projects/{first}")
    assert first not in [each["id"] for each in client.ask("GET", "/api/projects")]
    assert client.refuse("POST", f"/api/projects/{first}/open")[0] == 404


def write_take(folder: Path, name: str) -> None:
    midifile.write(folder / f"{name}.mid", {"melody": [Note(0, 60, 24)], "bass": [Note(96, 40, 24)]})


def test_takes(client: Client, takes: Path) -> None:
    write_take(takes, "2026-01-02_03-04-05")
    write_take(takes, "Other")
    listed = client.ask("GET", "/api/takes")
    assert {each["name"]: each["recording"] for each in listed} == {"2026-01-02_03-04-05": False, "Other": False}
    item = client.ask("GET", "/api/takes/Other")
    assert (item["id"], item["kind"], item["bars"]) == ("take:Other", "take", 2)
    assert client.refuse("PATCH", "/api/takes/Other", {"name": "2026-01-02_03-04-05"})[0] == 400
    renamed = client.ask("PATCH", "/api/takes/Other", {"name": "My/take"})
    assert "My_take" in [each["name"] for each in renamed]
    assert client.fetch("GET", "/api/takes/My_take/export.mid").content == (takes / "My_take.mid").read_bytes()
    assert [each["name"] for each in client.ask("DELETE", "/api/takes/My_take")] == ["2026-01-02_03-04-05"]
    assert (takes / "bin" / "My_take.mid").exists()
    assert len(client.ask("POST", "/api/takes/My_take/restore")) == 2
    assert client.ask("POST", "/api/project/inputs", {"take": "My_take"})["items"][-1]["counts"]["bass"] == 1
    assert client.refuse("DELETE", "/api/takes/none") == (404, "there is no take 'none'")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        ("POST", "/api/project/inputs", {"example": "x"}, 400, "there is no example 'x'"),
        ("POST", "/api/project/inputs", [], 400, "the request: an object is needed here"),
        ("POST", "/api/project/inputs", {"notes": {"melody": [[0]]}}, 400, "notes of melody: [0] is none"),
        ("POST", "/api/project/make", {}, 400, "input: a text is needed here"),
        ("POST", "/api/project/make", {"input": "i9", "technique": "gan"}, 404, "there is no item 'i9'"),
        ("POST", "/api/project/make", {"input": "i1", "technique": "gan", "seed": 0.5}, 400, "seed: a whole number"),
        ("POST", "/api/project/make", {"input": "i1", "technique": "x"}, 400, "no technique 'x'; there are gan"),
        ("POST", "/api/project/items/i1/regenerate", {"bars": [1, 9], "roles": ["bass"]}, 400, "bars: there are no"),
        ("POST", "/api/project/items/i1/regenerate", {"bars": [], "roles": ["bass"]}, 400, "bars: there are no"),
        ("POST", "/api/project/items/i1/regenerate", {"bars": [1], "roles": ["violin"]}, 400, "roles: one or more"),
        ("PUT", "/api/project/items/i1/notes", {"notes": []}, 400, "notes: an object is needed here"),
        ("PUT", "/api/project/items/i1/edits", {"shown": 1}, 400, "this item has no edits"),
        ("POST", "/api/project/items/i1/trim", {"bars": [3, 2]}, 400, "bars: there are no bars 3 to 2"),
        ("PATCH", "/api/project/items/i1", {"name": ""}, 400, "name: give it one of at least one letter"),
        ("GET", "/api/project/items/i1/export.mid?mix=[", None, 400, "mix: is no JSON"),
        ("GET", "/api/project/items/i1/export.wav?mix={%22level.bass%22:9}", None, 400, "level.bass: takes a number"),
        ("POST", "/api/jobs/j0/cancel", None, 404, "there is no job 'j0'"),
        ("GET", "/api/takes/x", None, 404, "there is no take 'x'"),
    ],
)
def test_a_wrong_request_is_told_in_a_sentence(
    client: Client, method: str, path: str, body: object, status: int, sentence: str
) -> None:
    add_example(client)
    told = client.refuse(method, path, body)
    assert told[0] == status, told
    assert told[1].startswith(sentence), told


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_told(client: Client, body: bytes) -> None:
    assert client.refuse("POST", "/api/project/make", content=body) == (400, "the request is no JSON")


def test_files_that_are_none_are_told(client: Client) -> None:
    assert client.refuse("POST", "/api/project/import", content=b"")[1] == "the file is empty; choose another"
    status, sentence = client.refuse("POST", "/api/project/import", content=b"MThd\0", headers={"X-File-Name": "a.mid"})
    assert (status, sentence) == (400, "a.mid: not a readable MIDI file (it ends within its header)")


def test_documents_are_open_as_long_as_the_server_runs(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []

    async def run() -> None:
        async with open_documents(StudioSetup("off", tmp_path, controls={"density": 0.5}), events.append) as routes:
            transport = httpx.ASGITransport(Starlette(routes=routes))
            async with httpx.AsyncClient(transport=transport, base_url="http://studio") as client:
                await client.post("/api/project/inputs", json={"example": "ode"})
        await asyncio.sleep(0)

    asyncio.run(run())
    assert {"event": "project"} in events
    assert [path.name for path in (tmp_path / "studio").iterdir() if path.is_dir()]
    again = Workshop(tmp_path, lambda event: None, start_results=False)
    assert len(again.ask(again.describe).result()["items"]) == 1
    again.close()


def test_a_disk_without_room_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        told = client.refuse("POST", "/api/project/inputs", {"example": "ode"})
    assert told[0] == 507
    assert told[1].startswith("there is no room left on the disk")
    assert client.ask("GET", "/api/project")["items"] == []


def test_where_nothing_can_be_kept_each_request_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "takes").write_text("no folder")

    async def run() -> httpx.Response:
        async with open_documents(StudioSetup("off", tmp_path / "takes"), lambda event: None) as routes:
            transport = httpx.ASGITransport(Starlette(routes=routes))
            async with httpx.AsyncClient(transport=transport, base_url="http://studio") as client:
                return await client.get("/api/project")

    answer = asyncio.run(run())
    assert answer.status_code == 507
    assert answer.json()["error"].endswith("is no folder, so no project can be kept there; set HOUSEBAND_TAKES to one")
