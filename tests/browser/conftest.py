"""Fixtures of the tests in a real browser: a studio that runs, and pages in Debian's Chromium, whose errors count.

They are no part of `make test`; `make test-browser` runs them. Where there is no Chromium, they fail, for nothing else
would say that the page was not tested.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.support.studio import StudioProcess
from tests.support.studio_page import PATIENCE_MS

ROOT = Path(__file__).resolve().parents[2]
#: what the page is made for, and a phone
DESK, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
#: where screenshots are left, for the documents
PICTURES = ROOT / "build" / "pictures"
OpenPage = Callable[..., Page]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with a band of its own that has no MIDI ports. One serves all tests of a file."""
    with StudioProcess(tmp_path_factory.mktemp("studio"), "--api", "none") as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window; sound plays without a click, into nothing."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "these tests need Chromium (Debian: apt install chromium)"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile of one test."""
    context = browser.new_context(viewport=DESK, accept_downloads=True)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def expected_errors() -> list[str]:
    """Parts of messages in the browser's console that a test brings about on purpose; the test fills it."""
    return []


@pytest.fixture
def open_page(context: BrowserContext, expected_errors: list[str]) -> Iterator[OpenPage]:
    """A function that opens an address; at the end, an error in the console or one that nobody caught is a failure."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def open_page(address: str, **viewport: int) -> Page:
        page = context.new_page()
        if viewport:
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
        page.goto(address)
        return page

    yield open_page
    assert [error for error in errors if not any(part in error for part in expected_errors)] == []


@pytest.fixture
def page(studio: StudioProcess, open_page: OpenPage) -> Page:
    """The studio's page, once the band is there."""
    page = open_page(studio.url)
    page.wait_for_function("() => window.houseband?.live?.state")
    return page


@pytest.fixture
def take_picture() -> Callable[[Page, str], None]:
    """A function that leaves a screenshot of a page as build/pictures/NAME.png."""

    def take(page: Page, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png")

    return take
