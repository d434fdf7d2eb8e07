"""What the journal is sent."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

import pytest

from daemon.system.journald import JournalHandler, encode_entry, stderr_is_journal, with_fields

posix = pytest.mark.skipif(sys.platform == "win32", reason="no journal there")


def record(level: int, message: str, extra: dict[str, object] | None = None) -> logging.LogRecord:
    return logging.getLogger("daemon.test").makeRecord(
        "daemon.test", level, "file.py", 7, message, (), None, "do", extra
    )


def test_level_and_fields_travel_with_the_message() -> None:
    sent = encode_entry(record(logging.WARNING, "gone", dict(with_fields(event="lost", port=3))), "gone").splitlines()
    assert {b"MESSAGE=gone", b"PRIORITY=4", b"HOUSEBAND_EVENT=lost", b"HOUSEBAND_PORT=3"} <= set(sent)
    assert {b"SYSLOG_IDENTIFIER=houseband", b"LOGGER=daemon.test", b"CODE_LINE=7"} <= set(sent)


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_levels_are_syslogs(level: int, priority: int) -> None:
    assert f"PRIORITY={priority}\n".encode() in encode_entry(record(level, "x"), "x")


def test_lines_within_a_message_do_not_end_it() -> None:
    assert b"MESSAGE\n\x09\x00\x00\x00\x00\x00\x00\x00one\nPID=2\n" in encode_entry(
        record(logging.INFO, ""), "one\nPID=2"
    )


@posix
def test_the_journal_is_told_and_never_waited_for(tmp_path: Path) -> None:
    address = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(address)
        journal.settimeout(5)
        handler = JournalHandler(address)
        handler.emit(record(logging.INFO, "ready"))
        assert b"MESSAGE=ready\n" in journal.recv(1 << 16)
        handler.close()


@posix
def test_it_is_the_journals_stderr_or_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert stderr_is_journal()
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")
        assert not stderr_is_journal()
