"""The controls of the page turn the band, follow it, spring back where it refuses, and can all be reached by keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.studio import StudioProcess


@pytest.fixture
def ready(page: Page) -> Page:
    """The page, once there is a band."""
    page.wait_for_function("() => window.houseband.ready && window.houseband.live.hasBand")
    return page


def wait_for_control(page: Page, key: str, value: object) -> None:
    """Wait until the band has a control at a value."""
    page.wait_for_function("([key, value]) => window.houseband.live.state.controls[key] === value", arg=[key, value])


def test_a_slider_turns_the_band_and_another_page_follows(
    ready: Page, studio: StudioProcess, open_page: OpenPage
) -> None:
    other = open_page(studio.url)
    other.wait_for_function("() => window.houseband?.ready && window.houseband.live.hasBand")
    slider = ready.get_by_role("slider", name="Density")
    slider.focus()
    for _ in range(4):
        ready.keyboard.press("ArrowRight")
    wait_for_control(ready, "density", 1.2)
    expect(other.get_by_role("slider", name="Density")).to_have_value("1.2")
    other.evaluate("houseband.live.set('density', 1)")
    expect(slider).to_have_value("1")


def test_a_technique_brings_its_styles(ready: Page) -> None:
    technique, style = ready.get_by_role("combobox", name="Technique"), ready.get_by_role("combobox", name="Style")
    expect(technique).to_have_value("gan")
    assert technique.locator("option").all_inner_texts() == ["GAN", "AR-CNN", "Transformer"]
    technique.select_option("arcnn")
    wait_for_control(ready, "technique", "arcnn")
    expect(style.locator("option").first).to_have_text("Chorale")
    style.select_option("chorale")
    wait_for_control(ready, "style", "chorale")
    technique.select_option("gan")
    wait_for_control(ready, "technique", "gan")


def test_what_the_band_refuses_springs_back_with_its_sentence(ready: Page) -> None:
    field = ready.get_by_label("Metre")
    field.fill("0/7")
    field.press("Enter")
    expect(ready.locator("#messages")).to_contain_text("metre:")
    expect(field).to_have_value("auto")


def test_another_one_takes_the_next_seed_and_back_the_one_before(ready: Page) -> None:
    seed = ready.get_by_role("spinbutton", name="Seed")
    expect(seed).to_have_value("0")
    ready.get_by_role("button", name="Another one").click()
    expect(seed).to_have_value("1")
    wait_for_control(ready, "seed", 1)
    ready.get_by_role("button", name="Back", exact=True).click()
    wait_for_control(ready, "seed", 0)
    expect(ready.get_by_role("button", name="Back", exact=True)).to_be_disabled()


def test_the_menu_of_a_control_opens_by_right_click_and_by_keys(ready: Page) -> None:
    slider = ready.get_by_role("slider", name="Intensity")
    slider.click(button="right")
    menu = ready.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name="Learn a MIDI control")).to_be_focused()
    ready.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    slider.focus()
    before = slider.input_value()
    slider.fill("0.2")
    wait_for_control(ready, "intensity", 0.2)
    ready.keyboard.press("Shift+F10")
    ready.get_by_role("menuitem", name="Back to its first value").click()
    expect(slider).to_have_value(before)


def test_the_chart_is_shown_and_the_bar_that_is_played_is_lit(ready: Page, tmp_path: Path) -> None:
    chart = tmp_path / "song.txt"
    chart.write_text("| C | Am7 |\n| F | G7/B |\n")
    ready.evaluate("async (path) => { await houseband.live.set('chart', path) }", str(chart))
    bars = ready.get_by_role("list", name="Chart").get_by_role("listitem")
    expect(bars).to_have_text(["C", "Am7", "F", "G7/B"])
    ready.get_by_role("button", name="Start").click()
    ready.keyboard.press("KeyQ", delay=100)
    expect(bars.nth(0)).to_have_attribute("aria-current", "true")
    expect(bars.nth(1)).to_have_attribute("aria-current", "true")
    expect(bars.nth(0)).not_to_have_attribute("aria-current", "true")
    ready.get_by_role("button", name="Stop").click()
    ready.evaluate("houseband.live.set('chart', '')")
    expect(ready.get_by_role("list", name="Chart")).to_be_hidden()


def test_everything_can_be_reached_by_tab(ready: Page) -> None:
    ready.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    reachable = ready.evaluate("""() => {
      const wanted = [...document.querySelectorAll('button, input, select, summary')];
      return wanted
        .filter((each) => !each.disabled && each.checkVisibility() && each.tabIndex < 0 && !each.closest('#piano'))
        .map((each) => each.id || each.textContent);
    }""")
    assert reachable == []


def test_nothing_is_told_while_the_page_is_not_ready(studio: StudioProcess, open_page: OpenPage) -> None:
    page = open_page(studio.url)
    page.get_by_role("button", name="Panic").click()  # waits until the page takes clicks
    assert page.evaluate("houseband.ready")
