"""Players for the worker's tests: made in the child process by their import path."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.players.player import Player
from music.note import Note


class Echo(Player):
    """Answers the melody's notes as bass, and does what the request's seed says besides."""

    info = PlayerInfo(8, 8, 4, ("bass",), ("plain",))

    def plan(self, request: PlanRequest) -> Plan:
        match request.settings.seed:
            case 1:
                raise RuntimeError("the graph is tired")
            case 2:
                os.kill(os.getpid(), signal.SIGKILL)
            case 3:
                threading.Event().wait()
            case 4:
                sys.stdout.write("a library prints\n")
                sys.stdout.flush()
        notes = tuple(Note(request.now * 6, n.pitch, 6, n.velocity) for n in request.melody)
        return Plan(request.number, request.now, request.now + 4, request.heard, {"bass": notes}, request.committed)


def echo() -> Echo:
    return Echo()


class Steady(Echo):
    """Answers the melody's notes as bass, whatever the request's seed says."""

    def plan(self, request: PlanRequest) -> Plan:
        return super().plan(replace(request, settings=replace(request.settings, seed=0)))


def steady() -> Steady:
    return Steady()


def broken(reason: str) -> Echo:
    raise ValueError(reason)


def forgotten() -> Echo:
    raise KeyError("nothing by that name")


def dies() -> Echo:
    os._exit(7)


def starts_once(flag: str) -> Echo:
    """Starts the first time only; `flag` is a path that tells."""
    os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    return Echo()


def starts_twice(folder: str) -> Echo:
    """Hangs as it loads the second time; `folder` is where it counts."""
    number = len(list(Path(folder).iterdir()))
    (Path(folder) / str(number)).touch(exist_ok=False)
    if number == 1:
        threading.Event().wait()
    return Echo()


def fake() -> object:
    """The engine's fake player: all four roles, under the newest melody note."""
    from tests.support.fakes import FakePlayer

    return FakePlayer()


class Marks(Player):
    """Drums on every step, the bass drum where a bar begins, and a bass note held over a beat."""

    info = PlayerInfo(16, 16, 32, ("bass", "drums"), ("plain",))

    def plan(self, request: PlanRequest) -> Plan:
        bar = request.metre.ticks_per_bar
        steps = range(request.now * 6, (request.now + 32) * 6, 6)
        drums = [Note(tick, 42 if (tick - request.bar_origin) % bar else 36, 3, 90) for tick in steps]
        bass = [Note(tick, 40 + tick // 24 % 12, 20, 90) for tick in steps if tick % 24 == 0]
        notes = {"drums": tuple(drums), "bass": tuple(bass)}
        return Plan(request.number, request.now, request.now + 32, request.heard, notes)


def marks() -> Marks:
    return Marks()


class Restless(Echo):
    """Has something done between two questions, from another thread, which goes wrong."""

    _post: Callable[[Callable[[], None]], None] | None = None

    def on_idle_call(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post

    def plan(self, request: PlanRequest) -> Plan:
        def fail() -> None:
            raise ValueError("the organ cannot be loaded")

        if self._post is not None:
            thread = threading.Thread(target=self._post, args=(fail,))
            thread.start()
            thread.join()
        return super().plan(request)


def restless() -> Restless:
    return Restless()
