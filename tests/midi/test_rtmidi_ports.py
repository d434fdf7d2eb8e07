from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core.events import Event, MidiIn, PortsBack, PortsLost, SourceLost
from daemon.midi import jack_heartbeat, port_diagnosis, rtmidi_ports
from daemon.midi.ports import PortError, PortRequest
from daemon.midi.rtmidi_library import simplify_error
from daemon.midi.rtmidi_ports import open_feed, open_rtmidi_ports

# What the DAW scripts look for.
DAW_IN, DAW_OUT = r"(?i)houseband.*in", r"(?i)houseband.*out"


class NoSystemError(OSError):
    """As rtmidi's: an OSError, and none of Python's own."""


class FakeBase:
    """What inputs and outputs of python-rtmidi have in common."""

    system: FakeSystem
    name: str

    def close_port(self) -> None:
        self.is_open = False
        self.system.closed.append(self.name)


class FakePort(FakeBase):
    """One end of python-rtmidi, as far as we use it."""

    is_open = False

    def __init__(self, system: FakeSystem, api: int, name: str) -> None:
        if api not in system.running:
            raise NoSystemError("MidiInFake::initialize: error creating fake client object.")
        system.made.append(name)
        self.system, self.name, self.on_jack = system, name, api == 3
        self.unheard: list[tuple[list[int], float]] = []
        self.opened: list[str | tuple[int, str]] = []

    def get_ports(self) -> list[str]:
        return self.system.there

    def open_port(self, index: int, name: str) -> None:
        self.is_open = True
        self.opened.append((index, name))

    def open_virtual_port(self, name: str) -> None:
        self.is_open = True
        self.opened.append(name)
        if self.on_jack:  # elsewhere, nobody asks for our own
            self.system.there.append(f"{self.name}:{name}")

    def get_message(self) -> tuple[list[int], float] | None:
        return self.unheard.pop(0) if self.unheard else None

    def set_error_callback(self, callback: object) -> None:
        self.on_error = callback

    def ignore_types(self, sysex: bool, timing: bool, active_sense: bool) -> None:
        ignored = {"sysex": sysex, "timing": timing, "active sense": active_sense}
        self.let_through = {kind for kind, ignore in ignored.items() if not ignore}

    def set_callback(self, callback: Any) -> None:
        self.on_message = callback

    def cancel_callback(self) -> None:
        del self.on_message

    def send_message(self, data: bytes) -> None:
        self.system.sent.append(data)
        self.system.by_port.append((self.name, data))

    def close_port(self) -> None:
        """As python-rtmidi's, it forgets the callback."""
        vars(self).pop("on_message", None)
        super().close_port()

    def is_port_open(self) -> bool:
        return self.is_open

    def delete(self) -> None:
        self.system.deleted.append(self.name)


class FakeSystem:
    """A module that looks like python-rtmidi on a machine with these APIs running and these ports."""

    def __init__(self, running: set[int], there: list[str]) -> None:
        self.running, self.there = running, there
        self.sent: list[bytes] = []
        self.by_port: list[tuple[str, bytes]] = []
        self.closed: list[str] = []
        self.deleted: list[str] = []
        self.made: list[str] = []

    def module(self) -> SimpleNamespace:
        return SimpleNamespace(
            API_LINUX_ALSA=2,
            API_UNIX_JACK=3,
            API_MACOSX_CORE=1,
            API_WINDOWS_MM=4,
            RtMidiError=NoSystemError,
            get_compiled_api=lambda: [1, 2, 3, 4],
            MidiIn=lambda api, name: FakePort(self, api, name),
            MidiOut=lambda api, name: FakePort(self, api, name),
        )


def machine(
    monkeypatch: pytest.MonkeyPatch, running: set[int], there: list[str] | None = None, platform: str = "linux"
) -> FakeSystem:
    system = FakeSystem(running, there or [])
    monkeypatch.setitem(sys.modules, "rtmidi", system.module())
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(rtmidi_ports, "DRAIN_S", {})
    nowhere = Path("/nowhere")
    monkeypatch.setattr(port_diagnosis, "PLACES", port_diagnosis.Places(nowhere, nowhere, nowhere))
    return system


