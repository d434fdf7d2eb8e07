"""The report of `houseband evaluate`: a table for each group of figures, or JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from rich import box
from rich.table import Table

from daemon.core.counters import quantile_of_counts
from daemon.evaluation import scoring
from daemon.evaluation.scoring import GIVEN, LIVE, OWN, BandUnderTest, EngineTiming, FileScore
from music.corpus import SkippedFile
from music.evaluation.means import Mean
from music.evaluation.metrics import GROUPS, METRICS, Metric, Pooled, list_figures


@dataclass(frozen=True)
class Report:
    """All figures of an evaluation."""

    collection: str
    split: str
    #: None where each file's own style was played
    style: str | None
    modes: tuple[str, ...]
    band: BandUnderTest | None
    #: what the band's graph says of its origin
    graph: Mapping[str, Any]
    #: how many files were opened; one without a melody or an accompaniment has no score
    files: int
    scores: tuple[FileScore, ...]
    #: scores of the parts that the style is made of, where they were asked for
    parts_of_style: tuple[FileScore, ...] | None = None
    #: the files that have no score, and why
    skipped: tuple[SkippedFile, ...] = ()
    #: only so many bars of each song were played; None: all
    first_bars: int | None = None

    @cached_property
    def means(self) -> dict[str, dict[str, Mean]]:
        """Return row -> figure -> mean over songs."""
        return scoring.average_songs(self.scores)

    @cached_property
    def timing(self) -> dict[str, EngineTiming]:
        """Return mode -> timing of the engine."""
        return scoring.sum_timing(self.scores)

    @cached_property
    def style_means(self) -> dict[str, Mean]:
        """Return figure of groove -> mean over the parts of the style; empty where they were not asked for."""
        means = scoring.average_songs(self.parts_of_style or ())
        return {metric.key: means[OWN][metric.key] for metric in METRICS if metric.tells_style} if means else {}

    def compute_deviations(self, mode: str) -> dict[str, float | None]:
        """Return figure of groove -> how far the band's is from that of the style's parts, as a share of theirs.

        A figure is None where the parts have none.
        """
        found: dict[str, float | None] = {}
        for key, theirs in self.style_means.items():
            ours = self.means[mode][key].value
            found[key] = ours / theirs.value - 1 if theirs.value and not math.isnan(ours / theirs.value) else None
        return found

    @property
    def songs(self) -> int:
        """Number of songs with a score."""
        return len({score.song for score in self.scores})

    @property
    def bars(self) -> int:
        """Number of bars with a score."""
        return sum(score.bars for score in self.scores)

    def make_label(self, row: str) -> str:
        """Return a row's heading, with the technique where the band plays."""
        name = scoring.name_row(row, self.collection)
        return f"{self.band.technique} {name}" if self.band is not None and row in (*self.modes, GIVEN) else name

    @property
    def songs_with_chords(self) -> int:
        """Number of songs that have chords to give to the band."""
        return len({score.song for score in self.scores if GIVEN in score.timing})

    def make_title(self) -> str:
        """Return one line about songs, files and the band."""
        text = f"{self.collection}, {self.split}: {self.songs} songs, {len(self.scores)} files, {self.bars} bars"
        if self.files > len(self.scores):
            text += f" ({self.files - len(self.scores)} without a melody or an accompaniment left out)"
        if self.first_bars is not None:
            text += f"; the first {self.first_bars} bars of each"
        if self.band is not None:
            text += f"; style {self.style or 'of each file'}, seed {self.band.settings.seed}"
            text += f", {self.band.latency_ms:g} ms a plan; {self.songs_with_chords} songs have chords to be given"
        return text

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data; a figure without a value is None."""
        found: dict[str, Any] = {
            "collection": self.collection,
            "split": self.split,
            "songs": self.songs,
            "files": len(self.scores),
            "bars": self.bars,
            "first_bars": self.first_bars,
            "style": self.style,
            "band": _export_band(self.band) if self.band is not None else None,
            "graph": dict(self.graph),
            "skipped": [file._asdict() for file in self.skipped],
            "rows": {self.make_label(row): _export_means(figures) for row, figures in self.means.items()},
            "recovery": {
                self.make_label(row): [None if math.isnan(value) else value for value in beats]
                for row, beats in scoring.average_recovery(self.scores).items()
            },
            "timing": {self.make_label(mode): _export_timing(timing) for mode, timing in self.timing.items()},
        }
        if self.band is not None:
            found["songs_with_chords"] = self.songs_with_chords
        if self.style_means:
            found["by_style"] = {
                "parts": _export_means(self.style_means),
                "deviation": {self.make_label(mode): self.compute_deviations(mode) for mode in self.modes},
            }
        return found

    def make_tables(self) -> list[Table]:
        """Return a table for each group of figures, and one of timing: a line for each figure, a column for each row.

        Columns in which a group has nothing are left out.
        """
        columns = {self.make_label(row): _format_row(figures, self.songs) for row, figures in self.means.items()}
        if self.style_means:
            columns[f"parts in {self.style or 'all styles'}"] = _format_row(
                self.style_means, max(mean.songs for mean in self.style_means.values())
            )
            for mode in self.modes:
                columns[f"{mode} to them"] = {k: _format_deviation(v) for k, v in self.compute_deviations(mode).items()}
        tables = [
            _make_table(group, {figure.key: figure.title for figure in list_figures(group)}, columns)
            for group in GROUPS
        ]
        if LIVE in self.timing:
            timing = {self.make_label(LIVE): _format_timing(self.timing[LIVE])}
            tables.append(_make_table("timing", dict(zip(_TIMING, _TIMING, strict=True)), timing))
        return tables


#: what stands below the tables
LEGEND = (
    "Means over songs, ± half of the 95% interval; (n): only n songs have the figure; n/a: none has. "
    "`houseband evaluate --help` says what each is."
)
_TIMING = ("in time", "covered", "age p50", "age p99")


def _make_table(title: str, lines: Mapping[str, str], columns: Mapping[str, Mapping[str, str]]) -> Table:
    """Return a table; lines: key -> title; columns: heading -> key -> text."""
    shown = {heading: texts for heading, texts in columns.items() if lines.keys() & texts.keys()}
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in shown:
        table.add_column(heading, justify="right")
    for key, line in lines.items():
        table.add_row(line, *(texts.get(key, "") for texts in shown.values()))
    return table


def _format_row(figures: Mapping[str, Mean], songs: int) -> dict[str, str]:
    return {
        figure.key: _format_mean(figure, figures[figure.key], songs)
        for group in GROUPS
        for figure in list_figures(group)
        if figure.key in figures
    }


def _format_mean(figure: Metric | Pooled, mean: Mean, songs: int) -> str:
    """Return a mean with its interval, if it is of several songs, and their number where it is not that of all."""
    if not mean.songs:
        return "n/a"
    text = f"{mean.value:.{figure.digits}f}"
    if mean.songs > 1 and not math.isnan(mean.low):
        text += f" ±{(mean.high - mean.low) / 2:.{figure.digits}f}"
    return text if mean.songs == songs else f"{text} ({mean.songs})"


def _export_means(figures: Mapping[str, Mean]) -> dict[str, dict[str, float | None]]:
    return {
        key: {name: None if math.isnan(value) else value for name, value in asdict(mean).items()}
        for key, mean in figures.items()
    }


def _export_timing(timing: EngineTiming) -> dict[str, float | None]:
    return {
        "steps": timing.steps,
        "in_time_share": timing.in_time / timing.steps if timing.steps else None,
        "covered_share": timing.covered / timing.steps if timing.steps else None,
        "knowledge_age_ticks_p50": quantile_of_counts(timing.age_ticks, 0.5),
        "knowledge_age_ticks_p99": quantile_of_counts(timing.age_ticks, 0.99),
        "knowledge_age_ns_p50": quantile_of_counts(timing.age_ns, 0.5),
        "knowledge_age_ns_p99": quantile_of_counts(timing.age_ns, 0.99),
    }


def _export_band(band: BandUnderTest) -> dict[str, Any]:
    values = asdict(band)
    return values | {"settings": values["settings"] | {"muted": sorted(band.settings.muted)}}


def _format_deviation(share: float | None) -> str:
    return "n/a" if share is None else f"{share:+.0%}"


def _format_timing(timing: EngineTiming) -> dict[str, str]:
    def milliseconds(share: float) -> str:
        ns = quantile_of_counts(timing.age_ns, share)
        return "n/a" if ns is None else f"{ns / 1e6:.0f} ms"

    def format_share(part: int) -> str:
        return f"{part / timing.steps:.4f}" if timing.steps else "n/a"

    shares = format_share(timing.in_time), format_share(timing.covered)
    return dict(zip(_TIMING, (*shares, milliseconds(0.5), milliseconds(0.99)), strict=True))
