"""Ports through JACK-Client, with a client that needs no server: frames, delay, order."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core.events import Event, MidiIn, PortsBack, PortsLost, SourceLost
from daemon.midi import end_repeater, jack_ports
from daemon.midi.jack_clock import FrameClock
from daemon.midi.jack_ports import SLACK_NS, JackPorts, PrettyNames
from daemon.midi.jack_sources import MAX_UNREADABLE
from daemon.midi.ports import PortError, PortRequest
from tests.support.fakes import MS

RATE, PERIOD = 48_000, 256
NS = 1_000_000_000


class FakePort:
    def __init__(self, name: str) -> None:
        self.name, self.shortname = f"houseband:{name}", name
        self.coming: list[tuple[int, bytes]] = []
        self.written: list[tuple[int, bytes]] = []
        self.connected: set[str] = set()
        self.room = 1 << 30

    def incoming_midi_events(self) -> Iterator[tuple[int, bytes]]:
        coming, self.coming = self.coming, []
        yield from coming

    def clear_buffer(self) -> None:
        self.written = []

    def write_midi_event(self, offset: int, message: bytes) -> None:
        if self.room <= 0:
            raise RuntimeError("no room")
        assert not self.written or self.written[-1][0] <= offset < PERIOD
        self.room -= 1
        self.written.append((offset, message))

    def is_connected_to(self, port: Any) -> bool:
        return name_of(port) in self.connected


def name_of(port: Any) -> str:
    return port if isinstance(port, str) else str(port.name)


class FakeClient:
    """A JACK client whose periods the test calls."""

    name, samplerate, blocksize = "houseband", RATE, PERIOD

    def __init__(self, there: list[str] | None = None) -> None:
        self.there = there or []
        self.aliases: dict[str, list[str]] = {}
        #: connections among others
        self.links: dict[str, list[str]] = {}
        self.last_frame_time = 1000
        self.midi_inports = self.midi_outports = SimpleNamespace(register=FakePort)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("set_"):
            return lambda function: setattr(self, name[4:], function)
        return lambda *_: None

    def get_ports(self, pattern: str = "", is_physical: bool = False, **_flags: bool) -> list[Any]:
        if pattern or is_physical:
            wanted = re.compile(pattern or "^system:")
            return [SimpleNamespace(name=name) for name in self.links if wanted.search(name)]
        return [SimpleNamespace(name=name, aliases=self.aliases.get(name, [])) for name in self.there]

    def connect(self, source: Any, sink: Any) -> None:
        for port, other in ((source, sink), (sink, source)):
            if isinstance(port, FakePort):
                if name_of(other) not in self.there:
                    raise RuntimeError("no such port")
                port.connected.add(name_of(other))

    def get_all_connections(self, port: Any) -> list[Any]:
        connected = port.connected if isinstance(port, FakePort) else self.links[port.name]
        return [SimpleNamespace(name=name) for name in sorted(connected)]


class Rig:
    """Ports on virtual time: a period after the other, each called a little late."""

    def __init__(self, request: PortRequest | None = None) -> None:
        self.client = FakeClient()
        self.ports = JackPorts(self.client, request or PortRequest())
        self.now = 5 * NS
        self.origin = self.now - self.client.last_frame_time * NS // RATE
        self.heard: list[Event] = []
        self.ports.listen(lambda: self.now, self.heard.append)

    def true_ns(self, frame: int) -> int:
        return self.origin + frame * NS // RATE

    def period(self, late: int = 0) -> list[tuple[int, bytes]]:
        """One period; what was written in it, by absolute frame."""
        first = self.client.last_frame_time
        self.now = max(self.now, self.true_ns(first) + late)
        self.client.process_callback(PERIOD)
        self.client.last_frame_time = first + PERIOD
        port = self.ports._senders.get(None)
        return [] if port is None else [(first + offset, data) for offset, data in port.written]


def test_bytes_that_are_no_message_do_not_enter() -> None:
    rig = Rig()
    rig.ports._receiver.coming = [(0, b"\x90\xae\x64"), (1, b"\x90\x3c"), (2, b"\xf8")]
    rig.period()
    assert [event.data for event in rig.heard if isinstance(event, MidiIn)] == [b"\xf8"]


def test_what_is_sent_sounds_a_constant_delay_after_it_was_due_however_late_it_was_sent() -> None:
    rig, rng = Rig(), random.Random(1)
    sent: list[int] = []
    played: list[int] = []
    for i in range(2_000):
        played += [frame for frame, _ in rig.period(late=rng.randrange(0, 2 * MS))]
        if i > 20 and i % 3 == 0:
            due = rig.now
            rig.now += rng.randrange(0, 2 * MS)  # the conductor woke up late
            sent.append(due)
            rig.ports.send(bytes((0x90, i % 128, 64)), due)
    offsets = [rig.true_ns(frame) - due for frame, due in zip(played, sent, strict=False)]
    assert len(offsets) > 600
    settled = offsets[100:]
    assert max(settled) - min(settled) < 0.2 * MS
    assert abs(sum(settled) / len(settled) - (SLACK_NS + PERIOD * NS // RATE)) < 0.2 * MS


def test_what_leaves_before_it_is_due_sounds_a_constant_delay_after_it_was_to_leave() -> None:
    rig, early = Rig(), 20 * MS
    for _ in range(200):
        rig.period()
    leaves, latency = rig.now, rig.ports.latency_ns
    assert latency == SLACK_NS + PERIOD * NS // RATE
    rig.now += MS  # the conductor woke up late
    rig.ports.send(b"\x91\x24\x40", leaves + early, leaves)
    played = [frame for _ in range(6) for frame, _ in rig.period()]
    assert [rig.true_ns(frame) - leaves for frame in played] == [pytest.approx(latency, abs=2 * NS // RATE)]


#: connections of ours, those of others, and whether JACK passes something on a period later between us and a DAW
LOOPS: dict[str, tuple[set[str], dict[str, list[str]], bool]] = {
    "nobody listens": (set(), {}, False),
    "a synthesiser listens": ({"synth:in"}, {"daw:clock": ["houseband:in"], "synth:audio": ["system:out"]}, False),
    "the DAW listens": ({"daw:band"}, {"daw:clock": ["houseband:in"]}, True),
    "a DAW that plays to others": ({"daw:band"}, {"daw:clock": ["other:in"], "other:out": []}, False),
    "by way of another": ({"fx:in"}, {"fx:out": ["daw:in"], "daw:melody": ["houseband:in"]}, True),
    "through the hardware": ({"system:midi_1"}, {"system:midi_2": ["houseband:in"]}, False),
    "others go round": ({"a:in"}, {"a:out": ["b:in"], "b:out": ["a:in"]}, False),
}


@pytest.mark.parametrize(("heard_by", "links", "late"), LOOPS.values(), ids=LOOPS)
def test_in_a_loop_what_is_played_is_heard_a_period_later(
    heard_by: set[str], links: dict[str, list[str]], late: bool
) -> None:
    rig = Rig()
    before = rig.ports.latency_ns
    rig.ports._senders[None].connected = heard_by
    rig.client.links = links
    rig.period()
    assert rig.ports.find_failure() is None
    assert rig.ports.latency_ns - before == (PERIOD * NS // RATE if late else 0)


@pytest.mark.parametrize(
    ("made", "late"),
    [
        (["in", "out"], True),
        (["out", "in"], False),
        (["in", "out", "-in", "in"], True),  # what is late stays so
        (["out", "in", "-out", "out"], False),
        (["in", "-in", "out", "in"], False),
    ],
)
def test_beside_a_clock_that_comes_another_way_only_the_way_that_was_connected_last_is_late(
    made: list[str], late: bool
) -> None:
    rig = Rig(PortRequest(hears_clock=False))
    ours, links = rig.ports._senders[None], {"daw:melody": ["houseband:in"], "daw:clock": ["other:in"]}
    melody, band = FakePort("melody"), FakePort("band")
    melody.name, band.name = "daw:melody", "daw:band"
    for step in made:
        ends = (ours, band) if step.endswith("out") else (melody, rig.ports._receiver)
        rig.client.port_connect_callback(*ends, not step.startswith("-"))
    before = rig.ports.latency_ns
    ours.connected, rig.client.links = {"daw:band"}, {"other:out": [], **links, "other:in": []}
    rig.period()
    assert rig.ports.find_failure() is None
    assert rig.ports.latency_ns - before == (PERIOD * NS // RATE if late else 0)


def test_what_comes_in_is_stamped_with_its_own_frame() -> None:
    rig, rng = Rig(), random.Random(2)
    true = []
    for _ in range(1_000):
        first, offset = rig.client.last_frame_time, rng.randrange(PERIOD)
        rig.ports._receiver.coming = [(offset, b"\xf8")]
        true.append(rig.true_ns(first + offset))
        rig.period(late=rng.randrange(0, 2 * MS))
    came = [event.at for event in rig.heard if isinstance(event, MidiIn)]
    off = [a - b for a, b in zip(came, true, strict=True)][200:]
    assert max(off) - min(off) < 0.2 * MS


def test_the_order_of_what_is_sent_at_one_moment_is_kept() -> None:
    rig = Rig()
    rig.period()
    messages = [bytes((0x80 | i % 2 << 4, 60, 0)) for i in range(6)]
    for message in messages:
        rig.ports.send(message, rig.now)
    assert [data for _ in range(5) for _, data in rig.period()] == messages


def test_what_does_not_fit_into_a_period_waits_for_the_next() -> None:
    rig = Rig()
    rig.period()
    port = rig.ports._senders[None]
    for pitch in range(10):
        rig.ports.send(bytes((0x90, pitch, 1)), rig.now)
    port.room = 4
    first = [data[1] for _ in range(5) for _, data in rig.period()]
    port.room = 100
    assert first + [data[1] for _ in range(2) for _, data in rig.period()] == list(range(10))


class Periods:
    """Stands for the event that the server is gone: while somebody waits for it, periods go by."""

    def __init__(self, rig: Rig, lost: set[int]) -> None:
        """lost: numbers of periods that are lost, of which the server tells five periods later."""
        self.rig, self.lost, self.told = rig, lost, {number + 5 for number in lost}
        self.taken: list[bytes] = []
        self.number = 0

    def wait(self, _seconds: float) -> bool:
        written = [data for _, data in self.rig.period()]
        self.taken += [] if self.number in self.lost else written
        if self.number in self.told:
            self.rig.client.xrun_callback(0)
        self.number += 1
        return False

    def is_set(self) -> bool:
        return False


@pytest.mark.parametrize("lost", [set(), {2}, {1, 2, 3}, set(range(40)), set(range(0, 90, 9))])
def test_at_the_end_note_offs_are_sent_until_a_server_that_runs_late_has_taken_them(lost: set[int]) -> None:
    rig = Rig()
    rig.period()
    for pitch in range(30):
        rig.ports.send(bytes((0x91, pitch, 80)), rig.now)
    for _ in range(5):
        rig.period()
    periods = Periods(rig, lost)
    rig.ports._is_gone = periods  # type: ignore[assignment]
    begun = rig.now
    rig.ports.end_notes()
    assert {bytes((0x81, pitch, 0)) for pitch in range(30)} <= set(periods.taken)
    assert rig.now - begun < jack_ports.CLOSE_TIMEOUT_NS
    after = max(lost, default=-1)
    assert periods.number > after + jack_ports.SETTLE_PERIODS


@pytest.mark.parametrize("calls", [0, 1])
def test_a_server_that_takes_nothing_any_more_keeps_nobody_from_closing(calls: int) -> None:
    rig = Rig()
    rig.ports.send(b"\x91\x24\x40", rig.now)

    def wait(_: float) -> bool:
        rig.now += 10 * MS
        if calls:
            rig.client.xrun_callback(0)
            rig.period()
        return False

    rig.ports._is_gone = SimpleNamespace(wait=wait)  # type: ignore[assignment]
    begun = rig.now
    rig.ports.end_notes()
    assert rig.now - begun <= jack_ports.CLOSE_TIMEOUT_NS + 40 * MS


def test_after_an_xrun_ends_are_sent_again_but_not_those_of_keys_that_sound_anew() -> None:
    rig = Rig()
    rig.period()
    for data in (b"\x91\x24\x40", b"\x91\x26\x40", b"\x81\x24\x00", b"\x81\x26\x00", b"\x91\x26\x40"):
        rig.ports.send(data, rig.now)
    for _ in range(5):
        rig.period()
    rig.client.xrun_callback(0)
    assert [data for _, data in rig.period()] == [b"\x81\x24\x00"]
    again = [data for _ in range(40) for _, data in rig.period()]
    assert again == [b"\x81\x24\x00"] * (end_repeater.REPEATS - 1)
    assert rig.ports.xruns == 1
    rig.now += end_repeater.RECENT_NS
    rig.client.xrun_callback(0)
    assert [rig.period() for _ in range(40)] == [[]] * 40


def test_after_a_period_without_us_ends_are_sent_again_though_nobody_tells_of_an_xrun() -> None:
    rig = Rig()
    rig.period()
    for data in (b"\x91\x24\x40", b"\x81\x24\x00"):
        rig.ports.send(data, rig.now)
    for _ in range(5):
        rig.period()
    rig.client.last_frame_time += PERIOD
    assert [data for _, data in rig.period()] == [b"\x81\x24\x00"]


def test_ends_for_which_a_period_has_no_room_are_sent_with_the_next() -> None:
    rig = Rig()
    rig.period()
    for pitch in range(10):
        rig.ports.send(bytes((0x91, pitch, 80)), rig.now)
        rig.ports.send(bytes((0x81, pitch, 0)), rig.now)
    for _ in range(5):
        rig.period()
    rig.client.xrun_callback(0)
    rig.ports._senders[None].room = 4
    first = [data[1] for _, data in rig.period()]
    rig.ports._senders[None].room = 100
    assert sorted(first + [data[1] for _, data in rig.period()]) == list(range(10))


def test_a_port_for_each_role() -> None:
    rig = Rig(PortRequest(per_role=True))
    rig.period()
    for message in (b"\x91\x24\x40", b"\x99\x24\x40", b"\xf8"):
        rig.ports.send(message, rig.now)
    written: dict[str, list[bytes]] = {}
    for _ in range(5):
        rig.period()
        for port in rig.ports._senders.values():
            written.setdefault(port.name, []).extend(data for _, data in port.written)
    assert written["houseband:bass"] == [b"\x91\x24\x40", b"\xf8"]
    assert written["houseband:drums"] == [b"\x99\x24\x40", b"\xf8"]
    assert written["houseband:pad"] == [b"\xf8"]


def test_frames_are_counted_on_beyond_32_bits_and_anew_after_a_leap() -> None:
    clock = FrameClock(RATE)
    clock.observe((1 << 32) - 100, 0)
    clock.observe(156, 256 * NS // RATE)
    assert clock.ns_at(clock.extend(156)) == 256 * NS // RATE
    clock.observe(1_000_000, 10 * NS)
    assert clock.ns_at(clock.extend(1_000_000)) == 10 * NS


def test_what_is_named_is_connected_and_again_when_it_comes_back() -> None:
    client = FakeClient(["Keys:out", "Pads:out"])
    ports = JackPorts(client, PortRequest(in_port="^keys, pads"))
    assert ports._receiver.connected == {"Keys:out", "Pads:out"}
    heard: list[Event] = []
    ports.listen(lambda: 7, heard.append)
    client.there = ["Pads:out"]
    ports._receiver.connected = {"Pads:out"}
    for _ in range(3):
        client.process_callback(PERIOD)
        assert ports.find_failure() is None
    assert heard == [SourceLost(7, 1)]
    client.there = ["Keys:out", "Pads:out"]
    assert ports.find_failure() is None
    assert ports._receiver.connected == {"Keys:out", "Pads:out"}


def test_a_port_is_known_by_its_aliases_and_its_pretty_name_too_and_found_again_under_them() -> None:
    client = FakeClient(["system:midi_capture_1", "system:midi_playback_1", "system:midi_capture_2"])
    client.aliases = {
        "system:midi_capture_1": ["alsa_pcm:Arturia-KeyStep-32/midi_capture_1"],
        "system:midi_playback_1": ["alsa_pcm:Synth/midi_playback_1"],
    }
    pretty = {"system:midi_capture_2": "My pads", "system:midi_capture_3": "My pads"}
    request = PortRequest(in_port="keystep, ^my pads$", out_port="alsa_pcm:Synth/midi_playback_1")
    ports = JackPorts(client, request, find_pretty_names=lambda ports: [pretty.get(port.name, "") for port in ports])
    assert ports._receiver.connected == {"system:midi_capture_1", "system:midi_capture_2"}
    assert ports._senders[None].connected == {"system:midi_playback_1"}
    client.there = ["system:midi_playback_1"]
    ports._receiver.connected = set()
    client.process_callback(PERIOD)
    assert ports.find_failure() is None
    client.there = ["system:midi_capture_3", "system:midi_capture_4", "system:midi_playback_1"]  # plugged in again
    client.aliases["system:midi_capture_4"] = client.aliases.pop("system:midi_capture_1")
    client.process_callback(PERIOD)
    assert ports.find_failure() is None
    assert ports._receiver.connected == {"system:midi_capture_3", "system:midi_capture_4"}


def test_metadata_that_hangs_is_not_waited_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jack_ports, "METADATA_TIMEOUT_S", 0.01)
    hold, asked = threading.Event(), list[object]()

    def get_property(subject: object, _key: object) -> tuple[bytes, str] | None:
        asked.append(subject)
        if subject == 3:
            hold.wait()
        return (b"My pads", "text/plain") if subject == 2 else None

    names = PrettyNames(SimpleNamespace(get_property=get_property, METADATA_PRETTY_NAME="pretty"))
    ports = [SimpleNamespace(uuid=number) for number in (1, 2, 3)]
    assert names.find(ports[:2]) == ["", "My pads"]
    assert names.find(ports) == []
    hold.set()
    assert names.find(ports) == []
    assert asked == [1, 2, 1, 2, 3]


def test_what_is_named_and_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    client = FakeClient(["Pads:out"])
    ports = JackPorts(client, PortRequest(in_port="keys", out_port="synth"))
    heard: list[Event] = []
    ports.listen(lambda: 7, heard.append)
    assert ports.find_failure() is None
    assert [record.getMessage() for record in caplog.records] == [
        "no MIDI port 'keys' for --in-port yet: it is waited for; there are now: Pads:out",
        "no MIDI port 'synth' for --out-port yet: it is waited for; there are now: Pads:out",
    ]
    client.there += ["Keys:out", "Synth:in"]
    client.process_callback(PERIOD)
    assert ports.find_failure() is None
    assert ports._receiver.connected == {"Keys:out"}
    assert ports._senders[None].connected == {"Synth:in"}
    assert heard == [PortsBack(7)]


class Connected(FakePort):
    """A port of another client, that is connected to ours."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def test_what_several_ports_send_at_once_is_told_apart() -> None:
    rig = Rig()
    keys, daw = Connected("Keys:out"), Connected("DAW:clock")
    receiver, tell = rig.ports._receiver, rig.client.port_connect_callback
    receiver.coming = [(1, b"\xf8")]  # before anybody knew of a connection
    rig.period()
    tell(keys, receiver, True)
    receiver.coming = [(2, b"\x90\x3c\x50")]
    rig.period()
    tell(daw, receiver, True)
    keys.coming = [(3, b"\x80\x3c\x00"), (9, b"\xf8")]
    daw.coming = [(3, b"\xfa"), (9, b"\xf8")]
    receiver.coming = [(3, b"\xfa"), (3, b"\x80\x3c\x00"), (9, b"\xf8"), (9, b"\xf8"), (12, b"\xfc")]
    rig.period()
    tell(keys, receiver, False)
    tell(keys, receiver, True)
    tell(daw, receiver, False)
    receiver.coming = [(4, b"\xf8")]
    rig.period()
    told = [(event.data, event.port) if isinstance(event, MidiIn) else event.port for event in rig.heard]  # type: ignore[union-attr]
    assert told == [
        *[(b"\xf8", 0), (b"\x90\x3c\x50", 1)],
        *[(b"\xfa", 2), (b"\x80\x3c\x00", 1), (b"\xf8", 1), (b"\xf8", 2), (b"\xfc", 0)],
        *[1, 2, (b"\xf8", 1)],
    ]