@pytest.mark.parametrize(
    ("platform", "running", "api"),
    [("linux", {2}, "alsa"), ("linux", {3}, "jack"), ("linux", {2, 3}, "jack"), ("darwin", {1, 3}, "coremidi")],
)
def test_the_system_that_runs_is_found(
    monkeypatch: pytest.MonkeyPatch, platform: str, running: set[int], api: str
) -> None:
    machine(monkeypatch, running, platform=platform)
    opened = open_rtmidi_ports(PortRequest())
    assert (opened.api, opened.names) == (api, ("houseband in", "houseband out"))


def test_a_system_that_is_asked_for_is_the_only_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {3})
    with pytest.raises(PortError, match=r"^no MIDI system found \(alsa: error creating fake client object\); "):
        open_rtmidi_ports(PortRequest("alsa"))


def test_no_system_at_all_is_one_sentence_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, set())
    with pytest.raises(PortError) as caught:
        open_rtmidi_ports(PortRequest())
    sentence = str(caught.value)
    assert "jack: " in sentence
    assert "alsa: " in sentence
    assert "start a JACK server" in sentence
    assert "\n" not in sentence


def test_missing_libasound_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "rtmidi":
                raise ImportError("libasound.so.2: cannot open shared object file: No such file or directory")

    monkeypatch.delitem(sys.modules, "rtmidi", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(
        PortError, match=r"install the system's libasound\.so\.2 \(Debian: apt install libasound2, or libasound2t64\)$"
    ):
        open_rtmidi_ports(PortRequest())


def test_windows_without_names_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {4}, ["loopMIDI 0"], "win32")
    with pytest.raises(PortError, match=r"there are: loopMIDI 0\. .* two with loopMIDI, .* --in-port and --out"):
        open_rtmidi_ports(PortRequest())


def test_on_windows_ports_called_as_ours_are_attached_to(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {4}, ["houseband out 0", "houseband in 1"], "win32")
    assert open_rtmidi_ports(PortRequest()).names == ("houseband in 1", "houseband out 0")


def test_named_ports_are_attached_to(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {4}, ["Synth 0", "loop A 1", "loop B 2"], "win32")
    opened = open_rtmidi_ports(PortRequest(in_port="LOOP a", out_port="^loop b"))
    assert opened.names == ("loop A 1", "loop B 2")
    assert opened._receivers[0].opened == [(1, "houseband in")]
    assert opened._senders[None].opened == [(2, "houseband out")]


@pytest.mark.parametrize("asked", ["nowhere", "no(where"])
def test_a_port_that_is_not_there_lists_those_that_are(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    system = machine(monkeypatch, {2}, ["Keys:Keys 20:0", "Pads:Pads 24:0"])
    with pytest.raises(PortError) as caught:
        open_rtmidi_ports(PortRequest("alsa", in_port=asked))
    assert str(caught.value) == f"no MIDI port {asked!r} for --in-port; there are: Keys:Keys 20:0, Pads:Pads 24:0"
    assert system.deleted == ["houseband in", "houseband out"]


def test_what_arrives_is_stamped_and_put(monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine(monkeypatch, {2})
    opened = open_rtmidi_ports(PortRequest())
    got: list[Event] = []
    opened.listen(lambda: 17, got.append)
    opened._receivers[0].on_message(([0x90, 60, 100], 0.5), None)
    assert got == [MidiIn(17, bytes([0x90, 60, 100]), 1)]
    opened.send(b"\x90\x3c\x40", 5)
    assert system.sent == [b"\x90\x3c\x40"]
    opened.close()
    assert system.closed == ["houseband in", "houseband out"]


def test_bytes_that_are_no_message_do_not_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {2})
    opened = open_rtmidi_ports(PortRequest())
    got: list[Event] = []
    opened.listen(lambda: 17, got.append)
    for data in ([0x90, 0xAE, 0x64], [0x90, 60], [60, 60], [], [0xF0, 0x7E, 0x00, 0x06], [0xF8]):
        opened._receivers[0].on_message((data, 0.5), None)
    assert got == [MidiIn(17, b"\xf8", 1)]


def test_what_an_unfinished_sysex_has_swallowed_is_heard_once_it_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, {3})
    opened = open_rtmidi_ports(PortRequest())
    got: list[Event] = []
    opened.listen(lambda: 17, got.append)
    swallowed = [0xF0, 0x7E, 0x00, 0x06, 0x90, 60, 100, 0xF8, 0x80, 60, 0]
    opened._receivers[0].on_message(([*swallowed, *jack_heartbeat.HEARTBEAT], 0.5), None)
    opened._receivers[0].on_message((list(jack_heartbeat.HEARTBEAT), 0.5), None)
    assert got == [MidiIn(17, data, 1) for data in (b"\x90\x3c\x64", b"\xf8", b"\x80\x3c\x00")]


