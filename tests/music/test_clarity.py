"""Figures of how clearly an accompaniment tells its harmony, compared with the code that defines them, too."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from music import midifile
from music.chords import ChordTrack
from music.corpus import read_split
from music.evaluation.baselines import Accompaniment, extract_human_parts, follow_chords, play_chord_blocks
from music.evaluation.clarity import measure_half_bars, measure_root_on_1
from music.evaluation.passage import MelodyPassage, collect_notes, find_passage
from music.note import Metre, Note, quantise
from tests.house.source import ROOT

#: a melody of four bars
TUNE = [Note(24 * i, 72, 24) for i in range(16)]
CHORDS = ChordTrack([(0, "C:maj"), (96, "A:min7/b3"), (240, "G:sus4"), (288, "N")])


def chord(start: int, length: int, *pitches: int) -> list[Note]:
    return [Note(start, pitch, length) for pitch in pitches]


def measure(notes: list[Note], chords: ChordTrack = CHORDS, metre: Metre = Metre()) -> tuple[float, float, float]:
    where = find_passage(TUNE, metre)
    ours = collect_notes({"chords": notes}, where)
    halves = measure_half_bars(where, ours, chords)
    return halves["half_bar_root"], halves["half_bar_triad"], measure_root_on_1(where, ours)


def test_a_half_bar_tells_the_triad_that_fits_best_what_sounds() -> None:
    right = [*chord(0, 96, 48, 64, 67), *chord(96, 144, 45, 60, 64), *chord(240, 48, 43, 60, 62)]
    # G, C and D fit a triad on C as well, which comes first
    assert measure(right)[:2] == (5 / 6, 5 / 6)
    parallel = [*chord(0, 96, 48, 63, 67), *chord(96, 144, 45, 61, 64)]
    assert measure(parallel)[:2] == (5 / 6, 0.0)
    assert measure([])[:2] == (0.0, 0.0)
    assert all(math.isnan(value) for value in measure(right, ChordTrack([]))[:2])


def test_the_chord_that_fills_most_of_a_half_bar_counts() -> None:
    chords = ChordTrack([(0, "C:maj"), (30, "F:maj"), (48, "F:maj"), (96, "N")])
    assert measure(chord(0, 48, 60, 64, 67), chords)[0] == 1 / 2
    assert measure(chord(0, 96, 60, 64, 67), ChordTrack([(0, "F:maj"), (3, "C:maj"), (96, "N")]))[0] == 1


def test_the_root_is_looked_for_where_one_chord_is_clear() -> None:
    clear, inverted = chord(0, 24, 48, 64, 67), chord(96, 24, 52, 60, 67)
    assert measure([*clear, *inverted])[2] == 1 / 2
    smeared = [*clear, *chord(96, 24, 48, 50, 64, 65, 67, 71)]
    assert measure(smeared)[2] == 1
    late, thin = chord(6, 18, 48, 64, 67), chord(96, 24, 48, 55)
    assert math.isnan(measure([*late, *thin])[2])
    assert measure([*chord(0, 24, 45, 60, 64, 67), *chord(96, 24, 48, 57, 64, 67)])[2] == 1  # Am7, or C6


def test_notes_from_before_the_passage_do_not_count() -> None:
    where = MelodyPassage(16, 16, find_passage(TUNE).line[:16])
    ours = collect_notes({"pad": chord(90, 96, 48, 64, 67)}, where)
    assert measure_half_bars(where, ours, ChordTrack([(0, "C:maj")])) == {"half_bar_root": 0, "half_bar_triad": 0}


@pytest.mark.parametrize(("metre", "halves"), [(Metre(3, 4), 12), (Metre(7, 8), 10), (Metre(1, 16), 64)])
def test_bars_of_other_metres_have_halves_too(metre: Metre, halves: int) -> None:
    notes = chord(0, 6, 60, 64, 67)
    assert measure(notes, ChordTrack([(0, "C:maj")]), metre)[0] == pytest.approx(1 / halves)
    assert measure(notes, ChordTrack([(0, "C:maj")]), metre)[2] == 1


# --- the judge's own code ---------------------------------------------------------------------------------------------

JUDGE = ROOT.parent / "shared" / "tools" / "judge"
_OF_JUDGE = ("clarity", "baselines", "measure", "songs")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that the definitions are from."""
    if not (JUDGE / "clarity.py").is_file():
        pytest.skip("NOT compared with the definitions: needs ../shared/tools/judge, beside the checkout")
    monkeypatch.syspath_prepend(str(JUDGE))
    hidden = {name: sys.modules.pop(name) for name in _OF_JUDGE if name in sys.modules}
    import importlib

    yield importlib.import_module("clarity")
    for name in _OF_JUDGE:
        sys.modules.pop(name, None)
    sys.modules.update(hidden)


