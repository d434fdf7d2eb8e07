"""The ways to open MIDI ports. To add one: write a module like `jack_ports.py` and add a row to BACKENDS.

The command line, the configuration, live playing and the doctor read their choices from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.midi.ports import NO_PORTS, MidiPorts, NoPorts, PortError, PortRequest


@dataclass(frozen=True, slots=True)
class PortBackend:
    """A way to open MIDI ports."""

    name: str  #: as the option `--output` takes it
    apis: tuple[str, ...]  #: the MIDI systems it opens ports on, as the option `--api` takes them
    open: Callable[[PortRequest], MidiPorts]  #: raises PortError
    #: says which of these MIDI systems run; raises PortError. None: what another backend finds is enough
    find_running: Callable[[str], list[str]] | None = None


def _open_jack(request: PortRequest) -> MidiPorts:
    from daemon.midi.jack_ports import open_jack_ports  # here, as below: nobody needs the libraries of all backends

    return open_jack_ports(request)


def _open_rtmidi(request: PortRequest) -> MidiPorts:
    from daemon.midi.rtmidi_ports import open_rtmidi_ports

    return open_rtmidi_ports(request)


def _find_running_rtmidi(api: str) -> list[str]:
    from daemon.midi.rtmidi_library import find_running_apis

    return find_running_apis(api)


#: name -> backend; where several would do, they are tried in this order
BACKENDS = {
    backend.name: backend
    for backend in (
        PortBackend("jack", ("jack",), _open_jack),
        PortBackend("rtmidi", ("alsa", "jack", "coremidi", "windows"), _open_rtmidi, _find_running_rtmidi),
    )
}

AUTO = "auto"
#: what `--output` and `--api` take, the usual ones first
BACKEND_CHOICES = (AUTO, *reversed(BACKENDS))
API_CHOICES = (AUTO, *dict.fromkeys(api for backend in reversed(BACKENDS.values()) for api in backend.apis))


def open_ports(request: PortRequest) -> MidiPorts:
    """Open the ports that are asked for on the first backend that can. Raises the PortError of the last."""
    if request.api == NO_PORTS:
        if request.in_port or request.out_port:
            raise PortError("with --api none there are no ports to name; leave it out, or --in-port and --out-port")
        return NoPorts()
    failure = PortError(f"no backend opens MIDI ports on {request.api}")
    for backend in BACKENDS.values():
        is_wanted = request.backend == AUTO and request.api in (AUTO, *backend.apis)
        if is_wanted or request.backend == backend.name:
            try:
                return backend.open(request)
            except PortError as error:
                failure = error
    raise failure


def find_running_apis(api: str = AUTO) -> list[str]:
    """Return the MIDI systems that give ports now, of those that `api` stands for. Raises PortError."""
    found: dict[str, None] = {}
    for backend in BACKENDS.values():
        if backend.find_running is not None and api in (AUTO, *backend.apis):
            found |= dict.fromkeys(backend.find_running(api))
    return list(found)
