"""The loop that every technique is trained in, on CPU or CUDA, one device or many (Lightning Fabric).

A run is a folder: `losses.csv` and `losses.png`, `run.json` (command, commit, data), `checkpoint/` and `moments/`. A
run that was stopped or killed goes on from its checkpoint as if it had not been. Of several devices the first writes
all of it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import click
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from models import checkpoint
from models.loss_log import LossLog
from models.loss_plot import LossPanel, draw_losses
from models.moments import MomentFiles, plan_moments
from models.optimisation import average_tensor
from music.errors import HousebandError

#: so many of a run's losses stand beside its progress bar
SHOWN_LOSSES = 3
#: how a checkpoint names what an objective keeps from one update to the next
STATE = "state"


class Objective(Protocol):
    """The part of training that a technique brings: networks, optimizers, and an update of them."""

    #: by the names that their tensors have in a checkpoint; `average` holds the weights that are exported
    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    #: every loss that `update` and `validate` return, with its name, its unit and what it should do
    loss_panels: Sequence[LossPanel]

    def begin(self) -> None:
        """Take over the weights that the recipe begins with; not called where a run goes on."""

    def update(self, step: int) -> dict[str, float]:
        """Take one step of training, counted from 0; return its losses."""

    def validate(self) -> dict[str, float]:
        """Return losses of the averaged weights on songs that are not learned from; keys begin with `valid_`."""

    def collect_state(self) -> Mapping[str, Tensor]:
        """Return what the next update depends on beside weights and step: of every example of this device a row."""

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back this device's rows of what was collected for the whole batch; begin anew where they do not fit."""

    def collect_extras(self) -> dict[str, Any]:
        """Return what the exporter needs beside the weights, as JSON values."""


class TrainingStopped(HousebandError):
    """A signal has ended a run before its last step; the message says where it goes on from."""


