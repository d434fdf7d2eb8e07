"""The bench: the performance figures of the design, each beside a reference that is measured in the same run.

Sides that are compared are measured in turns or at once, in processes of their own, and several times over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.core.counters import quantile
from daemon.diagnostics import bench_playing as playing
from daemon.diagnostics import bench_ports as ports
from daemon.diagnostics.bench_process import BenchError, BenchOptions
from daemon.diagnostics.bench_row import Row
from daemon.diagnostics.midi_system import MidiSystem, open_midi_system
from music.files import open_atomically

#: title -> side -> values
Histograms = dict[str, dict[str, list[float]]]
#: frames of a JACK server's period, where the bench starts its own: a short one for what passes through, and the one
#: that JACK itself takes for everything else
SHORT_PERIOD, USUAL_PERIOD = 128, 1024


def _no_histograms(_: Any) -> Histograms:
    return {}


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something that is measured once, and the figures that are made of it."""

    measure: Callable[[BenchOptions], Any]
    #: each takes what was measured and returns a row, or None where there is no such figure
    rows: tuple[Callable[[Any], Row | None], ...]
    histograms: Callable[[Any], Histograms] = _no_histograms


@dataclass(frozen=True, slots=True)
class PortMeasurement:
    """The same, of something that needs a MIDI system."""

    measure: Callable[[BenchOptions, MidiSystem], Any]
    rows: tuple[Callable[[Any], Row | None], ...]
    #: what to call the figures where no MIDI system runs
    figures: tuple[str, ...]
    histograms: Callable[[Any], Histograms] = _no_histograms
    period: int = USUAL_PERIOD


#: All figures, in the order in which they are measured and printed.
MEASUREMENTS: tuple[Measurement | PortMeasurement, ...] = (
    Measurement(
        playing.measure_playing,
        (
            playing.report_lateness,
            playing.report_lateness_tail,
            playing.report_in_time_share,
            playing.report_knowledge_age,
            playing.report_cpu,
            playing.report_plan,
            playing.report_plan_tail,
            playing.report_plan_beside_torch,
            playing.report_plan_speed,
        ),
        playing.draw_playing,
    ),
    Measurement(
        playing.measure_plan_parts,
        (
            *(playing.make_part_reporter(part, share) for part in playing.PLAN_PARTS for share in (0.5, 0.99)),
            playing.report_beside_graph,
            playing.report_render,
            playing.report_offline_render,
        ),
    ),
    Measurement(playing.measure_events, (playing.report_event_rate, playing.report_lost_events)),
    PortMeasurement(
        ports.measure_pass_through,
        (ports.report_pass_through, ports.report_pass_through_tail, ports.report_lost_messages),
        ("pass-through",),
        ports.draw_pass_through,
        SHORT_PERIOD,
    ),
    PortMeasurement(ports.measure_start, (ports.report_start,), ("start to ready",)),
    PortMeasurement(ports.measure_waiting, (ports.report_memory, ports.report_idle_cpu), ("memory", "idle CPU")),
)


@dataclass(slots=True)
class Bench:
    """One run of the bench."""

    options: BenchOptions
    rows: list[Row] = field(default_factory=list)
    histograms: Histograms = field(default_factory=dict)

    def run(self) -> None:
        """Measure everything, which takes two to three minutes. Raises BenchError, PortError."""
        for measurement in MEASUREMENTS:
            if isinstance(measurement, Measurement):
                self._add(measurement, measurement.measure(self.options))
                continue
            with open_midi_system(measurement.period) as midi:
                if midi is None:
                    note = "no MIDI system runs, and jackd is not there to start one"
                    self.rows += [Row(name, "", note=note) for name in measurement.figures]
                else:
                    self._add(measurement, measurement.measure(self.options, midi))

    def _add(self, measurement: Measurement | PortMeasurement, measured: Any) -> None:
        rows = (make(measured) for make in measurement.rows)
        self.rows += [row for row in rows if row is not None]
        self.histograms |= measurement.histograms(measured)


def draw_histograms(path: Path, histograms: Histograms) -> None:
    """Write a PNG of histograms. Raises BenchError without matplotlib, OSError when it cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchError("plots are drawn by matplotlib, which is not installed: pip install matplotlib") from None
    figure = Figure(figsize=(9, 3 * len(histograms)), layout="constrained")
    panels = figure.subplots(len(histograms), squeeze=False)[:, 0]
    for axes, (title, sides) in zip(panels, histograms.items(), strict=True):
        top = max(quantile(values, 0.995) for values in sides.values() if values)
        for label, values in sides.items():
            if values:
                axes.hist([min(v, top) for v in values], bins=60, range=(0, top), alpha=0.6, label=label, density=True)
        axes.set_xlabel(title)
        axes.set_yticks([])
        axes.legend()
    with open_atomically(path) as file:
        figure.savefig(file, dpi=110, format=path.suffix.lstrip(".").lower() or "png")


def compare_runs(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return by which share the ratios of two runs differ, by figure."""
    ratios = {(row["figure"], row["against"]): row["ratio"] for row in one if row["ratio"]}
    return {
        f"{row['figure']} / {row['against']}": abs(row["ratio"] / ratios[key] - 1)
        for row in other
        if (key := (row["figure"], row["against"])) in ratios and row["ratio"]
    }
