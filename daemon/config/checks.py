"""Checks of what a configuration or a song says, with errors that name the key."""

from __future__ import annotations

from collections.abc import Collection

from daemon.core import controls
from daemon.core.player_info import PlayerInfo
from daemon.core.schema import SettingError
from music.errors import UserError

#: (control, value) pairs that are set together
Preset = tuple[tuple[str, object], ...]


class ConfigError(UserError):
    """Raised for a configuration that cannot be used; the message names the file and the key."""


def check_control(
    prefix: str, key: str, value: object, player: PlayerInfo | None = None, technique: str | None = None
) -> object:
    """Return a live control's value in its own type. Raises ConfigError, which names the key behind a prefix.

    technique: that which plays; None: any may.
    """
    known: tuple[Collection[str], ...] = ()
    if player is not None:
        known = player.styles if technique is None else player.get_styles(technique), player.techniques
    try:
        return controls.parse(key, value, *known)
    except SettingError as error:
        raise ConfigError(f"{prefix}{error}") from None
