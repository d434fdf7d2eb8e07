"""Every loss of every technique has a name, a unit and a sentence; the plot shows them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning_fabric import Fabric
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models import cli
from models.data.song_cache import CachedSong
from models.loss_plot import LossPanel, draw_losses, list_undeclared
from models.training_loop import Objective
from tests.support.train_on_devices import find_recipe
from tests.support.training import make_hymn, make_song

ROWS = [
    {"step": "1", "seconds": "1", "a": "3", "valid_a": "4", "old": "1"},
    {"step": "2", "seconds": "2", "a": "2", "valid_a": ""},
]
PANELS = (
    LossPanel("A", "nats a step", "It falls.", {"a": "training", "valid_a": "validation"}),
    LossPanel("B", "weight", "It stays.", {"b": "b"}),
)


def make_objective(technique: str) -> Objective:
    """Return an objective in which every loss there is comes in the first update."""
    kind = cli._load_objective(technique)
    fabric = Fabric(accelerator="cpu", devices=1)
    songs: list[CachedSong] = [make_song(split=split) for split in ("train", "valid")]
    if technique == "arcnn":
        songs = [make_hymn(0), make_hymn(1, "valid")]
    made: Objective = kind(fabric, kind.read_recipe({**find_recipe(technique), "batch": 2}), songs, 10, 1)
    return made


@pytest.mark.parametrize("technique", cli.TECHNIQUES)
def test_every_loss_is_declared_once_and_in_words(technique: str) -> None:
    objective = make_objective(technique)
    validated = objective.validate()
    losses = {**objective.update(0), **validated}
    assert any(name.startswith("valid_") for name in losses)
    panels = objective.loss_panels
    assert list_undeclared(losses, panels) == []
    assert set(Counter(name for panel in panels for name in panel.curves).values()) == {1}
    for panel in panels:
        assert panel.title
        assert panel.unit
        assert panel.expected.endswith(".")
        assert all(label and "_" not in label for label in panel.curves.values())


def test_the_plot_has_titles_units_sentences_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[Axes] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        caught.extend(figure.axes)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    draw_losses(tmp_path / "losses.png", "gan", ROWS, PANELS)
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    declared, other = [axis for axis in caught if axis.get_title(loc="left")]
    assert (declared.get_title(loc="left").strip(), declared.get_ylabel()) == ("A", "nats a step")
    assert declared.get_xlabel() == "updates"
    assert [text.get_text() for text in declared.texts] == ["It falls."]
    legend = declared.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    assert [np.asarray(line.get_xdata()).tolist() for line in declared.lines] == [[1, 2], [1]]
    assert other.get_title(loc="left").startswith("old")  # of a table that an earlier version began


def test_what_comes_after_a_steep_beginning_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[Axes] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: caught.extend(figure.axes))
    rows = [{"step": str(step), "seconds": "1", "a": str(100 if step < 3 else 1 + step % 2)} for step in range(1, 41)]
    draw_losses(tmp_path / "losses.png", "gan", rows, PANELS)
    [axis] = [axis for axis in caught if axis.lines]
    low, high = axis.get_ylim()
    assert low < 1
    assert 2 < high < 5
    assert "begins at 100" in [text.get_text() for text in axis.texts]


def test_a_run_without_losses_is_no_plot_that_fails(tmp_path: Path) -> None:
    draw_losses(tmp_path / "losses.png", "gan", [{"step": "1", "seconds": "1"}], PANELS)
    assert (tmp_path / "losses.png").exists()
