"""A live band on virtual time that hears bytes which no keyboard sends, the same for the same seed."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from daemon.clocks.midi_clock import MidiClock
from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import DEFAULT_GESTURES, Gestures
from daemon.core.events import Event, PortsBack, PortsLost, Quit, SystemResumed
from daemon.core.observers import ObservedOutput, ObservedWorld
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.midi.rtmidi_ports import _make_callback
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.takes.take import Take
from music import midi, midifile
from music.note import Metre
from tests.support.fakes import MS, FakePlayer

#: statuses of the standard, and those that it leaves undefined
STATUSES = (*range(0x80, 0xF0), *range(0xF0, 0x100))
_FRAGMENTS = (
    *(b"\x90\x3c\x40", b"\x3c\x40", b"\x3c\x00", b"\x90\xae\x64", b"\x90\x3c\xff", b"\x90", b"\x90\x3c", b"\x80\x3c"),
    *(b"\xf0\x7e\x00\x06", b"\xf0\x7e\x00\x06\x01\xf7", b"\xf0", b"\xf7", b"\xf0" + b"\x00" * 5000, b"\xf0\xf8\xf7"),
    *(b"\xf8", b"\xfa", b"\xfb", b"\xfc", b"\xfe", b"\xff", b"\xf2\x00\x00", b"\xf2\x7f\x7f", b"\xf2\xff\xff"),
    *(b"\xf1\x00", b"\xf4", b"\xf5", b"\xf6", b"\xf9", b"\xfd", b"", b"\x00" * 3, b"\xb0\x40\x7f", b"\xb0\x40\x00"),
    *(b"\xb0\x79\x00", b"\xb0\x7b\x00", b"\xb0\x78\x00", b"\xb0\x65\x00\x64\x06\x06\x0f", b"\xb0\x7a\x00", b"\xf3\x05"),
    *(
        b"\xb0\x64\x06",
        b"\xb0\x65\x00",
        b"\xb0\x06\x0f",
        b"\xbf\x06\x05",
        b"\x99\x24\x7f",
        b"\x9f\x00\x01",
        b"\xe0\x00\x00",
    ),
    *(b"\x90\x3c\xf8\x40", b"\x90\xfe\x3c\x40", b"\xc0\x00", b"\xc0\xff", b"\xd0\x7f", b"\x90\x7f\x7f\x90\x00\x7f"),
    *(b"\xa0\x3c\x7f", b"\x9f\x00\x01"),
)


class PlayedError(Exception):
    """The band did not play as it should."""


def make_bytes(rng: random.Random) -> bytes:
    """Return what comes in at once."""
    kind = rng.random()
    if kind < 0.35:  # somebody plays
        return bytes(
            (rng.choice((0x90, 0x80)) | rng.choice((0, 0, 0, 1, 9, 15)), rng.randrange(55, 70), rng.randrange(128))
        )
    if kind < 0.8:
        return b"".join(rng.choice(_FRAGMENTS) for _ in range(rng.choice((1, 1, 1, 2, 4))))
    if kind < 0.9:
        return bytes((rng.choice(STATUSES), *(rng.randrange(128) for _ in range(rng.choice((0, 1, 2, 2, 3))))))
    return rng.randbytes(rng.choice((1, 2, 3, 3, 4, 30)))


def play(seed: int, count: int = 300) -> int:
    """Let the band hear bytes for a while; return how many messages it sent.

    Raises PlayedError where a note is left on, where what was sent is no MIDI, or where the take cannot be read.
    """
    rng = random.Random(seed)
    world, clocked = VirtualWorld(), rng.random() < 0.5
    tick, moment = rng.choice((20, 21, 25)) * MS, [0]
    receivers = [_make_callback(port, lambda: moment[0], world.put) for port in range(2)]
    for _ in range(count):
        moment[0] += rng.choice((0, 0, MS, 5 * MS, 40 * MS, 120 * MS, 700 * MS))
        data = make_bytes(rng)
        rng.choice(receivers)((list(data), 0.0), None)
        if rng.random() < 0.02:
            lost: tuple[Event, ...] = PortsLost(moment[0]), PortsBack(moment[0] + 300 * MS)
            for event in rng.choice((lost, (SystemResumed(moment[0]),))):
                world.put(event)
    if clocked:
        for at in range(0, moment[0], tick):
            moment[0] = at
            receivers[0](([0xF8], 0.0), None)
    world.put(Quit(max(moment[0], 1) + 1000 * MS))
    take, output, player = Take(), RecordingOutput(world), FakePlayer()
    heard = GestureWorld(world, Gestures(DEFAULT_GESTURES, {}))
    conductor = Conductor(
        ObservedWorld(heard, [take]),
        ObservedOutput(output, [take]),
        InlineComposer(world, player, 5 * MS),
        player.info,
        SongInfo(),
        clock=MidiClock(500_000) if clocked else None,
        send_clock=not clocked and rng.random() < 0.3,
        channel=rng.choice((None, None, None, 0, 9)),
    )
    take.on_start(conductor)
    conductor.run()
    _check(output, take, conductor)
    return len(output.sent)


def _check(output: RecordingOutput, take: Take, conductor: Conductor) -> None:
    sounding: set[midi.Key] = set()
    for message in output.sent:
        if not midi.is_valid_message(message.data):
            raise PlayedError(f"sent {message.data.hex()}")
        if midi.is_note_on(message.data):
            if midi.key_of(message.data) in sounding:
                raise PlayedError(f"{midi.key_of(message.data)} begins twice")
            sounding.add(midi.key_of(message.data))
        elif midi.is_note_off(message.data):
            sounding.discard(midi.key_of(message.data))
    if sounding:
        raise PlayedError(f"left on: {sounding}")
    if conductor.tempo is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "take.mid"
            take.write(path, conductor.tempo, Metre())
            if midifile.read(path).mended:
                raise PlayedError("the take has to be mended")
