"""Runs that are stopped by signals, and go on."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from models import checkpoint
from models.loss_log import LossLog
from models.loss_plot import LossPanel
from models.moments import list_moments, load_moment
from models.training_loop import STATE, TrainingRun, TrainingStopped
from music.errors import UserError

STEPS = 7


class CountingObjective:
    """Adds up the numbers of its steps, and is sent a signal in one of them."""

    loss_panels: Sequence[LossPanel] = (LossPanel("Loss", "nats", "It falls.", {"loss": "l", "valid_loss": "v"}),)

    def __init__(self, killed_at: int = -1, kind: signal.Signals = signal.SIGINT) -> None:
        self.net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.net.weight)
        self.modules: Mapping[str, torch.nn.Module] = {"average": self.net}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {}
        self.killed_at, self.kind = killed_at, kind
        self.kept = torch.zeros(1)

    def begin(self) -> None:
        pass

    def update(self, step: int) -> dict[str, float]:
        self.kept = self.kept + step
        self.net.weight.data += self.kept
        if step == self.killed_at:
            os.kill(os.getpid(), self.kind)
        return {"loss": step**0.5}

    def validate(self) -> dict[str, float]:
        return {"valid_loss": float(self.net.weight.detach())}

    def collect_state(self) -> dict[str, Tensor]:
        return {"kept": self.kept}

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        self.kept = state["kept"]

    def collect_extras(self) -> dict[str, Any]:
        return {"end": True}


def run(folder: Path, objective: CountingObjective, steps: int = STEPS, *, resumes: bool = False) -> None:
    state: dict[str, Any] = {"technique": "count", "recipe": {}, "cache": "", "step": 0}
    if resumes:
        tensors, state = checkpoint.load(folder / "checkpoint")
        checkpoint.restore_tensors(tensors, objective.modules, objective.optimizers)
        objective.restore_state(checkpoint.select_tensors(tensors, STATE))
    TrainingRun(objective, Fabric(accelerator="cpu", devices=1), folder, steps, state).run(every=3)


def read_losses(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CountingObjective]:
    """A run that nothing stops: its folder, and what it has counted."""
    folder, objective = tmp_path_factory.mktemp("whole"), CountingObjective()
    run(folder, objective)
    return folder, objective


@pytest.mark.parametrize(("killed_at", "kind"), [(0, signal.SIGTERM), (3, signal.SIGINT), (5, signal.SIGTERM)])
def test_a_stopped_run_is_saved_and_ends_as_if_it_had_not_been(
    tmp_path: Path, killed_at: int, kind: signal.Signals, whole_run: tuple[Path, CountingObjective]
) -> None:
    whole_folder, whole = whole_run
    broken = CountingObjective(killed_at, kind)
    before = signal.getsignal(kind)
    (tmp_path / "broken").mkdir()
    with pytest.raises(
        TrainingStopped, match=f"{kind.name} at step {killed_at + 1} of {STEPS}, and saved in .*--resume"
    ):
        run(tmp_path / "broken", broken)
    assert signal.getsignal(kind) is before
    again = CountingObjective()
    run(tmp_path / "broken", again, resumes=True)
    assert torch.equal(whole.net.weight, again.net.weight)
    assert read_losses(whole_folder) == read_losses(tmp_path / "broken")
    assert [row["step"] for row in read_losses(whole_folder)] == ["3", "6", "7"]
    assert checkpoint.load(tmp_path / "broken" / "checkpoint")[1]["extras"] == {"end": True}
    moments = [
        {step: load_moment(path) for step, path in list_moments(each)} for each in (whole_folder, tmp_path / "broken")
    ]
    assert list(moments[0]) == [0, 1, 3, 7]
    assert moments[0] == moments[1]
    assert [tensors["average.weight"].item() for tensors, _ in moments[0].values()] == [0, 0, 4, 56]


def test_a_signal_in_the_last_update_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path, CountingObjective(STEPS - 1))
    assert checkpoint.load(tmp_path / "checkpoint")[1]["step"] == STEPS


def test_a_second_signal_ends_the_program_at_once(tmp_path: Path) -> None:
    class Impatient(CountingObjective):
        def update(self, step: int) -> dict[str, float]:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            return {}

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Impatient())


def test_a_stopped_run_can_be_told_to_end_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        run(tmp_path, CountingObjective(3))
    run(tmp_path, CountingObjective(), 4, resumes=True)
    _, state = checkpoint.load(tmp_path / "checkpoint")
    assert (state["step"], state["extras"]) == (4, {"end": True})


def test_a_damaged_table_of_losses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("step,loss\nthree,1\n")
    with pytest.raises(UserError, match=r"losses\.csv: not a table of losses"):
        LossLog(tmp_path, 3)
    assert LossLog(tmp_path, 0).rows == []


def test_a_run_that_cannot_be_saved_says_so(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="checkpoint"):
        run(tmp_path, CountingObjective())
