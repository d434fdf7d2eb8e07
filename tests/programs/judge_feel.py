"""Judge how the band's drummer hits, beside the drummers of Groove MIDI's validation split; print figures as JSON.

    python -m tests.programs.judge_feel [--data DIR] [--songs 6] [--seeds 4] [--pictures DIR]

Two comparisons, for each style of the band. **hands**: what validation drummers hit, played with the feel as the
program plays it (step by step, several seeds): this is about hands alone. **band**: what the band plays live to songs
of pop909's validation split, at the same tempo as it would be heard: this is about what it hits, too. Beside each: the
training split's drummers, who are as far from the validation ones as people are from each other, and the band as it is
without a feel (the graph's velocities, random strays).

Of offsets (thousandths of a step), velocities and onset places (sixteenths of the bar, by lane) two distances: total
variation (`tv`: the share of hits that would have to be others, of histograms with 20 and 16 bins) and earth mover's
(`emd`: how far a hit would have to move, in the unit).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.arranging.drummer_feel import DrummerFeel
from daemon.commands.evaluate import DATA
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.offline.render import RenderOptions, perform
from daemon.players.ensemble import Ensemble
from daemon.players.load import load_feel, load_player
from daemon.players.player import Player
from models.feel.dataset import SLOWEST, SUITING, DrumTake, read_takes
from music.corpus import read_split
from music.encoding.drum_feel import LANE_OF, LANES, OFFSET, VELOCITY
from music.midifile import choose_melody
from music.note import TICKS_PER_STEP, Note

STYLES = ("pop", "rock", "jazz", "ballad")
PLANNED_STEPS = 17
#: unit and bins of the histograms
AXES = {"offset": (1000.0, np.linspace(-0.5, 0.5, 21)), "velocity": (127.0, np.linspace(0, 1, 17))}
#: note that stands for each lane
PITCHES = [pitches[0] for pitches in LANES.values()]
PITCHES[LANE_OF[42]], PITCHES[LANE_OF[36]], PITCHES[LANE_OF[49]] = 42, 36, 49


class Hits(NamedTuple):
    """Hits as they are played: lane, step of the bar of sixteen, offset in steps, velocity / 127."""

    lane: NDArray[np.int64]
    place: NDArray[np.int64]
    offset: NDArray[np.float64]
    velocity: NDArray[np.float64]


def join(parts: Iterable[Hits]) -> Hits:
    """All of them."""
    return Hits(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def make_hits(rows: Iterable[tuple[int, int, float, float]]) -> Hits:
    """Of rows of lane, step, offset and velocity."""
    lane, place, offset, velocity = np.array([*rows], float).reshape(-1, 4).T
    return Hits(lane.astype(int), place.astype(int) % 16, offset, velocity)


def list_hits(take: DrumTake) -> Hits:
    """As the drummer played them."""
    lanes, steps = np.nonzero(take.hits)
    return make_hits(
        zip(lanes, steps, take.played[OFFSET, lanes, steps], take.played[VELOCITY, lanes, steps], strict=True)
    )


def play_take(feel: DrummerFeel, take: DrumTake, style: str, seed: int) -> Hits:
    """What a take's drummer hits, as the program would play it: planned anew at every beat."""
    lanes, steps = np.nonzero(take.hits)
    notes = sorted(
        Note(s * TICKS_PER_STEP, PITCHES[lane], 6) for lane, s in zip(lanes.tolist(), steps.tolist(), strict=True)
    )
    settings = Settings(style, seed=seed)
    rows = []
    for now in range(0, take.steps, 4):
        past = tuple(n for n in notes if (now - 32) * TICKS_PER_STEP <= n.start < now * TICKS_PER_STEP)
        coming = tuple(n for n in notes if now <= n.start // TICKS_PER_STEP < now + PLANNED_STEPS)
        request = PlanRequest(1, now, None, (), {"drums": past}, take.metre, settings, bpm=round(take.bpm))
        plan = feel.play(request, Plan(1, now, now + PLANNED_STEPS, None, {"drums": coming}))
        for note in plan.notes["drums"]:
            if note.start < (now + 4) * TICKS_PER_STEP:
                late = plan.find_offset("drums", note) or 0
                rows.append((LANE_OF[note.pitch], note.start // TICKS_PER_STEP, late / 1000, note.velocity / 127))
    return make_hits(rows)


class Heard(Player):
    """A player whose plans are overheard: the hits of the first step of each."""

    def __init__(self, player: Player) -> None:
        self.info, self._player = player.info, player
        self.rows: list[tuple[int, int, float, float]] = []

    def plan(self, request: PlanRequest) -> Plan:
        """Ask, and note down."""
        plan = self._player.plan(request)
        for note in plan.notes.get("drums", ()):
            if note.start // TICKS_PER_STEP == request.now and note.pitch in LANE_OF:
                place = (note.start - request.bar_origin) // TICKS_PER_STEP
                late = (plan.find_offset("drums", note) or 0) / 1000
                self.rows.append((LANE_OF[note.pitch], place, late, note.velocity / 127))
        return plan


def play_band(player: Player, feel: DrummerFeel | None, data: Path, style: str, songs: int) -> Hits:
    """What the band's drummer plays to songs, each with a seed of its own."""
    heard = Heard(Ensemble({"gan": player}, feel=feel))
    for seed, file in enumerate(read_split(data, "pop909", "valid", songs=songs, seed=1)[:songs]):
        song = file.read()
        perform(song, choose_melody(song), heard, RenderOptions(Settings(style, seed=seed)))
    return make_hits(heard.rows)


def measure_tv(one: NDArray[Any], other: NDArray[Any], bins: NDArray[Any]) -> float:
    """Total variation of histograms."""
    a, b = (np.histogram(values, bins)[0] / max(1, len(values)) for values in (one, other))
    return float(abs(a - b).sum() / 2)


def measure_emd(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Earth mover's distance in one dimension: the mean distance of quantiles."""
    at = np.linspace(0.0025, 0.9975, 200)
    return float(abs(np.quantile(one, at) - np.quantile(other, at)).mean())


def measure_places(one: Hits, other: Hits) -> float:
    """Total variation of onset places by lane."""
    a, b = (np.bincount(h.lane * 16 + h.place, minlength=16 * len(LANES)) / len(h.lane) for h in (one, other))
    return float(abs(a - b).sum() / 2)


def compare(hits: Hits, people: Hits) -> dict[str, Any]:
    """All distances, then those of each drum that both hit often enough."""
    found: dict[str, Any] = {"places tv": round(measure_places(hits, people), 3)}
    for name, (unit, bins) in AXES.items():
        one, other = getattr(hits, name), getattr(people, name)
        found[f"{name} tv"] = round(measure_tv(np.clip(one, bins[0], bins[-1]), other, bins), 3)
        found[f"{name} emd"] = round(unit * measure_emd(one, other), 1)
        lanes = {}
        for lane, drum in enumerate(LANES):
            own, theirs = one[hits.lane == lane], other[people.lane == lane]
            if min(len(own), len(theirs)) >= 100:
                lanes[drum] = [round(measure_tv(own, theirs, bins), 3), round(unit * measure_emd(own, theirs), 1)]
        found[f"{name} by drum (tv, emd)"] = lanes
    return found


def measure_interval(parts: list[Hits], people: list[Hits], name: str, resamples: int = 200) -> list[float]:
    """95% interval of the total variation when other takes had been drawn, of both."""
    random = np.random.default_rng(0)
    bins = AXES[name][1]
    counts = [
        np.array([np.histogram(np.clip(getattr(h, name), bins[0], bins[-1]), bins)[0] for h in each])
        for each in (parts, people)
    ]
    drawn = []
    for _ in range(resamples):
        a, b = (c[random.integers(len(c), size=len(c))].sum(0) for c in counts)
        drawn.append(abs(a / a.sum() - b / b.sum()).sum() / 2)
    return [round(float(v), 3) for v in np.quantile(drawn, (0.025, 0.975))]


def choose_takes(takes: list[DrumTake], split: str, style: str) -> list[DrumTake]:
    """Grooves, no fills, in 4/4, of the drummers whose hands a style plays with."""
    slowest = SLOWEST.get(style, np.inf)
    return [
        t
        for t in takes
        if t.split == split
        and not t.is_fill
        and t.style in SUITING[style]
        and t.bpm <= slowest
        and t.metre.steps_per_bar == 16
    ]


def draw_pictures(folder: Path, style: str, sides: dict[str, Hits]) -> None:
    """Histograms of offsets and velocities, by drum, of every side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drums = ["kick", "snare", "closed hi-hat", "ride", "all"]
    figure, axes = pyplot.subplots(2, len(drums), figsize=(4 * len(drums), 6))
    names = list(LANES)
    for row, (name, (unit, bins)) in enumerate(AXES.items()):
        for column, drum in enumerate(drums):
            axis = axes[row][column]
            for side, hits in sides.items():
                values = getattr(hits, name)
                if drum != "all":
                    values = values[hits.lane == names.index(drum)]
                if len(values) >= 50:
                    shares = np.histogram(np.clip(values, bins[0], bins[-1]), bins)[0] / len(values)
                    axis.stairs(shares, bins * unit, label=side)
            axis.set_title(f"{style}: {drum}, {name}", fontsize=9)
            axis.set_xlabel("thousandths of a step" if name == "offset" else "velocity", fontsize=8)
            axis.set_ylabel("share of hits", fontsize=8)
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"feel-{style}.png", dpi=70)
    pyplot.close(figure)


def main() -> int:
    """Judge, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--songs", type=int, default=6, help="that the band plays in each style; 0: none")
    parser.add_argument("--seeds", type=int, default=4, help="with which each take is played")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    feel = load_feel()
    if feel is None:
        sys.stderr.write("no feel is shipped (models/pretrained/feel.onnx)\n")
        return 2
    takes = read_takes(args.data)
    player = load_player("gan") if args.songs else None
    found: dict[str, Any] = {}
    for style in STYLES:
        people = [list_hits(t) for t in choose_takes(takes, "valid", style)]
        trained = [list_hits(t) for t in choose_takes(takes, "train", style)]
        played = [
            play_take(feel, take, style, len(STYLES) * index + 31 * seed)
            for index, take in enumerate(choose_takes(takes, "valid", style))
            for seed in range(args.seeds)
        ]
        sides = {"validation drummers": join(people), "training drummers": join(trained), "hands": join(played)}
        if player is not None:
            sides["band"] = play_band(player, feel, args.data, style, args.songs)
            sides["band without a feel"] = play_band(player, None, args.data, style, args.songs)
        found[style] = {side: compare(hits, sides["validation drummers"]) for side, hits in sides.items()}
        found[style].pop("validation drummers")
        for side, parts in (("hands", played), ("training drummers", trained)):
            found[style][side] |= {f"{name} tv, 95%": measure_interval(parts, people, name) for name in AXES}
        found[style]["takes"] = {"validation": len(people), "training": len(trained)}
        if args.pictures is not None:
            draw_pictures(args.pictures, style, sides)
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
