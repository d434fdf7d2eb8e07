"""The controls of a take: which of them stood otherwise than usual at the beginning, and what was turned on the way."""

from __future__ import annotations

import json

from daemon.core import controls
from daemon.core.settings import Settings

#: what a change begins with where a take's file has it, in a message that is for the sequencer alone: the number of
#: makers that have none, then a name; it goes on with an object as in a line of automation, without its tick
SET_PREFIX = "\x7dhouseband set "
#: a longer value, such as a whole chart in a link, is not written down
MAX_VALUE_LENGTH = 2000


class SettingsHistory:
    """Notices which controls have changed."""

    def __init__(self) -> None:
        self.settings = Settings()  #: as they were when they were looked at last

    def update(self, settings: Settings) -> list[tuple[str, object]]:
        """Return the controls that stand otherwise than before: key, value. The first time, those not as usual."""
        if settings is self.settings:
            return []
        before, after = controls.current_values(self.settings), controls.current_values(settings)
        self.settings = settings
        changed = [(key, value) for key, value in after.items() if value != before[key]]
        return [(key, value) for key, value in changed if len(str(value)) <= MAX_VALUE_LENGTH]


def format_change(key: str, value: object) -> str:
    """Return a change as text."""
    return json.dumps({"key": key, "value": value})


def parse_change(text: str) -> tuple[str, object] | None:
    """Return the key and the value in a text of a take's file, None where it is another text."""
    if not text.startswith(SET_PREFIX):
        return None
    try:
        told = json.loads(text.removeprefix(SET_PREFIX))
        return str(told["key"]), told["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
