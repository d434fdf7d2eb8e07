"""What a player is asked and what it answers: the one question of the house.

*Given the canvas and the now-line, what should sound right of it?* Both are frozen and picklable, for the worker is a
process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.core.settings import Settings
from music.edits.edit import Edit
from music.note import Metre, Note

#: how often a plan may be asked for: at every step, beat or bar
REPLAN_CHOICES = ("step", "beat", "bar")


@dataclass(frozen=True, slots=True)
class LoopState:
    """The loop as a player is shown it. steps: how long it is; bars: the steps at which its bars begin; notes: rows of
    (step, pitch, length, velocity, put there by an edit) in steps; given, removed: notes of the player's that were in
    it, and how many of these are gone; want: how many edits are wanted; turn: rises with every question; refused:
    (step, pitch) of what the player has taken back."""

    steps: int
    bars: tuple[int, ...]
    notes: tuple[tuple[int, int, int, int, bool], ...]
    given: int
    removed: int
    wanted_edits: int
    request_count: int
    refused: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class AppliedEdit:
    """An edit that has been made to the loop."""

    serial: int  #: counts all edits of a performance, from 1
    at: int  #: when it was made, ns
    tick: int  #: where the band was
    edit: Edit
    bar: int  #: of the loop, from 1
    step: int  #: in that bar, from 0
    undone: bool = False  #: True if it took an earlier edit back


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """One question to a player.

    number: rises by one with every question to a player; now: the first step the plan may write (ticks count from
    bar 1, step = 6 ticks); heard: the tick up to which the melody is known, None when the whole melody is
    visible (offline); melody: the notes heard in the window, those still held ending at `heard`; committed: role ->
    notes of the accompaniment already committed (begun before `now`, those of muted roles too); one still sounding
    has its planned end; metre: the one in force at `now`; bar_origin: a tick at which a bar of that metre begins (0,
    where bar 1 begins, until the metre changes); loop: what goes round, for a player that edits it.
    """

    number: int
    now: int
    heard: int | None
    melody: tuple[Note, ...]
    committed: Mapping[str, tuple[Note, ...]]
    metre: Metre = Metre()
    settings: Settings = Settings()
    bar_origin: int = 0
    loop: LoopState | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A player's answer: every note of every role it plays with onset in steps [first, last), nothing else.

    number and heard are the request's; notes: role -> notes sorted by start. A role missing from `notes` is not this
    player's business and is left as it is; a role with an empty tuple rests. held: role -> committed notes still
    sounding at `first`, each as the player now wants it to end (never before `first`); a sounding note that is
    left out keeps the end it had. inference_ns: time spent answering. edits: of the loop in the request, to be applied
    in order; the loop itself is the conductor's, and what it holds is no part of `notes`.
    """

    number: int
    first: int
    last: int
    heard: int | None
    notes: Mapping[str, tuple[Note, ...]]
    held: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    inference_ns: int = 0
    edits: tuple[Edit, ...] = ()
