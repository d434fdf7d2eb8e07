"""Learning rates, updates and averaged weights that every technique uses."""

from __future__ import annotations

import copy

import pytest
import torch
from lightning_fabric import Fabric

from models.optimisation import anneal, set_rate, update_average, update_weights, warm_up
from models.recipe import RecipeError, read_recipe
from tests.support.training import GAN, GAN_CONFIG


def test_the_rate_rises_and_falls() -> None:
    assert [warm_up(step, 4) for step in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert [anneal(done, 0.1) for done in (0, 0.5, 1, 2)] == pytest.approx([1, 0.55, 0.1, 0.1])


def test_an_update_goes_down_the_clipped_gradient() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.SGD(layer.parameters(), 1.0)
    set_rate(optimizer, 0.5)
    fabric = Fabric(accelerator="cpu", devices=1)
    norm = update_weights(fabric, optimizer, layer(torch.tensor([3.0, 4.0])).sum(), 1.0)
    assert float(norm) == pytest.approx(5)
    assert layer.weight.tolist()[0] == pytest.approx([-0.3, -0.4])


def test_groups_are_clipped_apart() -> None:
    one, other = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([one, other], 1.0)
    fabric = Fabric(accelerator="cpu", devices=1)
    norm = update_weights(fabric, optimizer, (3 * one + 0.5 * other).sum(), 1.0, ([one], [other]))
    assert float(norm) == pytest.approx(9.25**0.5)
    assert (float(one.detach()), float(other.detach())) == pytest.approx((-1, -0.5), abs=1e-5)


def test_averaged_weights_follow_the_first_update_too() -> None:
    """As they always have: torch's AveragedModel would take the first weights over whole, and rename all tensors."""
    model = torch.nn.Linear(2, 2)
    average = copy.deepcopy(model).requires_grad_(False)
    before = average.weight.clone()
    with torch.no_grad():
        model.weight += 1
    update_average(average, model, 0.9)
    assert torch.equal(average.weight, before.lerp(model.weight, 1 - 0.9))
    assert average.state_dict().keys() == model.state_dict().keys()
    theirs = torch.optim.swa_utils.AveragedModel(copy.deepcopy(average))
    theirs.update_parameters(model)
    assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), model.parameters(), strict=True))
    assert theirs.state_dict().keys() != model.state_dict().keys()


def test_a_recipe_is_read_with_all_that_is_in_it() -> None:
    assert read_recipe(type(GAN_CONFIG), GAN) == GAN_CONFIG
    with pytest.raises(RecipeError, match="strange"):
        read_recipe(type(GAN_CONFIG), {"strange": 1})
    with pytest.raises(RecipeError, match="harmonist: wants a table"):
        read_recipe(type(GAN_CONFIG), {"harmonist": 3})
