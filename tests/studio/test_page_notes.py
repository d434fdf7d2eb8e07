"""Notes of pages: few requests to the band, all notes in order, and none left on when its page is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.control.client_keys import MAX_NOTES
from daemon.studio.page_notes import BURST_NOTES, PageNotes

Json = dict[str, Any]


class ScriptedBand:
    """A band that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[Json]] = []
        self._waiting: list[asyncio.Future[Json]] = []

    def ask(self, op: str, *, notes: list[Json]) -> asyncio.Future[Json]:
        assert op == "play"
        assert 1 <= len(notes) <= MAX_NOTES
        assert not self._waiting, "the band is asked one thing at a time"
        self.asked.append(notes)
        self._waiting.append(asyncio.get_running_loop().create_future())
        return self._waiting[-1]

    async def answer(self) -> None:
        """Answer what was asked, if anything was."""
        if self._waiting:
            self._waiting.pop().set_result({"ok": True})
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    @property
    def notes(self) -> list[Json]:
        return [note for notes in self.asked for note in notes]


def run(scenario: Callable[[PageNotes, ScriptedBand, list[Json]], Any]) -> tuple[ScriptedBand, list[Json]]:
    """Carry out a scenario; return the band, and the answers that pages got."""

    async def carry_out() -> tuple[ScriptedBand, list[Json]]:
        notes, band, answers = PageNotes(), ScriptedBand(), list[Json]()
        notes.use(band)  # type: ignore[arg-type]
        await scenario(notes, band, answers)
        for _ in range(100):
            await band.answer()
        return band, answers

    return asyncio.run(carry_out())


def test_what_gathers_while_the_band_is_asked_is_one_request() -> None:
    async def scenario(notes: PageNotes, band: ScriptedBand, answers: list[Json]) -> None:
        for pitch in range(60, 80):
            notes.play("page", {"pitch": pitch}, answers.append)
        assert [len(asked) for asked in band.asked] == [1]
        await band.answer()

    band, answers = run(scenario)
    assert [len(asked) for asked in band.asked] == [1, MAX_NOTES, 3]
    assert [note["pitch"] for note in band.notes] == [*range(60, 80)]
    assert answers == [{"ok": True}] * 20


def test_a_panic_takes_what_has_not_begun() -> None:
    async def scenario(notes: PageNotes, band: ScriptedBand, answers: list[Json]) -> None:
        notes.play("page", {"pitch": 60}, answers.append)
        notes.play("page", {"notes": [{"pitch": 60, "on": False}, {"pitch": 62}]}, answers.append)
        notes.play("page", {"pitch": 64}, answers.append)
        notes.forget_waiting()

    band, answers = run(scenario)
    assert [(note["pitch"], note["on"]) for note in band.notes] == [(60, True), (60, False)]
    assert answers == [{"ok": True}] * 3


def test_a_page_that_plays_without_end_plays_no_more_than_hands_do() -> None:
    async def carry_out() -> tuple[ScriptedBand, list[Json]]:
        now = [0.0]
        notes, band, answers = PageNotes(lambda: now[0]), ScriptedBand(), list[Json]()
        notes.use(band)  # type: ignore[arg-type]
        for number in range(400):
            notes.play("page", {"pitch": 60 + number % 12}, answers.append)
        notes.play("page", {"pitch": 60, "on": False}, answers.append)
        for _ in range(400):
            await band.answer()
        assert BURST_NOTES <= len(band.notes) < BURST_NOTES + MAX_NOTES
        now[0] = 1.0
        while len(band.notes) < 2 * BURST_NOTES:
            await band.answer()
        now[0] = 10.0
        while band.notes[-1]["on"]:
            await band.answer()
        return band, answers

    band, answers = asyncio.run(carry_out())
    refused = [answer for answer in answers if not answer["ok"]]
    assert "more notes" in refused[0]["error"]
    assert len(band.notes) == 400 - len(refused) + 2
    assert band.notes[-1]["pitch"] == 60


def test_without_a_band_it_is_said_so() -> None:
    async def scenario(notes: PageNotes, band: ScriptedBand, answers: list[Json]) -> None:
        notes.play("page", {"pitch": 60}, answers.append)
        notes.play("page", {"pitch": 62}, answers.append)
        notes.use(None)
        notes.play("page", {"pitch": 64}, answers.append)
        assert [answer["ok"] for answer in answers] == [False, False]

    _, answers = run(scenario)
    assert [answer["ok"] for answer in answers] == [False, False, True]


MOVES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(60, 62), st.booleans()), max_size=60)


@given(moves=MOVES, gone=st.permutations("abc"), pauses=st.sets(st.integers(0, 60)))
def test_no_note_is_left_on_by_pages_that_are_gone(
    moves: list[tuple[str, int, bool]], gone: list[str], pauses: set[int]
) -> None:
    async def scenario(notes: PageNotes, band: ScriptedBand, answers: list[Json]) -> None:
        for number, (page, pitch, is_on) in enumerate(moves):
            notes.play(page, {"pitch": pitch, "on": is_on}, answers.append)
            if number in pauses:
                await band.answer()
        for page in gone:
            notes.release(page)

    band, answers = run(scenario)
    last = {note["pitch"]: note["on"] for note in band.notes}
    assert not any(last.values())
    assert len(answers) == len(moves)
    begun = [(pitch, is_on) for _, pitch, is_on in moves if is_on]
    assert [(note["pitch"], True) for note in band.notes if note["on"]] == begun
