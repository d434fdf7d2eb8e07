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


#: makes answers that are whole items, of those that it names ("": of all), wait in `held` until the test lets them go
HOLD_ITEMS = """(id) => {
  const fetched = window.fetch;
  Object.assign(window, { held: [], holds: true });
  window.fetch = async (path, options) => {
    const answer = await fetched(path, options);
    const isItem = options?.method === "GET" && /^[/]api[/]project[/]items[/][a-z0-9]+$/.test(path);
    if (isItem && path.endsWith(id) && window.holds) await new Promise((go) => window.held.push(go));
    return answer;
  };
  window.letGo = () => {
    window.holds = false;
    for (const go of window.held.splice(0)) go();
  };
}"""
#: notes in `torn` what was told of while the item that was shown was another one than the project has
WATCH = """async () => {
  const { on } = await import("/static/js/bus.js");
  const { documents } = window.houseband;
  window.torn = [];
  for (const name of ["item:marked", "project:changed", "item:chosen", "editor"]) {
    on(name, () => {
      const { chosenId, item } = documents;
      if (item.id !== chosenId || item.revision !== documents.find(chosenId).revision) window.torn.push(name);
    });
  }
}"""


def test_project_and_item_change_together_however_late_the_item_comes(page: Page) -> None:
    item = take_example(open_ready(page))
    page.locator("#roll").focus()
    page.keyboard.press("PageDown")
    page.evaluate(WATCH)
    page.evaluate(HOLD_ITEMS, "")
    page.keyboard.press("ArrowUp")
    wait_until(page, "held.length > 0")
    assert get_item(page) == item
    assert read(page, "h.documents.project.undo").startswith("add ")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Delete")
    page.keyboard.press("Control+z")
    page.evaluate("letGo()")
    wait_until(page, "h.documents.project.redo === 'delete 1 note'")
    assert read(page, "h.documents.project.undo") == "move 1 note"
    tick, pitch, *others = item["notes"]["melody"][0]
    assert get_item(page)["notes"]["melody"] == [[tick, pitch + 1, *others], *item["notes"]["melody"][1:]]
    assert read(page, "h.editor.notes") == get_item(page)["notes"]
    assert read(page, "torn") == []


def test_of_items_that_are_chosen_one_after_the_other_the_last_is_shown(page: Page) -> None:
    first = take_example(open_ready(page))
    last = take_example(page, "saints")
    page.add_init_script(f"({HOLD_ITEMS})('{first['id']}')")
    page.reload()
    open_ready(page)
    page.evaluate(WATCH)
    inputs = page.get_by_role("listbox", name="Inputs")
    for item in (first, last, first):
        inputs.locator(f"[data-id={item['id']}]").click()
        assert get_item(page) == last
    page.evaluate("letGo()")
    wait_until(page, f"h.documents.item.id === '{first['id']}'")
    assert get_item(page) == first
    assert read(page, "torn") == []


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
