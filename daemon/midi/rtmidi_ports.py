"""MIDI ports through python-rtmidi: ALSA, JACK, CoreMIDI, and named ports where none can be made (Windows)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.core.events import Event, MidiIn
from daemon.midi import alsa_reconnect, alsa_sequencer, port_diagnosis
from daemon.midi.alsa_sequencer import SequencerLinks
from daemon.midi.jack_heartbeat import HEARTBEAT, JackHeartbeat
from daemon.midi.ports import (
    IN_NAME,
    OUT_NAME,
    ROLE_CHANNELS,
    Links,
    PortError,
    PortEvents,
    PortRequest,
    StartedKeys,
    describe_missing,
    find_port,
    list_names,
    option_of,
)
from daemon.midi.rtmidi_library import (
    capture_stderr,
    choose_apis,
    close_input,
    find_api,
    load_rtmidi,
    simplify_error,
)
from music import midi

log = logging.getLogger(__name__)

#: MIDI system -> seconds until what was sent has left: JACK sends at the next period, which may be 8192 frames long
DRAIN_S = {"jack": 0.2}
#: an xrun of JACK's loses messages under way, note-offs too, ALSA those a reader's full queue has no place for:
#: at the end every note-off is sent again, so many times, in bursts that such a queue holds, so many seconds apart
NOTE_OFF_REPEATS, BURST_SIZE, BURST_PAUSE_S = {"jack": 2, "alsa": 1}, 32, 0.03
#: a callback that has begun is done by then
CALLBACK_TIMEOUT_S = 0.1
_LOOPMIDI = (
    ". Windows has no virtual MIDI ports: make two with loopMIDI, called 'houseband in' and 'houseband out', or name "
    "others with --in-port and --out-port"
)


@dataclass(slots=True)
class AttachedPort:
    """A port of ours and the existing port that it is connected to."""

    port: Any  #: rtmidi's
    name: str  #: the existing port's name
    wanted: str  #: what the user called that; empty where we have a virtual port of our own instead
    short_name: str  #: what our port is called
    is_input: bool
    is_open: bool = True  #: whether they are connected now


class RtMidiPorts:
    """The band's ports on one MIDI system; see `daemon.midi.ports.MidiPorts`.

    Keep the object: ports that nobody refers to go silent.
    """

    #: connections that others made end with these ports, and there is no way to make them again
    links: Links = ()
    #: nobody counts
    xruns = 0

    def __init__(
        self,
        api: str,
        receivers: Sequence[Any],
        senders: Mapping[int | None, Any],
        names: tuple[str, str],
        *,
        attached: Sequence[AttachedPort] = (),
        heartbeat: JackHeartbeat | None = None,
        started: StartedKeys | None = None,
    ) -> None:
        """Take over open ports.

        senders: by channel, None for all channels that have none of their own; names: of inputs and outputs, as the
        user knows them; attached: those that are connected to existing ports; heartbeat: notices that a JACK server is
        gone; started: keeps the keys that are begun.
        """
        self.api = api
        self.names = names
        self.note: str | None = None
        self._receivers = list(receivers)
        self._senders = dict(senders)
        self._attached = list(attached)
        self._closed = {each.port for each in self._attached if not each.is_open}  # what is sent there would pile up
        self._heartbeat = heartbeat
        self._is_listening = self._is_stopped = False
        self._started = started or StartedKeys()
        self._events = PortEvents()
        self._in_use: list[object] = []  # by callbacks that may not be done when their port is closed
        self._links_to_us = SequencerLinks(IN_NAME) if api == "alsa" and len(receivers) == 1 else None

    @property
    def latency_ns(self) -> int:
        """0: python-rtmidi tells of no latency."""
        return 0

    @property
    def loses_ends(self) -> bool:
        """True on JACK: an xrun loses messages under way, and python-rtmidi tells of none."""
        return self.api == "jack"

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of existing ports that are asked for and are not there."""
        return tuple(each.wanted for each in self._attached if not each.is_open)

    def find_listeners(self) -> Sequence[str]:
        """Return the names of the ports that the band plays to; where others connect them, on JACK and ALSA only."""
        if self.api == "alsa":
            return alsa_reconnect.find_listeners(alsa_sequencer.list_ports())
        if self._heartbeat is not None:
            return self._heartbeat.find_listeners()
        return [each.name for each in self._attached if each.is_open and not each.is_input]

    def restore_links(self, links: Links) -> None:
        """Do nothing: there are none."""

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Stamp every message that arrives from now on and put it, in the MIDI system's own thread."""
        self._events.listen(now, put)
        for receiver in self._receivers:
            self._listen_to(receiver)
        self._is_listening = True

    def _listen_to(self, receiver: Any) -> None:
        number = self._receivers.index(receiver) + 1
        count_echo = self._heartbeat.count_echo if self._heartbeat is not None else None
        receiver.set_callback(_make_callback(number, self._events.now, self._events.put, count_echo))

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send one MIDI message now."""
        if midi.is_system(data):
            for sender in self._senders.values():
                if sender not in self._closed:
                    sender.send_message(data)
            return
        sender = self._senders.get(midi.channel_of(data)) or self._senders.get(None)
        if sender is None or sender in self._closed:
            return
        self._started.add(data)
        sender.send_message(data)

    def find_failure(self) -> str | None:
        """Check the ports and connect what has come back; return why they are of no more use, None while they are."""
        if not self._is_listening:
            return None
        for each in self._attached:
            self._check(each)
        if self._links_to_us is not None and self._links_to_us.has_lost_one():
            self._events.report_source_lost(None)
        return None if self._heartbeat is None else self._heartbeat.find_failure()

    def renew_connections(self) -> None:
        """Disconnect, so that the next check connects anew devices that are there under their old names."""
        for each in self._attached:
            if each.is_open:
                self._disconnect(each)

    def _check(self, each: AttachedPort) -> None:
        names = each.port.get_ports()
        if each.is_open and each.name not in names:
            self._disconnect(each)
        elif not each.is_open and (index := find_port(names, each.wanted)) is not None:
            each.name = names[index]
            before = _list_inputs(self.api, self._senders)
            each.port.open_port(index, each.short_name)
            each.is_open = True
            self._closed.discard(each.port)
            if each.is_input:
                if self.api != "jack":
                    self._listen_to(each.port)
                if self._heartbeat is not None:
                    self._heartbeat.keep_awake(_find_new_inputs(self.api, self._senders, before))
            self._events.report_found(each.name, each.is_input)

    def _disconnect(self, each: AttachedPort) -> None:
        each.is_open = False
        self._closed.add(each.port)
        if each.is_input:
            self._in_use.append(close_input(self.api, each.port))
            time.sleep(CALLBACK_TIMEOUT_S)
            self._in_use.pop()
        if not (each.is_input and self.api == "jack"):
            each.port.close_port()
        number = self._receivers.index(each.port) + 1 if each.is_input else None
        self._events.report_lost(each.name, each.is_input, number)

    def end_notes(self) -> None:
        """End everything that was begun, where messages may get lost more than once; return when it has left."""
        note_offs = self._started.make_note_offs()
        for _ in range(NOTE_OFF_REPEATS.get(self.api, 0)):
            for first in range(0, len(note_offs), BURST_SIZE):
                for data in note_offs[first : first + BURST_SIZE]:
                    self.send(data, 0)
                time.sleep(BURST_PAUSE_S)
        time.sleep(DRAIN_S.get(self.api, 0.0))

    def close(self) -> None:
        """Close all ports once everything sent has left."""
        self._stop_callbacks()
        self.end_notes()
        self.drop()

    def _stop_callbacks(self) -> None:
        """Let no callback begin any more, and those that have begun be done.

        JACK ends the thread of a client that is closed wherever it is: one that waits for the interpreter leaves that
        in ruins. So the ports are closed first, and the clients only once all callbacks have had time to end.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._heartbeat is not None:
            self._heartbeat.wait_for_server(None if self._is_listening else self._receivers[0])
            self._heartbeat.stop_callbacks()
        if self._is_listening:
            self._in_use += [close_input(self.api, receiver) for receiver in self._receivers]
        time.sleep(CALLBACK_TIMEOUT_S)

    def drop(self) -> None:
        """Give all ports up at once. A virtual port cannot be opened again."""
        self._stop_callbacks()
        if self._heartbeat is not None:
            self._heartbeat.close()
        for port in (*self._receivers, *self._senders.values()):
            if self.api != "jack" or port not in self._receivers:
                port.close_port()
            port.delete()
        self._receivers, self._senders, self._attached, self._heartbeat = [], {}, [], None


