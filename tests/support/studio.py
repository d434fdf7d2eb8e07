"""A studio that runs: the program itself, in a home of its own, as tests of the server and of the page use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

Json = dict[str, Any]


class StudioProcess:
    """A `houseband studio` on a free port, with a band of its own that has no MIDI ports, and files below a folder."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        """Start it and wait for its address. folder: its home; port: 0 for any free one."""
        self.environment = make_environment(folder)
        command = [sys.executable, "-m", "daemon", "studio", "--no-browser", "--port", str(port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environment)
        assert self.process.stdout is not None
        #: the first line that it prints: the address, with the token
        self.url = self.process.stdout.readline().rstrip("\n")
        assert self.url.startswith("http://127.0.0.1:"), f"no address but {self.url!r}"

    @property
    def port(self) -> int:
        """The port."""
        return urlsplit(self.url).port or 0

    @property
    def origin(self) -> str:
        """The address without path and token."""
        return f"http://127.0.0.1:{self.port}"

    def get_cookie(self) -> str:
        """Return the header `Cookie` of a browser that has opened the address."""
        answer = httpx.get(self.url)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["set-cookie"].partition(";")[0])

    def make_client(self) -> httpx.Client:
        """Return a client that may do what a page may."""
        headers = {"cookie": self.get_cookie(), "origin": self.origin}
        return httpx.Client(base_url=self.origin, headers=headers, timeout=30)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def __enter__(self) -> StudioProcess:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it."""
        self.stop()


class LivePage:
    """A page's connection to `/live`."""

    def __init__(self, socket: ClientConnection) -> None:
        """Read the greeting."""
        self.socket = socket
        self.hello = self.read_until(lambda message: message.get("event") == "hello")
        #: whether there is a band, whether it is the studio's own, whether it has ports
        self.band: Json = self.hello["band"]

    def read_until(self, is_wanted: Callable[[Json], bool]) -> Json:
        """Return the first message that is wanted; some come every second, so that this ends."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            message: Json = json.loads(self.socket.recv(timeout=60))
            if is_wanted(message):
                return message
        raise AssertionError("it has not come")

    def wait_for_band(self) -> Json:
        """Return the band's state, once there is a band."""
        if self.band["status"] == "playing":
            state: Json = self.hello["state"]
        else:
            self.band = self.read_until(lambda each: each.get("event") == "band" and each["status"] == "playing")
            state = self.band["state"]
        return state

    def ask(self, op: str, **members: Any) -> Json:
        """Return the answer to a request."""
        self.socket.send(json.dumps({"op": op, "id": "asked", **members}))
        return self.read_until(lambda message: message.get("id") == "asked")


@contextmanager
def open_page(studio: StudioProcess) -> Iterator[LivePage]:
    """Open `/live` as a page does."""
    headers = {"cookie": studio.get_cookie()}
    address = f"ws://127.0.0.1:{studio.port}/live"
    with connect(address, origin=Origin(studio.origin), additional_headers=headers, max_size=1 << 24) as socket:
        yield LivePage(socket)


def make_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user whose files all lie below a folder, which is made."""
    runtime = folder / "run"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOUSEBAND_", "XDG_"))}
    own = {
        "HOME": folder,
        "XDG_RUNTIME_DIR": runtime,
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_DATA_HOME": folder / "data",
        "XDG_CACHE_HOME": folder / "cache",
    }
    return kept | {name: str(path) for name, path in own.items()}
