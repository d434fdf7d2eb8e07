"""One check of the doctor: what it is given, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from daemon.core.techniques import DEFAULT_TECHNIQUE

#: states of a result: as it should be; the band plays, but less well than it could; it cannot play
GOOD, ODD, BAD = "good", "odd", "bad"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of looking at one thing, with the remedy where something is wrong."""

    #: what was looked at, e.g. "MIDI system"
    subject: str
    #: GOOD, ODD or BAD
    state: str
    #: what is the case
    message: str
    #: what to do about it; empty for nothing
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what `houseband doctor --json` prints of it."""
        return {"what": self.subject, "state": self.state, "found": self.message, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class BandSetup:
    """The parts that a band is to play with, as configuration and command line name them."""

    api: str = "auto"
    technique: str = DEFAULT_TECHNIQUE
    #: a graph's file; None for the shipped weights
    graph: str | None = None
    soundfont: str | None = None
    #: the band is to be heard through this machine's loudspeakers
    audio: bool = False
    #: the folder of takes, which need not be there yet; None where they are not kept
    takes: Path | None = None
    #: bytes that takes may fill
    takes_limit: int = 500 << 20


@dataclass(slots=True)
class CheckContext:
    """State that the checks of one run share."""

    setup: BandSetup = BandSetup()
    #: numbers for programs, each with its unit in its name
    figures: dict[str, float | int | str | None] = field(default_factory=dict)
    #: the MIDI systems that give ports, once that has been checked
    running_apis: list[str] = field(default_factory=list)
