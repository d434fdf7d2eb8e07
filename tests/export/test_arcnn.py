"""The AR-CNN's run is stopped, gone on with, and exported to a graph that the player edits with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from daemon.players.arcnn import EditScorer
from daemon.players.graph import Graph
from export.command import command as export_command
from models import cli as training
from models.arcnn import dataset
from models.arcnn.network import ARCNN_STYLES
from models.data import song_cache
from music.edits.draft import Draft
from music.edits.edit import Limits
from tests.support.training import ARCNN, list_settings, make_hymn, make_hymn_piece


def look(path: Path, lengths: NDArray[np.int16]) -> tuple[EditScorer, NDArray[np.float32]]:
    editor = EditScorer(Graph(path, "arcnn"))
    draft = Draft(lengths, np.where(lengths > 0, 80, 0).astype(np.uint8))
    return editor, editor.score(draft, Limits(), "chorale").weights


@pytest.mark.parametrize("published", [False, True])
def test_a_run_can_be_stopped_gone_on_with_and_exported(published: bool, tmp_path: Path) -> None:
    song_cache.save(tmp_path / "music.npz", [make_hymn(i) for i in range(3)] + [make_hymn(9, "valid")])
    settings = list_settings(model=ARCNN, batch=2, **({"published": True} if published else {}))
    arguments = ["arcnn", "--cache", str(tmp_path / "music.npz"), "-o", str(tmp_path / "run"), "--every", "2"]
    arguments += settings
    runner = CliRunner()
    assert runner.invoke(training.command, [*arguments, "--steps", "2"]).exit_code == 0
    done = runner.invoke(training.command, [*arguments, "--steps", "4", "--resume"])
    assert done.exit_code == 0, done.output
    out = tmp_path / "arcnn.onnx"
    done = runner.invoke(export_command, [str(tmp_path / "run"), "-o", str(out)])
    assert done.exit_code == 0, done.output
    notes = dataset.draw_sheet(dataset.cut_window(make_hymn_piece(0), 0))
    editor, weights = look(out, notes)
    assert editor.styles == ARCNN_STYLES
    assert weights.max() <= 0
    assert editor._calibrated is not published
