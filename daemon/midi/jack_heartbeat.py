"""Whether a JACK server still carries what python-rtmidi sends: it tells nobody when it dies, and sending goes on as
before. So something is sent to ourselves, over and over, and the server is asked for our ports."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

WATCH_NAME, _PORT = "houseband watch", "pulse"
#: what is sent, a SysEx of the number for private use, and looks that may pass without it
HEARTBEAT, PATIENCE = b"\xf0\x7dhb\xf7", 4
#: seconds that a server may take to say whether it knows us
_ANSWER = 10
#: looks for a heartbeat's way back, and seconds between them
_PINGS, _PING = 50, 0.01

_PROBE = """
import rtmidi, sys
try:
    names = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="houseband probe").get_ports()
except Exception:
    names = []
sys.exit(not any(name.startswith(sys.argv[1]) for name in names))
"""


class JackHeartbeat:
    """A sender of heartbeats and what hears them. own: the names of the clients whose ports must not go away. Raises
    what python-rtmidi raises where there is no server."""

    def __init__(self, rtmidi: Any, own: Sequence[str]) -> None:
        self._hears = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=WATCH_NAME)
        self._says = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=WATCH_NAME)
        self._beats, self._seen, self._idle = 0, 0, 0
        self._hears.ignore_types(sysex=False, timing=True, active_sense=True)
        self._hears.set_callback(self._heard)
        self._hears.open_virtual_port(_PORT)
        ours = [index for index, name in enumerate(self._says.get_ports()) if name.startswith(WATCH_NAME)]
        if ours:
            self._says.open_port(ours[-1], _PORT)
        self._own = [name for name in own if len(self._ports_of(name)) == 1]  # else another band plays here, too

    def trouble(self) -> str | None:
        """What is wrong, None while nothing is; to be asked about twice a second. Looks are counted, not seconds, so
        that it is no silence when the machine has slept."""
        self._idle = 0 if self._beats != self._seen else self._idle + 1
        self._seen = self._beats
        if self._idle > PATIENCE:
            known = _asked()
            if not known:
                return "the JACK server is gone" if known is False else "the JACK server gives no answer"
            self._idle = 0  # it is only very busy
        lost = [name for name in self._own if not self._ports_of(name)]
        if lost:
            return f"the JACK server has thrown out {', '.join(map(repr, lost))}"
        self._says.send_message(HEARTBEAT)
        return None

    def wait(self) -> None:
        """Until the server carries something or is gone. What is asked of one that hangs, python-rtmidi waits for with
        the interpreter's lock in its hands."""
        before = self._beats
        self._says.send_message(HEARTBEAT)
        for _ in range(_PINGS):
            if self._beats != before:
                return
            time.sleep(_PING)
        while _asked() is None:
            pass

    def hush(self) -> None:
        """Hear nothing any more: who closes a client gives a callback that has begun a moment first."""
        self._hears.close_port()

    def close(self) -> None:
        """Be gone."""
        for port in (self._hears, self._says):
            port.close_port()
            port.delete()

    def _heard(self, _message: tuple[list[int], float], _data: object) -> None:
        self._beats += 1

    def _ports_of(self, client: str) -> list[str]:
        """A client's ports; JACK numbers the clients of one name."""
        there = {*self._hears.get_ports(), *self._says.get_ports()}
        return [name for name in there if re.match(rf"{re.escape(client)}(-\d+)?:", name)]


def _asked() -> bool | None:
    """Whether a new client finds a server that knows us; None when the server gives no answer. A new client of this
    process would take the ground from under the old ones if there is no server, so another process asks."""
    probe = [sys.executable, "-P", "-c", _PROBE, WATCH_NAME]
    try:
        asked = subprocess.run(probe, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ANSWER, check=False)
    except subprocess.TimeoutExpired:
        return None
    except (OSError, subprocess.SubprocessError):
        return False
    return asked.returncode == 0
