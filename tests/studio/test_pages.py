"""Pages: each is sent what happens in order; one that does not read loses events, is told so, and holds up nobody."""

from __future__ import annotations

import asyncio
import json

import pytest

from daemon.studio import pages
from daemon.studio.pages import MAX_QUEUED_CHARACTERS, Page, Pages


class Reader:
    """The browser's side: reads only while it is allowed to."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def send(self, text: str) -> None:
        await self.may_read.wait()
        self.read.append(text)


async def let_run(tasks: list[asyncio.Task[None]]) -> None:
    """Let tasks go on until none can."""
    for _ in range(5000):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_events_come_in_order_to_all() -> None:
    async def scenario() -> list[list[str]]:
        readers, together = [Reader(), Reader()], Pages()
        made = [Page(reader.send) for reader in readers]
        tasks = [asyncio.create_task(page.send_all()) for page in made]
        together.add(made[0])
        together.tell({"event": "first"})
        together.add(made[1])
        together.tell_text('{"event": "second"}')
        together.remove(made[0])
        together.tell({"event": "third"})
        await let_run(tasks)
        return [reader.read for reader in readers]

    assert asyncio.run(scenario()) == [
        ['{"event": "first"}', '{"event": "second"}'],
        ['{"event": "second"}', '{"event": "third"}'],
    ]


def test_who_does_not_read_loses_events_and_others_do_not() -> None:
    event, count = json.dumps({"event": "note", "filling": "x" * 1000}), 2 * MAX_QUEUED_CHARACTERS // 1000

    async def scenario() -> tuple[list[str], list[str]]:
        slow, fast, together = Reader(), Reader(), Pages()
        made = [Page(slow.send), Page(fast.send)]
        tasks = [asyncio.create_task(page.send_all()) for page in made]
        for page in made:
            together.add(page)
        slow.may_read.clear()
        for _ in range(count):
            together.tell_text(event)
            await asyncio.sleep(0)
        slow.may_read.set()
        for _ in range(2 * count):
            await asyncio.sleep(0)
        together.tell_text(event)
        await let_run(tasks)
        return slow.read, fast.read

    slow, fast = asyncio.run(scenario())
    assert fast == [event] * (count + 1)
    [lost] = [json.loads(text) for text in slow if "lost" in text]
    assert lost["count"] == count + 1 - slow.count(event)
    assert slow[-1] == event
    assert MAX_QUEUED_CHARACTERS - 2000 < sum(map(len, slow)) - len(event) < MAX_QUEUED_CHARACTERS + 2000


def test_answers_are_not_lost_but_who_does_not_read_may_ask_no_more() -> None:
    async def scenario() -> tuple[bool, bool]:
        page = Page(Reader().send)
        page.add_answer({"id": 1, "value": "x" * MAX_QUEUED_CHARACTERS})
        waiting = asyncio.create_task(page.wait_for_room())
        await asyncio.sleep(0)
        before = waiting.done()
        sending = asyncio.create_task(page.send_all())
        await waiting
        sending.cancel()
        return before, waiting.done()

    assert asyncio.run(scenario()) == (False, True)


def test_who_never_reads_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SEND_PATIENCE_S", 0.0)

    async def scenario() -> None:
        reader = Reader()
        reader.may_read.clear()
        page = Page(reader.send)
        page.add_event("{}")
        await page.send_all()

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())
