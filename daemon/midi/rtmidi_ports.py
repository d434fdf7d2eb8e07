"""Virtual MIDI ports through python-rtmidi: ALSA, JACK, CoreMIDI, and named ports where none can be made (Windows)."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.core.events import Event, MidiIn, PortsBack, PortsLost
from daemon.midi import port_diagnosis
from daemon.midi.jack_heartbeat import JackHeartbeat
from music import midi
from music.errors import UserError
from music.note import CHANNELS, MELODY

log = logging.getLogger(__name__)

IN_NAME, OUT_NAME = "houseband in", "houseband out"
_ROLE_PORTS: dict[int | None, str] = {
    channel: f"{OUT_NAME} {role}" for role, channel in CHANNELS.items() if role != MELODY
}
#: what --api takes, and python-rtmidi's name for it
APIS = {
    "alsa": "API_LINUX_ALSA",
    "jack": "API_UNIX_JACK",
    "coremidi": "API_MACOSX_CORE",
    "windows": "API_WINDOWS_MM",
}
#: where --api auto looks. A JACK server runs only where somebody wants it; ALSA's sequencer is there all the time.
AUTOMATIC = {"linux": ("jack", "alsa"), "darwin": ("coremidi", "jack"), "win32": ("windows",)}
#: seconds until what was sent has left: JACK sends at the next period, which may be 8192 frames long
DRAIN = {"jack": 0.2}
#: an xrun of JACK's loses what is under way, a note's end too: at the end every end is sent again, so many times, in
#: bursts that a reader's queue holds, seconds apart
REPEATS, BURST, PAUSE = {"jack": 2}, 32, 0.03
#: seconds in which a callback that has begun is done
HUSH = 0.1
_LOOPMIDI = (
    ". Windows has no virtual MIDI ports: make two with loopMIDI, called 'houseband in' and 'houseband out', or name "
    "others with --in-port and --out-port"
)


class PortError(UserError):
    """No MIDI system or no such port."""


@dataclass(slots=True)
class AttachedPort:
    """A port of ours and the existing one that it is plugged into. asked: how that was named; option: by which option;
    short: what ours is called; heard: whether it is an input; there: whether it is plugged in now."""

    port: Any
    name: str
    asked: str
    option: str
    short: str
    heard: bool
    there: bool = True


class RtMidiPorts:
    """The band's MIDI ports: what is heard and where it plays.

    Keep the object: ports that nobody refers to go silent. Only the conductor sends. api: one of APIS; names: of what
    is heard and of what it plays to, as a user knows them; note: what to tell the user about how they came to be.
    """

    def __init__(
        self,
        api: str,
        receivers: Sequence[Any],
        senders: Mapping[int | None, Any],
        names: tuple[str, str],
        *,
        plugs: Sequence[AttachedPort] = (),
        pulse: JackHeartbeat | None = None,
    ) -> None:
        """senders: by MIDI channel, None for all that have none of their own; plugs: those that are attached to
        existing ones; pulse: what notices that the server is gone."""
        self.api = api
        self.names = names
        self.note: str | None = None
        self._receivers = list(receivers)
        self._senders = dict(senders)
        self._plugs = list(plugs)
        self._away = {plug.port for plug in self._plugs if not plug.there}  # what is sent there would pile up
        self._pulse = pulse
        self._listening = self._hushed = False
        self._begun: set[midi.Key] = set()  # of every note sent so far

    #: connections made by others: there is no way to make them again
    links: Sequence[tuple[str, str]] = ()

    def relink(self, links: Sequence[tuple[str, str]]) -> None:
        """There are none."""

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """From now on every message that arrives is stamped and put. Runs in the MIDI system's own thread."""
        self._now, self._put = now, put
        for number, receiver in enumerate(self._receivers):
            receiver.set_callback(_arrived(number, now, put))
        self._listening = True

    def send(self, data: bytes, due: int) -> None:
        """Send one MIDI message now."""
        if midi.is_system(data):
            for sender in self._senders.values():
                if sender not in self._away:
                    sender.send_message(data)
            return
        sender = self._senders.get(midi.channel_of(data)) or self._senders.get(None)
        if sender is None or sender in self._away:
            return
        sender.send_message(data)
        if midi.is_note_on(data):
            self._begun.add(midi.key_of(data))

    def trouble(self) -> str | None:
        """What is wrong with the ports, None while nothing is. To be asked about twice a second, from one thread.

        What is unplugged is plugged in again when it is there.
        """
        if not self._listening:
            return None
        for plug in self._plugs:
            self._look_after(plug)
        return None if self._pulse is None else self._pulse.trouble()

    def replug(self) -> None:
        """The machine has slept, and devices that are there again under their old names may be connected no more: they
        are plugged in anew with the next look. From the thread that looks."""
        for plug in self._plugs:
            if plug.there:
                self._unplug(plug)

    def _look_after(self, plug: AttachedPort) -> None:
        """Notices that what a port is plugged into has gone, or has come back."""
        there = plug.port.get_ports()
        if plug.there and plug.name not in there:
            log.warning("the MIDI port %r is gone; it is looked for", plug.name)
            self._unplug(plug)
        elif not plug.there:
            with contextlib.suppress(PortError):
                index, plug.name = _find(there, plug.asked, plug.option)
                plug.port.open_port(index, plug.short)
                plug.there = True
                self._away.discard(plug.port)
                log.warning("the MIDI port %r is there now", plug.name)
                if not plug.heard:
                    self._put(PortsBack(self._now()))

    def _unplug(self, plug: AttachedPort) -> None:
        plug.there = False
        self._away.add(plug.port)
        plug.port.close_port()
        if not plug.heard:
            self._put(PortsLost(self._now()))
        for channel in range(midi.CHANNEL_COUNT) if plug.heard else ():  # its keys that are down will never go up
            self._put(MidiIn(self._now(), midi.all_notes_off(channel)))

    def close(self) -> None:
        """Close all ports, once everything sent has left."""
        self._hush()
        ends = [midi.note_off(*key) for key in sorted(self._begun)]
        for _ in range(REPEATS.get(self.api, 0)):
            for first in range(0, len(ends), BURST):
                for end in ends[first : first + BURST]:
                    self.send(end, 0)
                time.sleep(PAUSE)
        time.sleep(DRAIN.get(self.api, 0.0))
        self.abandon()

    def _hush(self) -> None:
        """Let nobody call back any more, and let those who do be done. JACK ends the thread of a client that is closed
        wherever it is: one that waits for the interpreter leaves that in ruins. Neither may what it is about to call be
        forgotten, so that on JACK it is the port that goes first, with which no message comes."""
        if self._hushed:
            return
        self._hushed = True
        if self._pulse is not None:
            self._pulse.wait()
            self._pulse.hush()
        for receiver in self._receivers if self._listening else ():
            if self.api == "jack":
                receiver.close_port()
            else:
                receiver.cancel_callback()
        time.sleep(HUSH)

    def abandon(self) -> None:
        """Drop all ports, of which nothing is to be expected any more. A virtual port cannot be opened again."""
        self._hush()
        if self._pulse is not None:
            self._pulse.close()
        for port in (*self._receivers, *self._senders.values()):
            port.close_port()
            port.delete()
        self._receivers, self._senders, self._plugs, self._pulse = [], {}, [], None


