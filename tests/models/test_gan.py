"""The GAN in training: what its streams show, what its losses see, what it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.players.gan import _CanvasNoise, _find_chords, _NoteWriter
from models import checkpoint
from models.critic import SoftRoll
from models.draws import Draws
from models.gan import dataset, groove_bank
from models.gan.dataset import GAN_STYLES
from models.gan.drummer import DilatedBlock, Drummer
from models.gan.network import TOLD_ROOTS, BassIntervals
from models.gan.objective import GanObjective, GanRecipe
from models.gan.roll import RHYTHM_NOISES, WRITTEN_BEATS, RollLogits, mark_tones, play
from models.recipe import RecipeError
from music.chords import QUALITIES
from music.encoding import gan_canvas
from music.encoding.gan_canvas import (
    CANVAS_BEATS,
    CANVAS_STEPS,
    DRUM_PLANES,
    FIRST_NOW_STEP,
    FUTURE_STEPS,
    PITCHED_HEADS,
    PLAIN_HEADS,
    PLAIN_PLANES,
    PULSE_PLANES,
)
from music.note import PITCH_CLASSES, STEPS_PER_BEAT, Metre, Note, make_notes
from tests.support.training import GAN_CONFIG as SMALL
from tests.support.training import make_song


def test_the_generator_is_causal_by_its_canvas() -> None:
    """What a stream shows holds nothing right of its line, whatever the song does there."""
    made = dataset.Streams([make_song(style=s) for s in GAN_STYLES], Draws(3, 8), heard_all=0.0)
    batch = made.show()
    for i, line in enumerate(batch.line):
        assert not batch.pitched[i, :, :, line:].any()
        assert not batch.plain[i, : gan_canvas.BAND_KNOWN + 1, line:].any()


def test_what_the_generator_plays_becomes_its_own_past() -> None:
    made = dataset.Streams([make_song(style=s) for s in GAN_STYLES], Draws(3, 8), heard_all=0.0)
    for stream in made.streams:
        stream.own = True
    before = made.show()
    ones = np.ones((8, dataset.BAND_PLANES, PITCH_CLASSES, FUTURE_STEPS), np.uint8)
    made.commit(ones, np.ones((8, DRUM_PLANES, FUTURE_STEPS), np.uint8), 2)
    after = made.show()
    for i, (old, new) in enumerate(zip(before.line, after.line, strict=True)):
        if new == old + 2:
            assert after.pitched[i, dataset.BAND :, :, old:new].all()
            assert not after.pitched[i, dataset.BAND :, :, new:].any()


def _scores(seed: int) -> RollLogits:
    make = torch.Generator().manual_seed(seed)
    pitched = {
        k: torch.randn(1, n, PITCH_CLASSES, FUTURE_STEPS, generator=make) * 2 - 1 for k, n in PITCHED_HEADS.items()
    }
    plain = {k: torch.randn(1, n, FUTURE_STEPS, generator=make) for k, n in PLAIN_HEADS.items()}
    return RollLogits(pitched, plain)


def _chords(seed: int) -> torch.Tensor:
    """One chord a beat, drawn at random: (1, qualities, 12, WRITTEN), one-hot."""
    make = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(QUALITIES) * PITCH_CLASSES, (WRITTEN_BEATS,), generator=make)
    hot = torch.nn.functional.one_hot(chosen, len(QUALITIES) * PITCH_CLASSES).T
    return hot.reshape(1, len(QUALITIES), PITCH_CLASSES, WRITTEN_BEATS).float()


@pytest.mark.parametrize("seed", range(12))
def test_training_and_the_daemon_play_the_same_notes_from_the_same_scores(seed: int) -> None:
    scores = _scores(seed)
    now, first = FIRST_NOW_STEP + 3 + seed, FIRST_NOW_STEP
    past_notes = {"bass": [Note(90 * 6, 40, 120)], "chords": [Note(95 * 6, 60, 60), Note(97 * 6, 64, 12)], "pad": []}
    request = PlanRequest(
        1, now, now * 6, (), {k: tuple(v) for k, v in past_notes.items()}, settings=Settings(temperature=0.0)
    )
    answer = {
        "chord_choice": _chords(seed).numpy(),
        "pitched_scores": torch.cat(list(scores.pitched.values()), 1).numpy(),
        "plain_scores": torch.cat(list(scores.plain.values()), 1).numpy(),
    }
    noise, still = _CanvasNoise(0, first, 0, 16, rhythm_scale=0.0), (np.zeros(4), np.zeros(3))
    chords = np.repeat(_find_chords(answer["chord_choice"][0]), STEPS_PER_BEAT)[now - first :].tolist()
    neglected = np.zeros((PITCH_CLASSES, len(chords)))
    places, spread = slice(now - first, FUTURE_STEPS), np.zeros(4, np.float32)
    begun, held = _NoteWriter(request, places, answer, chords, noise, spread, still, neglected).write(past_notes)
    notes = {role: make_notes(numbers) for role, numbers in begun.items()}

    seen = gan_canvas.build_canvas((), past_notes, now, heard_all=False)
    past = SoftRoll(
        torch.as_tensor(seen.pitched[None, dataset.BAND :, :, FIRST_NOW_STEP:]),
        torch.as_tensor(seen.plain[None, :DRUM_PLANES, FIRST_NOW_STEP:]),
    )
    none = torch.zeros(1, RHYTHM_NOISES, FUTURE_STEPS)
    played = play(scores, past, torch.tensor([now]), none, mark_tones(_chords(seed)))

    drawn = np.zeros((gan_canvas.PITCHED_PLANES, PITCH_CLASSES, FUTURE_STEPS), np.float32)
    for part in ("bass", "chords", "pad"):
        ended = {(n.start, n.pitch): n for n in held[part]}
        whole = [*notes[part], *(ended.get((n.start, n.pitch), n) for n in past_notes[part])]
        gan_canvas.draw_part(drawn, part, [(n.start // 6 - first, n.pitch, n.length // 6) for n in whole])
    assert np.array_equal(drawn[dataset.BAND :], played.band[0].numpy())
    drums = np.zeros((DRUM_PLANES, FUTURE_STEPS))
    for n in notes["drums"]:
        drums[gan_canvas.DRUM_CLASS[n.pitch], n.start // 6 - first] = 1
    assert np.array_equal(drums[:, now - first :], played.drums[0, :, now - first :].numpy())


def test_gradients_reach_the_generator_through_the_binary_roll() -> None:
    scores = _scores(0)
    for tensor in (*scores.pitched.values(), *scores.plain.values()):
        tensor.requires_grad_(True)
    past = SoftRoll(
        torch.zeros(1, dataset.BAND_PLANES, PITCH_CLASSES, FUTURE_STEPS), torch.zeros(1, DRUM_PLANES, FUTURE_STEPS)
    )
    noise = torch.zeros(1, RHYTHM_NOISES, FUTURE_STEPS)
    played = play(scores, past, torch.tensor([FIRST_NOW_STEP + 4]), noise, mark_tones(_chords(0)))
    assert set(played.band.detach().unique().tolist()) <= {0.0, 1.0}
    (played.band.sum() + played.drums.sum()).backward()
    assert all(t.grad is not None and t.grad.abs().sum() > 0 for k, t in scores.pitched.items())


def collect(objective: GanObjective) -> dict[str, torch.Tensor]:
    return checkpoint.collect_tensors(objective.modules, objective.optimizers)


def test_an_update_teaches_generator_and_critic() -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    songs = [make_song(style=s, split=p) for s in GAN_STYLES for p in ("train", "valid")]
    recipe = GanRecipe(model=SMALL, batch=4, adversarial_from=0.0, learning_rate=0.01)
    objective = GanObjective(fabric, recipe, songs, 100, seed=1)
    before = {k: v.clone() for k, v in collect(objective).items()}
    figures = [objective.update(step) for step in range(3)]
    changed = {k.split(".")[0] for k, v in collect(objective).items() if k in before and not torch.equal(before[k], v)}
    assert {"generator", "average", "encoder", "critic"} <= changed
    assert all(np.isfinite(v) for f in figures for v in f.values())
    assert {"critic", "penalty", "generator", "reconstruction"} <= set(figures[-1])
    assert set(objective.validate()) == {"valid_live_reconstruction", "valid_offline_reconstruction"}
    harmonist = {k: v for k, v in collect(objective).items() if k.startswith("generator.harmonist.")}
    assert harmonist
    assert all(torch.equal(before[k], v) for k, v in harmonist.items())


def test_a_drummer_that_learns_alone_changes_nothing_that_others_play() -> None:
    songs = [make_song(style=s, split=p) for s in GAN_STYLES for p in ("train", "valid")]
    recipe = GanRecipe(model=SMALL, batch=4, adversarial_from=0.0, learning_rate=0.01, drummer_alone=True)
    objective = GanObjective(Fabric(accelerator="cpu", devices=1), recipe, songs, 100, seed=1)
    before = {k: v.clone() for k, v in collect(objective).items()}
    figures = [objective.update(step) for step in range(3)]
    changed = {k for k, v in collect(objective).items() if k in before and not torch.equal(before[k], v)}
    assert changed
    assert all(k.startswith(("generator.drummer.", "average.drummer.", "drum_encoder.")) for k in changed)
    assert not {"critic", "generator"} & set(figures[-1])


def test_a_drummer_that_is_not_there_cannot_learn_alone() -> None:
    recipe = GanRecipe(model=replace(SMALL, drummer=0), batch=2, drummer_alone=True)
    with pytest.raises(RecipeError, match=r"model\.drummer"):
        GanObjective(Fabric(accelerator="cpu", devices=1), recipe, [make_song()], 100, seed=1)


def test_a_drummer_is_told_its_groove_and_its_fills_and_hears_what_the_band_begins() -> None:
    torch.manual_seed(1)
    drummer = Drummer(6, 5, 3, 7)
    for block in drummer.blocks:
        assert isinstance(block, DilatedBlock)
        torch.nn.init.normal_(block.mix.weight)
    plain, pulse = torch.zeros(1, PLAIN_PLANES, CANVAS_STEPS), torch.zeros(1, PULSE_PLANES, CANVAS_STEPS)
    style, z, fill = torch.eye(5)[:1], torch.zeros(1, 3), torch.zeros(1, CANVAS_BEATS)
    band, gates = torch.zeros(1, 7, WRITTEN_BEATS), torch.zeros(1, 3, FUTURE_STEPS)
    still = drummer.score(drummer.listen(plain, pulse, style, z, fill), band, gates)
    assert still.shape == (1, DRUM_PLANES, FUTURE_STEPS)
    fill[0, -1] = 1  # in the last beat, which is heard in others only as far as the layers look
    hit = drummer.score(drummer.listen(plain, pulse, style, z, fill), band, gates)
    assert (hit - still).abs().sum((0, 1))[-STEPS_PER_BEAT:].min() > 0
    assert not torch.equal(drummer.score(drummer.listen(plain, pulse, style, z + 1, 0 * fill), band, gates), still)
    gates[0, 0, 9] = 3.0  # the bass begins on the second step of the third beat
    told = drummer.score(drummer.listen(plain, pulse, style, z, 0 * fill), band, gates)
    moved = (told - still).abs().sum((0, 1)).unflatten(0, (WRITTEN_BEATS, STEPS_PER_BEAT)).sum(1)
    assert moved.nonzero().flatten().tolist() == [1, 2, 3]


def test_drummers_grooves_stand_in_pairs_that_are_alike_and_two() -> None:
    bars = np.zeros((5, DRUM_PLANES, 16), np.float32)
    bars[:, 0, [0, 8]] = bars[:, 1, [4, 12]] = bars[:, 3, ::2] = 1
    bars[1, 3, 1] = 0.5  # the same as the first, nearly
    bars[2, 0, [2, 10]] = 1  # another one
    bars[3, 3] = 1  # far away: sixteenths
    bars[4] = 0
    pairs = groove_bank.pair_drummers(bars)
    assert {frozenset((0, 2)), frozenset((1, 2))} & {frozenset(pair) for pair in pairs[:2]}
    firsts = [first for first, _ in pairs]
    assert len(firsts) == len(set(firsts))
    assert not {0, 1} <= set(firsts)
    assert groove_bank.pair_drummers(bars[:1]) == [(0, 0)]


def test_a_stream_shows_the_fills_of_its_song() -> None:
    song = replace(make_song(style="pop"), fills=(7 * 16, 15 * 16))
    made = dataset.Streams([song], Draws(3, 6), heard_all=0.0)
    for row, stream in zip(made.show().fill, made.streams, strict=True):
        first = (stream.score.find_canvas(stream.now) - FIRST_NOW_STEP) // STEPS_PER_BEAT
        assert row.tolist() == [float((first + beat) // 4 in (7, 15)) for beat in range(CANVAS_BEATS)]


def test_the_pair_of_grooves_that_moves_most_like_its_style_comes_first() -> None:
    mean = np.array([20.0, 0.6, 0.3, 0.9, 10.0])
    sparse, busy = (
        [10.0, 0.9, 0.0, 0.9, 10.0],
        [30.0, 0.5, 0.4, 0.9, 10.0],
    )  # together: 20 onsets, 0.6 of them on the beat
    figures = np.array([[5.0, 0.1, 0.9, 0.2, 1.0], sparse, busy, [np.nan] * 5])
    pairs = groove_bank.rank_pairs(figures, mean, max_pairs=1)
    assert pairs[0] == (1, 2)
    assert len({i for pair in pairs for i in pair}) == 4
    assert groove_bank.rank_pairs(np.array([mean]), mean) == [(0, 0)]


@pytest.mark.parametrize(
    "metre", [Metre(), Metre(3, 4), Metre(6, 8), Metre(12, 8), Metre(9, 8), Metre(5, 4), Metre(3, 8)]
)
def test_what_a_groove_is_does_not_depend_on_which_bar_it_is_played_in(metre: Metre) -> None:
    bar = (np.random.default_rng(3).random((dataset.RHYTHM_ROWS, metre.steps_per_bar)) < 0.2).astype(np.float32)
    rhythm = np.tile(bar, 6)
    mean = dataset.find_mean_bar(rhythm, 0, metre)
    assert mean.any()
    per_bar = metre.steps_per_bar
    np.testing.assert_array_equal(dataset.find_mean_bar(np.roll(rhythm, per_bar, 1), per_bar, metre), mean)
    # begun in the middle of a bar, which does not count
    np.testing.assert_array_equal(dataset.find_mean_bar(rhythm[:, per_bar - 5 :], 5, metre) > 0, mean > 0)
    assert not dataset.find_mean_bar(rhythm * 0, 0, metre).any()


def test_the_mean_bar_of_a_waltz_has_its_one_first_and_12_8_lies_over_6_8() -> None:
    rhythm = np.zeros((dataset.RHYTHM_ROWS, 48), np.float32)
    rhythm[0, ::12] = rhythm[1, 4::12] = 1
    waltz = dataset.find_mean_bar(rhythm, 0, Metre(3, 4))
    assert waltz[0].tolist() == [1.0] + [0.0] * 15
    assert waltz[1].nonzero()[0].tolist() == [4]
    rhythm[2, ::24] = 1
    assert dataset.find_mean_bar(rhythm, 0, Metre(12, 8))[2].tolist() == [0.5] + [0.0] * 15


@pytest.mark.parametrize("metre", [Metre(), Metre(3, 4), Metre(6, 8), Metre(12, 8), Metre(9, 8)])
def test_a_stream_shows_what_the_band_sees_live(metre: Metre) -> None:
    song = replace(make_song(style="pop"), metre=metre)
    made = dataset.Streams([song], Draws(3, 6), heard_all=0.0)
    band = np.zeros((6, dataset.BAND_PLANES, PITCH_CLASSES, FUTURE_STEPS), np.uint8)
    made.commit(band, np.zeros((6, DRUM_PLANES, FUTURE_STEPS), np.uint8), 2)
    parts = groove_bank.collect_parts(song)
    batch = made.show()
    for i, stream in enumerate(made.streams):
        moved = {
            r: [replace(n, pitch=n.pitch + stream.source[2] * (r != "drums")) for n in p] for r, p in parts.items()
        }
        now = stream.now - FIRST_NOW_STEP
        live = gan_canvas.build_canvas(moved["melody"], moved, now, heard_all=False, metre=metre)
        np.testing.assert_array_equal(batch.pitched[i, :, :, : batch.line[i]], live.pitched[:, :, : batch.line[i]])
        np.testing.assert_array_equal(batch.plain[i], live.plain)
        np.testing.assert_array_equal(batch.pulse[i], gan_canvas.mark_pulse(now - int(batch.line[i]), metre))


def test_the_bass_is_scored_by_its_interval_above_the_roots_of_now_and_next() -> None:
    intervals = BassIntervals(3)
    chord = torch.zeros(1, 2, 12, WRITTEN_BEATS)
    chord[0, 1, 7] = 1  # G everywhere,
    chord[0, :, :, 2] = 0
    chord[0, 0, 0, 2] = 1  # but C on the third beat
    assert intervals(torch.ones(1, 3, WRITTEN_BEATS), chord).abs().sum() == 0
    with torch.no_grad():
        assert intervals.tell.bias is not None
        bias = intervals.tell.bias.view(TOLD_ROOTS, 12, 4)
        bias[0, 0], bias[0, 4], bias[1, 11] = 3.0, 1.0, 2.0  # the root, its third, the semitone below the next root
    scores = intervals(torch.zeros(1, 3, WRITTEN_BEATS), chord)[0, 0, :, ::4]  # on beats
    assert scores[:, 0].nonzero().flatten().tolist() == [6, 7, 11]
    assert [scores[pitch_class, 0].item() for pitch_class in (6, 7, 11)] == [2.0, 3.0, 1.0]
    assert [scores[pitch_class, 1].item() for pitch_class in (7, 11)] == [3.0, 1.0 + 2.0]
    assert [scores[pitch_class, 2].item() for pitch_class in (0, 4, 6)] == [3.0, 1.0, 2.0]
