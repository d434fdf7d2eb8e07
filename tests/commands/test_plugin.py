"""`houseband plugin`: where the bundles go, what becomes of old ones, and what is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.commands import plugin
from daemon.plugin import bundles
from music.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the folders are those of Linux")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whose compiler makes bundles at once."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("HOUSEBAND_PLUGIN_SOCKET", raising=False)

    def build(folder: Path, program: str) -> list[Path]:
        lv2, clap = folder / "houseband.lv2", folder / "houseband.clap"
        lv2.mkdir()
        (lv2 / "manifest.ttl").write_text(program)
        clap.write_text(program)
        return [lv2, clap]

    monkeypatch.setattr(bundles, "build", build)
    monkeypatch.setattr(plugin, "find_program", lambda: ["/opt/houseband/bin/houseband"])
    return tmp_path


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["plugin", *words])
    return done.exit_code, done.output


def left(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


BUNDLES = [".clap/houseband.clap", ".lv2/houseband.lv2/manifest.ttl"]


def test_it_is_installed_again_shown_and_removed(home: Path) -> None:
    assert call("status")[0] == 1
    for _ in range(2):
        code, said = call("install")
        assert code == 0
        assert f"installed: {home}/.lv2/houseband.lv2" in said
        assert left(home) == BUNDLES
    assert (home / BUNDLES[0]).read_text() == "/opt/houseband/bin/houseband"
    code, said = call("status")
    assert code == 0
    assert "no band serves it now" in said
    assert call("uninstall")[0] == 0
    assert left(home) == []
    assert call("uninstall") == (0, "there was none\n")


def test_what_others_have_there_stays(home: Path) -> None:
    other = home / ".lv2/other.lv2/manifest.ttl"
    other.parent.mkdir(parents=True)
    other.write_text("")
    call("install")
    call("uninstall")
    assert left(home) == [".lv2/other.lv2/manifest.ttl"]


def test_uninstall_knows_of_it(home: Path) -> None:
    call("install")
    assert "plugin (lv2)" in CliRunner().invoke(main, ["uninstall"]).output
    assert CliRunner().invoke(main, ["uninstall", "--purge", "--yes"]).exit_code == 0
    assert left(home) == []


def test_without_a_compiler_nothing_changes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_folder: Path, _program: str) -> list[Path]:
        raise UserError("there is no C compiler; install one (Debian: apt install gcc)")

    call("install")
    monkeypatch.setattr(bundles, "build", build)
    code, said = call("install")
    assert code == 2
    assert "no C compiler" in said
    assert left(home) == BUNDLES


def test_a_program_that_cannot_be_started_by_name_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "find_program", lambda: ["python", "-m", "daemon"])
    code, said = call("install")
    assert code == 1
    assert "not installed as a program" in said
