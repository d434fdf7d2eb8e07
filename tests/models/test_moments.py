"""The moments of a run whose weights are kept."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from models.checkpoint import CheckpointError
from models.moments import FOLDER, MOMENTS, MomentFiles, list_moments, load_moment, plan_moments

STATE = {"technique": "gan", "recipe": {"batch": 2}, "cache": "c.npz", "data_hash": "0", "losses": {"a": [1.0]}}


def keep_all(run: Path, first: int, last: int, steps: int) -> list[int]:
    """Run from one step to another as the training loop does; return the moments that are there then."""
    files = MomentFiles(run, first)
    for step in range(first, last + 1):
        if step in plan_moments(steps) and (step > first or step == 0):
            net = torch.nn.Linear(1, 1)
            torch.nn.init.constant_(net.weight, step)
            files.keep(step, steps, net, STATE, {"grooves": step})
    return [step for step, _ in list_moments(run)]


@given(st.integers(1, 10**7))
def test_a_run_is_kept_ten_times_each_twice_as_far_as_before(steps: int) -> None:
    planned = plan_moments(steps)
    assert planned[0] == 0
    assert planned[-1] == steps
    assert len(planned) <= MOMENTS
    assert planned == sorted(set(planned))
    assert all(late // 2 == early for early, late in pairwise(planned[1:]))
    assert len(planned) == MOMENTS or planned[1] == 1


def test_a_moment_is_all_that_an_export_needs(tmp_path: Path) -> None:
    assert keep_all(tmp_path, 0, 8, 8) == [0, 1, 2, 4, 8]
    tensors, state = load_moment(dict(list_moments(tmp_path))[4])
    assert tensors["average.weight"].item() == 4
    assert state == {k: v for k, v in STATE.items() if k != "losses"} | {"step": 4, "extras": {"grooves": 4}}


@settings(max_examples=25)
@given(st.integers(2, 600), st.integers(1, 600), st.data())
def test_a_run_that_gets_longer_or_shorter_stays_near_its_plan(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, data: st.DataObject
) -> None:
    run = tmp_path_factory.mktemp("run")
    stopped = data.draw(st.integers(1, before - 1))
    after = max(after, stopped + 1)
    keep_all(run, 0, stopped, before)
    kept = keep_all(run, stopped, after, after)
    assert len(kept) <= MOMENTS
    assert kept[0] == 0
    assert kept[-1] == after
    for wanted in plan_moments(after):
        if wanted > stopped:
            assert wanted in kept


def test_a_run_that_goes_on_from_an_older_checkpoint_forgets_what_came_later(tmp_path: Path) -> None:
    keep_all(tmp_path, 0, 8, 8)
    MomentFiles(tmp_path, 3)
    assert [step for step, _ in list_moments(tmp_path)] == [0, 1, 2]
    MomentFiles(tmp_path, 0)  # another run in the same folder
    assert [step for step, _ in list_moments(tmp_path)] == [0]


def test_nothing_half_written_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_all(tmp_path, 0, 1, 8)

    def fail(*args: object, **kwargs: object) -> None:
        Path(str(args[1])).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("models.moments.save_file", fail)
    with pytest.raises(OSError, match="No space left"):
        MomentFiles(tmp_path, 1).keep(2, 8, torch.nn.Linear(1, 1), STATE, {})
    assert [path.name for path in sorted((tmp_path / FOLDER).iterdir())] == [
        "step-000000.safetensors",
        "step-000001.safetensors",
    ]


@pytest.mark.parametrize("told", [None, "{", "[]", json.dumps({"step": 1})])
def test_a_damaged_moment_is_one_sentence(tmp_path: Path, told: str | None) -> None:
    path = tmp_path / "step-000001.safetensors"
    save_file({"average.weight": torch.zeros(1)}, path, metadata=None if told is None else {"state": told})
    with pytest.raises(CheckpointError, match="not a moment of a training run"):
        load_moment(path)
    path.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="not a moment of a training run"):
        load_moment(path)
