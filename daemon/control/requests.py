"""Requests to the control socket, answered from what the band has told, or passed on to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from daemon.control.client_events import (
    make_edit_event,
    make_heard_event,
    make_note_event,
    make_plan_event,
    make_tempo_event,
)
from daemon.control.client_keys import ClientNoteError, read_notes
from daemon.control.connection import Connection, Json
from daemon.control.gestures import CC, FORGET, LEARN, PING, Gesture, GestureError, parse_target
from daemon.control.learned import change_learned, write_learned
from daemon.control.protocol import TOPICS
from daemon.core import controls
from daemon.core.controls import PANIC
from daemon.core.schema import SettingError, shorten
from music.errors import UserError

#: commands that the band may have to carry out at a time
MAX_PENDING_COMMANDS = 1000
_BUSY = "the band takes no more requests at present: it is stopped or busy; ask again later"


class RequestError(UserError):
    """Raised for a request that is refused; the message is the sentence that the client is answered."""


class RequestHandler:
    """Knows how the band stands and answers what clients ask.

    A request that the band itself must carry out is passed on, and answered when the band says that it is done. Knows
    no sockets: it takes what the band tells (`take_fact`) and requests (`answer`) from one thread.
    """

    def __init__(self, setup: Json, pass_on: Callable[[Json], bool]) -> None:
        """Begin with a `ServerSetup` as a dictionary.

        `pass_on` sends a message to the band, or returns False where the band takes none.
        """
        self._setup = setup
        self._pass_on = pass_on
        self._serial = setup["serial"]
        self._pending: dict[int, tuple[Connection, Json]] = {}  # serial of a command -> who asked, and the request
        self._numbers: dict[Connection, int] = {}  # of the clients that have played
        self._gone: list[int] = []  # those of clients that have gone, of which the band has yet to be told
        self._learner: tuple[Connection, Json] | None = None
        self._learned: dict[str, str] = dict(setup["learned"])
        #: how the band stands, as `get` answers it
        self.state: Json = {
            "controls": dict(setup["controls"]), "bpm": setup["bpm"], "playing": False, "tick": None, "at": None,
            "counters": {}, "styles": list(setup["styles"]), "techniques": list(setup["techniques"]),
            "technique_styles": _list_technique_styles(setup),
            "presets": list(setup["presets"]), "gestures": {**setup["gestures"], **self._learned},
            "ports": list(setup["ports"]), "restarts": setup["restarts"], "waiting_for": [],
            "chord": {"now": None, "next": None, "source": "melody"}, "songs": [], "setlists": [],
            "song": {"name": "", "title": "", "next": "", "next_title": "", "order": []},
            "clock": setup.get("clock", ""),
        }  # fmt: skip

    def answer(self, client: Connection, request: Json) -> None:
        """Answer a request now, or see to it that it is answered once the band has done it. Raises RequestError."""
        match request.get("op"):
            case "get":
                client.send(make_answer(request, **self._find(request)))
            case "set":
                self._set(client, request, _read_key(request), request.get("value", True))
            case controls.PANIC:
                self._set(client, request, PANIC, True)
            case "ping":
                self._ask_band(client, request, PING)
            case "subscribe":
                client.topics |= _read_topics(request)
                client.send(make_answer(request))
            case "unsubscribe":
                client.topics -= _read_topics(request)
                client.send(make_answer(request))
            case "play":
                self._play(client, request)
            case "learn":
                self._learn(client, request)
            case "forget":
                self._ask_band(client, request, FORGET, _read_key(request))
            case other:
                raise RequestError(
                    f"no such op: {shorten(other)}; there are get, set, panic, ping, play, "
                    "subscribe, unsubscribe, learn, forget"
                )

    def drop_client(self, client: Connection) -> None:
        """Forget a client that has gone: its requests need no answer, its notes end, and it learns no gesture."""
        if (number := self._numbers.pop(client, None)) is not None:
            self._gone.append(number)
            self.tell_gone()
        self._pending = {serial: waiting for serial, waiting in self._pending.items() if waiting[0] is not client}
        if self._learner is not None and self._learner[0] is client:
            self._learner = None
            self._command(LEARN, "")

    def tell_gone(self) -> None:
        """Tell the band of clients that played and have gone, as far as it takes that; to be called now and then."""
        while self._gone and self._pass_on({"kind": "left", "client": self._gone[0]}):
            self._gone.pop(0)

    def take_fact(self, fact: tuple[Any, ...]) -> tuple[str, Json] | None:
        """Take in what the band tells. Return the topic and the event to be sent to clients, if it is one."""
        match fact:
            case ("done", serial, accepted_by_band, reason):
                self._finish(serial, accepted_by_band, reason)
            case ("learned", gesture, target):
                self._keep_learned(gesture, target)
            case ("controls", found):
                self.state["controls"] = found
                return "controls", {"event": "controls", "controls": found}
            case ("tempo", *where):
                event = make_tempo_event(*where) | {"waiting_for": self.state["waiting_for"]}
                self.state.update((name, event[name]) for name in ("bpm", "playing", "tick", "at"))
                return "tempo", event
            case ("waiting", found):
                self.state["waiting_for"] = found
            case ("counters", found):
                self.state["counters"] = found
                return "counters", {"event": "counters", "counters": found}
            case ("chord", now, following, source):
                self.state["chord"] = {"now": now, "next": following, "source": source}
                return "chords", {"event": "chord", **self.state["chord"]}
            case ("bar", number, metre, tick, end, at):
                return "bars", {"event": "bar", "bar": number, "metre": metre, "tick": tick, "end": end, "at": at}
            case ("song", found, presets, songs, setlists):
                self.state |= {"song": found, "presets": presets, "songs": songs, "setlists": setlists}
                return "songs", {"event": "song", **found}
            case ("note", *what):
                return "notes", make_note_event(*what)
            case ("heard", *what):
                return "heard", make_heard_event(*what)
            case ("plan", packed):
                return "plans", make_plan_event(packed)
            case ("edit", *what):
                return "edits", make_edit_event(*what)
        return None

    def _play(self, client: Connection, request: Json) -> None:
        """Pass notes on under a number, which is another client's only once the band knows that this one has gone."""
        try:
            notes = read_notes(request)
        except ClientNoteError as error:
            raise RequestError(str(error)) from None
        self.tell_gone()
        if client not in self._numbers:
            taken = {*self._numbers.values(), *self._gone}
            self._numbers[client] = next(number for number in count() if number not in taken)
        if not self._pass_on({"kind": "play", "client": self._numbers[client], "notes": notes}):
            raise RequestError(_BUSY)
        client.send(make_answer(request))

    def _find(self, request: Json) -> Json:
        if "key" not in request:
            return {"state": self.state}
        key = _read_key(request)
        for found in (self.state["controls"], self.state):
            if key in found:
                return {"value": found[key]}
        names = ", ".join((*self.state, *self.state["controls"]))
        raise RequestError(f"{shorten(key, quote=False)}: nothing by that name; there are {names}")

    def _set(self, client: Connection, request: Json, key: str, value: object) -> None:
        try:
            known = (self.state[name] for name in ("techniques", "presets", "songs", "setlists"))
            value = controls.parse(key, value, self._list_styles(), *known)
            if key == "preset" and (style := self._setup.get("preset_styles", {}).get(value)) is not None:
                controls.parse("style", style, self._list_styles())
            if key == "chart" and value:
                from music.charts.reading import check_chart  # few choose one

                check_chart(str(value))  # the band has no time to
        except UserError as error:
            raise RequestError(str(error)) from None
        self._ask_band(client, request, key, value)

    def _ask_band(self, client: Connection, request: Json, key: str, value: object = None) -> None:
        """Pass a command on; the client is answered when the band has carried it out. Raises RequestError."""
        serial = self._command(key, value)
        if serial is None or len(self._pending) >= MAX_PENDING_COMMANDS:
            raise RequestError(_BUSY)
        self._pending[serial] = client, request

    def _list_styles(self) -> list[str]:
        """Return the styles that the technique which plays has learned."""
        learned = self._setup.get("technique_styles", {}).get(self.state["controls"].get("technique"))
        return self.state["styles"] if learned is None else list(learned)

    def _learn(self, client: Connection, request: Json) -> None:
        target = _read_key(request)
        try:
            parse_target(target, Gesture(CC, 0))
        except (SettingError, GestureError) as error:
            raise RequestError(str(error)) from None
        if self._learner is not None:
            waiting, earlier = self._learner
            waiting.send(make_refusal(earlier, "somebody else began to learn a gesture"))
        self._learner = client, request
        if self._command(LEARN, target) is None:
            self._learner = None
            raise RequestError(_BUSY)

    def _command(self, key: str, value: object) -> int | None:
        """Pass a command on and return its number; None where the band takes none."""
        self._serial += 1
        message = {"kind": "command", "key": key, "value": value, "serial": self._serial}
        return self._serial if self._pass_on(message) else None

    def _finish(self, serial: int, accepted_by_band: bool, reason: str) -> None:
        client, request = self._pending.pop(serial, (None, {}))
        if client is None:
            return
        if accepted_by_band:
            client.send(make_answer(request))
        else:
            client.send(make_refusal(request, reason or "the band refused it as things stand"))

    def _keep_learned(self, gesture: str, target: str) -> None:
        """Keep a gesture that the band has learned, or, where it has no target, forgotten."""
        self._learned = change_learned(self._learned, gesture, target)
        self.state["gestures"] = {**self._setup["gestures"], **self._learned}
        try:
            write_learned(Path(self._setup["learned_file"]), self._learned)
        except (OSError, ValueError) as error:
            self._pass_on({"kind": "warning", "text": f"what was learnt cannot be kept: {error}"})
        if self._learner is not None and target:
            client, request = self._learner
            self._learner = None
            client.send(make_answer(request, gesture=gesture))


