"""Players that are loaded when they are first chosen: nobody waits for them where time is real."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue

import pytest

from daemon.core.events import ControlChange
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.players.ensemble import Ensemble, PlayerFactory
from daemon.players.player import Player, warm_up
from music.errors import UserError
from music.note import Note
from tests.support.fakes import MS, FakePlayer, only, perform

REQUEST = PlanRequest(1, 4, 21, (Note(0, 60, 20),), {}, settings=Settings("pop", technique="low"))


def bass(pitch: int) -> FakePlayer:
    return only("bass", lambda request, step: pitch)


class Shelf:
    """Players to be had: who was loaded, and what stands in the way."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False

    def offer(self, name: str, player: Player) -> PlayerFactory:
        def load() -> Player:
            assert self.gate.wait(20)
            self.loaded.append(name)
            if self.broken:
                raise OSError("no such weights")
            return player

        return PlayerFactory(player.info, load)

    def switch(self, first: Player, **others: Player) -> Ensemble:
        return Ensemble(
            {"low": first}, {"low": self.offer("low", first)} | {n: self.offer(n, p) for n, p in others.items()}
        )


def pitch(band: Ensemble, technique: str, role: str = "bass", **players: str) -> int:
    """The pitch that a role begins with."""
    settings = replace(REQUEST.settings, technique=technique, players=players)
    return band.plan(replace(REQUEST, settings=settings)).notes[role][0].pitch


class Live:
    """Time is real for a band: who is loaded comes in between two questions."""

    def __init__(self, band: Ensemble) -> None:
        self._mail: SimpleQueue[Callable[[], None]] = SimpleQueue()
        band.set_time_budget(1)
        band.on_idle_call(self._mail.put)

    def settle(self) -> None:
        """Somebody has been loaded, or could not be: UserError."""
        self._mail.get(timeout=20)()


def test_everybody_is_known_before_anybody_else_is_loaded() -> None:
    shelf = Shelf()
    other = FakePlayer(past_steps=64, future_steps=8, roles=("edits",), styles=("chorale",))
    band = shelf.switch(bass(30), other=other)
    assert shelf.loaded == []
    assert (band.info.techniques, band.info.roles, band.info.styles) == (
        ("low", "other"),
        ("bass", "edits"),
        ("pop", "rock", "chorale"),
    )
    assert (band.info.past_steps, band.info.future_steps) == (64, 8)
    assert band.info.count_future_steps(Settings(technique="low")) == 16
    assert band.info.count_future_steps(Settings(technique="low", players={"bass": "other"})) == 8


def test_a_first_question_loads_nobody_else() -> None:
    shelf = Shelf()
    high, gan = bass(50), bass(40)
    band = Ensemble({"high": high}, {"high": shelf.offer("high", high), "gan": shelf.offer("gan", gan)})
    warm_up(band)
    assert (len(high.asked), shelf.loaded) == (1, [])


def test_without_a_time_budget_the_next_plan_is_the_chosen_players() -> None:
    shelf = Shelf()
    band = shelf.switch(bass(30), high=bass(50))
    assert [pitch(band, name) for name in ("low", "high", "low", "high")] == [30, 50, 30, 50]
    assert shelf.loaded == ["high"]


def test_where_time_is_real_who_played_plays_on_until_the_chosen_one_is_warm() -> None:
    shelf = Shelf()
    high = bass(50)
    band = shelf.switch(bass(30), high=high)
    live = Live(band)
    shelf.gate.clear()
    assert [pitch(band, "high") for _ in range(3)] == [30, 30, 30]
    shelf.gate.set()
    live.settle()
    assert len(high.asked) == 1  # a first question, of which nobody hears
    assert pitch(band, "high") == 50
    assert shelf.loaded == ["high"]


def test_who_does_not_play_any_more_leaves_and_comes_again() -> None:
    shelf = Shelf()
    band = shelf.switch(bass(30), high=bass(50))
    live = Live(band)
    for technique in ("high", "low"):
        pitch(band, technique)
        live.settle()
    assert pitch(band, "low") == 30
    assert shelf.loaded == ["high", "low"]


def test_one_who_cannot_be_loaded_is_told_of_once_and_the_old_goes_on() -> None:
    shelf = Shelf()
    shelf.broken = True
    band = shelf.switch(bass(30), high=bass(50))
    live = Live(band)
    pitch(band, "high")
    with pytest.raises(UserError, match="the high cannot be loaded, the player before it goes on: no such weights"):
        live.settle()
    assert [pitch(band, "high") for _ in range(3)] == [30, 30, 30]
    assert shelf.loaded == ["high"]
    shelf.broken = False
    assert pitch(band, "low") == 30  # chosen anew it has another chance
    pitch(band, "high")
    live.settle()
    assert pitch(band, "high") == 50


def test_where_it_is_not_one_who_cannot_be_loaded_is_told_of_once_as_well() -> None:
    shelf = Shelf()
    shelf.broken = True
    band = shelf.switch(bass(30), high=bass(50))
    with pytest.raises(UserError, match="the high cannot be loaded"):
        pitch(band, "high")
    assert [pitch(band, "high") for _ in range(3)] == [30, 30, 30]


@pytest.mark.parametrize("hurried", [True, False])
def test_a_role_that_is_given_away_is_played_by_the_rest_until_then(hurried: bool) -> None:
    shelf = Shelf()
    band = shelf.switch(bass(30), high=bass(50))
    live = Live(band) if hurried else None
    assert pitch(band, "low", bass="high") == (30 if hurried else 50)
    if live is not None:
        live.settle()
    assert pitch(band, "low", bass="high") == 50
    assert pitch(band, "low", bass="nobody") == 30


def test_nobody_is_loaded_for_a_role_that_he_does_not_play() -> None:
    shelf = Shelf()
    band = shelf.switch(bass(30), high=bass(50))
    assert pitch(band, "low", drums="high") == 30
    assert shelf.loaded == []


def test_a_player_that_fails_at_its_first_question_is_not_taken() -> None:
    def fail(request: PlanRequest, step: int) -> int:
        raise RuntimeError("out of tune")

    band = Shelf().switch(bass(30), high=only("bass", fail))
    live = Live(band)
    pitch(band, "high")
    with pytest.raises(UserError, match="out of tune"):
        live.settle()
    assert pitch(band, "high") == 30


def test_who_is_chosen_while_nobody_plays_comes_in_at_once_and_is_not_heard_before_its_time() -> None:
    tune = [Note(96, 60, 48), Note(144, 64, 48)]
    high = bass(50)
    players = {"low": bass(30), "high": high}
    chosen = perform(
        Ensemble(players),
        tune,
        settings=replace(REQUEST.settings, technique="low"),
        events=[ControlChange(0, "technique", "high")],
        latency=600 * MS,  # the answer comes when the band plays already
    )
    first, second, *_ = high.asked
    assert (first.number, first.committed, second.number) == (1, {}, 2)
    assert {pitch for _, channel, pitch, _ in chosen.notes if channel == 1} == {50}
    assert min(tick for tick, *_ in chosen.notes) > 96
