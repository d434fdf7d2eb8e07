"""Facts about a player, as the engine knows them: it asks the player for plans, and never sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from daemon.core.settings import Settings
from daemon.core.techniques import find
from music.note import STEPS_PER_BAR, Metre


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
    #: technique -> the styles that it has learned, where not all have learned the same
    technique_styles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: technique -> its `future_steps`, where not all cover as many
    technique_steps: Mapping[str, int] = field(default_factory=dict)

    def get_styles(self, technique: str) -> tuple[str, ...]:
        """Return the styles that a technique has learned."""
        return self.technique_styles.get(technique, self.styles)

    def count_future_steps(self, settings: Settings) -> int:
        """Return how many steps every plan covers, at least, by the techniques that the settings choose."""
        chosen = {settings.technique, *settings.players.values()}
        return min(self.technique_steps.get(technique, self.future_steps) for technique in chosen)


def describe_limits(player: PlayerInfo, settings: Settings, metres: Iterable[Metre]) -> list[str]:
    """Return sentences for the user about what the techniques that are chosen have not learned of what is asked."""
    found = []
    for technique in dict.fromkeys((settings.technique, *settings.players.values())):
        styles, learned = player.get_styles(technique), find(technique).learned_metres
        if settings.style not in styles:
            found.append(
                f"the {technique} has not learned {settings.style}, only {', '.join(styles)}: it plays its roles as "
                f"{styles[0]}"
            )
        found += [
            f"the {technique} has learned from music in {', '.join(map(str, learned))}: in {metre} it keeps your bars, "
            "but its grooves are those of another metre"
            for metre in dict.fromkeys(metres)
            if learned and metre.steps_per_bar != STEPS_PER_BAR and replace(metre, groups=()) not in learned
        ]
    return found
