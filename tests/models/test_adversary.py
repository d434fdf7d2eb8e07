"""The transformer's critic: what it hears was played on its own past, and what it says rewards what led to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from models import checkpoint
from models.critic import CriticExamples, SoftRoll, pack_examples, unpack_examples
from models.data.song_cache import CachedSong
from models.draws import Draws
from models.harmonist.network import HarmonistConfig
from models.transformer import rollout
from models.transformer.adversary import ROLL_STEPS, Adversary, draw_example
from models.transformer.dataset import BandScore, make_score
from models.transformer.network import Transformer, TransformerConfig
from models.transformer.objective import TransformerObjective, TransformerRecipe
from music.encoding import gan_canvas, step_tokens
from music.encoding.gan_canvas import CANVAS_STEPS, PLANE
from music.note import ROLES
from music.track_names import PARTS
from tests.support.training import make_song

SMALL = TransformerConfig(hand=32, inside=8, writer=8, harmonist=HarmonistConfig(width=(2, 4), past=2, future=1))
STEPS = 40


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(3)
    return Transformer(SMALL).eval()


def make_place(bars: int = 20) -> tuple[BandScore, int]:
    score = make_score(make_song(bars=bars))
    assert score is not None
    return score, 0


@torch.no_grad()
def test_a_hand_that_hears_step_by_step_is_the_hand_that_hears_all(model: Transformer) -> None:
    made = rollout.roll_out(model, [make_place(), make_place()], STEPS, torch.Generator().manual_seed(1))
    features, style = torch.as_tensor(made.features), torch.as_tensor(made.style)
    whole, _, _ = model.hand(features, style)
    stream = rollout.HandStream(model.hand, style)
    for step in range(STEPS):
        torch.testing.assert_close(stream.hear(features[:, step]), whole[:, step], atol=1e-5, rtol=1e-4)


def test_a_roll_out_is_drawn_by_its_numbers_and_its_tokens_are_its_notes(model: Transformer) -> None:
    def play(seed: int) -> rollout.RollOut:
        return rollout.roll_out(model, [make_place()], STEPS, torch.Generator().manual_seed(seed))

    made, again, other = play(1), play(1), play(2)
    assert made.bands == again.bands
    assert made.bands != other.bands
    begun: dict[str, set[tuple[int, int]]] = {role: set() for role in ROLES}
    for step in range(STEPS):
        tokens = made.line[0, step, : made.length[0, step]].tolist()
        for onsets in step_tokens.decode_step(tokens, (0, 9, 5, 7)[(step + 1) // 16 % 4]):
            begun[onsets.role] |= {(step + 1, pitch) for _, pitch in onsets.notes}
    for role, rows in made.bands[0].items():
        assert {(start, pitch) for start, pitch, _ in rows} <= begun[role]
        assert all(length > 0 for _, _, length in rows)
    assert any(made.bands[0].values())


def test_the_bass_of_a_roll_out_has_one_voice_and_notes_of_a_pitch_do_not_overlap(model: Transformer) -> None:
    made = rollout.roll_out(model, [make_place()], STEPS, torch.Generator().manual_seed(5))
    for role in ("bass", "chords", "pad"):
        sounding: dict[int, int] = {}
        for start, pitch, length in sorted(made.bands[0][role]):
            key = 0 if role == "bass" else pitch
            assert sounding.get(key, 0) <= start
            sounding[key] = start + length


def test_the_critic_hears_the_song_and_what_was_played_in_the_same_eight_bars() -> None:
    score, begin = make_place()
    own = {role: [(int(s), int(p), int(n)) for s, p, n in score.roles[role][:, :3]] for role in ROLES}
    melody, people, hits, played, drums, phase = draw_example(score, begin, own)
    assert melody.shape == (PLANE["bass", "sustain"], 12, CANVAS_STEPS)
    assert phase.shape == (5, CANVAS_STEPS)
    np.testing.assert_array_equal(people, played)  # who plays the song itself plays as people did
    np.testing.assert_array_equal(hits, drums)
    assert people.any()
    assert hits[gan_canvas.DRUM_CLASS[36]].nonzero()[0].tolist() == list(range(0, CANVAS_STEPS, 4))
    silent = draw_example(score, begin, {role: [] for role in ROLES})
    assert not silent[3].any()
    assert not silent[4].any()
    np.testing.assert_array_equal(silent[1], people)


class Likes(torch.nn.Module):
    """A critic that counts kicks, bar by bar."""

    def forward(self, melody: Tensor, roll: SoftRoll, phase: Tensor, style: Tensor) -> Tensor:
        kicks: Tensor = roll.drums[:, gan_canvas.DRUM_CLASS[36]]
        return kicks.reshape(len(kicks), -1, 16).sum(2)


def test_what_leads_to_a_bar_that_the_critic_likes_is_rewarded_and_what_comes_after_is_not() -> None:
    songs = [replace(make_song(), is_played=True)]
    adversary = Adversary(Fabric(accelerator="cpu", devices=1), songs, Draws(1, 3), (2, 4), 1e-3, 10.0)
    adversary.teacher.critic = Likes()  # type: ignore[assignment]
    drums = torch.zeros(3, gan_canvas.DRUM_PLANES, CANVAS_STEPS)
    drums[0, gan_canvas.DRUM_CLASS[36], 50] = 1  # in the fourth bar
    none, style = torch.zeros(3, 1, 12, CANVAS_STEPS), torch.zeros(3, 5)
    real = SoftRoll(none, torch.zeros_like(drums))
    adversary.teacher.examples.append(
        CriticExamples(none, real, SoftRoll(none, drums), torch.zeros(3, 5, CANVAS_STEPS), style)
    )
    rewards, score = adversary.reward()
    assert rewards.shape == (3, ROLL_STEPS)
    assert score == pytest.approx(1 / 24)
    lead = ROLL_STEPS - CANVAS_STEPS
    assert (rewards[0, : lead + 64] > 0).all()
    assert (rewards[1:, : lead + 64] < 0).all()
    assert not rewards[:, lead + 64 :].any()


def make_songs() -> list[CachedSong]:
    """A band's song that a pianist played, too, in both splits."""
    made = []
    for split in ("train", "valid"):
        band = make_song("001-pop", split=split)
        piano = replace(band, name="001-a", collection="pop909", style="piano", notes=band.notes.copy())
        piano.notes[np.isin(piano.notes[:, 0], (3, 4)), 0] = PARTS.index("piano")
        made += [band, piano]
    return made


