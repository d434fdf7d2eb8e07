"""The setup of the studio's server, and the seam at which its parts tell pages of what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
#: sends an event, a JSON object with a member `event`, to every page that is open; never waits; on the server's loop
Tell = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class StudioSetup:
    """Everything that the studio is made from."""

    #: the address of the band's control socket, as `daemon.control.protocol.resolve_address` returns it
    control: str
    #: the folder of takes, in which the studio's documents lie, too; None where there is none
    takes: Path | None
    #: the soundfont that was named; None: one that is on the machine
    soundfont: Path | None = None
    #: the controls' values that the configuration gives: what a result is made with where the page says nothing
    controls: Mapping[str, object] | None = None
