"""The AR-CNN in training: what it looks at, how pieces are spoilt, what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric

from models.arcnn import dataset
from models.arcnn.dataset import ExamplePool, SpoilRecipe
from models.arcnn.network import (
    ARCNN_STYLES,
    HIGH_PITCH,
    LOW_PITCH,
    REACH_SEMITONES,
    Arcnn,
    PitchReach,
    compute_calibration_loss,
    compute_edit_loss,
    compute_log_weights,
)
from models.arcnn.objective import ArcnnObjective, choose_best_notes, draw_validation, make_pieces
from models.data.song_cache import CachedSong
from music.encoding.edit_grid import WINDOW_STEPS
from music.note import PITCHES
from tests.support.training import ARCNN as TINY
from tests.support.training import make_hymn, make_hymn_piece


@pytest.fixture
def net() -> Arcnn:
    torch.manual_seed(0)
    made = Arcnn(ArcnnObjective.read_recipe({"model": TINY}).model)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval().requires_grad_(False)


def rolls(seed: int = 0, count: int = 2) -> torch.Tensor:
    make = torch.Generator().manual_seed(seed)
    onset = torch.rand(count, WINDOW_STEPS, PITCHES, generator=make) < 0.01
    onset[..., :LOW_PITCH] = onset[..., HIGH_PITCH:] = False
    return torch.stack([onset, onset | onset.roll(1, 1), torch.zeros_like(onset)], 1).float()


def test_some_octaves_alone_are_heard_as_with_the_others_silent(net: Arcnn) -> None:
    """Rests beyond what is looked at make a difference to nothing but sums over rests."""
    planes, style = rolls(), torch.eye(len(ARCNN_STYLES))[:2]
    narrow, _ = net.look(planes[..., LOW_PITCH:HIGH_PITCH], style, LOW_PITCH)
    assert narrow.shape == (2, WINDOW_STEPS, HIGH_PITCH - LOW_PITCH)
    assert net.look(planes, style)[0].shape == (2, WINDOW_STEPS, PITCHES)


def test_lengths_of_some_cells_are_those_of_all(net: Arcnn) -> None:
    planes, style = rolls(), torch.eye(len(ARCNN_STYLES))[:2]
    _, cells = net.look(planes, style)
    at = torch.tensor([0, 1, 1]), torch.tensor([3, 64, 127]), torch.tensor([40, 60, 90])
    every = net.score_lengths(cells)
    assert torch.allclose(net.score_lengths_at(cells, at), every[at[0], :, at[1], at[2]], atol=1e-5)


def test_a_kernel_over_all_pitches_hears_how_far_away_something_is() -> None:
    reach = PitchReach(2)
    reach.kernel.data[:] = torch.arange(2.0 * (2 * REACH_SEMITONES + 1)).reshape(2, -1)
    x = torch.zeros(1, 2, 1, 84)
    x[0, :, 0, 40] = 1
    heard = reach(x)[0, 0, 0]
    steps = torch.arange(84)
    assert torch.equal(heard, reach.kernel[0, (40 - steps).clamp(-REACH_SEMITONES, REACH_SEMITONES) + REACH_SEMITONES])


def test_the_published_recipe_hears_neither_style_nor_what_is_kept() -> None:
    torch.manual_seed(0)
    net = Arcnn(ArcnnObjective.read_recipe({"published": True, "model": TINY}).model).eval().requires_grad_(False)
    planes, kept = rolls(), rolls()
    kept[:, 2] = kept[:, 0]
    same = net.look(planes, torch.eye(len(ARCNN_STYLES))[:2])[0]
    assert torch.equal(same, net.look(kept, torch.eye(len(ARCNN_STYLES))[2:4])[0])


def test_losses_of_what_is_known_for_sure() -> None:
    differs = torch.zeros(2, WINDOW_STEPS, PITCHES, dtype=torch.bool)
    differs[0, 3, [60, 64]] = True  # the second has nothing to be edited and does not count
    edit = torch.where(differs, 0.0, -40.0)
    assert float(compute_edit_loss(edit, differs)) == pytest.approx(np.log(2), abs=1e-4)
    sure = torch.where(differs, 20.0, -20.0)
    assert float(compute_calibration_loss(sure, differs)) == pytest.approx(0, abs=1e-3)
    logits = torch.tensor([-40.0, -3.0, 0.0, 3.0, 40.0])
    assert torch.allclose(compute_log_weights(logits), torch.nn.functional.logsigmoid(logits), atol=1e-5)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=8))
def test_the_best_notes_are_those_of_the_highest_expected_f1(real: list[float]) -> None:
    p = np.sort(real)[::-1]
    scores = [2 * p[:k].sum() / (k + p.sum()) for k in range(1, len(p) + 1)]
    chosen = int(choose_best_notes(torch.tensor(real, dtype=torch.float64)).sum())
    assert chosen
    assert scores[chosen - 1] == pytest.approx(max(scores))


@given(st.integers(0, 10_000), st.booleans())
def test_what_is_spoilt_has_only_whole_notes_and_wrong_ones_where_none_is_right(seed: int, plausible: bool) -> None:
    notes = dataset.cut_window(make_hymn_piece(seed % 5), 0)
    true = dataset.draw_sheet(notes)
    sheet, kept = dataset.spoil(notes, SpoilRecipe(plausible=plausible, keep=1.0), np.random.default_rng(seed))
    right = (sheet > 0) & (true > 0)
    assert (sheet[right] == true[right]).all()
    assert not (kept & ~right).any()
    for pitch in np.flatnonzero((sheet > 0).any(0)):  # no note reaches into the next
        steps = np.flatnonzero(sheet[:, pitch])
        assert (steps[:-1] + sheet[steps[:-1], pitch] <= steps[1:]).all()


def test_any_share_of_the_notes_goes() -> None:
    notes = dataset.cut_window(make_hymn_piece(), 0)
    random = np.random.default_rng(0)
    recipe = SpoilRecipe(wrong=0.0)
    left = [int((dataset.spoil(notes, recipe, random)[0] > 0).sum()) / len(notes) for _ in range(200)]
    assert min(left) < 0.05
    assert max(left) > 0.95


@pytest.mark.parametrize("near", [0.0, 1.0])
def test_wrong_notes_lie_near_right_ones_or_anywhere(near: float) -> None:
    notes = dataset.cut_window(make_hymn_piece(), 0)
    sheet = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
    dataset.add_wrong_notes(sheet, notes, 200, near, np.random.default_rng(0))
    right = set(map(tuple, notes[:, :2].tolist()))
    wrong = [tuple(cell) for cell in np.argwhere(sheet).tolist()]
    assert not right & set(wrong)
    close = [any((abs(s - a) <= 4 and p == b) or (s == a and abs(p - b) <= 12) for a, b in right) for s, p in wrong]
    assert all(close) if near else np.mean(close) < 0.9


def test_a_tune_that_validates_is_not_learned_from_in_any_key() -> None:
    known = make_hymn(1, "valid")
    moved = known.notes.copy()
    moved[:, 2] += 3
    again = CachedSong("again", "chorales", "chorale", "train", moved, known.chords)
    kept, dropped = dataset.drop_known_tunes([make_hymn(2), again], [known])
    assert ([s.name for s in kept], dropped) == (["h2"], 1)


def test_styles_are_drawn_as_often_as_they_shall_be() -> None:
    pieces = [make_hymn_piece(0), dataset.make_piece(make_hymn(1, collection="pop909"))]
    pool = ExamplePool(pieces, (0.75, 0.25, 0.0, 0.0), SpoilRecipe())
    random = np.random.default_rng(0)
    drawn = [pool.draw(random).style for _ in range(400)]
    assert 0.2 < np.mean(drawn) < 0.3


def test_a_style_without_pieces_validates_nothing() -> None:
    train, valid, dropped = make_pieces([make_hymn(0), make_hymn(1, "valid"), make_hymn(2, collection="bands")])
    assert (len(train), len(valid), dropped) == (1, 1, 0)
    assert list(draw_validation(valid)) == ["chorale"]


def objective(**recipe: Any) -> ArcnnObjective:
    songs = [make_hymn(i) for i in range(3)] + [make_hymn(9, "valid")]
    made = ArcnnObjective.read_recipe({"batch": 4, "model": TINY, **recipe})
    return ArcnnObjective(Fabric(accelerator="cpu", devices=1), made, songs, 40, 1)


def test_it_learns() -> None:
    run = objective(learning_rate=1e-2, own=0.5, own_from=0.0)
    losses = [run.update(step) for step in range(40)]
    first, last = ({k: float(np.mean([one[k] for one in part])) for k in part[0]} for part in (losses[:5], losses[-5:]))
    assert last["nats"] < first["nats"]
    assert last["calibration"] < first["calibration"]
    assert set(run.validate()) == {"valid_chorale_nats", "valid_chorale_f1"}


def test_its_own_edits_are_whole_notes_too() -> None:
    run = objective(own=1.0, own_from=0.0)
    run.net.calibration.offset.data[:] = 3.0  # much seems worth its while to it
    for step in range(4):
        run.update(step)
        assert any(run.waiting)
        for example in filter(None, run.waiting):
            assert 1 <= example.age <= run.recipe.oldest
            for pitch in np.flatnonzero((example.sheet > 0).any(0)):
                steps = np.flatnonzero(example.sheet[:, pitch])
                assert (steps[:-1] + example.sheet[steps[:-1], pitch] <= steps[1:]).all()


def test_the_rate_rises_stands_and_falls_to_nothing() -> None:
    run = objective(learning_rate=1.0, descent=0.25)
    rates = []
    for step in range(41):
        run._set_rate(step)
        rates.append(run.optimizers["optimizer"].param_groups[0]["lr"])
    assert rates[40] == 0
    assert rates[:30] == pytest.approx([(step + 1) / 150 for step in range(30)])
    assert rates[39] == pytest.approx(0.1)