def _make_callback(
    number: int,
    now: Callable[[], int],
    put: Callable[[Event], None],
    count_echo: Callable[[], None] | None = None,
) -> Callable[[tuple[list[int], float], object], None]:
    def receive(message: tuple[list[int], float], _data: object) -> None:
        data = bytes(message[0])
        # a broken cable is enough for one that is no message
        for each in (data,) if midi.is_valid_message(data) else midi.split_messages(data):
            if each != HEARTBEAT:
                put(MidiIn(now(), each, number))
            elif count_echo is not None:
                count_echo()

    return receive


def open_rtmidi_ports(request: PortRequest) -> RtMidiPorts:
    """Open `houseband in` and `houseband out`, virtual or connected to the existing ports that are named.

    Raises PortError when there is no MIDI system, no such port (unless it is waited for), or when the system has no
    virtual ports and none is named.
    """
    rtmidi = load_rtmidi()
    if request.per_role and request.out_port is not None:
        raise PortError("a port per role is a virtual one: leave --out-port or --port-per-role out")
    outputs = _output_names(request)
    apis = choose_apis(request.api)
    reasons: list[str] = []
    for api in apis:
        number = find_api(rtmidi, api)
        if number is None:
            reasons.append(f"{api}: not in this build of python-rtmidi")
            continue
        clients: list[Any] = []
        with capture_stderr() as printed:
            try:
                clients += [rtmidi.MidiIn(number, name=IN_NAME) for _ in _wanted_inputs(request)]
                clients += [rtmidi.MidiOut(number, name=name) for name in outputs.values()]
            except rtmidi.RtMidiError as error:  # its SystemError is an OSError and not the builtin
                reasons.append(f"{api}: {simplify_error(str(error))}")
                log.debug("%s: %s (%s)", api, error, printed())
                for client in clients:
                    client.delete()
                continue
        opened = _open_all(rtmidi, api, clients, request)
        opened.note = _explain_choice(api, reasons)
        return opened
    remedy = port_diagnosis.choose_remedy(port_diagnosis.diagnose(apis))
    if not {"alsa", "jack"} & set(apis):
        remedy = f"try --api {' or '.join(choose_apis('auto'))}"
    raise PortError(f"no MIDI system found ({'; '.join(reasons)}); {remedy} (`houseband doctor` says more)")