class StopSignals:
    """Ctrl-C and SIGTERM, remembered until the update under way is over; a second one ends the program at once."""

    def __init__(self) -> None:
        #: the name of the signal that came; '' for none
        self.caught = ""

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Remember signals for the time being."""
        before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

        def remember(number: int, _frame: FrameType | None) -> None:
            self.caught = signal.Signals(number).name
            restore()

        def restore() -> None:
            for kind, handler in before.items():
                signal.signal(kind, handler)

        for kind in before:
            signal.signal(kind, remember)
        try:
            yield
        finally:
            restore()


class TrainingRun:
    """One run of an objective: losses and checkpoints are kept in the run's folder."""

    def __init__(self, objective: Objective, fabric: Fabric, folder: Path, steps: int, state: dict[str, Any]) -> None:
        """Go on from step state["step"] to `steps`.

        The state, which is what the checkpoint holds beside the tensors, is changed as the run goes on.
        """
        self.objective, self.fabric, self.folder = objective, fabric, folder
        self.steps, self.state = steps, state
        #: of several devices one writes
        self.is_first = fabric.is_global_zero
        self.log = LossLog(folder, int(state["step"]), state.get("losses"))
        self.moments = MomentFiles(folder, int(state["step"])) if self.is_first else None
        self._begun_s = time.monotonic() - float(state.get("seconds", 0))

    def run(self, every: int = 200, save_every_s: float = 60.0) -> None:
        """Update up to the last step; write a row of losses every `every` steps, a checkpoint every `save_every_s`.

        Both are written at the end, too, and a checkpoint where Ctrl-C or SIGTERM comes. Raises TrainingStopped then.
        """
        signals, saved_s = StopSignals(), time.monotonic()
        due = set(plan_moments(self.steps))
        if self.state["step"] == 0:
            self._keep_moment(0)
        with signals.watched(), _open_progress(hidden=not (self.is_first and sys.stderr.isatty())) as progress:
            task = progress.add_task("training", total=self.steps, completed=int(self.state["step"]), losses="")
            for step in range(int(self.state["step"]), self.steps):
                losses = self.objective.update(step)
                progress.advance(task)
                is_last = step + 1 == self.steps
                is_due = self.is_first and time.monotonic() - saved_s > save_every_s
                losses, saves, stops = self._agree(losses, is_due, bool(signals.caught))
                self.log.add(losses)
                if self.is_first and ((step + 1) % every == 0 or is_last):
                    progress.update(task, losses=self._write_row(step + 1))
                if step + 1 in due:
                    self._keep_moment(step + 1)
                if saves or stops or is_last:
                    self._save(step + 1, is_last)
                    saved_s = time.monotonic()
                if stops and not is_last:
                    break
        if self.state["step"] >= self.steps and "extras" not in self.state:  # told to end where it was
            self._save(self.state["step"], is_last=True)
        if self.is_first and self.log.rows:
            self._plot()
        if self.state["step"] < self.steps:
            raise TrainingStopped(
                f"stopped by {signals.caught or 'a signal'} at step {self.state['step']} of {self.steps}, and saved in "
                f"{self.folder / 'checkpoint'}; the same command with --resume goes on"
            )

    def _write_row(self, step: int) -> str:
        """Write a row of losses; return what is shown of it beside the progress bar."""
        row = self.log.write_row(step, time.monotonic() - self._begun_s, self.objective.validate())
        if not sys.stderr.isatty():
            click.echo(" ".join(f"{name}={value}" for name, value in row.items()))
        return _describe_losses(row)

    def _plot(self) -> None:
        """Draw the losses up to here into `losses.png`."""
        title = f"{self.state['technique']}: losses over {self.state['step']:,} updates"
        draw_losses(self.log.path.with_suffix(".png"), title, self.log.rows, self.objective.loss_panels)

    def _keep_moment(self, step: int) -> None:
        """Keep the averaged weights of a step, with what the exporter needs. Of several devices one does."""
        if self.moments is not None:
            extras = self.objective.collect_extras()
            self.moments.keep(step, self.steps, self.objective.modules["average"], self.state, extras)

    def _agree(self, losses: dict[str, float], saves: bool, stops: bool) -> tuple[dict[str, float], bool, bool]:
        """Return the losses of all devices, and whether any of them wants to save, and to stop.

        All do so after the same update.
        """
        if self.fabric.world_size == 1:
            return losses, saves, stops
        own = torch.tensor([*losses.values(), float(saves), float(stops)], device=self.fabric.device)
        *means, saving, stopping = average_tensor(self.fabric, own).tolist()
        return dict(zip(losses, means, strict=True)), saving > 0, stopping > 0

    def _save(self, step: int, is_last: bool) -> None:
        """Write a checkpoint. Called on all devices, for what they keep from one update to the next is gathered."""
        kept = {name: self._gather(value) for name, value in self.objective.collect_state().items()}
        self.state |= {"step": step, "seconds": time.monotonic() - self._begun_s, "losses": dict(self.log.pending)}
        if not self.is_first:
            return
        if is_last:
            self.state["extras"] = self.objective.collect_extras()
        tensors = checkpoint.collect_tensors(self.objective.modules, self.objective.optimizers)
        tensors |= {f"{STATE}.{name}": value for name, value in kept.items()}
        checkpoint.save(self.folder / "checkpoint", tensors, self.state)

    def _gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all devices, in the order of the batch."""
        if self.fabric.world_size == 1:
            return rows
        gathered = self.fabric.all_gather(rows.to(self.fabric.device))
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1).cpu()


def _open_progress(hidden: bool) -> Progress:
    return Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=Console(stderr=True),
        disable=hidden,
        auto_refresh=True,
    )


def _describe_losses(row: Mapping[str, str]) -> str:
    """Return the first losses of a row, as text beside the progress bar."""
    losses = [name for name in row if name not in ("step", "seconds") and not name.startswith("valid_")]
    return " ".join(f"{name} {row[name]}" for name in losses[:SHOWN_LOSSES])
