"""Everything that a performer can turn while the band plays: the settings, the tempo, and actions such as `fill`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from daemon.core.player_info import PlayerInfo
from daemon.core.schema import KeySpec, SettingError, list_keys, read_value, shorten, with_value
from daemon.core.settings import Settings
from daemon.core.value_types import TOGGLE, KnownName, Number, Trigger
from music.errors import UserError

#: the tempo at the start; it is no setting, for a clock that is followed changes it, too
BPM = KeySpec("bpm", Number(10, 400), 120.0, "beats per minute", live=True)

#: the control that ends everything that sounds
PANIC = "panic"

#: the order of the controls that are set before all others
_SET_FIRST = {"technique": 0, "chart": 1}


def _check_preset(preset: str, presets: Collection[str]) -> None:
    if preset not in presets:
        raise UserError(f"no preset {preset!r}; the configuration has {', '.join(presets) or 'none'}")


_PRESET = KnownName("preset", "one of the configuration's presets", _check_preset)


def _make_action(name: str, help: str) -> KeySpec:  # noqa: A002
    return KeySpec(name, Trigger(), True, help, live=True)


CONTROLS: dict[str, KeySpec] = {
    spec.name: spec
    for spec in (
        *list_keys(Settings, live=True),
        BPM,
        _make_action("undo", "take back the last edit of the loop"),
        _make_action("start", "begin as start_with has it: count in, play an intro, or wait for the melody"),
        _make_action("stop", "end at once, and play again only after start"),
        _make_action("start_stop", "stop if the band plays or counts in, else start: both on one button"),
        _make_action("intro", "begin with an intro by the band alone, or, while it plays, go to it at the next bar"),
        _make_action("fill", "play more drums and notes over the last half of the bar"),
        _make_action("variation", "play another groove, from the next bar on"),
        _make_action(
            "ending", "end with a chord where final_chord has it, after the chart's ending, and be silent until start"
        ),
        _make_action("tap", "tap twice or more: the tempo is that of the taps"),
        _make_action("next_song", "go on to the next song of the set list"),
        _make_action("previous_song", "go back to the song before it"),
        KeySpec("preset", _PRESET, None, "turn all that a preset of the configuration turns", live=True),
        _make_action(PANIC, "end everything that sounds, at once, and go on with the next plan"),
    )
}


def parse(
    key: str,
    value: object,
    styles: Collection[str] | None = None,
    techniques: Collection[str] | None = None,
    presets: Collection[str] | None = None,
    songs: Collection[str] | None = None,
    setlists: Collection[str] | None = None,
) -> object:
    """Return a control's value in its own type, from what JSON, TOML or a command line gave. Raises SettingError.

    styles, techniques, presets, songs, setlists: what there is of them, where it is known.
    """
    spec = CONTROLS.get(key)
    if spec is None:
        raise SettingError(f"{shorten(key, quote=False)}: no such control; there are {', '.join(CONTROLS)}")
    known = {"style": styles, "technique": techniques, "preset": presets, "song": songs, "setlist": setlists}
    return spec.parse(value, known)


def sort_changes(changes: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
    """Return (control, value) pairs that are set together in the order to set them in.

    The technique comes first, for which styles there are depends on it, and the chart before the harmony that is
    played from it.
    """
    return sorted(changes, key=lambda change: _SET_FIRST.get(change[0], len(_SET_FIRST)))


def check_style(settings: Settings, player: PlayerInfo) -> None:
    """Raise SettingError where the technique that is chosen has not learned the style that is."""
    parse("style", settings.style, player.get_styles(settings.technique))


def check_pickup(settings: Settings) -> None:
    """Raise SettingError for a pickup that is as long as the first bar, where the metre is set."""
    metre = settings.metres[0][1]
    if settings.pickup_ticks >= metre.ticks_per_bar:
        raise SettingError(f"pickup: takes beats from 0 to less than a bar of {metre}, not {settings.pickup:g}")


def with_control(settings: Settings, key: str, value: object) -> Settings:
    """Return the settings with one control set to a parsed value; one that is no setting (bpm, ...) changes nothing."""
    spec = CONTROLS[key]
    if not spec.field:
        return settings
    if value == TOGGLE and not isinstance(read_value(settings, spec), str):
        value = not read_value(settings, spec)
    return with_value(settings, spec, value)


def change_settings(settings: Settings, changes: Iterable[tuple[str, object]], player: PlayerInfo) -> Settings:
    """Return the settings after (control, value) pairs, values as JSON, TOML or a command line gave them.

    player: that they are for, by which the style is checked. Raises SettingError.
    """
    for key, value in changes:
        settings = with_control(settings, key, parse(key, value, player.styles, player.techniques))
    check_style(settings, player)
    return settings


def current_values(settings: Settings) -> dict[str, object]:
    """Return the values of the controls that are settings: key -> value, in the order of the table."""
    return {key: read_value(settings, spec) for key, spec in CONTROLS.items() if spec.field}
