"""`houseband render --technique arcnn`: caps, locks, undo, what is written, and that it can be replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import daemon.players.gan
import daemon.players.load
import daemon.players.transformer  # noqa: F401 - loaded before Graph is replaced, they keep the real one
from daemon.cli import main
from music import midifile
from music.edits.draft import Draft
from music.edits.edit_log import parse_edit, replay
from music.encoding import edit_grid
from music.midifile import Song
from music.note import EDITS, MELODY, TICKS_PER_STEP, Metre, Note
from tests.players.test_arcnn import FakeGraph, Planes

BAR = 96
FIELDS = {"iteration", "action", "bar", "step", "pitch", "length", "log_probability", "velocity", "start"}
Edits = list[dict[str, Any]]


def restless(planes: Planes) -> Planes:
    """Every third pitch is missing on every other step, and all others are wrong."""
    weights = np.full((128, 128), -16.0, np.float32)
    weights[::2, 48:84:3] = -0.02
    weights[planes[0] > 0] = -16.0
    others = np.arange(128) % 3 > 0
    weights[:, others] = np.where(planes[0][:, others] > 0, -0.01, -16.0)
    return weights


@pytest.fixture(autouse=True)
def graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds a graph that wants a lot, and to which nothing is right but every third pitch."""
    monkeypatch.setattr("daemon.players.graph.Graph", lambda path, technique: FakeGraph(restless))


