"""A drummer's feel: takes are read with their timing, and a run over a few of them becomes a graph that plays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daemon.arranging.drummer_feel import DrummerFeel
from daemon.cli import main
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.players.graph import open_graph
from models.data.song_cache import DataError
from models.feel.dataset import FeelExamples, make_examples, read_takes
from models.feel.objective import draw_from, find_deviations, measure_correlations
from music import midifile
from music.encoding.drum_feel import COMING_STEPS, LANE_OF, LEVEL_DEVIATIONS, OFFSET, PAST_STEPS, VELOCITY, WINDOW_STEPS
from music.note import Note
from tests.support.takes import find_takes, write_take

KICK, SNARE = LANE_OF[36], LANE_OF[38]


def test_takes_are_read_with_timing_and_velocity(tmp_path: Path) -> None:
    """120 ticks are a step; of two hits in a place the louder counts; what is early may belong to the next step."""
    hits = [(0, 36, 100), (90, 38, 20), (130, 40, 60), (490, 36, 127), (490, 85, 127)]
    write_take(tmp_path / "grooves" / "train" / "a.mid", hits, "Groove MIDI Dataset d/1, funk/fast, fill", 90)
    write_take(tmp_path / "grooves" / "train" / "b.mid", hits, "a song")
    (take,) = read_takes(tmp_path)
    assert (take.style, take.is_fill, round(take.bpm), take.steps) == ("funk", True, 90, 16)
    assert {*zip(*map(np.ndarray.tolist, np.nonzero(take.hits)), strict=True)} == {(KICK, 0), (SNARE, 1), (KICK, 4)}
    assert take.played[OFFSET, SNARE, 1] == pytest.approx(10 / 120)
    assert take.played[VELOCITY, SNARE, 1] == pytest.approx(60 / 127)
    examples = make_examples([take])
    assert examples.step.tolist() == [0, 1, 4]
    seen = examples.windows[1, : 10 * WINDOW_STEPS].reshape(10, WINDOW_STEPS)
    assert seen[SNARE, PAST_STEPS] == seen[KICK, PAST_STEPS - 1] == seen[KICK, PAST_STEPS + 3] == 1
    assert seen.sum() == 3
    assert seen.shape[1] == PAST_STEPS + 1 + COMING_STEPS
    with pytest.raises(DataError, match="holds no takes of drummers"):
        read_takes(tmp_path / "grooves" / "train" / "none")


def test_deviations_are_what_quantiles_are_drawn_by() -> None:
    told = np.sort(np.random.default_rng(0).random((5, 2, 10, len(LEVEL_DEVIATIONS))), -1).astype(np.float32)
    deviations = np.random.default_rng(1).uniform(-2, 2, (5, 2, 10))
    found = find_deviations(told, draw_from(told, deviations).astype(np.float32))
    assert np.allclose(found, deviations, atol=1e-3)


def test_hits_that_go_on_alike_are_correlated() -> None:
    steps = np.arange(200)
    deviations = np.repeat(np.random.default_rng(0).standard_normal((25, 1)), 8, 0) * np.ones((200, 10))
    examples = FeelExamples(*(np.zeros((200, 0), np.float32),) * 2, np.ones((200, 10), np.float32), steps * 0, steps)
    found = measure_correlations(examples, deviations)
    assert found["others"][0] == pytest.approx(1, abs=0.02)
    assert found["same"][1] == pytest.approx(7 / 8, abs=0.1)
    assert abs(found["same"][-1]) < 0.5


def test_a_run_becomes_a_graph_that_plays_like_the_drummers(tmp_path: Path) -> None:
    song = tmp_path / "songs" / "train" / "a.mid"
    song.parent.mkdir(parents=True)
    line = tuple(Note(24 * i, 60, 24) for i in range(8))
    midifile.write(song, {"melody": line, "bass": line})
    run, graph = tmp_path / "run", tmp_path / "feel.onnx"
    options = ["--set", "batch=128", "--set", "learning_rate=0.01", "--set", 'model={"width":32}', "--steps", "60"]
    command = ["train", "feel", "--data", str(tmp_path / "songs"), "-o", str(run), *options]
    refused = CliRunner().invoke(main, command)
    assert "name the folder of the takes with --set takes=FOLDER" in refused.stderr
    trained = CliRunner().invoke(main, [*command, "--set", f"takes={find_takes()}"])
    assert trained.exit_code == 0, trained.output
    made = CliRunner().invoke(main, ["export", str(run), "-o", str(graph), "--report", str(tmp_path / "r.json")])
    assert made.exit_code == 0, made.output
    assert json.loads((tmp_path / "r.json").read_text())["worst difference to torch"] < 1e-4
    feel = DrummerFeel(*open_graph(graph.read_bytes()))
    drums = tuple(sorted(Note(24 * b, 38 if b % 2 else 36, 6) for b in range(4)))
    request = PlanRequest(1, 0, 0, (), {}, settings=Settings("jazz"), bpm=100)
    played = feel.play(request, Plan(1, 0, 17, 0, {"drums": drums})).notes["drums"]
    assert min(n.velocity for n in played if n.pitch == 38) > max(n.velocity for n in played if n.pitch == 36)
