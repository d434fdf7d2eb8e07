"""A run is killed, gone on with, exported, and its graph exported again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from click.testing import CliRunner
from lightning_fabric import Fabric

from daemon.cli import main
from daemon.players.graph import Graph
from export import onnx_file, techniques
from export.check import measure_difference
from export.command import command as export_command
from export.onnx_file import ExportModule
from export.techniques import Exporter
from models import checkpoint
from models import cli as training
from models.cli import TrainableTechnique
from models.data import song_cache
from models.data.song_cache import CachedSong
from models.gan.dataset import GAN_STYLES
from models.gan.network import Generator
from models.harmonist.objective import load_harmonist
from models.loss_plot import LossPanel
from models.optimisation import update_weights
from models.recipe import read_recipe
from music.signature import Signature
from tests.support.training import GAN, HARMONIST, HEARING, list_settings, make_song
from tests.support.training import GAN_CONFIG as SMALL


def put_weights(graph: ExportModule, traced: Path) -> onnx.ModelProto:
    """Return a graph of the same network as one that was traced: tracing takes long, and no weight changes its course.

    Whether it computes what torch computes is the command's to check.
    """
    model = onnx.load(traced)
    weights = {name: weight.detach().numpy() for name, weight in graph.named_parameters()}
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    del model.metadata_props[:]
    return model


def test_a_killed_run_goes_on_and_is_exported(
    tiny_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.onnx_file.export", lambda graph: put_weights(graph, tiny_graph))
    cache = tmp_path / "c.npz"
    song_cache.save(cache, [make_song(style=s, split=p) for s in GAN_STYLES for p in ("train", "valid")])
    run = tmp_path / "run"
    where = ["--cache", str(cache), "-o", str(run), "--accelerator", "cpu"]
    options = ["gan", *where, "--steps", "4", "--every", "2", *list_settings(model=HEARING, batch=2)]
    first = CliRunner().invoke(training.command, options)
    assert first.exit_code == 0, first.output
    tensors, state = checkpoint.load(run / "checkpoint")
    state["step"] = 2  # as if it had been killed there
    checkpoint.save(run / "checkpoint", tensors, state)
    again = CliRunner().invoke(main, ["train", *options])
    assert again.exit_code == 2
    assert "--resume" in again.output
    resumed = CliRunner().invoke(training.command, [*options, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    rows = (run / "losses.csv").read_text().splitlines()
    assert [r.split(",")[0] for r in rows] == ["step", "2", "4"]
    assert (run / "losses.png").stat().st_size > 1000
    made = CliRunner().invoke(export_command, [str(run), "-o", str(tmp_path / "g.onnx")])
    assert made.exit_code == 0, made.output
    graph = Graph(tmp_path / "g.onnx", "gan")
    assert graph.signature.provenance["step"] == 4
    assert {"commit", "command", "data_hash", "recipe"} <= set(graph.signature.provenance)
    check_moments(run, tmp_path / "moments")
    graph_again, told = catch_export(monkeypatch, str(tmp_path / "g.onnx"), "-o", str(tmp_path / "copy.onnx"))
    assert replace(told, inputs=graph.signature.inputs, outputs=graph.signature.outputs) == graph.signature
    assert measure_difference(graph_again, tmp_path / "g.onnx") < 1e-5


def check_moments(run: Path, folder: Path) -> None:
    """Check that each moment that a run has kept becomes a graph, the last of which is that of the whole run."""
    made = CliRunner().invoke(main, ["export", str(run), "--moments", str(folder)])
    assert made.exit_code == 0, made.output
    files = [Path(line) for line in made.output.splitlines()]
    assert [path.name for path in files] == [f"step-{step:06}.onnx" for step in (0, 1, 2, 4)]
    graphs = [Graph(path, "gan") for path in files]
    assert [graph.signature.provenance["step"] for graph in graphs] == [0, 1, 2, 4]
    assert graphs[-1].signature == Graph(folder.parent / "g.onnx", "gan").signature
    assert graphs[0].signature.settings["grooves"] != graphs[-1].signature.settings["grooves"]


def test_moments_are_exported_or_one_sentence_says_why_not(tmp_path: Path) -> None:
    def refuse(*options: str) -> str:
        result = CliRunner().invoke(main, ["export", str(tmp_path), *options])
        assert result.exit_code == 2, (result.output, result.exception)
        return result.output

    out, folder = str(tmp_path / "g.onnx"), str(tmp_path / "moments")
    assert "name the .onnx file to write with -o" in refuse()
    assert "name the .onnx file to write with -o" in refuse("-o", out, "--moments", folder)
    assert "goes with neither" in refuse("--moments", folder, "--harmonist", folder)
    assert "no moments of a run" in refuse("--moments", folder)
    assert not (tmp_path / "moments").exists()


class ToyGraph(ExportModule):
    """Multiplies by a weight, and by a constant."""

    inputs, outputs = ("x",), ("y",)

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((2,), weight))
        self.register_buffer("scale", torch.full((2,), weight + 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scale = self.scale
        assert isinstance(scale, torch.Tensor)
        return (x * self.weight + scale,)

    def example(self) -> tuple[torch.Tensor, ...]:
        return (torch.tensor([3.0, 4.0]),)


def test_modules_that_differ_in_weights_alone_are_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[ExportModule] = []
    trace = onnx_file._trace

    def count(graph: ExportModule) -> onnx.ModelProto:
        traced.append(graph)
        return trace(graph)

    monkeypatch.setattr(onnx_file, "_trace", count)
    with onnx_file.trace_once():
        for weight in (1.0, 5.0, -2.0):
            graph = ToyGraph(weight)
            assert measure_difference(graph, onnx_file.export(graph).SerializeToString()) == 0
    assert len(traced) == 1
    onnx_file.export(ToyGraph(2.0))
    assert len(traced) == 2


def catch_export(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[ExportModule, Signature]:
    """Run `houseband export` up to the tracing, which takes long; return what would be traced, and its signature."""
    caught: list[tuple[ExportModule, Signature]] = []
    with monkeypatch.context() as patched:
        patched.setattr("export.onnx_file.write", lambda graph, made, out: caught.append((graph, made)))
        patched.setattr("export.check.report", lambda graph, out: {"worst difference to torch": 0.0})
        made = CliRunner().invoke(main, ["export", *arguments])
    assert made.exit_code == 0, made.output
    return caught[0]


def test_a_run_that_cannot_be_exported_is_one_sentence(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "g.onnx"

    def refuse(*options: str) -> str:
        result = CliRunner().invoke(main, ["export", str(run), "-o", str(out), *options])
        assert result.exit_code == 2, (result.output, result.exception)
        assert not out.exists()
        return result.output

    assert "there is no such folder" in refuse()
    run.mkdir()
    assert "it has no checkpoint/" in refuse()
    weights = {f"average.{k}": v for k, v in Generator(SMALL).state_dict().items()}
    told = {"grooves": [], "habits": [], "velocity_std": [[0.1] * 4] * 5}
    whole = {"technique": "gan", "step": 1, "cache": "", "recipe": {"model": GAN}, "extras": told}
    for changed, said in (
        ({"extras": {}}, "lacks grooves, habits, velocity_std"),
        ({"extras": None}, "lacks grooves"),
        ({"recipe": {"model": 3}}, "wants a table"),
        ({"recipe": {}}, "do not fit the recipe"),
        ({"technique": "harmonist"}, "put it there with --harmonist"),
        ({"technique": "horn"}, "no exporter for the technique 'horn'"),
    ):
        checkpoint.save(run / "checkpoint", weights, whole | changed)
        assert said in refuse()
    checkpoint.save(run / "checkpoint", {k: v for k, v in weights.items() if "write" not in k}, whole)
    assert "do not fit the recipe" in refuse()
    assert "not a training run" in refuse("--harmonist", str(tmp_path / "none"))
    out = run / "checkpoint" / "state.json" / "g.onnx"
    assert "state.json: File exists" in CliRunner().invoke(main, ["export", str(run), "-o", str(out)]).output


def test_another_harmonist_is_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "c.npz"
    song_cache.save(
        cache, [make_song(n, style=s, split=p) for n in "ab" for s in ("pop", "jazz") for p in ("train", "valid")]
    )
    gan, other = str(tmp_path / "gan"), str(tmp_path / "other")
    common = ["--cache", str(cache), "--steps", "1", "--accelerator", "cpu"]
    trained = CliRunner().invoke(main, ["train", "gan", "-o", gan, *common, *list_settings(model=GAN, batch=2)])
    assert trained.exit_code == 0, trained.output
    small = list_settings(model=HARMONIST, patches=16, batch=2)
    trained = CliRunner().invoke(main, ["train", "harmonist", "-o", other, *common, *small, "--seed", "5"])
    assert trained.exit_code == 0, trained.output
    graph, _ = catch_export(monkeypatch, gan, "-o", str(tmp_path / "g.onnx"), "--harmonist", other)
    inside = dict(graph.named_parameters())
    assert torch.equal(inside["generator.harmonist.read.pp"], load_harmonist(Path(other)).read.pp)
    wrong = CliRunner().invoke(main, ["export", gan, "-o", str(tmp_path / "h.onnx"), "--harmonist", gan])
    assert wrong.exit_code == 2
    assert "not of the harmonist" in wrong.output


def test_one_more_technique_is_one_more_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(training.TECHNIQUES, "toy", TrainableTechnique(f"{__name__}:ToyObjective", "Train a toy."))
    monkeypatch.setitem(techniques.TECHNIQUES, "toy", f"{__name__}:TOY_EXPORTER")
    cache = tmp_path / "c.npz"
    song_cache.save(cache, [make_song()])
    assert "Train a toy." in CliRunner().invoke(main, ["train", "--help"]).output
    options = ["--cache", str(cache), "-o", str(tmp_path / "run"), "--steps", "2", "--accelerator", "cpu"]
    trained = CliRunner().invoke(main, ["train", "toy", *options, "--set", "rate=0.5"])
    assert trained.exit_code == 0, trained.output
    exported = CliRunner().invoke(main, ["export", str(tmp_path / "run"), "-o", str(tmp_path / "toy.onnx")])
    assert exported.exit_code == 0, exported.output
    assert "weight  0.5" in exported.output


@dataclass(frozen=True)
class ToyRecipe:
    rate: float = 0.1


class ToyObjective:
    """Learns to be 1, by half of the way each time."""

    loss_panels: Sequence[LossPanel] = ()

    def __init__(self, fabric: Fabric, recipe: ToyRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        self.net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.net.weight)
        self.fabric, self.rate = fabric, recipe.rate
        self.modules: dict[str, torch.nn.Module] = {"average": self.net}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"sgd": torch.optim.SGD(self.net.parameters(), self.rate)}

    @staticmethod
    def read_recipe(values: Mapping[str, Any]) -> ToyRecipe:
        return read_recipe(ToyRecipe, values)

    def begin(self) -> None:
        pass

    def collect_state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore_state(self, state: Mapping[str, torch.Tensor]) -> None:
        pass

    def update(self, step: int) -> dict[str, float]:
        loss = -self.net(torch.ones(1)).sum() * 0.5
        update_weights(self.fabric, self.optimizers["sgd"], loss, 1.0)
        return {"toy": float(loss.detach())}

    def validate(self) -> dict[str, float]:
        return {}

    def collect_extras(self) -> dict[str, Any]:
        return {}


def write_toy(tensors: Mapping[str, Any], state: Mapping[str, Any], target: Path) -> dict[str, Any]:
    return {"weight": float(tensors["average.weight"]), "worst difference to torch": 0.0}


TOY_EXPORTER = Exporter(write=write_toy, build_network=lambda recipe: torch.nn.Linear(1, 1))
