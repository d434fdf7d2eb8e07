"""Progress bars of work that may take long, on stderr where that is a terminal; of several processes one shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from lightning_fabric.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def show_progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield items, and show beside `what` how many have been taken."""
    console = Console(stderr=True)
    hidden = not console.is_terminal or rank_zero_only.rank != 0  # type: ignore[attr-defined]
    yield from track(items, what, console=console, transient=True, disable=hidden)
