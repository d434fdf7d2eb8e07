"""The sender alone: what leaves when, how loud, and that no note is left on."""

from __future__ import annotations

from daemon.core.counters import Counters
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.offline.virtual_world import RecordingOutput, VirtualWorld
from daemon.output.schedule import CLICK, NoteEvent, ScheduledNote
from daemon.output.sender import REPEAT_NS, UNNOTICED_LOSS_NS, NoteSender
from music.midi import all_notes_off, note_off, note_on
from music.note import CHANNELS, Note
from tests.support.fakes import MS

AT_120 = TempoMap(500_000)
BASS = CHANNELS["bass"]


class Desk:
    """A sender on virtual time."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.world, self.counters = VirtualWorld(), Counters()
        self.output = RecordingOutput(self.world)
        self.sender = NoteSender(self.output, self.world.now, self.counters)
        self.sender.use(settings)

    def play(self, tick: int, pitch: int = 40, *, on: bool = True, role: str = "bass", level: float = 0) -> None:
        channel = CHANNELS.get(role, CHANNELS["drums"])
        entry = ScheduledNote(role, channel, Note(tick, pitch, 6, 80), tick, tick + 6, tick - 3)
        self.sender.play(NoteEvent(tick, on, entry), AT_120, level)

    def end(self, pitch: int) -> None:
        entry = ScheduledNote("bass", BASS, Note(0, pitch, 6), 0, 6, None)
        self.sender.end([NoteEvent(0, False, entry)], self.world.now())

    def at(self, ns: int) -> list[bytes]:
        """Go to a time, send what leaves by then, and return it."""
        self.world.wait(ns)
        before = len(self.output.sent)
        self.sender.release(ns, AT_120)
        return self.sent(before)

    def sent(self, since: int = 0) -> list[bytes]:
        return [message.data for message in self.output.sent[since:]]


def test_a_note_leaves_at_its_tick_and_is_counted() -> None:
    desk = Desk()
    deadlines = [desk.sender.deadline]
    desk.play(24)
    desk.play(30, on=False)
    assert [*deadlines, desk.sender.deadline] == [None, 500 * MS]
    assert desk.at(500 * MS - 1) == []
    assert desk.at(501 * MS) == [note_on(BASS, 40, 80)]
    assert desk.at(625 * MS) == [note_off(BASS, 40)]
    counters = desk.counters
    assert (counters.onsets, counters.age_ticks.buckets, counters.age_ns.buckets) == (1, {3: 1}, {63_500_000: 1})
    assert counters.lateness_ns.buckets == {0: 1, 1_000_000: 1}
    assert [message.due for message in desk.output.sent] == [500 * MS, 625 * MS]


def test_a_slow_synthesiser_gets_its_notes_earlier_and_the_band_is_ahead_of_the_clock() -> None:
    desk = Desk(Settings(offsets_ms={"bass": 30.0, "drums": 10.0}))
    assert desk.sender.lookahead_ns == 30 * MS
    desk.play(24)
    desk.play(24, 76, role=CLICK)  # as the drums
    assert desk.at(470 * MS) == [note_on(BASS, 40, 80)]
    assert desk.at(490 * MS) == [note_on(CHANNELS["drums"], 76, 80)]


def test_what_ports_take_to_be_heard_is_made_up_for_besides() -> None:
    desk = Desk(Settings(offsets_ms={"bass": 30.0}))
    desk.sender.make_up_for(40 * MS)
    assert desk.sender.lookahead_ns == 70 * MS
    desk.play(24)
    desk.play(24, 76, role=CLICK)
    assert desk.at(430 * MS) == [note_on(BASS, 40, 80)]
    assert desk.at(460 * MS) == [note_on(CHANNELS["drums"], 76, 80)]
    assert [message.due for message in desk.output.sent] == [500 * MS, 500 * MS]
    desk.sender.use(Settings())
    assert desk.sender.lookahead_ns == 40 * MS
    desk.sender.make_up_for(0)
    assert desk.sender.lookahead_ns == 0


def test_loudness_follows_level_intensity_and_how_hard_the_melody_is_played() -> None:
    def velocity(settings: Settings = Settings(), level: float = 0) -> int:
        desk = Desk(settings)
        desk.play(0, level=level)
        return desk.at(0)[0][2]

    assert velocity() == 80
    assert velocity(Settings(levels={"bass": 0.5})) == 40
    assert velocity(Settings(intensity=0.2)) == 40
    assert velocity(level=120) == 99
    assert velocity(level=40) == 55
    assert velocity(Settings(levels={"bass": 1.5}, intensity=1.0), level=127) == 127


def test_what_is_ended_ends_now_and_what_has_not_begun_never_does() -> None:
    desk = Desk()
    desk.play(0)
    desk.play(24, 41)
    assert desk.at(0) == [note_on(BASS, 40, 80)]
    desk.end(40)
    desk.end(41)
    assert desk.sent() == [note_on(BASS, 40, 80), note_off(BASS, 40)]
    assert desk.at(1_000 * MS) == []


def test_ending_all_ends_every_note_and_then_every_channel_that_was_used() -> None:
    desk = Desk()
    desk.play(0)
    desk.play(0, 42, role="drums")
    desk.at(0)
    desk.sender.end_all(0)
    drums = CHANNELS["drums"]
    ends = [note_off(BASS, 40), note_off(drums, 42)]
    assert desk.sent(2) == [*ends, all_notes_off(BASS), all_notes_off(drums)]
    assert desk.sender.deadline is None


def test_after_a_hold_all_is_ended_once_more_unless_it_is_over_by_then() -> None:
    for held, expected in ((True, [all_notes_off(BASS)]), (False, [])):
        desk = Desk()
        desk.play(0)
        desk.at(0)
        desk.sender.end_all(0)
        before = len(desk.sent())
        desk.sender.repeat_end_all(0)
        assert desk.sender.deadline == REPEAT_NS
        desk.sender.send_repeats(REPEAT_NS - 1, held=True)
        assert desk.sent(before) == []
        desk.sender.send_repeats(REPEAT_NS, held=held)
        assert desk.sent(before) == expected
        assert desk.sender.deadline is None


def test_of_a_note_and_a_repeat_whichever_comes_first_is_the_deadline() -> None:
    desk = Desk()
    desk.play(24)
    desk.sender.repeat_end_all(0)
    assert desk.sender.deadline == REPEAT_NS
    desk.sender.repeat_end_all(450 * MS)
    assert desk.sender.deadline == 500 * MS


def test_ends_that_lost_ports_never_passed_on_are_sent_when_they_are_back() -> None:
    desk = Desk()
    desk.play(0, 39)
    desk.at(0)
    desk.end(39)  # long before
    desk.play(24, 40)
    desk.play(24, 41)
    now = UNNOTICED_LOSS_NS + 500 * MS
    desk.at(now)
    desk.end(40)  # while nobody had noticed yet
    desk.sender.lose_ports(now)
    desk.sender.end_all(now)
    before = len(desk.sent())
    desk.sender.regain_ports(now)
    assert desk.sent(before) == [note_off(BASS, 40), note_off(BASS, 41)]
    desk.sender.regain_ports(now)
    assert len(desk.sent()) == before + 2


def test_what_it_sent_is_its_own_when_it_comes_back_and_only_once() -> None:
    desk = Desk()
    desk.play(0)
    desk.at(0)
    desk.sender.send_clock(b"\xf8", 5, 5)
    desk.sender.send(b"\xfc", 5)
    assert desk.output.sent[-2].due == 5
    assert desk.sender.is_own(note_on(BASS, 40, 80), 10)
    assert not desk.sender.is_own(note_on(BASS, 40, 80), 10)
    assert desk.sender.is_own(b"\xf8", 10)
    assert desk.sender.is_own(b"\xfc", 10)
    assert not desk.sender.is_own(b"\xfc", 10)


def test_what_ends_everything_is_its_own_too() -> None:
    desk = Desk()
    desk.play(0)
    desk.at(0)
    desk.sender.end_all(7)
    assert desk.sender.is_own(note_on(BASS, 40, 80), 10)
    assert desk.sender.is_own(note_off(BASS, 40), 10)
    assert desk.sender.is_own(all_notes_off(BASS), 10)


def test_what_leaves_together_is_sent_before_any_of_it_is_counted() -> None:
    """Counting would hold up the rest of a chord."""
    desk = Desk()
    counted: list[int] = []
    send = desk.output.send

    def watch(data: bytes, due: int, at: int | None = None) -> None:
        counted.append(desk.counters.onsets)
        send(data, due, at)

    desk.output.send = watch  # type: ignore[method-assign]
    for pitch in (40, 47, 52):
        desk.play(24, pitch)
    assert desk.at(500 * MS) == [note_on(BASS, pitch, 80) for pitch in (40, 47, 52)]
    assert (counted, desk.counters.onsets) == ([0, 0, 0], 3)
    assert all(desk.sender.is_own(note_on(BASS, pitch, 80), 501 * MS, 0) for pitch in (40, 47, 52))
