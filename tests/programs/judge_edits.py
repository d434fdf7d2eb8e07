"""Judge the AR-CNN's edits, on music of the validation split, and print figures as JSON.

    python -m tests.programs.judge_edits [--data DIR] [--graph FILE.onnx] [--published FILE.onnx] [--pieces 16]
    [--pictures DIR] [--jobs N]

Restoration: notes of 8 bars are taken away (a share of them) and wrong ones put in (half as many), near right ones or
anywhere; or a voice goes, or all but the first. Note F1 (onset and pitch) before and after the same number of
evaluations of the same pieces, spoilt in the same way, through `daemon.offline.file_editing`, which is what `houseband
render` does; beside the published recipe where its graph is given: it makes one edit an evaluation and does not know
when to stop.
The difference is that of pairs, with half of its 95% interval. Harmony: the soprano alone goes in, none of it may go,
and the chorale comes out. `nats`: what the network gives the edits that would lead to the real piece, a mean over
them, less is better.

Pieces are restored by as many processes as there are cores, or as `--jobs` says; the figures are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from daemon.commands.evaluate import DATA
from daemon.evaluation.evaluate import map_in_processes
from daemon.offline.file_editing import EditOptions
from daemon.offline.file_editing import edit_draft as edit_as_rendered
from daemon.players.arcnn import EditScorer
from daemon.players.graph import Graph
from models.arcnn.dataset import add_wrong_notes
from music.corpus import read_split
from music.edits import selection
from music.edits.draft import Draft
from music.edits.edit import Limits
from music.edits.selection import EditScores
from music.encoding import edit_grid
from music.encoding.edit_grid import WINDOW_STEPS, Lengths
from music.evaluation.consonance import measure_consonance
from music.evaluation.passage import collect_notes, find_passage
from music.midifile import Song
from music.note import CHANNELS, TICKS_PER_STEP, Note

DRUMS = CHANNELS["drums"]
VOICES = ("soprano", "alto", "tenor", "bass_voice")
STYLE = "chorale"
#: collection -> style
COLLECTIONS = {"chorales": "chorale", "pop909": "pop", "lieder": "romantic", "quartets": "classical"}
LEVELS = (0.1, 0.3, 0.5, 0.7)
EVALUATIONS = 32
AT_ONCE = (1, 2, 4, 8, 16)


def draw_sheet(notes: Sequence[Note]) -> Lengths:
    """Return the first 8 bars as a sheet."""
    return edit_grid.from_notes(notes, 0, WINDOW_STEPS)[0]


def collect_voices(song: Song) -> list[list[Note]]:
    """Soprano first."""
    return [list(part.notes) for name in VOICES if (part := song.part(name)) is not None]


def make_draft(lengths: Lengths) -> Draft:
    """All as loud."""
    return Draft(lengths, np.where(lengths > 0, 80, 0).astype(np.uint8), range(0, WINDOW_STEPS, 16))


def measure_f1(lengths: Lengths, true: Lengths) -> float:
    """Of onsets and pitches."""
    both = ((lengths > 0) & (true > 0)).sum()
    return float(2 * both / max(1, (lengths > 0).sum() + (true > 0).sum()))


def measure_nats(scores: EditScores, draft: Draft, true: Lengths) -> float | None:
    """Mean of minus log-probability over the edits that are left to the real piece; None where there are none."""
    left = (draft.lengths > 0) != (true > 0)
    log_p = selection.normalise_log(scores.weights)
    return float(-log_p[left].mean()) if left.any() else None


@dataclass(frozen=True, slots=True)
class JudgedPiece:
    """8 bars of a song: all its notes, and part by part."""

    style: str
    true: Lengths
    parts: tuple[Lengths, ...]


def read_pieces(data: Path, collection: str, count: int) -> list[JudgedPiece]:
    """Eight bars of the middle of `count` songs, one of each."""
    found: dict[str, JudgedPiece] = {}
    for entry in read_split(data, collection, "valid", songs=count):
        song = entry.read()
        lines = [part.notes for part in song.parts if part.notes and part.channel != DRUMS]
        first = max(0, (song.end // TICKS_PER_STEP // 16 - WINDOW_STEPS // 16) // 2) * 16
        parts = tuple(edit_grid.from_notes(line, first, WINDOW_STEPS)[0] for line in lines)
        parts = tuple(part for part in parts if part.any())
        true = np.max(parts, 0) if parts else np.zeros((WINDOW_STEPS, 128), np.int16)
        if len(parts) > 1 and (true > 0).sum() > 30:
            found.setdefault(entry.song, JudgedPiece(COLLECTIONS[collection], true, parts))
    return list(found.values())


def spoil(true: Lengths, level: float, near: bool, random: np.random.Generator) -> Lengths:
    """Return a piece with a share `level` of its notes taken away and half as many wrong ones put in."""
    steps, pitches = np.nonzero(true)
    rows = np.stack([steps, pitches, true[steps, pitches], np.zeros_like(steps)], 1).astype(np.int32)
    left = true.copy()
    gone = random.random(len(rows)) < level
    left[steps[gone], pitches[gone]] = 0
    add_wrong_notes(left, rows, round(level * len(rows) / 2), 1.0 if near else 0.0, random)
    return left


def spoil_in_all_ways(piece: JudgedPiece, index: int) -> dict[str, Lengths]:
    """Kind -> the piece spoilt in that way."""
    found = {
        f"{level:g}, wrong notes {'near' if near else 'anywhere'}": spoil(
            piece.true, level, near, np.random.default_rng([index, round(100 * level), near])
        )
        for near in (True, False)
        for level in LEVELS
    }
    gone = 1 + index % (len(piece.parts) - 1)
    found["a voice gone"] = np.max([part for i, part in enumerate(piece.parts) if i != gone], 0)
    found["all but the first gone"] = piece.parts[0]
    return found


@dataclass(frozen=True, slots=True)
class RestorationTask:
    """A piece to spoil in all ways, and to restore."""

    graph: Path | None
    index: int
    piece: JudgedPiece
    evaluations: int
    #: edits of an evaluation; None: as `houseband render`
    at_once: int | None


@lru_cache(maxsize=2)
def load_scorer(graph: Path | None) -> EditScorer:
    """Load a graph, once in each process."""
    return EditScorer(Graph(graph, "arcnn"))


def restore(task: RestorationTask) -> dict[str, tuple[float, float]]:
    """Kind -> F1 before and after."""
    found: dict[str, tuple[float, float]] = {}
    piece = task.piece
    for kind, left in spoil_in_all_ways(piece, task.index).items():
        draft = make_draft(left)
        limits = Limits(add_max=10_000)
        options = EditOptions(
            piece.style, limits, iterations=task.evaluations, risk=0, seed=task.index, at_once=task.at_once
        )
        edit_as_rendered(draft, load_scorer(task.graph), options)
        found[kind] = measure_f1(left, piece.true), measure_f1(draft.lengths, piece.true)
    return found


def judge_restoration(
    graph: Path | None, pieces: Sequence[JudgedPiece], evaluations: int, at_once: int | None, jobs: int
) -> dict[str, list[tuple[float, float]]]:
    """Kind -> F1 before and after, of every piece. at_once: as in RestorationTask; jobs: how many processes."""
    tasks = [RestorationTask(graph, index, piece, evaluations, at_once) for index, piece in enumerate(pieces)]
    found: dict[str, list[tuple[float, float]]] = {}
    for restored in map_in_processes(restore, tasks, jobs, "restoring"):
        for kind, pair in restored.items():
            found.setdefault(kind, []).append(pair)
    return found


def compare(
    ours: dict[str, list[tuple[float, float]]], theirs: dict[str, list[tuple[float, float]]] | None
) -> dict[str, dict[str, float]]:
    """Means by kind, and the mean difference with half of its 95% interval."""
    found: dict[str, dict[str, float]] = {}
    for kind, pairs in ours.items():
        before, after = np.array(pairs).T
        row = {"before": before.mean(), "after": after.mean()}
        if theirs is not None:
            other = np.array(theirs[kind])[:, 1]
            better = after - other
            row |= {"published": other.mean(), "better by": better.mean()}
            row["+-"] = 1.96 * better.std(ddof=1) / len(better) ** 0.5 if len(better) > 1 else float("nan")
        found[kind] = {name: round(float(value), 3) for name, value in row.items()}
    return found


def count_parallels(voices: Sequence[Sequence[Note]]) -> int:
    """Parallel fifths and octaves (unisons, too) between any two lines, where both move the same way."""
    steps = max(n.end for v in voices for n in v) // TICKS_PER_STEP
    lines = np.full((len(voices), steps), -1)
    for row, voice in zip(lines, voices, strict=True):
        for n in voice:
            row[n.start // TICKS_PER_STEP : n.end // TICKS_PER_STEP] = n.pitch
    count = 0
    for a in range(len(lines)):
        for b in range(a + 1, len(lines)):
            there = (lines[a] >= 0) & (lines[b] >= 0)
            both = there[1:] & there[:-1] & (lines[a][1:] != lines[a][:-1]) & (lines[b][1:] != lines[b][:-1])
            same_way = (lines[a][1:] - lines[a][:-1]) * (lines[b][1:] - lines[b][:-1]) > 0
            interval = np.abs(lines[a] - lines[b]) % 12
            count += int((both & same_way & (interval[1:] == interval[:-1]) & np.isin(interval[1:], (0, 7))).sum())
    return count


def split_lines(notes: Sequence[Note]) -> list[list[Note]]:
    """Voices of a texture without any: on every step the sounding notes from the top, up to four lines."""
    steps = max((n.end for n in notes), default=0) // TICKS_PER_STEP
    lines: list[list[Note]] = [[] for _ in VOICES]
    for step in range(min(steps, WINDOW_STEPS)):
        tick = step * TICKS_PER_STEP
        now = sorted((n for n in notes if n.start <= tick < n.end), key=lambda n: -n.pitch)[: len(lines)]
        for line, n in zip(lines, now, strict=False):
            line.append(Note(tick, n.pitch, TICKS_PER_STEP))
    return [line for line in lines if line]


def measure_texture(notes: Sequence[Note], melody: Sequence[Note]) -> dict[str, float]:
    """Consonance with the melody, parallels a bar, voices a step."""
    where = find_passage([n for n in melody if n.end <= WINDOW_STEPS * TICKS_PER_STEP])
    rest = [n for n in notes if n not in set(melody)]
    sounding = edit_grid.find_sounding(draw_sheet(notes))[where.first_step : where.first_step + where.steps]
    lines = split_lines(notes)
    return {
        **{
            key: measure_consonance(where, collect_notes({"edits": rest}, where))[key]
            for key in ("consonant", "ur", "clash")
        },
        "parallels a bar": count_parallels(lines) / 8 if len(lines) > 1 else 0.0,
        "voices a step": float(sounding.sum(1)[sounding.any(1)].mean()),
    }


def judge_harmony(
    editor: EditScorer, songs: Sequence[Song], at_once: int, most: int, risk: float, pictures: Path | None
) -> dict[str, Any]:
    """Harmonise sopranos: F1 and nats after so many edits, and at the end the texture, beside the real one's."""
    after: dict[int, list[tuple[float, float]]] = {}
    textures: dict[str, list[dict[str, float]]] = {"edited": [], "human": []}
    for index, song in enumerate(songs):
        voices = collect_voices(song)
        true = draw_sheet([n for v in voices for n in v])
        draft, limits = make_draft(draw_sheet(voices[0])), Limits(remove_max=0, add_max=10_000)
        random, belief = np.random.default_rng(index), selection.NoteBelief()
        for turn in range(1, 65):
            scores = editor.score(draft, limits, STYLE)
            belief.update(draft, scores)
            made, left = len(draft.log), measure_nats(scores, draft, true)
            mark = next((k for k in (0, 8, 16, 32, 64, 96) if k <= made < k + at_once), None)
            if mark is not None and left is not None:
                after.setdefault(mark, []).append((measure_f1(draft.lengths, true), left))
            if made >= most or not selection.draw_edits(
                draft, scores, limits, random, count=at_once, risk=risk, iteration=turn, belief=belief, strict=True
            ):
                break
        notes = edit_grid.to_notes(draft.lengths, np.full_like(draft.velocities, 80))
        melody = edit_grid.to_notes(draw_sheet(voices[0]), np.full_like(draft.velocities, 80))
        human = edit_grid.to_notes(true, np.full_like(draft.velocities, 80))
        textures["edited"].append({**measure_texture(notes, melody), "F1": measure_f1(draft.lengths, true)})
        textures["human"].append({**measure_texture(human, melody), "F1": 1.0})
        if pictures is not None and index < 4:
            from daemon.evaluation import piano_roll_png as drawing

            where = find_passage(melody)
            rows = {"human": {"chords": human}, "edited": {"edits": notes}}
            drawing.draw_piano_rolls(pictures / f"{index}.png", f"chorale {index}", tuple(melody), rows, where)
    return {
        "after so many edits: F1, nats": {
            k: [round(float(np.mean(column)), 3) for column in zip(*rows, strict=True)]
            for k, rows in sorted(after.items())
        },
        **{
            who: {key: round(float(np.nanmean([t[key] for t in found])), 3) for key in found[0]}
            for who, found in textures.items()
        },
    }


