"""Songs and set lists: what a song's table or file holds, how it is written, and how it is made ready to be played.

A song is a table of live controls, such as tempo, chart, metre and style, with a title and presets of its own. It is a
file NAME.toml in the folder `songs` beside the configuration, or a table `[songs.NAME]` of that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config.checks import ConfigError, Preset, check_control
from daemon.core.controls import BPM, CONTROLS, sort_changes
from daemon.core.events import CalledSong
from daemon.core.player_info import PlayerInfo
from daemon.core.schema import KeySpec, SettingError, shorten
from daemon.core.settings import CHART_LINKS
from daemon.core.value_types import Text, Trigger, is_line
from daemon.system.text_files import TextFileError, format_toml, read_toml
from music.errors import HousebandError, describe_error

#: keys of a song that are no controls
TITLE, PRESET, PRESETS = "title", "preset", "presets"
#: controls that no song holds: they say which song is played
_ABOUT_SONGS = ("song", "setlist", "song_change", "next_song", "previous_song")
SUFFIX = ".toml"
_TITLE = KeySpec(TITLE, Text(), "", "the name that is shown")


@dataclass(frozen=True, slots=True)
class SongEntry:
    """A song, checked control by control."""

    name: str
    title: str = ""  #: empty: its name is shown
    controls: Preset = ()  #: (control, value) pairs that hold from its beginning on
    preset: str = ""  #: the one of its presets that it begins with
    presets: Mapping[str, Preset] = field(default_factory=dict)  #: its registrations

    @property
    def shown(self) -> str:
        """The name that is shown."""
        return self.title or self.name

    @property
    def changes(self) -> Preset:
        """The controls to turn at its beginning."""
        return tuple({**dict(self.presets.get(self.preset, ())), **dict(self.controls)}.items())

    def check(self, player: PlayerInfo) -> None:
        """Raise ConfigError for a style or a technique that the player does not know."""
        chosen = dict(self.changes).get("technique")
        for name, pairs in (("", self.controls), *self.presets.items()):
            prefix = f"song {self.name!r}: " + (f"{PRESETS}.{name}." if name else "")
            technique = dict(pairs).get("technique", chosen)
            for key, value in pairs:
                check_control(prefix, key, value, player, None if technique is None else str(technique))

    def prepare(self, upcoming: Sequence[str] = ()) -> CalledSong:
        """Return the song, ready to be called; upcoming: the techniques of those that may follow. Raises ChartError."""
        changes = dict(self.changes)
        if "chart" in changes:
            from daemon.harmony.chart_line import OpenedChart, open_chart  # what reads a configuration needs no arrays

            source = str(changes["chart"])
            changes["chart"] = open_chart(source) if source else OpenedChart("", None)
        turned = {key for pairs in (self.changes, *self.presets.values()) for key, _ in pairs}
        return CalledSong(self.name, tuple(sort_changes(changes.items())), frozenset(turned), tuple(upcoming))

    def list_techniques(self) -> list[str]:
        """Return the techniques that play at its beginning, as far as it says."""
        return [str(value) for key, value in self.changes if value and key.partition(".")[0] in ("technique", "player")]


@dataclass(frozen=True, slots=True)
class SongBook:
    """All songs, by name, and the set lists that put some of them in order."""

    songs: Mapping[str, SongEntry] = field(default_factory=dict)
    setlists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: songs that cannot be used -> why
    broken: Mapping[str, str] = field(default_factory=dict, compare=False)

    def list_names(self, setlist: str = "") -> tuple[str, ...]:
        """Return the songs of a set list in their order; of none, all songs by name."""
        return self.setlists.get(setlist) or tuple(sorted(self.songs))

    def find_neighbour(self, song: str, setlist: str, distance: int) -> str | None:
        """Return the song so many places after one in a set list; None where there is none.

        The first one follows on no song, and on one that is not in the list.
        """
        names = self.list_names(setlist)
        if song not in names:
            return names[0] if names and distance > 0 else None
        place = names.index(song) + distance
        return names[place] if 0 <= place < len(names) else None

    def check_setlist(self, name: str) -> None:
        """Raise ConfigError for a set list that does not exist, or names a song that cannot be used."""
        if name and name not in self.setlists:
            raise ConfigError(f"setlist: no set list {name!r}; there are {', '.join(self.setlists) or 'none'}")
        for song in self.setlists.get(name, ()):
            if song in self.broken:
                raise ConfigError(f"setlists.{name}: {self.broken[song]}")
            if song not in self.songs:
                raise ConfigError(f"setlists.{name}: no song {song!r}; there are {', '.join(self.songs) or 'none'}")

    def keep_known(self, player: PlayerInfo) -> SongBook:
        """Return the songs that a player can play; the others are among the broken ones."""
        broken = dict(self.broken)
        for song in self.songs.values():
            try:
                song.check(player)
            except ConfigError as error:
                broken[song.name] = str(error)
        songs = {name: song for name, song in self.songs.items() if name not in broken}
        return SongBook(songs, self.setlists, broken)


def parse_song(name: str, table: Mapping[str, object], folder: Path | None = None) -> SongEntry:
    """Return the song in a table. Raises ConfigError, which names the key.

    folder: where a chart is looked for whose name is no full path.
    """
    check_name(name)
    presets = {
        preset: tuple(_parse_controls(f"{PRESETS}.{preset}.", check_table(f"{PRESETS}.{preset}", keys), folder))
        for preset, keys in check_table(PRESETS, table.get(PRESETS, {})).items()
    }
    preset = table.get(PRESET, "")
    if preset != "" and preset not in presets:
        raise ConfigError(f"{PRESET}: no preset {shorten(preset)} in the song; it has {', '.join(presets) or 'none'}")
    try:
        title = str(_TITLE.parse(table.get(TITLE, "")))
    except SettingError as error:
        raise ConfigError(str(error)) from None
    rest = {key: value for key, value in table.items() if key not in (TITLE, PRESET, PRESETS)}
    return SongEntry(name, title, tuple(_parse_controls("", rest, folder)), str(preset), presets)


def _parse_controls(prefix: str, table: Mapping[str, object], folder: Path | None) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        rows = {f"{key}.{sub}": inner for sub, inner in value.items()} if isinstance(value, Mapping) else {key: value}
        for control, wanted in rows.items():
            spec = CONTROLS.get(control)
            if control == PRESET or control in _ABOUT_SONGS or (spec is not None and isinstance(spec.type, Trigger)):
                raise ConfigError(
                    f"{prefix}{control}: is nothing that a song holds; it holds controls that have a value"
                )
            if control == "chart" and folder is not None and isinstance(wanted, str) and wanted:
                wanted = wanted if wanted.startswith((*CHART_LINKS, "~")) else str(folder / wanted)
            yield control, check_control(prefix, control, wanted)


def read_song(file: Path) -> SongEntry:
    """Return the song in a file. Raises ConfigError, which names the file and the key."""
    try:
        return parse_song(file.stem, read_toml(file), file.parent)
    except (ConfigError, TextFileError) as error:
        said = str(error)
        raise ConfigError(said if said.startswith(str(file)) else f"{file}: {said}") from None


def read_folder(folder: Path) -> tuple[dict[str, SongEntry], dict[str, str]]:
    """Return the songs in a folder by name, and why others cannot be used; none where there is no folder."""
    songs: dict[str, SongEntry] = {}
    broken: dict[str, str] = {}
    try:
        files = sorted(folder.glob(f"*{SUFFIX}"))
    except OSError:
        return {}, {}
    for file in files:
        try:
            songs[file.stem] = read_song(file)
        except ConfigError as error:
            broken[file.stem] = str(error)
    return songs, broken


def parse_setlists(table: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return the set lists in a table. Raises ConfigError."""
    found: dict[str, tuple[str, ...]] = {}
    for name, songs in table.items():
        if not isinstance(songs, list) or not songs or not all(isinstance(song, str) for song in songs):
            raise ConfigError(f"setlists.{shorten(name, quote=False)}: takes a list of songs, not {shorten(songs)}")
        if len(set(songs)) < len(songs):
            raise ConfigError(f"setlists.{name}: names a song twice; give the second one a name of its own")
        found[name] = tuple(songs)
    return found


