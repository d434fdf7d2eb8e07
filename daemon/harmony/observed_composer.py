"""A Composer whose requests are looked at for the chords that the band is told of."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.observers import Observer
from daemon.core.plan import PlanRequest
from daemon.core.world import Composer
from daemon.harmony.chord_naming import label_chords
from music.note import TICKS_PER_STEP


class ObservedComposer:
    """A Composer that reports the chords of every request to observers, once it has asked."""

    def __init__(self, composer: Composer, observers: Sequence[Observer]) -> None:
        self._composer = composer
        self._on_chords = tuple(each.on_chords for each in observers if type(each).on_chords is not Observer.on_chords)

    def ask(self, request: PlanRequest) -> None:
        """Ask, and report the chords up to the step that is asked for."""
        self._composer.ask(request)
        if not self._on_chords or not request.harmony:
            return
        if chords := label_chords(request.harmony, request.now * TICKS_PER_STEP):
            for on_chords in self._on_chords:
                on_chords(chords)
