"""The band's own notes, heard again."""

from __future__ import annotations

from daemon.engine.loopback_filter import MAX_LOOP_NS, LoopbackFilter

NOTE = b"\x91\x3c\x50"


def test_each_message_that_was_sent_excuses_one() -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 10)
    loopback.add(NOTE, 20)
    assert [loopback.is_own(NOTE, 30) for _ in range(3)] == [True, True, False]


def test_what_comes_before_it_was_sent_or_long_after_is_somebody_elses() -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 100)
    assert not loopback.is_own(NOTE, 99)
    assert not loopback.is_own(NOTE, 101 + MAX_LOOP_NS)
    assert not loopback.is_own(b"\x90\x3c\x50", 110)


def test_it_forgets() -> None:
    loopback = LoopbackFilter()
    for i in range(100_000):
        loopback.add(bytes((0x90, i // 128 % 128, i % 128)), i * MAX_LOOP_NS // 100)
    assert len(loopback._sent) < 3_000
