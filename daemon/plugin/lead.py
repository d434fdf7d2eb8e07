"""The lead: how far a band is ahead of the host, so that its notes are at the plugin before they sound."""

from __future__ import annotations

from daemon.core.settings import Settings
from daemon.output.humanise import MAX_TIMING_NS, find_lookahead_ns
from daemon.plugin.lines import MILLITICKS
from daemon.plugin.timeline import SNAP, TICK_NS, US_PER_BEAT
from music.note import TICKS_PER_STEP

HALF_STEP = TICKS_PER_STEP // 2


class Lead:
    """Owns how far the band is ahead: a fixed number of ticks, so that it knows as much in every take of a song."""

    def __init__(self) -> None:
        #: how the controls stand
        self.settings = Settings()
        #: microseconds of a quarter note, as the host plays it
        self.us = US_PER_BEAT
        #: the lead, besides what notes need that sound early: ticks
        self.ticks = HALF_STEP

    def choose(self, ahead: int, *, least: int = HALF_STEP) -> bool:
        """Choose whole half steps, as many as the plugin needs; return True if they are others than before.

        ahead: milliticks; least: ticks.
        """
        half_steps = -(-(ahead + SNAP) // (HALF_STEP * MILLITICKS))
        before, self.ticks = self.ticks, max(least, half_steps * HALF_STEP)
        return self.ticks != before

    @property
    def ns(self) -> int:
        """The lead in ns of the band's time."""
        return self.ticks * TICK_NS

    @property
    def stray_ns(self) -> int:
        """The ns of real time by which a note may sound earlier than it is due, or later."""
        return find_lookahead_ns(self.settings)

    @property
    def latency_ns(self) -> int:
        """The latency that the conductor is to make up for: notes that may sound early are written earlier."""
        faster = max(US_PER_BEAT, US_PER_BEAT * US_PER_BEAT // self.us)  # a tick of the host is shorter
        early = -(-self.stray_ns * faster // (US_PER_BEAT * TICK_NS))
        return (self.ticks + early) * TICK_NS + round(self.settings.humanise * MAX_TIMING_NS)

    @property
    def lookahead_ns(self) -> int:
        """By how much the band is ahead of the host, all in all."""
        return self.latency_ns + find_lookahead_ns(self.settings)

    @property
    def pre_ticks(self) -> int:
        """The ticks before a step at which a band must be told to begin, to play in it."""
        return HALF_STEP - (-self.lookahead_ns // TICK_NS)