def test_where_a_message_can_get_lost_every_end_is_sent_again_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine(monkeypatch, {3})
    monkeypatch.setattr(rtmidi_ports, "BURST_PAUSE_S", 0.0)
    opened = open_rtmidi_ports(PortRequest())
    for pitch in (60, 60, 62):
        opened.send(bytes((0x92, pitch, 80)), 0)
        opened.send(bytes((0x82, pitch, 0)), 0)
    opened.close()
    ends = [bytes((0x82, 60, 0)), bytes((0x82, 62, 0))]
    assert [data for name, data in system.by_port if name == "houseband out"][6:] == ends + ends


def test_somebody_plays_into_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine(monkeypatch, {2}, ["houseband in:houseband in 128:0"])
    feed = open_feed("alsa", "houseband melody", "houseband in")
    assert feed._sender.opened == [(0, "houseband melody")]
    feed.send(b"\x90\x3c\x40")
    feed.close()
    assert (system.sent, system.closed) == ([b"\x90\x3c\x40"], ["houseband melody"])
    with pytest.raises(PortError, match="no MIDI port 'nowhere'"):
        open_feed("alsa", "houseband melody", "nowhere")
    assert system.deleted == ["houseband melody", "houseband melody"]


def test_errors_of_open_ports_are_logged_and_not_printed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine(monkeypatch, {2})
    opened = open_rtmidi_ports(PortRequest())
    opened._receivers[0].on_error(1, "the cable is loose", None)
    assert [record.getMessage() for record in caplog.records] == ["MIDI: the cable is loose (1)"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("MidiInJack::initialize: JACK server not running?", "JACK server not running"),
        ("MidiOutAlsa::openVirtualPort: error creating port.", "error creating port"),
        ("something else", "something else"),
    ],
)
def test_reasons_are_readable(text: str, reason: str) -> None:
    assert simplify_error(text) == reason


@pytest.mark.parametrize("full", ["houseband {}:{}", "houseband {}:houseband {}", "houseband {}"])
def test_the_names_are_told_apart_by_what_daws_look_for(full: str) -> None:
    there = [full.format("in", "in"), full.format("out", "out")]
    assert [re.search(DAW_IN, name) is not None for name in there] == [True, False]
    assert [re.search(DAW_OUT, name) is not None for name in there] == [False, True]


# What becomes of them


def test_what_an_input_filters_by_itself_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {2})
    assert open_rtmidi_ports(PortRequest())._receivers[0].let_through == {"sysex", "timing", "active sense"}


def test_several_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {2}, ["Keys 20:0", "Pads 24:0", "Synth 28:0"])
    opened = open_rtmidi_ports(PortRequest("alsa", in_port="keys, pa[dt]s"))
    got: list[Event] = []
    opened.listen(lambda: 5, got.append)
    for receiver in opened._receivers:
        receiver.on_message(([0x90, 60, 100], 0.0), None)
    assert opened.names[0] == "Keys 20:0, Pads 24:0"
    assert got == [MidiIn(5, b"\x90\x3c\x64", 1), MidiIn(5, b"\x90\x3c\x64", 2)]