def check_name(name: str) -> str:
    """Return the name of a song. Raises ConfigError for one that no file can have."""
    if not name or not is_line(name) or name != name.strip() or name.startswith(".") or any(c in name for c in "/\\"):
        raise ConfigError(f"a song's name is a line of text that a file can have, not {shorten(name)}")
    if len(os.fsencode(name)) > 200:
        raise ConfigError("a song's name has at most 200 bytes")
    return name


def check_table(name: str, value: object) -> Mapping[str, object]:
    """Return a table of a TOML file. Raises ConfigError for anything else."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: takes a table, [{name}], not {shorten(value)}")
    return value


def check_charts(song: SongEntry) -> str:
    """Return why a song's charts cannot be played; nothing where they can."""
    from daemon.harmony.chart_line import open_chart

    for pairs in (song.changes, *song.presets.values()):
        if source := dict(pairs).get("chart"):
            try:
                open_chart(str(source))
            except (HousebandError, OSError, ValueError) as error:
                return describe_error(error)
    return ""


def format_song(song: SongEntry) -> str:
    """Return a song as a file has it, which `read_song` reads."""
    lines = [f"{TITLE} = {format_toml(song.title)}"] if song.title else []
    lines += [f"{PRESET} = {format_toml(song.preset)}"] if song.preset else []
    lines += _format_controls(song.controls)
    for name, preset in song.presets.items():
        lines += ["", f"[{PRESETS}.{format_toml(name)}]", *_format_controls(preset)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _format_controls(pairs: Preset) -> list[str]:
    return [f"{key} = {format_toml(CONTROLS[key].to_toml(value))}" for key, value in pairs]


def format_new_song(title: str, controls: Preset = ()) -> str:
    """Return the file that a new song begins with: what is known, and the usual controls commented out."""
    given = dict(controls)
    lines = [
        "# A song of houseband: any control that `houseband set --help` lists can stand here.",
        f"{TITLE} = {format_toml(title)}",
    ]
    for key in _USUAL:
        spec = BPM if key == BPM.name else CONTROLS[key]
        value = format_toml(spec.to_toml(given.pop(key, spec.default)))
        mark = "" if key in dict(controls) else "# "
        lines.append(f"{mark}{key} = {value}  # {spec.summary}")
    lines += _format_controls(tuple(given.items()))
    lines += ["", f"# [{PRESETS}.loud]  # its registrations: `houseband set preset loud`", "# intensity = 1.0"]
    return "\n".join(lines) + "\n"


#: controls that a new song's file shows
_USUAL = (
    *("bpm", "chart", "harmony", "metre", "pickup", "count_in", "key", "transpose", "style", "technique", "seed"),
    *("intensity", "density", "swing"),
)
