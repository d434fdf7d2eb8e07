"""Small networks, songs and graphs for tests of training, export and players."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.arcnn import dataset
from models.arcnn.dataset import EditPiece
from models.data.song_cache import CachedSong
from models.gan.network import GanConfig, Generator
from models.harmonist.network import HarmonistConfig
from music.track_names import PARTS

HARMONIST = {"width": [2, 4], "past": 2, "future": 1}  #: few layers: an export takes time for each, whatever its width
GAN = {"z": 4, "fine": [3, 6], "coarse": [4, 8], "blocks": 1, "drummer": 4, "critic": [2, 4], "harmonist": HARMONIST}
ARCNN = {"near": 4, "folded": 3, "beat": [2, 4], "bar": [2, 4], "bar_blocks": 1, "write_blocks": 1, "cell": 4}
GAN_CONFIG = GanConfig(
    z=4,
    fine=(3, 6),
    coarse=(4, 8),
    blocks=1,
    drummer=4,
    critic=(2, 4),
    harmonist=HarmonistConfig(width=(2, 4), past=2, future=1),
)
#: one whose harmonist hears chords that are known
HEARING = GAN | {"harmonist": HARMONIST | {"given": True}}
HEARING_CONFIG = replace(GAN_CONFIG, harmonist=replace(GAN_CONFIG.harmonist, given=True))


def list_settings(**recipe: Any) -> list[str]:
    """Return the options that tell a run a recipe."""
    return [word for key, value in recipe.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def make_song(name: str = "a", style: str = "pop", split: str = "train", bars: int = 20) -> CachedSong:
    """A melody with bass and chords on every beat."""
    rows = []
    for beat in range(bars * 4):
        root = (0, 9, 5, 7)[beat // 4 % 4]
        rows += [(0, beat * 4, 72 + root % 5, 4, 90), (3, beat * 4, 36 + root, 4, 80)]
        rows += [(4, beat * 4, 60 + (root + up) % 12, 3, 70) for up in (0, 4, 7)]
        rows += [(6, beat * 4, 36, 1, 100)]
    chords = np.array([((0, 9, 5, 7)[b // 4 % 4], 0) for b in range(bars * 4)], np.int8)
    return CachedSong(name, "bands", style, split, np.array(rows, np.int32), chords)


def make_hymn(index: int, split: str = "train", collection: str = "chorales") -> CachedSong:
    """Four voices, 12 bars, each song another tune."""
    random = np.random.default_rng(index)
    rows = []
    for voice, pitch in (("soprano", 72), ("alto", 65), ("tenor", 57), ("bass_voice", 45)):
        walk = pitch + np.cumsum(random.integers(-2, 3, 48)).clip(-6, 6)
        rows += [(PARTS.index(voice), 4 * i, int(p), 4, 80) for i, p in enumerate(walk.tolist())]
    notes = np.array(sorted(rows, key=lambda r: (r[1], r[0])), np.int32)
    return CachedSong(f"h{index}", collection, "chorale", split, notes, np.zeros((48, 2), np.int8))


def make_hymn_piece(index: int = 0) -> EditPiece:
    """A hymn as the AR-CNN looks at it."""
    return dataset.make_piece(make_hymn(index))


def make_generator() -> Generator:
    """Return a small GAN that hears chords that are known; it has learned nothing, and believes what it is told."""
    torch.manual_seed(0)
    made = Generator(HEARING_CONFIG).eval()
    assert made.harmonist.given is not None
    with torch.no_grad():
        for parameter in made.harmonist.given.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for parameter in (*made.bass_intervals.parameters(), made.score_norm.gain_plain):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def write_gan_graph(path: Path) -> None:
    """Write the graph of make_generator()."""
    from export.gan import GanGraph
    from export.onnx_file import write
    from models.gan.dataset import GAN_STYLES
    from music.signature import Signature

    habit = [4.0, 8.0, 2.0, 12.0, 0.2, 0.2, 0.2]
    settings = {"grooves": [[[0.0] * 2 * GAN_CONFIG.z]] * 5, "habits": [[[habit]]] * 5, "velocity_std": [[0.1] * 4] * 5}
    write(GanGraph(make_generator()), Signature("gan", {}, {}, GAN_STYLES, settings), path)
