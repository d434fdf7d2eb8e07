from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from daemon.screen import jam_display
from daemon.screen.jam_display import DisplaySetup, JamDisplay
from daemon.screen.jam_picture import JamState, describe_bar, picture
from daemon.screen.piano_roll import LANES, RollNote, lane, lane_heights
from music.note import CHANNELS, Metre

SETUP = DisplaySetup("A tune", "pop", 150, Metre(), 0, 4)  # a step lasts 100 ms
STEP = 100_000_000


def on(role: str, pitch: int) -> bytes:
    return bytes((0x90 | CHANNELS[role], pitch, 80))


def off(role: str, pitch: int) -> bytes:
    return bytes((0x80 | CHANNELS[role], pitch, 0))


@pytest.fixture
def jam() -> JamState:
    """Bar 1 begins at step 10 of the clock."""
    jam = JamState(SETUP)
    jam.take("heard", 10 * STEP, on("melody", 60), None)
    jam.take("sent", 12 * STEP, on("bass", 36), 0.5)
    jam.take("heard", 14 * STEP - 3, off("melody", 60), 0.5)
    jam.take("heard", 14 * STEP - 2, on("melody", 64), 0.5)
    jam.take("sent", 16 * STEP, off("bass", 36), 1.0)
    return jam


def test_steps_and_bars_count_from_the_first_note(jam: JamState) -> None:
    assert [jam.step_at(at * STEP) for at in (9, 10, 11)] == [-1, 0, 1]
    assert [jam.bar_at(at * STEP) for at in (9, 10, 25, 26)] == [0, 1, 1, 2]
    assert jam.isr == 1.0


def test_an_upbeat_comes_before_bar_1() -> None:
    jam = JamState(DisplaySetup("A tune", "pop", 150, Metre(), 24, 4))
    jam.take("heard", 0, on("melody", 60), None)
    assert (jam.step_at(0), jam.step_at(4 * STEP)) == (-4, 0)


def test_a_lane_shows_onsets_sustain_and_bars(jam: JamState) -> None:
    assert jam.lane("melody", 17 * STEP + 1, 10, 2) == ["  |   ####"[:6] + "#===", "  #===    "]
    assert jam.lane("bass", 17 * STEP, 10, 1) == ["  | #===  "]
    assert jam.lane("drums", 17 * STEP, 10, 2) == ["  |       "] * 2


def test_what_is_no_note_or_no_role_of_ours_is_not_drawn(jam: JamState) -> None:
    before = len(jam.notes)
    for data in (b"\xfa", bytes((0xB1, 7, 100)), bytes((0x97, 60, 80))):
        jam.take("sent", 17 * STEP, data, 1.0)
    assert len(jam.notes) == before


def test_planned_notes_stand_right_of_the_now_line_and_what_sounds_covers_them() -> None:
    notes = [RollNote(0, 3, 60), RollNote(3, 6, 60, planned=True), RollNote(6, 7, 62, planned=True)]
    assert lane(notes, 0, 10, 2, 8, now=4) == ["|   ! o-| ", "#===--- | "]


@pytest.mark.parametrize("total", [5, 12, 22, 60])
def test_every_lane_gets_rows(total: int) -> None:
    rows = lane_heights(total)
    assert set(rows) == set(LANES)
    assert all(rows.values())
    assert sum(rows.values()) <= max(total, len(LANES))


@pytest.mark.parametrize(("ascii_only", "signs"), [(True, "#="), (False, "█━")])
def test_the_picture_fits_and_names_what_it_shows(jam: JamState, ascii_only: bool, signs: str) -> None:
    text = picture(jam, 18 * STEP, 60, 22, ascii_only).plain
    lines = text.rstrip("\n").split("\n")
    assert len(lines) <= 22
    assert max(map(len, lines)) <= 60
    assert lines[0] == "bar  1/4   in time 1.000   pop   150 bpm   A tune"
    assert {line.split(" ")[0] for line in lines[1:]} >= set(LANES)
    assert signs in text


def test_before_the_first_note_there_is_a_picture_too() -> None:
    assert "bar  0/4   in time -" in picture(JamState(SETUP), 5, 60, 22, True).plain


def test_a_bar_in_words(jam: JamState) -> None:
    jam.take("sent", 12 * STEP, on("chords", 64), 1.0)
    jam.take("sent", 12 * STEP, on("chords", 60), 1.0)
    jam.take("sent", 26 * STEP, on("drums", 36), 1.0)
    first = "bar  1/4  melody C4 E4  chords C4+E4  pad -  bass C2  drums 0 hits  in time 1.000"
    assert describe_bar(jam, 1) == first
    assert describe_bar(jam, 2) == "bar  2/4  melody -  chords -  pad -  bass -  drums 1 hits  in time 1.000"


def test_a_display_that_stalls_loses_messages_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def stalled(_command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", "import threading; threading.Event().wait()"], **options)

    monkeypatch.setattr(subprocess, "Popen", stalled)
    monkeypatch.setattr(jam_display, "CLOSE_TIMEOUT_S", 0.1)
    shown = JamDisplay(SETUP)
    for at in range(5 * jam_display.MAX_QUEUED_MESSAGES):
        shown.on_output(on("bass", 36), at)
    assert shown._queue.qsize() <= jam_display.MAX_QUEUED_MESSAGES
    shown.close()


def test_a_display_that_has_gone_is_not_missed() -> None:
    shown = JamDisplay(SETUP, plain=True)
    shown._child.stop()
    for at in range(1000):
        shown.on_input(on("melody", 60), at)
    shown.close()