def test_a_port_for_each_role(monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine(monkeypatch, {2})
    opened = open_rtmidi_ports(PortRequest("alsa", per_role=True))
    for data in (b"\x91\x24\x40", b"\x99\x24\x40", b"\x95\x24\x40", b"\xf8"):
        opened.send(data, 0)
    names = [f"houseband out {role}" for role in ("bass", "chords", "pad", "edits", "drums")]
    assert opened.names[1] == ", ".join(names)
    assert system.by_port == [
        (names[0], b"\x91\x24\x40"),
        (names[4], b"\x99\x24\x40"),
        *((name, b"\xf8") for name in names),
    ]


def test_a_port_for_each_role_is_virtual(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {2}, ["Synth 28:0"])
    with pytest.raises(PortError, match="a port per role is a virtual one"):
        open_rtmidi_ports(PortRequest("alsa", out_port="Synth", per_role=True))


def test_a_keyboard_that_is_unplugged_lets_go_of_its_keys_and_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine(monkeypatch, {2}, ["Keys 20:0", "Synth 28:0"])
    opened = open_rtmidi_ports(PortRequest("alsa", in_port="keys"))
    got: list[Event] = []
    opened.listen(lambda: 5, got.append)
    assert opened.find_failure() is None
    system.there = ["Synth 28:0"]
    for _ in range(3):
        assert opened.find_failure() is None
    assert got == [SourceLost(5, 1)]
    system.there = ["Synth 28:0", "Keys 32:0"]
    assert opened.find_failure() is None
    assert opened._receivers[0].opened == [(0, "houseband in"), (1, "houseband in")]
    opened._receivers[0].on_message(([0x90, 60, 100], 0.0), None)
    assert got[1:] == [MidiIn(5, b"\x90\x3c\x64", 1)]


def test_a_synthesiser_that_is_unplugged_is_said_to_be_lost_and_to_be_back(monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine(monkeypatch, {2}, ["Synth 28:0"])
    opened = open_rtmidi_ports(PortRequest("alsa", out_port="synth"))
    got: list[Event] = []
    opened.listen(lambda: 5, got.append)
    system.there = []
    opened.find_failure()
    system.there = ["Synth 36:0"]
    opened.find_failure()
    assert got == [PortsLost(5), PortsBack(5)]
    assert opened.names[1] == "Synth 28:0"


class FakeGraph:
    """The ports and connections of a server, as JACK's own library tells them."""

    def __init__(self, system: FakeSystem) -> None:
        self.system, self.is_open = system, True
        self.links: set[tuple[str, str]] = set()

    def list_ports(self) -> list[str]:
        return [*self.system.there, PULSE]

    def find_peers(self, *ports: str) -> list[str]:
        """The heartbeat's output is what python-rtmidi has connected to its first input."""
        return [PULSE] if PULSE not in ports else [name for _, name in self.links]

    def connect(self, source: str, destination: str) -> None:
        self.links.add((source, destination))

    def close(self) -> None:
        self.is_open = False


PULSE = "houseband watch-01:pulse"


class OnJack:
    """Ports on a JACK server, looked at now and then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *others: str, in_port: str | None = None) -> None:
        self.system = machine(monkeypatch, {3}, list(others))
        self.graph = FakeGraph(self.system)
        self.knows: bool | None = True
        monkeypatch.setattr(jack_heartbeat, "find_server", lambda: self.knows)
        monkeypatch.setattr(jack_heartbeat, "JackGraph", lambda _: self.graph)
        self.ports = open_rtmidi_ports(PortRequest("jack", in_port=in_port))
        self.ports.listen(lambda: 5, lambda _: None)

    def look(self, heard: bool = True) -> str | None:
        """heard: whether what was sent to oneself has arrived by the next look."""
        failure = self.ports.find_failure()
        watch = self.ports._heartbeat
        if heard and watch is not None:
            hears = watch._receiver or self.ports._receivers[0]
            hears.on_message((list(jack_heartbeat.HEARTBEAT), 0.0), None)
        return failure


@pytest.mark.parametrize("in_port", [None, "keys"])
@pytest.mark.parametrize(("knows", "what"), [(False, "is gone"), (None, "gives no answer")])
def test_a_jack_client_that_no_longer_hears_itself_has_lost_its_server(
    monkeypatch: pytest.MonkeyPatch, knows: bool | None, what: str, in_port: str | None
) -> None:
    stage = OnJack(monkeypatch, "keys:out", in_port=in_port)
    assert {stage.look() for _ in range(10)} == {None}
    watched = [data for name, data in stage.system.by_port if name == "houseband watch"]
    assert watched == [jack_heartbeat.HEARTBEAT] * 10
    stage.knows = knows
    assert [stage.look(heard=False) for _ in range(6)] == [None] * 5 + [f"the JACK server {what}"]


def test_on_jack_a_client_that_was_thrown_out_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = OnJack(monkeypatch)
    assert stage.look() is None
    stage.system.there.remove("houseband out:out")
    assert stage.look() == "the JACK server has thrown out 'houseband out'"


def test_on_jack_the_bands_input_hears_the_heartbeat_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client more would cost processor time in every period."""
    stage = OnJack(monkeypatch)
    assert stage.system.made == ["houseband in", "houseband out", "houseband watch"]
    stage.look()
    assert stage.graph.links == {(PULSE, "houseband in:in")}  # again, if it was disconnected


def test_on_jack_named_inputs_are_sent_heartbeats_too_while_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = OnJack(monkeypatch, "keys:out", in_port="keys")
    beat, echo, late = stage.ports._heartbeat, "houseband watch:pulse", "houseband in-01:in"
    assert beat is not None
    beat.keep_awake([late])
    linked = []
    for there in (False, True, False, True):
        stage.graph.links.clear()  # as JACK does when a port goes
        stage.system.there = [name for name in stage.system.there if name != late] + [late] * there
        assert stage.look() is None
        linked.append(sorted(name for _, name in stage.graph.links))
    assert linked == [[echo], [late, echo]] * 2


def test_nothing_is_asked_of_a_server_that_hangs_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jack_heartbeat, "_ECHO_INTERVAL_S", 0)
    stage = OnJack(monkeypatch)
    stage.look()
    answers: list[tuple[bool | None, list[str]]] = []

    def asked() -> bool | None:
        answers.append((True if len(answers) == 2 else None, list(stage.system.closed)))
        return answers[-1][0]

    monkeypatch.setattr(jack_heartbeat, "find_server", asked)
    stage.ports.drop()
    assert answers == [(None, []), (None, []), (True, [])]
    assert stage.system.closed[:2] == ["houseband in", "houseband watch"]
    assert stage.system.deleted == ["houseband watch", "houseband in", "houseband out"]


def test_ports_that_nobody_has_listened_to_are_closed_as_soon_as_the_heartbeat_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = machine(monkeypatch, {3})
    monkeypatch.setattr(jack_heartbeat, "find_server", lambda: pytest.fail("it is asked"))
    ports = open_rtmidi_ports(PortRequest("jack"))
    ports._receivers[0].unheard = [([0x90, 60, 100], 0.0), (list(jack_heartbeat.HEARTBEAT), 0.0)]
    ports.drop()
    assert system.deleted == ["houseband watch", "houseband in", "houseband out"]


@pytest.mark.parametrize(("in_port", "first"), [(None, []), ("keys", ["houseband watch"])])
def test_a_callback_that_has_begun_is_done_before_its_client_goes(
    monkeypatch: pytest.MonkeyPatch, in_port: str | None, first: list[str]
) -> None:
    """JACK would end its thread in the middle of Python."""
    stage = OnJack(monkeypatch, "keys:out", in_port=in_port)
    before: list[tuple[list[str], list[str]]] = []

    def moment(seconds: float) -> None:
        before.append((list(stage.system.closed), list(stage.system.deleted)))

    monkeypatch.setattr(rtmidi_ports, "time", SimpleNamespace(sleep=moment))
    stage.look()
    stage.ports.drop()
    assert before == [([*first, "houseband in"], [])]


def test_no_client_is_opened_once_the_ports_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold the interpreter's lock meanwhile, and the callback, with all of JACK's graph, would wait for it."""
    stage = OnJack(monkeypatch, "keys:out", in_port="keys")
    made = list(stage.system.made)
    for _ in range(3):
        stage.look()
    assert stage.system.made == made == ["houseband in", "houseband out", "houseband watch", "houseband watch"]


def test_a_server_that_only_is_busy_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = OnJack(monkeypatch)
    assert {stage.look(heard=False) for _ in range(20)} == {None}


@pytest.mark.parametrize("port", ["houseband out:out", "houseband in:in"])
def test_a_client_that_the_server_has_thrown_out_is_noticed(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    stage = OnJack(monkeypatch)
    assert stage.look() is None
    stage.system.there.remove(port)
    assert stage.look() == f"the JACK server has thrown out {port.partition(':')[0]!r}"


def test_another_band_on_the_same_server_may_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = OnJack(monkeypatch, "houseband out-01:out")
    assert stage.look() is None
    stage.system.there.remove("houseband out-01:out")
    assert stage.look() is None


def test_a_port_that_is_not_there_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what there is, in case it was mistyped; nothing is sent to where nobody is."""
    system = machine(monkeypatch, {2}, ["Through 14:0"])
    opened = open_rtmidi_ports(PortRequest("alsa", in_port="keys, through", out_port="synth", wait=True))
    assert opened.names == ("keys (not there yet), Through 14:0", "synth (not there yet)")
    assert [record.getMessage() for record in caplog.records] == [
        "no MIDI port 'keys' for --in-port yet: it is waited for; there are now: Through 14:0",
        "no MIDI port 'synth' for --out-port yet: it is waited for; there are now: Through 14:0",
    ]
    got: list[Event] = []
    opened.listen(lambda: 5, got.append)
    assert opened.find_failure() is None
    opened.send(b"\x91\x24\x40", 0)
    opened.send(b"\xf8", 0)
    assert system.sent == []
    system.there += ["Keys 20:0", "Synth 28:0"]
    assert opened.find_failure() is None
    opened.send(b"\x91\x24\x40", 0)
    assert system.sent == [b"\x91\x24\x40"]
    assert got == [PortsBack(5)]
    opened._receivers[0].on_message(([0x90, 60, 100], 0.0), None)
    assert got[1:] == [MidiIn(5, b"\x90\x3c\x64", 1)]
    assert caplog.records[-1].getMessage() == "the MIDI port 'Synth 28:0' is there now"


def test_nothing_is_sent_to_a_synthesiser_that_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """On JACK it would pile up until sending never returns."""
    system = machine(monkeypatch, {2}, ["Synth 28:0"])
    opened = open_rtmidi_ports(PortRequest("alsa", out_port="synth"))
    opened.listen(lambda: 5, lambda _: None)
    system.there = []
    opened.find_failure()
    opened.send(b"\x91\x24\x40", 0)
    assert system.sent == []


def test_where_no_port_can_be_made_and_none_is_named_there_is_nothing_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, {4}, ["loopMIDI 0"], "win32")
    with pytest.raises(PortError, match="loopMIDI"):
        open_rtmidi_ports(PortRequest(wait=True))


def test_on_pipewire_the_fall_back_to_alsa_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, {2})
    (tmp_path / "pipewire-0").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    note = open_rtmidi_ports(PortRequest()).note
    assert note is not None
    assert "using ALSA" in note
    assert open_rtmidi_ports(PortRequest("alsa")).note is None
