"""Everything a performer can turn while the band plays: keys, types, ranges. One table for automation, command line,
configuration, gestures and control socket."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from daemon.core.settings import Settings
from daemon.core.techniques import check_style, check_technique
from music.edits.edit import parse_ranges
from music.errors import UserError
from music.note import EDITS, ROLES


class ControlError(UserError):
    """A key that does not exist or a value it cannot take; the message names the key."""


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """One control. kind: number, integer, switch (true, false or toggle), choice (a text), spans (numbers and ranges
    such as 1-4,7, or nothing) or trigger (its value is ignored); low, high: the range of a number, both included; an
    integer may have none."""

    key: str
    kind: str
    help: str
    low: float = 0.0
    high: float = 0.0

    @property
    def range(self) -> str:
        """What it takes, in words."""
        if self.kind == "number":
            return f"a number from {self.low:g} to {self.high:g}"
        return {
            "integer": f"a whole number from {self.low:g} to {self.high:g}" if self.high else "a whole number",
            "switch": "true or false",
            "choice": _CHOICES.get(self.key.partition(".")[0], ""),
            "spans": "numbers and ranges such as 1-4,7, or nothing",
            "trigger": "no value",
        }[self.kind]


#: what a choice is one of
_CHOICES = {
    "style": "one of the player's styles",
    "technique": "one of the techniques loaded",
    "preset": "one of the configuration's presets",
    "player": "one of the techniques loaded, or nothing",
}
#: what turns a switch over
TOGGLE = "toggle"

#: roles that can be muted and levelled
MIXED_ROLES = (*ROLES, EDITS)

CONTROLS: dict[str, ControlSpec] = {
    control.key: control
    for control in (
        ControlSpec("style", "choice", "what the band plays like, from the next plan on"),
        ControlSpec("seed", "integer", "the same seed gives the same music"),
        ControlSpec("temperature", "number", "how adventurous the players are", 0, 2),
        ControlSpec("density", "number", "how many notes they play; 1 as the style has it", 0, 2),
        ControlSpec("intensity", "number", "how loud and full they play", 0, 1),
        ControlSpec("swing", "number", "how far off-beat sixteenths are delayed, 1 is a triplet", 0, 1),
        ControlSpec("humanise", "number", "how far notes stray from the beat, as a human hand does", 0, 1),
        ControlSpec("bpm", "number", "beats per minute", 10, 400),
        ControlSpec("technique", "choice", "which of the players plays, from the next plan on"),
        ControlSpec(
            "pause_bars", "integer", "bars of silence after which the band ends; 0: it goes on for ever", 0, 64
        ),
        ControlSpec("split", "integer", "keys below this pitch are no melody", 0, 127),
        *(ControlSpec(f"mute.{role}", "switch", f"{role} goes on in silence") for role in MIXED_ROLES),
        *(ControlSpec(f"level.{role}", "number", f"how loud {role} is; 1 as it is", 0, 1.5) for role in MIXED_ROLES),
        *(
            ControlSpec(f"offset_ms.{role}", "number", f"by how many ms the synthesiser of {role} is slow", -500, 500)
            for role in MIXED_ROLES
        ),
        *(
            ControlSpec(f"player.{role}", "choice", f"which of the players plays {role}, if another than the rest")
            for role in MIXED_ROLES
        ),
        ControlSpec("loop_bars", "integer", "how many bars go round (AR-CNN)", 1, 8),
        ControlSpec("overdub", "switch", "what is played is added to the loop instead of replacing its bars"),
        ControlSpec("edits_per_second", "number", "how fast the loop is edited, at most", 0, 50),
        ControlSpec("edit_sysex", "switch", "edits are sent as MIDI (SysEx), too"),
        ControlSpec("creative_risk", "number", "how unlikely an edit may be; 0 takes the likeliest", 0, 6),
        ControlSpec("remove_max", "number", "percent of the notes played that edits may remove", 0, 100),
        ControlSpec("add_max", "integer", "how many notes edits may add", 0, 100_000),
        ControlSpec("lock_pitches", "spans", "pitches that edits leave alone"),
        ControlSpec("lock_bars", "spans", "bars that edits leave alone, counted from 1"),
        ControlSpec("register_low", "integer", "the lowest pitch that is edited", 0, 127),
        ControlSpec("register_high", "integer", "the highest pitch that is edited", 0, 127),
        ControlSpec("undo", "trigger", "takes back the last edit of the loop"),
        ControlSpec("start", "trigger", "wait for the melody, and begin with it"),
        ControlSpec("stop", "trigger", "end at once; play again only after start"),
        ControlSpec("fill", "trigger", "more drums and notes over the last half of the bar"),
        ControlSpec("variation", "trigger", "another groove, from the next bar on"),
        ControlSpec(
            "ending", "trigger", "one more bar from the next bar line on, a final chord, then silence until start"
        ),
        ControlSpec("tap", "trigger", "tap twice or more: the tempo is that of the taps"),
        ControlSpec("preset", "choice", "turn all that a preset of the configuration turns"),
        ControlSpec("panic", "trigger", "end everything that sounds, at once; go on with the next plan"),
    )
}

_SWITCH = {"true": True, "on": True, "1": True, "yes": True, "false": False, "off": False, "0": False, "no": False}


def parse(
    key: str, value: object, styles: Collection[str] | None = None, techniques: Collection[str] | None = None
) -> object:
    """A control's value in its own type, from what JSON, TOML or a command line gave. Raises ControlError.

    styles, techniques: what `style` and `technique` may be, where it is known.
    """
    control = CONTROLS.get(key)
    if control is None:
        raise ControlError(f"{key}: no such control; there are {', '.join(CONTROLS)}")
    match control.kind:
        case "number":
            parsed: object = _number(value, control)
        case "integer":
            parsed = _integer(value, control)
        case "switch":
            text = str(value).strip().lower()
            parsed = value if isinstance(value, bool) else TOGGLE if text == TOGGLE else _SWITCH.get(text)
        case "spans":
            parsed = _spans(value)
        case "choice":
            parsed = value if isinstance(value, str) else None
            if parsed is not None:
                _check_choice(key, parsed, styles, techniques)
        case _:
            return True
    if parsed is None:
        raise ControlError(f"{key}: takes {control.range}, not {value!r}")
    return parsed


def _check_choice(key: str, value: str, styles: Collection[str] | None, techniques: Collection[str] | None) -> None:
    """Raise ControlError for a style or a technique that there is not; None: it is not known which there are."""
    try:
        if key == "style" and styles is not None:
            check_style(value, styles)
        elif techniques is not None and (key == "technique" or (key.startswith("player.") and value)):
            check_technique(value, techniques)
    except UserError as error:
        raise ControlError(f"{key}: {error}") from None


def _number(value: object, control: ControlSpec) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and control.low <= number <= control.high else None


def _spans(value: object) -> str | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        return None
    try:
        parse_ranges(text)
    except ValueError:
        return None
    return text


def _integer(value: object, control: ControlSpec) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    if not control.high:
        return number if abs(number) < 1 << 63 else None
    return number if control.low <= number <= control.high else None


#: controls of the AR-CNN
EDITING = (
    *("loop_bars", "overdub", "edits_per_second", "edit_sysex", "creative_risk", "remove_max", "add_max"),
    *("lock_pitches", "lock_bars", "register_low", "register_high"),
)
#: controls that are a field of Settings, and those whose roles are entries of one
_FIELDS = frozenset(EDITING) | frozenset(
    ("style", "seed", "temperature", "density", "intensity", "swing", "technique", "humanise", "pause_bars", "split")
)
_BY_ROLE = {"level": "levels", "offset_ms": "offsets_ms", "player": "players"}
_STANDING = {"level": 1.0, "offset_ms": 0.0, "player": ""}


def with_control(settings: Settings, key: str, value: object) -> Settings:
    """The settings with one control set to a parsed value; a control that is no setting (bpm, ...) changes nothing."""
    kind, _, role = key.partition(".")
    if kind == "mute":
        muted = role not in settings.muted if value == TOGGLE else bool(value)
        return replace(settings, muted=settings.muted | {role} if muted else settings.muted - {role})
    if kind in _BY_ROLE:
        field = _BY_ROLE[kind]
        return replace(settings, **{field: {**getattr(settings, field), role: value}})  # type: ignore[arg-type]
    if key in _FIELDS:
        if value == TOGGLE and CONTROLS[key].kind == "switch":
            value = not getattr(settings, key)
        return replace(settings, **{key: value})  # type: ignore[arg-type]
    return settings


def current_values(settings: Settings) -> dict[str, object]:
    """How the controls that are settings stand: key -> value, in the order of the table."""
    found: dict[str, object] = {}
    for key in CONTROLS:
        kind, _, role = key.partition(".")
        if kind == "mute":
            found[key] = role in settings.muted
        elif kind in _BY_ROLE:
            found[key] = getattr(settings, _BY_ROLE[kind]).get(role, _STANDING[kind])
        elif key in _FIELDS:
            found[key] = getattr(settings, key)
    return found
