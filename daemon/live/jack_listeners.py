"""Ports on JACK that are connected to the band's outputs, asked for through JACK's own library."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from typing import Any

from daemon.midi.ports import OUT_NAME

_CLIENT_NAME = b"houseband guard"
_OUR_PORTS = re.compile(rf"houseband(-\d+)?:|{OUT_NAME}")
#: JackNoStartServer and JackPortIsOutput
_NO_START_SERVER, _IS_OUTPUT = 1, 2
_MIDI_TYPE = b"8 bit raw midi"
_STRINGS = ctypes.POINTER(ctypes.c_char_p)
_ON_SHUTDOWN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class JackListeners:
    """Asks a JACK server, if there is one, over and over; for one thread."""

    def __init__(self) -> None:
        self._library = _load_library()
        self._client: int | None = None
        self._is_gone = False
        self._on_shutdown = _ON_SHUTDOWN(self._note_shutdown)  # kept, for the library keeps none

    def find(self) -> list[str] | None:
        """Return the ports that the band plays to; None where no server answers."""
        if self._library is None or not self._connect():
            return None
        sources = self._take(self._library.jack_get_ports(self._client, None, _MIDI_TYPE, _IS_OUTPUT))
        return sorted({name for source in sources if _OUR_PORTS.match(source) for name in self._find_peers(source)})

    def _find_peers(self, source: str) -> Iterator[str]:
        port = self._library.jack_port_by_name(self._client, source.encode())
        if port:
            yield from self._take(self._library.jack_port_get_all_connections(self._client, port))

    def _connect(self) -> bool:
        if self._is_gone:
            self._library.jack_client_close(self._client)
            self._client, self._is_gone = None, False
        if self._client is None:
            status = ctypes.c_int()
            self._client = self._library.jack_client_open(_CLIENT_NAME, _NO_START_SERVER, ctypes.byref(status))
            if self._client:
                self._library.jack_on_shutdown(self._client, self._on_shutdown, None)
        return bool(self._client)

    def _note_shutdown(self, _: object) -> None:
        self._is_gone = True

    def _take(self, strings: Any) -> list[str]:
        """Return the strings of an array that ends with a null pointer, and free it."""
        found: list[str] = []
        while strings and strings[len(found)] is not None:
            found.append(strings[len(found)].decode("utf-8", "replace"))
        if strings:
            self._library.jack_free(strings)
        return found


def _load_library() -> Any:
    """Return JACK's library; None where there is none."""
    try:
        library = ctypes.CDLL("libjack.so.0")
        library.jack_client_open.restype = ctypes.c_void_p
        library.jack_client_open.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
        library.jack_client_close.argtypes = (ctypes.c_void_p,)
        library.jack_on_shutdown.argtypes = (ctypes.c_void_p, _ON_SHUTDOWN, ctypes.c_void_p)
        library.jack_get_ports.restype = _STRINGS
        library.jack_get_ports.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong)
        library.jack_port_by_name.restype = ctypes.c_void_p
        library.jack_port_by_name.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        library.jack_port_get_all_connections.restype = _STRINGS
        library.jack_port_get_all_connections.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        library.jack_free.argtypes = (ctypes.c_void_p,)
    except (OSError, AttributeError):
        return None
    return library
