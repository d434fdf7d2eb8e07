"""Our figures of harmony, voices and memory, compared with the code that defines them, where it is there."""

from __future__ import annotations

import importlib
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
from music.evaluation import memory
from music.evaluation.baselines import Accompaniment, extract_human_parts, follow_chords, play_chord_blocks
from music.evaluation.metrics import Comparison, measure_all
from music.evaluation.passage import MelodyPassage, find_passage
from music.note import Note, quantise
from tests.house.source import ROOT

JUDGE = ROOT.parent / "shared" / "tools" / "judge"
_OF_JUDGE = ("clarity", "echo", "baselines", "measure", "songs")
#: what we call it -> what it is called there, in clarity.py and in measure.py
IN_CLARITY = {
    "clear": "clear",
    "own_root": "own root",
    "root_on_1": "root on 1",
    "cluster": "cluster",
    "changes": "changes",
    "voice_step": "voice step",
    "leaps": "leaps",
    "half_bar_root": "half-bar root",
    "half_bar_triad": "half-bar triad",
}
IN_MEASURE = {"distinct": "distinct_bars", "note_in_chord": "nic_frame"}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules that the definitions are from, by name."""
    if not all((JUDGE / f"{name}.py").is_file() for name in _OF_JUDGE):
        pytest.skip("NOT compared with the definitions: needs ../shared/tools/judge, beside the checkout")
    monkeypatch.syspath_prepend(str(JUDGE))
    hidden = {name: sys.modules.pop(name) for name in _OF_JUDGE if name in sys.modules}
    yield {name: importlib.import_module(name) for name in _OF_JUDGE}
    for name in _OF_JUDGE:
        sys.modules.pop(name, None)
    sys.modules.update(hidden)


def ask_judge(judge: dict[str, Any], path: Path, where: MelodyPassage) -> dict[str, float]:
    song = judge["songs"].read(path.read_bytes(), path.name)
    first, last = where.first_step / 4, (where.first_step + where.steps) / 4
    window = judge["measure"].window
    melody, ours = (window(notes, first, last) for notes in (song.tracks["melody"], song.accompaniment()))
    chords = [(max(0.0, beat - first), classes, root) for beat, classes, root in song.rooted]
    clarity = judge["clarity"].figures(ours, chords, where.steps)
    measured = judge["measure"].figures(melody, ours, steps=where.steps)
    found = {key: float(clarity[name]) for key, name in IN_CLARITY.items()}
    return found | {key: float(measured[name]) for key, name in IN_MEASURE.items()}


def ask_us(parts: Accompaniment, where: MelodyPassage, markers: ChordTrack) -> dict[str, float]:
    found = measure_all(where, parts, None, markers)
    return {key: found[key] for key in (*IN_CLARITY, *IN_MEASURE)}


LABELS = ("C:maj", "A:min7/b7", "F#:hdim7", "Bb:maj7/2", "D:sus4(b7)", "E:min/b3", "G:7/3", "N", "Eb:minmaj7", "B:9")


def write_any_song(path: Path, seed: int) -> tuple[list[Note], dict[str, list[Note]]]:
    """Write a song of random notes and return its melody and its parts."""
    drawn = random.Random(seed)
    notes = {
        (6 * drawn.randrange(128), drawn.choice((0, 4, 7, 10, 5, 9)) + 36 + 12 * drawn.randrange(4))
        for _ in range(drawn.choice((120, 300)))
    }
    parts = {"piano": [Note(start, pitch, 6 * drawn.randrange(1, 5)) for start, pitch in sorted(notes)]}
    tune = [Note(96 + 24 * i, 72 + drawn.randrange(3), 24) for i in range(20)]
    harmony = [
        (6 * step + drawn.choice((0, 1, -2)), drawn.choice(LABELS))
        for step in range(2, 128, drawn.choice((4, 5, 8, 16)))
    ]
    midifile.write(path, {"melody": tune, **parts}, harmony=harmony)
    return tune, parts


@pytest.mark.shared
@pytest.mark.parametrize("seed", range(6))
def test_any_notes_have_the_figures_that_the_judge_gives_them(seed: int, judge: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    tune, _ = write_any_song(path, seed)
    song, where = midifile.read(path), find_passage(tune)
    expected = ask_judge(judge, path, where)
    assert ask_us(extract_human_parts(song), where, ChordTrack(song.markers)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.shared
@pytest.mark.parametrize("seed", range(6))
def test_any_bars_are_as_alike_as_the_judge_finds_them(seed: int, judge: dict[str, Any], tmp_path: Path) -> None:
    drawn, path = random.Random(seed), tmp_path / "song.mid"
    # bars of few kinds, so that some return; a melody with two voices, and bars with too few notes
    tunes = [[(6 * drawn.randrange(16), drawn.randrange(70, 74)) for _ in range(size)] for size in (2, 5, 6, 5)]
    parts = [[(6 * drawn.randrange(16), drawn.randrange(40, 46)) for _ in range(size)] for size in (0, 4, 8, 9)]
    bars = [(drawn.choice(tunes), drawn.choice(parts)) for _ in range(32)]
    melody, ours = (
        sorted({Note(96 * i + at, pitch, 6) for i, bar in enumerate(bars) for at, pitch in bar[which]})
        for which in (0, 1)
    )
    midifile.write(path, {"melody": melody, "piano": ours, "drums": [Note(0, 36, 6)]})
    song = judge["songs"].read(path.read_bytes(), path.name)
    same, other = judge["echo"].pairs(song.tracks["melody"], song.accompaniment())
    counts = memory.compare_bars(find_passage(melody), Comparison(find_passage(melody), {"piano": ours}).notes)
    assert counts.tolist() == [[pytest.approx(sum(same)), len(same)], [pytest.approx(sum(other)), len(other)]]
    assert same


@pytest.mark.shared
def test_songs_have_the_figures_that_the_judge_gives_them(
    shared_data: Path, judge: dict[str, Any], tmp_path: Path
) -> None:
    for entry in read_split(shared_data, "pop909", "valid", songs=1):
        song = entry.read()
        melody = quantise(n for n in midifile.choose_melody(song).notes if n.start < 32 * 96)
        where, chords = find_passage(melody), ChordTrack(song.markers)
        # on the grid, for the judge rounds what lies halfway to the even step; echo.py looks at 32 bars
        human = {role: quantise(notes) for role, notes in extract_human_parts(song).items()}
        for parts in (human, play_chord_blocks(where, chords), follow_chords(where)):
            path = tmp_path / "song.mid"
            midifile.write(path, {"melody": melody, **parts}, harmony=song.markers)
            assert ask_us(parts, where, chords) == pytest.approx(ask_judge(judge, path, where), nan_ok=True)
            read = judge["songs"].read(path.read_bytes(), path.name)
            same, other = judge["echo"].pairs(read.tracks["melody"], read.accompaniment())
            (ours_same, same_pairs), (ours_other, other_pairs) = memory.compare_bars(
                where, Comparison(where, parts).notes
            )
            assert (same_pairs, other_pairs) == (len(same), len(other))
            assert (ours_same, ours_other) == pytest.approx((sum(same), sum(other)))