def _wanted_inputs(request: PortRequest) -> list[str | None]:
    """Return the existing ports to listen to; None for a virtual one of our own."""
    return [*request.in_ports] or [None]


def _output_names(request: PortRequest) -> dict[int | None, str]:
    """Return the names of our outputs by channel; None for all channels that have none of their own."""
    if request.per_role:
        return {channel: f"{OUT_NAME} {role}" for role, channel in ROLE_CHANNELS.items()}
    return {None: OUT_NAME}


def _explain_choice(api: str, reasons: Sequence[str]) -> str | None:
    """Return what a user should know who may have expected another system."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if api == "alsa" and reasons and runtime and Path(runtime, "pipewire-0").exists():
        return (
            "PipeWire runs, but python-rtmidi's own JACK library finds no server there: using ALSA, which PipeWire "
            "shows beside its own ports; with pw-jack and houseband[jack] it is JACK"
        )
    return None


def _open_all(rtmidi: Any, api: str, clients: Sequence[Any], request: PortRequest) -> RtMidiPorts:
    """Open the ports of clients, one each: inputs first. On failure all clients are deleted. Raises PortError."""
    outputs = _output_names(request)
    wanted = _wanted_inputs(request)
    receivers, senders = clients[: len(wanted)], dict(zip(outputs, clients[len(wanted) :], strict=True))
    before = _list_inputs(api, senders)
    try:
        opened = [
            _attach(api, port, name, IN_NAME, True, request.wait) for port, name in zip(receivers, wanted, strict=True)
        ]
        opened += [
            _attach(api, senders[channel], request.out_port, name, False, request.wait)
            for channel, name in outputs.items()
        ]
    except (PortError, rtmidi.RtMidiError) as error:
        for client in clients:
            client.delete()
        if isinstance(error, PortError):
            raise
        reason = simplify_error(str(error))
        raise PortError(f"{api} gave no MIDI port: {reason}; is another program holding it?") from None
    own, stays = [each.name for each in opened if not each.wanted], not request.in_ports
    return RtMidiPorts(
        api,
        receivers,
        senders,
        (_describe(opened[: len(receivers)]), _describe(opened[len(receivers) :])),
        attached=[each for each in opened if each.wanted],
        started=StartedKeys(request.keys),
        # Now, while nobody is called back yet: a client that is opened holds the interpreter's lock for a while, for
        # which a callback would wait, and with it everybody's graph.
        heartbeat=_start_heartbeat(rtmidi, own, receivers[0], _find_new_inputs(api, senders, before), stays)
        if api == "jack"
        else None,
    )


def _attach(api: str, port: Any, wanted: str | None, own_name: str, is_input: bool, wait: bool) -> AttachedPort:
    """Open a port of ours, virtual or connected to the existing one that is wanted. Raises PortError."""
    named = wanted or (own_name if api == "windows" else "")
    opened = AttachedPort(port, "", named, _short_name(api, own_name), is_input)
    try:
        opened.name = _open(api, port, wanted, own_name, option_of(is_input))
    except PortError:
        if not wait or wanted is None:
            raise
        opened.is_open = False
        log.warning("%s", describe_missing(wanted, is_input, port.get_ports()))
    return opened


def _describe(opened: Sequence[AttachedPort]) -> str:
    """Return what the user calls these ports."""
    return ", ".join(each.name if each.is_open else f"{each.wanted} (not there yet)" for each in opened)


def _list_inputs(api: str, senders: Mapping[int | None, Any]) -> list[str]:
    """Return the names of all input ports on JACK, ours among them; none elsewhere."""
    return list(next(iter(senders.values())).get_ports()) if api == "jack" else []


def _find_new_inputs(api: str, senders: Mapping[int | None, Any], before: Sequence[str]) -> list[str]:
    """Return the names of inputs of ours on JACK that have been opened since there were these."""
    return [name for name in _list_inputs(api, senders) if name not in before and name.startswith(IN_NAME)]


def _start_heartbeat(
    rtmidi: Any, own: Sequence[str], receiver: Any, inputs: Sequence[str], stays: bool
) -> JackHeartbeat | None:
    """Return what notices that the JACK server is gone; None where it is gone already."""
    try:
        with capture_stderr():
            return JackHeartbeat(rtmidi, own, receiver, inputs, stays=stays)
    except rtmidi.RtMidiError:
        return None


def _open(api: str, port: Any, wanted: str | None, own_name: str, option: str) -> str:
    """Open a port, virtual or connected to the existing one that is wanted; return the name the user knows it by."""
    short_name = _short_name(api, own_name)
    port.set_error_callback(_log_error)
    if hasattr(port, "ignore_types"):  # an input lets no clock, SysEx and Active Sensing through unless it is told to
        port.ignore_types(sysex=False, timing=False, active_sense=False)
    if wanted is None and api != "windows":
        port.open_virtual_port(short_name)
        return own_name
    names = port.get_ports()
    asked = wanted or own_name  # Windows has no virtual ports: loopMIDI's may be called as ours would be
    index = find_port(names, asked)
    if index is None:
        remedy = _LOOPMIDI if wanted is None else ""
        raise PortError(f"no MIDI port {asked!r} for {option}; there are: {list_names(names)}{remedy}")
    port.open_port(index, short_name)
    return str(names[index])


def _short_name(api: str, name: str) -> str:
    """Return what to call a client's only port.

    A JACK port's full name has the client's in front; elsewhere the port's own may be all that is seen.
    """
    return name.rpartition(" ")[2] if api == "jack" else name


def _log_error(kind: object, message: str, _data: object) -> None:
    """Log an error of an open port, which rtmidi would print."""
    log.warning("MIDI: %s (%s)", message, kind)


class MelodyFeed:
    """An output connected to one input: somebody who plays into the band. Keep the object, as with RtMidiPorts."""

    def __init__(self, sender: Any) -> None:
        self._sender = sender

    def send(self, data: bytes) -> None:
        """Send one MIDI message now."""
        self._sender.send_message(data)

    def close(self) -> None:
        """Close the port."""
        self._sender.close_port()
        self._sender.delete()


def open_feed(api: str, name: str, into: str) -> MelodyFeed:
    """Open a port of that name and connect it to an existing input whose name contains `into`.

    api: a MIDI system that runs. Raises PortError.
    """
    rtmidi = load_rtmidi()
    try:
        with capture_stderr():
            sender = rtmidi.MidiOut(find_api(rtmidi, api), name=name)
    except rtmidi.RtMidiError as error:
        raise PortError(f"{api} gave no MIDI port: {simplify_error(str(error))}") from None
    try:
        _open(api, sender, into, name, "the melody")
    except (PortError, rtmidi.RtMidiError) as error:
        sender.delete()
        raise PortError(str(error)) from None
    return MelodyFeed(sender)
