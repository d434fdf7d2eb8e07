"""The way of a lesson: record a melody, hear GAN against AR-CNN, change the creative risk, and take the music home."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import mido
from playwright.sync_api import Page, expect

from tests.support.studio_page import (
    choose_technique,
    download,
    make_result,
    open_ready,
    read,
    record_melody,
    wait_for_sound,
    wait_until,
)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXPORTED_SIZE = (1920, 1080)


def test_record_make_compare_change_and_export(
    page: Page, tmp_path: Path, take_picture: Callable[[Page, str], None]
) -> None:
    open_ready(page)
    melody = record_melody(page)
    assert melody["bars"] == 8
    assert len(melody["notes"]["melody"]) == 32
    assert melody["bpm"] == 240

    choose_technique(page, "gan")
    gan = make_result(page)
    assert gan["technique"] == "gan"
    assert gan["parent"] == melody["id"]
    assert gan["notes"]["bass"]
    assert gan["notes"]["drums"]
    wait_for_sound(page, "melody", "bass", "drums")

    choose_technique(page, "arcnn")
    edited = make_result(page)
    assert edited["notes"]["edits"]
    assert not edited["notes"]["bass"]
    wait_for_sound(page, "edits")

    page.get_by_role("button", name="Compare").click()
    wait_until(page, f"h.documents.item.id === '{gan['id']}' && h.player.item.id === '{gan['id']}'")
    expect(page.get_by_role("button", name="Compare")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Backquote")
    wait_until(page, f"h.player.item.id === '{edited['id']}' && h.player.isPlaying")

    page.get_by_label("Creative risk").fill("3")
    wait_until(page, "h.settings.get('creative_risk') === 3")
    bolder = make_result(page)
    assert bolder["controls"]["creative_risk"] == 3
    assert bolder["notes"]["edits"] != edited["notes"]["edits"]

    other = make_result(page, press="Another one")
    assert other["seed"] == bolder["seed"] + 1
    assert other["notes"]["edits"] != bolder["notes"]["edits"]

    page.get_by_role("listbox", name="Results").get_by_role("option").last.click()
    wait_until(page, f"h.documents.item.id === '{gan['id']}' && h.player.isPlaying")
    expect(page.locator("#messages")).to_be_empty(timeout=10_000)
    take_picture(page, "studio")
    check_exports(page, tmp_path)


def check_exports(page: Page, folder: Path) -> None:
    """Export the result that is shown in all ways, and check the files."""
    counts = read(page, "Object.fromEntries(Object.entries(h.documents.item.notes).map(([r, l]) => [r, l.length]))")
    song = mido.MidiFile(download(page, "Export MIDI", folder))
    begun = {track.name: sum(each.type == "note_on" and each.velocity > 0 for each in track) for track in song.tracks}
    assert {role: count for role, count in begun.items() if count} == {
        role: count for role, count in counts.items() if count
    }
    with wave.open(str(download(page, "Export WAV", folder))) as sound:
        assert sound.getnframes() > 7 * sound.getframerate()
        assert any(sound.readframes(sound.getframerate()))
    path = download(page, "Export PNG", folder)
    assert path.name == "melody-1-gan-pop-seed-0.png"
    picture = path.read_bytes()
    assert picture.startswith(PNG_SIGNATURE)
    assert (int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")) == EXPORTED_SIZE
