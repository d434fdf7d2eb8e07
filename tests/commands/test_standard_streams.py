"""Standard output and error that are closed, full or broken hold nothing up and end nothing."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.commands import _standard_streams as standard_streams
from daemon.commands._standard_streams import LossyOutput, hold_nothing_up, reopen_without_waiting

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def fill(end: int) -> int:
    """Fill a pipe; return how many bytes it took."""
    flags = fcntl.fcntl(end, fcntl.F_GETFL)
    fcntl.fcntl(end, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    taken = 0
    try:
        while True:
            taken += os.write(end, bytes(4096))
    except BlockingIOError:
        fcntl.fcntl(end, fcntl.F_SETFL, flags)
        return taken


def test_what_a_full_pipe_does_not_take_waits_and_then_the_oldest_is_lost(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standard_streams, "MAX_WAITING_BYTES", 2_000)
    reader, writer = pipe
    taken = fill(writer)
    output = LossyOutput(writer)
    assert output.write(b"lost") == 4
    assert output.write(b"x" * 2_000) == 2_000
    assert output.write(b"end") == 3
    while taken > 0:
        taken -= len(os.read(reader, taken))
    output.drain()
    os.close(writer)
    with os.fdopen(os.dup(reader), "rb") as rest:
        assert rest.read() == b"x" * 1_997 + b"end"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_and_a_pipe_without_a_reader_are_no_errors(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    assert LossyOutput(writer).write(b"text") == 4
    with Path("/dev/full").open("wb", buffering=0) as full:
        assert LossyOutput(full.fileno()).write(b"text") == 4


def test_what_is_printed_goes_there_and_the_old_stream_returns(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    before = io.TextIOWrapper(os.fdopen(os.dup(writer), "wb"))
    monkeypatch.setattr(sys, "stderr", before)
    with hold_nothing_up("stderr"):
        sys.stderr.write("Gr\u00fc\u00dfe \udc80\n")
        assert not sys.stderr.isatty()
    assert sys.stderr is before
    before.close()
    assert os.read(reader, 100) == "Gr\u00fc\u00dfe \\udc80\n".encode(before.encoding)


def test_a_stream_that_is_closed_or_no_file_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with hold_nothing_up("stderr"):
            assert sys.stderr is stream


def test_c_libraries_do_not_wait_either_and_others_with_the_same_pipe_are_none_the_wiser(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    fill(writer)
    mine = os.dup(writer)
    reopen_without_waiting(mine)
    with pytest.raises(BlockingIOError):
        os.write(mine, b"text")
    assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(mine)


def test_no_other_file_takes_the_place_of_a_closed_one() -> None:
    program = (
        "import os; from daemon.commands._standard_streams import open_missing_files as f; f(); os._exit(os.dup(0))"
    )
    command = ["sh", "-c", '"$0" "$@" <&- >&- 2>&-', sys.executable, "-c", program]
    assert subprocess.run(command, check=False).returncode == 3


@pytest.mark.parametrize("ends", [">/dev/full 2>/dev/full", ">&- 2>&-"])
def test_a_command_ends_as_it_would_though_nobody_can_be_told(ends: str, tmp_path: Path) -> None:
    command = [
        "sh",
        "-c",
        f'"$0" "$@" {ends}',
        sys.executable,
        "-m",
        "daemon",
        "render",
        str(tmp_path),
        "-o",
        "out.mid",
    ]
    assert subprocess.run(command, check=False).returncode == 2
