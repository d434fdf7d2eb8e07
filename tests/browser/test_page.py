"""The page as a whole: it opens, it is whole, it fits, and it comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.support.studio import StudioProcess

NAMES = {
    "button": (
        *("Start", "Stop", "Record", "Import", "Export MIDI", "Export WAV", "Export PNG", "Undo", "Redo", "Panic"),
        *("Another one", "Compare"),
    ),
    "combobox": ("Technique", "Style"),
    "slider": ("Creative risk",),
}


def test_scripts_find_what_they_need_by_its_name(page: Page) -> None:
    for role, names in NAMES.items():
        for name in names:
            expect(page.get_by_role(role, name=name)).to_be_visible()  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "name"), [(DESK, "studio"), (PHONE, "studio-phone")])
def test_the_page_fits(
    studio: StudioProcess,
    open_page: OpenPage,
    take_picture: Callable[[Page, str], None],
    size: dict[str, int],
    name: str,
) -> None:
    page = open_page(studio.url, **size)
    page.wait_for_function("() => window.houseband?.live?.state")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    take_picture(page, name)
