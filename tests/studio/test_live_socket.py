"""Requests of a page: few are with the band at a time, all are answered, and the last value of a control holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.control.client import NoBandError
from daemon.studio.live_socket import MAX_UNDER_WAY, MAX_WAITING, PageRequests
from daemon.studio.pages import Page

Json = dict[str, Any]


class ScriptedLink:
    """A link to a band that answers when it is told to, the oldest request first."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.waiting: list[asyncio.Future[Json]] = []
        self.most = 0
        self.is_there = True

    def ask(self, op: str, **members: Any) -> asyncio.Future[Json]:
        if not self.is_there:
            raise NoBandError("there is no band at present")
        self.asked.append({"op": op, **members})
        self.waiting.append(asyncio.get_running_loop().create_future())
        self.most = max(self.most, len(self.waiting))
        return self.waiting[-1]

    async def answer(self, answer: Json | None = None) -> None:
        """Answer one request."""
        self.waiting.pop(0).set_result(answer or {"ok": True, "id": 99})
        await asyncio.sleep(0)

    async def answer_all(self) -> None:
        """Answer all that was asked, and what is asked upon that."""
        while self.waiting:
            await self.answer()


def run(scenario: Callable[[PageRequests, ScriptedLink], Any]) -> tuple[ScriptedLink, list[Json]]:
    """Carry out a scenario; return the band, and the answers that the page got."""
    answers: list[Json] = []

    class Noting(Page):
        def add_answer(self, answer: Json) -> None:
            answers.append(answer)

    async def carry_out() -> ScriptedLink:
        async def send(_text: str) -> None: ...

        link = ScriptedLink()
        await scenario(PageRequests(Noting(send), link), link)  # type: ignore[arg-type]
        await link.answer_all()
        return link

    return asyncio.run(carry_out()), answers


def test_a_page_that_asks_too_much_waits_alone_and_is_told_so() -> None:
    total = MAX_UNDER_WAY + MAX_WAITING + 5

    async def scenario(requests: PageRequests, link: ScriptedLink) -> None:
        for number in range(total):
            requests.take(json.dumps({"op": "set", "key": "fill", "id": number}))

    link, answers = run(scenario)
    assert link.most == MAX_UNDER_WAY
    assert sorted(answer["id"] for answer in answers) == [*range(total)]
    assert [answer["id"] for answer in answers if not answer["ok"]] == [*range(total - 5, total)]


def test_a_panic_waits_for_nothing_and_neither_does_learning_hold_up_others() -> None:
    async def scenario(requests: PageRequests, link: ScriptedLink) -> None:
        for _ in range(MAX_UNDER_WAY):
            requests.take('{"op": "learn", "key": "fill"}')
        for _ in range(2 * MAX_UNDER_WAY):
            requests.take('{"op": "set", "key": "fill"}')
        requests.take('{"op": "panic"}')
        assert link.asked[-1]["op"] == "panic"
        assert [asked["op"] for asked in link.asked].count("set") == MAX_UNDER_WAY

    run(scenario)


@given(st.lists(st.tuples(st.sampled_from(["swing", "density"]), st.integers(0, 9), st.booleans()), max_size=40))
def test_the_last_value_holds_and_every_request_is_answered(turns: list[tuple[str, int, bool]]) -> None:
    async def scenario(requests: PageRequests, link: ScriptedLink) -> None:
        for number, (key, value, is_answered) in enumerate(turns):
            requests.take(json.dumps({"op": "set", "key": key, "value": value, "id": number}))
            if is_answered and link.waiting:
                await link.answer()

    link, answers = run(scenario)
    assert sorted(answer["id"] for answer in answers) == [*range(len(turns))]
    wanted = {key: value for key, value, _ in turns}
    assert {asked["key"]: asked["value"] for asked in link.asked} == wanted
    assert link.most <= 2


def test_answers_are_the_bands_with_the_pages_own_id() -> None:
    async def scenario(requests: PageRequests, link: ScriptedLink) -> None:
        requests.take('{"op": "get", "key": "bpm", "id": "mine"}')
        await link.answer({"ok": True, "id": 7, "value": 120})
        requests.take('{"op": "set", "key": "bpm", "value": "x", "id": [1]}')
        await link.answer({"ok": False, "id": 8, "error": "bpm: takes a number"})
        link.is_there = False
        requests.take('{"op": "get", "id": 3}')

    _, answers = run(scenario)
    assert answers == [
        {"id": "mine", "ok": True, "value": 120},
        {"id": [1], "ok": False, "error": "bpm: takes a number"},
        {"id": 3, "ok": False, "error": "there is no band at present"},
    ]


@pytest.mark.parametrize("text", ["", "x", "[]", "null", '{"op": []}', '{"op": "__class__"}', "[" * 5000])
def test_what_is_no_request_is_refused(text: str) -> None:
    async def scenario(requests: PageRequests, link: ScriptedLink) -> None:
        requests.take(text)

    _, answers = run(scenario)
    assert [answer["ok"] for answer in answers] == [False]


def test_a_page_that_is_gone_gets_no_answers() -> None:
    async def scenario(requests: PageRequests, link: ScriptedLink) -> None:
        requests.take('{"op": "get", "id": 1}')
        requests.close()
        await link.answer()

    _, answers = run(scenario)
    assert answers == []
