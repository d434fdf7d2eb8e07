"""Training on several devices: the same update on all, and the one that a single device makes of the whole batch."""

from __future__ import annotations

import multiprocessing
import socket

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor

from models import checkpoint
from tests.support import train_on_devices
from tests.support.train_on_devices import BATCH, UPDATES, list_techniques, make_objective, update_and_collect


@pytest.fixture(scope="module")
def on_two(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], dict[str, Tensor]]:
    """Return the tensors of every technique and each of two processes that have trained it together."""
    folder = tmp_path_factory.mktemp("devices")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([train_on_devices.__name__])  # torch is loaded once, which takes long
    children = [context.Process(target=train_on_devices.train_all, args=(folder, rank, port)) for rank in (0, 1)]
    for child in children:
        child.start()
    for child in children:
        child.join(600)
    assert [child.exitcode for child in children] == [0, 0]
    return {
        (technique, rank): load_file(folder / f"{technique}-{rank}.safetensors")
        for technique in list_techniques()
        for rank in (0, 1)
    }


@pytest.mark.parametrize("technique", list_techniques())
def test_all_devices_have_the_same_weights(technique: str, on_two: dict[tuple[str, int], dict[str, Tensor]]) -> None:
    one, other = on_two[technique, 0], on_two[technique, 1]
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize("technique", list_techniques())
def test_two_devices_learn_what_one_learns_from_a_batch_twice_as_large(
    technique: str, on_two: dict[tuple[str, int], dict[str, Tensor]]
) -> None:
    """The single run is interrupted after two updates, and goes on from its checkpoint."""
    fabric = Fabric(accelerator="cpu", devices=1)
    first = make_objective(technique, fabric, 2 * BATCH)
    fresh = {name: value.clone() for name, value in update_and_collect(first, range(0)).items()}
    saved = {name: value.clone() for name, value in update_and_collect(first, range(UPDATES - 1)).items()}
    kept = {name: value.clone() for name, value in first.collect_state().items()}
    unbroken = update_and_collect(first, range(UPDATES - 1, UPDATES))

    resumed = make_objective(technique, fabric, 2 * BATCH)
    checkpoint.restore_tensors(saved, resumed.modules, resumed.optimizers)
    resumed.restore_state(kept)
    again = update_and_collect(resumed, range(UPDATES - 1, UPDATES))
    assert [name for name in unbroken if not torch.equal(unbroken[name], again[name])] == []

    together = on_two[technique, 0]
    weights = [name for name in unbroken if name.partition(".")[0] in first.modules and unbroken[name].numel()]
    gradients = [name for name in unbroken if name.endswith(".exp_avg")]
    moved = {name.partition(".")[0] for name in weights if not torch.equal(fresh[name], unbroken[name])}
    assert moved == first.modules.keys()
    assert max(float((unbroken[name] - together[name]).abs().max()) for name in weights) < 1e-5
    assert [name for name in gradients if not torch.allclose(unbroken[name], together[name], 1e-3, 1e-7)] == []
    for name, value in kept.items():
        assert torch.equal(value, together[f"state.{name}"]), name