def tune(bars: int, bar: int = BAR) -> list[Note]:
    random = np.random.default_rng(bars)
    starts = sorted(random.choice(bars * bar // 6, size=min(40, bars * bar // 12), replace=False).tolist())
    pitches = random.integers(18, 26, len(starts)) * 3 + 1  # wrong, for the graph above
    lengths = random.integers(1, 8, len(starts)) * 6
    return [
        Note(6 * s, int(p), int(n), 60 + i) for i, (s, p, n) in enumerate(zip(starts, pitches, lengths, strict=True))
    ]


class Rendered:
    """A file that the command has edited."""

    def __init__(self, folder: Path, notes: list[Note], *options: object, **also: Any) -> None:
        source, self.out, self.edits_path = folder / "in.mid", folder / "out.mid", folder / "edits.jsonl"
        midifile.write(source, {MELODY: notes}, **also)
        arguments = ["render", source, "-o", self.out, "--technique", "arcnn", "--edits", self.edits_path, *options]
        self.done: Result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert self.done.exit_code == 0, self.done.output
        self.song: Song = midifile.read(self.out)
        self.lines = self.edits_path.read_text().splitlines()
        self.edits: Edits = [json.loads(line) for line in self.lines]

    def notes(self, track: str) -> list[Note]:
        part = self.song.part(track)
        return [] if part is None else sorted(part.notes)

    def count(self, action: str) -> int:
        return sum(edit["action"] == action for edit in self.edits)


def replayed(done: Rendered) -> list[Note]:
    """The edits over the input, as anybody can do it with the two files."""
    given = done.notes(MELODY)
    edits = [parse_edit(line) for line in done.lines]
    ends = [n.end // TICKS_PER_STEP for n in given] + [e.step + e.length for e in edits]
    draft = Draft(*edit_grid.from_notes(given, 0, max(ends)))
    replay(draft, edits)
    return sorted(edit_grid.to_notes(draft.lengths, draft.velocities))


@pytest.mark.parametrize("bars", [1, 2, 7, 8, 9, 12, 13, 33])
def test_replaying_the_edits_over_the_input_gives_the_output_exactly(bars: int, tmp_path: Path) -> None:
    done = Rendered(tmp_path, tune(bars), "--iterations", 12, "--remove-max", 60, "--creative-risk", 0.8)
    assert done.count("add") > 0
    assert done.count("remove") > 0
    assert replayed(done) == done.notes(EDITS)


def test_the_input_is_quantised_first_and_then_left_as_it_is(tmp_path: Path) -> None:
    done = Rendered(tmp_path, [Note(4, 60, 10, 70), Note(50, 64, 3, 90)], "--iterations", 3)
    assert done.notes(MELODY) == [Note(6, 60, 6, 70), Note(48, 64, 6, 90)]


@pytest.mark.parametrize("share", [0, 10, 33, 50, 99, 100])
def test_no_more_of_the_input_goes_than_allowed_and_no_less_where_more_is_wanted(share: int, tmp_path: Path) -> None:
    notes = tune(8)
    done = Rendered(tmp_path, notes, "--remove-max", share, "--add-max", 0, "--creative-risk", 0.5)
    left = set(done.notes(EDITS))
    gone = len(done.notes(MELODY)) - len(left)
    assert left <= set(done.notes(MELODY))
    assert gone == share * len(done.notes(MELODY)) // 100 == done.count("remove")
    assert done.count("add") == 0


@pytest.mark.parametrize("most", [0, 1, 7, 90])
def test_no_more_is_added_than_allowed_and_no_less_where_more_is_wanted(most: int, tmp_path: Path) -> None:
    done = Rendered(tmp_path, tune(8), "--remove-max", 0, "--add-max", most, "--creative-risk", 0.5)
    assert set(done.notes(MELODY)) <= set(done.notes(EDITS))
    assert len(done.notes(EDITS)) - len(done.notes(MELODY)) == most == done.count("add")
    assert done.count("remove") == 0


def test_both_caps_at_zero_or_no_iterations_leave_everything_as_it_was(tmp_path: Path) -> None:
    for options in (("--remove-max", 0, "--add-max", 0), ("--iterations", 0)):
        done = Rendered(tmp_path, tune(9), *options)
        assert done.edits == []
        assert done.notes(EDITS) == done.notes(MELODY)


def test_a_line_has_all_fields_and_places_count_from_the_files_bars(tmp_path: Path) -> None:
    notes = [Note(i * 12, 60 + i, 12) for i in range(30)]
    done = Rendered(tmp_path, notes, "--iterations", 20, "--add-max", 20, metres=[(0, Metre(3, 4))])
    for edit in done.edits:
        assert set(edit) == FIELDS
        assert edit["start"] == (edit["bar"] - 1) * 12 + edit["step"]
        assert 0 <= edit["step"] < 12
        assert 1 <= edit["iteration"] <= 20
        assert edit["log_probability"] <= 0
    assert [edit["iteration"] for edit in done.edits] == sorted(edit["iteration"] for edit in done.edits)


def test_iterations_are_how_often_every_window_is_evaluated_at_most(tmp_path: Path) -> None:
    few = Rendered(tmp_path, tune(8), "--iterations", 2, "--at-once", 3)
    assert {edit["iteration"] for edit in few.edits} == {1, 2}
    assert len(few.edits) == 6


def test_what_is_locked_or_out_of_the_register_is_as_it_was(tmp_path: Path) -> None:
    notes = tune(8)
    options = ("--lock-bars", "2,4-5", "--lock-pitches", "60-64", "--register-low", 57, "--register-high", 76)
    done = Rendered(tmp_path, notes, *options)
    assert done.edits

    def untouched(note: Note) -> bool:
        bars = {tick // BAR + 1 for tick in range(note.start, note.end, TICKS_PER_STEP)}
        return bool(bars & {2, 4, 5}) or not 57 <= note.pitch <= 76 or note.pitch in range(60, 65)

    assert [n for n in done.notes(MELODY) if untouched(n)] == [n for n in done.notes(EDITS) if untouched(n)]


def test_undo_takes_back_the_last_edits(tmp_path: Path) -> None:
    options = ("--iterations", 5, "--at-once", 4, "--add-max", 10, "--remove-max", 30)
    whole, less = Rendered(tmp_path, tune(8), *options), Rendered(tmp_path, tune(8), *options, "--undo", 7)
    assert less.edits == whole.edits[:-7]
    none = Rendered(tmp_path, tune(8), *options, "--undo", 1000)
    assert none.edits == []
    assert none.notes(EDITS) == none.notes(MELODY)


def test_the_same_again_is_the_same_to_the_byte_and_another_seed_is_not(tmp_path: Path) -> None:
    made = []
    for seed in (3, 3, 4):
        done = Rendered(tmp_path, tune(12), "--seed", seed, "--iterations", 6)
        made.append((done.out.read_bytes(), done.lines))
    assert made[0] == made[1] != made[2]


def test_without_a_track_melody_all_pitched_tracks_are_edited_together(tmp_path: Path) -> None:
    source, out = tmp_path / "in.mid", tmp_path / "out.mid"
    midifile.write(source, {"bass": [Note(0, 40, 48)], "chords": [Note(0, 60, 48)], "drums": [Note(0, 36, 6)]})
    command = ["render", str(source), "-o", str(out), "--technique", "arcnn", "--iterations", "0"]
    assert CliRunner().invoke(main, command).exit_code == 0
    part = midifile.read(out).part(MELODY)
    assert part is not None
    assert [(n.start, n.pitch, n.length) for n in part.notes] == [(0, 40, 48), (0, 60, 48)]
    command += ["--track", "chords"]
    assert CliRunner().invoke(main, command).exit_code == 0
    part = midifile.read(out).part(MELODY)
    assert part is not None
    assert [n.pitch for n in part.notes] == [60]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--style", "polka"), "style: no style 'polka'"),
        (("--remove-max", "101"), "remove_max: takes a number from 0 to 100"),
        (("--add-max", "-1"), "add_max: takes a whole number from 0"),
        (("--creative-risk", "7"), "creative_risk: takes a number from 0 to 6"),
        (("--lock-bars", "4-2"), "lock_bars: takes numbers and ranges"),
        (("--register-low", "80", "--register-high", "70"), "register_low: lies above register_high"),
        (("--offline",), "there is no --automation, no --offline"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    options: tuple[str, ...], sentence: str, tmp_path: Path, write: Callable[[], Path]
) -> None:
    out = tmp_path / "out.mid"
    command = ["render", str(write()), "-o", str(out), "--technique", "arcnn", *options]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert sentence in done.output
    assert not out.exists()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[], Path]:
    """Writes a song."""

    def written() -> Path:
        midifile.write(tmp_path / "in.mid", {MELODY: tune(2)})
        return tmp_path / "in.mid"

    return written


@pytest.mark.parametrize("style", ["chorale", "pop", "romantic", "classical"])
def test_the_shipped_weights_keep_the_caps_and_can_be_replayed(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    options = ("--style", style, "--remove-max", 20, "--add-max", 30, "--iterations", 12, "--creative-risk", 0.8)
    done = Rendered(tmp_path, tune(11), *options)
    given, edited = set(done.notes(MELODY)), set(done.notes(EDITS))
    assert len(given - edited) <= 0.2 * len(given)
    assert len(edited - given) <= 30
    assert done.count("add") > 0
    assert replayed(done) == done.notes(EDITS)
