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
from collections.abc import Collection, Iterable, Sequence
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

#: Ends with 0 where a server knows the output that the heartbeat leaves by, which there is always.
_PROBE = """
import rtmidi, sys
try:
    names = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="houseband probe").get_ports()
except Exception:
    names = []
sys.exit(not any(name.startswith(sys.argv[1]) for name in names))
"""


class JackHeartbeat:
    """An output connected to inputs of ours, through the server.

    One client of JACK's is all that it takes where the band's own input hears it: each costs the server, and this
    program, some processor time in every period.
    """

    def __init__(self, rtmidi: Any, own: Sequence[str], receiver: Any, inputs: Sequence[str], *, stays: bool) -> None:
        """Open the output, and connect it to an input.

        own: the names of the clients whose ports must not go away; receiver: one of the band's inputs, as python-rtmidi
        has it; inputs: see `keep_awake`; stays: they are there as long as the server is, so that the first of them can
        say what comes back, with `count_echo`. Else an input of its own does.

        Raises what python-rtmidi raises where there is no server.
        """
        self._band_receiver, self._receiver = receiver, None
        self._sender = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=CLIENT_NAME)
        self._received, self._seen, self._silent_checks = 0, 0, 0
        if not (stays and inputs):
            self._receiver = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=CLIENT_NAME)
            self._receiver.ignore_types(sysex=False, timing=True, active_sense=True)
            self._receiver.set_callback(lambda _message, _data: self.count_echo())
            self._receiver.open_virtual_port(_PORT_NAME)
        names = self._sender.get_ports()
        ours = [name for name in names if name.startswith(CLIENT_NAME)] if self._receiver is not None else inputs[:1]
        if ours:
            self._sender.open_port(names.index(ours[-1]), _PORT_NAME)
        self._graph = JackGraph(rtmidi)
        there = self._list_ports()
        self._own = [name for name in own if len(_find_ports(there, name)) == 1]  # else another band plays here, too
        #: the output, as the server calls it
        self._pulse = next((name for name in self._graph.find_peers(*ours[-1:]) if name.startswith(CLIENT_NAME)), "")
        self._inputs = dict.fromkeys((*ours[-1:], *inputs))  # where it is to be heard
        self._in_use: object = None

    def keep_awake(self, inputs: Iterable[str]) -> None:
        """End any SysEx that stays open on these input ports of the band, at every check from the next on.

        That takes JACK's library, as with `JackGraph`, for all but an input that stays.
        """
        self._inputs |= dict.fromkeys(inputs)

    def count_echo(self) -> None:
        """Take note that a heartbeat has come back. Any thread may call it."""
        self._received += 1

    def find_failure(self) -> str | None:
        """Return what is wrong with the server, None while nothing is; to be called about twice a second.

        Checks are counted, not seconds, so that a suspended machine is no silence.
        """
        self._silent_checks = 0 if self._received != self._seen else self._silent_checks + 1
        self._seen = self._received
        if self._silent_checks > MAX_SILENT_CHECKS:
            is_known = find_server()
            if not is_known:
                return "the JACK server is gone" if is_known is False else "the JACK server gives no answer"
            self._silent_checks = 0  # it is only very busy
        there = self._list_ports()
        lost = [name for name in self._own if not _find_ports(there, name)]
        if lost:
            return f"the JACK server has thrown out {', '.join(map(repr, lost))}"
        self._connect(there)
        self._sender.send_message(HEARTBEAT)
        return None

    def find_listeners(self) -> list[str]:
        """Return the names of the ports that the band plays to."""
        sources = [name for name in self._graph.list_ports() if name.startswith(OUT_NAME)]
        return sorted({name for source in sources for name in self._graph.find_peers(source)})

    def _list_ports(self) -> list[str]:
        """Return the names of all ports; python-rtmidi asks the server for each of them, and for all, anew."""
        if self._graph.is_open:
            return self._graph.list_ports()
        return [*self._band_receiver.get_ports(), *self._sender.get_ports()]

    def _connect(self, there: Collection[str]) -> None:
        """Connect the output to every input that is there; somebody may have disconnected it, too."""
        wanted = [name for name in self._inputs if name in there] if self._pulse else []
        heard = self._graph.find_peers(self._pulse) if wanted else []
        for name in wanted:
            if name not in heard:
                self._graph.connect(self._pulse, name)

    def wait_for_server(self, unheard: Any = None) -> None:
        """Return once the server carries messages or is gone. unheard: an input of the band's that calls nobody back.

        A server that hangs must be asked nothing: python-rtmidi would wait for it with the interpreter's lock held.
        """
        before = self._received
        self._sender.send_message(HEARTBEAT)
        for _ in range(_ECHO_CHECKS):
            if self._received != before or (unheard is not None and _has_heard(unheard)):
                return
            time.sleep(_ECHO_INTERVAL_S)
        while find_server() is None:
            pass

    def stop_callbacks(self) -> None:
        """Receive nothing any more. Give a callback that has begun a moment before `close`."""
        if self._receiver is not None:
            self._in_use = close_input("jack", self._receiver)

    def close(self) -> None:
        """Close all ports; `stop_callbacks` has been called."""
        self._sender.close_port()
        self._sender.delete()
        if self._receiver is not None:
            self._receiver.delete()
        self._graph.close()


