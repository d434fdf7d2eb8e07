"""When messages leave: slow synthesisers, human hands, and that a key which began is ended once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.events import ControlChange
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.output.humanise import MAX_STRAY_NS, MAX_TIMING_NS, HumanTouch, find_lookahead_ns, humanise
from daemon.output.output_queue import OutputMessage, OutputQueue
from daemon.output.schedule import ScheduledNote
from music.midi import note_off
from music.note import Note
from tests.support.fakes import MS, FakePlayer, only, pairs, perform

AT_120 = TempoMap(500_000)
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(16)]


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def on(at_ns: int, pitch: int = 40) -> OutputMessage:
    return OutputMessage(at_ns, at_ns, bytes((0x91, pitch, 80)), (0, None))


def off(at_ns: int, pitch: int = 40) -> OutputMessage:
    return OutputMessage(at_ns, at_ns, note_off(1, pitch))


def left(queue: OutputQueue, now: int) -> list[tuple[int, int]]:
    return [(m.at, m.data[0]) for m in queue.take(now)]


def test_messages_leave_in_time_order_ends_first() -> None:
    queue = OutputQueue()
    for message in (on(5), off(9), on(9, 41), off(12, 41)):
        queue.put(message)
    assert queue.next_at() == 5
    assert left(queue, 4) == []
    assert left(queue, 9) == [(5, 0x91), (9, 0x81), (9, 0x91)]
    assert (left(queue, 99), queue.next_at()) == ([(12, 0x81)], None)


def test_the_end_of_an_old_note_never_comes_after_the_next_of_its_pitch() -> None:
    queue = OutputQueue()
    for message in (on(5), off(20), on(15), off(30)):
        queue.put(message)
    assert left(queue, 99) == [(5, 0x91), (15, 0x81), (15, 0x91), (30, 0x81)]


def test_a_note_does_not_end_before_it_begins() -> None:
    queue = OutputQueue()
    for message in (on(15), off(9)):
        queue.put(message)
    assert left(queue, 99) == [(15, 0x91), (16, 0x81)]


def test_what_is_cut_ends_now_and_what_had_not_begun_never_does() -> None:
    queue = OutputQueue()
    for message in (on(5), off(20), on(30), off(40), on(6, 41), off(50, 41)):
        queue.put(message)
    assert left(queue, 10) == [(5, 0x91), (6, 0x91)]
    assert [(m.at, m.data) for m in queue.end_note((1, 40), 11)] == [(11, note_off(1, 40))]
    assert list(queue.end_note((1, 40), 11)) == []
    assert [(m.at, m.data) for m in queue.end_all(12)] == [(12, note_off(1, 41))]
    assert (left(queue, 99), queue.next_at()) == ([], None)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(-15, 15), st.integers(1, 9), st.integers(-15, 15)), max_size=12)
)
def test_whatever_the_hand_does_every_note_ends(strays: list[tuple[int, int, int, int]]) -> None:
    """Notes of one pitch as the agenda has them, one after the other, each moved to and fro."""
    queue, sounding, tick = OutputQueue(), False, 0
    for pause, early, length, late in strays:
        queue.put(on(tick + pause + early))
        tick += pause + length
        queue.put(off(tick + late))
    for message in queue.take(10_000):
        assert sounding != (message.onset is not None)
        sounding = message.onset is not None
    assert not sounding


def scheduled(role: str, note: Note, offset: int | None = None) -> ScheduledNote:
    return ScheduledNote(role, 1, note, note.start, note.end, None, offset)


def touch(settings: Settings, role: str, note: Note, offset: int | None = None, step_ms: float = 125) -> HumanTouch:
    return humanise(settings, scheduled(role, note, offset), round(step_ms * MS))


def test_a_hand_is_the_same_for_the_same_note_and_stays_near_the_beat() -> None:
    human = Settings(humanise=1.0)
    hands = [touch(human, "bass", Note(i * 6, 40, 6)) for i in range(200)]
    assert hands == [touch(human, "bass", Note(i * 6, 40, 3)) for i in range(200)]
    assert hands != [touch(Settings(humanise=1.0, seed=1), "bass", Note(i * 6, 40, 6)) for i in range(200)]
    assert all(abs(h.late_ns) <= MAX_STRAY_NS for h in hands)
    assert abs(sum(h.late_ns for h in hands)) / 200 < MAX_STRAY_NS / 10
    assert max(h.velocity for h in hands) > 5
    assert touch(Settings(), "bass", Note(0, 40, 6)) == touch(Settings(seed=4), "pad", Note(6, 41, 6))


def test_where_a_drummers_offset_is_known_it_is_played_and_nothing_strays() -> None:
    """Thousandths of a step, as much of them as is asked for, and never more than the band is ahead."""
    note, human, half = Note(6, 40, 6), Settings(humanise=1.0), Settings(humanise=0.5)
    assert touch(Settings(), "bass", note, 200).late_ns == 0
    assert touch(human, "bass", note, 200).late_ns == touch(human, "bass", note, 100, 250).late_ns == 25 * MS
    assert touch(half, "bass", note, -200).late_ns == -12.5 * MS
    assert touch(human, "bass", note, -500, 400).late_ns == -MAX_TIMING_NS == -find_lookahead_ns(human)
    assert touch(half, "bass", note, 500, 400).late_ns == MAX_TIMING_NS // 2 == find_lookahead_ns(half)
    assert touch(human, "drums", note, 0) == HumanTouch()


def test_the_band_is_ahead_by_its_slowest_output() -> None:
    assert find_lookahead_ns(Settings()) == find_lookahead_ns(Settings(offsets_ms={"pad": -20})) == 0
    assert find_lookahead_ns(Settings(offsets_ms={"pad": 30.0, "bass": 12.5})) == 30 * MS
    assert find_lookahead_ns(Settings(humanise=0.5, offsets_ms={"pad": 30})) == 30 * MS + MAX_TIMING_NS // 2


# Through the conductor


@pytest.mark.parametrize("ms", [30, 12.5, -20])
def test_a_slow_synthesisers_notes_leave_earlier_and_the_others_in_time(ms: float) -> None:
    usual = perform(FakePlayer(), TUNE, until=200)
    stage = perform(FakePlayer(), TUNE, until=200, settings=Settings(offsets_ms={"chords": ms}))
    for channel, early in ((1, 0), (2, round(ms * MS)), (9, 0)):
        before = [(m.at, m.data) for m in usual.sent if m.data[0] == 0x90 | channel and m.at > at(12)]
        after = [(m.at + early, m.data) for m in stage.sent if m.data[0] == 0x90 | channel and m.due > at(12)]
        assert after[: len(before) - 3] == before[: len(after[: len(before) - 3])]
        assert len(after) > len(before) - 4
    assert {m.due % (at(24) // 4) for m in stage.sent if m.data[0] == 0x92} == {0}
    assert stage.counters.lateness_ns.quantile(1) == 0


def test_an_offset_turned_while_notes_sound_leaves_none_on() -> None:
    player = only("bass", lambda r, s: 40, 9)
    turns = [ControlChange(at(7 + i * 13), "offset_ms.bass", ms) for i, ms in enumerate((50, 0, -50, 500, 3))]
    stage = perform(player, TUNE, until=120, events=turns)
    assert len(pairs(stage.sent)) > 15


def test_a_human_hand_plays_beside_the_beat_the_same_every_time() -> None:
    straight = perform(FakePlayer(), TUNE, until=200)
    human = perform(FakePlayer(), TUNE, until=200, settings=Settings(humanise=1.0))
    again = perform(FakePlayer(), TUNE, until=200, settings=Settings(humanise=1.0))
    assert human.sent == again.sent
    strays = {m.at - m.due for m in human.sent if m.data[0] & 0xF0 == 0x90}
    assert min(strays) < -MAX_STRAY_NS // 3
    assert max(strays) > MAX_STRAY_NS // 3
    later = range(at(12), at(194))  # a band that starts with the melody is ahead of the clock only then
    written, played = (
        sorted((m.due, m.data[:2]) for m in stage.sent if m.data[0] & 0xF0 == 0x90 and m.due in later)
        for stage in (straight, human)
    )
    assert played == written


def test_muting_a_role_whose_notes_wait_lets_none_through() -> None:
    settings = Settings(offsets_ms={"bass": -100})
    player = only("bass", lambda r, s: s % 128, 5)
    stage = perform(player, TUNE, until=100, events=[ControlChange(at(31), "mute.bass", True)], settings=settings)
    assert max(m.at for m in stage.sent if m.data[0] == 0x91) <= at(31)
