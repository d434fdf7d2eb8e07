"""What a person does with the studio's page, for tests in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

#: eight bars of a melody in 4/4, a note a beat: Ode to Joy
MELODY_PITCHES = [60 + "c d ef g".index(name) for name in "eefggfedccdeedddeefggfedccdedccc"]
#: plays keys at moments of the page's clock, however late the page is: (when it is pressed, pitch, length), in ms
PLAY_KEYS = """async (keys) => {
  const { emit } = await import("/static/js/bus.js");
  for (const [atMs, pitch, lengthMs] of keys) {
    const key = { pitch, velocity: 90, source: "test" };
    emit("key", { ...key, on: true, atMs });
    emit("key", { ...key, on: false, atMs: atMs + lengthMs });
  }
}"""
#: how long what the page shall show may take, on a machine that does other things, too
PATIENCE_MS = 60_000


def read(page: Page, expression: str) -> Any:
    """Return the value of a JavaScript expression, in which `h` is what the page shows to tests."""
    return page.evaluate(f"() => {{ const h = window.houseband; return ({expression}); }}")


def wait_until(page: Page, expression: str, message: str = "") -> None:
    """Wait until a JavaScript expression, in which `h` is what the page shows to tests, is true."""
    try:
        page.wait_for_function(
            f"() => {{ const h = window.houseband; return Boolean({expression}); }}", polling=50, timeout=PATIENCE_MS
        )
    except Exception as error:
        told = page.locator("#messages").inner_text()
        raise AssertionError(f"{message or expression} has not come; the page says {told!r}") from error


def open_ready(page: Page) -> Page:
    """Wait until the page and its project are there; return the page."""
    wait_until(page, "h?.ready && h.documents.project !== null && h.live.open")
    return page


def get_item(page: Page) -> dict[str, Any]:
    """Return the whole item that is shown."""
    item: dict[str, Any] = json.loads(read(page, "JSON.stringify(h.documents.item)"))
    return item


def take_example(page: Page, name: str = "ode") -> dict[str, Any]:
    """Take an example as the input; return it."""
    before = read(page, "h.documents.project.items.length")
    page.get_by_label("Example").select_option(name)
    wait_until(page, f"h.documents.project.items.length === {before + 1}")
    item = get_item(page)
    assert item["id"] == read(page, "h.documents.project.items.at(-1).id")
    return item


def choose_technique(page: Page, technique: str) -> None:
    """Choose a technique, and wait until it holds."""
    page.get_by_label("Technique").select_option(technique)
    wait_until(page, f"h.settings.get('technique') === {json.dumps(technique)}")


def make_result(page: Page, press: str = "Make") -> dict[str, Any]:
    """Press Make, or another button that has a result made; return it, once it is shown."""
    before = read(page, "h.documents.chosenId")
    page.get_by_role("button", name=press, exact=True).click()
    wait_until(page, f"h.documents.item.kind === 'result' && h.documents.item.id !== {json.dumps(before)}", "a result")
    return get_item(page)


def wait_for_sound(page: Page, *roles: str) -> None:
    """Wait until each of the roles is heard: there is a signal at its meter."""
    for role in roles:
        wait_until(page, f"h.player.isPlaying && h.synth.peak({json.dumps(role)}) > 0", f"sound of {role}")


def record_melody(page: Page, bars: int = 8, bpm: int = 240) -> dict[str, Any]:
    """Press Record, play a note a beat, and press it again; return the input."""
    page.get_by_label("Tempo").fill(str(bpm))
    page.get_by_label("Tempo").press("Enter")
    wait_until(page, f"h.settings.get('bpm') === {bpm}")
    page.get_by_label("Tempo").blur()
    before = read(page, "h.documents.chosenId")
    page.get_by_role("button", name="Record").click()
    wait_until(page, "h.recorder.state === 'recording'", "the end of the count-in")
    begun, beat = read(page, "h.recorder.zeroMs"), 60_000 / bpm
    melody = enumerate(MELODY_PITCHES * (bars // 8))
    page.evaluate(PLAY_KEYS, [[begun + beat * number, pitch, beat / 2] for number, pitch in melody])
    page.get_by_role("button", name="Record").click()
    wait_until(page, f"h.documents.item?.kind === 'input' && h.documents.item.id !== {json.dumps(before)}", "an input")
    return get_item(page)


def download(page: Page, press: str, folder: Path) -> Path:
    """Press a button that exports, and return the file that is downloaded."""
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        page.get_by_role("button", name=press, exact=True).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path