def _find_ports(names: Iterable[str], client: str) -> list[str]:
    """Return the names of a client's ports; JACK numbers the clients of one name."""
    return [name for name in names if name.startswith(client) and re.match(r"(-\d+)?:", name[len(client) :])]


def _has_heard(receiver: Any) -> bool:
    """Tell whether a heartbeat is among the messages that wait in an input, which are gone then."""
    return any(bytes(message[0]).endswith(HEARTBEAT) for message in iter(receiver.get_message, None))


def find_server() -> bool | None:
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
#: JackNoStartServer
_NO_START_SERVER = 1


class JackGraph:
    """The ports of a JACK server and their connections, most of which python-rtmidi does not tell, or slowly.

    It asks through the JACK library that python-rtmidi has loaded, by a client that has no part in JACK's periods.
    Where that cannot be had, there are no ports.
    """

    def __init__(self, rtmidi: Any) -> None:
        """Open a client; a server runs."""
        self._client: int | None = None
        try:
            self._library = _declare_functions(ctypes.CDLL(rtmidi._rtmidi.__file__))
        except (OSError, AttributeError):  # built without JACK
            return
        self._client = self._library.jack_client_open(CLIENT_NAME.encode(), _NO_START_SERVER, None)

    @property
    def is_open(self) -> bool:
        """Tell whether it can be asked."""
        return bool(self._client)

    def list_ports(self) -> list[str]:
        """Return the names of all ports, of inputs and outputs."""
        return self._take(self._library.jack_get_ports(self._client, None, None, 0)) if self._client else []

    def find_peers(self, *ports: str) -> list[str]:
        """Return the names of the ports that these are connected to."""
        found: list[str] = []
        for name in ports if self._client else ():
            port = self._library.jack_port_by_name(self._client, name.encode())
            if port:
                found += self._take(self._library.jack_port_get_all_connections(self._client, port))
        return found

    def connect(self, source: str, destination: str) -> None:
        """Connect an output to an input, if both are there."""
        if self._client:
            self._library.jack_connect(self._client, source.encode(), destination.encode())

    def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client:
            self._library.jack_client_close(client)

    def _take(self, strings: Any) -> list[str]:
        """Return the strings of an array that ends with a null pointer, and free it."""
        found: list[str] = []
        while strings and (name := strings[len(found)]) is not None:
            found.append(name.decode("utf-8", "replace"))
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
        ("jack_connect", ctypes.c_int, (pointer, text, text)),
        ("jack_free", None, (pointer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
