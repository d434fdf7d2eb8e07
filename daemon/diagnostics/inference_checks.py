"""Checks of the graph and of how fast it plays on this machine."""

from __future__ import annotations

import math

import numpy as np

from daemon.core.counters import quantile
from daemon.core.techniques import list_names
from daemon.diagnostics import measure
from daemon.diagnostics.check import BAD, GOOD, ODD, CheckContext, CheckResult
from music.errors import UserError

#: tempo that a lookahead of one step should reach
FASTEST_BPM = 300
#: how much longer than measured a plan may take: half as much again
SPARE = 1.5
_STEP_MS_AT_120 = 125
_STEP_MS_AT_1 = 15_000


def check_inference(context: CheckContext) -> list[CheckResult]:
    """Load the graph, play 200 plans and measure bare waits for comparison."""
    from daemon.players.load import load_player

    subject = "graph and inference"
    technique, graph = context.setup.technique, context.setup.graph
    remedy = _find_graph_remedy(technique, graph)
    try:
        with np.errstate(invalid="raise"):
            plans = measure.time_plans(load_player(technique, graph), 200)
    except UserError as error:
        return [CheckResult(subject, BAD, str(error), remedy)]
    except FloatingPointError:
        text = f"{graph or technique}: it answers with NaN: its weights are broken"
        return [CheckResult(subject, BAD, text, remedy)]
    except Exception as error:  # noqa: BLE001 - whatever a broken graph raises when it runs
        text = f"{graph or technique}: does not play ({type(error).__name__}: {error})"
        return [CheckResult(subject, BAD, text, remedy)]
    waits = measure.measure_waits(2.0)
    plan_p50, plan_p99, wait_p50, wait_p99 = (
        quantile(values, share) / 1e6 for values in (plans, waits) for share in (0.5, 0.99)
    )
    context.figures |= {
        "plan_ms_p50": plan_p50, "plan_ms_p99": plan_p99, "wait_ms_p50": wait_p50, "wait_ms_p99": wait_p99
    }  # fmt: skip
    text = f"a plan takes {plan_p50:.1f} ms (99 of 100 under {plan_p99:.1f})"
    return [CheckResult(subject, GOOD, f"{text}; a bare wait ends {wait_p99:.2f} ms late (99 of 100)")]


def _find_graph_remedy(technique: str, graph: str | None) -> str:
    if technique not in list_names():
        return f"choose --technique {' or '.join(list_names())}"
    if graph is None:
        return "install houseband anew, or name a graph with --graph"
    return "leave --graph out to play the shipped weights, or write the file anew with `houseband export`"


def check_lookahead(context: CheckContext) -> list[CheckResult]:
    """Work out how far ahead plans must be asked for, from what `check_inference` has measured."""
    spent = [context.figures.get(name) for name in ("plan_ms_p99", "wait_ms_p99")]
    needs = [value for value in spent if isinstance(value, float)]
    if len(needs) < len(spent):
        return [CheckResult("lookahead", ODD, "not known without a graph that plays", "mend the graph first")]
    result, steps = explain_lookahead(sum(needs))
    context.figures |= {"lookahead_ms": round(SPARE * sum(needs), 2), "lookahead_steps_at_120": steps}
    return [result]


def explain_lookahead(needs_ms: float) -> tuple[CheckResult, int]:
    """Return the lookahead to recommend for plans that take so long, and the steps it has at 120 bpm."""
    subject = "lookahead"
    wanted_ms = SPARE * needs_ms
    steps = max(1, math.ceil(wanted_ms / _STEP_MS_AT_120))
    fastest_bpm = _STEP_MS_AT_1 / wanted_ms
    text = f"recommended are {wanted_ms:.1f} ms, {steps} step{'s' if steps > 1 else ''} at 120 bpm"
    if fastest_bpm >= FASTEST_BPM:
        text = f"{text}; one step is enough at every tempo up to {FASTEST_BPM} bpm"
        return CheckResult(subject, GOOD, text), steps
    remedy = "close what else keeps the processor busy, choose its performance governor, or take a smaller graph"
    return CheckResult(subject, ODD, f"{text}; one step is enough up to {fastest_bpm:.0f} bpm only", remedy), steps
