"""A click on every beat while the band plays, for those who hear it through loudspeakers."""

from __future__ import annotations

from collections.abc import Callable

from daemon.core.observers import Observer, PerformanceView
from daemon.core.tempo import NS_PER_MS
from music import midi
from music.click import click_at, ticks_per_click
from music.note import Metre

_CLICK_NS = 30 * NS_PER_MS


class ClickTrack(Observer):
    """Sends the clicks of a performance, each a little before it is due."""

    def __init__(self, metre: Metre, send: Callable[[bytes, int], None]) -> None:
        """send: takes a MIDI message and the time (ns) at which it is to sound."""
        self._metre, self._send = metre, send
        self._performance: PerformanceView | None = None
        self._next: int | None = None  # the tick of the next click

    def on_start(self, performance: PerformanceView) -> None:
        """Click to this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Send the clicks of the next half beat."""
        tempo = None if self._performance is None or not self._performance.playing else self._performance.tempo
        if tempo is None:
            self._next = None
            return
        beat, tick = ticks_per_click(self._metre), tempo.tick_at(now)
        if self._next is None or not -beat <= self._next - tick <= 2 * beat:  # it has begun, or the tempo has jumped
            self._next = -(-tick // beat) * beat
        while self._next <= tick + beat // 2:
            at, click = tempo.ns_at(self._next), click_at(self._next, self._metre)
            self._send(midi.note_on(midi.DRUM_CHANNEL, click.pitch, click.velocity), at)
            self._send(midi.note_off(midi.DRUM_CHANNEL, click.pitch), at + _CLICK_NS)
            self._next += beat