def test_an_update_rolls_out_teaches_the_critic_and_is_gone_on_with() -> None:
    recipe = TransformerRecipe(model=SMALL, batch=2, adversarial=0.5, adversarial_from=0.2, rolled=2, critic=(2, 4))

    def make() -> TransformerObjective:
        return TransformerObjective(Fabric(accelerator="cpu", devices=1), recipe, make_songs(), 4, seed=1)

    objective = make()
    assert objective.adversary is not None
    before = {k: v.clone() for k, v in checkpoint.collect_tensors(objective.modules, objective.optimizers).items()}
    first = objective.update(0)
    assert {"critic", "penalty", "onsets"} <= set(first)
    assert "generator" not in first
    state = {key: value.clone() for key, value in objective.collect_state().items()}
    tensors = checkpoint.collect_tensors(objective.modules, objective.optimizers)
    assert any(k.startswith("critic.") and not torch.equal(v, before[k]) for k, v in tensors.items() if k in before)
    kept = {key: value.clone() for key, value in tensors.items()}
    second = objective.update(1)
    assert "generator" in second
    other = make()
    checkpoint.restore_tensors(kept, other.modules, other.optimizers)
    other.restore_state(state)
    assert other.update(1) == second


def test_examples_are_kept_whole_and_half_of_them_are_none() -> None:
    planes = torch.rand(2, 3, 12, 16).round()
    rolls = SoftRoll(planes, planes[:, :, 0]), SoftRoll(planes, planes[:, :, 1])
    example = CriticExamples(planes, *rolls, planes[:, :, 2], planes[:, :, 0, 0])
    packed = pack_examples([example, example])
    for made in unpack_examples(packed, torch.device("cpu")):
        torch.testing.assert_close([made.melody, made.fake.drums], [example.melody, example.fake.drums])
    packed.popitem()
    assert unpack_examples(packed, torch.device("cpu")) == []
    assert pack_examples([]) == {}