def test_a_port_that_cannot_be_read_any_more_ends_nothing() -> None:
    rig = Rig()
    receiver, tell = rig.ports._receiver, rig.client.port_connect_callback
    tell(SimpleNamespace(name="Keys:out"), receiver, True)
    tell(Connected("DAW:clock"), receiver, True)
    receiver.coming = [(1, b"\xf8")]
    rig.period()
    assert [event.port for event in rig.heard if isinstance(event, MidiIn)] == [0]


def test_where_no_port_can_be_read_all_are_one_source() -> None:
    rig = Rig()
    receiver, tell = rig.ports._receiver, rig.client.port_connect_callback
    for name in ("DAW:clock", "Keys:out"):
        tell(Connected(name), receiver, True)
    for offset in range(20):
        receiver.coming = [(offset, b"\xf8")]
        rig.period()
    tell(Connected("Keys:out"), receiver, False)
    ports = [event.port for event in rig.heard if isinstance(event, MidiIn)]
    assert ports == [0] * MAX_UNREADABLE + [1] * (20 - MAX_UNREADABLE)
    assert rig.heard[-1] == SourceLost(rig.now)


def test_when_the_last_source_goes_nobody_holds_a_key() -> None:
    rig = Rig()
    rig.ports._receiver.connected = {"Keys:out"}
    for connected in ({"Keys:out"}, {"Keys:out", "Pads:out"}, {"Pads:out"}, set()):
        rig.ports._receiver.connected = connected
        rig.period()
        assert rig.ports.find_failure() is None
    assert [event.port for event in rig.heard if isinstance(event, SourceLost)] == [1, None]


