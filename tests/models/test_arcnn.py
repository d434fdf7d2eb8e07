"""The AR-CNN in training: what it looks at, how pieces are spoilt, what it learns, and that a run can be exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from numpy.typing import NDArray

from daemon.players.arcnn import EditScorer
from daemon.players.graph import Graph
from export.command import command as export_command
from models import cli as training
from models.arcnn import dataset as corruption
from models.arcnn import network as arcnn
from models.arcnn.dataset import EditPiece, Pool, SpoilRecipe
from models.arcnn.network import ARCNN_STYLES, HIGH, LOW, Arcnn, ArcnnConfig
from models.arcnn.objective import ArcnnObjective, best_notes, pieces_of, recipe_from, validation
from models.data import song_cache
from models.data.song_cache import CachedSong
from music.edits.draft import Draft
from music.edits.edit import Limits
from music.encoding.edit_grid import WINDOW_STEPS
from music.note import PITCHES
from music.track_names import PARTS

TINY = {"near": 4, "folded": 3, "beat": [2, 4], "bar": [2, 4], "bar_blocks": 1, "write_blocks": 1, "cell": 4}


@pytest.fixture
def net() -> Arcnn:
    torch.manual_seed(0)
    made = Arcnn(ArcnnConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in TINY.items()}))  # type: ignore[arg-type]
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval().requires_grad_(False)


def rolls(seed: int = 0, count: int = 2) -> torch.Tensor:
    make = torch.Generator().manual_seed(seed)
    onset = torch.rand(count, WINDOW_STEPS, PITCHES, generator=make) < 0.01
    onset[..., :LOW] = onset[..., HIGH:] = False
    return torch.stack([onset, onset | onset.roll(1, 1), torch.zeros_like(onset)], 1).float()


def hymn(index: int, split: str = "train", collection: str = "chorales") -> CachedSong:
    """Four voices, 12 bars, each song another tune."""
    random = np.random.default_rng(index)
    rows = []
    for voice, pitch in (("soprano", 72), ("alto", 65), ("tenor", 57), ("bass_voice", 45)):
        walk = pitch + np.cumsum(random.integers(-2, 3, 48)).clip(-6, 6)
        rows += [(PARTS.index(voice), 4 * i, int(p), 4, 80) for i, p in enumerate(walk.tolist())]
    notes = np.array(sorted(rows, key=lambda r: (r[1], r[0])), np.int32)
    return CachedSong(f"h{index}", collection, "chorale", split, notes, np.zeros((48, 2), np.int8))


# The network


def test_some_octaves_alone_are_heard_as_with_the_others_silent(net: Arcnn) -> None:
    """Rests beyond what is looked at make a difference to nothing but sums over rests."""
    planes, style = rolls(), torch.eye(len(ARCNN_STYLES))[:2]
    narrow, _ = net.look(planes[..., LOW:HIGH], style, LOW)
    assert narrow.shape == (2, WINDOW_STEPS, HIGH - LOW)
    assert net.look(planes, style)[0].shape == (2, WINDOW_STEPS, PITCHES)


def test_lengths_of_some_cells_are_those_of_all(net: Arcnn) -> None:
    planes, style = rolls(), torch.eye(len(ARCNN_STYLES))[:2]
    _, cells = net.look(planes, style)
    at = torch.tensor([0, 1, 1]), torch.tensor([3, 64, 127]), torch.tensor([40, 60, 90])
    every = net.all_lengths(cells)
    assert torch.allclose(net.lengths_at(cells, at), every[at[0], :, at[1], at[2]], atol=1e-5)


def test_a_kernel_over_all_pitches_hears_how_far_away_something_is() -> None:
    reach = arcnn.PitchReach(2)
    reach.kernel.data[:] = torch.arange(2.0 * (2 * arcnn.REACH + 1)).reshape(2, -1)
    x = torch.zeros(1, 2, 1, 84)
    x[0, :, 0, 40] = 1
    heard = reach(x)[0, 0, 0]
    steps = torch.arange(84)
    assert torch.equal(heard, reach.kernel[0, (40 - steps).clamp(-arcnn.REACH, arcnn.REACH) + arcnn.REACH])


def test_the_published_recipe_hears_neither_style_nor_what_is_kept() -> None:
    torch.manual_seed(0)
    net = Arcnn(recipe_from({"published": True, "model": TINY}).model).eval().requires_grad_(False)
    planes, kept = rolls(), rolls()
    kept[:, 2] = kept[:, 0]
    same = net.look(planes, torch.eye(len(ARCNN_STYLES))[:2])[0]
    assert torch.equal(same, net.look(kept, torch.eye(len(ARCNN_STYLES))[2:4])[0])


def test_losses_of_what_is_known_for_sure() -> None:
    differs = torch.zeros(2, WINDOW_STEPS, PITCHES, dtype=torch.bool)
    differs[0, 3, [60, 64]] = True  # the second has nothing to be edited and does not count
    edit = torch.where(differs, 0.0, -40.0)
    assert float(arcnn.edit_loss(edit, differs)) == pytest.approx(np.log(2), abs=1e-4)
    sure = torch.where(differs, 20.0, -20.0)
    assert float(arcnn.calibration_loss(sure, differs)) == pytest.approx(0, abs=1e-3)
    logits = torch.tensor([-40.0, -3.0, 0.0, 3.0, 40.0])
    assert torch.allclose(arcnn.log_weights(logits), torch.nn.functional.logsigmoid(logits), atol=1e-5)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=8))
def test_the_best_notes_are_those_of_the_highest_expected_f1(real: list[float]) -> None:
    p = np.sort(real)[::-1]
    scores = [2 * p[:k].sum() / (k + p.sum()) for k in range(1, len(p) + 1)]
    chosen = int(best_notes(torch.tensor(real, dtype=torch.float64)).sum())
    assert chosen
    assert scores[chosen - 1] == pytest.approx(max(scores))


# Spoiling


def piece(index: int = 0) -> EditPiece:
    return corruption.piece_of(hymn(index))


@given(st.integers(0, 10_000), st.booleans())
def test_what_is_spoilt_has_only_whole_notes_and_wrong_ones_where_none_is_right(seed: int, plausible: bool) -> None:
    notes = corruption.window(piece(seed % 5), 0)
    true = corruption.lengths_of(notes)
    sheet, kept = corruption.spoil(notes, SpoilRecipe(plausible=plausible, keep=1.0), np.random.default_rng(seed))
    right = (sheet > 0) & (true > 0)
    assert (sheet[right] == true[right]).all()
    assert not (kept & ~right).any()
    for pitch in np.flatnonzero((sheet > 0).any(0)):  # no note reaches into the next
        steps = np.flatnonzero(sheet[:, pitch])
        assert (steps[:-1] + sheet[steps[:-1], pitch] <= steps[1:]).all()


def test_any_share_of_the_notes_goes() -> None:
    notes = corruption.window(piece(), 0)
    random = np.random.default_rng(0)
    recipe = SpoilRecipe(wrong=0.0)
    left = [int((corruption.spoil(notes, recipe, random)[0] > 0).sum()) / len(notes) for _ in range(200)]
    assert min(left) < 0.05
    assert max(left) > 0.95


@pytest.mark.parametrize("near", [0.0, 1.0])
def test_wrong_notes_lie_near_right_ones_or_anywhere(near: float) -> None:
    notes = corruption.window(piece(), 0)
    sheet = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
    corruption.put_in(sheet, notes, 200, near, np.random.default_rng(0))
    right = set(map(tuple, notes[:, :2].tolist()))
    wrong = [tuple(cell) for cell in np.argwhere(sheet).tolist()]
    assert not right & set(wrong)
    close = [any((abs(s - a) <= 4 and p == b) or (s == a and abs(p - b) <= 12) for a, b in right) for s, p in wrong]
    assert all(close) if near else np.mean(close) < 0.9


def test_a_tune_that_validates_is_not_learnt_from_in_any_key() -> None:
    known = hymn(1, "valid")
    moved = known.notes.copy()
    moved[:, 2] += 3
    again = CachedSong("again", "chorales", "chorale", "train", moved, known.chords)
    kept, dropped = corruption.without_known_tunes([hymn(2), again], [known])
    assert ([s.name for s in kept], dropped) == (["h2"], 1)


def test_styles_are_drawn_as_often_as_they_shall_be() -> None:
    pieces = [piece(0), corruption.piece_of(hymn(1, collection="pop909"))]
    pool = Pool(pieces, (0.75, 0.25, 0.0, 0.0), SpoilRecipe(), np.random.default_rng(0))
    drawn = [pool.draw().style for _ in range(400)]
    assert 0.2 < np.mean(drawn) < 0.3


def test_a_style_without_pieces_validates_nothing() -> None:
    train, valid, dropped = pieces_of([hymn(0), hymn(1, "valid"), hymn(2, collection="bands")])
    assert (len(train), len(valid), dropped) == (1, 1, 0)
    assert list(validation(valid)) == ["chorale"]


# A run


def objective(**recipe: Any) -> ArcnnObjective:
    songs = [hymn(i) for i in range(3)] + [hymn(9, "valid")]
    made = recipe_from({"batch": 4, "model": TINY, **recipe})
    return ArcnnObjective(Fabric(accelerator="cpu", devices=1), made, songs, 40, 1)


def test_it_learns() -> None:
    run = objective(learning_rate=1e-2, own=0.5, own_from=0.0)
    losses = [run.turn(step) for step in range(40)]
    first, last = ({k: float(np.mean([one[k] for one in part])) for k in part[0]} for part in (losses[:5], losses[-5:]))
    assert last["nats"] < first["nats"]
    assert last["calibration"] < first["calibration"]
    assert set(run.validate()) == {"valid_chorale_nats", "valid_chorale_f1"}


def test_its_own_edits_are_whole_notes_too() -> None:
    run = objective(own=1.0, own_from=0.0)
    run.net.calibration.offset.data[:] = 3.0  # much seems worth its while to it
    for step in range(4):
        run.turn(step)
        assert run.waiting
        for example in run.waiting:
            assert 1 <= example.age <= run.recipe.oldest
            for pitch in np.flatnonzero((example.sheet > 0).any(0)):
                steps = np.flatnonzero(example.sheet[:, pitch])
                assert (steps[:-1] + example.sheet[steps[:-1], pitch] <= steps[1:]).all()


def test_the_rate_rises_stands_and_falls_to_nothing() -> None:
    run = objective(learning_rate=1.0, descent=0.25)
    rates = []
    for step in range(41):
        run._set_rate(step)
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates[40] == 0
    assert rates[:30] == pytest.approx([(step + 1) / 150 for step in range(30)])
    assert rates[39] == pytest.approx(0.1)


def look(path: Path, lengths: NDArray[np.int16]) -> tuple[EditScorer, NDArray[np.float32]]:
    editor = EditScorer(Graph(path, "arcnn"))
    draft = Draft(lengths, np.where(lengths > 0, 80, 0).astype(np.uint8))
    return editor, editor.score(draft, Limits(), "chorale").weights


@pytest.mark.parametrize("published", [False, True])
def test_a_run_can_be_stopped_gone_on_with_and_exported(published: bool, tmp_path: Path) -> None:
    song_cache.save(tmp_path / "music.npz", [hymn(i) for i in range(3)] + [hymn(9, "valid")])
    settings = [f"model={json.dumps(TINY)}", "batch=2", *(["published=true"] if published else [])]
    arguments = ["arcnn", "--cache", str(tmp_path / "music.npz"), "-o", str(tmp_path / "run"), "--every", "2"]
    arguments += [word for s in settings for word in ("--set", s)]
    runner = CliRunner()
    assert runner.invoke(training.command, [*arguments, "--steps", "2"]).exit_code == 0
    done = runner.invoke(training.command, [*arguments, "--steps", "4", "--resume"])
    assert done.exit_code == 0, done.output
    out = tmp_path / "arcnn.onnx"
    done = runner.invoke(export_command, [str(tmp_path / "run"), "-o", str(out)])
    assert done.exit_code == 0, done.output
    notes = corruption.lengths_of(corruption.window(piece(0), 0))
    editor, weights = look(out, notes)
    assert editor.styles == ARCNN_STYLES
    assert weights.max() <= 0
    assert editor._calibrated is not published
