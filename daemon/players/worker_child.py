"""The inference process: loads a player, then answers plan requests until its input ends.

It speaks with `daemon.players.worker` through stdin and stdout (daemon.core.wire): it is told which player to load,
says `ready` or `failed`, and answers every request with `plan` or `failed`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO, Any

from daemon.core import wire
from daemon.players.player import Player, warm_up
from daemon.system import memory
from daemon.system.child_process import guard_stdout
from daemon.system.confinement import forbid_programs
from daemon.system.priority import raise_priority
from music.errors import describe_error

#: time budget of an answer, for players that can stop early: a step at 300 bpm lasts 50 ms
TIME_BUDGET_NS = 25_000_000

#: packed requests, what the player wants called between them, and None at the end
_Mail = SimpleQueue[Any]


def serve() -> None:
    """Serve the parent process until it closes the pipe, or is gone."""
    requests, answers = sys.stdin.buffer, guard_stdout()
    with contextlib.suppress(EOFError, OSError):
        maker, arguments = wire.receive(requests)
        try:
            player, first_plan_s = _load_player(maker, arguments)
        except Exception as error:  # noqa: BLE001 - whatever a broken graph raises, the user gets one sentence
            wire.send(answers, ("failed", describe_error(error)))
            return
        wire.send(answers, ("ready", (player.info, first_plan_s)))
        raise_priority()  # a plan is asked for half a step before it is played, however busy the machine is
        forbid_programs()  # of which the priority may have needed one
        mail: _Mail = SimpleQueue()
        player.on_idle_call(mail.put)
        threading.Thread(target=_read_requests, args=(requests, mail), name="requests", daemon=True).start()
        _answer(player, mail, answers)
        player.close()


def _load_player(maker: str, arguments: tuple[str | int | None, ...]) -> tuple[Player, float]:
    """Return a player that has made a first plan, and the seconds that took. Raises whatever its maker does."""
    module, _, name = maker.partition(":")
    player: Player = getattr(importlib.import_module(module), name)(*arguments)
    begun = time.monotonic()
    warm_up(player)
    player.set_time_budget(TIME_BUDGET_NS)
    first_plan_s = time.monotonic() - begun
    gc.freeze()
    memory.trim_heap()
    return player, first_plan_s


def _read_requests(pipe: IO[bytes], mail: _Mail) -> None:
    """Pass on what the parent sends. Runs in a thread of its own, so that idle calls are not kept waiting."""
    with contextlib.suppress(EOFError):
        while True:
            mail.put(wire.receive(pipe))
    mail.put(None)


def _answer(player: Player, mail: _Mail, answers: IO[bytes]) -> None:
    """Answer requests, and make the calls between them, until there are no more."""
    requests = wire.RequestUnpacker()
    while (item := mail.get()) is not None:
        if callable(item):
            _make_idle_call(item, answers)
            continue
        try:
            answer: tuple[str, object] = "plan", wire.pack_plan(player.plan(requests.unpack(item)))
        except Exception as error:  # noqa: BLE001 - reported; the band goes on with the plan it has
            answer = "failed", describe_error(error)
        wire.send(answers, answer)


def _make_idle_call(call: Callable[[], None], answers: IO[bytes]) -> None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - reported; it costs no answer
        wire.send(answers, ("warning", describe_error(error)))
