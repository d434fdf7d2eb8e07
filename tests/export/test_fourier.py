"""On Fourier coefficients of pitch a network computes what it computes on pitch classes."""

from __future__ import annotations

import torch
from torch import nn

from export.fourier import WaveConv, WaveLayout, Waves, list_waves, transform
from models.gan.network import Generator
from models.gan.roll import WRITTEN_BEATS
from models.harmonist.network import Harmonist
from models.key_equivariant import KeyConv, Layout, Width
from music.chords import QUALITIES
from music.encoding.gan_canvas import CANVAS_BEATS, CANVAS_STEPS, PITCHED_PLANES, PLAIN_PLANES, mark_pulse
from music.encoding.melody_context import FUTURE_STEPS, MELODY_PLANES, PAST_STEPS
from music.note import PITCH_CLASSES, Metre
from tests.support.training import GAN_CONFIG as SMALL

WIDTH, OTHER = Width(3, 5), Width(4, 2)


def test_the_basis_is_orthonormal() -> None:
    assert torch.allclose(list_waves() @ list_waves().T, torch.eye(12), atol=1e-6)


def test_there_and_back_is_the_same_state() -> None:
    waves, state = Waves(WIDTH), torch.randn(2, WIDTH.total, 7)
    assert torch.allclose(waves.leave(waves.enter(state)), state, atol=1e-5)
    active = waves.leave(waves(waves.enter(state)))
    assert torch.allclose(active, nn.functional.silu(state), atol=1e-5)


def test_a_convolution_is_the_same_on_coefficients() -> None:
    for source, kernel, stride in ((WIDTH, 3, 1), (WIDTH, 4, 4), (Width(3, 0), 1, 1), (Width(0, 3), 1, 1)):
        conv, state = KeyConv(source, OTHER, kernel, stride), torch.randn(2, source.total, 16)
        nn.init.normal_(conv.bias_pitched)
        nn.init.normal_(conv.bias_plain)
        made = WaveConv(conv, enters=source.pitched > 0, leaves=True)(state)
        assert torch.allclose(made, conv(state), atol=1e-4)


def test_states_are_laid_out_alike() -> None:
    first, second = torch.randn(2, 2, WIDTH.total, 3).unbind()
    waves, both = Waves(WIDTH), Waves(Width(2 * WIDTH.pitched, 2 * WIDTH.plain))
    made = both.leave(WaveLayout().concatenate(waves.enter(first), waves.enter(second), WIDTH))
    assert torch.allclose(made, Layout().concatenate(first, second, WIDTH), atol=1e-5)
    wide = Width(4 * WIDTH.pitched, 4 * WIDTH.plain)
    state = torch.randn(2, wide.total, 3)
    made = waves.leave(WaveLayout().spread(Waves(wide).enter(state), WIDTH, 4))
    assert torch.allclose(made, Layout().spread(state, WIDTH, 4), atol=1e-5)


@torch.no_grad()
def test_whole_networks_compute_the_same() -> None:
    torch.manual_seed(0)
    generator = Generator(SMALL).eval()
    generator.take_pulse.weight.normal_()
    generator.score_norm.gain_plain.uniform_(0.5, 2)
    generator.score_norm.gain_pitched.uniform_(0.5, 2)
    planes = (torch.rand(1, PITCHED_PLANES, 12, CANVAS_STEPS) < 0.1).float()
    plain = (torch.rand(1, PLAIN_PLANES, CANVAS_STEPS) < 0.3).float()
    pulse = torch.as_tensor(mark_pulse(5, Metre(6, 8)))[None]
    style = torch.eye(len(generator.velocity_log_std))[:1]
    z, fill = torch.randn(1, generator.groove_size), torch.ones(1, CANVAS_BEATS)
    given = planes, plain, pulse, style, z, fill
    state, told = (network.encode(*given) for network in (transform(generator), generator))
    assert torch.allclose(Waves(generator.fine).leave(state.band), told.band, atol=1e-3)
    assert state.drummer is not None
    assert told.drummer is not None
    assert torch.equal(state.drummer, told.drummer)
    chord = torch.eye(len(QUALITIES) * PITCH_CLASSES)[:WRITTEN_BEATS].T.reshape(1, len(QUALITIES), PITCH_CLASSES, -1)
    mine, theirs = (network.score(each, chord) for network, each in ((transform(generator), state), (generator, told)))
    for head, wanted in theirs.plain.items():
        assert torch.allclose(mine.plain[head], wanted, atol=1e-3), head
    harmonist = Harmonist(SMALL.harmonist).eval()
    melody = (torch.rand(1, MELODY_PLANES, 12, PAST_STEPS + FUTURE_STEPS) < 0.1).float()
    phase, known = torch.eye(16)[:1], torch.full((1, 1), 0.5)
    made, wanted = (network.predict(melody, phase, known) for network in (transform(harmonist), harmonist))
    assert torch.allclose(made, wanted, atol=1e-3)
