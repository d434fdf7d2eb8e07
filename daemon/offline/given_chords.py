"""Chords that a rendering is given: the part of a file that leads, and what the band was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.world import Composer
from daemon.harmony.observed_composer import ChordTeller
from music import midifile
from music.charts.chord_names import list_markers
from music.midifile import Part
from music.note import CHANNELS, HAND, MELODY

if TYPE_CHECKING:
    import mido

#: the MIDI channel (0..15) on which a hand with a track of its own is heard, unless another is chosen
HAND_CHANNEL = 15


def find_hand(song: midifile.Song, melody: Part, settings: Settings, track: str | None) -> tuple[Part, ...]:
    """Return the parts of a song that are heard as the leading hand; none where it has none but the melody's.

    track: the name or number of the hand's track, None where it is not given: then the parts on `chord_channel` are it.
    Raises MidiFileError where there are none.
    """
    if track is not None:
        chosen = midifile.choose_melody(song, track)
        parts = [part for part in song.parts if part.index == chosen.index and part.notes]
    elif settings.chord_channel:
        parts = [part for part in song.parts if part.channel == settings.chord_channel - 1 and part.notes]
        if not parts:
            raise song.make_error(f"no notes on channel {settings.chord_channel}, which is to have the chords")
    else:
        return ()
    others = tuple(part for part in parts if part is not melody)
    if not others:
        raise song.make_error("the chords' track is the melody's; choose another with --track, or tell them by --split")
    return others


def choose_channels(settings: Settings, has_hand: bool) -> tuple[Settings, int]:
    """Return the settings under which a hand is heard on a channel of its own, and the melody's channel, 0..15."""
    if has_hand and not settings.chord_channel:
        settings = replace(settings, chord_channel=HAND_CHANNEL + 1)
    is_taken = settings.chord_channel - 1 == CHANNELS[MELODY]
    return settings, CHANNELS["bass"] if is_taken else CHANNELS[MELODY]


def copy_hand(song: midifile.Song, hand: Sequence[Part]) -> dict[str, list[mido.Message]]:
    """Return the tracks of a leading hand by name, each with the channels that are the hand's."""
    tracks: dict[str, list[mido.Message]] = {}
    for part in hand:
        name, number = _name_track(part), 2
        while name in tracks:
            name, number = f"{_name_track(part)} {number}", number + 1
        tracks[name] = midifile.copy_track(song, part.index, part.channel)
    return tracks


def _name_track(part: Part) -> str:
    return part.name if part.name not in ("", MELODY) else HAND


class HarmonyLog:
    """A Composer that notes which chords the band is told of, and asks another."""

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._teller = ChordTeller()
        self._changes: dict[int, str] = {}  # tick -> label of the chord that begins there; empty: none is known

    def ask(self, request: PlanRequest) -> None:
        """Note the chords up to the step that is asked for, anew as far back as they are told, and ask."""
        if changes := self._teller.list_changes(request):
            self._changes = {tick: label for tick, label in self._changes.items() if tick < changes[0][0]}
            self._changes.update(changes)
        self._composer.ask(request)

    def list_markers(self, end: int) -> tuple[tuple[int, str], ...]:
        """Return (tick, label) of every change of chord before tick `end`; what began before bar 1 as of there.

        They are in the player's key; `N` is where none is known any more.
        """
        return tuple(list_markers((tick, label) for tick, label in sorted(self._changes.items()) if tick < end))
