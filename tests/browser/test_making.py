"""Inputs, techniques and results on the page: imported, made, named, compared, deleted and put back, taken further."""

from __future__ import annotations

import base64
from pathlib import Path

import mido
from playwright.sync_api import Page, expect

from tests.browser.test_page import NAMES
from tests.support.studio_page import (
    choose_technique,
    get_item,
    make_result,
    open_ready,
    read,
    take_example,
    wait_until,
)

CHART = "Title: Two Chords\n\n| C | G7 |\n"


def write_song(path: Path, bars: int = 4) -> Path:
    """Write a MIDI file with a melody of quarter notes."""
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="melody")])
    for beat in range(4 * bars):
        pitch = 60 + (0, 4, 7, 4)[beat % 4]
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=0 if beat == 0 else 120))
        track.append(mido.Message("note_off", note=pitch, time=360))
    song.tracks.append(track)
    song.save(path)
    return path


def import_file(page: Page, path: Path) -> None:
    """Choose a file behind the button Import."""
    with page.expect_file_chooser() as waiting:
        page.get_by_role("button", name="Import").click()
    waiting.value.set_files(path)


def drop_file(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page."""
    page.evaluate(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name));
          for (const type of ["dragenter", "dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
          }
        }""",
        [name, base64.b64encode(content).decode()],
    )


