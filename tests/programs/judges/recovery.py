"""Measure how soon the band recovers when the melody moves to another key half way.

    python -m tests.programs.judges.recovery --data DIR [--technique transformer] [--songs N] [--by SEMITONES]

Renders validation songs of pop909 live with the second half of the melody transposed; prints, over songs, the
figure `tone in beat` (share of melody steps whose pitch class the accompaniment plays within the beat) of the eight
bars before the change, of every bar after it, of the same bars had the melody stayed, and after how many bars the mean
of two is back within 5 % of the level before.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from daemon.core.settings import Settings
from daemon.offline.render import render_notes
from daemon.players.load import load_player
from music.corpus import read_split
from music.evaluation.consonance import measure_consonance
from music.evaluation.passage import MelodyPassage, Parts, collect_notes, find_passage
from music.midifile import Song, choose_melody

BARS = 8


def measure_tone_in_beat(melody: MelodyPassage, parts: Parts, bar: int) -> float:
    """Return the share of one bar."""
    steps = slice(bar * melody.steps_per_bar, (bar + 1) * melody.steps_per_bar)
    first = melody.first_step + steps.start
    where = MelodyPassage(first, melody.steps_per_bar, melody.line[steps], melody.begins[steps])
    return measure_consonance(where, collect_notes(parts, where))["tone_in_beat"]


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--technique", default="transformer")
    asked.add_argument("--songs", type=int, default=6)
    asked.add_argument("--by", type=int, default=6)
    options = asked.parse_args()
    player = load_player(options.technique)
    before: list[list[float]] = []
    after: list[list[float]] = []
    stayed: list[list[float]] = []
    for entry in read_split(options.data, "pop909", "valid", songs=options.songs, seed=0, style="pop"):
        song = entry.read()
        part = choose_melody(song)
        whole = find_passage(part.notes)
        half = whole.first_step // 16 + whole.bars // 2
        if whole.bars < 4 * BARS:
            continue
        moved = tuple(n if n.start < half * 96 else replace(n, pitch=n.pitch + options.by) for n in part.notes)
        for notes, kept in ((moved, after), (part.notes, stayed)):
            heard = Song((replace(part, notes=notes),), song.tempos, song.metres)
            parts, _ = render_notes(heard, player, Settings(player.info.styles[0]))
            where = find_passage(notes)
            middle = half - where.first_step // 16
            kept.append([measure_tone_in_beat(where, parts, middle + bar) for bar in range(BARS)])
            if notes is moved:
                before.append([measure_tone_in_beat(where, parts, middle - BARS + bar) for bar in range(BARS)])
    level = float(np.nanmean(before))
    bars = np.nanmean(after, axis=0)
    pairs = [float(np.mean(bars[i : i + 2])) for i in range(BARS - 1)]
    back = next((i for i, value in enumerate(pairs) if value >= 0.95 * level), None)
    click.echo(f"{len(before)} songs, moved by {options.by} semitones: tone in beat before {level:.3f}")
    click.echo("bars after: " + " ".join(f"{value:.3f}" for value in bars))
    click.echo("not moved:  " + " ".join(f"{value:.3f}" for value in np.nanmean(stayed, axis=0)))
    click.echo(f"back within 5 % after {back} bars" if back is not None else f"not back within {BARS} bars")


if __name__ == "__main__":
    main()
