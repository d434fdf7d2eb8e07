"""The studio as a program: its address, its band, its end; asked as a page asks it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studio import LivePage, StudioProcess, open_page


@pytest.fixture
def page(studio: StudioProcess) -> Iterator[LivePage]:
    with open_page(studio) as page:
        page.wait_for_band()
        yield page


def test_a_page_is_told_what_there_is(page: LivePage, studio: StudioProcess) -> None:
    with open_page(studio) as again:
        hello = again.hello
    assert hello["band"] == {"status": "playing", "own": True, "ports": False}
    assert hello["state"]["controls"]["style"] == "pop"
    assert hello["technique_styles"] == hello["state"]["technique_styles"]
    assert "pop" in hello["technique_styles"]["gan"]
    table = {line["name"]: line for line in hello["controls"]}
    assert (table["bpm"]["kind"], table["bpm"]["low"], table["bpm"]["high"]) == ("number", 10, 400)
    assert table["fill"]["kind"] == "trigger"
    assert table["technique"]["kind"] == "name"


def test_notes_reach_the_band_and_are_heard(page: LivePage) -> None:
    assert page.ask("play", pitch=60, velocity=90)["ok"]
    page.socket.send(json.dumps({"op": "play", "notes": [{"pitch": 60, "on": False}, {"pitch": 64}]}))
    heard = page.read_until(lambda message: message.get("event") == "heard" and message["pitch"] == 64)
    assert heard["on"]
    page.read_until(lambda message: message.get("event") == "note" and message["on"])
    assert page.ask("set", key="stop")["ok"]
    assert page.ask("panic")["ok"]


def test_what_a_page_holds_ends_with_it(page: LivePage, studio: StudioProcess) -> None:
    with open_page(studio) as other:
        other.ask("play", pitch=71)
        page.read_until(lambda message: message.get("event") == "heard" and message["pitch"] == 71 and message["on"])
    page.read_until(lambda message: message.get("event") == "heard" and message["pitch"] == 71 and not message["on"])


def test_controls_are_set_and_mistakes_told(page: LivePage) -> None:
    assert page.ask("set", key="intensity", value=0.25) == {"id": "asked", "ok": True}
    assert page.ask("get", key="intensity")["value"] == 0.25
    assert "intensity" in page.ask("set", key="intensity", value=7)["error"]
    assert "no such op" in page.ask("fly")["error"]
    assert "pitch" in page.ask("play", pitch=200)["error"]
    page.socket.send("[]")
    assert "JSON object" in page.read_until(lambda message: message.get("ok") is False)["error"]


def test_many_changes_of_one_control_end_with_the_last(page: LivePage) -> None:
    for number in range(200):
        page.socket.send(json.dumps({"op": "set", "id": number, "key": "density", "value": number / 200}))
    answers = {page.read_until(lambda message: isinstance(message.get("id"), int))["id"] for _ in range(200)}
    assert answers == set(range(200))
    assert page.ask("get", key="density")["value"] == 199 / 200


def test_the_clock_is_told_at_once(page: LivePage) -> None:
    page.socket.send(json.dumps({"op": "clock", "t": 12.5}))
    told = page.read_until(lambda message: message.get("event") == "clock")
    assert told["t"] == 12.5
    assert abs(told["now"] - time.monotonic_ns()) < 60e9


def find_band(studio: StudioProcess) -> int:
    """Return the process id of a studio's own band."""
    lock = Path(studio.environment["XDG_RUNTIME_DIR"]) / "houseband" / "control.sock.lock"
    return int(lock.read_text(encoding="ascii"))


def wait_for_end(process: int) -> None:
    """Return once a process is gone, which init or this one may have to see first."""
    end = time.monotonic() + 30
    while Path(f"/proc/{process}/stat").exists() and " Z " not in Path(f"/proc/{process}/stat").read_text():
        assert time.monotonic() < end, f"process {process} lives on"
        os.sched_yield()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_band_ends_with_the_studio(tmp_path: Path, number: signal.Signals) -> None:
    studio = StudioProcess(tmp_path, "--api", "none")
    with open_page(studio) as page:
        page.wait_for_band()
        band = find_band(studio)
        assert studio.stop(number) == (0 if number != signal.SIGKILL else -9)
    wait_for_end(band)
