"""Sound on the page: there is a signal where there should be one, and silence where there should be none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.studio import StudioProcess
from tests.support.studio_page import PLAY_KEYS, open_ready, read, wait_until

#: a sound that somebody hears, and what nobody does
AUDIBLE, SILENT = 0.01, 0.001
#: an octave of C major, a note a beat for eight beats; bars 1 and 2
SCALE = [[24 * beat, pitch, 20, 100] for beat, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]
FILE_BANK = "houseband built-in"


def make_item(name: str, **notes: list[list[int]]) -> dict[str, Any]:
    """Return an item as the server has it, of two bars at 240 bpm."""
    return {"id": name, "bpm": 240, "metres": [[0, "4/4"]], "bars": 2, "ticks": 192, "notes": notes}


def play(page: Page, item: dict[str, Any], options: str = "{}") -> None:
    """Play an item."""
    page.evaluate(f"(item) => window.houseband.player.play(item, {options})", item)


def start_band(page: Page) -> None:
    """Press Start, and play the note that the band waits for."""
    wait_until(page, "h.live.hasBand", "a band")
    page.get_by_role("button", name="Start").click()
    wait_until(page, "h.live.state.playing || h.live.state.waiting_for?.includes('note')")
    page.keyboard.press("z", delay=150)
    wait_until(page, "h.live.state.playing", "the band's beginning")


def wait_for_signal(page: Page) -> None:
    """Wait until the master's analyser has a signal that somebody hears."""
    wait_until(page, f"{_PEAK} > {AUDIBLE}", "a signal")


def wait_for_silence(page: Page) -> None:
    """Wait until it has none: rooms and releases die away. What is still heard is told where it does not come."""
    try:
        wait_until(page, f"{_PEAK} < {SILENT}", "silence")
    except AssertionError as error:
        raise AssertionError(f"silence has not come: {page.evaluate(_DESCRIBE_SOUND)}") from error


_PEAK = """(() => {
  const samples = new Float32Array(h.synth.analyser.fftSize);
  h.synth.analyser.getFloatTimeDomainData(samples);
  return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
})()"""

#: what is known of a sound that does not end, twice, half a second apart: a clock that stands still is the browser's
_DESCRIBE_SOUND = f"""async () => {{
  const h = window.houseband;
  const describe = () => ({{
    time: h.synth.context.currentTime,
    state: h.synth.context.state,
    playing: h.player.isPlaying,
    live: h.live.state.playing,
    coming: h.synth.coming.length,
    voices: h.synth.worklet.voiceCount,
    master: String({_PEAK}),
    roles: Object.fromEntries([...h.synth.output.strips.keys()].map((role) => [role, h.synth.peak(role)])),
  }});
  const first = describe();
  await new Promise((done) => setTimeout(done, 500));
  return JSON.stringify([first, describe()]);
}}"""


@pytest.fixture
def sounding(page: Page) -> Iterator[Page]:
    """The page, once it sounds; it is stopped afterwards."""
    open_ready(page)
    wait_until(page, "h.synth.isReady", "the sound")
    yield page
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Panic").click()


def test_keys_of_the_computer_sound_and_end(sounding: Page) -> None:
    wait_for_silence(sounding)
    sounding.locator("#roll").click()
    sounding.keyboard.down("z")
    wait_until(sounding, f"h.synth.peak('melody') > {AUDIBLE}", "the key's sound")
    wait_for_signal(sounding)
    sounding.keyboard.up("z")
    wait_until(sounding, f"h.synth.peak('melody') < {SILENT}", "the end of the key's sound")


def test_the_band_is_heard_until_stop(sounding: Page) -> None:
    start_band(sounding)
    wait_until(sounding, f"h.synth.peak('bass') > {AUDIBLE} || h.synth.peak('drums') > {AUDIBLE}", "the band")
    assert read(sounding, "h.liveSound.noteCount") > 0
    sounding.get_by_role("button", name="Stop").click()
    wait_until(sounding, "!h.live.state.playing")
    wait_for_silence(sounding)
    assert read(sounding, "h.liveSound.sounding.size") == 0


