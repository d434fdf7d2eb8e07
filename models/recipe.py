"""Recipes: the settings of a training run, a frozen dataclass per technique, and JSON in a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from music.errors import UserError

Recipe = TypeVar("Recipe")


class RecipeError(UserError):
    """A value that a recipe cannot have; the message names its key."""


class Bounds(NamedTuple):
    """The least and the greatest value of a number in a recipe."""

    least: float
    greatest: float


Count = Annotated[int, Bounds(0, 4096)]
BatchSize = Annotated[int, Bounds(1, 65_536)]
Share = Annotated[float, Bounds(0, 1)]
Rate = Annotated[float, Bounds(1e-12, 10)]

#: bounds of numbers that name none
_INT_BOUNDS, _FLOAT_BOUNDS = Bounds(1, 4096), Bounds(0, 1e6)
_MAX_SHOWN = 40


def read_recipe(kind: type[Recipe], values: Mapping[str, Any]) -> Recipe:
    """Build a dataclass, and the dataclasses in its fields, from JSON values; what is not given keeps its default.

    Raises RecipeError for a key that the dataclass has no field for, and for a value of the wrong type or size.
    """
    if not isinstance(values, Mapping):
        raise RecipeError(f"wants a table of values such as {{...}}, not {_show(values)}")
    hints = get_type_hints(kind, include_extras=True)
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise RecipeError(f"{_show(key)}: no such value of the recipe; there are {', '.join(hints)}")
        try:
            given[key] = _read_value(hints[key], value)
        except RecipeError as error:
            raise RecipeError(f"{key}: {error}") from None
    return kind(**given)


def _read_value(hint: Any, value: Any) -> Any:
    """Return a JSON value as what a type hint asks for. Raises RecipeError."""
    bounds = None
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return read_recipe(hint, value)
    if hint is bool or hint is str:
        if not isinstance(value, hint):
            raise RecipeError(f"wants {'true or false' if hint is bool else 'a text'}, not {_show(value)}")
        return value
    if hint is int:
        return _read_number(value, int, "a whole number", bounds or _INT_BOUNDS)
    if hint is float:
        return _read_number(value, (int, float), "a number", bounds or _FLOAT_BOUNDS)
    if get_origin(hint) is tuple:
        return _read_tuple(get_args(hint), value)
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"wants a table of values such as {{...}}, not {_show(value)}")
        return {str(key): _read_value(get_args(hint)[1], each) for key, each in value.items()}
    raise TypeError(f"a recipe has no values of the type {hint}")


def _read_number(value: Any, types: type | tuple[type, ...], what: str, bounds: Bounds) -> Any:
    is_one = isinstance(value, types) and not isinstance(value, bool) and _is_finite(value)
    if not is_one or not bounds.least <= value <= bounds.greatest:
        raise RecipeError(f"wants {what} from {bounds.least:g} to {bounds.greatest:g}, not {_show(value)}")
    return value


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold is finite, but out of all bounds
        return True


def _read_tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """Return a list as a tuple: JSON has lists for them."""
    is_open = len(kinds) == 2 and kinds[1] is ...
    if not isinstance(value, list | tuple) or (len(value) != len(kinds) if not is_open else not value):
        raise RecipeError(f"wants a list of {'values' if is_open else len(kinds)}, not {_show(value)}")
    return tuple(_read_value(kinds[0] if is_open else kinds[i], each) for i, each in enumerate(value))


def _show(value: Any) -> str:
    """Return a value as an error shows it."""
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return "a number that is far too long"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
