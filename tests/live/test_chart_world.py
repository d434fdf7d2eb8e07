"""Charts that are chosen while the band plays: read beside it, in their order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.core.events import ControlChange, Event, MidiIn
from daemon.harmony.chart_line import OpenedChart
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
    inbox.put(ControlChange(1, "chart", str(file), done=outcomes.append))
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


def test_a_folder_or_a_device_is_no_chart(
    tmp_path: Path, inbox: LiveWorld, world: ChartWorld, caplog: pytest.LogCaptureFixture
) -> None:
    choose(inbox, str(tmp_path))
    event = wait(world)
    assert isinstance(event, ControlChange)
    assert event.value is None
    assert "it is no regular file" in caplog.text
