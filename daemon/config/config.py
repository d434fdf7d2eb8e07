"""The configuration: one TOML file, one table of its keys.

From that table come the options of `houseband run` and their help, the documented file that `houseband config --edit`
begins with, what `--show` prints, and every refusal. What the command line says goes before a preset, a preset before
the file, the file before the defaults.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.clocks.sources import CLOCK_SOURCES
from daemon.control import gestures
from daemon.control.gestures import DEFAULT_GESTURES, GestureError
from daemon.core import controls
from daemon.core.controls import CONTROLS, MIXED_ROLES, ControlError
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.techniques import DEFAULT_TECHNIQUE, describe_choice, find
from daemon.system.text_files import MissingFileError, TextFileError, read_toml, toml_literal
from music.errors import UserError
from music.note import Metre

#: a key's value by its dotted name
Given = Mapping[str, object]


class ConfigError(UserError):
    """A configuration that cannot be used; the message names the key."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key. kind: control (a live control of that name), text, file, metre, number, integer, switch or choice;
    default: as in the file, None for a live control's own; choices: of a choice; low, high: of a number, both included;
    flag: the option is one that takes no value; option: whether there is one."""

    name: str
    kind: str
    default: object
    help: str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    metavar: str = "VALUE"
    flag: bool = False
    option: bool = True

    @property
    def range(self) -> str:
        """What it takes, in words."""
        if self.kind == "control":
            return CONTROLS[self.name].range
        return {
            "text": "a text",
            "file": "a file's name",
            "metre": "a time signature such as 4/4, 3/4 or 6/8",
            "number": f"a number from {self.low:g} to {self.high:g}",
            "integer": f"a whole number from {self.low:.0f} to {self.high:.0f}",
            "switch": "true or false",
            "choice": f"one of {', '.join(self.choices)}",
        }[self.kind]

    @property
    def options(self) -> str:
        """Its option's name."""
        return f"--{self.name.replace('_', '-')}"


def _control(name: str, default: object, option: bool = True) -> KeySpec:
    about = CONTROLS[name].help
    return KeySpec(name, "control", default, f"{about[0].upper()}{about[1:]}", option=option)


CLOCKS = tuple(CLOCK_SOURCES)
OUTPUTS = ("auto", "rtmidi", "jack")
SONG_POSITIONS = ("auto", "sixteenths", "clocks")
_MIDI_SYSTEMS = ("auto", "alsa", "jack", "coremidi", "windows")
_PLAYS = tuple(role for role in MIXED_ROLES)

