"""The form of a performance: fills, variations, endings, and what a pause of the player means. Pure, in ticks.

- A **fill** raises density and temperature over the last half bar, from the next step on when that has begun already,
  and in the next bar when less than a beat is left of this one.
- A **variation** is another seed, and with it another groove, from the next bar line on.
- An **ending** begins at the next bar line: one more bar, then on beat 1 a chord that is held for a bar, then silence.
- A **pause** of so many whole bars is followed by an ending of its own; playing again calls that off until its chord.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from daemon.core.settings import Settings
from daemon.engine.song import Metres, bar_at

#: what a fill adds to density and temperature, which stay in their range
FILL_DENSITY, FILL_TEMPERATURE, MOST = 0.8, 0.3, 2.0
#: from one variation's seed to the next; odd and large, so that seeds a player would choose do not meet
SEED_STEP = 1_000_003


class Phase(Enum):
    """Where in the form a tick lies."""

    PLAYING = "playing"
    CHORD = "chord"  # the final chord begins here
    HELD = "held"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Ending:
    """begin: the bar line from which on it plays its last bar; chord: where the final chord begins; over: where that
    ends; paused: it is a pause that brought it, and the next note that is played begins anew."""

    begin: int
    chord: int
    over: int
    paused: bool = False


class Form:
    """Where the performance is in its form. All ticks are the band's own; they rise until `reset`."""

    def __init__(self, metres: Metres) -> None:
        self.ending: Ending | None = None
        self._metres = metres
        self._fills: tuple[int, int] | None = None
        self._variation = 0
        self._coming: tuple[int, int] | None = None  # (bar line, variation) from there on

    def reset(self) -> None:
        """Ticks leap or the band stops: nothing is pending any more. The variation stays."""
        if self._coming is not None:
            self._variation = self._coming[1]
        self.ending = self._fills = self._coming = None

    def fill(self, tick: int) -> None:
        """A fill is wanted at this tick."""
        bar = bar_at(self._metres, tick)
        if bar.end - tick < bar.beat:
            bar = bar_at(self._metres, bar.end)
        self._fills = bar.fill, bar.end

    def next_variation(self, tick: int | None) -> None:
        """Another variation is wanted at this tick; at once while nothing plays (None)."""
        if tick is None:
            self._variation += 1
            return
        self._settle(tick)
        coming = self._variation if self._coming is None else self._coming[1]
        self._coming = bar_at(self._metres, tick).end, coming + 1

    def end(self, tick: int) -> None:
        """An ending is wanted at this tick. One under way goes on as it is; one of a pause now stays."""
        if self.ending is None:
            self._end_from(bar_at(self._metres, tick).end, paused=False)
        else:
            self.ending = replace(self.ending, paused=False)

    def pause(self, line: int, since: int | None, bars: int) -> None:
        """At a bar line the player has been silent since a tick (None: is not silent): after `bars` whole bars of it
        the ending begins here. 0 bars: never."""
        if bars and self.ending is None and since is not None:
            bar = bar_at(self._metres, line)
            if bar.start == line and line - since >= bars * (bar.end - bar.start):
                self._end_from(line, paused=True)

    def melody_played(self, tick: int) -> None:
        """The player plays again: an ending that only a pause had brought is called off, until its chord."""
        if self.ending is not None and self.ending.paused and tick < self.ending.chord:
            self.ending = None

    def phase(self, tick: int) -> Phase:
        """What is to be played at a step's tick."""
        if self.ending is None or tick < self.ending.chord:
            return Phase.PLAYING
        if tick == self.ending.chord:
            return Phase.CHORD
        return Phase.HELD if tick < self.ending.over else Phase.OVER

    def settings(self, tick: int, settings: Settings) -> Settings:
        """What the players are told for the step at this tick, when the controls stand as they do."""
        self._settle(tick)
        if self._variation:
            settings = replace(settings, seed=settings.seed + SEED_STEP * self._variation)
        if self._fills is not None and self._fills[0] <= tick < self._fills[1]:
            settings = replace(
                settings,
                density=min(MOST, settings.density + FILL_DENSITY),
                temperature=min(MOST, settings.temperature + FILL_TEMPERATURE),
            )
        return settings

    def _settle(self, tick: int) -> None:
        if self._coming is not None and tick >= self._coming[0]:
            self._variation, self._coming = self._coming[1], None

    def _end_from(self, line: int, *, paused: bool) -> None:
        chord = bar_at(self._metres, line).end
        self.ending = Ending(line, chord, bar_at(self._metres, chord).end, paused)