def test_what_has_nothing_to_work_on_says_what_to_do(page: Page) -> None:
    open_ready(page)
    assert read(page, "h.documents.project.items.length") == 0
    for name in ("Export MIDI", "Export WAV", "Export PNG", "Compare"):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#messages")).to_contain_text(f"nothing to {name.split()[0].lower()} yet")
    for name in ("Undo", "Redo", "Make"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()


def test_files_are_imported_by_the_button_and_dropped(page: Page, tmp_path: Path) -> None:
    open_ready(page)
    import_file(page, write_song(tmp_path / "Four bars.mid"))
    wait_until(page, "h.documents.item?.name === 'Four bars'")
    item = get_item(page)
    assert (item["kind"], item["bars"], len(item["notes"]["melody"])) == ("input", 4, 16)
    expect(page.locator("#roll-text")).to_contain_text("melody 16")

    drop_file(page, "Dropped.mid", (tmp_path / "Four bars.mid").read_bytes())
    wait_until(page, "h.documents.item?.name === 'Dropped'")
    assert not page.locator("body").evaluate("body => body.classList.contains('dropping')")

    drop_file(page, "two.txt", CHART.encode())
    expect(page.locator("#messages")).to_contain_text("Two Chords")
    wait_until(page, "h.settings.get('harmony') === 'chart'")
    result = make_result(page)
    assert [chord for _, chord in result["chords"]][:2] == ["C:maj", "G:7"]
    page.get_by_label("Example").focus()
    page.evaluate("() => window.houseband.settings.set('harmony', 'auto')")
    wait_until(page, "h.settings.get('harmony') === 'auto'")


def test_a_file_that_is_none_is_refused_in_a_sentence(page: Page, tmp_path: Path, expected_errors: list[str]) -> None:
    expected_errors.append("400 (Bad Request)")
    open_ready(page)
    before = read(page, "h.documents.project.items.length")
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd and nothing more")
    import_file(page, broken)
    expect(page.locator("#messages")).to_contain_text("broken.mid")
    assert read(page, "h.documents.project.items.length") == before


def test_items_are_named_trimmed_deleted_and_put_back(page: Page) -> None:
    item = take_example(open_ready(page))
    tools = page.get_by_role("group", name="Chosen input")
    tools.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Name").fill("My tune")
    page.keyboard.press("Enter")
    wait_until(page, "h.documents.item.name === 'My tune'")
    expect(page.locator("#dialog")).to_be_hidden()
    expect(tools.get_by_role("button", name="Trim")).to_be_disabled()
    page.get_by_label("First bar").fill("2")
    page.get_by_label("Last bar").fill("3")
    page.get_by_label("Last bar").press("Enter")
    tools.get_by_role("button", name="Trim").click()
    wait_until(page, "h.documents.item.bars === 2")
    assert get_item(page)["notes"]["melody"] == [
        [tick - 96, *rest] for tick, *rest in item["notes"]["melody"] if 96 <= tick < 288
    ]
    tools.get_by_role("button", name="Delete").click()
    wait_until(page, f"!h.documents.find('{item['id']}')")
    page.get_by_role("button", name="Put back").click()
    wait_until(page, f"h.documents.find('{item['id']}')?.name === 'My tune'")
    wait_until(page, f"h.documents.item.id === '{item['id']}'")


def test_each_technique_offers_what_it_knows(page: Page) -> None:
    take_example(open_ready(page))
    panel = page.locator("#make")
    choose_technique(page, "gan")
    expect(panel.get_by_text("What it may edit")).to_be_hidden()
    expect(panel.get_by_label("It should")).to_be_hidden()
    choose_technique(page, "arcnn")
    expect(panel.get_by_label("It should")).to_be_hidden()
    panel.get_by_text("What it may edit").click()
    panel.get_by_label("Most added, notes").fill("3")
    panel.get_by_label("Most removed, %").fill("0")
    panel.get_by_label("Bars to leave alone").fill("1-8")
    panel.get_by_label("Iterations").fill("40")
    panel.get_by_label("Iterations").press("Tab")
    wait_until(page, "h.settings.get('lock_bars') === '1-8' && h.settings.get('add_max') === 3")
    result = make_result(page)
    assert {edit["action"] for edit in result["edits"]} == {"add"}
    assert len(result["edits"]) == 3
    assert all(edit["tick"] >= 8 * 96 for edit in result["edits"])
    for field, value in (("Most added, notes", "200"), ("Most removed, %", "50"), ("Bars to leave alone", "")):
        panel.get_by_label(field).fill(value)
    panel.get_by_label("Iterations").focus()
    wait_until(page, "h.settings.get('lock_bars') === ''")


def test_the_transformer_goes_on_and_its_result_feeds_the_next_technique(page: Page) -> None:
    melody = take_example(open_ready(page), "amazing-grace")
    choose_technique(page, "transformer")
    page.get_by_label("It should").select_option("extend")
    page.get_by_label("Bars to add").fill("1")
    longer = make_result(page)
    assert longer["bars"] == melody["bars"] + 1
    page.get_by_role("button", name="Use as input", exact=True).click()
    wait_until(page, "h.documents.item.kind === 'input'")
    taken = get_item(page)
    assert taken["notes"] == longer["notes"]
    choose_technique(page, "arcnn")
    edited = make_result(page)
    assert edited["parent"] == taken["id"]
    choose_technique(page, "gan")


def test_what_is_made_can_be_called_off(page: Page) -> None:
    take_example(open_ready(page))
    choose_technique(page, "transformer")
    page.get_by_label("It should").select_option("extend")
    page.get_by_label("Bars to add").fill("32")
    before = read(page, "h.documents.project.items.length")
    page.get_by_role("button", name="Make", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#messages")).to_contain_text("Cancelled")
    expect(page.get_by_role("button", name="Make", exact=True)).to_be_enabled()
    assert read(page, "h.documents.project.items.length") == before
    page.get_by_label("It should").select_option("accompany")
    choose_technique(page, "gan")


def test_compare_goes_on_at_the_same_place(page: Page) -> None:
    take_example(open_ready(page))
    one = make_result(page)
    other = make_result(page, press="Another one")
    wait_until(page, f"h.player.item?.id === '{other['id']}' && h.player.positionTick() > 100")
    place = read(page, "h.player.positionTick()")
    page.get_by_role("button", name="Compare").click()
    wait_until(page, f"h.player.item.id === '{one['id']}' && h.documents.item.id === '{one['id']}'")
    assert read(page, "h.player.positionTick()") >= place  # it began anew nowhere
    assert read(page, "h.player.isPlaying")
    results = page.get_by_role("listbox", name="Results")
    expect(results.get_by_role("option", selected=True)).to_contain_text("B")
    page.get_by_role("button", name="Compare").click()
    wait_until(page, f"h.player.item.id === '{other['id']}'")
    page.get_by_role("button", name="Back", exact=True).click()
    wait_until(page, "h.settings.get('seed') === 0")
    check_fixed_names(page)


def check_fixed_names(page: Page) -> None:
    """Check that scripts find each thing of a fixed name, and nothing else by it, whatever the page shows."""
    for role, names in NAMES.items():
        for name in names:
            expect(page.get_by_role(role, name=name)).to_have_count(1)  # type: ignore[arg-type]
            if role != "button":
                expect(page.get_by_label(name)).to_have_count(1)