def test_panic_silences_what_is_played_back_and_what_was_to_come(sounding: Page) -> None:
    play(sounding, make_item("long", pad=[[0, 60, 192, 100]], melody=SCALE))
    wait_until(sounding, f"h.synth.peak('pad') > {AUDIBLE} && h.synth.peak('melody') > {AUDIBLE}", "the item")
    sounding.get_by_role("button", name="Panic").click()
    wait_for_silence(sounding)
    assert not read(sounding, "h.player.isPlaying")


def test_a_note_that_begins_as_it_is_ended_does_not_sound_on(sounding: Page) -> None:
    """Between two blocks of samples the page's audio clock is ahead of the synthesiser's."""
    wait_for_silence(sounding)
    hanging = sounding.evaluate(
        """async (tries) => {
          const { synth } = window.houseband;
          const wait = (ms) => new Promise((done) => setTimeout(done, ms));
          let hanging = 0;
          for (let each = 0; each < tries; each += 1) {
            const begin = performance.now() + 20;
            synth.noteOn("pad", 60, 100, begin + synth.latencyMs);
            for (const end = begin - 18 + 20 * Math.random(); performance.now() < end; ) await wait(0);
            synth.silence();
            await wait(60);
            let peak = 0;
            for (let look = 0; look < 3; look += 1) {
              await wait(12);
              peak = Math.max(peak, synth.peak("pad"));
            }
            if (peak > 0.003) hanging += 1;
            synth.panic();
          }
          return hanging;
        }""",
        60,
    )
    assert hanging == 0


def test_what_was_handed_over_is_taken_back(sounding: Page) -> None:
    wait_for_silence(sounding)
    peak = sounding.evaluate(
        """async () => {
          const { synth } = window.houseband;
          const wait = (ms) => new Promise((done) => setTimeout(done, ms));
          for (const role of ["melody", "bass", "pad"]) synth.noteOn(role, 48, 127, performance.now() + 150);
          await wait(20);
          synth.silence();
          let peak = 0;
          for (let each = 0; each < 30; each += 1) {
            await wait(15);
            for (const role of ["melody", "bass", "pad"]) peak = Math.max(peak, synth.peak(role));
          }
          return peak;
        }"""
    )
    assert peak < SILENT


def test_a_lost_server_ends_the_notes_of_the_band(sounding: Page) -> None:
    sounding.evaluate(
        """async () => {
          const { emit } = await import("/static/js/bus.js");
          const due = (performance.now() - window.houseband.live.clock.offsetMs) * 1e6;
          emit("live:note", { role: "pad", on: true, pitch: 60, velocity: 120, due });
        }"""
    )
    wait_until(sounding, f"h.synth.peak('pad') > {SILENT}", "the note")
    sounding.evaluate("async () => (await import('/static/js/bus.js')).emit('live:closed')")
    wait_until(sounding, f"h.synth.peak('pad') < {SILENT}", "its end")


def test_a_note_of_the_band_that_comes_late_sounds_at_once_and_ends(sounding: Page) -> None:
    sounding.evaluate(
        """async () => {
          const { emit } = await import("/static/js/bus.js");
          const due = (performance.now() - 400 - window.houseband.live.clock.offsetMs) * 1e6;
          const note = { role: "bass", pitch: 40, velocity: 120, due };
          emit("live:note", { ...note, on: true });
          setTimeout(() => emit("live:note", { ...note, on: false }), 700);
        }"""
    )
    wait_until(sounding, f"h.synth.peak('bass') > {AUDIBLE}", "the note")
    wait_until(sounding, f"h.synth.peak('bass') < {SILENT}", "its end")


