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
    path: Path, player: PlayerInfo | None = None, presets: Presets = _NONE, technique: str | None = None
) -> tuple[AutomationPoint, ...]:
    """Return the points in a file, sorted by tick, those of one tick in the order of the file.

    player: its styles and techniques are those there are; presets: those of the configuration, whose controls stand in
    their place; technique: the one that plays at the start. Empty lines are allowed. Raises AutomationError.
    """
    try:
        lines = read_text(path).splitlines()
    except MissingFileError:
        raise AutomationError(f"{path}: cannot be read as text: No such file or directory") from None
    except TextFileError as error:
        raise AutomationError(str(error)) from None
    points: list[tuple[int, AutomationPoint]] = []  # with the line that each is from
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                points += [(number, point) for point in _expand(_parse_line(line, player, presets), presets)]
            except (ValueError, SettingError) as error:
                raise AutomationError(f"{path}, line {number}: {error}") from None
    points.sort(key=lambda numbered: numbered[1].tick)
    if player is not None:
        _check_styles(path, points, player, technique or player.techniques[0])
    return tuple(point for _, point in points)


def _check_styles(
    path: Path, points: Sequence[tuple[int, AutomationPoint]], player: PlayerInfo, technique: str
) -> None:
    """Raise AutomationError for a style that the technique which plays then has not learned."""
    for number, point in points:
        if point.key == "technique":
            technique = str(point.value)
        elif point.key == "style":
            try:
                controls.parse("style", point.value, player.get_styles(technique))
            except SettingError as error:
                raise AutomationError(f"{path}, line {number}: {error}") from None


def _expand(point: AutomationPoint, presets: Presets) -> list[AutomationPoint]:
    """Return the points of a preset in place of the preset."""
    if point.key != "preset":
        return [point]
    return [AutomationPoint(point.tick, key, value) for key, value in controls.sort_changes(presets[str(point.value)])]


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