def _arrived(
    number: int, now: Callable[[], int], put: Callable[[Event], None]
) -> Callable[[tuple[list[int], float], object], None]:
    def arrived(message: tuple[list[int], float], _data: object) -> None:
        data = bytes(message[0])
        if midi.is_valid_message(data):  # a broken cable is enough for one that is none
            put(MidiIn(now(), data, number))

    return arrived


def open_ports(
    api: str = "auto",
    in_port: str | None = None,
    out_port: str | None = None,
    per_role: bool = False,
    *,
    wait: bool = False,
) -> RtMidiPorts:
    """Opens `houseband in` and `houseband out`, virtual, or attached to existing ports.

    api: auto or one of APIS; in_port: (parts of) the names of existing ports to attach to instead, separated by commas;
    out_port: that of one; per_role: an output for each role beside its channel; wait: a port that was asked for and is
    not there is plugged in as soon as it is. Raises PortError when there is no MIDI system, no such port (unless it is
    waited for), or when the system has no virtual ports and none is named.
    """
    rtmidi = rtmidi_module()
    compiled = rtmidi.get_compiled_api()
    chosen = AUTOMATIC.get(sys.platform, ("alsa", "jack")) if api == "auto" else (api,)
    inputs = _split(in_port)
    if per_role and out_port is not None:
        raise PortError("a port per role is a virtual one: leave --out-port or --port-per-role out")
    outputs: Mapping[int | None, str] = _ROLE_PORTS if per_role else {None: OUT_NAME}
    reasons: list[str] = []
    for name in chosen:
        code = getattr(rtmidi, APIS[name])
        if code not in compiled:
            reasons.append(f"{name}: not in this build of python-rtmidi")
            continue
        ports: list[Any] = []
        with quiet() as printed:
            try:
                ports += [rtmidi.MidiIn(code, name=IN_NAME) for _ in inputs]
                ports += [rtmidi.MidiOut(code, name=own) for own in outputs.values()]
            except rtmidi.RtMidiError as error:  # its SystemError is an OSError and not the builtin
                reasons.append(f"{name}: {_reason(str(error))}")
                log.debug("%s: %s (%s)", name, error, printed())
                for port in ports:
                    port.delete()
                continue
        opened = _attach(rtmidi, name, ports, inputs, outputs, out_port, wait)
        opened.note = _note(name, reasons)
        return opened
    remedy = port_diagnosis.remedy(port_diagnosis.diagnose(chosen))
    if not {"alsa", "jack"} & set(chosen):
        remedy = f"try --api {' or '.join(AUTOMATIC.get(sys.platform, APIS))}"
    raise PortError(f"no MIDI system found ({'; '.join(reasons)}); {remedy} (`houseband doctor` says more)")


