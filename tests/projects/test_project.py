"""Projects: what is saved, undone, made again, and what is there after a crash."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.projects.durable_files import BusyFileError, LineLog
from daemon.projects.history import HistoryError
from daemon.projects.project import MissingError, Project, ProjectError, StorageError, make_file_name
from daemon.projects.project_folder import ProjectFolder
from tests.projects.items import make_input

State = dict[str, str]


@pytest.fixture(autouse=True)
def _close_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close whatever a test has opened, so that no file stays open."""
    opened: list[LineLog] = []
    real = LineLog.__init__

    def open_log(log: LineLog, path: Path) -> None:
        real(log, path)
        opened.append(log)

    monkeypatch.setattr(LineLog, "__init__", open_log)
    yield
    for log in opened:
        log.close()


def read_state(project: Project) -> State:
    """Return the names of a project's items by id."""
    return {item.id: item.name for item in project.list_items()}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "rename", "delete", "undo", "redo", "open"]), st.integers(0, 3))))
def test_a_project_is_what_a_model_of_it_says(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder, "p"))
        states: list[State] = [{}]
        at, number = 0, 0
        for step, which in steps:
            state = dict(states[at])
            if step == "open":
                project.close()
                project = Project(Path(folder, "p"))
            elif step == "undo" and at:
                project.undo()
                at -= 1
            elif step == "redo" and at + 1 < len(states):
                project.redo()
                at += 1
            elif step in ("undo", "redo"):
                with pytest.raises(HistoryError):
                    getattr(project, step)()
            else:
                present = sorted(state)
                if step == "add":
                    number += 1
                    key = project.choose_id("input")
                    assert key == f"i{number}"
                    project.put("add", make_input(key, f"name {number}"))
                    state[key] = f"name {number}"
                elif not present:
                    continue
                else:
                    key = present[which % len(present)]
                    if step == "delete":
                        project.delete("delete", key)
                        del state[key]
                    else:
                        name = f"{state[key]}'"[-90:]
                        project.put("rename", replace(project.get(key), name=name))
                        state[key] = name
                states = [*states[: at + 1], state]
                at += 1
            assert read_state(project) == states[at]
            assert (project.describe()["undo"] is None) == (at == 0)
            assert (project.describe()["redo"] is None) == (at + 1 == len(states))
        project.close()


