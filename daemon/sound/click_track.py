"""A click on every beat while the band plays, for those who hear it through loudspeakers."""

from __future__ import annotations

from collections.abc import Callable

from daemon.core.observers import Observer, PerformanceView, PlayedBar
from daemon.core.tempo import NS_PER_MS
from music import midi
from music.click import click_at, ticks_per_click
from music.note import Note

_CLICK_NS = 30 * NS_PER_MS


class ClickTrack(Observer):
    """Sends the clicks of a performance, each a little before it is due."""

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        """send: takes a MIDI message and the time (ns) at which it is to sound."""
        self._send = send
        self._performance: PerformanceView | None = None
        self._next: int | None = None  # the tick of the next click

    def on_start(self, performance: PerformanceView) -> None:
        """Click to this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Send the clicks of the next half beat."""
        performance = self._performance
        tempo = None if performance is None or not performance.playing else performance.tempo
        if tempo is None or performance is None:
            self._next = None
            return
        tick = tempo.tick_at(now)
        bar = performance.find_bar(tick)
        beat = ticks_per_click(bar.metre)
        if self._next is None or not -beat <= self._next - tick <= 2 * beat:  # it has begun, or the tempo has jumped
            self._next = _find_beat(bar, tick)
        while self._next <= tick + beat // 2:
            bar = performance.find_bar(self._next)  # it may have another metre
            if _find_beat(bar, self._next) == self._next:
                self._click(tempo.ns_at(self._next), click_at(self._next - bar.start, bar.metre))
            self._next = _find_beat(bar, self._next + 1)

    def _click(self, at: int, click: Note) -> None:
        self._send(midi.note_on(midi.DRUM_CHANNEL, click.pitch, click.velocity), at)
        self._send(midi.note_off(midi.DRUM_CHANNEL, click.pitch), at + _CLICK_NS)


def _find_beat(bar: PlayedBar, tick: int) -> int:
    """Return the first tick, from one in a bar on, at which a beat or the next bar begins."""
    beat = ticks_per_click(bar.metre)
    return min(bar.end, bar.start - (bar.start - tick) // beat * beat)
