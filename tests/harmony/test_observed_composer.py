"""Reports of the chords that the band is told of: changes, ends, and the key that they are in."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.observers import Observer
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.harmony.observed_composer import ChordTeller, ObservedComposer
from music.encoding.chord_evidence import GivenChord, pack_tones


def chord(start: int, end: int, root: int, certainty: float = 1.0) -> GivenChord:
    return GivenChord(start, end, root, pack_tones((root, root + 4, root + 7)), root, certainty)


def request(tick: int, *harmony: GivenChord, transpose: int = 0) -> PlanRequest:
    return PlanRequest(1, tick // 6, tick, (), {}, settings=Settings(transpose=transpose), harmony=harmony)


def tell(*requests: PlanRequest) -> list[tuple[int, str]]:
    """The changes that several requests come to."""
    teller, known = ChordTeller(), dict[int, str]()
    for each in requests:
        if changes := teller.list_changes(each):
            known = {tick: label for tick, label in known.items() if tick < changes[0][0]} | dict(changes)
    return sorted(known.items())


def test_the_end_of_what_is_known_is_reported_once() -> None:
    reported: list[list[tuple[int, str]]] = []

    class Listener(Observer):
        def on_chords(self, chords: Sequence[tuple[int, str]]) -> None:
            reported.append(list(chords))

    class Silent:
        def ask(self, request: PlanRequest) -> None:
            pass

    composer = ObservedComposer(Silent(), [Listener()])
    for each in (request(0), request(24, chord(0, 240, 0)), request(240), request(2400)):
        composer.ask(each)
    assert reported == [[(0, "C:maj")], [(240, "")]]


def test_a_hand_that_lets_go_ends_its_chord_and_one_that_goes_on_does_not() -> None:
    first, second = chord(0, 48, 0), chord(96, 300, 5)
    found = [(0, "C:maj"), (48, ""), (96, "F:maj")]
    assert tell(request(24, first), request(90, first), request(96, first, second)) == found
    assert tell(request(60, first)) == [(0, "C:maj")]
    assert tell(request(96, first, chord(60, 300, 5))) == [(0, "C:maj"), (60, "F:maj")]


def test_a_chord_that_is_assumed_to_go_on_does() -> None:
    assert tell(request(200, chord(0, 96, 0), chord(192, 216, 0, 0.3))) == [(0, "C:maj")]


def test_what_was_guessed_is_not_filled_in_later() -> None:
    old, new = chord(0, 600, 0), chord(600, 900, 5)
    played = [request(24, old), request(200), request(500), request(600, old, new), request(606, old, new)]
    assert tell(*played) == [(0, "C:maj"), (198, ""), (600, "F:maj")]
    again = [request(24, old), request(200), request(400, old), request(406, old)]
    assert tell(*again) == [(0, "C:maj"), (198, ""), (396, "C:maj")]


def test_nothing_ends_where_the_performance_begins_anew() -> None:
    assert tell(request(96, chord(0, 300, 0)), request(24), request(30)) == [(0, "C:maj")]


def test_labels_are_in_the_players_key() -> None:
    band = chord(0, 300, 2)  # a C of a player whose band is two semitones higher
    assert tell(request(24, band, transpose=2)) == [(0, "C:maj")]
    turned = [request(24, chord(0, 300, 0)), request(96, chord(0, 300, 0), transpose=2)]
    assert tell(*turned) == [(0, "C:maj"), (96, "Bb:maj")]  # what it was before stands; the band still sounds C
    nothing = GivenChord(0, 300, -1, 0, -1, 1.0)
    assert tell(request(24, nothing, transpose=2)) == [(0, "N")]
