"""Live controls turned at set moments: a file of JSON lines, each with `tick`, `key` and `value`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.core import controls
from daemon.core.player_info import PlayerInfo
from music.errors import UserError


class AutomationError(UserError):
    """An automation that cannot be used."""


@dataclass(frozen=True, slots=True)
class AutomationPoint:
    """At a tick (of 1/24 beat, 0 is bar 1), a control gets a value."""

    tick: int
    key: str
    value: object


#: name -> what a preset turns, as (key, value)
Presets = Mapping[str, Sequence[tuple[str, object]]]
_NONE: Presets = {}


def read(path: str | Path, player: PlayerInfo | None = None, presets: Presets = _NONE) -> tuple[AutomationPoint, ...]:
    """Return the points in a file, sorted by tick; those of one tick in the order of the file.

    Empty lines are allowed. player: whose styles and techniques there are; presets: those of the configuration, for
    which stands what they turn. Raises AutomationError, which names the line and the key.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise AutomationError(f"{path}: cannot be read as text: {reason}") from None
    turns = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                turns += _meant(_turn(line, player), presets)
            except (ValueError, controls.ControlError) as error:
                raise AutomationError(f"{path}, line {number}: {error}") from None
    return tuple(sorted(turns, key=lambda turn: turn.tick))


def _meant(turn: AutomationPoint, presets: Presets) -> list[AutomationPoint]:
    if turn.key != "preset":
        return [turn]
    if turn.value not in presets:
        raise ValueError(f"preset: no preset {turn.value!r}; the configuration has {', '.join(presets) or 'none'}")
    return [AutomationPoint(turn.tick, key, value) for key, value in presets[str(turn.value)]]


def _turn(line: str, player: PlayerInfo | None) -> AutomationPoint:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError('not a JSON object such as {"tick": 96, "key": "density", "value": 0.5}') from None
    if not isinstance(found, dict) or set(found) - {"tick", "key", "value"} or not {"tick", "key"} <= set(found):
        raise ValueError("takes exactly tick, key and value")
    tick, key = found["tick"], found["key"]
    if not isinstance(tick, int) or isinstance(tick, bool) or tick < 0:
        raise ValueError(f"tick: takes a whole number from 0, not {tick!r}")
    choices = (player.styles, player.techniques) if player is not None else ()
    return AutomationPoint(tick, str(key), controls.parse(str(key), found.get("value", True), *choices))
