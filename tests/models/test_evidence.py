"""Chords that are known, as training simulates them, and a harmonist that hears them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.harmonist.evidence import EvidenceShares, draw_given, simulate_evidence
from models.harmonist.network import CHORDS, Harmonist, HarmonistConfig
from music.chords import NO_CHORD, QUALITY_TONES
from music.encoding.chord_evidence import (
    BASS,
    CERTAINTY,
    EVIDENCE_BEATS,
    HELD_FADE,
    PAST_BEATS,
    PITCHED_PLANES,
    PLAIN_PLANES,
    ROOT,
    TONES,
    GivenChord,
    draw_evidence,
    pack_tones,
)
from music.encoding.melody_context import AHEAD_BEATS, MELODY_PLANES

PATCHES = 24
BEATS = PATCHES + AHEAD_BEATS - 1
TICKS_PER_BEAT = 24
HANDS = EvidenceShares(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SMALL = HarmonistConfig((4, 8), 3, 2, 0.0, given=True)


def make_chords(seed: int = 0) -> NDArray[np.int64]:
    """Return chords that hold for four beats each: (1, 2, AHEAD_BEATS, PATCHES)."""
    random = np.random.default_rng(seed)
    row = np.stack([random.integers(0, 12, 8), random.integers(0, 8, 8)]).repeat(4, 1)
    row[:, :4] = NO_CHORD
    return row[:, np.arange(AHEAD_BEATS)[:, None] + np.arange(PATCHES)][None]


def unpack(pitched: NDArray[np.float32], plain: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return (
        pitched.reshape(PITCHED_PLANES, EVIDENCE_BEATS, 12, PATCHES),
        plain.reshape(PLAIN_PLANES, EVIDENCE_BEATS, PATCHES),
    )


def test_a_chart_is_drawn_as_players_are_told_of_it() -> None:
    chords = make_chords()
    beats = np.concatenate([chords[0, :, 0], chords[0, :, 1:, -1]], 1)
    spans = [
        GivenChord(
            b * TICKS_PER_BEAT,
            (b + 1) * TICKS_PER_BEAT,
            *(int(r), pack_tones(r + t for t in QUALITY_TONES[q]), int(r)),
            1.0,
        )
        for b, (r, q) in enumerate(beats.T.tolist())
        if r != NO_CHORD
    ]
    pitched, plain = unpack(*(p[0] for p in draw_given(chords)))
    for patch in range(PATCHES):
        told = draw_evidence(spans, patch * 4)
        assert np.array_equal(told.pitched.transpose(0, 2, 1), pitched[..., patch])
        assert np.array_equal(told.plain, plain[..., patch])


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_hand_is_heard_when_it_has_struck_and_fades_ahead(offset: int) -> None:
    chords = make_chords()
    made = simulate_evidence(chords, np.array([offset]), [np.random.default_rng(0)], HANDS)
    pitched, plain = unpack(made.pitched[0], made.plain[0])
    here = PAST_BEATS
    assert not pitched[..., :4].any()  # nothing was struck yet
    # on the beat of a change a now-line right at its beginning knows the chord before only
    at = 8 if offset == 0 else 7
    root = int(chords[0, 0, 0, 7])
    assert plain[CERTAINTY, here:, at] == pytest.approx(HELD_FADE ** np.arange(AHEAD_BEATS))
    assert pitched[ROOT, here, root, at] == pitched[BASS, here, root, at] == 1
    assert pitched[TONES, here, :, at].sum() == len(QUALITY_TONES[chords[0, 1, 0, 7]])


def test_wrong_chords_are_as_rare_as_a_memory_says() -> None:
    shares = EvidenceShares(hands=0.0, chart=0.0, memory=1.0)
    chords = np.concatenate([make_chords(i) for i in range(200)])
    made = simulate_evidence(chords, np.zeros(200, np.int64), [np.random.default_rng(0)] * 200, shares)
    right, sure = [], []
    for i in range(200):
        pitched, plain = unpack(made.pitched[i], made.plain[i])
        root = int(chords[i, 0, 0, 9])
        right.append(bool(pitched[ROOT, PAST_BEATS, root, 9] > 0))
        sure.append(float(plain[CERTAINTY, PAST_BEATS, 9]))
    assert np.mean(right) == pytest.approx(np.mean(sure), abs=0.12)
    assert np.std(sure) > 0.1


def make_inputs(b: int = 2) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        "melody": (torch.rand(b, MELODY_PLANES, 12, 4 * PATCHES, generator=random) < 0.05).float(),
        "phase": torch.eye(16)[:, torch.arange(PATCHES) * 4 % 16].expand(b, -1, -1),
        "place": torch.zeros(b, PATCHES, dtype=torch.long),
        "known": torch.zeros(b, 1, PATCHES),
    }


def make_taught() -> Harmonist:
    """Return a harmonist whose branch for given chords says something."""
    torch.manual_seed(0)
    model = Harmonist(SMALL).eval().requires_grad_(False)
    assert model.given is not None
    for conv in (model.given.head, model.given.tell):
        conv.pp.normal_()
        conv.ip.normal_()
    return model


def test_without_given_chords_the_scores_stay_to_the_bit() -> None:
    model, inputs = make_taught(), make_inputs()
    nothing = (
        torch.zeros(2, PITCHED_PLANES * EVIDENCE_BEATS, 12, PATCHES),
        torch.zeros(2, PLAIN_PLANES * EVIDENCE_BEATS, PATCHES),
    )
    assert torch.equal(model(**inputs, given=nothing), model(**inputs))


def test_a_harmonist_that_hears_chords_hears_every_key_alike() -> None:
    model, inputs = make_taught(), make_inputs(1)
    pitched, plain = (torch.as_tensor(p) for p in draw_given(make_chords()))
    told = model(**inputs, given=(pitched, plain)).unflatten(2, (-1, 12))
    inputs["melody"] = inputs["melody"].roll(3, 2)
    moved = model(**inputs, given=(pitched.roll(3, 2), plain)).unflatten(2, (-1, 12))
    assert torch.allclose(told.roll(3, 3), moved, atol=1e-4)
    assert not torch.allclose(told, model(**make_inputs(1)).unflatten(2, (-1, 12)), atol=1e-2)
    assert told.flatten(2, 3).shape == (1, AHEAD_BEATS, CHORDS, PATCHES)


def test_playing_and_training_compute_the_same() -> None:
    model = make_taught()
    random = torch.Generator().manual_seed(2)
    heard = (torch.rand(1, MELODY_PLANES, 12, 256 + 64, generator=random) < 0.05).float()
    phase = torch.eye(16)[:1]
    given = (torch.rand(1, 36, 12, 1, generator=random), torch.rand(1, 24, 1, generator=random))
    told = model.predict(heard, phase, torch.zeros(1, 1), given)
    patches = 64
    phases = torch.stack([torch.eye(16)[(-4 * (patches - 1 - k)) % 16] for k in range(patches)], 1)[None]
    wide = tuple(p.expand(*p.shape[:-1], patches) for p in given)
    dense = model(
        heard[..., :256], phases, torch.zeros(1, patches, dtype=torch.long), torch.zeros(1, 1, patches), given=wide
    )
    assert torch.allclose(told, dense[..., -1], atol=1e-4)
