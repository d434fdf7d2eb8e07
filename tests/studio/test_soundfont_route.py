"""`/soundfont`: the machine's, else the program's own; fetched once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from starlette.applications import Starlette

from daemon.sound.soundfont import BUILT_IN
from daemon.studio import soundfont_route
from daemon.studio.builtin_bank import NAME, make_builtin_bank
from daemon.studio.soundfont_route import make_soundfont_route
from daemon.system.paths import SOUNDFONT_VARIABLE

FONT = b"RIFF\4\0\0\0sfbk and whatever follows"


class SoundfontClient:
    """Asks the route, and nothing else."""

    def __init__(self, named: Path | None) -> None:
        self._app = Starlette(routes=[make_soundfont_route(named)])

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._get(path, headers))

    async def _get(self, path: str, headers: dict[str, str] | None) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers=headers)


def _client(named: Path | None = None) -> SoundfontClient:
    return SoundfontClient(named)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOUNDFONT_VARIABLE, raising=False)


def test_the_soundfont_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "Mine & yours.sf2").write_bytes(FONT)
    answer = _client(tmp_path / "Mine & yours.sf2").get("/soundfont")
    assert answer.content == FONT
    assert unquote(answer.headers["X-Soundfont"]) == "Mine & yours.sf2"


def test_it_is_fetched_again_only_when_it_has_changed(tmp_path: Path) -> None:
    font = tmp_path / "a.sf2"
    font.write_bytes(FONT)
    client = _client(font)
    tag = client.get("/soundfont").headers["ETag"]
    assert client.get("/soundfont", headers={"If-None-Match": tag}).status_code == 304
    font.write_bytes(FONT + b" more")
    assert client.get("/soundfont", headers={"If-None-Match": tag}).content == FONT + b" more"


@pytest.mark.parametrize("how", ["option", "variable", "nothing there"])
def test_the_bank_of_our_own(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "variable":
        monkeypatch.setenv(SOUNDFONT_VARIABLE, BUILT_IN)
    elif how == "nothing there":
        monkeypatch.setattr(soundfont_route, "PAGE_PLACES", (tmp_path,))
    client = _client(Path(BUILT_IN) if how == "option" else None)
    answer = client.get("/soundfont")
    assert answer.content == make_builtin_bank()
    assert unquote(answer.headers["X-Soundfont"]) == NAME
    assert "X-Soundfont-Problem" not in answer.headers
    tag = answer.headers["ETag"]
    assert client.get("/soundfont", headers={"If-None-Match": tag}).status_code == 304


def test_a_named_file_that_is_none_is_told_and_the_page_sounds_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.sf2").write_bytes(b"no soundfont at all")
    answer = _client(tmp_path / "a.sf2").get("/soundfont")
    assert answer.content == make_builtin_bank()
    assert "not a soundfont" in unquote(answer.headers["X-Soundfont-Problem"])


def test_compressed_soundfonts_are_taken_before_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [place.suffix for place in soundfont_route.PAGE_PLACES[:2]] == [".sf3", ".sf3"]
    (tmp_path / "sf3").mkdir()
    for name in ("sf3/a.sf3", "a.sf2"):
        (tmp_path / name).write_bytes(FONT)
    monkeypatch.setattr(soundfont_route, "PAGE_PLACES", (tmp_path / "sf3", tmp_path))
    assert unquote(_client().get("/soundfont").headers["X-Soundfont"]) == "a.sf3"
