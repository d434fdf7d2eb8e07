"""Arguments of `houseband render`, grouped by the players that take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


@dataclass(frozen=True, slots=True)
class RenderArguments:
    """Arguments that every player takes."""

    melody: Path
    output: Path
    technique: str
    graph: Path | None
    track: str | None
    #: 1..16
    channel: int | None
    bpm: float | None
    config_file: Path | None
    #: control -> what its option said, None where it was not given
    values: Mapping[str, object]
    #: `--set`
    assigned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlayingArguments:
    """Arguments that only players which play along take, not those that edit notes."""

    automation: Path | None
    latency_ms: float
    offline: bool
    replan: str | None
    chart: str | None
    #: name or number of the track that is heard as the leading hand
    chord_track: str | None


class EditArguments(TypedDict):
    """Arguments that only players which edit notes take; None where they were not given."""

    edits: Path | None
    iterations: int | None
    at_once: int | None
    undo: int | None