def is_panic(request: Json) -> bool:
    """Return whether a request asks to end everything that sounds."""
    return request.get("op") == PANIC or (request.get("op") == "set" and request.get("key") == PANIC)


def _list_technique_styles(setup: Json) -> Json:
    """Return technique -> the styles that it has learned."""
    learned = setup.get("technique_styles", {})
    return {technique: list(learned.get(technique, setup["styles"])) for technique in setup["techniques"]}


def make_answer(request: Json, **members: Any) -> Json:
    """Return the answer to a request that is carried out."""
    return {**_copy_id(request), "ok": True, **members}


def make_refusal(request: Json, error: str) -> Json:
    """Return the answer to a request that is not carried out; `error` says in one sentence why."""
    return {**_copy_id(request), "ok": False, "error": error}


def _copy_id(request: Json) -> Json:
    """Return what an answer repeats of its request: its id, if that can be repeated."""
    if "id" not in request:
        return {}
    try:
        json.dumps(request["id"], allow_nan=False)
    except (ValueError, RecursionError):  # lists in lists in lists, or no number
        return {}
    return {"id": request["id"]}


def _read_key(request: Json) -> str:
    key = request.get("key")
    if not isinstance(key, str):
        raise RequestError(f"key: takes a control's name, not {shorten(key)}")
    return key


def _read_topics(request: Json) -> set[str]:
    topics = request.get("to")
    if not isinstance(topics, list) or not all(isinstance(t, str) and t in TOPICS for t in topics):
        raise RequestError(f"to: takes a list of {', '.join(TOPICS)}, not {shorten(topics)}")
    return set(topics)