KEYS: dict[str, KeySpec] = {
    key.name: key
    for key in (
        KeySpec("technique", "text", DEFAULT_TECHNIQUE, f"Which player: {describe_choice()}", metavar="NAME"),
        KeySpec("graph", "file", "", "Weights other than the shipped", metavar="FILE.onnx"),
        _control("style", ""),
        _control("seed", 0),
        _control("temperature", 1.0),
        _control("density", 1.0),
        _control("intensity", 0.7),
        _control("swing", 0.0),
        _control("humanise", 0.0),
        _control("bpm", 120.0),
        KeySpec("metre", "metre", "4/4", "Time signature"),
        KeySpec("pickup", "number", 0.0, "The first note comes so many beats before bar 1", high=16, metavar="BEATS"),
        KeySpec("count_in", "integer", 0, "Bars of clicks first; they say where bar 1 is", high=16, metavar="BARS"),
        _control("pause_bars", 4),
        _control("split", 0),
        *(_control(key, getattr(Settings(), key)) for key in controls.EDITING),
        KeySpec(
            "in_channel", "integer", 0, "Hear the melody on this MIDI channel only; 0: on all", high=16, metavar="N",
        ),
        KeySpec("api", "choice", "auto", "MIDI system", _MIDI_SYSTEMS),
        KeySpec("in_port", "text", "", "Listen to this existing port instead of a virtual one", metavar="NAME"),
        KeySpec("out_port", "text", "", "Play to this existing port instead of a virtual one", metavar="NAME"),
        KeySpec("port_per_role", "switch", False, "An output port for each role, beside its channel"),
        KeySpec("output", "choice", "auto", "What plays on JACK; auto: houseband[jack] where it is installed", OUTPUTS),
        KeySpec(
            "clock", "choice", "auto", "Whose tempo; auto: MIDI clock once it starts, until then one's own", CLOCKS,
        ),
        KeySpec("send_clock", "switch", False, "Send MIDI clock: be the master of others"),
        KeySpec("song_position", "choice", "auto", "What the master's Song Position counts", SONG_POSITIONS),
        KeySpec("metrics", "file", "", "Write the counters here once a minute, for Prometheus", metavar="FILE.prom"),
        KeySpec(
            "control", "text", "auto", "Control socket: auto, off, a path, or tcp:PORT on loopback", metavar="WHERE",
        ),
        KeySpec("record", "file", "", "Write the take at the end", metavar="FILE.mid"),
        KeySpec("takes", "text", "auto", "Where every take is kept: auto, off, or a folder", metavar="DIR"),
        KeySpec(
            "takes_mb", "integer", 500, "Disk space that takes may have; the oldest go first", low=1, high=1_000_000,
        ),
        KeySpec("audio", "switch", False, "Play through this machine's loudspeakers, too"),
        KeySpec("soundfont", "file", "", "With --audio: the instruments", metavar="FILE.sf2"),
        KeySpec("click", "switch", False, "With --audio: a click on every beat"),
        KeySpec("report", "file", "", "Write figures at the end", metavar="FILE.json"),
        KeySpec("verbose", "integer", 0, "Say more; 2: everything", high=2, flag=True),
        KeySpec("preset", "text", "", "Begin with this preset of the configuration", metavar="NAME"),
        KeySpec("default_gestures", "switch", True, "Whether the usual MIDI gestures turn controls", option=False),
        *(_control(f"mute.{role}", False, option=False) for role in _PLAYS),
        *(_control(f"level.{role}", 1.0, option=False) for role in _PLAYS),
        *(_control(f"offset_ms.{role}", 0.0, option=False) for role in _PLAYS),
        *(_control(f"player.{role}", "", option=False) for role in _PLAYS),
        *(
            KeySpec(
                f"program.{role}", "integer", 0, f"General MIDI program of {role} at the start; 0: none", high=128,
                option=False,
            )
            for role in _PLAYS
        ),
    )
}  # fmt: skip
#: tables whose keys are the user's own
GESTURES, PRESETS = "gestures", "presets"


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration. controls: the live controls at the start, as (key, value), in the order in which they are
    to be applied; programs: role -> 1..128; gestures: as in `daemon.control.gestures`; presets: name -> (key,
    value)s."""

    technique: str
    graph: Path | None
    bpm: float
    metre: Metre
    pickup: float
    count_in: int
    in_channel: int | None
    api: str
    in_port: str | None
    out_port: str | None
    control: str
    record: Path | None
    report: Path | None
    verbose: int
    controls: tuple[tuple[str, object], ...]
    programs: Mapping[str, int]
    gestures: Mapping[str, str]
    presets: Mapping[str, tuple[tuple[str, object], ...]]
    values: Given = field(repr=False)

    def settings(self, player: PlayerInfo) -> Settings:
        """Return how the controls stand at the start.

        Raises ConfigError for a style or a technique, of a preset too, that the player does not know.
        """
        settings = Settings(style=player.styles[0], technique=self.technique)
        for key, value in self.controls:
            settings = controls.with_control(settings, key, _turned("", key, value, player))
        for name, turned in self.presets.items():
            for key, value in turned:
                _turned(f"{PRESETS}.{name}.", key, value, player)
        return settings


# Reading


def parse(name: str, value: object) -> object:
    """A key's value in its own type, from what TOML or a command line gave. Raises ConfigError, which names it."""
    key = KEYS.get(name)
    if key is None:
        raise ConfigError(f"{name}: no such key{_nearest(name, KEYS)}")
    if key.kind == "control":
        if value == "" == key.default:
            return value
        return _turned("", name, value)
    parsed = _parsed(key, value)
    if parsed is None:
        raise ConfigError(f"{name}: takes {key.range}, not {value!r}")
    return parsed


