"""The process that ends the notes of a band which was killed; `daemon.live.crash_silencer` starts it.

It loads little, for it waits all its life: python-rtmidi only once there is something to end.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from daemon.live.jack_listeners import JackListeners
from daemon.midi import alsa_sequencer
from daemon.midi.ports import KEY_COUNT, OUT_NAME, StartedKeys
from daemon.system.child_process import guard_stdout
from music import midi

#: time between two looks at who listens
CHECK_INTERVAL_S = 0.5
#: note-offs are sent in bursts that a reader's queue holds, so far apart, and all of them so many times
BURST_SIZE, BURST_PAUSE_S, REPEATS = 32, 0.02, 3
#: a MIDI system that hangs is not waited for any longer
PATIENCE_S = 10
_CLIENT_NAME = "houseband silence"

#: MIDI system, as python-rtmidi's constant for it is called -> the ports that listen to the band
Listeners = dict[str, Sequence[str]]


def watch(file: str) -> None:
    """Look who listens to the band until it ends, then end what it has left on. file: the number of the shared file."""
    keys = mmap.mmap(int(file), KEY_COUNT)
    os.close(int(file))
    guard_stdout(silence_stderr=True)
    found: Listeners = {}
    threading.Thread(target=_keep_looking, args=(found,), daemon=True).start()
    sys.stdin.buffer.read()  # the band writes nothing: this ends with it, however that ends
    if any(keys[:]):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_S)
        end_notes(StartedKeys(keys).make_note_offs(), found)
    os._exit(0)  # a thread may wait for a MIDI system that hangs


def _keep_looking(found: Listeners) -> None:
    """Keep up to date who listens. Runs in a thread of its own, for a MIDI system may hang."""
    jack = JackListeners()
    while True:
        for name, listeners in (("API_UNIX_JACK", jack.find()), ("API_LINUX_ALSA", _find_alsa_listeners())):
            if listeners is not None:
                found[name] = listeners
        time.sleep(CHECK_INTERVAL_S)


def _find_alsa_listeners() -> list[str]:
    """Return the ports on ALSA's sequencer that the band plays to."""
    ports = alsa_sequencer.list_ports()
    names = {port.address: port.name for port in ports}
    ours = [port for port in ports if port.name[0].startswith(OUT_NAME)]
    heard = {names[peer] for port in ours for peer in port.destinations if peer in names}
    return [f"{client}:{port}" for client, port in sorted(heard)]


def end_notes(note_offs: Sequence[bytes], listeners: Listeners) -> None:
    """Send note-offs, and all-notes-off for their channels, to every port that listened."""
    import rtmidi

    channels = sorted({midi.channel_of(data) for data in note_offs})
    messages = [*note_offs, *(midi.control_change(channel, midi.PEDAL, 0) for channel in channels)]
    messages += [midi.all_notes_off(channel) for channel in channels]
    senders = [sender for name, wanted in listeners.items() if wanted for sender in _open_senders(rtmidi, name, wanted)]
    for _ in range(REPEATS):
        for first in range(0, len(messages), BURST_SIZE):
            for sender in senders:
                for data in messages[first : first + BURST_SIZE]:
                    sender.send_message(data)
            time.sleep(BURST_PAUSE_S)
    time.sleep(10 * BURST_PAUSE_S)  # until a long period of JACK's has taken the last


def _open_senders(rtmidi: Any, api: str, wanted: Sequence[str]) -> list[Any]:
    """Return outputs that are connected to the ports of these names."""
    opened = []
    with contextlib.suppress(Exception):  # whatever a MIDI system raises that went with the band
        number = getattr(rtmidi, api)
        names = rtmidi.MidiOut(number, name=_CLIENT_NAME).get_ports()
        for index, name in enumerate(names):  # ALSA's have their numbers behind them
            if name in wanted or name.rpartition(" ")[0] in wanted:
                sender = rtmidi.MidiOut(number, name=_CLIENT_NAME)
                sender.open_port(index)
                opened.append(sender)
    return opened
