"""What the page keeps: over a reload, without its server, beside another page; and the takes that the band leaves."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.studio import StudioProcess
from tests.support.studio_page import get_item, make_result, open_ready, read, take_example, wait_until


def test_a_reload_changes_nothing(page: Page) -> None:
    take_example(open_ready(page))
    make_result(page)
    take_example(page, "saints")
    result = make_result(page)
    first = page.get_by_role("listbox", name="Results").get_by_role("option").first
    expect(first).to_have_attribute("aria-selected", "true")
    page.reload()
    open_ready(page)
    wait_until(page, f"h.documents.item?.id === '{result['id']}'")
    assert get_item(page) == result
    expect(page.get_by_role("listbox", name="Inputs").get_by_role("option", selected=True)).to_contain_text("Saints")
    expect(page.locator("#roll-text")).to_contain_text("drums")
    page.locator("#roll").focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#selection")).to_contain_text("notes selected")


def test_two_pages_stay_in_step(page: Page, studio: StudioProcess, open_page: OpenPage) -> None:
    item = take_example(open_ready(page))
    other = open_ready(open_page(studio.url))
    wait_until(other, f"h.documents.find('{item['id']}')")
    other.get_by_role("listbox", name="Inputs").get_by_role("option").first.click()
    wait_until(other, f"h.documents.item.id === '{item['id']}'")
    page.bring_to_front()
    page.locator("#roll").focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowUp")
    wait_until(page, "h.documents.project.undo === 'move 1 note'")
    moved = json.dumps(get_item(page)["notes"]["melody"], separators=(",", ":"))
    wait_until(other, f"JSON.stringify(h.documents.item.notes.melody) === '{moved}'")
    other.bring_to_front()
    other.get_by_role("button", name="Undo").click()
    before = json.dumps(item["notes"]["melody"], separators=(",", ":"))
    wait_until(page, f"JSON.stringify(h.documents.item.notes.melody) === '{before}'")


def test_without_its_server_the_page_changes_nothing_and_catches_up(
    tmp_path: Path, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors += ["ERR_CONNECTION_REFUSED", "WebSocket connection", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]
    with StudioProcess(tmp_path, "--api", "none") as studio:
        page = open_ready(open_page(studio.url))
        item = take_example(page)
        port = studio.port
    wait_until(page, "!h.live.open")
    page.locator("#roll").focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#messages")).to_contain_text("does not answer")
    assert get_item(page) == item
    expect(page.locator("#selection")).to_contain_text("bar 1 beat 1")
    with StudioProcess(tmp_path, "--api", "none", "--port", str(port)) as studio:
        wait_until(page, "h.live.open")
        wait_until(page, "h.documents.project.items.length === 1")
        page.keyboard.press("ArrowUp")
        wait_until(page, "h.documents.project.undo === 'move 1 note'")
        wait_until(page, f"h.documents.item.notes.melody[0][1] === {item['notes']['melody'][0][1] + 1}")


def test_takes_are_shown_named_used_and_put_back(page: Page) -> None:
    open_ready(page)
    wait_until(page, "h.live.hasBand")
    page.get_by_role("button", name="Start").click()
    page.keyboard.down("c")
    wait_until(page, "h.live.state.playing")
    page.keyboard.up("c")
    wait_until(page, "h.performed.sounded.notes.some(({ role }) => role === 'bass')")
    page.get_by_role("button", name="Stop").click()
    page.locator("#takes summary").click()
    assert read(page, "document.querySelector('#takes details').open")
    takes = page.get_by_role("listbox", name="Takes").get_by_role("option")
    expect(takes).not_to_have_count(0, timeout=30_000)
    expect(takes.first).not_to_contain_text("being played", timeout=30_000)
    takes.first.click()
    wait_until(page, "h.documents.item?.kind === 'take' && h.documents.item.notes.bass.length > 0")
    page.get_by_role("button", name="Play take").click()
    wait_until(page, "h.player.isPlaying && h.player.item.kind === 'take'")
    page.get_by_role("button", name="Rename take").click()
    page.get_by_role("textbox", name="Name").fill("First try")
    page.keyboard.press("Enter")
    expect(takes.first).to_contain_text("First try")
    page.get_by_role("button", name="Use take as input").click()
    wait_until(page, "h.documents.item.kind === 'input'")
    count = takes.count()
    page.get_by_role("button", name="Delete take").click()
    expect(takes).to_have_count(count - 1)
    page.get_by_role("button", name="Put back").click()
    expect(takes).to_have_count(count)
    assert read(page, "h.documents.item.kind") == "input"
