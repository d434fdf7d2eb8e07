"""Playing on the page: computer keyboard, piano on the screen, MIDI keyboards; and what the roll shows of it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.studio import StudioProcess

#: what is played on the page, noted in order
NOTE_KEYS = """async () => {
  const { on } = await import("/static/js/bus.js");
  window.noted = [];
  on("key", ({ pitch, on }) => window.noted.push(on ? pitch : -pitch));
}"""
#: a MIDI keyboard of a browser that allows it; `plug` and `strike` are the test's hands
FAKE_MIDI = """() => {
  const inputs = new Map();
  const access = new EventTarget();
  access.inputs = inputs;
  navigator.requestMIDIAccess = async () => {
    if (window.refusesMidi) throw new DOMException("no", "SecurityError");
    return access;
  };
  navigator.permissions.query = async () => ({ state: "prompt" });
  window.plug = (id, name) => {
    inputs.set(id, { id, name, state: "connected", onmidimessage: null });
    access.dispatchEvent(new Event("statechange"));
  };
  window.unplug = (id) => {
    inputs.delete(id);
    access.dispatchEvent(new Event("statechange"));
  };
  window.strike = (id, ...data) => {
    inputs.get(id).onmidimessage({ data: new Uint8Array(data), timeStamp: performance.now() });
  };
}"""


@pytest.fixture
def playable(page: Page) -> Page:
    """The page, once the band can be played to and is silent, with a note of all that is played."""
    page.wait_for_function("() => window.houseband.ready && window.houseband.live.hasBand")
    page.evaluate("houseband.live.set('stop', true)")
    page.wait_for_function("() => !window.houseband.live.state.playing")
    page.evaluate(NOTE_KEYS)
    return page


def noted(page: Page) -> list[int]:
    """Return what was played: pitches that began, and, negative, those that ended."""
    found: list[int] = page.evaluate("window.noted")
    return found


def test_both_rows_of_keys_play_by_where_they_are(playable: Page) -> None:
    for key in ("KeyZ", "KeyS", "KeyM", "KeyQ", "Digit2", "KeyP"):
        playable.keyboard.press(key)
    assert [pitch for pitch in noted(playable) if pitch > 0] == [60, 61, 71, 72, 73, 88]
    assert sum(noted(playable)) == 0, "each ends"


def test_octave_keys_move_both_rows_and_leave_no_note_on(playable: Page) -> None:
    playable.keyboard.down("KeyZ")
    playable.keyboard.press("Minus")
    playable.keyboard.up("KeyZ")
    playable.keyboard.press("KeyZ")
    playable.keyboard.press("Equal")
    assert noted(playable) == [60, -60, 48, -48]


def test_a_key_that_repeats_or_has_a_modifier_plays_nothing(playable: Page) -> None:
    playable.keyboard.down("KeyZ")
    playable.keyboard.down("KeyZ")  # as a key that is held does
    playable.keyboard.up("KeyZ")
    for modifier in ("Control", "Alt", "Meta"):
        playable.keyboard.press(f"{modifier}+KeyX")
    assert noted(playable) == [60, -60]


def test_typing_in_a_field_plays_nothing(playable: Page) -> None:
    playable.get_by_label("Metre").focus()
    playable.keyboard.press("KeyZ")
    playable.get_by_role("spinbutton", name="Seed").focus()
    playable.keyboard.press("Digit2")
    assert noted(playable) == []


def test_a_window_that_loses_the_keyboard_ends_what_is_held(playable: Page) -> None:
    playable.keyboard.down("KeyZ")
    playable.evaluate("window.dispatchEvent(new Event('blur'))")
    assert noted(playable) == [60, -60]


def test_the_piano_is_played_by_mouse_across_its_keys(playable: Page) -> None:
    first, second = (playable.get_by_role("button", name=name, exact=True).bounding_box() for name in ("C4", "D4"))
    assert first
    assert second
    low = first["y"] + first["height"] - 6
    playable.mouse.move(first["x"] + first["width"] / 2, low)
    playable.mouse.down()
    playable.mouse.move(second["x"] + second["width"] / 2, low)
    playable.mouse.up()
    assert noted(playable) == [60, -60, 62, -62]


def test_the_piano_is_played_by_keys_with_one_stop_of_tab(playable: Page) -> None:
    assert playable.locator("#piano [tabindex='0']").count() == 1
    playable.get_by_role("button", name="C4", exact=True).focus()
    playable.keyboard.press("ArrowRight")
    playable.keyboard.press("Enter")
    playable.keyboard.press("ArrowUp")
    playable.keyboard.down("Space")
    playable.keyboard.press("Tab")  # away, while it is held
    assert noted(playable) == [61, -61, 73, -73]


def test_a_midi_keyboard_is_asked_for_by_a_click_and_heard_as_it_comes_and_goes(
    studio: StudioProcess, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    page.add_init_script(f"({FAKE_MIDI})()")
    page.goto(studio.url)
    page.wait_for_function("() => window.houseband?.ready")
    page.evaluate(NOTE_KEYS)
    page.get_by_role("button", name="Connect MIDI").click()
    expect(page.get_by_text("plug one in")).to_be_visible()
    page.evaluate("window.plug('a', 'Keystation'); window.plug('b', 'houseband out')")
    expect(page.get_by_text("MIDI: Keystation", exact=True)).to_be_visible()
    page.evaluate("""() => {
      strike('a', 0x90, 64, 100); strike('a', 0x90, 64, 0);
      strike('a', 0xb0, 64, 127); strike('a', 0x90, 65, 100); strike('a', 0x80, 65, 0); strike('a', 0xb0, 64, 0);
      strike('a', 0x90, 67, 100); window.unplug('a');
    }""")
    assert noted(page) == [64, -64, 65, -65, 67, -67]


def test_midi_that_is_refused_is_told_in_a_sentence(studio: StudioProcess, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.add_init_script(f"({FAKE_MIDI})(); window.refusesMidi = true")
    page.goto(studio.url)
    page.wait_for_function("() => window.houseband?.ready")
    page.get_by_role("button", name="Connect MIDI").click()
    expect(page.get_by_text("allow it in the settings of the site")).to_be_visible()


def test_the_band_joins_in_and_the_roll_shows_it_and_counts_it(playable: Page) -> None:
    playable.get_by_role("button", name="Start").click()
    for key in ("KeyQ", "KeyE", "KeyT", "KeyI"):
        playable.keyboard.press(key, delay=300)
    text = playable.locator("#roll-text")
    expect(text).to_contain_text("melody 4")
    expect(text).to_contain_text("drums")
    expect(text).to_contain_text("Planned")
    shown: dict[str, Any] = playable.evaluate(
        "() => ({now: houseband.roll.nowTick, from: houseband.roll.view.fromTick, to: houseband.roll.view.toTick})"
    )
    assert shown["from"] < shown["now"] < shown["to"]
    assert playable.evaluate("houseband.roll.frames.painted") > 0
    expect(playable.locator("#chords")).to_contain_text("4/4")
    playable.get_by_role("button", name="Stop").click()
    playable.wait_for_function("() => !window.houseband.live.state.playing")
    assert playable.evaluate("() => [...houseband.performed.held.keys()]") == []


def test_the_roll_can_be_looked_through_while_it_goes_on(playable: Page) -> None:
    playable.get_by_role("button", name="Start").click()
    playable.keyboard.press("KeyQ", delay=100)
    playable.wait_for_function("() => window.houseband.live.state.playing")
    expect(playable.get_by_role("button", name="Back to now")).to_be_hidden()
    playable.locator("#roll").focus()
    playable.keyboard.press("ArrowLeft")
    start = playable.evaluate("houseband.roll.view.fromTick")
    playable.wait_for_function("() => window.houseband.roll.frames.painted > 20")
    assert playable.evaluate("houseband.roll.view.fromTick") == start, "it stands still"
    playable.get_by_role("button", name="Back to now").click()
    playable.wait_for_function(f"() => window.houseband.roll.view.fromTick !== {start}")
    width = playable.evaluate("houseband.roll.view.toTick - houseband.roll.view.fromTick")
    playable.get_by_role("button", name="Zoom in").click()
    assert playable.evaluate("houseband.roll.view.toTick - houseband.roll.view.fromTick") < width
    playable.get_by_role("button", name="Stop").click()
