"""The page when the server or the band is lost: it says so, comes back by itself, and so do reloads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.support.studio import StudioProcess

#: what Chromium writes into its console about connections that are refused
REFUSED = ("WebSocket connection to", "ERR_CONNECTION_REFUSED", "Failed to fetch", "Failed to load resource")
PLAYING = "() => window.houseband?.live?.hasBand"


def wait_for(page: Page, condition: str) -> None:
    page.wait_for_function(condition)


def play_note(page: Page, pitch: int) -> None:
    """Play a note over the page's connection and wait until the band has heard it."""
    page.evaluate(
        """(pitch) => new Promise(async (resolve) => {
            const { on } = await import("/static/js/bus.js");
            on("live:heard", (heard) => heard.pitch === pitch && heard.on && resolve());
            window.houseband.live.request("play", { notes: [{ pitch }, { pitch, on: false }] });
        })""",
        pitch,
    )


def test_a_server_that_is_killed_and_started_again_is_found_again(
    tmp_path: Path, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors.extend(REFUSED)
    studio = StudioProcess(tmp_path, "--api", "none")
    page = open_page(studio.url)
    wait_for(page, PLAYING)
    studio.stop(signal.SIGKILL)
    wait_for(page, "() => !window.houseband.live.open")
    with StudioProcess(tmp_path, "--api", "none", port=studio.port):
        wait_for(page, PLAYING)
        play_note(page, 60)
        page.reload()
        wait_for(page, PLAYING)
        play_note(page, 64)


def test_a_band_that_is_killed_comes_back(tmp_path: Path, open_page: OpenPage, expected_errors: list[str]) -> None:
    with StudioProcess(tmp_path, "--api", "none") as studio:
        page = open_page(studio.url)
        wait_for(page, PLAYING)
        lock = Path(studio.environment["XDG_RUNTIME_DIR"]) / "houseband" / "control.sock.lock"
        os.kill(int(lock.read_text(encoding="ascii")), signal.SIGKILL)
        wait_for(page, "() => !window.houseband.live.hasBand")
        wait_for(page, PLAYING)
        play_note(page, 62)


def test_who_opens_the_page_without_the_token_is_told_how_to(
    studio: StudioProcess, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors.append("403")
    page = open_page(f"{studio.origin}/")
    assert "houseband studio" in page.inner_text("body")


def test_a_link_on_another_page_opens_the_studio(studio: StudioProcess, open_page: OpenPage, tmp_path: Path) -> None:
    elsewhere = tmp_path / "link.html"
    elsewhere.write_text(f'<!doctype html><title>link</title><a href="{studio.url}">open</a>', encoding="utf-8")
    page = open_page(elsewhere.as_uri())
    page.click("a")
    wait_for(page, PLAYING)
