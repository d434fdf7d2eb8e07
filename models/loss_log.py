"""The table of a run's losses, `losses.csv`."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from music.errors import UserError
from music.files import write_atomically


class LossLog:
    """The table `losses.csv`: a row holds the means of the losses since the row before, and validation losses."""

    def __init__(self, folder: Path, last_step: int, pending: Mapping[str, list[float]] | None = None) -> None:
        """Go on with the table in a run's folder; rows of later steps than `last_step` are left out.

        pending: losses since the last row. Raises UserError when the table is damaged.
        """
        self.path = folder / "losses.csv"
        self.rows: list[dict[str, str]] = []
        #: the losses since the last row
        self.pending: dict[str, list[float]] = defaultdict(list, {k: list(v) for k, v in (pending or {}).items()})
        if self.path.exists() and last_step:
            try:
                with self.path.open(newline="") as file:
                    self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= last_step]
            except (ValueError, KeyError, TypeError, csv.Error):
                raise UserError(f"{self.path}: not a table of losses; move it away to go on without it") from None

    def add(self, losses: Mapping[str, float]) -> None:
        """Remember the losses of one update."""
        for name, value in losses.items():
            self.pending[name].append(value)

    def write_row(self, step: int, seconds: float, validated: Mapping[str, float]) -> dict[str, str]:
        """Close a row with validation losses beside the means, write the table, and return the row."""
        means = {name: sum(values) / len(values) for name, values in self.pending.items()} | dict(validated)
        row = {"step": str(step), "seconds": f"{seconds:.1f}"} | {k: f"{v:.5g}" for k, v in means.items()}
        self.rows.append(row)
        self.pending.clear()
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self._list_columns(), restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, table.getvalue())
        return row

    def _list_columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))