def read(file: Path, *, must_exist: bool = True) -> Given:
    """What a file says: a parsed value by key; gestures and presets as `gestures.GESTURE`, `presets.NAME.CONTROL`.

    Raises ConfigError, which names the file and the key.
    """
    try:
        found = read_toml(file)
    except MissingFileError as error:
        if must_exist:
            raise ConfigError(str(error)) from None
        return {}
    except TextFileError as error:
        raise ConfigError(str(error)) from None
    try:
        return _given(found)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def _given(found: Mapping[str, object]) -> dict[str, object]:
    given: dict[str, object] = {}
    tables = {name.partition(".")[0] for name in KEYS if "." in name}
    for name, value in found.items():
        if name == GESTURES:
            for made, what in _table(name, value).items():
                given[f"{name}.{made}"] = _bound(f"{name}.'{made}'", made, what)
        elif name == PRESETS:
            for preset, turned in _table(name, value).items():
                given.update(_preset(f"{name}.{preset}", _table(f"{name}.{preset}", turned)))
        elif name in tables:
            for sub, inner in _table(name, value).items():
                given[f"{name}.{sub}"] = parse(f"{name}.{sub}", inner)
        else:
            given[name] = parse(name, value)
    return given


def _preset(prefix: str, turned: Mapping[str, object]) -> dict[str, object]:
    given: dict[str, object] = {}
    for key, value in turned.items():
        rows = {f"{key}.{sub}": v for sub, v in value.items()} if isinstance(value, Mapping) else {key: value}
        for name, wanted in rows.items():
            if name == "preset":
                raise ConfigError(f"{prefix}.{name}: a preset cannot name another")
            given[f"{prefix}.{name}"] = _turned(f"{prefix}.", name, wanted)
    return given


def _bound(where: str, made: str, what: object) -> str:
    try:
        gestures.check_binding(made, what)
    except (GestureError, ControlError) as error:
        raise ConfigError(f"{where}: {error}") from None
    return str(what)