def test_a_synthesiser_that_goes_is_said_to_be_lost_and_to_be_back() -> None:
    client = FakeClient(["Synth:in"])
    ports = JackPorts(client, PortRequest(out_port="synth"))
    heard: list[Event] = []
    ports.listen(lambda: 7, heard.append)
    for there in ([], ["Synth:in"]):
        client.there = list(there)
        client.process_callback(PERIOD)
        assert ports.find_failure() is None
    assert heard == [PortsLost(7), PortsBack(7)]


def test_what_others_had_connected_is_connected_again() -> None:
    rig = Rig()
    rig.ports._receiver.connected, rig.ports._senders[None].connected = {"Keys:out"}, {"Synth:in", "Tape:in"}
    rig.period()
    assert rig.ports.find_failure() is None
    rig.period()
    rig.ports._receiver.connected, rig.ports._senders[None].connected = (
        set(),
        set(),
    )  # thrown out, just after it was called
    assert [rig.ports.find_failure() for _ in range(3)] == [None] * 3
    links = rig.ports.links
    assert links == [("in", "Keys:out"), ("out", "Synth:in"), ("out", "Tape:in")]
    again = Rig()
    again.client.there = ["Synth:in"]
    again.ports.restore_links(links)
    for there in ("Keys:out", "Tape:in"):
        again.period()
        assert again.ports.find_failure() is None
        again.client.there.append(there)
    again.period()
    assert again.ports.find_failure() is None
    assert (again.ports._receiver.connected, again.ports._senders[None].connected) == (
        {"Keys:out"},
        {"Synth:in", "Tape:in"},
    )
    again.ports._receiver.connected = set()  # somebody takes one away
    again.period()
    assert again.ports.find_failure() is None
    assert again.ports._receiver.connected == set()


