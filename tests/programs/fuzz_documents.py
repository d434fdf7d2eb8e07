"""`make fuzz`: requests to the studio's documents as no page should make them, as JSON.

    python -m tests.programs.fuzz_documents [--seconds 60] [--seed 0]

Each is answered with what was asked for or refused with a sentence, and the project can be opened again as it was.
Exit status 1 where anything else happened; the request is printed then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from daemon.projects.exporting import make_midi
from daemon.projects.importing import make_example
from daemon.projects.workshop import Workshop
from daemon.studio.document_routes import list_document_routes
from tests.support.hostile import make_value

#: what requests hold that are in order
_USUAL: dict[str, object] = {
    "input": "i1", "technique": "gan", "style": "pop", "seed": 1, "controls": {}, "extend": 0, "bars": [1, 2],
    "roles": ["bass"], "notes": {"melody": [[0, 60, 24, 80]]}, "label": "x", "name": "x", "shown": 0, "example": "ode",
    "metres": [[0, "3/4"]], "bpm": 90,
}  # fmt: skip
#: further members, and values that are nearly right
_OTHERS: dict[str, list[object]] = {
    "kept": [[], [True], [1]],
    "take": ["x", "../x", 5],
    "iterations": [1, -1, "x"],
    "chart": ["/etc/passwd", "irealb://x", ""],
    "controls": [{"lock_bars": "9-1"}, {"density": 9}, {"player.bass": "arcnn"}, {"x": 1}, {"iterations": None}],
    "notes": [{"bass": [[0, 60, 0, 0]]}, {"melody": []}, {"edits": [[0, 60, 9999, 1]] * 3}],
    "bars": [[2, 1], [0, 0], [1, 9999], []],
    "seed": [-1, 1 << 70, 0.5],
}
#: the most requests to one project
_REQUESTS = 400


def make_body(rng: random.Random) -> bytes:
    """Return the body of a request: members in order, nearly so, or anything; sometimes no JSON at all."""
    body: dict[str, object] = {key: value for key, value in _USUAL.items() if rng.random() < 0.6}
    for _ in range(rng.randrange(3)):
        key = rng.choice([*_USUAL, *_OTHERS])
        body[key] = rng.choice(_OTHERS[key]) if key in _OTHERS and rng.random() < 0.6 else make_value(rng)
    try:
        data = json.dumps(body).encode()
    except (ValueError, RecursionError, TypeError):
        data = b"{}"
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.05 else data


def make_file(rng: random.Random) -> bytes:
    """Return a file to import: a damaged MIDI file, a chart, anything."""
    if rng.random() < 0.2:
        return rng.choice((b"| C | F7 |", b"", rng.randbytes(100), b"MThd"))
    data = bytearray(make_midi(make_example("ode")))
    for _ in range(rng.randrange(30)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randint(1, len(data))])


async def ask_at_random(rng: random.Random, shop: Workshop, end: float, told: Counter[int]) -> str:
    """Make requests until time is over; return what went wrong with one, '' where nothing did."""
    routes = [route for route in list_document_routes(shop) if isinstance(route, Route)]
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://studio", timeout=60) as client:
        for _ in range(_REQUESTS):
            if time.monotonic() > end:
                break
            route = rng.choice(routes)
            path = route.path.format(id=rng.choice(("i1", "i2", "r3", "j1", "..", "x")), name="x")
            if path.endswith("wav"):  # nobody makes results here
                continue
            method = rng.choice(sorted((route.methods or {"GET"}) - {"HEAD"}))
            data = make_file(rng) if path.endswith("import") else make_body(rng)
            request = f"{method} {path} {data[:300]!r}"
            try:
                answer = await client.request(method, path, content=data)
                told[answer.status_code] += 1
                if answer.status_code >= 400 and answer.status_code not in (404, 405):
                    sentence = answer.json()["error"]
                    if answer.status_code >= 500 or "\n" in sentence or not sentence:
                        return f"{request}: {answer.status_code} {sentence}"
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                return f"{request}: {error!r}"
    return ""


def describe(shop: Workshop) -> list[dict[str, Any]]:
    """Return the items of the open project."""
    items: list[dict[str, Any]] = shop.ask(shop.describe).result()["items"]
    return items


def main() -> int:
    """Run; print what was found, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    end, seed, told, wrong = time.monotonic() + given.seconds, given.seed, Counter[int](), ""
    while time.monotonic() < end and not wrong:
        with tempfile.TemporaryDirectory() as folder:
            shop = Workshop(Path(folder), lambda event: None, start_results=False)
            wrong = asyncio.run(ask_at_random(random.Random(seed), shop, end, told))
            before = describe(shop)
            shop.close()
            again = Workshop(Path(folder), lambda event: None, start_results=False)
            if describe(again) != before and not wrong:
                wrong = "the project is another after it was opened again"
            again.close()
        seed += 1
    found = {"projects": seed - given.seed, "seed": seed - 1, "answers": dict(sorted(told.items())), "wrong": wrong}
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
