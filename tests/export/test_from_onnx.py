"""Graphs are gone on with, or exported again."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from daemon.cli import main
from export import from_onnx
from export.gan import GanGraph
from export.onnx_file import store
from models import checkpoint
from models.gan.dataset import GAN_STYLES
from models.gan.network import Generator
from music.signature import Signature
from tests.house.source import ROOT
from tests.support.training import HEARING_CONFIG, make_generator


def test_a_graph_can_be_gone_on_with(tiny_graph: Path, tmp_path: Path) -> None:
    made, again = make_generator(), Generator(HEARING_CONFIG)
    checkpoint.load_fitting(again, from_onnx.read_weights(tiny_graph, "generator"))
    *shown, pitched, plain = GanGraph(made).example()
    for one, other in zip(made(*shown, (pitched, plain)), again.eval()(*shown, (pitched, plain)), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert torch.allclose(again.velocity_log_std, torch.tensor(0.1).log())
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(checkpoint.CheckpointError, match="no graph to begin with"):
        from_onnx.read_weights(tmp_path / "broken.onnx", "generator")


def test_what_is_no_graph_of_ours_is_not_exported_again(tiny_graph: Path, tmp_path: Path) -> None:
    import onnx

    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    store(onnx.load(tiny_graph), Signature("arcnn", {}, {}, ()), tmp_path / "other.onnx")
    strange = Signature("gan", {}, {}, GAN_STYLES, {}, {"recipe": {"model": {"fine": [5, 10]}}})
    store(onnx.load(tiny_graph), strange, tmp_path / "strange.onnx")
    for name, words in {"broken": "no graph to export again", "other": "no harmonist", "strange": "lacks"}.items():
        told = CliRunner().invoke(main, ["export", str(tmp_path / f"{name}.onnx"), "-o", str(tmp_path / "x.onnx")])
        assert told.exit_code == 2
        assert words in told.output
        assert not (tmp_path / "x.onnx").exists()


def test_training_reads_graphs_through_an_entry_point(tiny_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = [
        metadata.EntryPoint(name, value, checkpoint.WEIGHT_READERS)
        for name, value in project["entry-points"][checkpoint.WEIGHT_READERS].items()
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == checkpoint.WEIGHT_READERS else [])
    found = checkpoint.read_average(tiny_graph, "generator")
    assert found.keys() == from_onnx.read_weights(tiny_graph, "generator").keys()
    points.clear()
    with pytest.raises(checkpoint.CheckpointError, match="nothing installed reads such a file"):
        checkpoint.read_average(tiny_graph, "generator")
