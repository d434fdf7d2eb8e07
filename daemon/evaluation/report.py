"""The report of `houseband evaluate`: one table, or JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from rich.table import Table

from daemon.core.counters import quantile_of_counts
from daemon.evaluation import scoring
from daemon.evaluation.scoring import GROOVE, LIVE, OWN, BandUnderTest, Timing, Verdict
from music.evaluation.metrics import METRICS, Mean, Metric

#: What is not a share and is shown with one digit behind the point.
COUNTED = ("onsets", "drum_onsets")


@dataclass(frozen=True)
class Report:
    """What was judged, and all that was found. style: None where each file's own was played; graph: where the band's
    comes from; files: how many were opened (one without a melody or a part of its own has no verdict); parts_of_style:
    verdicts on the parts of the style the band plays, where they were asked for."""

    collection: str
    split: str
    style: str | None
    modes: tuple[str, ...]
    band: BandUnderTest | None
    graph: Mapping[str, Any]
    files: int
    verdicts: tuple[Verdict, ...]
    parts_of_style: tuple[Verdict, ...] | None = None

    @cached_property
    def means(self) -> dict[str, dict[str, Mean]]:
        """Row -> figure -> mean over songs."""
        return scoring.over_songs(self.verdicts)

    @cached_property
    def timing(self) -> dict[str, Timing]:
        """Mode -> how the engine kept time."""
        return scoring.timing_of(self.verdicts)

    @cached_property
    def style_means(self) -> dict[str, Mean]:
        """Figure of groove -> mean over the parts of the style; empty where they were not asked for."""
        means = scoring.over_songs(self.parts_of_style or ())
        return {key: means[OWN][key] for key in GROOVE} if means else {}

    def deviations(self, mode: str) -> dict[str, float | None]:
        """Figure of groove -> how far the band's is from the style's parts', as a share of theirs; None where they have
        none."""
        found: dict[str, float | None] = {}
        for key, theirs in self.style_means.items():
            ours = self.means[mode][key].value
            found[key] = ours / theirs.value - 1 if theirs.value and not math.isnan(ours / theirs.value) else None
        return found

    @property
    def songs(self) -> int:
        """How many songs were judged."""
        return len({verdict.song for verdict in self.verdicts})

    @property
    def bars(self) -> int:
        """How many bars were judged."""
        return sum(verdict.bars for verdict in self.verdicts)

    def label(self, row: str) -> str:
        """A row's heading; whoever plays has a name."""
        name = scoring.heading(row, self.collection)
        return f"{self.band.technique} {name}" if self.band is not None and row in self.modes else name

    def title(self) -> str:
        """What was judged, in a line."""
        text = f"{self.collection}, {self.split}: {self.songs} songs, {len(self.verdicts)} files, {self.bars} bars"
        if self.files > len(self.verdicts):
            text += f" ({self.files - len(self.verdicts)} without a melody or an accompaniment left out)"
        if self.band is not None:
            text += f"; style {self.style or 'of each file'}, seed {self.band.settings.seed}"
            text += f", {self.band.latency_ms:g} ms a plan"
        return text

    def as_json(self) -> dict[str, Any]:
        """The whole report; what has no value is null."""
        found: dict[str, Any] = {
            "collection": self.collection,
            "split": self.split,
            "songs": self.songs,
            "files": len(self.verdicts),
            "bars": self.bars,
            "style": self.style,
            "band": _band_values(self.band) if self.band is not None else None,
            "graph": dict(self.graph),
            "rows": {self.label(row): _mean_values(figures) for row, figures in self.means.items()},
            "timing": {self.label(mode): _timing_values(timing) for mode, timing in self.timing.items()},
        }
        if self.style_means:
            found["by_style"] = {
                "parts": _mean_values(self.style_means),
                "deviation": {self.label(mode): self.deviations(mode) for mode in self.modes},
            }
        return found

    def table(self) -> Table:
        """A line a figure, a column for each who plays."""
        columns = {self.label(row): _cells(figures) for row, figures in self.means.items()}
        if LIVE in self.timing:
            columns[self.label(LIVE)] |= _timing_cells(self.timing[LIVE])
        if self.style_means:
            columns[f"parts in {self.style or 'all styles'}"] = _cells(self.style_means)
            for mode in self.modes:
                columns[f"{mode} to them"] = {k: _away(v) for k, v in self.deviations(mode).items()}
        table = Table(title=self.title(), caption="means over songs, ± half of the 95% interval", title_justify="left")
        table.add_column("")
        for heading in columns:
            table.add_column(heading, justify="right")
        for figure in METRICS:
            table.add_row(figure.title, *(column.get(figure.key, "") for column in columns.values()))
        for line in _TIMING if LIVE in self.timing else ():
            table.add_row(line, *(column.get(line, "") for column in columns.values()))
        return table


_TIMING = ("in time", "age p50", "age p99")


def _cells(figures: Mapping[str, Mean]) -> dict[str, str]:
    return {figure.key: _cell(figure, figures[figure.key]) for figure in METRICS if figure.key in figures}


def _cell(figure: Metric, mean: Mean) -> str:
    if not mean.songs:
        return "-"
    digits = 1 if figure.key in COUNTED else 3
    return f"{mean.value:.{digits}f} ±{(mean.high - mean.low) / 2:.{digits}f}"


def _mean_values(figures: Mapping[str, Mean]) -> dict[str, dict[str, float | None]]:
    return {
        key: {name: None if math.isnan(value) else value for name, value in asdict(mean).items()}
        for key, mean in figures.items()
    }


def _timing_values(timing: Timing) -> dict[str, float | None]:
    return {
        "steps": timing.steps,
        "in_time_share": timing.in_time / timing.steps if timing.steps else None,
        "knowledge_age_ticks_p50": quantile_of_counts(timing.age_ticks, 0.5),
        "knowledge_age_ticks_p99": quantile_of_counts(timing.age_ticks, 0.99),
        "knowledge_age_ns_p50": quantile_of_counts(timing.age_ns, 0.5),
        "knowledge_age_ns_p99": quantile_of_counts(timing.age_ns, 0.99),
    }


def _band_values(band: BandUnderTest) -> dict[str, Any]:
    values = asdict(band)
    return values | {"settings": values["settings"] | {"muted": sorted(band.settings.muted)}}


def _away(share: float | None) -> str:
    return "-" if share is None else f"{share:+.0%}"


def _timing_cells(timing: Timing) -> dict[str, str]:
    def milliseconds(share: float) -> str:
        ns = quantile_of_counts(timing.age_ns, share)
        return "-" if ns is None else f"{ns / 1e6:.0f} ms"

    share = f"{timing.in_time / timing.steps:.4f}" if timing.steps else "-"
    return dict(zip(_TIMING, (share, milliseconds(0.5), milliseconds(0.99)), strict=True))
