"""The control socket's server: a process of its own that lets clients in, and the only one that reads what they say.

One thread selects over all sockets; another reads the band's facts from stdin. `daemon.control.control_socket` says
what is spoken.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from daemon.control.control_socket import PROTOCOL, TCP, TOPICS, runtime_path
from daemon.control.gestures import CC, FORGET, LEARN, Gesture, GestureError, target
from daemon.control.learned import write_learned
from daemon.core import controls, wire
from daemon.core.controls import CONTROLS, ControlError
from daemon.core.version import installed_version
from music.errors import UserError
from music.midi import is_note_on
from music.note import CHANNELS

#: bytes of one request; of events that wait for a client
LONGEST_LINE, LONGEST_QUEUE = 1 << 16, 1 << 18
MOST_CLIENTS = 32
#: requests a second, of one client and of all together; so many at once make up for a pause
RATE, RATE_OF_ALL, BURST = 50.0, 200.0, 100.0

_ROLE_OF = {channel: role for role, channel in CHANNELS.items()}
Json = dict[str, Any]


class TokenBucket:
    """So many a second, so many at once."""

    def __init__(self, now: float, rate: float = RATE) -> None:
        self._rate, self._left, self._at = rate, BURST, now

    def wait(self, now: float) -> float:
        """Seconds until there is one to take; 0 when there is."""
        self._left = min(BURST, self._left + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._left >= 1 else (1 - self._left) / self._rate

    def take(self) -> None:
        """Take one."""
        self._left -= 1


@dataclass(eq=False)
class Connection:
    """One connection. until: when (s) it is read again, having asked for too much."""

    socket: socket.socket
    bucket: TokenBucket
    known: bool
    heard: bytearray = field(default_factory=bytearray)
    to_say: bytearray = field(default_factory=bytearray)
    topics: set[str] = field(default_factory=set)
    lost: int = 0
    until: float = 0.0
    leaving: bool = False

    def say(self, message: Json) -> None:
        """An answer."""
        self.to_say += json.dumps(message).encode() + b"\n"

    def tell(self, event: bytes) -> None:
        """An event; dropped when the client does not read."""
        if len(self.to_say) + len(event) > LONGEST_QUEUE:
            self.lost += 1
            return
        if self.lost:
            self.say({"event": "lost", "count": self.lost})
            self.lost = 0
        self.to_say += event


class RequestError(UserError):
    """A request that cannot be answered as it would like."""


class RequestHandler:
    """What is known of the band, and how requests are answered. Knows no sockets: `pass_on` tells the band."""

    def __init__(self, hello: Json, pass_on: Callable[[Json], None]) -> None:
        self.hello = hello
        self._pass_on = pass_on
        self._serial = 0
        self._asked: dict[int, tuple[Connection, Json]] = {}  # serial -> who waits for an answer, and the request
        self._learner: tuple[Connection, Json] | None = None
        self.state: Json = {
            "controls": dict(hello["controls"]), "bpm": hello["bpm"], "playing": False, "tick": None, "at": None,
            "counters": {}, "styles": list(hello["styles"]), "techniques": list(hello["techniques"]),
            "presets": list(hello["presets"]), "gestures": {}, "ports": list(hello["ports"]),
        }  # fmt: skip
        self._kept = dict(hello["learnt"])
        self._standing_gestures()

    def answer(self, client: Connection, request: Json) -> None:
        """Answer a request, or see to it that it is answered when it is done. Raises Refused."""
        match request.get("op"):
            case "get":
                client.say(self.reply(request, **self._got(request)))
            case "set":
                self._command(client, request, self._key(request), request.get("value", True))
            case "panic":
                self._command(client, request, "panic", True)
            case "subscribe":
                client.topics |= self._topics(request)
                client.say(self.reply(request))
            case "unsubscribe":
                client.topics -= self._topics(request)
                client.say(self.reply(request))
            case "learn":
                self._learn(client, request)
            case "forget":
                self._command(client, request, FORGET, self._key(request))
            case other:
                raise RequestError(
                    f"no such op: {_short(other)}; there are get, set, panic, subscribe, unsubscribe, learn, forget"
                )

    def left(self, client: Connection) -> None:
        """A client has gone: nobody waits for its answers."""
        self._asked = {serial: who for serial, who in self._asked.items() if who[0] is not client}
        if self._learner is not None and self._learner[0] is client:
            self._learner = None
            self._send(LEARN, "")

    def fact(self, fact: tuple[Any, ...]) -> tuple[str, Json] | None:
        """Take in what the band says: the event it is, and its topic, when it is one."""
        match fact:
            case ("done", serial, ok):
                self._done(serial, ok)
            case ("learnt", made, what):
                self._learnt(made, what)
            case ("controls", found):
                self.state["controls"] = found
                return "controls", {"event": "controls", "controls": found}
            case ("tempo", us, playing, tick, at):
                now = {"bpm": round(60e6 / us, 3), "playing": playing, "tick": tick, "at": at}
                self.state.update(now)
                return "tempo", {"event": "tempo", **now}
            case ("counters", found):
                self.state["counters"] = found
                return "counters", {"event": "counters", "counters": found}
            case ("note", data, tick, due):
                return "notes", {
                    "event": "note",
                    "role": _ROLE_OF.get(data[0] & 0xF),
                    **_note(data),
                    "tick": tick,
                    "due": due,
                }
            case ("heard", data, tick, at):
                channel = (data[0] & 0xF) + 1
                return "heard", {"event": "heard", **_note(data), "channel": channel, "tick": tick, "at": at}
            case ("plan", packed):
                return "plans", _plan(packed)
            case ("edit", *told):
                return "edits", _edit(*told)
        return None

    def reply(self, request: Json, **also: Any) -> Json:
        """A good answer to a request."""
        named = {"id": request["id"]} if "id" in request else {}
        return {**named, "ok": True, **also}

    def _key(self, request: Json) -> str:
        key = request.get("key")
        if not isinstance(key, str):
            raise RequestError(f"key: takes a control's name, not {_short(key)}")
        return key

    def _got(self, request: Json) -> Json:
        if "key" not in request:
            return {"state": self.state}
        key = self._key(request)
        for there in (self.state["controls"], self.state):
            if key in there:
                return {"value": there[key]}
        raise RequestError(
            f"{key}: nothing by that name; there are {', '.join((*self.state, *self.state['controls']))}"
        )

    def _topics(self, request: Json) -> set[str]:
        topics = request.get("to")
        if not isinstance(topics, list) or not all(isinstance(t, str) and t in TOPICS for t in topics):
            raise RequestError(f"to: takes a list of {', '.join(TOPICS)}, not {_short(topics)}")
        return set(topics)

    def _command(self, client: Connection, request: Json, key: str, value: object) -> None:
        if key != FORGET:
            try:
                value = controls.parse(key, value, self.state["styles"], self.state["techniques"])
            except ControlError as error:
                raise RequestError(str(error)) from None
            if key == "preset" and value not in self.state["presets"]:
                raise RequestError(
                    f"preset: no preset {value!r}; the configuration has {', '.join(self.state['presets']) or 'none'}"
                )
        self._asked[self._send(key, value)] = client, request

    def _learn(self, client: Connection, request: Json) -> None:
        what = self._key(request)
        try:
            if what.partition("=")[0].strip() not in CONTROLS:
                controls.parse(what, None)
            target(what, Gesture(CC, 0))
        except (ControlError, GestureError) as error:
            raise RequestError(str(error)) from None
        if self._learner is not None:
            waiting, before = self._learner
            waiting.say({**self.reply(before), "ok": False, "error": "somebody else began to learn a gesture"})
        self._learner = client, request
        self._send(LEARN, what)

    def _send(self, key: str, value: object) -> int:
        self._serial += 1
        self._pass_on({"kind": "command", "key": key, "value": value, "serial": self._serial})
        return self._serial

    def _done(self, serial: int, ok: bool) -> None:
        client, request = self._asked.pop(serial, (None, {}))
        if client is None:
            return
        if ok:
            client.say(self.reply(request))
        else:
            client.say({**self.reply(request), "ok": False, "error": "the band refused it as things stand"})

    def _learnt(self, made: str, what: str) -> None:
        self._kept = {text: there for text, there in self._kept.items() if text != made and there != what}
        if what:
            self._kept[made] = what
        self._standing_gestures()
        try:
            write_learned(Path(self.hello["learnt_path"]), self._kept)
        except OSError as error:
            self._pass_on({"kind": "warning", "text": f"what was learnt cannot be kept: {error}"})
        if self._learner is not None and what:
            client, request = self._learner
            self._learner = None
            client.say(self.reply(request, gesture=made))

    def _standing_gestures(self) -> None:
        self.state["gestures"] = {**self.hello["gestures"], **self._kept}


def _note(data: bytes) -> Json:
    return {"on": is_note_on(data), "pitch": data[1], "velocity": data[2]}


def _plan(packed: Any) -> Json:
    plan = wire.unpack_plan(packed)
    notes = {role: [[n.start, n.pitch, n.length, n.velocity] for n in line] for role, line in plan.notes.items()}
    return {
        "event": "plan", "number": plan.number, "first": plan.first, "last": plan.last, "heard": plan.heard,
        "ms": round(plan.inference_ns / 1e6, 3), "notes": notes,
    }  # fmt: skip


def _edit(serial: int, at: int, tick: int, bar: int, step: int, undone: bool, fields: Sequence[object]) -> Json:
    names = ("iteration", "action", "pitch", "length", "velocity", "log_probability")
    found = dict(zip(names, fields, strict=True))
    return {
        "event": "edit", "serial": serial, **found, "bar": bar, "step": step, "undone": undone, "tick": tick, "at": at,
    }  # fmt: skip


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Server:
    """The sockets."""

    def __init__(
        self, desk: RequestHandler, listener: socket.socket, token: str, wake: socket.socket, facts: SimpleQueue[Any]
    ) -> None:
        self._desk, self._token, self._facts = desk, token, facts
        self._listener, self._wake = listener, wake
        self._clients: dict[socket.socket, Connection] = {}
        self._all = TokenBucket(time.monotonic(), RATE_OF_ALL)
        self._wanted: frozenset[str] = frozenset()
        self._selector = selectors.DefaultSelector()
        for there in (listener, wake):
            there.setblocking(False)
            self._selector.register(there, selectors.EVENT_READ)

    def run(self) -> None:
        """Until the band has no more to say."""
        while True:
            for key, ready in self._selector.select(self._timeout()):
                if key.fileobj is self._listener:
                    self._let_in()
                elif key.fileobj is self._wake:
                    with contextlib.suppress(BlockingIOError):
                        self._wake.recv(4096)
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._clients:
                    self._serve(self._clients[key.fileobj], ready)
            if not self._take_facts():
                return
            for client in list(self._clients.values()):
                self._answer(client)
                self._flush(client)
            self._tell_wanted()

    def close(self) -> None:
        """Let everybody go."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._listener.close()
        self._selector.close()

    def _timeout(self) -> float | None:
        waits = [client.until for client in self._clients.values() if client.until]
        return max(0.0, min(waits) - time.monotonic()) if waits else None

    def _let_in(self) -> None:
        try:
            there, _ = self._listener.accept()
        except OSError:
            return
        there.setblocking(False)
        client = Connection(there, TokenBucket(time.monotonic()), known=not self._token)
        client.say({"houseband": installed_version(), "protocol": PROTOCOL})
        if len(self._clients) >= MOST_CLIENTS:
            client.say({"ok": False, "error": f"there are {MOST_CLIENTS} clients already"})
            with contextlib.suppress(OSError):
                there.send(client.to_say)
            there.close()
            return
        self._clients[there] = client
        self._selector.register(there, selectors.EVENT_READ)

    def _serve(self, client: Connection, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            self._flush(client)
        if ready & selectors.EVENT_READ and client.socket in self._clients:
            try:
                some = client.socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                some = b""
            if not some:
                self._drop(client)
                return
            client.heard += some

    def _answer(self, client: Connection) -> None:
        """Its requests, as far as it may ask and reads what it is told."""
        client.until = 0.0
        while not client.leaving and len(client.to_say) <= LONGEST_QUEUE:
            line, newline, rest = client.heard.partition(b"\n")
            if not newline:
                if len(line) > LONGEST_LINE:
                    client.say({"ok": False, "error": f"a request is at most {LONGEST_LINE} bytes long"})
                    client.leaving = True
                return
            now = time.monotonic()
            wait = max(client.bucket.wait(now), self._all.wait(now))
            if wait:
                client.until = now + wait
                return
            client.bucket.take()
            self._all.take()
            client.heard = rest
            self._one(client, bytes(line))

    def _one(self, client: Connection, line: bytes) -> None:
        if not line.strip():
            return
        request: Json = {}
        try:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise RequestError('a request is a JSON object such as {"op": "get"}')
            request = found
            if not client.known:
                self._hello(client, request)
            else:
                self._desk.answer(client, request)
        except RequestError as error:
            client.say({**({"id": request["id"]} if "id" in request else {}), "ok": False, "error": str(error)})
        except (ValueError, RecursionError):
            client.say({"ok": False, "error": "not a line of JSON"})

    def _hello(self, client: Connection, request: Json) -> None:
        token = request.get("token")
        client.known = isinstance(token, str) and secrets.compare_digest(token.encode(), self._token.encode())
        client.leaving = not client.known
        if client.leaving:
            raise RequestError(
                'the first request over TCP is {"op": "hello", "token": ...}, with the token in control.tcp'
            )
        client.say(self._desk.reply(request))

    def _flush(self, client: Connection) -> None:
        if client.to_say:
            try:
                del client.to_say[: client.socket.send(client.to_say)]
            except BlockingIOError:
                pass
            except OSError:
                self._drop(client)
                return
        if client.leaving and not client.to_say:
            self._drop(client)
            return
        events = selectors.EVENT_WRITE if client.to_say else 0
        if not client.leaving and not client.until and len(client.to_say) <= LONGEST_QUEUE:
            events |= selectors.EVENT_READ
        self._listen(client, events)

    def _listen(self, client: Connection, events: int) -> None:
        known = self._selector.get_map().get(client.socket)
        if known is None and events:
            self._selector.register(client.socket, events)
        elif known is not None and not events:
            self._selector.unregister(client.socket)
        elif known is not None and known.events != events:
            self._selector.modify(client.socket, events)

    def _drop(self, client: Connection) -> None:
        if self._clients.pop(client.socket, None) is None:
            return
        self._listen(client, 0)
        client.socket.close()
        self._desk.left(client)

    def _take_facts(self) -> bool:
        """What the band said, to whom it may concern. False when it has no more to say."""
        while True:
            try:
                fact = self._facts.get_nowait()
            except Empty:
                return True
            if fact is None:
                return False
            event = self._desk.fact(fact)
            if event is not None:
                topic, message = event
                line = json.dumps(message).encode() + b"\n"
                for client in self._clients.values():
                    if topic in client.topics:
                        client.tell(line)

    def _tell_wanted(self) -> None:
        wanted = frozenset(topic for client in self._clients.values() for topic in client.topics)
        if wanted != self._wanted:
            self._wanted = wanted
            pass_on({"kind": "wanted", "topics": sorted(wanted)})


def listen(where: str) -> tuple[socket.socket, str, str]:
    """(a listening socket, the secret that clients must know, where it is). Raises OSError."""
    if where.startswith(TCP):
        return _listen_tcp(int(where.removeprefix(TCP) or 0))
    path = Path(where)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            if _answers(path):
                raise OSError(f"another houseband has {where} already; give this one a `control` of its own")
            path.unlink()
        before = os.umask(0o177)  # nobody else's from its first moment
        try:
            listener.bind(where)
        finally:
            os.umask(before)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener, "", where


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as there:
        try:
            there.connect(str(path))
        except OSError:
            return False
        return True


def _listen_tcp(port: int) -> tuple[socket.socket, str, str]:
    listener = socket.create_server(("127.0.0.1", port))
    port = int(listener.getsockname()[1])
    token = secrets.token_hex(16)
    path = runtime_path() / "control.tcp"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{port} {token}\n")
    return listener, token, f"{TCP}{port}"


def pass_on(message: Mapping[str, object]) -> None:
    """A message for the band."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """The process: hello from stdin, then facts until there are no more."""
    if hasattr(os, "nice"):
        os.nice(5)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _, hello = wire.receive(sys.stdin.buffer)
        try:
            listener, token, where = listen(hello["where"])
        except (OSError, ValueError) as error:
            pass_on({"kind": "warning", "text": f"there is none, for {error}"})
            sys.stdin.buffer.read()
            return
        pass_on({"kind": "listening", "where": where})
        facts: SimpleQueue[Any] = SimpleQueue()
        ours, theirs = socket.socketpair()
        threading.Thread(target=_read, args=(facts, theirs), daemon=True).start()
        server = Server(RequestHandler(hello, pass_on), listener, token, ours, facts)
        try:
            server.run()
        finally:
            server.close()
            if not token:
                Path(where).unlink(missing_ok=True)


def _read(facts: SimpleQueue[Any], wake: socket.socket) -> None:
    with contextlib.suppress(EOFError):
        while True:
            facts.put(wire.receive(sys.stdin.buffer))
            wake.send(b".")
    facts.put(None)
    wake.send(b".")
