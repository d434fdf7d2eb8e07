"""The table of controls for pages: what each is called, what kind of value it takes, and what it does."""

from __future__ import annotations

from functools import cache

from daemon.core.controls import CONTROLS
from daemon.core.schema import KeySpec
from daemon.core.value_types import (
    Choice,
    FileName,
    Integer,
    KnownName,
    Metres,
    Number,
    PlaceOrWord,
    Ranges,
    Switch,
    Trigger,
    ValueType,
)
from daemon.studio.setup import Json

#: type of a control's value -> what pages call it; the first that fits
_KINDS: tuple[tuple[type[ValueType], str], ...] = (
    (Trigger, "trigger"),
    (Switch, "switch"),
    (Integer, "integer"),
    (Number, "number"),
    (Choice, "choice"),
    (KnownName, "name"),
    (Metres, "metres"),
    (Ranges, "ranges"),
    (FileName, "file"),
    (PlaceOrWord, "place"),
)


@cache
def list_controls() -> list[Json]:
    """Return a line for each control, in the order of the table."""
    return [_describe(spec) for spec in CONTROLS.values()]


def _describe(spec: KeySpec) -> Json:
    kind = next((name for each, name in _KINDS if isinstance(spec.type, each)), "text")
    found: Json = {"name": spec.name, "kind": kind, "default": spec.default, "help": spec.help, "range": spec.range}
    if spec.role:
        found["role"] = spec.role
    if isinstance(spec.type, KnownName):
        found["domain"] = spec.type.domain
    if isinstance(spec.type, Number | Integer):
        found |= {"low": spec.type.low, "high": spec.type.high}
    if suggestions := spec.type.suggestions:
        found["choices"] = list(suggestions)
    return found
