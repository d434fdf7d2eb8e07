"""The constants and the address of the control socket, whose protocol `protocol.md` describes."""

from __future__ import annotations

import os
import sys

from daemon.core.schema import KeySpec
from daemon.core.value_types import Integer, InvalidValueError, PlaceOrWord
from daemon.system import paths

#: the version that is spoken
PROTOCOL = 1
#: what a client can subscribe to
TOPICS = ("notes", "heard", "plans", "edits", "tempo", "counters", "controls", "chords", "songs", "bars")

AUTO, OFF, TCP = "auto", "off", "tcp:"
MAX_PORT = 65535
#: bytes of a Unix socket's path
MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103


class SocketAddress(PlaceOrWord):
    """The type of the control socket's address."""

    range = f"{AUTO}, {OFF}, a path, or {TCP}PORT with a port of at most {MAX_PORT}"

    def __init__(self) -> None:
        super().__init__((AUTO, OFF))

    def parse(self, value: object) -> str:
        """Return the address as text."""
        if not isinstance(value, str) or not value.startswith(TCP):
            found = super().parse(value)
            if found not in self.words and len(os.fsencode(found)) > MAX_PATH_BYTES:
                raise InvalidValueError(f"takes a path of at most {MAX_PATH_BYTES} bytes, as all sockets do")
            return found
        Integer(0, MAX_PORT).parse(value.removeprefix(TCP) or 0)
        return value


def resolve_address(where: str) -> str:
    """Return the address that the configuration's `control` stands for: a path, `tcp:PORT` or `off`.

    Raises SettingError where HOUSEBAND_CONTROL, which goes before `auto`, is no address.
    """
    if where == AUTO:
        spec = KeySpec(paths.CONTROL_VARIABLE, SocketAddress(), AUTO, "where the control socket is")
        where = str(spec.parse(os.environ.get(paths.CONTROL_VARIABLE) or AUTO))
    if where != AUTO:
        return where
    if sys.platform == "win32":
        return f"{TCP}0"
    return str(paths.find_control_socket_file())
