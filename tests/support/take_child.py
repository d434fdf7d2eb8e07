"""The band on the live clock with a recorder and a chord on channel 16, until it is killed.

Usage: take_child.py FOLDER [BYTES]

Prints every message as it is heard (i) or sent (o), with its moment. BYTES: what takes may have.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import closing
from pathlib import Path

from daemon.core.events import MidiIn, PlanReady
from daemon.core.observers import ObservedOutput, ObservedWorld
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.observed_composer import ObservedComposer
from daemon.system.live_world import LiveWorld
from daemon.takes.recorder import Recorder
from music.note import Metre
from tests.support.fakes import FakePlayer


class Told:
    """An Output that tells what was sent."""

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        tell("o", due, data)


def tell(way: str, at: int, data: bytes) -> None:
    os.write(1, f"{way} {at} {data.hex()}\n".encode())


class AtOnce:
    """A Composer that answers at once."""

    def __init__(self, world: LiveWorld, player: FakePlayer) -> None:
        self._world, self._player = world, player

    def ask(self, request: PlanRequest) -> None:
        self._world.put(PlanReady(self._world.now(), self._player.plan(request)))


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    world, player = LiveWorld(), FakePlayer()
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else 1 << 30
    with closing(Recorder(Path(sys.argv[1]), limit, Metre())) as recorder:
        hears, plays = ObservedWorld(world, [recorder]), ObservedOutput(Told(), [recorder])
        composer = ObservedComposer(AtOnce(world, player), [recorder])
        settings = Settings(harmony="hands", chord_channel=16)
        conductor = Conductor(hears, plays, composer, player.info, SongInfo(bpm=240), settings)
        recorder.on_start(conductor)

        def perform() -> None:
            watch, number = threading.Event(), 0
            for pitch in (48, 52, 55):
                play(bytes((0x9F, pitch, 90)))
            while not watch.wait(0.05):
                play(bytes(((0x90, 0x80)[number % 2], 60 + number // 2 % 12, 90)))
                number += 1

        def play(data: bytes) -> None:
            event = MidiIn(world.now(), data)
            world.put(event)
            tell("i", event.at, data)

        threading.Thread(target=perform, daemon=True).start()
        conductor.run()


if __name__ == "__main__":
    main()
