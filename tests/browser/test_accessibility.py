"""Accessibility: axe-core finds nothing wrong with the page, in any of its states; nothing overlaps, nothing is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.support.studio import StudioProcess
from tests.support.studio_page import choose_technique, make_result, take_example

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
FIND_VIOLATIONS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}`));
}"""
#: a laptop whose page is shown at twice its size
ZOOMED = {"width": 683, "height": 384}
#: what can be operated and is shown, and is not where a pointer finds it: something lies over it, or it is cut
FIND_COVERED = """() => {
  const covered = [];
  for (const each of document.querySelectorAll("button, input, select, summary")) {
    if (each.disabled || !each.checkVisibility() || each.closest("#piano")) continue;
    each.scrollIntoView({ block: "center", inline: "center" });
    const { left, top, width, height } = each.getBoundingClientRect();
    const found = document.elementFromPoint(left + width / 2, top + height / 2);
    const label = each.closest("label");
    const isFound = each.contains(found) || found?.contains(each) || label?.contains(found);
    if (!found || !isFound) covered.push(each.outerHTML);
  }
  return covered;
}"""


def find_violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong: rule and place."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(FIND_VIOLATIONS)
    return found


@pytest.mark.parametrize("size", [DESK, PHONE, ZOOMED], ids=["desk", "phone", "zoomed"])
def test_the_page_is_accessible_and_nothing_covers_what_can_be_operated(
    studio: StudioProcess, open_page: OpenPage, size: dict[str, int]
) -> None:
    page = open_page(studio.url, **size)
    page.wait_for_function("() => window.houseband?.ready && window.houseband.live.hasBand")
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert find_violations(page) == []
    assert page.evaluate(FIND_COVERED) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.get_by_role("slider", name="Intensity").click(button="right")
    expect(page.get_by_role("menu")).to_be_visible()
    assert find_violations(page) == []


def test_a_performance_and_results_are_accessible(studio: StudioProcess, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    page.wait_for_function("() => window.houseband?.ready && window.houseband.live.hasBand")
    page.get_by_role("button", name="Start").click()
    page.keyboard.press("KeyQ", delay=300)
    page.wait_for_function("() => window.houseband.live.state.playing")
    assert find_violations(page) == []
    page.get_by_role("button", name="Stop").click()
    take_example(page)
    choose_technique(page, "arcnn")
    make_result(page)
    assert find_violations(page) == []
    assert page.evaluate(FIND_COVERED) == []
