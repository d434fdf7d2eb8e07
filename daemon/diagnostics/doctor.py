"""The doctor: runs every check of this machine and sums up whether the band can play on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.diagnostics.audio_checks import check_loudspeakers, check_soundfont, check_soundfont_player
from daemon.diagnostics.check import BAD, ODD, BandSetup, CheckContext, CheckResult
from daemon.diagnostics.inference_checks import check_inference, check_lookahead
from daemon.diagnostics.midi_checks import check_midi_system, check_port_loop, check_rtmidi
from daemon.diagnostics.system_checks import check_memory_locking, check_real_time, check_studio, check_takes

#: All checks, in the order in which they are run and printed: later ones use what earlier ones put into the context.
CHECKS: tuple[Callable[[CheckContext], list[CheckResult]], ...] = (
    check_rtmidi,
    check_midi_system,
    check_port_loop,
    check_real_time,
    check_memory_locking,
    check_inference,
    check_lookahead,
    check_loudspeakers,
    check_soundfont_player,
    check_soundfont,
    check_takes,
    check_studio,
)


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All results, and figures for programs."""

    results: tuple[CheckResult, ...]
    figures: dict[str, float | int | str | None]

    @property
    def fit(self) -> bool:
        """True when nothing keeps the band from playing."""
        return all(result.state != BAD for result in self.results)

    @property
    def summary(self) -> str:
        """All results in one sentence."""
        worst = [result.subject for result in self.results if result.state == BAD]
        odd = sum(result.state == ODD for result in self.results)
        if worst:
            return f"The band cannot play like this; mend first: {', '.join(worst)}."
        if odd:
            return f"The band can play; {odd} thing{'s' if odd > 1 else ''} could be better."
        return "All is well: the band can play."

    def as_json(self) -> dict[str, object]:
        """Return what `houseband doctor --json` prints."""
        results = [result.as_json() for result in self.results]
        return {"fit": self.fit, "findings": results, "figures": self.figures}


def run_checks(setup: BandSetup, on_result: Callable[[CheckResult], None] = lambda _: None) -> DoctorReport:
    """Run every check, which takes a few seconds; on_result: called with each result at once."""
    context = CheckContext(setup)
    results = []
    for check in CHECKS:
        for result in check(context):
            results.append(result)
            on_result(result)
    return DoctorReport(tuple(results), context.figures)
