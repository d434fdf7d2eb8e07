"""Figures of playing: how late notes leave, how long plans take, what it costs, how many events get through."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.core.counters import quantile
from daemon.core.techniques import find
from daemon.diagnostics import measure
from daemon.diagnostics.bench_process import BenchError, BenchOptions, read_result, run_workload, start_workload
from daemon.diagnostics.bench_row import Row, best_median, compare_rounds, flatten, median

#: so many bands play in a round, one after the other and each for a third of its time: every process has a lateness of
#: its own, by where it lies in memory and which core it is on
BANDS_PER_ROUND = 4
PLANS_PER_ROUND = 60
BPM = 140
EVENTS = 4000


@dataclass(frozen=True, slots=True)
class PlayingRound:
    """Measurements of one round; times in nanoseconds."""

    #: what the workload `band` printed, once a band
    bands: list[dict[str, Any]]
    #: lateness of bare waits, beside each band
    waits: list[list[int]]
    plans: list[int]
    #: processor time of plans
    plans_cpu: list[int]
    #: times of matrix products, one after each plan
    products: list[int]
    #: what torch needs for the same network (`ms`, `mflop`); None where it was not measured
    torch: dict[str, Any] | None


#: part of a plan -> what the table calls it
PLAN_PARTS = {
    "prepare": "plan, before the graph",
    "infer": "plan, in the graph",
    "write": "plan, after the graph",
    "transport": "plan, between processes",
}
PART_PLANS, RENDERED_BEATS = 128, 32


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """The parts of plans, and the speed of rendering."""

    #: part -> times (ns), of all rounds
    parts: dict[str, list[int]]
    #: live and offline -> beats a second of processor time, one a round; empty for a player that edits notes
    renders: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class PlayingFigures:
    """Measurements of all rounds."""

    rounds: list[PlayingRound]
    #: why torch was not measured; empty where it was
    why_no_torch: str

    @property
    def lateness_ms(self) -> list[list[float]]:
        """Lateness of notes, by band."""
        return [[late / 1e6 for late in band["late"]] for each in self.rounds for band in each.bands]

    @property
    def wait_lateness_ms(self) -> list[list[float]]:
        """Lateness of bare waits, by the band that played beside them."""
        return [[late / 1e6 for late in waits] for each in self.rounds for waits in each.waits]

    @property
    def plans_ms(self) -> list[list[float]]:
        """Times of plans, by round."""
        return [[time / 1e6 for time in each.plans] for each in self.rounds]

    @property
    def products_ms(self) -> list[list[float]]:
        """Times of matrix products, by round."""
        return [[time / 1e6 for time in each.products] for each in self.rounds]

    @property
    def torch_ms(self) -> list[list[float]]:
        """Times of the same network in torch, by round; empty where it was not measured."""
        return [each.torch["ms"] for each in self.rounds if each.torch]


def measure_playing(options: BenchOptions) -> PlayingFigures:
    """Let bands play beside bare waits, then time plans, matrix products and torch, in every round."""
    rounds = []
    why_no_torch = explain_no_torch(options.technique)
    for number in range(options.rounds):
        options.say(f"the band plays beside bare waits, {number + 1} of {options.rounds}")
        bands, waits = [], []
        for _ in range(BANDS_PER_ROUND):
            waiting = start_workload("bare_wait", options.seconds / 3 + 1)
            bands.append(run_workload("band", options.seconds / 3, BPM, options.technique, options.graph))
            waits.append(read_result(waiting)["late"])
        plans = run_workload("plans", PLANS_PER_ROUND, options.technique, options.graph)
        torch = None
        if not why_no_torch:
            torch = _time_torch(options)
            why_no_torch = "" if torch else "this graph's network cannot be built in torch here"
        rounds.append(PlayingRound(bands, waits, plans["plan"], plans["cpu"], plans["gemm"], torch))
    return PlayingFigures(rounds, why_no_torch)


def explain_no_torch(technique: str) -> str:
    """Return why the network cannot be measured in torch; empty when it can."""
    if not find(technique).is_one_network:
        return f"a plan of the {technique}'s is many runs of several small graphs"
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed here" if missing else ""


def _time_torch(options: BenchOptions) -> dict[str, Any] | None:
    try:
        return run_workload("torch", options.technique, options.graph)
    except BenchError:
        return None


def report_lateness(playing: PlayingFigures) -> Row:
    """Report the median lateness of notes beside that of bare waits."""
    waits = playing.wait_lateness_ms
    return compare_rounds("send lateness, p50", "ms", playing.lateness_ms, "a bare deadline wait", waits)


def report_lateness_tail(playing: PlayingFigures) -> Row:
    """Report how late one note of a thousand leaves."""
    late, bare = (quantile(flatten(side), 0.999) for side in (playing.lateness_ms, playing.wait_lateness_ms))
    return Row("send lateness, p99.9", "ms", late, "a bare wait", bare, None, "1 ms later than it", late - bare <= 1)


def report_in_time_share(playing: PlayingFigures) -> Row | None:
    """Report the share of steps whose own plan had come; None where no step was played."""
    bands = [band for each in playing.rounds for band in each.bands]
    steps, in_time = (sum(band[name] for band in bands) for name in ("steps", "in_time"))
    return Row("in-time share", "", in_time / steps, bound="1.000", kept=in_time == steps) if steps else None


def report_cpu(playing: PlayingFigures) -> Row:
    """Report the processor time of playing beside that of its plans alone."""
    figure = "CPU while playing"
    turns = [(band, median(each.plans_cpu)) for each in playing.rounds for band in each.bands]
    if any(band["cpu"] is None for band, _ in turns):
        return Row(figure, "", note="this system does not tell")
    used = [[100 * band["cpu"]] for band, _ in turns]
    alone = [[band["answered"] / band["seconds"] * plan / 1e7] for band, plan in turns]
    return compare_rounds(figure, "% of a core", used, "its plans alone", alone)


def report_plan(playing: PlayingFigures) -> Row:
    """Report the median time of a plan beside that of a matrix product."""
    return compare_rounds("plan, p50", "ms", playing.plans_ms, f"a {measure.GEMM_SIDE}^3 GEMM", playing.products_ms)


def report_plan_tail(playing: PlayingFigures) -> Row:
    """Report how long one plan of a hundred takes."""
    return Row("plan, p99", "ms", quantile(flatten(playing.plans_ms), 0.99))


def report_plan_beside_torch(playing: PlayingFigures) -> Row:
    """Report the median time of a plan beside the same network in torch."""
    if playing.why_no_torch or not playing.torch_ms:
        return Row("plan, p50", "ms", note=f"not beside torch eager: {playing.why_no_torch}")
    return compare_rounds("plan, p50", "ms", playing.plans_ms, "torch eager", playing.torch_ms)


def report_plan_speed(playing: PlayingFigures) -> Row | None:
    """Report the arithmetic of a plan in a second beside that of a matrix product; None without torch, which counts."""
    if playing.why_no_torch or not playing.torch_ms:
        return None
    mflop = next(each.torch["mflop"] for each in playing.rounds if each.torch)
    gemm_mflop = 2 * measure.GEMM_SIDE**3 / 1e6
    plans, products = playing.plans_ms, playing.products_ms
    speed, peak = mflop / median(flatten(plans)), gemm_mflop / median(flatten(products))
    ratio = mflop / best_median(plans) / (gemm_mflop / best_median(products))
    return Row("plan's work", "GFLOP/s", speed, "GEMM peak", peak, ratio)


def draw_playing(playing: PlayingFigures) -> dict[str, dict[str, list[float]]]:
    """Return the histograms of lateness and of plans."""
    return {
        "send lateness, ms": {"notes": flatten(playing.lateness_ms), "bare waits": flatten(playing.wait_lateness_ms)},
        "plan, ms": {"onnxruntime": flatten(playing.plans_ms), "torch eager": flatten(playing.torch_ms)},
    }


def measure_plan_parts(options: BenchOptions) -> PlanFigures:
    """Time the parts of plans of a performance, and renders, in every round."""
    parts: dict[str, list[int]] = {name: [] for name in PLAN_PARTS}
    renders: dict[str, list[float]] = {}
    for number in range(options.rounds):
        options.say(f"the parts of a plan, and renders, {number + 1} of {options.rounds}")
        for name, spent in run_workload("parts", PART_PLANS, options.technique, options.graph).items():
            parts[name] += spent
        for mode, rate in run_workload("renders", RENDERED_BEATS, options.technique, options.graph).items():
            renders.setdefault(mode, []).append(rate)
    return PlanFigures(parts, renders)


def make_part_reporter(part: str, share: float) -> Callable[[PlanFigures], Row]:
    """Return a function that reports one of PLAN_PARTS, the value that a share of the plans does not exceed."""

    def report(plans: PlanFigures) -> Row:
        return Row(f"{PLAN_PARTS[part]}, p{share * 100:.0f}", "ms", quantile(plans.parts[part], share) / 1e6)

    return report


def report_beside_graph(plans: PlanFigures) -> Row:
    """Report what a plan costs beside its graph."""
    beside = [before + after for before, after in zip(plans.parts["prepare"], plans.parts["write"], strict=True)]
    p50, p99 = (quantile(beside, share) / 1e6 for share in (0.5, 0.99))
    return Row("plan beside its graph, p50", "ms", p50, "p99", p99, None, "1 ms, and p99 2 ms", p50 <= 1 and p99 <= 2)


def report_render(plans: PlanFigures) -> Row | None:
    """Report the speed of rendering as it is played live; None for a player that edits notes."""
    return Row("render", "beats per s", median(plans.renders["live"])) if plans.renders else None


def report_offline_render(plans: PlanFigures) -> Row | None:
    """Report the speed of rendering offline beside that of rendering live; None for a player that edits notes."""
    if not plans.renders:
        return None
    live, offline = (plans.renders[mode] for mode in ("live", "offline"))
    ratio = max(offline) / max(live)
    return Row("render --offline", "beats per s", median(offline), "render", median(live), ratio)


def report_knowledge_age(playing: PlayingFigures) -> Row:
    """Report how long before a note sounded the newest melody had been played that its plan knew."""
    p50, p99 = (median([band["age"][i] / 1e6 for each in playing.rounds for band in each.bands]) for i in (0, 1))
    return Row("knowledge age at the onset, p50", "ms", p50, "p99", p99)


def measure_events(options: BenchOptions) -> Sequence[dict[str, Any]]:
    """Send many events at once through the band and through a bare queue, in every round."""
    options.say("many events at once")
    return [run_workload("events", EVENTS, 2 * options.rounds) for _ in range(options.rounds)]


def report_event_rate(rounds: Sequence[dict[str, Any]]) -> Row:
    """Report how many events a second the band takes in, beside a bare queue."""
    band, bare = ([each[name] for each in rounds] for name in ("band", "bare"))
    rates = [EVENTS / median(flatten(spent)) * 1e9 for spent in (band, bare)]
    return Row("events", "per s", rates[0], "a bare queue", rates[1], best_median(bare) / best_median(band))


def report_lost_events(rounds: Sequence[dict[str, Any]]) -> Row:
    """Report how many of the events were lost."""
    lost = sum(each["lost"] for each in rounds)
    return Row("events lost", "", lost, bound="none", kept=lost == 0)
