"""A simulated hour at 300 bpm: the share of steps whose own plan was there in time, with a real player or without.

    python -m tests.programs.virtual_hour [--minutes 60] [--bpm 300] [--latency-ms 15] [--clock midi] [--jitter-ms 3]

The engine on virtual time, asked at every step; an answer takes the latency that is given (the GAN takes 3 to 15 ms).
With `--clock midi` the hour is a jittery clock's. One JSON line; exit status 1 unless every step was in time and
every note ended.
"""

from __future__ import annotations

import argparse
import json
import random
import sys

from daemon.clocks.midi_clock import MidiClock
from daemon.core.events import Event, MidiIn, Quit
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from music.note import Note
from tests.support.fakes import MS, FakePlayer, midi, pairs


class Forgetful(list):  # type: ignore[type-arg]
    """A list that keeps nothing: an hour has too many requests."""

    def append(self, item: object) -> None:
        """Forget it."""


def main() -> int:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--bpm", type=float, default=300)
    parser.add_argument("--latency-ms", type=float, default=15)
    parser.add_argument("--clock", choices=["internal", "midi"], default="internal")
    parser.add_argument("--jitter-ms", type=float, default=3)
    args = parser.parse_args()
    beats, us, rng = round(args.minutes * args.bpm), us_per_beat(args.bpm), random.Random(0)
    tempo = TempoMap(us)
    world = VirtualWorld()
    events: list[Event] = list(midi([Note(i * 24, 60 + i * 7 % 13, 20) for i in range(beats)], tempo))
    if args.clock == "midi":
        events.insert(0, MidiIn(0, b"\xfa"))
        late = [tempo.ns_at(tick) + round(rng.uniform(0, args.jitter_ms) * MS) for tick in range(beats * 24)]
        events += [MidiIn(at, b"\xf8") for at in late]
    for event in events:
        world.put(event)
    world.put(Quit(tempo.ns_at(beats * 24)))
    output, player = RecordingOutput(world), FakePlayer()
    player.asked = Forgetful()
    composer = InlineComposer(world, player, round(args.latency_ms * MS))
    clock = MidiClock(us) if args.clock == "midi" else None
    conductor = Conductor(world, output, composer, player.info, SongInfo(bpm=args.bpm), clock=clock)
    conductor.run()
    ended = len(pairs(output.sent))
    counters = conductor.counters
    found = {
        "isr": counters.isr,
        "steps": counters.steps,
        "notes": ended,
        "late": counters.late,
        "jumps": counters.jumps,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if counters.isr == 1.0 and counters.steps > beats * 4 - 8 else 1


if __name__ == "__main__":
    sys.exit(main())
