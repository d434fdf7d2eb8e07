"""Noticing that a JACK server no longer carries what python-rtmidi sends, or that an input has gone deaf.

python-rtmidi tells nobody when the server dies, and sending goes on as before. So a message is sent to ourselves over
and over, and the server is asked for our ports. It is sent to the band's inputs, too: once a SysEx has begun,
python-rtmidi gives out nothing until the byte that ends it, which a bad cable or program may never send.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from daemon.midi.ports import OUT_NAME
from daemon.midi.rtmidi_library import close_input
from music import midi

CLIENT_NAME, _PORT_NAME = "houseband watch", "pulse"
#: the message: a SysEx of the number for private use
HEARTBEAT = bytes((midi.SYSEX, 0x7D, *b"hb", midi.SYSEX_END))
#: checks that may pass without a heartbeat
MAX_SILENT_CHECKS = 4
#: how long the server may take to say whether it knows us
_PROBE_TIMEOUT_S = 10
#: before the ports are closed: how often, and at what interval, to look whether a heartbeat comes back
_ECHO_CHECKS, _ECHO_INTERVAL_S = 50, 0.01

_PROBE = """
import rtmidi, sys
try:
    names = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="houseband probe").get_ports()
except Exception:
    names = []
sys.exit(not any(name.startswith(sys.argv[1]) for name in names))
"""


class JackHeartbeat:
    """An output connected to an input of ours, through the server."""

    def __init__(self, rtmidi: Any, own: Sequence[str], inputs: Iterable[str] = ()) -> None:
        """Open the two ports. own: the names of the clients whose ports must not go away; inputs: see `keep_awake`.

        Raises what python-rtmidi raises where there is no server.
        """
        self._receiver = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=CLIENT_NAME)
        self._sender = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=CLIENT_NAME)
        self._received, self._seen, self._silent_checks = 0, 0, 0
        self._receiver.ignore_types(sysex=False, timing=True, active_sense=True)
        self._receiver.set_callback(self._count)
        self._receiver.open_virtual_port(_PORT_NAME)
        ours = [index for index, name in enumerate(self._sender.get_ports()) if name.startswith(CLIENT_NAME)]
        if ours:
            self._sender.open_port(ours[-1], _PORT_NAME)
        self._own = [name for name in own if len(self._find_ports(name)) == 1]  # else another band plays here, too
        self._rtmidi = rtmidi
        self._waking: dict[str, Any] = {}  # input -> the output that is connected to it while it is there
        self._in_use: object = None
        self._listeners = JackListeners(rtmidi)
        self.keep_awake(inputs)

    def keep_awake(self, inputs: Iterable[str]) -> None:
        """End any SysEx that stays open on these input ports of the band, at every check from the next on."""
        for name in set(inputs) - set(self._waking):
            self._waking[name] = self._rtmidi.MidiOut(self._rtmidi.API_UNIX_JACK, name=CLIENT_NAME)

    def find_failure(self) -> str | None:
        """Return what is wrong with the server, None while nothing is; to be called about twice a second.

        Checks are counted, not seconds, so that a suspended machine is no silence.
        """
        self._silent_checks = 0 if self._received != self._seen else self._silent_checks + 1
        self._seen = self._received
        if self._silent_checks > MAX_SILENT_CHECKS:
            is_known = _probe_server()
            if not is_known:
                return "the JACK server is gone" if is_known is False else "the JACK server gives no answer"
            self._silent_checks = 0  # it is only very busy
        lost = [name for name in self._own if not self._find_ports(name)]
        if lost:
            return f"the JACK server has thrown out {', '.join(map(repr, lost))}"
        self._sender.send_message(HEARTBEAT)
        self._wake()
        return None

    def find_listeners(self) -> list[str]:
        """Return the names of the ports that the band plays to."""
        return self._listeners.find()

    def _wake(self) -> None:
        """Send a heartbeat to each input that is there; what is sent to one that is not would pile up."""
        names = self._sender.get_ports() if self._waking else []
        for name, sender in self._waking.items():
            if name not in names:
                sender.close_port()
                continue
            if not sender.is_port_open():
                sender.open_port(names.index(name), _PORT_NAME)
            sender.send_message(HEARTBEAT)

    def wait_for_server(self) -> None:
        """Return once the server carries messages or is gone.

        A server that hangs must be asked nothing: python-rtmidi would wait for it with the interpreter's lock held.
        """
        before = self._received
        self._sender.send_message(HEARTBEAT)
        for _ in range(_ECHO_CHECKS):
            if self._received != before:
                return
            time.sleep(_ECHO_INTERVAL_S)
        while _probe_server() is None:
            pass

    def stop_callbacks(self) -> None:
        """Receive nothing any more. Give a callback that has begun a moment before `close`."""
        self._in_use = close_input("jack", self._receiver)

    def close(self) -> None:
        """Close all ports; `stop_callbacks` has been called."""
        for sender in (self._sender, *self._waking.values()):
            sender.close_port()
            sender.delete()
        self._receiver.delete()
        self._listeners.close()

    def _count(self, _message: tuple[list[int], float], _data: object) -> None:
        self._received += 1

    def _find_ports(self, client: str) -> list[str]:
        """Return the names of a client's ports; JACK numbers the clients of one name."""
        names = {*self._receiver.get_ports(), *self._sender.get_ports()}
        return [name for name in names if re.match(rf"{re.escape(client)}(-\d+)?:", name)]


