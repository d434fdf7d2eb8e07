"""What `houseband top` draws, and from which events."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli import main
from daemon.screen.band_state import METER_HALF_LIFE_NS, BandState
from daemon.screen.top import Viewer, picture, wrap

NS = 20_833_334  # a tick at 120 bpm, and a bit
STATE: dict[str, Any] = {
    "controls": {"style": "jazz", "technique": "gan", "intensity": 0.5, "mute.pad": True},
    "counters": {}, "bpm": 120.0, "playing": True, "tick": 96, "at": 0,
}  # fmt: skip


def scene() -> BandState:
    there = BandState()
    there.begin(STATE, 0)
    return there


def note(role: str, on: bool, pitch: int, tick: int) -> dict[str, Any]:
    return {"event": "note", "role": role, "on": on, "pitch": pitch, "velocity": 100 * on, "tick": tick, "due": 0}


def drawn(there: BandState, now: int, width: int = 56, height: int = 24) -> list[str]:
    return picture(there, now, width, height, ascii_only=True).plain.split("\n")


def test_what_sounded_sounds_and_is_planned_stands_around_the_now_line() -> None:
    there = scene()
    there.take(note("bass", True, 40, 96), 0)
    there.take(note("bass", False, 40, 108), 12 * NS)
    there.take(note("bass", True, 40, 108), 12 * NS)
    there.take({"event": "plan", "notes": {"bass": [[108, 40, 12, 80], [126, 40, 12, 80]]}}, 0)
    lines = drawn(there, 18 * NS)
    (roll,) = [line[16:] for line in lines[1:-3] if "#" in line[16:]]
    # 40 columns, of which 28 are past; now is step 19, bar 2 began at step 16, bar 1 at step 0
    assert roll[25:32] == "#=#=!o-"
    assert roll[:25] == " " * 9 + "|" + " " * 15


def test_a_heading_says_where_it_is_and_a_footing_how_it_stands() -> None:
    there = scene()
    assert drawn(there, 30 * NS)[0] == "houseband   bar 2.2   jazz, gan   120 bpm"
    there.take({"event": "chord", "now": "F:maj/3", "next": "G:7", "source": "chart"}, 0)
    assert drawn(there, 30 * NS, 100)[0].endswith("120 bpm   F/A, then G7 (chart)")
    assert drawn(there, 0)[-3] == "intensity 0.5"
    counters = {"isr": 0.998, "onsets": 12, "dropped": 1, "late": 2, "inference_ms_p50": 8.25, "inference_ms_p99": None}
    there.take({"event": "counters", "counters": counters}, 0)
    assert drawn(there, 0)[-3].startswith("in time 0.998   plan 8.25/- ms")
    assert drawn(there, 0)[-2].endswith("notes 12   dropped 1   plans late 2")


FIGURES = {
    "isr": 0.998, "onsets": 123456, "dropped": 12, "late": 23, "inference_ms_p50": 8.25, "inference_ms_p99": 12.5,
    "lateness_ms_p99": 0.123, "age_ms_p50": 123.4, "age_ms_p99": 234.5,
}  # fmt: skip
TURNED = {"intensity": 0.123, "density": 1.234, "temperature": 1.234, "swing": 0.123, "humanise": 0.123, "seed": 12345}


def full() -> BandState:
    """A band of which there is much to say."""
    there = scene()
    there.take({"event": "controls", "controls": {**STATE["controls"], **TURNED, "style": "bossa nova"}}, 0)
    there.take({"event": "counters", "counters": FIGURES}, 0)
    there.take({"event": "chord", "now": "F#:maj7(9,#11)/3", "next": "Bb:hdim7", "source": "memory"}, 0)
    there.song = {"title": "A Song with a Long Name in Two Parts", "next_title": "The Other Song, Whose Name is Longer"}
    there.clock = "auto"
    return there


@pytest.mark.parametrize("on_stage", [False, True])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (60, 24), (132, 50)])
def test_nothing_is_cut(width: int, height: int, on_stage: bool) -> None:
    viewer = Viewer(on_stage=on_stage)
    viewer.band = full()
    for playing in (True, False):
        viewer.band.playing = playing
        lines = viewer.draw(30 * NS, width, height, ascii_only=False).plain.rstrip("\n").split("\n")
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        if not on_stage:
            said = " ".join(lines)
            for figure in ("plans late 23", "knows 123/234 ms", "seed 12345", "bossa nova, gan"):
                assert figure in said
            assert "(memory)" in said
        elif width >= 80:
            assert "..." not in "".join(lines)


@given(st.lists(st.text("abc", min_size=1, max_size=30), max_size=12), st.integers(1, 80))
def test_facts_are_wrapped_between_facts(facts: list[str], width: int) -> None:
    lines = wrap(facts, width)
    assert all(len(line) <= width for line in lines)
    assert [fact[:width] for fact in facts] == [fact for line in lines for fact in line.split()]


def test_bars_and_beats_are_those_of_the_metre() -> None:
    there = scene()
    there.take({"event": "bar", "bar": 7, "metre": "6/8", "tick": 96, "end": 168, "at": 0}, 0)
    places = [there.find_place(tick * NS) for tick in (0, 13, 71, 73)]
    assert [(place.bar, place.beat, place.beats) for place in places] == [(7, 1, 6), (7, 2, 6), (7, 6, 6), (8, 1, 6)]
    assert drawn(there, 13 * NS)[0].startswith("houseband   bar 7.2")


def test_keys_leave_and_change_the_view() -> None:
    viewer = Viewer()
    for key, on_stage in (("s", True), ("x", True), ("\t", False), ("S", True)):
        viewer.take({"key": key})
        assert viewer.on_stage == on_stage
    assert not viewer.has_left
    viewer.take({"key": "q"})
    assert viewer.has_left


def test_tempo_controls_and_silence() -> None:
    there = scene()
    there.take({"event": "tempo", "bpm": 60.0, "playing": True, "tick": 192, "at": 5}, 5)
    assert there.tick_at(5 + 84_000_000) == 194
    there.take({"event": "controls", "controls": {"style": "pop", "technique": "gan"}}, 5)
    assert drawn(there, 5)[0] == "houseband   bar 3.1   pop, gan   60 bpm"
    there.take({"event": "plan", "notes": {"bass": [[300, 40, 12, 80]]}}, 0)
    there.take({"event": "tempo", "bpm": 60.0, "playing": False, "tick": 240, "at": 9}, 9)
    assert there.tick_at(10**12) == 240
    assert there.planned == {}
    assert "waiting for the melody" in drawn(there, 9)[0]


def test_meters_fall_and_mute_is_said() -> None:
    there = scene()
    there.take(note("drums", True, 36, 96), 0)
    assert there.meter("drums", 0) == 100 / 127
    assert there.meter("drums", METER_HALF_LIFE_NS) == 50 / 127
    assert there.meter("bass", 0) == 0
    lines = drawn(there, 0)
    assert any(line.startswith("drums   #####.") for line in lines)
    assert any(line.startswith("pad     mute") for line in lines)


def test_what_is_long_over_is_forgotten_and_what_sounds_is_not() -> None:
    there = scene()
    there.take(note("pad", True, 50, 0), 0)
    for i in range(400):
        there.take(note("bass", True, 40, i * 24), 0)
        there.take(note("bass", False, 40, i * 24 + 12), 0)
        there.forget(i * 24)
    assert len(there.notes["bass"]) < 200
    assert len(there.notes["pad"]) == 1


def test_every_size_of_terminal_is_drawn() -> None:
    there = scene()
    there.take(note("chords", True, 60, 96), 0)
    there.take(note("chords", True, 127, 96), 0)
    there.take({"event": "heard", "on": True, "pitch": 0, "velocity": 9, "channel": 1, "tick": None, "at": 0}, 0)
    for width, height in ((1, 1), (17, 5), (80, 24), (300, 100)):
        assert len(drawn(there, 0, width, height)) >= height - 1


def test_without_a_terminal_it_says_what_to_do() -> None:
    result = CliRunner().invoke(main, ["top"])
    assert (result.exit_code, "houseband status --json" in result.stderr) == (2, True)


def test_in_a_terminal_it_draws_a_band_until_that_leaves(tmp_path: Any) -> None:
    if sys.platform == "win32":
        return
    import os
    import pty

    from tests.control.test_control_socket import Band, connected
    from tests.support.terminal import read_until_closed, strip_escapes

    band = Band(tmp_path)
    client = connected(band)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "daemon", "top", "--control", band.where]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    running = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"bass" not in seen:
        seen += os.read(ours, 65536)
    client.close()
    band.control.close()
    seen += read_until_closed(ours)
    assert running.wait(timeout=60) == 0
    text = strip_escapes(seen)
    assert "waiting for the melody" in text
    assert "the band has gone" in text
