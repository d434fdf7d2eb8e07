"""Charts that are chosen while the band plays: read beside it, in their order."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.core.events import ControlChange, Event, MidiIn
from daemon.harmony.chart_line import OpenedChart, open_chart
from daemon.live import chart_world
from daemon.live.chart_world import ChartWorld
from daemon.system.live_world import LiveWorld


@pytest.fixture
def inbox() -> LiveWorld:
    return LiveWorld()


@pytest.fixture
def world(inbox: LiveWorld) -> Iterator[ChartWorld]:
    with closing(ChartWorld(inbox, inbox.put, follows_metre=True)) as made:
        yield made


def choose(inbox: LiveWorld, source: object) -> None:
    inbox.put(ControlChange(1, "chart", source))


def wait(world: ChartWorld) -> Event:
    event = world.wait(None)
    assert event is not None
    return event


def opened(event: Event) -> OpenedChart:
    assert isinstance(event, ControlChange)
    assert event.key == "chart"
    assert isinstance(event.value, OpenedChart)
    return event.value


def test_a_chart_comes_once_it_is_read_and_everything_else_at_once(
    tmp_path: Path, inbox: LiveWorld, world: ChartWorld
) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("| C | F |\n")
    second.write_text("| G |\n")
    choose(inbox, str(first))
    choose(inbox, str(second))
    inbox.put(MidiIn(2, b"\x90\x40\x40"))
    found = [wait(world) for _ in range(3)]
    assert MidiIn(2, b"\x90\x40\x40") in found
    charts = [opened(event) for event in found if isinstance(event, ControlChange)]
    assert [(each.source, each.line is not None and each.line.length) for each in charts] == [
        (str(first), 192),
        (str(second), 96),
    ]
    choose(inbox, "")
    assert opened(wait(world)) == OpenedChart("", None)
    choose(inbox, None)
    assert wait(world) == ControlChange(1, "chart", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("| C | H7 |\n", "song.txt, line 1"),
        ("Time: 5/32\n| C |\n", "it has a metre that no grid of sixteenths shows; give --metre"),
        (None, "song.txt: the chart cannot be read: No such file or directory"),
        ("", "it holds no bars"),
    ],
)
def test_a_bad_chart_is_one_sentence_and_goes_on_as_none(
    tmp_path: Path,
    inbox: LiveWorld,
    world: ChartWorld,
    caplog: pytest.LogCaptureFixture,
    text: str | None,
    sentence: str,
) -> None:
    file = tmp_path / "song.txt"
    if text is not None:
        file.write_text(text)
    outcomes: list[bool] = []
    reasons: list[str] = []
    inbox.put(ControlChange(1, "chart", str(file), done=outcomes.append, explain=reasons.append))
    with caplog.at_level(logging.ERROR):
        event = wait(world)
    assert isinstance(event, ControlChange)
    assert (event.key, event.value) == ("chart", None)
    assert event.done is not None
    event.done(False)
    assert outcomes == [False]
    (record,) = caplog.records
    assert record.getMessage().startswith("the chart is not taken: ")
    assert sentence in record.getMessage()
    assert reasons == [record.getMessage()]


def test_a_folder_or_a_device_is_no_chart(
    tmp_path: Path, inbox: LiveWorld, world: ChartWorld, caplog: pytest.LogCaptureFixture
) -> None:
    choose(inbox, str(tmp_path))
    event = wait(world)
    assert isinstance(event, ControlChange)
    assert event.value is None
    assert "it is no regular file" in caplog.text


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Reading a chart takes until this is set."""
    going = threading.Event()

    def read_slowly(source: str) -> OpenedChart:
        assert going.wait(30)
        return open_chart(source)

    monkeypatch.setattr(chart_world, "open_chart", read_slowly)
    return going


def test_no_chart_does_not_overtake_one_that_is_still_read(
    tmp_path: Path, inbox: LiveWorld, world: ChartWorld, go_on: threading.Event
) -> None:
    song, key = tmp_path / "song.txt", MidiIn(2, b"\x90\x40\x40")
    song.write_text("| C |\n")
    choose(inbox, str(song))
    choose(inbox, "")
    inbox.put(key)
    assert wait(world) == key
    go_on.set()
    assert [opened(wait(world)).source for _ in range(2)] == [str(song), ""]


def test_harmony_waits_for_the_chart_that_it_is_to_be_played_from(
    tmp_path: Path, inbox: LiveWorld, world: ChartWorld, go_on: threading.Event
) -> None:
    songs = [tmp_path / name for name in ("first.txt", "second.txt")]
    for song in songs:
        song.write_text("| C |\n")
    guessed, charted, by_hand = (ControlChange(1, "harmony", value) for value in ("melody", "chart", "hands"))
    inbox.put(charted)
    assert wait(world) == charted  # no chart is read
    choose(inbox, str(songs[0]))
    inbox.put(guessed)
    inbox.put(charted)
    choose(inbox, str(songs[1]))
    inbox.put(by_hand)
    inbox.put(ControlChange(1, "vamp", True))
    assert [wait(world) for _ in range(2)] == [guessed, ControlChange(1, "vamp", True)]
    go_on.set()
    found = [wait(world) for _ in range(4)]
    assert [each.value.source for each in found if isinstance(each, ControlChange) and each.key == "chart"
            and isinstance(each.value, OpenedChart)] == [str(song) for song in songs]  # fmt: skip
    assert [each for each in found if each in (charted, by_hand)] == [charted, by_hand]
    assert found.index(charted) == 1


def test_a_chart_that_is_still_read_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    song = tmp_path / "song.txt"
    song.write_text("| C |\n")
    text = f"""
import threading
from daemon.core.events import ControlChange
from daemon.live import chart_world
from daemon.system.live_world import LiveWorld
chart_world.open_chart = lambda source: threading.Event().wait()
inbox = LiveWorld()
world = chart_world.ChartWorld(inbox, inbox.put)
inbox.put(ControlChange(1, "chart", {str(song)!r}))
assert world.wait(inbox.now() + 1) is None
world.close()
"""
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)
