"""Virtual MIDI ports through python-rtmidi: ALSA, JACK, CoreMIDI, and named ports where none can be made (Windows)."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from daemon.events import MidiIn

log = logging.getLogger(__name__)

IN_NAME, OUT_NAME = "houseband in", "houseband out"
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
_LOOPMIDI = (
    ". Windows has no virtual MIDI ports: make two with loopMIDI, called 'houseband in' and 'houseband out', or name "
    "others with --in-port and --out-port"
)


class PortError(Exception):
    """No MIDI system or no such port; the message is one sentence for the user."""


class Ports:
    """The band's two MIDI ports: what is heard and where it plays.

    Keep the object: ports that nobody refers to go silent. Only the conductor sends.
    """

    def __init__(self, api: str, receiver: Any, sender: Any, names: tuple[str, str]) -> None:
        self.api = api
        self.names = names
        self._receiver = receiver
        self._sender = sender
        self._listening = False
        self._begun: set[tuple[int, int]] = set()  # (status of the end, pitch) of every note sent so far

    def listen(self, now: Callable[[], int], put: Callable[[MidiIn], None]) -> None:
        """From now on every message that arrives is stamped and put. Runs in the MIDI system's own thread."""

        def arrived(message: tuple[list[int], float], _data: object) -> None:
            put(MidiIn(now(), bytes(message[0])))

        self._receiver.set_callback(arrived)
        self._listening = True

    def send(self, data: bytes, due: int) -> None:  # noqa: ARG002 - the moment it was meant for is for counters
        """Send one MIDI message now."""
        self._sender.send_message(data)
        if data[0] & 0xF0 == 0x90:
            self._begun.add((0x80 | data[0] & 0x0F, data[1]))

    def close(self) -> None:
        """Close both ports, once everything sent has left."""
        if self._listening:
            self._receiver.cancel_callback()
        ends = [bytes((status, pitch, 0)) for status, pitch in sorted(self._begun)]
        for _ in range(REPEATS.get(self.api, 0)):
            for first in range(0, len(ends), BURST):
                for end in ends[first : first + BURST]:
                    self._sender.send_message(end)
                time.sleep(PAUSE)
        time.sleep(DRAIN.get(self.api, 0.0))
        for port in (self._receiver, self._sender):
            port.close_port()
            port.delete()


def open_ports(api: str = "auto", in_port: str | None = None, out_port: str | None = None) -> Ports:
    """Opens `houseband in` and `houseband out`, virtual, or attached to existing ports.

    api: auto or one of APIS; in_port, out_port: (part of) the name of an existing port to attach to instead. Raises
    PortError when there is no MIDI system, no such port, or when the system has no virtual ports and none is named.
    """
    rtmidi = _rtmidi()
    compiled = rtmidi.get_compiled_api()
    chosen = AUTOMATIC.get(sys.platform, ("alsa", "jack")) if api == "auto" else (api,)
    reasons: list[str] = []
    for name in chosen:
        code = getattr(rtmidi, APIS[name])
        if code not in compiled:
            reasons.append(f"{name}: not in this build of python-rtmidi")
            continue
        with _captured_stderr() as printed:
            try:
                receiver = rtmidi.MidiIn(code, name=IN_NAME)
                sender = rtmidi.MidiOut(code, name=OUT_NAME)
            except rtmidi.RtMidiError as error:  # its SystemError is an OSError and not the builtin
                reasons.append(f"{name}: {_reason(str(error))}")
                log.debug("%s: %s (%s)", name, error, printed())
                continue
        return _attach(rtmidi, name, receiver, sender, in_port, out_port)
    remedy = "load ALSA's sequencer (modprobe snd-seq) or start a JACK server"
    if not {"alsa", "jack"} & set(chosen):
        remedy = f"try --api {' or '.join(AUTOMATIC.get(sys.platform, APIS))}"
    raise PortError(f"no MIDI system found ({'; '.join(reasons)}); {remedy}")


class Feed:
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


def open_feed(api: str, name: str, into: str) -> Feed:
    """A port of that name, connected to an existing input whose name holds `into`. api: one of APIS, that runs. Raises
    PortError."""
    rtmidi = _rtmidi()
    try:
        with _captured_stderr():
            sender = rtmidi.MidiOut(getattr(rtmidi, APIS[api]), name=name)
    except rtmidi.RtMidiError as error:
        raise PortError(f"{api} gave no MIDI port: {_reason(str(error))}") from None
    try:
        _open(api, sender, into, name, "the melody")
    except (PortError, rtmidi.RtMidiError) as error:
        sender.delete()
        raise PortError(str(error)) from None
    return Feed(sender)


def _short(api: str, name: str) -> str:
    """What to call a client's only port: a JACK port's full name has the client's in front; elsewhere the port's own
    may be all that is seen."""
    return name.rpartition(" ")[2] if api == "jack" else name


def _attach(rtmidi: Any, api: str, receiver: Any, sender: Any, in_port: str | None, out_port: str | None) -> Ports:
    try:
        heard = _open(api, receiver, in_port, IN_NAME, "--in-port")
        played = _open(api, sender, out_port, OUT_NAME, "--out-port")
    except (PortError, rtmidi.RtMidiError) as error:
        for port in (receiver, sender):
            port.delete()
        if isinstance(error, PortError):
            raise
        raise PortError(f"{api} gave no MIDI port: {_reason(str(error))}; is another program holding it?") from None
    return Ports(api, receiver, sender, (heard, played))


def _open(api: str, port: Any, asked: str | None, own: str, option: str) -> str:
    """Opens a port, virtual or attached to the existing one that was asked for; returns the name it goes by."""
    short = _short(api, own)
    if api == "windows":  # which has no virtual ports: loopMIDI's may be called as ours would be
        index, name = _find(port.get_ports(), asked or own, option, _LOOPMIDI if asked is None else "")
        port.open_port(index, short)
    elif asked is not None:
        index, name = _find(port.get_ports(), asked, option)
        port.open_port(index, short)
    else:
        name = own
        port.open_virtual_port(short)
    port.set_error_callback(_failed)
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


def _rtmidi() -> Any:
    """python-rtmidi, which needs the system's libasound at import. Raises PortError."""
    try:
        import rtmidi
    except ImportError as error:
        missing = re.search(r"lib\w+\.so[.\d]*", str(error))
        remedy = f"install the system's {missing[0]} (Debian: libasound2)" if missing else "pip install python-rtmidi"
        raise PortError(f"MIDI is not available ({error}); {remedy}") from None
    return rtmidi


@contextlib.contextmanager
def _captured_stderr() -> Iterator[Callable[[], str]]:
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
