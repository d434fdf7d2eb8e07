"""A performance for a project, whole: its own process but for being one, with a real worker, on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.engine.song import SongInfo
from daemon.players.worker import PlayerSpec, WorkerError
from daemon.plugin.session import SessionSetup, make_control_line, play_session
from music.note import Note
from tests.support.plugin_host import BAR, Host, place

PATIENCE_S = 30.0
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(64)]


class Client:
    """A plugin at the other end of a channel."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        assert channel.recv(1) == b"r"
        self.socket, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(channel, [b"c"], [theirs.fileno()])
        self.socket.settimeout(PATIENCE_S)
        self._file = self.socket.makefile("rb")
        self.lines: list[str] = []

    def say(self, host: Host) -> None:
        self.socket.sendall("".join(f"{line}\n" for line in host.lines).encode())
        host.lines.clear()

    def wait_for(self, begin: str) -> str:
        for line in self._file:
            self.lines.append(line.decode().rstrip("\n"))
            if self.lines[-1] == "ping":
                self.socket.sendall(b"ping\n")  # who says nothing for five seconds is given up
            if self.lines[-1].startswith(begin):
                return self.lines[-1]
        raise AssertionError(f"no {begin!r} in {self.lines[-20:]}")

    def close(self) -> None:
        self._file.close()
        self.socket.close()
        self._channel.close()


def perform(act: Callable[[Client], None], maker: str = "fake") -> None:
    """Let a client act in a thread of its own while a performance plays; its end is the performance's."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE_S)
    failures: list[BaseException] = []

    def run() -> None:
        client = Client(ours)
        try:
            act(client)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread of the test
            failures.append(error)
        finally:
            client.close()

    thread = threading.Thread(target=run)
    thread.start()
    setup = SessionSetup(PlayerSpec(f"tests.support.worker_players:{maker}"), SongInfo(), start_settings)
    try:
        play_session(setup, theirs)
    finally:
        thread.join()
    if failures:
        raise failures[0]


def start_settings(player: PlayerInfo) -> Settings:
    return Settings(style=player.styles[0], count_in=2, start_with="count-in")


def test_an_offline_take_is_played_and_again_the_same() -> None:
    def act(client: Client) -> None:
        host = Host(mode=2)
        host.connect()
        takes = []
        for _ in range(2):
            host.move(0, 2)
            host.play(2 * BAR, TUNE)
            client.say(host)
            client.wait_for(f"until {host.epoch} {2 * BAR}")
            notes = [note for note in place(client.lines) if note.epoch == host.epoch and note.begin < BAR]
            takes.append([(note.role, note.begin, note.pitch, note.velocity, note.end) for note in notes])
            host.stop()
        assert takes[0]
        assert takes[0] == takes[1]

    perform(act)


def test_a_plugin_is_told_how_controls_stand_and_what_is_wrong() -> None:
    def act(client: Client) -> None:
        host = Host()
        host.connect()
        client.say(host)
        client.wait_for("taken 1")
        assert {"set density 1.0", "set count_in 0", "set mute.bass off", "lead 3"} <= set(client.lines)
        host.say("set 0 0 density 1.5")
        host.say("set 0 0 density none")
        client.say(host)
        client.wait_for("set density 1.5")
        assert client.wait_for("error ").startswith("error density: takes a number")

    perform(act)


def test_players_that_cannot_be_loaded_are_told_in_a_sentence() -> None:
    def act(client: Client) -> None:
        client.wait_for("state 3 ")
        client.wait_for("error ")

    with pytest.raises(WorkerError):
        perform(act, "no_such_maker")


def test_controls_are_told_as_they_are_set() -> None:
    assert make_control_line("mute.pad", True) == b"set mute.pad on\n"
    assert make_control_line("style", "jazz") == b"set style jazz\n"
