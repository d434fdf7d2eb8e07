"""The GAN's player: notes right of the now-line, the same for the same seed, in a groove that holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.players.gan import GanPlayer, _CanvasNoise, _read_banks
from daemon.players.graph import Graph
from music.analysis.key import Key, count_foreign_tones
from music.analysis.note_density import HABIT_COUNT
from music.encoding.gan_canvas import FRESH_SHARE, GROOVE_KINDS, find_groove_kind
from music.errors import UserError
from music.note import ROLES, TICKS_PER_STEP, Metre, Note

METRES = Metre(3, 4), Metre(5, 4), Metre(6, 8), Metre(12, 8), Metre(9, 8), Metre(6, 4)


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
    bank = np.array([[[1.0] * 4, [2.0] * 4], [[3.0] * 4, [4.0] * 4]], np.float32)
    heard = [
        player._choose_groove(Settings("pop", seed=seed, temperature=0.0), 0, bank, s)[0]
        for seed in (0, 1, 2)
        for s in (0, 1, 2)
    ]
    assert heard == [1, 2, 1, 3, 4, 3, 1, 2, 1]


def test_a_band_that_strays_from_its_groove_is_called_back(tiny_graph: Path) -> None:
    player, now = GanPlayer(Graph(tiny_graph, "gan")), 256
    melody = tuple(Note(i * 24, 60, 24) for i in range(64))
    drums = tuple(Note(i * 12, 36, 6) for i in range(now // 2))  # eight a bar

    def drummed(a_bar: float) -> int:
        player._find_bank(Metre(), 0).habits[..., 3] = a_bar
        return len(player.plan(replace(_request(melody, now), committed={"drums": drums})).notes["drums"])

    assert drummed(2) < drummed(8) < drummed(32)


def test_each_metre_has_the_grooves_of_its_kind() -> None:
    kinds = {kind: [[[[float(i)] * 2] * 2]] for i, kind in enumerate(GROOVE_KINDS)}
    banks = _read_banks(kinds, {kind: [[[[0.0] * HABIT_COUNT] * 2]] for kind in GROOVE_KINDS}, 2)
    found = {str(m): banks[find_groove_kind(m)][0].grooves[0, 0, 0] for m in (Metre(), Metre(2, 2), *METRES)}
    assert found == {"4/4": 0, "2/2": 0, "3/4": 1, "5/4": 1, "6/8": 2, "12/8": 2, "9/8": 2, "6/4": 1}
    old = _read_banks([[[[7.0] * 2] * 2]], [[[[0.0] * HABIT_COUNT] * 2]], 2)
    assert list(old) == ["four"]


def test_density_plays_more_and_fewer(tiny_graph: Path) -> None:
    player = GanPlayer(Graph(tiny_graph, "gan"))
    counts = [
        sum(len(line) for line in player.plan(_request((Note(0, 60, 100),), density=d)).notes.values())
        for d in (0, 1, 2)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_chords_keep_to_a_key_that_is_given(tiny_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player, key, chosen = GanPlayer(Graph(tiny_graph, "gan")), Key(2, True), []
    run = player._graph.run

    def note(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        scores = run(inputs)
        chosen.append(scores["chord_choice"][0].reshape(-1, scores["chord_choice"].shape[-1]))
        return scores

    monkeypatch.setattr(player._graph, "run", note)
    request = _request(tuple(Note(24 * i, 60 + i, 24) for i in range(8)), now=32)
    player.plan(request)
    player.plan(replace(request, key=key))
    free, kept = (np.array(count_foreign_tones(key)) @ each for each in chosen)
    assert kept.sum() < free.sum()
    assert (kept <= free).all()


def test_a_style_the_graph_does_not_know_is_refused(tiny_graph: Path) -> None:
    with pytest.raises(UserError, match="no style 'polka'"):
        GanPlayer(Graph(tiny_graph, "gan")).plan(_request((), style="polka"))


@given(st.data())
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_does_not_depend_on_what_was_asked_before(tiny_graph: Path, data: st.DataObject) -> None:
    graph = Graph(tiny_graph, "gan")
    player, now, origin, metre = GanPlayer(graph), 8, 0, Metre()
    melody = [Note(12 * i, 60 + i * 5 % 12, 12) for i in range(8)]
    band: dict[str, list[Note]] = {role: [] for role in ROLES}
    for _ in range(data.draw(st.integers(2, 8))):
        kind = data.draw(st.sampled_from(["step", "step", "leap", "metre", "edit", "cut"]))
        if kind == "leap":
            now = data.draw(st.integers(2, 400))
        elif kind == "metre":
            metre, origin = data.draw(st.sampled_from([Metre(), Metre(3, 4), Metre(6, 8)])), now * TICKS_PER_STEP
        elif kind == "edit":
            at = data.draw(st.integers(0, len(melody) - 1))
            melody[at] = Note(melody[at].start, data.draw(st.integers(50, 80)), data.draw(st.integers(1, 30)))
        elif kind == "cut":
            band = {role: line[1:] for role, line in band.items()}
        heard = tuple(note for note in melody if note.start < now * TICKS_PER_STEP)
        played = {role: tuple(line) for role, line in band.items()}
        asked = PlanRequest(1, now, now * 6 - 3, heard, played, metre, Settings("pop"), bar_origin=origin)
        plan = player.plan(asked)
        alone = GanPlayer(graph).plan(asked)
        assert (plan.notes, plan.held) == (alone.notes, alone.held)
        tick, now = now * TICKS_PER_STEP, now + 1
        melody.append(Note(max(tick, melody[-1].start + 6), 60 + now % 24, data.draw(st.integers(3, 30))))
        for role, line in plan.notes.items():
            ends = {(note.start, note.pitch): note for note in plan.held.get(role, ())}
            kept = [ends.get((note.start, note.pitch), note) for note in band[role]]
            band[role] = [*kept, *(note for note in line if note.start < tick + TICKS_PER_STEP)]
