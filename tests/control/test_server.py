"""The server's answers to requests that nobody should make."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.control.connection import Connection
from daemon.control.requests import MAX_PENDING_COMMANDS, RequestError, RequestHandler
from daemon.control.server import ControlServer
from daemon.core import controls
from tests.support.hostile import make_line

Json = dict[str, Any]
SETUP: Json = {
    "controls": {"intensity": 0.7}, "bpm": 120.0, "styles": ("pop", "rock"), "techniques": ("gan",), "presets": ("a",),
    "gestures": {}, "learned": {}, "learned_file": "", "ports": (), "restarts": 0, "serial": 0,
}  # fmt: skip


class Writer:
    """What a connection writes to; it is its own transport."""

    def __init__(self) -> None:
        self.transport = self
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


class Served:
    """A server without a socket, and one client of it."""

    def __init__(self, takes: int = 1 << 30) -> None:
        self.passed: list[Json] = []
        self._takes = takes
        self.handler = RequestHandler(SETUP, self._pass_on)
        self._server = ControlServer(self.handler, "", self._pass_on)
        self._writer = Writer()
        self.client = Connection(self._writer)  # type: ignore[arg-type]

    def _pass_on(self, message: Json) -> bool:
        if len(self.passed) >= self._takes:
            return False
        self.passed.append(json.loads(json.dumps(message)))
        return True

    def ask(self, line: bytes) -> list[Json]:
        """Carry a line out; return what the client is sent."""
        before = len(self._writer.sent)
        asyncio.run(self._server._carry_out(self.client, line, self.handler.answer))
        return [json.loads(sent, parse_constant=_refuse) for sent in self._writer.sent[before:].splitlines()]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 64))
def test_whatever_is_asked_is_answered_once_or_passed_on_in_its_own_type(seed: int) -> None:
    served = Served()
    line = make_line(random.Random(seed))
    answers = served.ask(line)
    played = [message for message in served.passed if message["kind"] == "play"]
    assert len(answers) + len(served.passed) == 1 + len(played)
    for answer in answers:
        assert isinstance(answer["ok"], bool)
        assert answer["ok"] or len(answer["error"]) < 2000
    for message in served.passed:
        if message.get("key") in controls.CONTROLS:
            assert controls.parse(message["key"], message["value"]) == message["value"]


def test_a_band_that_takes_nothing_is_no_reason_to_wait() -> None:
    served = Served(takes=2)
    assert served.ask(b'{"op": "set", "key": "fill"}') == served.ask(b'{"op": "panic"}') == []
    for line in (b'{"op": "set", "key": "fill"}', b'{"op": "ping"}', b'{"op": "learn", "key": "fill"}'):
        [answer] = served.ask(line)
        assert answer["error"] == "the band takes no more requests at present: it is stopped or busy; ask again later"


def test_a_band_that_answers_nothing_is_asked_so_much_and_no_more() -> None:
    served = Served()
    for _ in range(MAX_PENDING_COMMANDS):
        assert served.ask(b'{"op": "ping"}') == []
    [answer] = served.ask(b'{"op": "ping"}')
    assert answer["error"].startswith("the band takes no more requests at present")


def test_an_id_is_repeated_unless_no_line_could_hold_it() -> None:
    served = Served()
    [answer] = served.ask(b'{"op": "get", "key": "bpm", "id": [1, {"a": null}]}')
    assert answer == {"ok": True, "value": 120.0, "id": [1, {"a": None}]}
    for wrong in (b"NaN", b"1e999", b"[" * 50_000 + b"]" * 50_000):
        [answer] = served.ask(b'{"op": "get", "key": "bpm", "id": ' + wrong + b"}")
        assert "id" not in answer


def test_a_gesture_is_learned_for_one_line_only() -> None:
    served = Served()
    for key in ("style=\ud800", "fill=\x00", "style=\x7f", "fill=" + "a" * 2000):
        [answer] = served.ask(json.dumps({"op": "learn", "key": key}).encode())
        assert answer["ok"] is False
    assert served.passed == []


def test_a_chart_is_looked_at_before_the_band_is_told_of_it(tmp_path: Path) -> None:
    served, song = Served(), tmp_path / "song.txt"

    def choose(text: str | None) -> Json:
        if text is not None:
            song.write_text(text)
        answered = served.ask(json.dumps({"op": "set", "key": "chart", "value": str(song)}).encode())
        return answered[0] if answered else {}

    sentence = "the chart cannot be read: No such file or directory"
    assert choose(None) == {"ok": False, "error": f"{song}: {sentence}"}
    refused = choose("| C | H7 |\n")
    assert not refused["ok"]
    assert refused["error"].startswith(f"{song}, line 1, bar 2: ")
    assert choose("{title: x}\n[C]la [F]la\n")["error"] == (
        f"{song}: it tells the order of its chords, not their bars: write them in a grid"
    )
    assert served.passed == []
    assert choose("| C | F |\n") == {}  # the band has yet to say that it is done
    assert [(each["key"], each["value"]) for each in served.passed] == [("chart", str(song))]


def test_notes_are_passed_on_as_midi_and_answered() -> None:
    served = Served()
    assert served.ask(b'{"op": "play", "pitch": 60, "id": 3}') == [{"id": 3, "ok": True}]
    chord = [{"pitch": 64, "velocity": 99, "channel": 16}, {"pitch": 60, "on": False}]
    assert served.ask(json.dumps({"op": "play", "notes": chord}).encode()) == [{"ok": True}]
    assert served.passed == [
        {"kind": "play", "client": 0, "notes": [[0x90, 60, 80]]},
        {"kind": "play", "client": 0, "notes": [[0x9F, 64, 99], [0x80, 60, 0]]},
    ]


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({}, "pitch: takes a whole number from 0 to 127, not None"),
        ({"pitch": 128}, "pitch: takes a whole number from 0 to 127, not 128"),
        ({"pitch": True}, "pitch: takes"),
        ({"pitch": 60, "channel": 0}, "channel: takes a whole number from 1 to 16, not 0"),
        ({"pitch": 60, "velocity": 1.5}, "velocity: takes"),
        ({"pitch": 60, "on": "yes"}, "on: takes true or false"),
        ({"notes": []}, "notes: takes a list of 1 to 16 notes"),
        ({"notes": [{"pitch": 1}] * 17}, "notes: takes a list of 1 to 16 notes"),
        ({"notes": [60]}, "a note is an object with pitch"),
        ({"notes": [{"pitch": 60}, {"pitch": 200}]}, "pitch: takes"),
    ],
)
def test_notes_that_are_none_are_refused_and_none_of_them_is_played(members: Json, sentence: str) -> None:
    served = Served()
    [answer] = served.ask(json.dumps({"op": "play", **members}).encode())
    assert answer["error"].startswith(sentence)
    assert served.passed == []


def test_a_client_that_goes_is_told_of_when_the_band_takes_it_and_its_number_is_free_only_then() -> None:
    served = Served(takes=1)
    served.ask(b'{"op": "play", "pitch": 60}')
    served.handler.drop_client(served.client)
    assert len(served.passed) == 1
    other = Connection(Writer())  # type: ignore[arg-type]
    served._takes = 4
    served.handler.answer(other, {"op": "play", "pitch": 61})
    assert served.passed[1:] == [
        {"kind": "left", "client": 0},
        {"kind": "play", "client": 0, "notes": [[0x90, 61, 80]]},
    ]
    served._takes = 3
    served.handler.drop_client(other)
    third = Connection(Writer())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="the band takes no more requests"):
        served.handler.answer(third, {"op": "play", "pitch": 62})
    served._takes = 9
    served.handler.tell_gone()
    served.handler.answer(third, {"op": "play", "pitch": 62})
    assert [(message["kind"], message["client"]) for message in served.passed[3:]] == [("left", 0), ("play", 1)]
