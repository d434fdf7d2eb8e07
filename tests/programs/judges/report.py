"""Reports of the judges, as plain data for JSON and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from music.errors import UserError
from music.evaluation.means import Mean
from tests.programs.judges import belonging as contrast
from tests.programs.judges import critic, critic_songs
from tests.programs.judges import styles as classes
from tests.programs.judges.bench import BLOCKS, FOLLOWER, OWN, Tried
from tests.programs.judges.critic_songs import CriticSong, Pair
from tests.programs.judges.pieces import JUDGED_STYLES, Piece

#: (whose parts the 31 others are, whether all are moved into one key) -> heading
SETTINGS = {
    ("own kind", False): "among its own kind, as written",
    ("own kind", True): "its own kind, in one key",
    ("people's", False): "among people's parts, as written",
    ("people's", True): "people's parts, in one key",
}


def report_belonging(judge: contrast.BelongingJudge, tried: Sequence[Tried]) -> dict[str, Any]:
    """Return row -> setting -> share of windows in which a part is first of 32 for its melody; means over songs."""
    human = _find_windows([one.rules[OWN] for one in tried])
    rows: dict[str, list[Piece]] = {
        row: [one.rules[row] for one in tried if row in one.rules] for row in (OWN, BLOCKS, FOLLOWER)
    }
    for mode, style in dict.fromkeys(key for one in tried for key in one.band):
        rows[f"the band, {mode}, {style}"] = [one.band[mode, style] for one in tried if (mode, style) in one.band]
    found: dict[str, Any] = {}
    for row, pieces in rows.items():
        own = _find_windows(pieces)
        if own:
            found[row] = {
                f"{whose}{', in one key' if same_key else ''}": _export_mean(
                    contrast.average_songs(
                        own, contrast.measure_first_of_32(judge, own, own if whose == "own kind" else human, same_key)
                    )
                )
                for whose, same_key in SETTINGS
            }
    songs = len({window.piece.song for window in human})
    return {"songs": songs, "windows": len(human), "chance": 1 / contrast.CANDIDATES, "first_of_32": found}


def make_belonging_tables(found: dict[str, Any]) -> list[Table]:
    """Return a table with one row for each who plays."""
    title = f"own part first of {contrast.CANDIDATES}: {found['windows']} windows of four bars, {found['songs']} songs"
    table = Table("", *SETTINGS.values(), title=title)
    for row, settings in found["first_of_32"].items():
        table.add_row(row, *(_format_share(share) for share in settings.values()))
    return [table]


def report_styles(judge: classes.StyleClassifier, tried: Sequence[Tried]) -> dict[str, Any]:
    """Return how the band's bars are heard by mode, style played (rows) by style heard.

    Likewise for the chord follower, who plays the same whatever style is asked for.
    """
    follower = classes.count_heard(judge, [one.rules[FOLLOWER] for one in tried])
    found = {FOLLOWER: np.tile(follower, (len(JUDGED_STYLES), 1))}
    for mode in dict.fromkeys(mode for one in tried for mode, _ in one.band):
        played = [[one.band[mode, style] for one in tried if (mode, style) in one.band] for style in JUDGED_STYLES]
        found[f"the band, {mode}"] = np.array([classes.count_heard(judge, pieces) for pieces in played])
    return {
        "songs": len({one.rules[OWN].song for one in tried}),
        "styles": list(JUDGED_STYLES),
        "heard": {
            row: {"accuracy": classes.compute_accuracy(table), "bars": table.tolist()} for row, table in found.items()
        },
    }


def make_styles_tables(found: dict[str, Any]) -> list[Table]:
    """Return a confusion table for each who plays, and for held-out bars of the parts that styles are made of."""
    held_out = np.array(found["training"]["held_out"], np.int64)
    tables = [_make_confusion("held-out bars of the parts", classes.compute_accuracy(held_out), held_out.tolist())]
    return tables + [_make_confusion(row, heard["accuracy"], heard["bars"]) for row, heard in found["heard"].items()]


def _make_confusion(row: str, accuracy: float, bars: list[list[int]]) -> Table:
    table = Table(
        "played", *(f"heard as {style}" for style in JUDGED_STYLES), "bars", title=f"{row}: {accuracy:.1%} of bars"
    )
    for style, counts in zip(JUDGED_STYLES, bars, strict=True):
        total = sum(counts)
        if total:
            table.add_row(style, *(f"{count / total:.2f}" for count in counts), str(total))
    return table


def report_critic(learnt: Sequence[CriticSong], judged: Sequence[CriticSong]) -> dict[str, Any]:
    """Train critics of the band and of MMA on some songs, and return how well they tell them from people on others.

    Raises UserError where there are no windows of anybody.
    """
    recipe, found = critic.CriticRecipe(), {}
    for who in (critic_songs.BAND, critic_songs.MADE):
        known, asked = critic_songs.cut_pairs(learnt, who), critic_songs.cut_pairs(judged, who)
        if not known or not asked:
            continue
        heard = {how: _tell(critic.hear(known, how), critic.hear(asked, how), recipe) for how in critic.HEARINGS}
        scores, weights = critic.regress_densities(known, asked)
        found[who] = {
            "critic": {how: _export_mean(told.accuracy) for how, told in heard.items()},
            "densities": _export_mean(critic.count_told(asked, scores).accuracy),
            "weights": {name: round(weight, 2) for name, weight in weights[:4]},
            "songs": len({pair.song for pair in asked}),
            "windows": len(asked),
            "windows_learnt": len(known),
        }
    if not found:
        raise UserError("no song has four bars in which melody, people and somebody else play; take more with --songs")
    return {"people_against": found}


def _tell(known: Sequence[Pair], asked: Sequence[Pair], recipe: critic.CriticRecipe) -> critic.Told:
    """Train critics on some windows, and return how many of the others they tell right together."""
    critics = [critic.train(known, recipe, recipe.seed + i) for i in range(recipe.critics)]
    return critic.count_told(asked, critic.score_pairs(critics, asked))


def make_critic_tables(found: dict[str, Any]) -> list[Table]:
    """Return a table of balanced accuracies."""
    table = Table(
        *("people's bass and chords, or ...", *(f"told by {how}" for how in critic.HEARINGS), "by densities"),
        *("songs", "windows of each", "densities that tell (a standard deviation)"),
        title="balanced accuracy on songs that are not learnt from; chance 0.5",
    )
    for who, told in found["people_against"].items():
        weights = ", ".join(f"{name} {weight:+.1f}" for name, weight in told["weights"].items())
        shares = [_format_share(share) for share in (*told["critic"].values(), told["densities"])]
        table.add_row(who, *shares, str(told["songs"]), str(told["windows"]), weights)
    return [table]


def _find_windows(pieces: Sequence[Piece]) -> list[contrast.Window]:
    return [window for piece in pieces for window in contrast.find_windows(piece)]


def _export_mean(share: Mean) -> list[float] | None:
    """Return [mean, low, high]; None where there were too few windows of other songs."""
    return [round(value, 4) for value in (share.value, share.low, share.high)] if share.songs else None


def _format_share(share: list[float] | None) -> str:
    return "too few windows" if share is None else f"{share[0]:.3f} ({share[1]:.3f} to {share[2]:.3f})"
