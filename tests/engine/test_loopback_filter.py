"""The band's own notes, heard again."""

from __future__ import annotations

from daemon.engine.loopback_filter import PATIENCE, LoopbackFilter

NOTE = b"\x91\x3c\x50"


def test_each_message_that_was_sent_excuses_one() -> None:
    echo = LoopbackFilter()
    echo.sent(10, NOTE)
    echo.sent(20, NOTE)
    assert [echo.is_own(30, NOTE) for _ in range(3)] == [True, True, False]


def test_what_comes_before_it_was_sent_or_long_after_is_somebody_elses() -> None:
    echo = LoopbackFilter()
    echo.sent(100, NOTE)
    assert not echo.is_own(99, NOTE)
    assert not echo.is_own(101 + PATIENCE, NOTE)
    assert not echo.is_own(110, b"\x90\x3c\x50")


def test_it_forgets() -> None:
    echo = LoopbackFilter()
    for i in range(100_000):
        echo.sent(i * PATIENCE // 100, bytes((0x90, i // 128 % 128, i % 128)))
    assert len(echo._sent) < 3_000
