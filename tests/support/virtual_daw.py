"""A DAW on a JACK server, on virtual time: what it sends, when the band hears of it, and when what the band sends is
heard. In frames, so that `tests.programs.daw.scenes` judges it as it judges the real one.

As Ardour 7.3: clock only while it rolls, every message at its own frame, positions at a whole beat, in 24ths of one.
python-rtmidi hears and sends once a period, whatever the frame; JACK-Client keeps frames, and sends a constant later.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from daemon.clocks.midi_clock import MidiClock
from daemon.core.events import MidiIn, Quit
from daemon.core.tempo import NS_PER_S, us_per_beat
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.midi.jack_ports import SLACK_NS
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from music.note import TICKS_PER_BEAT
from tests.support.fakes import MS
from tests.support.worker_players import Marks

RATE = 48_000
Stamped = tuple[int, bytes]
TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"


def ns(frame: int) -> int:
    """When a frame is."""
    return frame * NS_PER_S // RATE


def spp(value: int) -> bytes:
    """A Song Position Pointer."""
    return bytes((0xF2, value & 0x7F, value >> 7))


@dataclass
class Daw:
    """bpm: of the song at a beat; period: frames; unit: ticks that its Song Position counts in."""

    bpm: Callable[[float], float]
    period: int = 1024
    unit: int = 1
    frame: int = 0
    sent: list[Stamped] = field(default_factory=list)
    melody: list[Stamped] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        """Stand still, to the end of a period."""
        self.frame += round(seconds * RATE)
        self.frame += -self.frame % self.period

    def roll(self, begin: float, end: float, *, fresh: bool = False, ahead: float = 0.0) -> None:
        """From beat to beat. fresh: with Start, else with a position and Continue. ahead: beats from the position that
        is said to the playhead."""
        say = [START] if fresh else [spp(round((begin + ahead) * TICKS_PER_BEAT) // self.unit), CONTINUE]
        self.sent += [(self.frame, data) for data in say]
        tick, at = begin * TICKS_PER_BEAT, float(self.frame)
        while tick < end * TICKS_PER_BEAT - 1e-6:
            if tick >= (begin + ahead) * TICKS_PER_BEAT - 1e-6:
                self.sent.append((int(at), TICK))
            if round(tick) % TICKS_PER_BEAT == 0:
                pitch = 60 + round(tick) // TICKS_PER_BEAT * 5 % 12
                self.melody += [(int(at), bytes((0x90, pitch, 90))), (int(at) + RATE // 4, bytes((0x80, pitch, 0)))]
            at += 60 * RATE / self.bpm(tick / TICKS_PER_BEAT) / TICKS_PER_BEAT
            tick += 1
        self.frame = int(at)

    def stop(self) -> None:
        """Stop."""
        self.sent.append((self.frame, STOP))


@dataclass
class Link:
    """The way between. kind: rtmidi or jack; late: ns by which a period's messages are heard late, given its number;
    lose: whether a period's messages are lost on their way in."""

    kind: str = "rtmidi"
    late: Callable[[int], int] = lambda _: MS
    lose: Callable[[int], bool] = lambda _: False

    def heard(self, messages: Sequence[Stamped], period: int) -> list[MidiIn]:
        """Return the messages that reach the band, with their time stamps."""
        found = []
        for frame, data in sorted(messages, key=lambda message: message[0]):
            number = frame // period
            if self.lose(number):
                continue
            at = ns(frame) if self.kind == "jack" else ns(number * period) + self.late(number)
            found.append(MidiIn(at, data))
        return found

    def sent(self, at: int, due: int, period: int) -> int:
        """The frame at which a message is heard that the band sent at `at`."""
        if self.kind == "rtmidi":
            return -(-at * RATE // (NS_PER_S * period)) * period
        if not 0 <= at - due <= SLACK_NS:
            due = at
        return max((due + SLACK_NS) * RATE // NS_PER_S + period, -(-at * RATE // (NS_PER_S * period)) * period)


def gauss(sd: float, seed: int = 0) -> Callable[[int], int]:
    """Periods that are heard late by the absolute value of a normal deviate, ns."""
    return lambda number: MS + abs(round(random.Random(f"{seed}/{number}").gauss(0, sd)))


def perform(daw: Daw, link: Link, bpm: float = 120) -> tuple[list[Stamped], Conductor]:
    """A band that plays marks (see tests.support.worker_players) with the DAW: what it is heard to send, and itself."""
    world = VirtualWorld()
    for event in link.heard([*daw.sent, *daw.melody], daw.period):
        world.put(event)
    world.put(Quit(ns(daw.frame + RATE)))
    output, player = RecordingOutput(world), Marks()
    clock = MidiClock(us_per_beat(bpm))
    conductor = Conductor(
        world, output, InlineComposer(world, player, 3 * MS), player.info, SongInfo(bpm=bpm), clock=clock
    )
    conductor.run()
    return [(link.sent(m.at, m.due, daw.period), m.data) for m in output.sent], conductor