def test_what_changes_nothing_is_no_change(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    project.put("add", make_input())
    project.put("again", make_input())
    assert project.describe()["undo"] == "add"


def test_an_id_is_never_used_again(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    project.put("add", make_input(project.choose_id("input")))
    project.undo()
    assert project.choose_id("result") == "r2"


@pytest.mark.parametrize("torn", [b'{"label":"add","items":{"i2"', b"\0" * 40, b"\xff"])
def test_a_last_line_that_was_cut_off_is_forgotten(tmp_path: Path, torn: bytes) -> None:
    project = Project(tmp_path / "p")
    project.put("add", make_input())
    project.close()
    with (tmp_path / "p" / "history.jsonl").open("ab") as file:
        file.write(torn)
    project = Project(tmp_path / "p")
    assert read_state(project) == {"i1": "Ode"}
    project.put("rename", make_input(name="An die Freude"))
    project.close()
    assert read_state(Project(tmp_path / "p")) == {"i1": "An die Freude"}


def test_a_line_that_makes_no_sense_costs_no_other(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    project.put("add", make_input())
    project.close()
    path = tmp_path / "p" / "history.jsonl"
    path.write_bytes(b'{"undo":true}\n{"label":"x","items":{"../i9":"0"}}\n[]\n5\n' + path.read_bytes())
    project = Project(tmp_path / "p")
    assert read_state(project) == {"i1": "Ode"}
    assert project.problems == ["the history of this project has lines that make no sense: 4"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"[" * 100_000])
def test_an_item_that_cannot_be_read_is_told_and_costs_no_other(tmp_path: Path, damage: bytes) -> None:
    project = Project(tmp_path / "p")
    project.put("add", make_input("i1"))
    project.put("add", make_input("i2", "Other"))
    revision = project.get("i1").revision
    project.close()
    (tmp_path / "p" / "items" / f"{revision}.json").write_bytes(damage)
    project = Project(tmp_path / "p")
    assert read_state(project) == {"i2": "Other"}
    assert project.problems == ["the item i1 cannot be read, and is left out"]


def test_one_program_at_a_time_has_a_project(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    with pytest.raises(BusyFileError):
        Project(tmp_path / "p")
    project.close()
    Project(tmp_path / "p").close()


def test_another_studio_gets_a_project_of_its_own(tmp_path: Path) -> None:
    one = ProjectFolder(tmp_path)
    other = ProjectFolder(tmp_path)
    assert one.project.id != other.project.id
    with pytest.raises(BusyFileError):
        other.delete(one.project.id)


def test_a_full_disk_costs_nothing_that_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path / "p")
    project.put("add", make_input("i1"))

    def refuse(_number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    changes: list[Callable[[], None]] = [
        lambda: project.put("add", make_input("i2")),
        lambda: project.delete("delete", "i1"),
        project.undo,
        lambda: project.rename("x"),
    ]
    for change in changes:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refuse)
            with pytest.raises(StorageError, match="there is no room left on the disk"):
                change()
        assert read_state(project) == {"i1": "Ode"}
    project.put("add", make_input("i2"))
    project.close()
    again = Project(tmp_path / "p")
    assert read_state(again) == {"i1": "Ode", "i2": "Ode"}
    assert again.problems == []


def test_a_line_that_could_not_be_written_whole_is_cut_off_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LineLog(tmp_path / "log")
    log.append(b"one")
    real = log._file

    class Full:
        """A file on a disk that is full after two bytes, and which cannot be shortened either."""

        def write(self, data: memoryview) -> int:
            if len(data) > 2:
                return int(real.write(data[:2]) or 0)
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name: str) -> object:
            if name == "truncate":
                raise OSError(errno.EIO, "Input/output error")
            return getattr(real, name)

    monkeypatch.setattr(log, "_file", Full())
    with pytest.raises(OSError, match="No space"):
        log.append(b"two!")
    monkeypatch.setattr(log, "_file", real)
    log.append(b"3")
    assert (tmp_path / "log").read_bytes() == b"one\n3\n"


def test_there_is_an_end_to_what_a_project_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.projects.project.MAX_ITEMS", 3)
    project = Project(tmp_path / "p")
    project.put("add", *(make_input(f"i{number}") for number in range(1, 4)))
    with pytest.raises(ProjectError, match="a project holds at most 3 items; delete some, or begin a new project"):
        project.put("add", make_input("i4"))
    project.put("rename", make_input("i3", "Other"))
    assert len(project.list_items()) == 3


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    with pytest.raises(MissingError, match="there is no item 'i1' in this project"):
        project.get("i1")
    with pytest.raises(MissingError):
        project.delete("delete", "i1")


def test_uploads_lie_in_the_project_under_harmless_names(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    path = project.keep_upload("../../etc/pass\0wd.txt", b"| C |")
    assert path.parent == tmp_path / "p" / "uploads"
    assert path.read_bytes() == b"| C |"
    assert project.keep_upload("../../etc/pass\0wd.txt", b"| C |") != path


@given(st.text())
def test_a_file_name_is_harmless_whatever_it_is_made_of(text: str) -> None:
    name = make_file_name(text)
    assert name
    assert not set(name) & set('/\\:*?"<>|\0')
    assert not name.startswith(".")
    assert len(name.encode()) < 200


def test_projects_are_begun_opened_and_thrown_into_the_bin(tmp_path: Path) -> None:
    folder = ProjectFolder(tmp_path)
    first = folder.project.id
    folder.project.put("add", make_input())
    folder.create("Second")
    second = folder.project.id
    assert [(each["name"], each["current"]) for each in folder.list_projects()] == [
        ("Second", True),
        ("Untitled", False),
    ]
    folder.open(first)
    assert read_state(folder.project) == {"i1": "Ode"}
    folder.delete(first)
    assert folder.project.id == second
    assert (tmp_path / "bin" / first / "history.jsonl").is_file()
    folder.delete(second)
    assert folder.project.list_items() == []
    folder.close()
    with pytest.raises(MissingError):
        folder.open("../bin")


def test_the_project_that_was_open_is_opened_again(tmp_path: Path) -> None:
    folder = ProjectFolder(tmp_path)
    first = folder.project.id
    folder.create("Second")
    folder.open(first)
    folder.close()
    assert ProjectFolder(tmp_path).project.id == first


WRITER = """
import sys
from pathlib import Path
from daemon.projects.project import Project
from tests.projects.items import make_input
project = Project(Path(sys.argv[1]))
for number in range(1, 10_000):
    project.put("add", make_input(f"i{number}"))
    if number % 3 == 0:
        project.undo()
    print(number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path, lines: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "p")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(lines):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        told = lines + len(process.stdout.read().splitlines())
    project = Project(tmp_path / "p")
    assert project.problems == []
    # all that was told is there, and of what was being done a step or nothing
    before = [number for number in range(1, told + 1) if number % 3]
    found = [int(item.id[1:]) for item in project.list_items()]
    assert found in (before, [*before, told + 1])