def measure_at_once(editor: EditScorer, pieces: Sequence[Lengths], edits: int) -> dict[int, Any]:
    """k edits an evaluation: F1 and nats after the same number of edits, evaluations, edits a second."""
    found: dict[int, Any] = {}
    for count in AT_ONCE:
        ends, left, spent, made, evaluations = [], [], 0.0, 0, 0
        for index, true in enumerate(pieces):
            draft = make_draft(spoil(true, 0.5, True, np.random.default_rng([index, 50])))
            limits, random, belief = Limits(add_max=10_000), np.random.default_rng(index), selection.NoteBelief()
            begun = time.process_time()
            while len(draft.log) < edits:
                wanted = min(count, edits - len(draft.log))
                scores = editor.score(draft, limits, STYLE)
                evaluations += 1
                belief.update(draft, scores)
                if not selection.draw_edits(
                    draft, scores, limits, random, count=wanted, risk=0.5, iteration=1, belief=belief
                ):
                    break
            spent += time.process_time() - begun
            made += len(draft.log)
            ends.append(measure_f1(draft.lengths, true))
            value = measure_nats(editor.score(draft, limits, STYLE), draft, true)
            left += [] if value is None else [value]
        found[count] = {
            "F1": round(float(np.mean(ends)), 3),
            "nats": round(float(np.mean(left)), 3),
            "edits": round(made / len(pieces), 1),
            "evaluations": round(evaluations / len(pieces), 1),
            "edits a second": round(made / spent, 1),
        }
    return found


