"""Facts about a player, as the engine knows them: it asks the player for plans, and never sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlayerInfo:
    """Facts about a player that do not change while it plays; the engine never sees the player itself."""

    #: steps left of the now-line in which the player looks at what was played
    past_steps: int
    #: steps left of the now-line of which it wants to know the melody; at least `past_steps`
    memory_steps: int
    #: steps right of the now-line that every plan covers, at least
    future_steps: int
    #: the roles it writes
    roles: tuple[str, ...]
    #: the styles it knows
    styles: tuple[str, ...]
    #: the techniques that can be chosen while it plays
    techniques: tuple[str, ...] = ()
    #: those of them that edit the notes of a loop instead of accompanying
    note_editors: tuple[str, ...] = ()
