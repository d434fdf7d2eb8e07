"""A set of three songs on virtual time, played with gestures, controls and requests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from daemon.config.songs import SongBook, parse_song
from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import DEFAULT_GESTURES, Gestures
from daemon.core.events import CalledSong, ControlChange, Event, MidiIn, Quit
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.live.song_world import ChangeBook, SongView, SongWorld
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.system.live_world import LiveWorld
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, Stage, midi, only

AT_120 = TempoMap(500_000)
NEXT, PREVIOUS = b"\xb0\x76\x7f", b"\xb0\x75\x7f"
TABLES: dict[str, dict[str, object]] = {
    "air": {"title": "An Air", "seed": 1, "intensity": 0.5},
    "blues": {"seed": 2, "metre": "12/8", "transpose": 3, "presets": {"loud": {"intensity": 1.0}}},
    "waltz": {"seed": 3, "metre": "3/4", "style": "rock"},
}
BOOK = SongBook(
    {name: parse_song(name, table) for name, table in TABLES.items()},
    {"friday": ("waltz", "air", "blues")},
)


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def press(tick: int, data: bytes) -> list[Event]:
    return [MidiIn(at(tick), data), MidiIn(at(tick) + MS, data[:2] + b"\x00")]


def play(
    events: Iterable[Event], bars: int = 8, setlist: str = "friday", latency: int = 0
) -> tuple[FakePlayer, Stage, list[SongView]]:
    """A melody on every beat in a set whose first song is called at the start."""
    player = only("bass", lambda request, step: 36 + request.settings.seed, length=40)
    world = VirtualWorld()
    views: list[SongView] = []
    first = BOOK.list_names(setlist)[0]
    gestures = GestureWorld(world, Gestures(DEFAULT_GESTURES, {}))

    def tell(view: SongView) -> None:
        views.append(view)
        gestures.use_song(view.presets, view.order)

    songs = SongWorld(gestures, world.put, BOOK, setlist, first, tell, reads_inline=True)
    for event in (*events, *midi([Note(24 * beat, 72, 20) for beat in range(bars * 4)], AT_120), Quit(at(bars * 96))):
        world.put(event)
    output = RecordingOutput(world)
    composer = InlineComposer(world, player, latency)
    conductor = Conductor(
        songs, output, composer, player.info, SongInfo(follows_chart=True), opening_song=songs.open_song(first)
    )
    conductor.run()
    return player, Stage(output.sent, conductor, conductor.counters), views


def seeds_by_start(stage: Stage) -> dict[int, int]:
    return {start: pitch - 36 for start, _, pitch, _ in stage.notes}


@pytest.mark.parametrize("latency", [0, 20 * MS, 55 * MS])
def test_a_set_of_three_songs_is_played_with_a_pedal(latency: int) -> None:
    player, stage, views = play([*press(100, NEXT), *press(300, NEXT)], latency=latency)
    heard = seeds_by_start(stage)
    # three beats, from bar 1 on; the bar line after tick 100 is 144, that of four beats after 300 is 336
    assert {seed for start, seed in heard.items() if start < 144} == {3}
    assert {seed for start, seed in heard.items() if 144 + 6 <= start < 336} == {1}
    assert {seed for start, seed in heard.items() if start >= 336 + 6} == {2}
    assert {heard[start] for start in (144, 336) if start in heard} <= {1, 2}
    metres = {request.now: request.metre for request in player.asked if request.number > 1}
    assert (metres[23], metres[24], metres[56]) == (Metre(3, 4), Metre(), Metre(12, 8))
    assert [view.song.name for view in views if view.song] == ["waltz", "air", "blues"]
    assert [view.following.name if view.following else "" for view in views] == ["air", "blues", ""]
    assert views[1].describe() == {
        "name": "air", "title": "An Air", "next": "blues", "next_title": "blues", "order": ["waltz", "air", "blues"],
    }  # fmt: skip
    assert stage.conductor.settings.transpose == 3
    assert all(start + length <= 144 for start, _, pitch, length in stage.notes if pitch == 39)


def test_the_previous_song_and_one_by_its_name_and_none_beyond_the_ends() -> None:
    said: list[str] = []
    done: list[bool] = []
    events = [
        ControlChange(at(10), "previous_song", True, done=done.append, explain=said.append),
        ControlChange(at(100), "song", "blues", done=done.append, explain=said.append),
        ControlChange(at(300), "next_song", True, done=done.append, explain=said.append),
        *press(310, PREVIOUS),
        ControlChange(at(400), "song", "polka", done=done.append, explain=said.append),
    ]
    _, stage, views = play(events)
    assert done == [False, True, False, False]
    assert said == [
        "previous_song: there is no other song in that direction of the set list",
        "next_song: there is no other song in that direction of the set list",
        "song: no song 'polka'",
    ]
    assert [view.song.name for view in views if view.song] == ["waltz", "blues", "air"]
    assert stage.conductor.settings.song == "air"


def test_a_knob_goes_through_the_songs_of_the_set_list_and_a_setlist_is_chosen_live() -> None:
    _, stage, _ = play([MidiIn(at(100), b"\xb0\x77\x30")])  # the second third
    assert stage.conductor.settings.song == "air"
    _, stage, _ = play([ControlChange(at(50), "setlist", ""), MidiIn(at(100), b"\xb0\x77\x30")])
    assert (stage.conductor.settings.song, stage.conductor.settings.setlist) == ("blues", "")


def test_a_songs_presets_are_its_registrations() -> None:
    events = [
        ControlChange(at(10), "song", "blues"),
        ControlChange(at(200), "preset", "loud"),
        ControlChange(at(400), "song", "air"),
    ]
    _, stage, _ = play(events[:2])
    assert stage.conductor.settings.intensity == 1.0
    _, stage, _ = play(events)
    assert stage.conductor.settings.intensity == 0.5  # what the song itself says


def test_what_is_called_while_it_is_read_comes_once_it_is_ready(tmp_path: Path) -> None:
    chart = tmp_path / "song.txt"
    chart.write_text("| C | F |\n")
    inbox = LiveWorld()
    book = SongBook({"one": parse_song("one", {"chart": "song.txt"}, tmp_path)})
    songs = SongWorld(inbox, inbox.put, book)
    try:
        inbox.put(ControlChange(1, "song", "one"))
        event = songs.wait(None)
        assert isinstance(event, ControlChange)
        assert isinstance(event.value, CalledSong)
        assert dict(event.value.changes)["chart"].source == str(chart)  # type: ignore[attr-defined]
    finally:
        songs.close()


def test_a_song_whose_chart_is_gone_is_refused_with_the_reason_and_can_be_called_once_it_is_mended(
    tmp_path: Path,
) -> None:
    inbox = LiveWorld()
    book = SongBook({"one": parse_song("one", {"chart": "song.txt"}, tmp_path)})
    songs = SongWorld(inbox, inbox.put, book, reads_inline=True)
    said: list[str] = []
    inbox.put(ControlChange(1, "song", "one", explain=said.append))
    assert songs.wait(None) == ControlChange(1, "song", None)
    assert said[0].startswith("the song 'one' cannot be played: ")
    (tmp_path / "song.txt").write_text("| C |\n")
    inbox.put(ControlChange(2, "song", "one"))
    event = songs.wait(None)
    assert isinstance(event, ControlChange)
    assert isinstance(event.value, CalledSong)


def test_a_configuration_that_was_read_again_brings_other_songs() -> None:
    inbox = LiveWorld()
    views: list[SongView] = []
    songs = SongWorld(inbox, inbox.put, SongBook(), tell=views.append, reads_inline=True)
    inbox.put(ChangeBook(1, "song", BOOK))
    inbox.put(ControlChange(2, "next_song", True))
    event = songs.wait(None)
    assert isinstance(event, ControlChange)
    assert isinstance(event.value, CalledSong)
    assert event.value.name == "air"
    assert [view.names for view in views] == [(), ("air", "blues", "waltz"), ("air", "blues", "waltz")]