def _table(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: takes a table, [{name}], not {value!r}")
    return value


def _turned(prefix: str, key: str, value: object, player: PlayerInfo | None = None) -> object:
    """A live control's value. Raises ConfigError, which names the whole key."""
    try:
        choices = (player.styles, player.techniques) if player is not None else ()
        return controls.parse(key, value, *choices)
    except ControlError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _parsed(key: KeySpec, value: object) -> object:
    """The value, None when it is none."""
    match key.kind:
        case "text" | "file":
            return value if isinstance(value, str) else None
        case "choice":
            return value if value in key.choices else None
        case "switch":
            return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
        case "metre":
            return value if isinstance(value, str) and _metre(value) is not None else None
    return _number(key, value)


def _number(key: KeySpec, value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number: float | int = int(value) if key.kind == "integer" and not isinstance(value, float) else float(value)
    except ValueError:
        return None
    if key.kind == "integer" and not isinstance(number, int):
        return None
    return number if key.low <= number <= key.high else None


def _metre(text: str) -> Metre | None:
    numerator, _, denominator = text.partition("/")
    try:
        return Metre(int(numerator), int(denominator))
    except ValueError:
        return None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(k for k in known if '.' not in k)}"


# Putting together


def config(given: Given, said: Given) -> Config:
    """The configuration of a file and of a command line, both as `read` returns them. Raises ConfigError."""
    values: dict[str, object] = {name: key.default for name, key in KEYS.items()}
    presets = _presets({**given, **said})
    name = str(said.get("preset", given.get("preset", "")))
    if name and name not in presets:
        raise ConfigError(f"preset: no preset {name!r}; the configuration has {', '.join(presets) or 'none'}")
    turned = dict(presets.get(name, ()))
    values.update({k: v for k, v in (*given.items(), *turned.items(), *said.items()) if k in KEYS})
    metre = _metre(str(values["metre"]))
    assert metre is not None
    pickup = float(str(values["pickup"]))
    if pickup >= metre.ticks_per_bar / 24:
        raise ConfigError(f"pickup: takes beats from 0 to less than a bar of {metre}, not {pickup:g}")
    try:
        technique = find(str(values["technique"])).name
    except UserError as error:
        raise ConfigError(f"technique: {error}") from None
    roles = [key for key in KEYS.values() if key.kind == "control" and values[key.name] != "" and key.name != "bpm"]
    bound = {text: what for text, what in DEFAULT_GESTURES.items() if values["default_gestures"]}
    bound.update({k.partition(".")[2]: str(v) for k, v in given.items() if k.startswith(f"{GESTURES}.")})
    channel = int(str(values["in_channel"]))
    return Config(
        technique=technique,
        graph=_file(values["graph"]),
        bpm=float(str(values["bpm"])),
        metre=metre,
        pickup=pickup,
        count_in=int(str(values["count_in"])),
        in_channel=channel - 1 if channel else None,
        api=str(values["api"]),
        in_port=str(values["in_port"]) or None,
        out_port=str(values["out_port"]) or None,
        control=str(values["control"]),
        record=_file(values["record"]),
        report=_file(values["report"]),
        verbose=int(str(values["verbose"])),
        controls=tuple((key.name, values[key.name]) for key in roles if values[key.name] != _standing(key.name)),
        programs={role: n for role in _PLAYS if (n := int(str(values[f"program.{role}"])))},
        gestures=bound,
        presets=presets,
        values=values,
    )


def _standing(name: str) -> object:
    """How a control stands when nobody turned it."""
    return controls.current_values(Settings()).get(name)


def _presets(given: Given) -> dict[str, tuple[tuple[str, object], ...]]:
    found: dict[str, tuple[tuple[str, object], ...]] = {}
    for name, value in given.items():
        if name.startswith(f"{PRESETS}."):
            preset, _, key = name.partition(".")[2].partition(".")
            found[preset] = (*found.get(preset, ()), (key, value))
    return found


def _file(value: object) -> Path | None:
    return Path(str(value)).expanduser() if value else None


# Writing


def documented() -> str:
    """The file to begin with: every key, what it is and takes, and its default, all of it commented out."""
    lines = [
        "# houseband's configuration. Every key is here with its default; take the '# ' away to change one.",
        "# What `houseband run` is told on its command line goes before what is said here.",
        "",
    ]
    table = ""
    for key in KEYS.values():
        prefix, _, last = key.name.rpartition(".")
        if prefix != table:
            table = prefix
            lines += ["", f"# [{table}]"]
        lines += [f"# {last} = {_toml(key.default)}  # {key.help}: {key.range}"]
    lines += [
        "",
        "# What MIDI turns: a gesture, then a control, 'control=value' or '' (nothing). These are the usual ones:",
    ]
    lines += [f"# [{GESTURES}]", *(f"# {_toml(made)} = {_toml(what)}" for made, what in DEFAULT_GESTURES.items())]
    lines += ["", "# Presets turn several live controls at once (`houseband set preset quiet`, or `--preset quiet`):"]
    lines += [f"# [{PRESETS}.quiet]", "# intensity = 0.4", "# density = 0.6", "# mute.drums = true"]
    return "\n".join(lines) + "\n"


def shown(whole: Config) -> str:
    """A configuration as TOML: every key as it stands."""
    lines: list[str] = []
    table = ""
    for key in KEYS.values():
        prefix, _, last = key.name.rpartition(".")
        if prefix != table:
            table = prefix
            lines += ["", f"[{table}]"]
        lines.append(f"{last} = {_toml(whole.values[key.name])}")
    lines += ["", f"[{GESTURES}]", *(f"{_toml(made)} = {_toml(what)}" for made, what in whole.gestures.items())]
    for name, turned in whole.presets.items():
        lines += ["", f"[{PRESETS}.{_toml(name)}]", *(f"{key} = {_toml(value)}" for key, value in turned)]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    assert isinstance(value, str | float | int)
    return toml_literal(value)
