"""The studio as a program: its address, its band, its end; asked as a page asks it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studio import LivePage, StudioProcess, make_environment, open_page


@pytest.fixture
def page(studio: StudioProcess) -> Iterator[LivePage]:
    with open_page(studio) as page:
        page.wait_for_band()
        yield page


def test_a_page_is_told_what_there_is(page: LivePage, studio: StudioProcess) -> None:
    with open_page(studio) as again:
        hello = again.hello
    assert hello["band"] == {"status": "playing", "own": True, "ports": False, "audio": False}
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


def test_the_chart_that_the_band_plays_from_is_told(page: LivePage, studio: StudioProcess, tmp_path: Path) -> None:
    chart = tmp_path / "song.txt"
    chart.write_text("[A]\n| C | Am7/G |\n")
    with studio.make_client() as client:
        assert client.get("/chart").json() == {"error": "the band plays from no chart"}
        assert page.ask("set", key="chart", value=str(chart))["ok"]
        told = client.get("/chart").json()
        assert [[(chord["root"], chord["quality"], chord["bass"]) for chord in bar] for bar in told["bars"]] == [
            [("C", "maj", None)],
            [("A", "min7", "G")],
        ]
        assert (told["order"], told["sections"]) == ([0, 1], {"0": "A"})
        chart.unlink()
        gone = client.get("/chart")
        assert (gone.status_code, "cannot be read" in gone.json()["error"]) == (400, True)
    assert page.ask("set", key="chart", value="")["ok"]


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


def test_a_band_that_is_killed_is_started_again(studio: StudioProcess, page: LivePage) -> None:
    os.kill(find_band(studio), signal.SIGKILL)
    page.read_until(lambda message: message.get("event") == "band" and message["status"] != "playing")
    assert page.ask("play", pitch=60) == {"id": "asked", "ok": False, "error": "there is no band at present"}
    event = page.read_until(lambda message: message.get("event") == "band" and message["status"] == "playing")
    assert event["state"]["controls"]["style"] == "pop"
    assert page.ask("play", pitch=60)["ok"]


def test_a_band_that_plays_already_is_shown_and_left_alone(tmp_path: Path) -> None:
    with StudioProcess(tmp_path, "--api", "none") as first, open_page(first) as page:
        page.wait_for_band()
        band = find_band(first)
        with StudioProcess(tmp_path, "--api", "none") as second, open_page(second) as other:
            other.wait_for_band()
            assert not other.band["own"]
            other.ask("set", key="swing", value=0.5)
            page.read_until(lambda each: each.get("event") == "controls" and each["controls"]["swing"] == 0.5)
        assert find_band(first) == band
        assert page.ask("get", key="swing")["value"] == 0.5


def test_the_page_finds_a_studio_that_was_killed_again_on_the_same_port(tmp_path: Path) -> None:
    studio = StudioProcess(tmp_path, "--api", "none")
    cookie = studio.get_cookie()
    studio.stop(signal.SIGKILL)
    with StudioProcess(tmp_path, "--api", "none", port=studio.port) as again:
        assert again.url == studio.url
        assert again.get_cookie() == cookie


def test_a_port_that_is_taken_is_refused(studio: StudioProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "daemon", "studio", "--no-browser", "--port", str(studio.port)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=make_environment(tmp_path), timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {studio.port} cannot be had: something else has it; name another one with --port" in done.stderr