def main() -> int:
    """Judge, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--graph", type=Path, help="instead of the shipped weights")
    parser.add_argument("--published", type=Path, help="a graph of `houseband train arcnn --set published=true`")
    parser.add_argument("--pieces", type=int, default=16)
    parser.add_argument("--evaluations", type=int, action="append", help="how many (repeatable; default: 32)")
    parser.add_argument("--collection", action="append", choices=list(COLLECTIONS), help="repeatable; default: all")
    parser.add_argument("--restoration-only", action="store_true")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; one a core unless said")
    args = parser.parse_args()
    if not (args.data / "chorales.tar.gz").is_file() and not (args.data / "chorales").is_dir():
        sys.stderr.write(f"{args.data}: no chorales there; name the folder of the music collections with --data\n")
        return 2
    for graph in {args.graph, args.published or args.graph}:  # one that cannot be played is said at once
        load_scorer(graph)
    found: dict[str, Any] = {}
    for collection in args.collection or COLLECTIONS:
        pieces = read_pieces(args.data, collection, args.pieces)
        for evaluations in args.evaluations or (EVALUATIONS,):
            ours = judge_restoration(args.graph, pieces, evaluations, None, args.jobs)
            theirs = args.published and judge_restoration(args.published, pieces, evaluations, 1, args.jobs)
            title = f"{collection}, {len(pieces)} pieces, {evaluations} evaluations"
            found[title] = compare(ours, theirs)
            sys.stderr.write(f"{title}: {json.dumps(found[title])}\n")
    if not args.restoration_only:
        songs = [entry.read() for entry in read_split(args.data, "chorales", "valid")][: args.pieces]
        if args.pictures is not None:
            args.pictures.mkdir(parents=True, exist_ok=True)
        found["at once"] = measure_at_once(
            load_scorer(args.graph), [draw_sheet([n for v in collect_voices(s) for n in v]) for s in songs], 48
        )
        found["soprano in, risk 0"] = judge_harmony(load_scorer(args.graph), songs, 8, 400, 0.0, args.pictures)
        found["soprano in, risk 1"] = judge_harmony(load_scorer(args.graph), songs, 8, 400, 1.0, None)
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
