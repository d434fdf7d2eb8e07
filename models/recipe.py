"""Recipes: the settings of a training run, a frozen dataclass per technique, and JSON in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_type_hints

Recipe = TypeVar("Recipe")


def read_recipe(kind: type[Recipe], values: Mapping[str, Any]) -> Recipe:
    """Build a dataclass, and the dataclasses in its fields, from JSON values; what is not given keeps its default.

    Raises TypeError for a key that the dataclass has no field for.
    """
    hints = get_type_hints(kind)
    given: dict[str, Any] = {}
    for key, value in values.items():
        inner = hints.get(key)
        if isinstance(inner, type) and is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise TypeError(f"{key}: wants a table of values such as {{...}}, not {value!r}")
            given[key] = read_recipe(inner, value)
        else:
            given[key] = tuple(value) if isinstance(value, list) else value  # JSON has lists for tuples
    return kind(**given)