def _probe_server() -> bool | None:
    """Tell whether a new client finds a server that knows us; None when the server gives no answer.

    Another process asks: where there is no server, a new client of this one would take the ground from under the old.
    """
    probe = [sys.executable, "-P", "-c", _PROBE, CLIENT_NAME]
    try:
        done = subprocess.run(
            probe, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


_STRINGS = ctypes.POINTER(ctypes.c_char_p)
#: JackNoStartServer and JackPortIsOutput
_NO_START_SERVER, _IS_OUTPUT = 1, 2


class JackListeners:
    """Finds the ports that are connected to the band's outputs, which python-rtmidi does not tell.

    It asks through the JACK library that python-rtmidi has loaded. Where that cannot be had, nobody is found.
    """

    def __init__(self, rtmidi: Any) -> None:
        """Open a client; a server runs."""
        self._client: int | None = None
        try:
            self._library = _declare_functions(ctypes.CDLL(rtmidi._rtmidi.__file__))
        except (OSError, AttributeError):  # built without JACK
            return
        self._client = self._library.jack_client_open(CLIENT_NAME.encode(), _NO_START_SERVER, None)

    def find(self) -> list[str]:
        """Return the names of the ports that the band plays to."""
        if not self._client:
            return []
        sources = self._take(self._library.jack_get_ports(self._client, f"^{OUT_NAME}".encode(), None, _IS_OUTPUT))
        return sorted({name for source in sources for name in self._find_peers(source)})

    def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client:
            self._library.jack_client_close(client)

    def _find_peers(self, source: str) -> Iterator[str]:
        port = self._library.jack_port_by_name(self._client, source.encode())
        if port:
            yield from self._take(self._library.jack_port_get_all_connections(self._client, port))

    def _take(self, strings: Any) -> list[str]:
        """Return the strings of an array that ends with a null pointer, and free it."""
        found: list[str] = []
        while strings and strings[len(found)] is not None:
            found.append(strings[len(found)].decode("utf-8", "replace"))
        if strings:
            self._library.jack_free(strings)
        return found


def _declare_functions(library: Any) -> Any:
    """Return JACK's library with the types of what is called. Raises AttributeError where it lacks that."""
    text, pointer = ctypes.c_char_p, ctypes.c_void_p
    for name, result, arguments in (
        ("jack_client_open", pointer, (text, ctypes.c_int, pointer)),
        ("jack_client_close", ctypes.c_int, (pointer,)),
        ("jack_get_ports", _STRINGS, (pointer, text, text, ctypes.c_ulong)),
        ("jack_port_by_name", pointer, (pointer, text)),
        ("jack_port_get_all_connections", _STRINGS, (pointer, pointer)),
        ("jack_free", None, (pointer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
