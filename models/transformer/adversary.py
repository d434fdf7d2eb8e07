"""Adversarial training of the transformer: a critic hears what people played and what the band plays on its own past.

At every update some bands are rolled out over ten bars. The critic learns to tell their last eight from the same bars
of the song; what it makes of each bar rewards the tokens that led to it (REINFORCE, Williams 1992; rewards from an
adversary as in SeqGAN, Yu et al. 2017). Likelihood is learnt beside it all the time, so that the band cannot collapse
into whatever one critic likes; the critic remembers what was played in many updates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from models.critic import Critic, CriticExamples, SoftRoll
from models.critic_teacher import CriticTeacher
from models.data.song_cache import CachedSong
from models.draws import Draws
from models.key_equivariant import Width
from models.transformer.dataset import BandScore, Stretches, select_near
from models.transformer.network import TRANSFORMER_STYLES, Transformer
from models.transformer.rollout import RollOut, roll_out
from music.encoding import gan_canvas
from music.encoding.gan_canvas import CANVAS_STEPS, DRUM_PLANES, PITCHED_PLANES, PLANE
from music.note import PITCH_CLASSES, PITCHED_ROLES, STEPS_PER_BAR, STEPS_PER_BEAT

#: steps of a roll-out; the critic hears the last CANVAS_STEPS of them
ROLL_STEPS = CANVAS_STEPS + 2 * STEPS_PER_BAR
#: what a bar's score counts for the tokens of the bar before
DISCOUNT = 0.7
#: rewards are bounded at so many standard deviations
MAX_REWARD = 3.0
#: the critic learns from the roll-outs of so many updates
MEMORY = 16
_BAND = PLANE["bass", "sustain"]
#: notes that begin so long before a roll-out are drawn
_LEAD_STEPS = 64


class Adversary:
    """A critic, who teaches it, and the songs that it learns from."""

    def __init__(
        self,
        fabric: Fabric,
        songs: Sequence[CachedSong],
        draws: Draws,
        width: tuple[int, int],
        rate: float,
        penalty: float,
    ) -> None:
        """songs: whose bass and chords people played; draws: of the roll-outs; penalty: weight of the gradient's."""
        self.fabric = fabric
        critic = Critic(Width(*width), len(TRANSFORMER_STYLES)).to(fabric.device)
        self.optimizer = torch.optim.Adam(critic.parameters(), rate, (0.0, 0.9))
        self.teacher = CriticTeacher(fabric, critic, self.optimizer, draws, penalty, MEMORY)
        self._songs = Stretches([song for song in songs if song.is_in_four])

    def draw_places(self, randoms: Sequence[np.random.Generator]) -> list[tuple[BandScore, int]]:
        """Draw songs and the bars at which bands begin, one from each generator. Raises DataError without songs."""
        places = []
        for random in randoms:
            score = self._songs.draw_score(random)
            last = max(score.first, score.steps - ROLL_STEPS)
            begin = int(random.integers(score.first, last + 1)) // STEPS_PER_BAR * STEPS_PER_BAR
            places.append((score, max(score.first, begin)))
        return places

    def play(self, model: Transformer, places: list[tuple[BandScore, int]], random: torch.Generator) -> RollOut:
        """Let a model play at places of songs, and let the critic remember it."""
        made = roll_out(model, places, ROLL_STEPS, random)
        shown = [draw_example(score, begin, made.bands[i]) for i, (score, begin) in enumerate(places)]
        planes = [np.stack(column) for column in zip(*shown, strict=True)]
        melody, real_band, real_drums, band, drums, phase, style = (
            torch.as_tensor(each, device=self.fabric.device) for each in (*planes, made.style)
        )
        self.teacher.examples.append(
            CriticExamples(melody, SoftRoll(real_band, real_drums), SoftRoll(band, drums), phase, style)
        )
        return made

    @torch.no_grad()
    def reward(self) -> tuple[Tensor, float]:
        """Return the rewards (B, ROLL_STEPS) of the tokens of the last roll-out, and its mean score.

        A token is rewarded for the bars from its own on; of rewards counts how far they lie from those of others in
        the same place. What people played in the same bars is the measure, so that easy songs are no merit.
        """
        shown = self.teacher.examples[-1]
        played = self.teacher.critic(shown.melody, shown.fake, shown.phase, shown.style)
        real = self.teacher.critic(shown.melody, shown.real, shown.phase, shown.style)
        bars = played - real  # (B, bars)
        after = torch.zeros_like(bars)
        total = torch.zeros_like(bars[:, 0])
        for bar in reversed(range(bars.shape[1])):
            total = bars[:, bar] + DISCOUNT * total
            after[:, bar] = total
        strays = after - after.mean(0)
        bounded = (strays / strays.std().clamp(min=1e-6)).clamp(-MAX_REWARD, MAX_REWARD)
        steps = bounded.repeat_interleave(STEPS_PER_BAR, 1)
        lead = DISCOUNT * bounded[:, :1].expand(-1, ROLL_STEPS - CANVAS_STEPS)
        # what is written at a step is heard at the next one
        return torch.cat([lead, steps], 1), float(played.mean())


def draw_example(
    score: BandScore, begin: int, band: dict[str, list[tuple[int, int, int]]]
) -> tuple[NDArray[np.float32], ...]:
    """Return the last CANVAS_STEPS of a roll-out that began at a step of a song, as the critic hears them.

    Melody, real band, real drums, band, drums, phase.
    """
    first = _LEAD_STEPS + ROLL_STEPS - CANVAS_STEPS
    steps = _LEAD_STEPS + ROLL_STEPS + STEPS_PER_BAR
    pitched = np.zeros((2, PITCHED_PLANES, PITCH_CLASSES, steps), np.float32)  # the song's, and what was played
    away = np.array([begin - _LEAD_STEPS, 0, 0])
    for role in ("melody", *PITCHED_ROLES):
        rows = (select_near(score.roles[role], begin, ROLL_STEPS)[:, :3] - away).tolist()
        gan_canvas.draw_part(pitched[0], role, [tuple(row) for row in rows])
        if role != "melody":
            gan_canvas.draw_part(pitched[1], role, [(s + _LEAD_STEPS, p, n) for s, p, n in band[role]])
    drums = np.zeros((2, DRUM_PLANES, steps), np.float32)
    hits = (select_near(score.roles["drums"], begin, ROLL_STEPS)[:, :3] - away).tolist()
    gan_canvas.draw_drums(drums[0], hits)
    gan_canvas.draw_drums(drums[1, :, _LEAD_STEPS:], band["drums"])
    shown = slice(first, first + CANVAS_STEPS)
    phase = np.zeros((5, CANVAS_STEPS), np.float32)
    phase[np.arange(CANVAS_STEPS) // STEPS_PER_BEAT % 4, np.arange(CANVAS_STEPS)] = phase[4] = 1
    melody, people, played = pitched[0, :_BAND], pitched[0, _BAND:], pitched[1, _BAND:]
    return melody[..., shown], people[..., shown], drums[0][:, shown], played[..., shown], drums[1][:, shown], phase