def ask_judge(judge: Any, path: Path, where: MelodyPassage) -> tuple[float, float, float]:
    song = judge.read(path.read_bytes(), path.name)
    first, last = where.first_step / 4, (where.first_step + where.steps) / 4
    chords = [(max(0.0, beat - first), classes, root) for beat, classes, root in song.rooted]
    found = judge.figures(judge.window(song.accompaniment(), first, last), chords, where.steps)
    return tuple(float(found[key]) for key in ("half-bar root", "half-bar triad", "root on 1"))  # type: ignore[return-value]


def ask_us(parts: Accompaniment, where: MelodyPassage, markers: ChordTrack) -> tuple[float, float, float]:
    ours = collect_notes(parts, where)
    halves = measure_half_bars(where, ours, markers)
    return halves["half_bar_root"], halves["half_bar_triad"], measure_root_on_1(where, ours)


LABELS = ("C:maj", "A:min7/b7", "F#:hdim7", "Bb:maj7/2", "D:sus4(b7)", "E:min/b3", "G:7/3", "N", "Eb:minmaj7", "B:9")


@pytest.mark.shared
@pytest.mark.parametrize("seed", range(20))
def test_any_notes_have_the_figures_that_the_judge_gives_them(seed: int, judge: Any, tmp_path: Path) -> None:
    drawn, path = random.Random(seed), tmp_path / "song.mid"
    notes = {
        (6 * drawn.randrange(128), drawn.choice((0, 4, 7, 10, 5, 9)) + 36 + 12 * drawn.randrange(4)) for _ in range(300)
    }
    parts = {"piano": [Note(start, pitch, 6) for start, pitch in sorted(notes)]}
    tune = [Note(96 + 24 * i, 72, 24) for i in range(20)]
    harmony = [
        (6 * step + drawn.choice((0, 1, -2)), drawn.choice(LABELS))
        for step in range(2, 128, drawn.choice((4, 5, 8, 16)))
    ]
    midifile.write(path, {"melody": tune, **parts}, harmony=harmony)
    song = midifile.read(path)
    where = find_passage(tune)
    expected = ask_judge(judge, path, where)
    assert ask_us(extract_human_parts(song), where, ChordTrack(song.markers)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.shared
def test_songs_have_the_figures_that_the_judge_gives_them(shared_data: Path, judge: Any, tmp_path: Path) -> None:
    for entry in read_split(shared_data, "pop909", "valid", songs=2):
        song = entry.read()
        where, chords = find_passage(midifile.choose_melody(song).notes), ChordTrack(song.markers)
        # on the grid, for the judge rounds what lies halfway to the even step
        human = {role: quantise(notes) for role, notes in extract_human_parts(song).items()}
        for parts in (human, play_chord_blocks(where, chords), follow_chords(where)):
            path = tmp_path / "song.mid"
            midifile.write(path, {"melody": midifile.choose_melody(song).notes, **parts}, harmony=song.markers)
            expected = ask_judge(judge, path, where)
            assert ask_us(parts, where, chords) == pytest.approx(expected, nan_ok=True)
