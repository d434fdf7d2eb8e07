"""The configuration: one typed value, and the table of its keys.

The keys of `Settings` can be changed while the band plays; those declared here hold from the start. `reading` reads
them from a TOML file, `cli_options` makes command-line options of them, `toml_text` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.clocks.sources import CLOCK_SOURCES
from daemon.config.checks import Preset, check_control
from daemon.config.songs import SongBook
from daemon.control.gestures import DEFAULT_GESTURES
from daemon.control.protocol import SocketAddress
from daemon.core.controls import BPM, CONTROLS
from daemon.core.player_info import PlayerInfo
from daemon.core.schema import KeySpec, declare_key, list_keys, read_value
from daemon.core.settings import Settings
from daemon.core.value_types import (
    Choice,
    FileName,
    Integer,
    Number,
    PlaceOrWord,
    RepeatCount,
    Switch,
    Text,
)
from daemon.midi.backends import API_CHOICES, BACKEND_CHOICES
from daemon.midi.ports import NO_PORTS

SONG_POSITIONS = ("auto", "sixteenths", "clocks")


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; every key is a field of it or of `settings`."""

    #: the keys that can be changed live; an empty style stands for the player's first
    settings: Settings = Settings(style="", pause_bars=4, harmony="auto")
    bpm: float = declare_key(BPM.default, BPM.type, BPM.help)

    graph: Path | None = declare_key(
        None, FileName(), "weights to play instead of the shipped ones", metavar="FILE.onnx"
    )
    graph_memory_mb: int = declare_key(
        0, Integer(0, 1_000_000), "megabytes that playing graphs may take; 0: chosen by their size", metavar="N"
    )
    in_channel: int = declare_key(
        0, Integer(0, 16), "the only MIDI channel on which the melody is heard; 0: all", metavar="N"
    )
    api: str = declare_key("auto", Choice((*API_CHOICES, NO_PORTS)), "MIDI system; none: play without any ports")
    in_port: str = declare_key("", Text(), "listen to this existing port instead of a virtual one", metavar="NAME")
    out_port: str = declare_key("", Text(), "play to this existing port instead of a virtual one", metavar="NAME")
    port_per_role: bool = declare_key(False, Switch(), "open an output port for each role, beside its channel")
    output: str = declare_key(
        "auto", Choice(BACKEND_CHOICES), "what opens the ports; auto: houseband[jack] where it is installed"
    )
    clock: str = declare_key(
        "auto",
        Choice(tuple(CLOCK_SOURCES)),
        "the clock to follow; auto: MIDI clock once it starts, else none; midi-tempo: its tempo even without a start",
    )
    latency_ms: float = declare_key(
        -1.0,
        Number(-1, 1000),
        "milliseconds by which it plays ahead of a clock that it follows, to be heard on time; -1: as the ports tell",
        metavar="MS",
    )
    send_clock: bool = declare_key(False, Switch(), "send MIDI clock for other devices to follow")
    song_position: str = declare_key("auto", Choice(SONG_POSITIONS), "what the master's Song Position counts")
    control: str = declare_key("auto", SocketAddress(), "where the control socket is", metavar="WHERE")
    plugin_sessions: int = declare_key(
        2, Integer(0, 8), "projects of a DAW that it plays for at once, through its plugin", metavar="N"
    )
    record: Path | None = declare_key(None, FileName(), "write the take to this file at the end", metavar="FILE.mid")
    takes: str = declare_key(
        "auto", PlaceOrWord(("auto", "off")), "the folder in which every take is kept", metavar="DIR"
    )
    takes_mb: int = declare_key(
        500, Integer(1, 1_000_000), "megabytes that takes may have; beyond them the oldest are deleted"
    )
    audio: bool = declare_key(False, Switch(), "play through this machine's loudspeakers, too")
    soundfont: Path | None = declare_key(None, FileName(), "with --audio: the instruments", metavar="FILE.sf2")
    click: bool = declare_key(False, Switch(), "with --audio: a click on every beat")
    metrics: Path | None = declare_key(
        None, FileName(), "write the counters to this file once a minute, for Prometheus", metavar="FILE.prom"
    )
    report: Path | None = declare_key(None, FileName(), "write figures to this file at the end", metavar="FILE.json")
    verbose: int = declare_key(0, RepeatCount(0, 2), "say more; 2, or given twice: everything")
    preset: str = declare_key("", Text(), "begin with this preset of the configuration", metavar="NAME")
    default_gestures: bool = declare_key(True, Switch(), "whether the usual MIDI gestures turn controls")

    #: gesture -> target, as `daemon.control.gestures` reads them
    gestures: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_GESTURES))
    #: presets by name
    presets: Mapping[str, Preset] = field(default_factory=dict)
    #: the songs, and the set lists that put them in order
    book: SongBook = field(default_factory=SongBook)
    #: the keys that the file or the command line give
    given: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def technique(self) -> str:
        """The technique that plays at the start."""
        return self.settings.technique

    @property
    def melody_channel(self) -> int | None:
        """The only channel on which the melody is heard, 0..15; None for all."""
        return self.in_channel - 1 if self.in_channel else None

    def make_settings(self, player: PlayerInfo) -> Settings:
        """Return the settings at the start, in the player's first style where none is given.

        Raises ConfigError for a style or a technique, there or in a preset, that the player does not know.
        """
        settings = replace(self.settings, style=self.settings.style or player.get_styles(self.technique)[0])
        check_control("", "style", settings.style, player, settings.technique)
        for role, technique in settings.players.items():
            check_control("", f"player.{role}", technique, player)
        for name, preset in self.presets.items():
            chosen = dict(preset).get("technique")
            for key, value in preset:
                check_control(f"presets.{name}.", key, value, player, None if chosen is None else str(chosen))
        return settings

    def get_value(self, key: str) -> object:
        """Return the value of a key."""
        spec = KEYS[key]
        return read_value(self.settings if is_setting(key) else self, spec)


def is_setting(key: str) -> bool:
    """Return whether a key is kept in `Config.settings`."""
    return key in CONTROLS and bool(CONTROLS[key].field)


def _list_keys() -> list[KeySpec]:
    """Return the keys in the order of the documented file, where tables come last."""
    defaults = Config()
    settings = [replace(spec, default=read_value(defaults.settings, spec)) for spec in list_keys(Settings, live=True)]
    others = [replace(spec, live=spec.name in CONTROLS) for spec in list_keys(Config, live=False)]
    first = "technique", "graph"
    return sorted([*settings, *others], key=lambda spec: (bool(spec.role), spec.name not in first))


KEYS: dict[str, KeySpec] = {spec.name: spec for spec in _list_keys()}
