"""The form of a performance: fills, variations, endings, and what follows a pause of the player. All in ticks.

- A **fill** raises density and temperature over the last half bar, in which nothing comes again that was played, and
  players are told of it; from the next step on when that has begun already, and in the next bar when less than a beat
  is left of this one.
- A **variation** is another seed, and with it another groove, from the next bar line on.
- An **ending** is a final chord that is held for a bar, then silence. It falls on the next bar line, on the one after
  it, or on the next note of the melody; where the chart has an ending, that is played first.
- A **pause** of so many whole bars is followed by an ending of its own; playing again calls that off until its chord.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from daemon.core.settings import BAR_LATER, NEXT_BAR, NEXT_NOTE, Settings
from daemon.engine.song import BarLines
from music.note import TICKS_PER_STEP

#: what a fill adds to density and temperature, and the greatest value of both
FILL_DENSITY, FILL_TEMPERATURE, MAX_VALUE = 0.8, 0.3, 2.0
#: from one variation's seed to the next: odd and large, so that seeds a performer would choose do not meet
SEED_STEP = 1_000_003


class Phase(Enum):
    """Phases of a performance."""

    PLAYING = "playing"
    CHORD = "chord"  # the final chord begins
    HELD = "held"  # it is held
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Ending:
    """An ending that is to come or under way, in ticks."""

    begin: int  #: the bar line from which on the last bar is played
    chord: int  #: where the final chord begins, at the latest if it `waits_for_note`
    over: int  #: where that ends
    paused: bool = False  #: a pause has brought it about, and the next note that is played begins anew
    waits_for_note: bool = False  #: the final chord falls on the next note of the melody


class Form:
    """Knows where the performance is in its form. Ticks rise until `reset`."""

    def __init__(self, bars: BarLines) -> None:
        self.ending: Ending | None = None
        #: how the controls stand from the step on that is asked for next, where another song begins there
        self.coming: Settings | None = None
        self._bars = bars
        self._fill: tuple[int, int] | None = None  # its first tick and its end
        self._variation = 0
        self._next_variation: tuple[int, int] | None = None  # (the bar line from which on it holds, variation)

    def reset(self) -> None:
        """Cancel all that is to come, as ticks leap or the band stops; a variation that was to come begins at once."""
        if self._next_variation is not None:
            self._variation = self._next_variation[1]
        self.ending = self._fill = self._next_variation = None

    def begin_song(self) -> None:
        """Begin another song, in its own variation, without the fill of the one before."""
        self._variation, self._fill, self._next_variation = 0, None, None

    def fill(self, tick: int) -> None:
        """Play a fill, which is asked for at this tick."""
        bar = self._bars.bar_at(tick)
        if bar.end - tick < bar.beat:
            bar = self._bars.bar_at(bar.end)
        self._fill = bar.fill, bar.end

    def is_fill(self, tick: int) -> bool:
        """Tell whether a fill is asked for at a tick."""
        return self._fill is not None and self._fill[0] <= tick < self._fill[1]

    def next_variation(self, tick: int | None) -> None:
        """Play another variation from the next bar line on; at once if `tick` is None, as while nothing plays."""
        if tick is None:
            self._variation += 1
            return
        self._begin_variation(tick)
        latest = self._variation if self._next_variation is None else self._next_variation[1]
        self._next_variation = self._bars.bar_at(tick).end, latest + 1

    def end(
        self,
        tick: int,
        final_chord: str = BAR_LATER,
        find_chord: Callable[[int], int | None] = lambda _line: None,
    ) -> None:
        """End, as is asked for at this tick. An ending under way goes on; one that a pause brought about now stays.

        final_chord: where it falls, one of `daemon.core.settings.FINAL_CHORDS`; find_chord: returns where it begins if
        the ending of a chart begins at a tick, None where there is none.
        """
        if self.ending is not None:
            self.ending = replace(self.ending, paused=False)
            return
        late = TICKS_PER_STEP if final_chord == NEXT_BAR else 0
        line = self._bars.bar_at(tick + late).end  # whoever is as early as that means the bar that is about to begin
        if final_chord == NEXT_NOTE:
            self._end_from(line, None, waits_for_note=True)
            return
        chord = find_chord(line)
        self._end_from(line, line if chord is None and final_chord == NEXT_BAR else chord)

    def end_on(self, tick: int, over: int | None = None) -> None:
        """Let the final chord begin at a tick, and end at another, or after a bar."""
        bar = self._bars.bar_at(tick)
        self.ending = Ending(tick, tick, tick + bar.end - bar.start if over is None else over)

    def end_after_pause(self, tick: int, since: int | None, bars: int) -> None:
        """Begin an ending at this tick, if it is a bar line and the player has been silent for `bars` whole bars.

        since: the tick since which he has been silent, None if he is not; bars: 0 for never.
        """
        if bars and self.ending is None and since is not None:
            bar = self._bars.bar_at(tick)
            if bar.start == tick and tick - since >= bars * (bar.end - bar.start):
                self._end_from(tick, None, paused=True)

    def melody_played(self, tick: int) -> bool:
        """Take in that a melody note is played at a tick; return True if the final chord is to fall on it.

        It calls an ending off that a pause has brought about, until its chord: the player plays again.
        """
        if self.ending is None or tick >= self.ending.chord:
            return False
        if self.ending.paused:
            self.ending = None
            return False
        return self.ending.waits_for_note

    def phase(self, tick: int) -> Phase:
        """Return the phase of the step at this tick."""
        if self.ending is None or tick < self.ending.chord:
            return Phase.PLAYING
        if tick == self.ending.chord:
            return Phase.CHORD
        return Phase.HELD if tick < self.ending.over else Phase.OVER

    def settings(self, tick: int, settings: Settings) -> Settings:
        """Return the settings for the step at this tick, when the controls stand as `settings` says."""
        settings = self.coming or settings
        self._begin_variation(tick)
        if self._variation:
            settings = replace(settings, seed=settings.seed + SEED_STEP * self._variation)
        if self.is_fill(tick):
            settings = replace(
                settings,
                density=min(MAX_VALUE, settings.density + FILL_DENSITY),
                temperature=min(MAX_VALUE, settings.temperature + FILL_TEMPERATURE),
                recall=0.0,  # else the band would play what it played there without a fill
            )
        return settings

    def _begin_variation(self, tick: int) -> None:
        if self._next_variation is not None and tick >= self._next_variation[0]:
            self._variation, self._next_variation = self._next_variation[1], None

    def _end_from(self, line: int, chord: int | None, *, paused: bool = False, waits_for_note: bool = False) -> None:
        if chord is None:
            chord = self._bars.bar_at(line).end
        chord = -(-chord // TICKS_PER_STEP) * TICKS_PER_STEP  # in a metre of its own, a chart is off the grid
        self.ending = Ending(line, chord, self._bars.bar_at(chord).end, paused, waits_for_note)
