"""Counters, their histograms and the two forms in which they leave the program."""

from __future__ import annotations

import math

from daemon.core.counters import Counters, Histogram, quantile, quantile_of_counts


def test_quantiles_of_a_histogram() -> None:
    histogram = Histogram(10, limit=100)
    assert histogram.quantile(0.5) is None
    for value in (-5, 3, 12, 19, 25, 99_999):
        histogram.add(value)
    assert histogram.buckets == {0: 2, 10: 2, 20: 1, 100: 1}
    assert [histogram.quantile(share) for share in (0, 0.33, 0.5, 0.8, 0.99, 1)] == [0, 0, 10, 20, 100, 100]


def test_no_share_in_time_before_the_first_step() -> None:
    assert Counters().isr is None


def test_quantiles_of_counts() -> None:
    counts = {1: 98, 5: 1, 9: 1}
    assert [quantile_of_counts(counts, share) for share in (0.5, 0.98, 0.99, 1)] == [1, 1, 5, 9]
    assert quantile_of_counts({}, 0.5) is None


def test_quantiles_of_values() -> None:
    assert [quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0, 0.5, 0.99, 1)] == [1.0, 3.0, 4.0, 4.0]
    assert math.isnan(quantile([], 0.5))


def test_a_report_has_plain_numbers_and_times_in_milliseconds() -> None:
    counters = Counters()
    counters.steps, counters.in_time = 4, 3
    counters.lateness_ns.add(1_250_000)
    found = counters.to_report()
    assert (found["isr"], found["steps"]) == (0.75, 4)
    late = {"count": 1, "p50": 1.25, "p99": 1.25, "p99.9": 1.25, "p100": 1.25}
    assert found["lateness_ms"] == late
    assert found["age_ticks"] == {"count": 0, "p50": None, "p99": None, "p99.9": None, "p100": None}


def test_a_summary_has_two_quantiles_of_every_time() -> None:
    counters = Counters(steps=4, in_time=3)
    counters.lateness_ns.add(1_250_000)
    found = counters.to_summary()
    assert (found["isr"], found["steps"]) == (0.75, 4)
    assert (found["lateness_ms_p50"], found["lateness_ms_p99"], found["age_ms_p50"]) == (1.25, 1.25, None)
    assert not [key for key in found if key.startswith("age_ticks")]
