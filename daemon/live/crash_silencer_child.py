"""The process that ends the notes of a band which was killed; `daemon.live.crash_silencer` starts it.

It loads little, for it mostly waits all its life: python-rtmidi only once there is something to end.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from daemon.system.child_process import guard_stdout
from music import midi

#: shared memory: the table of keys, then the names of who listens, with their length before them
LENGTH_BYTES, MAX_NAMES_BYTES = 4, 8192
SHARED_BYTES = midi.KEY_COUNT + LENGTH_BYTES + MAX_NAMES_BYTES
#: note-offs are sent in bursts that a reader's queue holds, so far apart, and all of them so many times
BURST_SIZE, BURST_PAUSE_S, REPEATS = 32, 0.02, 3
#: a list of ports that changes is read again so often
CONNECT_ATTEMPTS = 50
#: a MIDI system that hangs is not waited for any longer
PATIENCE_S = 10
_CLIENT_NAME = "houseband silence"


def watch(file: str) -> None:
    """Wait until the band has ended, then end what it has left on. file: the number of the shared file."""
    shared = mmap.mmap(int(file), SHARED_BYTES)
    os.close(int(file))
    guard_stdout(silence_stderr=True)
    sys.stdin.buffer.read()  # the band writes nothing: this ends with it, however that ends
    api, *names = read_listeners(shared[midi.KEY_COUNT :])
    if names and (note_offs := midi.list_note_offs(shared[: midi.KEY_COUNT])):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_S)
        end_notes(note_offs, api, names)


def read_listeners(data: bytes) -> list[str]:
    """Return what `CrashSilencer.tell_listeners` wrote: the MIDI system and the names; empty for none."""
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    try:
        return [str(name) for name in json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length])]
    except ValueError:  # nobody listened yet, or the band ended in the middle of writing
        return [""]


def end_notes(note_offs: Sequence[bytes], api: str, names: Sequence[str]) -> None:
    """Send note-offs, and all-notes-off for their channels, to ports.

    api: python-rtmidi's constant for the MIDI system; names: of the ports, as python-rtmidi lists them.
    """
    import rtmidi

    channels = sorted({midi.channel_of(data) for data in note_offs})
    messages = [*note_offs, *(midi.control_change(channel, midi.PEDAL, 0) for channel in channels)]
    messages += [midi.all_notes_off(channel) for channel in channels]
    senders = _open_senders(rtmidi, getattr(rtmidi, api), names)
    for _ in range(REPEATS):
        for first in range(0, len(messages), BURST_SIZE):
            for sender in senders:
                for data in messages[first : first + BURST_SIZE]:
                    sender.send_message(data)
            time.sleep(BURST_PAUSE_S)
    time.sleep(10 * BURST_PAUSE_S)  # until a long period of JACK's has taken the last


def _open_senders(rtmidi: Any, number: int, wanted: Sequence[str]) -> list[Any]:
    """Return outputs that are connected to the ports of these names. number: python-rtmidi's, of the MIDI system."""
    opened = []
    with contextlib.suppress(Exception):  # whatever a MIDI system raises that went with the band
        sender = rtmidi.MidiOut(number, name=_CLIENT_NAME)
        names = sender.get_ports()
        # ALSA's have a number behind them
        for name in sorted({each for each in names if each in wanted or each.rpartition(" ")[0] in wanted}):
            if sender.is_port_open():
                sender = rtmidi.MidiOut(number, name=_CLIENT_NAME)
            if _connect(sender, name):
                opened.append(sender)
    return opened


def _connect(sender: Any, name: str) -> bool:
    """Connect an output to the port of that name; return False where it is gone.

    Ports are connected by their place in a list, which gets shorter while the ports of the dead band disappear.
    """
    for _ in range(CONNECT_ATTEMPTS):
        names = sender.get_ports()
        if name not in names:
            return False
        with contextlib.suppress(Exception):  # there is no such place any more
            sender.open_port(names.index(name))
            if sender.get_ports() == names:
                return True
        sender.close_port()
        time.sleep(BURST_PAUSE_S)
    return False
