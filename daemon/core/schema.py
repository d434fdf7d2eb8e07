"""The schema of settings: what a key is called, which values it takes, what it means and how it stands by default.

A key is declared once, at the field of the dataclass that holds it (`Settings` for what can be changed live, `Config`
for the rest). Command line, configuration file, control socket, gestures, automation, completion and documentation read
the declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from daemon.core.value_types import KnownName, ValueType
from music.errors import UserError

T = TypeVar("T")

#: names that are known only while the program runs: domain (`style`, ...) -> what there is; None: not known yet
Known = Mapping[str, Collection[str] | None]

_DECLARED, _ROLES = "key", "roles"  # what `declare_key` notes at a field
#: characters of a value that an error message repeats
_SHOWN_CHARACTERS = 60


class SettingError(UserError):
    """Raised for a key that does not exist, or a value that it cannot take; the message names the key."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """All there is to know about one key."""

    name: str  #: as in the configuration; `level.bass` is the key `bass` of the table `level`
    type: ValueType
    default: object
    help: str  #: a phrase that says what it does
    live: bool = False  #: whether it can be changed while the band plays
    field: str = ""  #: the field that holds it; empty for an action, such as `fill`
    role: str = ""  #: the role that it is about, where the field holds one value for each
    metavar: str = "VALUE"  #: what stands for the value in `--help`

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        return self.type.range

    @property
    def summary(self) -> str:
        """The help as the beginning of a sentence."""
        return f"{self.help[0].upper()}{self.help[1:]}"

    @property
    def option(self) -> str:
        """The name of its command-line option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def has_option(self) -> bool:
        """True if it has an option of its own; a key with one value for each role is set with `--set`."""
        return not self.role

    def parse(self, value: object, known: Known | None = None) -> object:
        """Return a value in its own type, from what TOML, JSON or a command line gave. Raises SettingError."""
        if value == "" == self.default:
            return value
        try:
            parsed = self.type.parse(value)
            if isinstance(self.type, KnownName) and (names := (known or {}).get(self.type.domain)) is not None:
                self.type.check(str(parsed), names)
        except UserError as error:
            raise SettingError(f"{self.name}: {str(error) or f'takes {self.range}, not {shorten(value)}'}") from None
        return parsed

    def to_toml(self, value: object) -> str | float | bool:
        """Return a value as a configuration file has it."""
        return self.type.to_toml(value)


def declare_key(default: object, type: ValueType, help: str, *, metavar: str = "VALUE") -> Any:  # noqa: A002
    """Declare a dataclass's field as a key of the field's name."""
    return field(default=default, metadata={_DECLARED: KeySpec("", type, default, help, metavar=metavar)})


def declare_key_per_role(
    table: str,
    roles: Sequence[str],
    default: object,
    type: ValueType,  # noqa: A002
    help: str,  # noqa: A002
    *,
    as_set: bool = False,
) -> Any:
    """Declare a dataclass's field as a table of keys, one for each role; `{role}` in the help stands for its name.

    The field maps those roles to values that have another than the default one. With `as_set` it is the frozenset of
    the roles whose switch is on.
    """
    metadata = {_DECLARED: KeySpec(table, type, default, help), _ROLES: roles}
    return field(default=frozenset(), metadata=metadata) if as_set else field(default_factory=dict, metadata=metadata)


def list_keys(owner: type, *, live: bool) -> Iterator[KeySpec]:
    """Yield the keys that a dataclass's fields declare, in their order."""
    for each in dataclasses.fields(owner):
        declared: KeySpec | None = each.metadata.get(_DECLARED)
        if declared is None:
            continue
        shared = dataclasses.replace(declared, live=live, field=each.name)
        if _ROLES not in each.metadata:
            yield dataclasses.replace(shared, name=each.name)
        for role in each.metadata.get(_ROLES, ()):
            yield dataclasses.replace(
                shared, name=f"{declared.name}.{role}", help=declared.help.format(role=role), role=role
            )


def read_value(owner: object, spec: KeySpec) -> object:
    """Return the value that a dataclass holds for a key."""
    held = getattr(owner, spec.field)
    if not spec.role:
        return held
    return spec.role in held if isinstance(held, frozenset) else held.get(spec.role, spec.default)


def with_value(owner: T, spec: KeySpec, value: object) -> T:
    """Return a dataclass with a key set to a parsed value."""
    if not spec.role:
        held = value
    elif isinstance(before := getattr(owner, spec.field), frozenset):
        held = before | {spec.role} if value else before - {spec.role}
    else:
        others = {role: other for role, other in before.items() if role != spec.role}
        held = others if value == spec.default else {**others, spec.role: value}
    return dataclasses.replace(owner, **{spec.field: held})  # type: ignore[type-var]


def split_assignment(text: str) -> tuple[str, str]:
    """Return key and value of a `--set KEY=VALUE`. Raises SettingError."""
    key, separator, value = text.partition("=")
    if not separator:
        raise SettingError(f"--set {shorten(text, quote=False)}: takes KEY=VALUE")
    return key.strip(), value.strip()


def shorten(value: object, *, quote: bool = True) -> str:
    """Return a value as an error message repeats it: quoted as in Python, and cut off where it is long."""
    text = repr(value) if quote else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
