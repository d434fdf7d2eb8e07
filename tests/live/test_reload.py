"""The configuration read again while the band plays."""

from __future__ import annotations

import os
import signal
import sys
from copy import copy
from functools import partial
from pathlib import Path

import pytest

from daemon.config.checks import ConfigError
from daemon.config.cli_options import load_config
from daemon.config.config import Config
from daemon.config.reading import build_config, parse_key
from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import Gestures
from daemon.core.events import ControlChange, Event, MidiIn, RebindGestures
from daemon.live.reload import ConfigReloader, find_changes
from daemon.system import signals
from daemon.system.paths import find_learned_gestures_file
from tests.support.fakes import FakePlayer
from tests.system.test_watchdog import Scripted

PLAYER = FakePlayer(styles=("pop", "jazz")).info


def said(**values: object) -> Config:
    return build_config(values={key: parse_key(key, value) for key, value in values.items()})


def test_only_what_has_changed_is_turned() -> None:
    turned, later = find_changes(said(bpm=100, density=0.5), said(bpm=90, density=0.5, intensity=0.9), PLAYER)
    assert turned == [("intensity", 0.9), ("bpm", 90.0)]
    assert later == []
    assert find_changes(said(), said(), PLAYER) == ([], [])


def test_what_cannot_be_turned_live_is_named() -> None:
    assert find_changes(said(), said(api="alsa", in_channel=3), PLAYER) == ([], ["in_channel", "api"])


def test_a_style_that_the_player_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="style"):
        find_changes(said(), said(style="polka"), PLAYER)


def test_gestures_are_bound_anew_and_what_restore_learned_stays() -> None:
    gestures = Gestures({"cc 80": "fill"}, {})
    gestures.restore_learned({"cc 20": "intensity"})
    rebind = RebindGestures(0, {"cc 81": "panic"}, {"loud": (("intensity", 1.0),)})
    events: list[Event] = [
        rebind,
        *(MidiIn(1, bytes((0xB0, number, 127))) for number in (80, 81, 20)),
        ControlChange(2, "preset", "loud"),
    ]
    world = GestureWorld(Scripted(*events), gestures)
    heard = [world.wait(None) for _ in range(4)]
    assert heard == [
        MidiIn(1, bytes((0xB0, 80, 127))),
        ControlChange(1, "panic", True),
        ControlChange(1, "intensity", 1.0),
        ControlChange(2, "intensity", 1.0),
    ]


def test_a_chart_is_read_again_where_its_name_or_the_file_has_changed(tmp_path: Path) -> None:
    put: list[Event] = []
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("| C |\n")
    found = [said(chart=str(first)), said(chart=str(first)), said(chart=str(second)), said()]
    reloading = ConfigReloader(
        lambda: found.pop(0), lambda: 5, put.append, said(chart=str(first)), PLAYER, lambda: str(first)
    )
    reloading.reload()
    assert put == []
    first.write_text("| C | F |\n")
    for _ in range(3):
        reloading.reload()
    assert put == [ControlChange(5, "chart", name) for name in (str(first), str(second), "")]


def test_a_chart_that_was_chosen_live_stays_where_the_configuration_names_the_same_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[Event] = []
    named, folder = tmp_path / "named.txt", tmp_path / "folder"
    named.write_text("| C |\n")
    folder.mkdir()
    monkeypatch.chdir(folder)
    for known in (said(), said(chart=str(named))):
        reloading = ConfigReloader(partial(copy, known), lambda: 5, put.append, known, PLAYER, lambda: "/chosen.txt")
        os.utime(folder, ns=(1, 1))  # the folder in which it works is no chart
        named.write_text("| C | F |\n")
        reloading.reload()
    assert put == []


def test_a_chart_is_turned_before_the_harmony_that_is_played_from_it() -> None:
    assert find_changes(said(), said(harmony="chart", chart="/song.txt", vamp=True), PLAYER) == (
        [("chart", "/song.txt"), ("harmony", "chart"), ("vamp", True)],
        [],
    )


def test_a_broken_file_turns_nothing_and_the_next_good_one_does() -> None:
    put: list[Event] = []
    found: list[Config | ConfigError] = [ConfigError("bpm: takes a number"), said(bpm=80)]

    def read() -> Config:
        first = found.pop(0)
        if isinstance(first, ConfigError):
            raise first
        return first

    reloading = ConfigReloader(read, lambda: 5, put.append, said(bpm=100), PLAYER, str)
    reloading.reload()
    assert put == []
    reloading.reload()
    assert put == [ControlChange(5, "bpm", 80.0)]


def test_a_broken_file_of_learned_gestures_turns_nothing_and_the_next_good_one_does(tmp_path: Path) -> None:
    file, put = tmp_path / "config.toml", list[Event]()
    file.write_text("bpm = 80\n", encoding="utf-8")
    learned = find_learned_gestures_file(file)
    learned.write_text("no TOML", encoding="utf-8")
    reloading = ConfigReloader(lambda: load_config(file).config, lambda: 5, put.append, said(bpm=100), PLAYER, str)
    reloading.reload()
    assert put == []
    learned.unlink()
    reloading.reload()
    assert [change for change in put if isinstance(change, ControlChange)] == [ControlChange(5, "bpm", 80.0)]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP there")
def test_a_service_managers_sighup_reloads_and_a_terminals_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for address, expected in ((str(tmp_path / "notify"), ["reload", "stop"]), ("", ["stop", "stop"])):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        with signals.on_stop(lambda: done.append("stop")):
            if address:
                signal.raise_signal(signal.SIGHUP)  # too early: it still loads
            with signals.on_reload(lambda: done.append("reload")):
                signal.raise_signal(signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGTERM)
        assert done == expected
        done.clear()
