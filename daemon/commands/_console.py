"""The terminal: progress while something takes long, and tables in full."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@contextlib.contextmanager
def show_progress(text: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr, where that is a terminal; call what it yields with the share done, 0..1."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(text, total=1.0)
        yield lambda share: bars.update(task, completed=share)


def print_table(table: Table, width: int) -> None:
    """Print a table; where output goes to a file or a pipe, no window cuts it off and it has `width` columns."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = width
    console.print(table)
