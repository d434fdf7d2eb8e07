"""The owners of what is played to the band: its melody, its chords, and the channels on which they come."""

from __future__ import annotations

from collections.abc import Callable

from daemon.core.settings import Settings
from daemon.harmony.chart_route import ChartRoute
from daemon.harmony.harmony_source import HarmonySource, find_split
from daemon.harmony.lead_in import BarPlace
from daemon.input.melody import MelodyTracker
from daemon.input.melody_channels import MelodyChannels
from music.midi import CONTROL_CHANGE


class BandInput:
    """The owners of what is played to the band, and the operations that concern several of them. All in ticks."""

    def __init__(self, find_bar: Callable[[int], BarPlace], route: ChartRoute, channel: int | None = None) -> None:
        """Hear the melody on one MIDI channel (0..15), or on all if it is None.

        find_bar: returns the bar of a tick; route: the way through the song's chart.
        """
        self.channels = MelodyChannels(channel)  # where melody is heard
        self.melody = MelodyTracker(channels=self.channels)  # what was played of it
        self.harmony = HarmonySource(find_bar, self.channels.has, route)  # the chords that the player gives

    def use(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self.melody.split = find_split(settings)
        self.harmony.use(settings)
        self.channels.chords = settings.chord_channel - 1

    def hear(self, tick: int, data: bytes, port: int, *, is_armed: bool) -> bool:
        """Take in a message. Return True if a note of the melody begins; is_armed: it would start the band."""
        if data[0] >= CONTROL_CHANGE and (changed := self.channels.hear(data, port)):
            self.melody.release_channels(tick, port, changed)
        self.melody.split = self.harmony.hear(tick, data, port, is_armed=is_armed)
        return self.melody.hear(tick, data, port)

    def release(self, tick: int) -> None:
        """Take every key as up, whose note-off may never come."""
        self.melody.release(tick)
        self.harmony.release()

    def forget(self, tick: int, bar_1: int) -> None:
        """Let nothing count that was heard up to a tick, at which the performance begins."""
        self.melody.forget(tick + 1)
        self.harmony.forget(tick, bar_1)
