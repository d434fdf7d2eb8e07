"""The techniques that results can be made with, the controls that they take, and how all of it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from daemon.core.controls import CONTROLS, change_settings, sort_changes
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import NO_CHART, Settings
from daemon.core.techniques import check_technique, find, list_techniques
from daemon.players.graph import GraphError, read_signature
from daemon.players.load import describe_player
from daemon.projects.item import parse_integer
from music.errors import UserError

#: controls of a live performance, which mean nothing in a result, or stand in the item itself
_LIVE_ONLY = frozenset(
    {
        *("metre", "pickup", "count_in", "intro_bars", "start_with", "pause_bars", "song", "setlist", "song_change"),
        *("preset", "chord_channel", "technique", "style", "seed", "vamp", "bpm", "loop_bars", "overdub"),
        *("edits_per_second", "edit_sysex", "final_chord", "ritardando"),
    }
)
#: and tables of controls that belong to the mix
_MIX_TABLES = ("mute.", "level.", "program.", "bank.", "offset_ms.")
#: the most bars by which a song goes on at once
MAX_EXTENSION_BARS = 64
MAX_ITERATIONS = 1000
_USUAL_ITERATIONS = 100
#: names of techniques as they are shown
LABELS = {"gan": "GAN", "arcnn": "AR-CNN", "transformer": "Transformer"}


@cache
def describe_techniques() -> PlayerInfo:
    """Return what is known of all techniques together whose weights are here; its styles are those of each."""
    infos: dict[str, PlayerInfo] = {}
    for technique in list_techniques():
        try:
            infos[technique.name] = describe_player(technique.name, read_signature(None, technique.name).styles)
        except GraphError:  # it is not offered
            continue
    if not infos:
        raise UserError("no technique has its weights here; install houseband anew")
    first = next(iter(infos.values()))
    return replace(
        first,
        roles=tuple(dict.fromkeys(role for info in infos.values() for role in info.roles)),
        styles=tuple(dict.fromkeys(style for info in infos.values() for style in info.styles)),
        techniques=tuple(infos),
        note_editors=tuple(name for name in infos if find(name).edits_notes),
        technique_styles={name: info.styles for name, info in infos.items()},
    )


def list_technique_styles() -> dict[str, list[str]]:
    """Return the styles of each technique."""
    return {name: list(styles) for name, styles in describe_techniques().technique_styles.items()}


def build_settings(technique: str, style: str, seed: int, controls: Mapping[str, object]) -> Settings:
    """Return the settings that a result is made with. Raises UserError for what cannot be.

    controls: as `set` of the control socket takes them; those of the live performance and of the mix change nothing.
    """
    info = describe_techniques()
    check_technique(technique, info.techniques)
    styles = info.get_styles(technique)
    begin = Settings(style=style or styles[0], seed=seed, technique=technique)
    changes = [(key, value) for key, value in controls.items() if key not in CONTROLS or is_musical(key)]
    settings = change_settings(begin, [("style", begin.style), *sort_changes(changes)], info)
    if settings.harmony == "chart" and not settings.chart:
        raise UserError(f"{NO_CHART}; import one first")
    if settings.limits.low > settings.limits.high:
        raise UserError("register_low: lies above register_high, so nothing could be edited")
    return settings


def is_musical(key: str) -> bool:
    """Tell whether a control changes which notes are played."""
    return key not in _LIVE_ONLY and not key.startswith(_MIX_TABLES) and bool(CONTROLS[key].field)


def build_mix(controls: Mapping[str, object]) -> Settings:
    """Return settings with the levels, mutes and instruments that controls name. Raises SettingError."""
    chosen = [(key, value) for key, value in controls.items() if key.startswith(_MIX_TABLES)]
    return change_settings(Settings(), chosen, describe_techniques())


def name_result(technique: str, style: str, seed: int, extension: int = 0) -> str:
    """Return the name of a result."""
    label = LABELS.get(technique, technique.capitalize())
    what = f"{extension} bars more" if extension else style
    return f"{label}, {what}, seed {seed}"


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish for a result: with which technique and controls it is to be made."""

    technique: str
    style: str
    seed: int = 0
    controls: Mapping[str, object] = field(default_factory=dict)
    #: how many bars the song is to go on; 0: it is accompanied, or edited
    extension: int = 0
    #: the most evaluations of every window, of the AR-CNN
    iterations: int = _USUAL_ITERATIONS

    def check(self) -> Settings:
        """Return the settings to make it with. Raises UserError for what cannot be made."""
        settings = build_settings(self.technique, self.style, self.seed, self.controls)
        if self.extension and not find(self.technique).continues_melodies:
            able = " or ".join(known.name for known in list_techniques() if known.continues_melodies)
            raise UserError(f"only the {able} can go on with a song; choose it as the technique")
        parse_integer(self.extension, "extend", 0, MAX_EXTENSION_BARS)
        parse_integer(self.iterations, "iterations", 0, MAX_ITERATIONS)
        return settings
