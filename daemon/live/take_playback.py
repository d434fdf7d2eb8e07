"""Playing a take as it was, to a MIDI port or through loudspeakers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from daemon.core.events import Quit
from daemon.core.tempo import NS_PER_MS, TempoMap
from daemon.core.world import World
from daemon.midi import backends
from daemon.midi.ports import PortRequest
from daemon.sound.audio import Audio
from daemon.system import signals
from daemon.system.live_world import LiveWorld
from music import midi, midifile
from music.note import CHANNELS, HAND, HAND_SOUND_CHANNEL, TICKS_PER_BEAT

#: time from the start to the first message
LEAD_IN_NS = 300 * NS_PER_MS
#: (ns from the beginning, message) by time
Timed = list[tuple[int, bytes]]


def list_messages(song: midifile.Song) -> Timed:
    """Return all that sounds in a file as it is sent, each part on the channel of the role that it is called by."""
    assert song.source is not None
    tempo = TempoMap.from_marks(song.tempos)
    channels = {**CHANNELS, HAND: HAND_SOUND_CHANNEL}
    found: list[tuple[int, int, bytes]] = []
    for part in song.parts:
        channel = channels.get(part.name, part.channel)
        for note in part.notes:
            found.append((note.start, 2, midi.note_on(channel, note.pitch, note.velocity)))
            found.append((note.end, 1, midi.note_off(channel, note.pitch)))
        for at, status, first, second, _ in song.source.tracks[part.index].events:
            size = 2 if status & 0xE0 == midi.PROGRAM_CHANGE else 3
            data = bytes((status, first, second))[:size] if status < midi.SYSEX else b""
            if midi.is_performed(data) and not midi.is_note(data) and midi.channel_of(data) == part.channel:
                tick = at * TICKS_PER_BEAT // song.source.division
                found.append((tick, 0, midi.with_channel(data, channel)))
    found.sort(key=lambda each: each[:2])
    return [(tempo.ns_at(tick) - tempo.ns_at(0), data) for tick, _, data in found]


def send_in_time(messages: Iterable[tuple[int, bytes]], world: World, send: Callable[[bytes, int], None]) -> None:
    """Send messages, each at its time after a moment from now, until Quit comes; nothing sounds afterwards."""
    begin, used = world.now() + LEAD_IN_NS, set[int]()
    sounding: set[midi.Key] = set()
    try:
        for after, data in messages:
            due = begin + after
            while (event := world.wait(due)) is not None:
                if isinstance(event, Quit):
                    return
            used.add(midi.channel_of(data))
            if midi.is_note(data):
                (sounding.add if midi.is_note_on(data) else sounding.discard)(midi.key_of(data))
            send(data, due)
    finally:
        now = world.now()
        for key in sorted(sounding):
            send(midi.note_off(*key), now)
        for channel in sorted(used):
            send(midi.control_change(channel, midi.PEDAL, 0), now)
            send(midi.all_notes_off(channel), now)


def play_file(take: Path, *, audio: bool, api: str, out_port: str | None) -> None:
    """Play a MIDI file once, or until a signal comes. Raises PortError, AudioError, MidiFileError."""
    messages, world = list_messages(midifile.read(take)), LiveWorld()
    with ExitStack() as stack:
        stack.enter_context(signals.on_stop(lambda: world.put(Quit(world.now()))))
        if audio:
            sound = stack.enter_context(closing(Audio()))
            sound.wait_ready()
            send_in_time(messages, world, sound.send)
        else:
            ports = stack.enter_context(closing(backends.open_ports(PortRequest(api, "auto", out_port=out_port))))
            send_in_time(messages, world, ports.send)
