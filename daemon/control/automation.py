"""Live controls changed at set moments: a file of JSON lines, each with `tick`, `key` and `value`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.core import controls
from daemon.core.player_info import PlayerInfo
from daemon.core.schema import SettingError, shorten
from daemon.system.text_files import MissingFileError, TextFileError, read_text
from music.errors import UserError


class AutomationError(UserError):
    """Raised for a file of automation that cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class AutomationPoint:
    """The moment at which a control gets a value."""

    tick: int  #: 1/24 beat, from bar 1
    key: str
    value: object


#: name -> (control, value) pairs
Presets = Mapping[str, Sequence[tuple[str, object]]]
_NONE: Presets = {}


def read_automation(
    path: Path, player: PlayerInfo | None = None, presets: Presets = _NONE
) -> tuple[AutomationPoint, ...]:
    """Return the points in a file, sorted by tick, those of one tick in the order of the file.

    player: its styles and techniques are those there are; presets: those of the configuration, whose controls stand in
    their place. Empty lines are allowed. Raises AutomationError.
    """
    try:
        lines = read_text(path).splitlines()
    except MissingFileError:
        raise AutomationError(f"{path}: cannot be read as text: No such file or directory") from None
    except TextFileError as error:
        raise AutomationError(str(error)) from None
    points: list[AutomationPoint] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                points += _expand(_parse_line(line, player, presets), presets)
            except (ValueError, SettingError) as error:
                raise AutomationError(f"{path}, line {number}: {error}") from None
    return tuple(sorted(points, key=lambda point: point.tick))


def _expand(point: AutomationPoint, presets: Presets) -> list[AutomationPoint]:
    """Return the points of a preset in place of the preset."""
    if point.key != "preset":
        return [point]
    return [AutomationPoint(point.tick, key, value) for key, value in presets[str(point.value)]]


def _parse_line(line: str, player: PlayerInfo | None, presets: Presets) -> AutomationPoint:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError('not a JSON object such as {"tick": 96, "key": "density", "value": 0.5}') from None
    if not isinstance(found, dict) or set(found) - {"tick", "key", "value"} or not {"tick", "key"} <= set(found):
        raise ValueError("takes exactly tick, key and value")
    tick, key = found["tick"], str(found["key"])
    if not isinstance(tick, int) or isinstance(tick, bool) or tick < 0:
        raise ValueError(f"tick: takes a whole number from 0, not {shorten(tick)}")
    styles, techniques = (player.styles, player.techniques) if player is not None else (None, None)
    return AutomationPoint(tick, key, controls.parse(key, found.get("value", True), styles, techniques, presets))
