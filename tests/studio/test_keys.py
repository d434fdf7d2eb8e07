"""The studio's secrets: kept for the next one on the same port, unless others could know them."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.studio.keys import StudioKeys, load_keys


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "houseband"


def test_the_next_studio_on_a_port_has_the_same_keys(runtime: Path) -> None:
    assert load_keys(8460) == load_keys(8460)
    assert load_keys(8460) != load_keys(8461)
    assert (runtime / "studio-8460.token").stat().st_mode & 0o777 == 0o600


def test_a_token_that_others_could_read_or_that_is_none_is_replaced(runtime: Path) -> None:
    known = load_keys(8460)
    path = runtime / "studio-8460.token"
    path.chmod(0o644)
    assert (changed := load_keys(8460)) != known
    path.write_text("x\n", encoding="ascii")
    assert load_keys(8460) != changed
    path.replace(runtime / "elsewhere")
    path.symlink_to(runtime / "elsewhere")
    assert load_keys(8460).token not in (runtime / "elsewhere").read_text(encoding="ascii")
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_a_place_for_it_there_is_a_token_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "houseband").write_text("no folder", encoding="ascii")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert len(load_keys(8460).token) == 32


def test_the_cookie_does_not_tell_the_token() -> None:
    keys = StudioKeys()
    assert keys.token not in keys.cookie
    assert keys != StudioKeys()