def test_a_server_that_does_not_call_any_more_is_lost() -> None:
    """However long the machine slept between two looks; one that calls now and then is only slow."""
    rig = Rig()
    for _ in range(20):
        rig.period()
        assert {rig.ports.find_failure() for _ in range(jack_ports.MAX_SILENT_CHECKS)} == {None}
        rig.now += 3_600 * NS
    rig.period()
    silent = [rig.ports.find_failure() for _ in range(jack_ports.MAX_SILENT_CHECKS + 1)]
    assert silent == [None] * jack_ports.MAX_SILENT_CHECKS + ["the JACK server does not call any more"]


@pytest.mark.parametrize("seconds", [1, 10, 3_600])
@pytest.mark.parametrize("frames_go_on", [False, True])
def test_a_server_that_stood_still_plays_what_ended_at_once_and_no_late_onsets(
    seconds: int, frames_go_on: bool
) -> None:
    """As after an xrun of seconds, or when the machine has slept: its frames may have stood still or not."""
    rig = Rig()
    for _ in range(50):
        rig.period()
    rig.ports.send(b"\x91\x24\x40", rig.now)
    before = [data for _ in range(5) for _, data in rig.period()]
    for pitch in range(40, 50):  # while it stands still
        rig.now += seconds * NS // 20
        rig.ports.send(bytes((0x91, pitch, 80)), rig.now)
        rig.now += seconds * NS // 20
        rig.ports.send(bytes((0x81, pitch, 0)), rig.now)
    rig.ports.send(b"\x81\x24\x00", rig.now)
    rig.ports.send(b"\x91\x25\x40", rig.now)  # and one in time, as it begins again
    if frames_go_on:
        rig.client.last_frame_time += (seconds * RATE) // PERIOD * PERIOD
    else:
        rig.origin += seconds * NS
    after = [data for _ in range(8) for _, data in rig.period()]
    assert before == [b"\x91\x24\x40"]
    onsets = [data for data in after if data[0] == 0x91]
    assert onsets in ([b"\x91\x25\x40"], [bytes((0x91, 49, 80)), b"\x91\x25\x40"])
    ended = {data[1] for data in after if data[0] == 0x81}
    assert {0x24, *range(40, 50)} == ended


def test_a_server_that_is_gone_is_noticed_at_once() -> None:
    rig = Rig()
    assert rig.ports.find_failure() is None
    rig.client.shutdown_callback()
    assert rig.ports.find_failure() == "the JACK server is gone"


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "jack", None)
    with pytest.raises(PortError, match=r"needs houseband\[jack\]"):
        jack_ports.open_jack_ports(PortRequest())
