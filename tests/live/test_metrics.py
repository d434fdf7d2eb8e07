"""The counters as Prometheus text."""

from __future__ import annotations

from pathlib import Path

from daemon.core.counters import Counters, Histogram
from daemon.live.metrics import COUNTERS, HISTOGRAMS, MetricsWriter, prometheus_text


def test_every_counter_is_told() -> None:
    names = set(Counters.__slots__)
    assert names == set(COUNTERS) | set(HISTOGRAMS)


def test_the_text() -> None:
    counters = Counters(steps=4, in_time=3, xruns=2)
    for ns in (400_000, 1_400_000, 700_000_000):
        counters.lateness_ns.add(ns)
    lines = prometheus_text(counters).splitlines()
    assert "houseband_in_time_share 0.750000" in lines
    assert "# TYPE houseband_steps_total counter" in lines
    assert "houseband_xruns_total 2" in lines
    late = [line.split() for line in lines if line.startswith("houseband_lateness_seconds")]
    assert ['houseband_lateness_seconds_bucket{le="0.0005"}', "1"] in late
    assert ['houseband_lateness_seconds_bucket{le="0.002"}', "2"] in late
    assert ['houseband_lateness_seconds_bucket{le="0.5"}', "2"] in late
    assert ['houseband_lateness_seconds_bucket{le="+Inf"}', "3"] in late
    assert late[-2:] == [["houseband_lateness_seconds_sum", "0.701800"], ["houseband_lateness_seconds_count", "3"]]


def test_it_is_written_at_the_end_with_the_servers_xruns(tmp_path: Path) -> None:
    reporter = MetricsWriter(Counters(steps=1), tmp_path / "band.prom", lambda: 7)
    reporter.close()
    written = (tmp_path / "band.prom").read_text()
    assert "houseband_xruns_total 7" in written
    assert [file.name for file in tmp_path.iterdir()] == ["band.prom"]


def test_a_histogram_that_grows_while_it_is_read_is_no_matter() -> None:
    histogram = Histogram(10, 100)
    for value in (5, 15, 1000):
        histogram.add(value)
    assert histogram.buckets == {0: 1, 10: 1, 100: 1}
    assert (histogram.quantile(0.5), histogram.quantile(1.0)) == (10, 100)
