"""Layers that hear music in any key the same way."""

from __future__ import annotations

import pytest
import torch

from models.key_equivariant import Block, KeyConv, KeyNorm, Width
from music.note import PITCH_CLASSES


@pytest.mark.parametrize("layer", [KeyConv(Width(3, 5), Width(2, 4), 3), KeyNorm(Width(3, 5)), Block(Width(3, 5))])
def test_layers_commute_with_transposition(layer: torch.nn.Module) -> None:
    x = torch.randn(2, 3 * PITCH_CLASSES + 5, 7)

    def transposed(state: torch.Tensor, by: int) -> torch.Tensor:
        pitched = (state.shape[1] - (4 if isinstance(layer, KeyConv) else 5)) // PITCH_CLASSES * PITCH_CLASSES
        if state is x:
            pitched = 3 * PITCH_CLASSES
        turned = torch.roll(state[:, :pitched].reshape(2, -1, PITCH_CLASSES, 7), by, 2).reshape(2, pitched, 7)
        return torch.cat([turned, state[:, pitched:]], 1)

    with torch.no_grad():
        assert torch.allclose(layer(transposed(x, 5)), transposed(layer(x), 5), atol=1e-5)
