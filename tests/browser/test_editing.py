"""Editing on the page: notes with the keyboard and the pointer, bars made anew, the AR-CNN's edits one by one."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.studio_page import (
    choose_technique,
    get_item,
    make_result,
    open_ready,
    read,
    take_example,
    wait_until,
)

Note = list[int]


@pytest.fixture
def editing(page: Page) -> Page:
    """The page with an example as its input, and the focus on the roll."""
    take_example(open_ready(page))
    page.locator("#roll").focus()
    return page


def get_melody(page: Page) -> list[Note]:
    """Return the melody of the item that is shown, as the server has it."""
    notes: list[Note] = read(page, "fetch('/api/project/items/' + h.documents.item.id).then(r => r.json())")["notes"][
        "melody"
    ]
    return notes


def wait_for_step(page: Page, label: str) -> None:
    """Wait until a step that can be undone has a label."""
    wait_until(page, f"h.documents.project.undo === '{label}'")


def test_notes_are_changed_with_the_keyboard(editing: Page) -> None:
    page = editing
    first, second, *others = get_melody(page)
    selection = page.locator("#selection")
    page.keyboard.press("Control+Home")  # no key of the editor
    page.keyboard.press("PageDown")
    expect(selection).to_contain_text("bar 1 beat 1")
    page.keyboard.press("Tab")
    expect(selection).to_contain_text("bar 1 beat 2")
    for key, changed, label in (
        ("ArrowUp", [24, second[1] + 1, second[2], second[3]], "move 1 note"),
        ("ArrowRight", [30, second[1] + 1, second[2], second[3]], "move 1 note"),
        ("Shift+ArrowRight", [30, second[1] + 1, second[2] + 6, second[3]], "stretch 1 note"),
        ("Alt+ArrowUp", [30, second[1] + 1, second[2] + 6, second[3] + 8], "change the velocity of 1 note"),
    ):
        page.keyboard.press(key)
        wait_until(page, f"JSON.stringify(h.documents.item.notes.melody).includes('[{','.join(map(str, changed))}]')")
        wait_for_step(page, label)
        assert get_melody(page) == [first, changed, *others]
    page.keyboard.press("Delete")
    wait_for_step(page, "delete 1 note")
    assert get_melody(page) == [first, *others]
    for _ in range(5):
        page.keyboard.press("Control+z")
    wait_until(page, f"h.documents.item.notes.melody.length === {len(others) + 2}")
    wait_until(page, f"JSON.stringify(h.documents.item.notes.melody[1]) === '[{','.join(map(str, second))}]'")
    assert get_melody(page) == [first, second, *others]
    page.keyboard.press("Control+Shift+z")
    wait_until(page, f"h.documents.item.notes.melody[1][1] === {second[1] + 1}")


def test_notes_are_added_copied_and_given_another_role(editing: Page) -> None:
    page = editing
    melody = get_melody(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    wait_until(page, f"h.documents.item.notes.melody.length === {len(melody) + 1}")
    added = [0, melody[0][1] + 1, 6, 80]
    assert added in get_melody(page)
    page.keyboard.press("Control+c")
    page.keyboard.press("Escape")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+v")
    wait_until(page, f"h.documents.item.notes.melody.length === {len(melody) + 2}")
    assert [24, *added[1:]] in get_melody(page)
    page.get_by_label("Role").select_option("bass")
    wait_until(page, "h.documents.item.notes.bass.length === 1")
    page.locator("#roll").focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#selection")).to_contain_text(f"{len(melody) + 2} notes selected")
    page.get_by_label("Grid").select_option(label="1/4")
    page.get_by_role("button", name="Quantise").click()
    wait_until(page, "Object.values(h.documents.item.notes).flat().every(([tick]) => tick % 24 === 0)")


def find_place(page: Page, index: int) -> tuple[float, float]:
    """Return where on the page the middle of a note of the melody is."""
    x, y = read(
        page,
        f"""(() => {{
          const [tick, pitch, length] = h.documents.item.notes.melody[{index}];
          const frame = h.roll.canvas.getBoundingClientRect();
          const rect = h.roll.rectOf({{ role: "melody", tick, pitch, length }});
          return [frame.x + rect.x + rect.width / 2, frame.y + rect.y + rect.height / 2];
        }})()""",
    )
    return x, y


def test_notes_are_changed_with_the_pointer(editing: Page) -> None:
    page = editing
    melody = get_melody(page)
    x, y = find_place(page, 3)
    page.mouse.click(x, y)
    expect(page.locator("#selection")).to_contain_text("bar 1 beat 4")
    beat = read(page, "24 * h.roll.pxPerTick")
    row = read(page, "h.roll.layout.row")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + beat, y - 2 * row, steps=5)
    page.mouse.up()
    wait_for_step(page, "move 1 note")
    tick, pitch, length, velocity = melody[3]
    assert [tick + 24, pitch + 2, length, velocity] in get_melody(page)
    frame = page.locator("#roll").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 60, frame["y"] + 60)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] - 5, frame["y"] + frame["height"] - 100, steps=5)
    page.mouse.up()
    expect(page.locator("#selection")).to_contain_text("notes selected")
    page.mouse.dblclick(x, y + 5 * row)
    wait_until(page, f"h.documents.item.notes.melody.length === {len(melody) + 1}")
    page.mouse.click(x, frame["y"] + 32)  # the ruler: playing begins there
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "h.player.isPlaying && h.player.positionTick() >= 72")
    page.get_by_role("button", name="Stop").click()
    wait_until(page, "!h.player.isPlaying")


def test_bars_of_a_role_are_made_anew(page: Page) -> None:
    take_example(open_ready(page), "saints")
    before = make_result(page)
    page.get_by_label("First bar").fill("3")
    page.get_by_label("Last bar").fill("4")
    page.get_by_label("Last bar").press("Enter")
    page.locator("#regenerating summary").click()
    for role in ("Chords", "Pad", "Drums"):
        page.locator("#regenerating").get_by_label(role).uncheck()
    page.get_by_role("button", name="Play them anew").click()
    wait_until(page, f"h.documents.item.revision !== '{before['revision']}'")
    after = get_item(page)

    def split(item: dict[str, Any]) -> tuple[list[Note], list[Note]]:
        bass = item["notes"]["bass"]
        return [n for n in bass if 192 <= n[0] < 384], [n for n in bass if not 192 <= n[0] < 384]

    assert {**after["notes"], "bass": []} == {**before["notes"], "bass": []}
    assert split(after)[0] != split(before)[0]
    assert split(after)[1] == split(before)[1]
    page.get_by_role("button", name="Undo").click()
    wait_until(page, f"h.documents.item.revision === '{before['revision']}'")


def test_edits_of_the_arcnn_are_stepped_through_and_undone_one_by_one(page: Page) -> None:
    take_example(open_ready(page))
    choose_technique(page, "arcnn")
    item = make_result(page)
    edits = item["edits"]
    panel = page.get_by_role("region", name="Edits one by one")
    expect(panel.get_by_role("listitem")).to_have_count(len(edits))
    expect(panel.get_by_role("listitem").first).to_contain_text("at bar")
    stepper = page.get_by_role("group", name="Step through the edits")
    stepper.get_by_role("button", name="No edit").click()
    wait_until(page, "h.documents.item.edits_shown === 0")
    original = sorted(note[:2] for note in get_item(page)["notes"]["edits"])
    stepper.get_by_role("button", name="One edit on").click()
    wait_until(page, "h.documents.item.edits_shown === 1")
    first = edits[0]
    place = [first["tick"], first["pitch"]]
    changed = sorted(note[:2] for note in get_item(page)["notes"]["edits"])
    assert changed == sorted([*original, place]) if first["action"] == "add" else place not in changed
    panel.get_by_role("listitem").first.get_by_role("checkbox").uncheck()
    wait_until(page, "h.documents.item.edits[0].kept === false")
    assert sorted(note[:2] for note in get_item(page)["notes"]["edits"]) == original
    stepper.get_by_label("Edits shown").fill(str(len(edits)))
    wait_until(page, f"h.documents.item.edits_shown === {len(edits)}")
    wait_until(page, "h.player.isPlaying")  # it went on playing meanwhile
    page.get_by_role("button", name="Undo").click()
    wait_until(page, f"h.documents.item.edits_shown < {len(edits)} || h.documents.item.edits[0].kept")
