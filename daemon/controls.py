"""Everything a performer can turn while the band plays: keys, types, ranges. One table for automation, command line,
configuration and control socket."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from daemon.plan import Settings
from music.note import ROLES


class ControlError(ValueError):
    """A key that does not exist or a value it cannot take; the message is one sentence that names the key."""


@dataclass(frozen=True, slots=True)
class Control:
    """One control. kind: number, integer, switch (true or false), choice (a text) or trigger (its value is ignored);
    low, high: the range of a number, both included."""

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
            "integer": "a whole number",
            "switch": "true or false",
            "choice": "one of the player's styles",
            "trigger": "no value",
        }[self.kind]


#: roles that can be muted and levelled
MIXED_ROLES = (*ROLES, "edits")

CONTROLS: dict[str, Control] = {
    control.key: control
    for control in (
        Control("style", "choice", "what the band plays like, from the next plan on"),
        Control("seed", "integer", "the same seed gives the same music"),
        Control("temperature", "number", "how adventurous the players are", 0, 2),
        Control("density", "number", "how many notes they play; 1 as the style has it", 0, 2),
        Control("intensity", "number", "how loud and full they play", 0, 1),
        Control("swing", "number", "how far off-beat sixteenths are delayed, 1 is a triplet", 0, 1),
        Control("bpm", "number", "beats per minute", 10, 400),
        *(Control(f"mute.{role}", "switch", f"{role} goes on in silence") for role in MIXED_ROLES),
        *(Control(f"level.{role}", "number", f"how loud {role} is; 1 as it is", 0, 1.5) for role in MIXED_ROLES),
        Control("start", "trigger", "wait for the melody, and begin with it"),
        Control("stop", "trigger", "end at once; play again only after start"),
        Control("panic", "trigger", "end everything that sounds, at once; go on with the next plan"),
    )
}

_SWITCH = {"true": True, "on": True, "1": True, "yes": True, "false": False, "off": False, "0": False, "no": False}


def parse(key: str, value: object, styles: Collection[str] | None = None) -> object:
    """A control's value in its own type, from what JSON, TOML or a command line gave. Raises ControlError.

    styles: what `style` may be, where it is known.
    """
    control = CONTROLS.get(key)
    if control is None:
        raise ControlError(f"{key}: no such control; there are {', '.join(CONTROLS)}")
    match control.kind:
        case "number":
            parsed: object = _number(value, control)
        case "integer":
            parsed = _integer(value)
        case "switch":
            parsed = value if isinstance(value, bool) else _SWITCH.get(str(value).strip().lower())
        case "choice":
            parsed = value if isinstance(value, str) else None
            if parsed is not None and styles is not None and parsed not in styles:
                raise ControlError(f"{key}: no style {value!r}; the player knows {', '.join(styles)}")
        case _:
            return True
    if parsed is None:
        raise ControlError(f"{key}: takes {control.range}, not {value!r}")
    return parsed


def _number(value: object, control: Control) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and control.low <= number <= control.high else None


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def applied(settings: Settings, key: str, value: object) -> Settings:
    """The settings with one control set to a parsed value; a control that is no setting (bpm, ...) changes nothing."""
    kind, _, role = key.partition(".")
    if kind == "mute":
        return replace(settings, muted=settings.muted | {role} if value else settings.muted - {role})
    if kind == "level":
        return replace(settings, levels={**settings.levels, role: value})  # type: ignore[dict-item]
    if key in ("style", "seed", "temperature", "density", "intensity", "swing"):
        return replace(settings, **{key: value})  # type: ignore[arg-type]
    return settings