def test_what_is_played_elsewhere_sounds_and_what_comes_back_does_not_sound_twice(sounding: Page) -> None:
    played = sounding.evaluate(
        """async () => {
          const { emit, on } = await import("/static/js/bus.js");
          const { live } = window.houseband;
          live.band = { status: "playing", own: true, ports: false };
          const heard = (pitch, isOn) => emit("live:heard", { pitch, on: isOn, velocity: 90, channel: 1, at: 0 });
          const played = [];
          const end = on("played", ({ pitch, on: isOn, source }) => played.push([pitch, isOn, source]));
          for (const isOn of [true, false]) {
            emit("key", { pitch: 60, on: isOn, velocity: 90, atMs: performance.now(), source: "test" });
          }
          for (const isOn of [true, false]) heard(60, isOn);
          heard(64, true);
          end();
          return played;
        }"""
    )
    assert played == [[60, True, "test"], [60, False, "test"], [64, True, "band"]]
    wait_until(sounding, f"h.synth.peak('melody') > {AUDIBLE}", "the key of another keyboard")


def test_mute_and_solo(sounding: Page) -> None:
    play(sounding, make_item("both", pad=[[0, 60, 192, 100]], bass=[[0, 36, 190, 100]]))
    wait_until(sounding, f"h.synth.peak('pad') > {AUDIBLE} && h.synth.peak('bass') > {AUDIBLE}", "both")
    mute = sounding.get_by_role("button", name="Mute pad")
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    wait_until(sounding, f"h.synth.peak('pad') < {SILENT} && h.synth.peak('bass') > {AUDIBLE}", "bass alone")
    mute.click()
    solo = sounding.get_by_role("button", name="Solo pad")
    solo.click()
    wait_until(sounding, f"h.synth.peak('pad') > {AUDIBLE} && h.synth.peak('bass') < {SILENT}", "pad alone")
    solo.click()
    wait_until(sounding, f"h.synth.peak('bass') > {AUDIBLE}", "both again")


def test_a_level_and_an_instrument_are_the_bands_controls(sounding: Page) -> None:
    sounding.get_by_label("Bass level").fill("0.5")
    sounding.get_by_label("Bass instrument").select_option("39")
    wait_until(sounding, "h.live.state.controls['level.bass'] === 0.5 && h.live.state.controls['program.bass'] === 39")
    assert read(sounding, "[h.synth.mix.bass.level, h.synth.mix.bass.program]") == [0.5, 39]
    sounding.get_by_label("Bass instrument").select_option("0")
    sounding.get_by_label("Bass level").fill("1")


def test_another_item_takes_over_at_the_same_place(sounding: Page) -> None:
    play(sounding, make_item("a", pad=[[0, 60, 192, 100]]))
    wait_until(sounding, f"h.synth.peak('pad') > {AUDIBLE} && h.player.positionTick() > 48", "the first")
    before, after, passed_ms = sounding.evaluate(
        """(item) => {
          const { player } = window.houseband;
          const begun = performance.now();
          const before = player.positionTick();
          player.switchTo(item);
          const after = player.positionTick();
          return [before, after, performance.now() - begun];
        }""",
        make_item("b", chords=[[0, 60, 192, 100]]),
    )
    assert 0 <= after - before < 2 + passed_ms * 240 * 24 / 60_000
    wait_until(sounding, f"h.synth.peak('chords') > {AUDIBLE} && h.synth.peak('pad') < {SILENT}", "the second")
    assert read(sounding, "h.player.item.id") == "b"


def test_a_loop_comes_round_and_playing_once_ends(sounding: Page) -> None:
    play(sounding, make_item("loop", melody=SCALE), "{ fromTick: 90, loop: [48, 96] }")
    wait_until(sounding, "h.player.positionTick() < 60", "the loop's beginning")
    assert 48 <= read(sounding, "h.player.positionTick()") < 96
    play(sounding, make_item("once", melody=SCALE), "{ fromTick: 150, loop: null }")
    wait_until(sounding, "!h.player.isPlaying", "the end")
    wait_for_silence(sounding)


