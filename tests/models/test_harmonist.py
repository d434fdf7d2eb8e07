"""The harmonist: it hears nothing but the melody it may hear, in every key alike, and plays what it was trained as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from daemon.cli import main
from models import checkpoint
from models.checkpoint import CheckpointError
from models.data import song_cache
from models.data.parts import split_roles
from models.draws import Draws
from models.gan import dataset
from models.harmonist.dataset import draw_batch, make_tunes, modulate
from models.harmonist.network import CHORDS, COSINE, SHARE, Harmonist, HarmonistConfig, measure_agreement
from models.harmonist.objective import load_harmonist
from music.analysis.melody_recall import MIN_LAG_STEPS
from music.chords import QUALITIES
from music.encoding import gan_canvas, melody_context
from music.encoding.melody_context import AHEAD_BEATS, FUTURE_STEPS, MELODY_PLANES, PAST_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT, Note
from tests.support.training import GAN, HARMONIST, list_settings, make_song

SMALL = HarmonistConfig(width=(3, 5))
LINE = PAST_STEPS // STEPS_PER_BEAT


@pytest.fixture
def model() -> Harmonist:
    torch.manual_seed(1)
    made = Harmonist(SMALL).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made


def _melody(seed: int, count: int = 2) -> torch.Tensor:
    make = torch.Generator().manual_seed(seed)
    return (torch.rand(count, MELODY_PLANES, PITCH_CLASSES, PAST_STEPS + FUTURE_STEPS, generator=make) < 0.1).float()


@pytest.mark.parametrize("known", [0.0, 1.0])
@pytest.mark.parametrize("phase", [0, 7])
def test_what_plays_is_what_was_trained(model: Harmonist, known: float, phase: int) -> None:
    melody = _melody(0)
    patches = (PAST_STEPS + FUTURE_STEPS) // STEPS_PER_BEAT
    phases = torch.zeros(2, STEPS_PER_BAR, patches)
    for patch in range(patches):
        phases[:, (phase + STEPS_PER_BEAT * (patch + 1 - LINE)) % STEPS_PER_BAR, patch] = 1
    own = torch.arange(patches).expand(2, -1)
    dense = model(melody, phases, own, torch.full((2, 1, patches), known))[..., LINE - 1]
    here = torch.eye(STEPS_PER_BAR)[phase].expand(2, -1)
    assert torch.allclose(model.predict(melody, here, torch.full((2, 1), known)), dense, atol=1e-5)


def test_live_it_hears_nothing_right_of_the_line(model: Harmonist) -> None:
    one, other = _melody(0), _melody(1)
    other[..., :PAST_STEPS] = one[..., :PAST_STEPS]
    here = torch.eye(STEPS_PER_BAR)[:1].expand(2, -1)
    live, offline = torch.zeros(2, 1), torch.ones(2, 1)
    assert torch.equal(model.predict(one, here, live), model.predict(other, here, live))
    assert not torch.equal(model.predict(one, here, offline), model.predict(other, here, offline))


def test_what_it_recalls_is_what_followed_an_earlier_line(model: Harmonist) -> None:
    melody, patches, back = _melody(0), (PAST_STEPS + FUTURE_STEPS) // STEPS_PER_BEAT, MIN_LAG_STEPS // STEPS_PER_BEAT
    phases = torch.zeros(2, STEPS_PER_BAR, patches)
    for patch in range(patches):
        phases[:, STEPS_PER_BEAT * (patch + 1) % STEPS_PER_BAR, patch] = 1
    place = (torch.arange(patches) - back).clamp(min=0).expand(2, -1)
    dense = model(melody, phases, place, torch.full((2, 1, patches), 0.4))
    now = PAST_STEPS  # its end: what followed the line NEAREST steps before it is right of the line
    shown = torch.cat([melody[..., :now], melody[..., now - MIN_LAG_STEPS : now]], 3)
    here = torch.eye(STEPS_PER_BAR)[now % STEPS_PER_BAR].expand(2, -1)
    assert torch.allclose(
        model.predict(shown, here, torch.full((2, 1), 0.4)), dense[..., now // STEPS_PER_BEAT - 1], atol=1e-5
    )
    other = melody.clone()
    other[..., now:] = _melody(1)[..., now:]
    again = model(other, phases, place, torch.full((2, 1, patches), 0.4))
    assert torch.equal(dense[..., : now // STEPS_PER_BEAT], again[..., : now // STEPS_PER_BEAT])  # causal


def test_a_melody_in_another_key_has_its_chords_in_that_key(model: Harmonist) -> None:
    here = torch.eye(STEPS_PER_BAR)[3:4].expand(2, -1)
    told = model.predict(_melody(0), here, torch.zeros(2, 1))
    moved = model.predict(_melody(0).roll(5, 2), here, torch.zeros(2, 1))
    turned = told.reshape(2, AHEAD_BEATS, -1, PITCH_CLASSES).roll(5, 3).reshape(2, AHEAD_BEATS, CHORDS)
    assert torch.allclose(moved, turned, atol=1e-5)


def test_agreement_prefers_the_chord_that_does_least_harm() -> None:
    assert torch.allclose(COSINE.diagonal(), torch.ones(CHORDS))
    assert torch.allclose(SHARE.diagonal(), torch.ones(CHORDS))
    scores = torch.full((1, 1, CHORDS), -30.0)
    scores[0, 0, 0], scores[0, 0, PITCH_CLASSES + 9] = 0.0, 0.0  # C or A minor, evenly
    unsure, certain = torch.zeros(1, 1), torch.ones(1, 1)
    both = measure_agreement(scores, unsure)[0, 0].reshape(len(QUALITIES), PITCH_CLASSES)
    assert both.argmax() in (0, PITCH_CLASSES + 9)  # one of them, not one that is neither
    assert both[QUALITIES.index("min7"), 9] > both[QUALITIES.index("7"), 0]  # A minor 7 has the tones of both
    sure = torch.full((1, 1, CHORDS), -30.0)
    sure[0, 0, PITCH_CLASSES + 2] = 0.0
    assert int(measure_agreement(sure, unsure)[0, 0].argmax()) == PITCH_CLASSES + 2
    assert torch.allclose(
        measure_agreement(scores, certain), scores.softmax(2) @ COSINE
    )  # whoever has heard all plays no safe one


def test_training_and_the_player_hear_the_same() -> None:
    made = dataset.Streams([make_song(style="pop")], Draws(2, 4), heard_all=0.5)
    batch = made.show()
    for i, stream in enumerate(made.streams):
        rows = split_roles(make_song(style="pop"))["melody"]
        by = next(
            t for t in range(-5, 7) if np.array_equal(dataset.draw_score(make_song(), t).pitched, stream.score.pitched)
        )
        begun = stream.melody_from - gan_canvas.FIRST_NOW_STEP
        notes = [
            Note((max(s, begun) + gan_canvas.FIRST_NOW_STEP) * 6, p + by, (s + n - max(s, begun)) * 6, v)
            for s, p, n, v in rows.tolist()
            if s + n > begun
        ]
        heard = melody_context.build_harmonist_input(notes, stream.now, bool(batch.heard_all[i]))
        assert np.array_equal(heard.melody, batch.melody[i])
        assert np.array_equal(heard.phase, batch.phase[i])
        assert heard.known[0] == batch.known[i, 0]
        assert (heard.known[0] == 1) == batch.heard_all[i]


def test_examples_begin_on_any_step_and_know_the_chords_of_their_beats() -> None:
    found = make_tunes([make_song(bars=20)], "train")
    made = draw_batch(found, [np.random.default_rng(0)] * 8, 24)
    assert made.melody.shape == (8, MELODY_PLANES, PITCH_CLASSES, 24 * STEPS_PER_BEAT)
    assert (made.phase.sum(1) == 1).all()
    assert set(np.unique(made.chords[:, 0])) <= {-1, 0, 5, 7, 9}
    assert len({int(p.argmax()) % 4 for p in made.phase[:, :, 0]}) > 1


def test_examples_go_to_another_key_with_their_chords() -> None:
    here = draw_batch(make_tunes([make_song(bars=40)], "train"), [np.random.default_rng(0)] * 6, 96)
    there = modulate(here, [np.random.default_rng(2)] * 6, 1.0)
    same = modulate(here, [np.random.default_rng(2)] * 6, 0.0)
    assert np.array_equal(here.melody, same.melody)
    assert np.array_equal(here.chords, same.chords)
    for i in range(6):
        changed = np.flatnonzero((here.melody[i] != there.melody[i]).any((0, 1)))
        at = int(changed[0]) // STEPS_PER_BEAT  # a rest may hide the change itself
        by = {
            int(x)
            for x in ((there.chords[i, 0] - here.chords[i, 0]) % PITCH_CLASSES)[:, at:][here.chords[i, 0][:, at:] >= 0]
        }
        assert len(by - {0}) == len(by) == 1
        assert np.array_equal(
            np.roll(here.melody[i][..., at * STEPS_PER_BEAT :], by.pop(), 1),
            there.melody[i][..., at * STEPS_PER_BEAT :],
        )
        assert (there.trust[i, 0][(there.place[i] < at - 1) & (np.arange(96) > at)] == 0).all()
    assert np.array_equal(here.chords[:, 1], there.chords[:, 1])


def test_a_song_without_a_melody_is_no_tune() -> None:
    whole = make_song(bars=8)
    assert make_tunes([replace(whole, notes=whole.notes[whole.notes[:, 0] != 0])], "train") == []


def test_who_weighs_nothing_is_not_drawn() -> None:
    found = make_tunes([make_song("a", bars=20), make_song("b", bars=20)], "train")
    found[1] = found[1]._replace(chords=np.full_like(found[1].chords, 4))
    drawn = draw_batch(found, [np.random.default_rng(0)] * 20, 24, np.array([1.0, 0.0]))
    assert 4 not in drawn.chords
    assert 4 in draw_batch(found, [np.random.default_rng(0)] * 20, 24).chords


def test_a_run_is_taken_over_by_the_gan(tmp_path: Path) -> None:
    cache = tmp_path / "c.npz"
    song_cache.save(
        cache, [make_song(n, style=s, split=p) for n in "ab" for s in ("pop", "jazz") for p in ("train", "valid")]
    )
    common = ["--cache", str(cache), "--steps", "2", "--every", "1", "--accelerator", "cpu"]
    run = str(tmp_path / "harmonist")
    small = list_settings(model=HARMONIST, patches=16, batch=2)
    first = CliRunner().invoke(main, ["train", "harmonist", "-o", run, *common, *small])
    assert first.exit_code == 0, first.output
    assert "valid_live_root" in (tmp_path / "harmonist" / "losses.csv").read_text()
    gan = ["train", "gan", *common, *list_settings(model=GAN, batch=2)]
    second = CliRunner().invoke(main, [*gan, "-o", str(tmp_path / "gan"), *list_settings(harmonist=run)])
    assert second.exit_code == 0, second.output
    tensors, _ = checkpoint.load(tmp_path / "gan" / "checkpoint")
    heard = load_harmonist(Path(run)).state_dict()
    assert all(torch.equal(tensors[f"average.harmonist.{k}"], v) for k, v in heard.items())
    with pytest.raises(CheckpointError, match="not of the harmonist"):
        load_harmonist(tmp_path / "gan")
    missing = CliRunner().invoke(main, [*gan, "-o", str(tmp_path / "x"), *list_settings(harmonist="no")])
    assert missing.exit_code == 2
    assert "not a training run" in missing.output
