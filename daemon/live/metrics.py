"""Metrics: the counters in Prometheus' text format, written to a file and logged once a minute."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from daemon.core.counters import Counters, Histogram
from music.files import write_atomically

log = logging.getLogger(__name__)

REPORT_INTERVAL_S = 60.0
_PREFIX = "houseband"
#: upper edges of the buckets, seconds and ticks
_TIMES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_TICKS = (3, 6, 9, 12, 18, 24, 48, 96)

#: counter -> its name in Prometheus, and its help text
COUNTERS = {
    "asked": ("plans_asked_total", "plans asked for"),
    "answered": ("plans_answered_total", "plans that came"),
    "used": ("plans_used_total", "plans of which at least one step was played"),
    "late": ("plans_late_total", "plans that came after their first step had begun"),
    "failed": ("inferences_failed_total", "inferences that failed"),
    "stand_ins": ("stand_ins_total", "times at which shipped weights took the place of a graph that kept failing"),
    "steps": ("steps_total", "steps played"),
    "in_time": ("steps_in_time_total", "steps whose own plan was there in time"),
    "uncovered": ("steps_uncovered_total", "steps for which there was no plan at all"),
    "onsets": ("onsets_total", "notes begun"),
    "dropped": ("onsets_dropped_total", "notes left out because they were late"),
    "refused": ("commands_refused_total", "commands with an unusable value"),
    "echoes": ("echoes_total", "messages of its own that the band heard again"),
    "stalls": ("stalls_total", "times at which the machine stood still"),
    "losses": ("port_losses_total", "times at which the ports were gone"),
    "jumps": ("clock_jumps_total", "leaps of the followed clock"),
    "clock_lost": ("clock_ticks_lost", "ticks of the followed clock that never came"),
    "xruns": ("xruns_total", "xruns of the audio server"),
}
HISTOGRAMS = {
    "age_ticks": ("knowledge_age_ticks", "age of the newest melody that a note's plan knew, in 1/24 beat"),
    "age_ns": ("knowledge_age_seconds", "the same in seconds"),
    "inference_ns": ("inference_seconds", "time that a plan took"),
    "lateness_ns": ("lateness_seconds", "how long after its time a message was sent"),
    "clock_jitter_ns": ("clock_jitter_seconds", "how far ticks of the followed clock were off"),
}


def prometheus_text(counters: Counters) -> str:
    """Return all counters in Prometheus' text format."""
    lines: list[str] = []
    if counters.isr is not None:
        lines += [f"# HELP {_PREFIX}_in_time_share in-time share, 0..1", f"# TYPE {_PREFIX}_in_time_share gauge"]
        lines.append(f"{_PREFIX}_in_time_share {counters.isr:.6f}")
    for field, (name, about) in COUNTERS.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {_PREFIX}_{name} {about}", f"# TYPE {_PREFIX}_{name} {kind}"]
        lines.append(f"{_PREFIX}_{name} {getattr(counters, field)}")
    for field, (name, about) in HISTOGRAMS.items():
        lines += _format_histogram(f"{_PREFIX}_{name}", about, getattr(counters, field), field.endswith("_ns"))
    return "\n".join(lines) + "\n"


def _format_histogram(name: str, about: str, values: Histogram, times: bool) -> list[str]:
    """Return the lines of a histogram.

    A bucket of ours counts where all of it lies below the upper edge; the sum is that of our buckets' lower edges.
    """
    unit = 1e9 if times else 1
    buckets = [(edge / unit, count) for edge, count in values.buckets.items()]
    count = sum(n for _, n in buckets)
    lines = [f"# HELP {name} {about}", f"# TYPE {name} histogram"]
    for upper in _TIMES if times else _TICKS:
        lines.append(f'{name}_bucket{{le="{upper:g}"}} {sum(n for edge, n in buckets if edge < upper)}')
    lines.append(f'{name}_bucket{{le="+Inf"}} {count}')
    lines.append(f"{name}_sum {sum(edge * n for edge, n in buckets):.6f}")
    lines.append(f"{name}_count {count}")
    return lines


class MetricsWriter:
    """Logs the counters once a minute, and at the end, and writes them to a file; in a thread of its own.

    It only reads what the conductor counts, and adds the audio server's xruns, which nobody else counts.
    """

    def __init__(self, counters: Counters, path: Path | None, xruns: Callable[[], int] = lambda: 0) -> None:
        """path: the file, None for none; xruns: returns how many there have been."""
        self._counters, self._path, self._xruns = counters, path, xruns
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Report for the last time."""
        self._over.set()
        self._thread.join()
        self.report()

    def report(self) -> None:
        """Report now."""
        c = self._counters
        c.xruns = self._xruns()
        log.info(
            "isr %s, %d steps, %d of %d plans late, %d notes, sent late p99 %s ms, inference p99 %s ms, %d ticks lost",
            "-" if c.isr is None else f"{c.isr:.4f}",
            c.steps,
            c.late,
            c.asked,
            c.onsets,
            _format_p99_ms(c.lateness_ns),
            _format_p99_ms(c.inference_ns),
            c.clock_lost,
        )
        if self._path is not None:
            with contextlib.suppress(OSError):  # a full disk must not end the music; the next minute may have room
                write_atomically(self._path, prometheus_text(c))

    def _run(self) -> None:
        while not self._over.wait(REPORT_INTERVAL_S):
            self.report()


def _format_p99_ms(values: Histogram) -> str:
    found = values.quantile(0.99)
    return "-" if found is None else f"{found / 1e6:.2f}"