def test_the_recorder_takes_each_key_at_its_tick(sounding: Page) -> None:
    bpm = 200
    sounding.evaluate(f"() => window.houseband.recorder.start({{ bpm: {bpm}, metre: '3/4', countIn: 1, click: true }})")
    zero = read(sounding, "h.recorder.zeroMs")
    tick = 60_000 / bpm / 24
    wanted = [(0, 60, 20), (24, 62, 12), (37, 64, 6), (72, 65, 24), (96, 65, 24)]
    keys = [[zero + at * tick + 0.2, pitch, length * tick] for at, pitch, length in wanted]
    early = [zero - 2 * tick, 72, 5 * tick]  # belongs to bar 1
    practice = [zero - 40 * tick, 73, 5 * tick]  # does not
    sounding.evaluate(PLAY_KEYS, [practice, early, *keys])
    sounding.evaluate("async () => (await import('/static/js/bus.js')).emit('stop')")
    recorded = read(sounding, "JSON.stringify(h.recorder.stop())")
    assert json.loads(recorded) == {
        "notes": {
            "melody": [[0, 60, 20, 90], [0, 72, 3, 90], *([at, pitch, length, 90] for at, pitch, length in wanted[1:])]
        },
        "bpm": bpm,
        "metres": [[0, "3/4"]],
        "bars": 2,
    }


def test_keys_that_are_held_end_with_the_recording(sounding: Page) -> None:
    sounding.evaluate("() => window.houseband.recorder.start({ bpm: 300, countIn: 0 })")
    sounding.evaluate(
        """async () => {
          const { emit } = await import("/static/js/bus.js");
          const atMs = window.houseband.recorder.zeroMs + 1;
          emit("key", { pitch: 60, on: true, velocity: 80, atMs, source: "test" });
        }"""
    )
    wait_until(sounding, "h.recorder.tickAt(performance.now()) > 30")
    recorded = read(sounding, "h.recorder.stop()")
    ((tick, pitch, length, _velocity),) = recorded["notes"]["melody"]
    assert (tick, pitch) == (0, 60)
    assert length >= 30
    assert recorded["bars"] == max(1, -(-(length - 23) // 96))  # an overhang of less than a beat makes no bar
    assert read(sounding, "h.recorder.open.size") == 0


def test_the_metronome_clicks_while_the_band_plays(sounding: Page) -> None:
    sounding.get_by_label("Metronome").check()
    assert read(sounding, "h.synth.clicks.coming.size") == 0
    start_band(sounding)
    wait_until(sounding, "h.live.state.playing && h.synth.clicks.coming.size > 0", "a click")
    sounding.get_by_label("Metronome").uncheck()


def test_where_the_sound_comes_from(page: Page) -> None:
    open_ready(page)

    def find_place(own: bool, ports: bool, audio: bool = False, chosen: str = "null") -> Any:
        band = json.dumps({"status": "playing", "own": own, "ports": ports, "audio": audio})
        return read(page, f"(h.live.band = {band}, h.liveSound.chosen = {chosen}, h.liveSound.place)")

    assert find_place(own=True, ports=False) == find_place(own=True, ports=True) == "page"
    assert find_place(own=False, ports=True) == find_place(own=True, ports=False, audio=True) == "band"
    assert find_place(own=False, ports=False) == "page"
    assert find_place(own=False, ports=True, chosen="'both'") == "both"


def test_the_page_tells_its_latency_and_takes_another(sounding: Page) -> None:
    expect(sounding.locator("#latency")).to_contain_text("Keys sound after")
    before = read(sounding, "h.synth.latencyMs")
    sounding.get_by_label("Extra latency").fill("150")
    sounding.get_by_label("Extra latency").press("Enter")
    assert read(sounding, "h.synth.latencyMs") == pytest.approx(before + 150, abs=20)


def test_without_a_soundfont_the_page_sounds_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage
) -> None:
    with StudioProcess(tmp_path, "--api", "none", "--set", "soundfont=built-in") as studio:
        page = open_ready(open_page(studio.url))
        wait_until(page, "h.synth.isReady", "the sound")
        assert read(page, "h.synth.soundfont") == FILE_BANK
        item = make_item("all", melody=SCALE, bass=[[0, 36, 96, 100]], pad=[[0, 60, 192, 100]], drums=[[0, 36, 6, 120]])
        play(page, item)
        for role in ("melody", "bass", "pad", "drums"):
            wait_until(page, f"h.synth.peak('{role}') > {AUDIBLE}", role)
        page.get_by_role("button", name="Stop").click()
        wait_for_silence(page)
