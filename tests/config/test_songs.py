"""Songs: their files, set lists, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.checks import ConfigError
from daemon.config.reading import build_config, read_config
from daemon.config.songs import SongBook, SongEntry, format_new_song, format_song, parse_song, read_song
from daemon.core.controls import CONTROLS
from daemon.core.value_types import Choice, Integer, KeyName, Metres, Number, Switch, is_line
from tests.support.fakes import FakePlayer

LINES = st.text(max_size=30).filter(is_line)
NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)
HELD = {
    key: spec
    for key, spec in CONTROLS.items()
    if isinstance(spec.type, Number | Integer | Switch | Choice | Metres) and key != "song_change"
}


def values_of(key: str) -> st.SearchStrategy[object]:
    match HELD[key].type:
        case Switch():
            return st.booleans()
        case Metres():
            return st.sampled_from(("auto", "3/4", "4/4, 9: 3/4, 13: 6/8"))
        case KeyName() as names:
            return st.sampled_from(names.choices)
        case Choice(choices=choices):
            return st.sampled_from(choices)
        case Integer(low=low, high=high):
            return st.integers(-(1 << 40) if low is None else low, 1 << 40 if high is None else high)
        case Number(low=low, high=high):
            return st.floats(low, high)
    raise AssertionError(key)


CONTROL_TABLES = st.lists(st.sampled_from(sorted(HELD)), unique=True, max_size=8).flatmap(
    lambda keys: st.tuples(*(st.tuples(st.just(key), values_of(key)) for key in keys))
)


@given(title=LINES, held=CONTROL_TABLES, presets=st.dictionaries(NAMES, CONTROL_TABLES, max_size=3))
def test_a_song_is_read_as_it_is_written(
    tmp_path_factory: pytest.TempPathFactory,
    title: str,
    held: tuple[tuple[str, object], ...],
    presets: dict[str, object],
) -> None:
    song = SongEntry("one", title, held, next(iter(presets), ""), presets)  # type: ignore[arg-type]
    file = tmp_path_factory.mktemp("songs", numbered=True) / "one.toml"
    file.write_text(format_song(song), encoding="utf-8")
    again = read_song(file)
    assert (again.title, again.preset, dict(again.controls)) == (title, song.preset, dict(held))
    assert {name: dict(pairs) for name, pairs in again.presets.items()} == {
        name: dict(pairs) for name, pairs in song.presets.items()
    }


def test_a_new_song_is_a_good_one_and_holds_what_was_given(tmp_path: Path) -> None:
    file = tmp_path / "waltz.toml"
    file.write_text(format_new_song('A "Waltz"', (("bpm", 96.0), ("metre", "3/4"), ("level.bass", 0.5))))
    song = read_song(file)
    assert (song.shown, dict(song.controls)) == ('A "Waltz"', {"bpm": 96.0, "metre": "3/4", "level.bass": 0.5})


def test_a_preset_that_a_song_begins_with_holds_where_the_song_says_nothing_else() -> None:
    song = parse_song("a", {"preset": "soft", "density": 0.5, "presets": {"soft": {"density": 1.0, "intensity": 0.2}}})
    assert dict(song.changes) == {"density": 0.5, "intensity": 0.2}
    called = song.prepare(("gan",))
    assert (called.name, set(called.turned), called.upcoming) == ("a", {"density", "intensity"}, ("gan",))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"fill": True}, "fill: is nothing that a song holds"),
        ({"song": "b"}, "song: is nothing that a song holds"),
        ({"volume": 3}, "volume: no such control"),
        ({"bpm": 0}, "bpm: takes a number from 10 to 400, not 0"),
        ({"title": 3}, "title: takes a text, not 3"),
        ({"preset": "x"}, "preset: no preset 'x' in the song; it has none"),
        ({"presets": 3}, "presets: takes a table"),
        ({"presets": {"x": {"density": 9}}}, "presets.x.density: takes a number from 0 to 2, not 9"),
    ],
)
def test_what_no_song_can_hold_is_refused_with_its_key(table: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_song("one", table)
    assert sentence in str(error.value)


@pytest.mark.parametrize("name", ["", " a", ".a", "a/b", "a\nb", "a\\b", "x" * 201])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a song's name"):
        parse_song(name, {})


def test_tables_and_files_are_songs_and_a_broken_file_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "air.toml").write_text('chart = "air.txt"\nlevel.bass = 0.5\n')
    (tmp_path / "songs" / "bad.toml").write_text("bpm = 0\n")
    file = tmp_path / "config.toml"
    file.write_text('[songs.waltz]\nmetre = "3/4"\n[setlists]\nfriday = ["waltz", "air"]\nlate = ["bad"]\nno = ["x"]\n')
    book = build_config(read_config(file)).book
    assert book.list_names() == ("air", "waltz")
    assert book.list_names("friday") == ("waltz", "air")
    assert dict(book.songs["air"].controls)["chart"] == str(tmp_path / "songs" / "air.txt")
    assert book.broken["bad"].startswith(f"{tmp_path / 'songs' / 'bad.toml'}: bpm: takes a number")
    build_config(read_config(file), {"setlist": "friday"})
    for setlist, sentence in (("late", "bpm"), ("no", "no song 'x'"), ("monday", "no set list 'monday'")):
        with pytest.raises(ConfigError, match=sentence):
            build_config(read_config(file), {"setlist": setlist})
    with pytest.raises(ConfigError, match="no song 'polka'"):
        build_config(read_config(file), {"song": "polka"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[songs.a]\nbpm = 0\n", "songs.a.bpm: takes a number"),
        ("songs = 3\n", "songs: takes a table"),
        ("[songs]\na = 3\n", "songs.a: takes a table"),
        ('[setlists]\na = "b"\n', "setlists.a: takes a list of songs"),
        ("[setlists]\na = []\n", "setlists.a: takes a list of songs"),
        ('[setlists]\na = ["b", "b"]\n', "setlists.a: names a song twice"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config(file)
    assert sentence in str(error.value)


def test_a_song_that_is_a_table_and_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.toml").write_text("bpm = 100\n")
    file = tmp_path / "config.toml"
    file.write_text("[songs.a]\nbpm = 90\n")
    with pytest.raises(ConfigError, match="there is a file of that name"):
        read_config(file)


def test_the_neighbours_of_a_song_are_those_of_the_set_list() -> None:
    book = SongBook({name: SongEntry(name) for name in "abc"}, {"x": ("c", "a")})
    assert [book.find_neighbour("a", "", each) for each in (1, -1)] == ["b", None]
    assert [book.find_neighbour("a", "x", each) for each in (1, -1)] == [None, "c"]
    assert [book.find_neighbour("", "x", each) for each in (1, -1)] == ["c", None]
    assert book.find_neighbour("b", "x", 1) == "c"


def test_songs_that_a_player_cannot_play_are_told_apart() -> None:
    book = SongBook({"a": parse_song("a", {"style": "polka"}), "b": parse_song("b", {"style": "pop"})})
    known = book.keep_known(FakePlayer().info)
    assert list(known.songs) == ["b"]
    assert known.broken["a"].startswith("song 'a': style: no style 'polka'")
