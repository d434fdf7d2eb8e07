"""The GAN's player: notes right of the now-line, the same for the same seed, in a groove that holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.players.gan import GanPlayer, _CanvasNoise
from daemon.players.graph import Graph
from music.encoding.gan_canvas import FRESH_SHARE
from music.errors import UserError
from music.note import Note


def _request(melody: tuple[Note, ...], now: int = 20, **settings: object) -> PlanRequest:
    return PlanRequest(7, now, now * 6 - 3, melody, {}, settings=Settings(**settings))  # type: ignore[arg-type]


def test_a_doubt_about_the_rhythm_is_settled_alike_in_all_bars_of_a_section() -> None:
    bars = [_CanvasNoise(3, 5 + 12 * bar, 5, 12).rhythm[:, :12] for bar in range(16)]
    alike = [[np.isclose(a, b).mean() for b in bars] for a in bars]
    fresh = (1 - FRESH_SHARE) ** 2
    assert all(abs(alike[0][bar] - fresh) < 0.12 for bar in range(1, 8))
    assert alike[0][8] < 0.05  # the next section
    assert abs(alike[8][15] - fresh) < 0.12
    assert np.array_equal(_CanvasNoise(3, 7, 5, 12).rhythm[:, :10], bars[0][:, 2:])  # whenever it was asked for
    assert not np.isclose(_CanvasNoise(4, 5, 5, 12).rhythm[:, :12], bars[0]).any()


def test_the_player_answers_with_notes_right_of_the_line_and_repeats_itself(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    melody = (Note(0, 60, 24), Note(24, 64, 24), Note(72, 67, 45))
    plan = player.plan(_request(melody, style="jazz", seed=5))
    player.plan(_request(melody[:1], now=9))
    again = player.plan(_request(melody, style="jazz", seed=5))
    assert (plan.notes, plan.held) == (again.notes, again.held)
    assert (plan.number, plan.first) == (7, 20)
    assert plan.last - plan.first >= player.info.future_steps
    starts = [n.start for line in plan.notes.values() for n in line]
    assert starts
    assert all(20 * 6 <= s < plan.last * 6 for s in starts)
    other = player.plan(_request(melody, style="jazz", seed=6))
    assert other.notes != plan.notes


def test_sections_take_a_seeds_grooves_in_turns(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    player._grooves[0] = np.array([[[1.0] * 4, [2.0] * 4], [[3.0] * 4, [4.0] * 4]], np.float32)
    heard = [
        player._choose_groove(Settings("pop", seed=seed, temperature=0.0), 0, s)[0]
        for seed in (0, 1, 2)
        for s in (0, 1, 2)
    ]
    assert heard == [1, 2, 1, 3, 4, 3, 1, 2, 1]


def test_a_band_that_strays_from_its_groove_is_called_back(tiny_graph: Path) -> None:
    player, now = GanPlayer(Graph(tiny_graph, "gan")), 256
    melody = tuple(Note(i * 24, 60, 24) for i in range(64))
    drums = tuple(Note(i * 12, 36, 6) for i in range(now // 2))  # eight a bar

    def drummed(a_bar: float) -> int:
        player._habits[0][..., 3] = a_bar
        return len(player.plan(replace(_request(melody, now), committed={"drums": drums})).notes["drums"])

    assert drummed(2) < drummed(8) < drummed(32)


def test_density_plays_more_and_fewer(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    counts = [
        sum(len(line) for line in player.plan(_request((Note(0, 60, 100),), density=d)).notes.values())
        for d in (0, 1, 2)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_a_style_the_graph_does_not_know_is_refused(tiny_graph: Path) -> None:
    with pytest.raises(UserError, match="no style 'polka'"):
        GanPlayer(Graph(tiny_graph, "gan")).plan(_request((), style="polka"))