def _split(in_port: str | None) -> list[str | None]:
    """The ports that are asked for; None for one of our own."""
    names: list[str | None] = [name.strip() for name in (in_port or "").split(",") if name.strip()]
    return names or [None]


def _note(api: str, reasons: list[str]) -> str | None:
    """What a user should know who may have expected another system."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if api == "alsa" and reasons and runtime and Path(runtime, "pipewire-0").exists():
        return (
            "PipeWire runs, but python-rtmidi's own JACK library finds no server there: using ALSA, which PipeWire "
            "shows beside its own ports; with pw-jack and houseband[jack] it is JACK"
        )
    return None


class MelodyFeed:
    """An output port connected to one input: somebody who plays into the band. Keep it, as Ports."""

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
    """A port of that name, connected to an existing input whose name holds `into`. api: one of APIS, that runs. Raises
    PortError."""
    rtmidi = rtmidi_module()
    try:
        with quiet():
            sender = rtmidi.MidiOut(getattr(rtmidi, APIS[api]), name=name)
    except rtmidi.RtMidiError as error:
        raise PortError(f"{api} gave no MIDI port: {_reason(str(error))}") from None
    try:
        _open(api, sender, into, name, "the melody")
    except (PortError, rtmidi.RtMidiError) as error:
        sender.delete()
        raise PortError(str(error)) from None
    return MelodyFeed(sender)


def _short(api: str, name: str) -> str:
    """What to call a client's only port: a JACK port's full name has the client's in front; elsewhere the port's own
    may be all that is seen."""
    return name.rpartition(" ")[2] if api == "jack" else name


def _attach(
    rtmidi: Any,
    api: str,
    ports: list[Any],
    inputs: list[str | None],
    outputs: Mapping[int | None, str],
    out_port: str | None,
    wait: bool,
) -> RtMidiPorts:
    receivers, senders = ports[: len(inputs)], dict(zip(outputs, ports[len(inputs) :], strict=True))
    wanted = [(port, asked, IN_NAME, True) for port, asked in zip(receivers, inputs, strict=True)]
    wanted += [(senders[key], out_port, own, False) for key, own in outputs.items()]
    try:
        opened = [_plug(api, *each, wait=wait) for each in wanted]
    except (PortError, rtmidi.RtMidiError) as error:
        for port in ports:
            port.delete()
        if isinstance(error, PortError):
            raise
        raise PortError(f"{api} gave no MIDI port: {_reason(str(error))}; is another program holding it?") from None
    own = [plug.name for plug in opened if not plug.asked]
    return RtMidiPorts(
        api,
        receivers,
        senders,
        (_named([plug for plug in opened if plug.heard]), _named([plug for plug in opened if not plug.heard])),
        plugs=[plug for plug in opened if plug.asked],
        # Now, while nobody is called back yet: a client that is opened holds the interpreter's lock for a while, for
        # which a callback would wait, and with it everybody's graph.
        pulse=_pulse(rtmidi, own) if api == "jack" else None,
    )


def _plug(api: str, port: Any, asked: str | None, own: str, heard: bool, *, wait: bool) -> AttachedPort:
    """Opens a port of ours, virtual or attached to the one that was asked for. A virtual one was not asked for."""
    option = "--in-port" if heard else "--out-port"
    named = asked or (own if api == "windows" else "")
    plug = AttachedPort(port, "", named, option, _short(api, own), heard)
    try:
        plug.name = _open(api, port, asked, own, option)
    except PortError:
        if not wait or asked is None:
            raise
        plug.there = False
        log.warning("%s", waited_for(asked, option, port.get_ports()))
    return plug


def _named(plugs: list[AttachedPort]) -> str:
    """The names they go by."""
    return ", ".join(plug.name if plug.there else f"{plug.asked} (not there yet)" for plug in plugs)


def waited_for(asked: str, option: str, there: list[str]) -> str:
    """What is said of a port that is not there at the start: it may not be switched on yet, or mistyped."""
    return f"no MIDI port {asked!r} for {option} yet: it is waited for; there are now: {_listed(there)}"


def _pulse(rtmidi: Any, own: list[str]) -> JackHeartbeat | None:
    """What notices that the server is gone; None where there is none already."""
    try:
        with quiet():
            return JackHeartbeat(rtmidi, own)
    except rtmidi.RtMidiError:
        return None


def _open(api: str, port: Any, asked: str | None, own: str, option: str) -> str:
    """Opens a port, virtual or attached to the existing one that was asked for; returns the name it goes by."""
    short = _short(api, own)
    port.set_error_callback(_failed)
    if hasattr(port, "ignore_types"):  # an input lets no clock and no SysEx through unless it is told to
        port.ignore_types(sysex=False, timing=False, active_sense=True)
    if api == "windows":  # which has no virtual ports: loopMIDI's may be called as ours would be
        index, name = _find(port.get_ports(), asked or own, option, _LOOPMIDI if asked is None else "")
        port.open_port(index, short)
    elif asked is not None:
        index, name = _find(port.get_ports(), asked, option)
        port.open_port(index, short)
    else:
        name = own
        port.open_virtual_port(short)
    return name


def _find(there: list[str], asked: str, option: str, remedy: str = "") -> tuple[int, str]:
    """The port of that name; else the first that holds it, or matches it as a regular expression. Raises PortError."""
    if asked in there:
        return there.index(asked), asked
    try:
        pattern = re.compile(asked, re.IGNORECASE)
    except re.error:
        pattern = re.compile(re.escape(asked), re.IGNORECASE)
    for index, name in enumerate(there):
        if asked.casefold() in name.casefold() or pattern.search(name):
            return index, name
    raise PortError(f"no MIDI port {asked!r} for {option}; there are: {_listed(there)}{remedy}")


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _failed(kind: object, message: str, _data: object) -> None:
    """Errors of open ports, which rtmidi would print."""
    log.warning("MIDI: %s (%s)", message, kind)


def _reason(text: str) -> str:
    """What went wrong, without the C++ names: `MidiInJack::initialize: JACK server not running?`."""
    return re.sub(r"^\w+::\w+:?\s*", "", text).rstrip(".?!")


def rtmidi_module() -> Any:
    """python-rtmidi, which needs the system's libasound at import. Raises PortError."""
    try:
        import rtmidi
    except ImportError as error:
        missing = re.search(r"lib\w+\.so[.\d]*", str(error))
        remedy = "pip install python-rtmidi"
        if missing:
            remedy = f"install the system's {missing[0]} (Debian: apt install libasound2, or libasound2t64)"
        raise PortError(f"python-rtmidi cannot be loaded ({error}); {remedy}") from None
    return rtmidi


@contextlib.contextmanager
def quiet() -> Iterator[Callable[[], str]]:
    """What C libraries print while they look for their server goes to the caller instead of the terminal."""
    with tempfile.TemporaryFile() as sink:

        def printed() -> str:
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            saved = os.dup(2)
        except OSError:  # there is no stderr
            yield printed
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield printed
        finally:
            os.dup2(saved, 2)
            os.close(saved)
