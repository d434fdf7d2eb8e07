"""A metronome's click: two wood blocks of General MIDI's drum kit, the higher one where a bar begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from music.note import TICKS_PER_BEAT, Metre, Note

#: General MIDI's high and low wood block, on the drums' channel
BAR_PITCH, BEAT_PITCH = 76, 77
_BAR_VELOCITY, _BEAT_VELOCITY = 110, 80
_LENGTH_TICKS = 2


def ticks_per_click(metre: Metre) -> int:
    """Return the ticks from one click to the next: a beat of the metre's denominator."""
    return TICKS_PER_BEAT * 4 // metre.denominator


def click_at(tick: int, metre: Metre) -> Note:
    """Return the click of the beat at a tick; bars begin at whole multiples of the metre's bar."""
    if tick % metre.ticks_per_bar == 0:
        return Note(tick, BAR_PITCH, _LENGTH_TICKS, _BAR_VELOCITY)
    return Note(tick, BEAT_PITCH, _LENGTH_TICKS, _BEAT_VELOCITY)


def clicks(begin: int, end: int, metre: Metre) -> Iterator[Note]:
    """Yield a click on every beat from tick `begin`, which is one, up to tick `end`."""
    for tick in range(begin, end, ticks_per_click(metre)):
        yield click_at(tick, metre)


def song_clicks(metres: Sequence[tuple[int, Metre]], end: int) -> Iterator[Note]:
    """Yield a click on every beat of a song up to tick `end`; metres: (tick, metre) of every change, by tick."""
    for (begin, metre), (following, _) in pairwise((*metres, (end, Metre()))):
        for click in clicks(0, min(following, end) - begin, metre):
            yield replace(click, start=begin + click.start)
