"""Files written whole or not at all, and what is at their path left what it is."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from music.files import (
    STDOUT,
    OutputError,
    check_distinct,
    check_writable,
    find_free_path,
    open_atomically,
    prepare_replacement,
    write_atomically,
)


def write_by_path(path: Path, data: bytes) -> None:
    with prepare_replacement(path) as temporary:
        temporary.write_bytes(data)


WRITERS: list[Callable[[Path, bytes], None]] = [write_atomically, write_by_path]
is_root = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(params=WRITERS, ids=["at once", "by path"])
def write(request: pytest.FixtureRequest) -> Callable[[Path, bytes], None]:
    found: Callable[[Path, bytes], None] = request.param
    return found


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "new", b"notes")
    finally:
        os.umask(before)
    assert ((tmp_path / "new").read_bytes(), mode_of(tmp_path / "new")) == (b"notes", 0o640)
    assert listing(tmp_path) == ["new"]


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_an_older_file_keeps_its_mode(tmp_path: Path, write: Callable[[Path, bytes], None], mode: int) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"yesterday")
    old.chmod(mode)
    write(old, b"today")
    assert (old.read_bytes(), mode_of(old)) == (b"today", mode)
    assert listing(tmp_path) == ["old"]


@pytest.mark.skipif(not is_root, reason="only root gives files away")
def test_an_older_file_keeps_its_owner(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"yesterday")
    os.chown(old, 12345, 23456)
    old.chmod(0o4755)
    write(old, b"today")
    now = old.stat()
    assert (old.read_bytes(), now.st_uid, now.st_gid, mode_of(old)) == (b"today", 12345, 23456, 0o4755)


@pytest.mark.skipif(not is_root, reason="only root gives files away")
def test_an_owner_who_cannot_be_kept_is_kept_by_writing_into_the_file(
    tmp_path: Path, write: Callable[[Path, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"yesterday, and longer")
    os.chown(old, 12345, 23456)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    before = old.stat()
    write(old, b"today")
    now = old.stat()
    assert (now.st_ino, now.st_uid) == (before.st_ino, 12345)
    assert (old.read_bytes(), listing(tmp_path)) == (b"today", ["old"])


@pytest.mark.skipif(is_root, reason="root may write anywhere")
def test_a_file_in_a_folder_that_takes_no_other_is_written_into(
    tmp_path: Path, write: Callable[[Path, bytes], None]
) -> None:
    (tmp_path / "old").write_bytes(b"yesterday")
    tmp_path.chmod(0o555)
    try:
        check_writable(tmp_path / "old")
        write(tmp_path / "old", b"today")
        with pytest.raises(OutputError, match="no right"):
            check_writable(tmp_path / "new")
    finally:
        tmp_path.chmod(0o755)
    assert (tmp_path / "old").read_bytes() == b"today"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, write: Callable[[Path, bytes], None], there: bool) -> None:
    (tmp_path / "repository").mkdir()
    target = tmp_path / "repository" / "config"
    if there:
        target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("repository/config")
    check_writable(link)
    write(link, b"new")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    assert (listing(tmp_path), listing(tmp_path / "repository")) == (["link", "repository"], ["config"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_into(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    check_writable(pipe)
    write(pipe, b"notes")
    reader.join(10)
    assert (found, pipe.is_fifo(), listing(tmp_path)) == ([b"notes"], True, ["pipe"])


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="no such device here")
def test_a_device_stays_a_device(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    device = Path("/dev/null")
    if is_root:  # one of our own, lest the machine's be lost
        device = tmp_path / "null"
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    check_writable(device)
    write(device, b"notes")
    assert device.is_char_device()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_full_disk_names_the_file(write: Callable[[Path, bytes], None]) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write(Path("/dev/full"), b"notes")
    assert caught.value.filename == "/dev/full"


def test_a_dash_is_the_standard_output(
    write: Callable[[Path, bytes], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    check_writable(STDOUT)
    write(STDOUT, b"notes")
    assert isinstance(out.buffer, io.BytesIO)
    assert (out.buffer.getvalue(), listing(tmp_path)) == (b"notes", [])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no such links here")
def test_a_file_that_is_open_is_written_into(tmp_path: Path) -> None:
    with (tmp_path / "open").open("wb") as file:
        write_atomically(Path(f"/proc/self/fd/{file.fileno()}"), b"notes")
    assert ((tmp_path / "open").read_bytes(), listing(tmp_path)) == (b"notes", ["open"])


def test_whoever_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"yesterday")
    with contextlib.suppress(RuntimeError), open_atomically(tmp_path / "old") as file:
        file.write(b"half of ")
        raise RuntimeError
    with contextlib.suppress(RuntimeError), prepare_replacement(tmp_path / "old") as path:
        path.write_bytes(b"half of ")
        raise RuntimeError
    assert ((tmp_path / "old").read_bytes(), listing(tmp_path)) == (b"yesterday", ["old"])


def test_no_one_can_foresee_the_file_beside_it(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        with open_atomically(tmp_path / "new") as file:
            file.write(b"notes")
            names.update(set(listing(tmp_path)) - {"new"})
    assert len(names) == 3
    assert all(len(name) >= 32 for name in names)


def test_a_file_that_somebody_put_beside_it_is_not_written_into(
    tmp_path: Path, write: Callable[[Path, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    trap = tmp_path / f".houseband-{'0' * 16}.part"
    trap.symlink_to(victim)
    with pytest.raises(FileExistsError) as caught:
        write(tmp_path / "new", b"notes")
    assert caught.value.filename == str(tmp_path / "new")
    assert (victim.read_bytes(), trap.is_symlink()) == (b"mine", True)


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "in.mid"
    source.write_bytes(b"melody")
    (tmp_path / "same.mid").symlink_to(source)
    check_writable(tmp_path / "out.mid", source)
    for path, words in {
        tmp_path: "it is a folder",
        tmp_path / "no" / "out.mid": f"there is no folder {tmp_path / 'no'}",
        source: "is the input",
        tmp_path / "same.mid": "is the input",
    }.items():
        with pytest.raises(OutputError, match=words):
            check_writable(path, source)


def test_an_error_names_the_path_that_was_meant(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "no" / "out.mid", b"notes")
    assert caught.value.filename == str(tmp_path / "no" / "out.mid")


@pytest.fixture
def folder_for_all(tmp_path: Path) -> Path:
    """A folder in which everybody may write, as /tmp is."""
    folder = tmp_path / "all"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.skipif(not is_root, reason="only root may give a link to somebody else")
@pytest.mark.parametrize("kind", ["link", "link to a link", "pipe"])
def test_what_another_user_has_laid_in_a_folder_for_all_is_not_followed(
    folder_for_all: Path, tmp_path: Path, write: Callable[[Path, bytes], None], kind: str
) -> None:
    mine, path = tmp_path / "mine", folder_for_all / "out.mid"
    mine.write_bytes(b"mine")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(mine)
    os.chown(path, 12345, 12345, follow_symlinks=False)
    if kind == "link to a link":
        (folder_for_all / "first").symlink_to(path)
        path = folder_for_all / "first"
    with pytest.raises(OutputError, match="another user"):
        check_writable(path)
    with pytest.raises(PermissionError, match="another user"):
        write(path, b"theirs")
    assert mine.read_bytes() == b"mine"


def test_a_link_of_ones_own_in_a_folder_for_all_is_followed(
    folder_for_all: Path, tmp_path: Path, write: Callable[[Path, bytes], None]
) -> None:
    (folder_for_all / "out.mid").symlink_to(tmp_path / "mine")
    check_writable(folder_for_all / "out.mid")
    write(folder_for_all / "out.mid", b"notes")
    assert (tmp_path / "mine").read_bytes() == b"notes"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "circle", "file/below"])
def test_a_path_that_cannot_be_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        check_writable(tmp_path / name)


def test_two_outputs_may_not_be_one_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    check_distinct(tmp_path / "a", None, tmp_path / "b", STDOUT, STDOUT)
    for twice in (tmp_path / "a", tmp_path / "link"):
        with pytest.raises(OutputError, match="is an output already"):
            check_distinct(tmp_path / "a", twice)
    if os.name != "nt":
        check_distinct(Path("/dev/null"), Path("/dev/null"))


def test_a_free_path_is_beside_what_is_there(tmp_path: Path) -> None:
    assert find_free_path(tmp_path / "a.mid") == tmp_path / "a.mid"
    (tmp_path / "a.mid").touch()
    (tmp_path / "a-2.mid").symlink_to(tmp_path / "nowhere")
    assert find_free_path(tmp_path / "a.mid") == tmp_path / "a-3.mid"
