"""Reading a configuration from a TOML file, and putting file and command line together.

The command line goes before a preset, a preset before the file, the file before the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.config.checks import ConfigError, Preset, check_control
from daemon.config.config import KEYS, Config, is_setting
from daemon.config.songs import SongBook, SongEntry, check_table, parse_setlists, parse_song, read_folder
from daemon.control import gestures
from daemon.control.gestures import DEFAULT_GESTURES, GestureError
from daemon.core import controls, techniques
from daemon.core.schema import SettingError, shorten, with_value
from daemon.system.text_files import MissingFileError, TextFileError, read_toml
from music.errors import UserError

#: tables whose keys are the user's own
GESTURES, PRESETS, SONGS, SETLISTS = "gestures", "presets", "songs", "setlists"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The contents of a configuration file, checked key by key."""

    values: Mapping[str, object] = field(default_factory=dict)  #: by dotted key
    gestures: Mapping[str, str] = field(default_factory=dict)  #: gesture -> target
    presets: Mapping[str, Preset] = field(default_factory=dict)
    book: SongBook = field(default_factory=SongBook)  #: songs, those beside the file, too, and set lists


def read_config(file: Path, *, must_exist: bool = True) -> ConfigFile:
    """Return the contents of a configuration file. Raises ConfigError, which names the file and the key."""
    try:
        tables = read_toml(file)
    except MissingFileError as error:
        if must_exist:
            raise ConfigError(str(error)) from None
        tables = {}
    except TextFileError as error:
        raise ConfigError(str(error)) from None
    try:
        found = _check_tables(tables)
        return replace(found, book=_add_folder(found.book, file.parent / SONGS))
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def _add_folder(book: SongBook, folder: Path) -> SongBook:
    """Return a book with the songs of a folder, too. Raises ConfigError for a song that is in both."""
    songs, broken = read_folder(folder)
    for name in book.songs:
        if name in songs or name in broken:
            raise ConfigError(f"{SONGS}.{name}: there is a file of that name in {folder}, too; remove one of them")
    return SongBook({**book.songs, **songs}, book.setlists, broken)


def parse_key(name: str, value: object) -> object:
    """Return a key's value in its own type, from what TOML or a command line gave. Raises ConfigError."""
    spec = KEYS.get(name)
    if spec is None:
        raise ConfigError(f"{shorten(name, quote=False)}: no such key{_suggest(name)}")
    try:
        return spec.parse(value)
    except SettingError as error:
        raise ConfigError(str(error)) from None


def build_config(file: ConfigFile | None = None, values: Mapping[str, object] | None = None) -> Config:
    """Return the configuration that a file and the parsed values of a command line make. Raises ConfigError."""
    file, values = file or ConfigFile(), values or {}
    name = str(values.get("preset", file.values.get("preset", "")))
    if name and name not in file.presets:
        raise ConfigError(f"preset: no preset {name!r}; the configuration has {', '.join(file.presets) or 'none'}")
    book = file.book
    preset = {key: value for key, value in file.presets.get(name, ()) if key in KEYS}
    config = Config(presets=file.presets, book=book, given=frozenset((*file.values, *values)))
    settings = config.settings
    for key, value in {**file.values, **preset, **values}.items():
        if is_setting(key):
            settings = controls.with_control(settings, key, value)
        else:
            config = with_value(config, KEYS[key], value)
    try:
        settings = replace(settings, technique=techniques.find(settings.technique).name)
    except UserError as error:
        raise ConfigError(f"technique: {error}") from None
    try:
        controls.check_pickup(settings)
        book.check_setlist(settings.setlist)
        if settings.song:
            controls.parse("song", settings.song, songs=book.list_names())
    except SettingError as error:
        raise ConfigError(str(error)) from None
    usual = DEFAULT_GESTURES if config.default_gestures else {}
    return replace(config, settings=settings, gestures={**usual, **file.gestures})


def _check_tables(tables: Mapping[str, object]) -> ConfigFile:
    values: dict[str, object] = {}
    bindings: dict[str, str] = {}
    presets: dict[str, Preset] = {}
    songs: dict[str, SongEntry] = {}
    setlists: dict[str, tuple[str, ...]] = {}
    own_tables = {spec.name.partition(".")[0] for spec in KEYS.values() if spec.role}
    for name, value in tables.items():
        if name == GESTURES:
            bindings = {
                gesture: _check_gesture(gesture, target) for gesture, target in check_table(name, value).items()
            }
        elif name == PRESETS:
            for preset, keys in check_table(name, value).items():
                presets[preset] = _check_preset(f"{name}.{preset}", keys)
        elif name == SONGS:
            songs = {song: _check_song(song, keys) for song, keys in check_table(name, value).items()}
        elif name == SETLISTS:
            setlists = parse_setlists(check_table(name, value))
        elif name in own_tables:
            for role, inner in check_table(name, value).items():
                values[f"{name}.{role}"] = parse_key(f"{name}.{role}", inner)
        else:
            values[name] = parse_key(name, value)
    return ConfigFile(values, bindings, presets, SongBook(songs, setlists))


def _check_preset(name: str, keys: object) -> Preset:
    pairs: list[tuple[str, object]] = []
    for key, value in check_table(name, keys).items():
        rows = {f"{key}.{sub}": inner for sub, inner in value.items()} if isinstance(value, Mapping) else {key: value}
        for control, wanted in rows.items():
            if control == "preset":
                raise ConfigError(f"{name}.{control}: a preset cannot name another")
            pairs.append((control, check_control(f"{name}.", control, wanted)))
    return tuple(pairs)


def _check_gesture(gesture: str, target: object) -> str:
    try:
        gestures.check_binding(gesture, target)
    except (GestureError, SettingError) as error:
        raise ConfigError(f"{GESTURES}.'{shorten(gesture, quote=False)}': {error}") from None
    return str(target)


def _check_song(name: str, keys: object) -> SongEntry:
    table = f"{SONGS}.{name}"
    try:
        return parse_song(name, check_table(table, keys))
    except ConfigError as error:
        said = str(error)
        raise ConfigError(said if said.startswith(table) else f"{table}.{said}") from None


def _suggest(name: str) -> str:
    import difflib  # for a mistake only

    near = difflib.get_close_matches(name[:100], KEYS, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(key for key in KEYS if '.' not in key)}"
