"""Pictures of accompaniments: piano rolls with the melody over each, in one PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from music.errors import UserError
from music.evaluation.passage import MelodyPassage, Parts
from music.files import open_atomically
from music.note import EDITS, TICKS_PER_STEP, Note, quantise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"melody": "#c1272d", "bass": "#0f4c81", "chords": "#4f9d69", "pad": "#d8a23a", "drums": "#5b5b5b"}
#: of roles that have none of their own, such as the AR-CNN's edits
_OTHER_COLOUR = "#8a4f9d"
MAX_BARS = 24
#: bars left out at a note's end, so that repeated notes stand apart
NOTE_GAP_BARS = 0.012


class PictureError(UserError):
    """Pictures that cannot be drawn."""


def check_matplotlib() -> None:
    """Raise PictureError where matplotlib is not installed: it is no part of the runtime."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise PictureError("pictures are drawn by matplotlib, which is not installed: pip install matplotlib") from None


def draw_piano_rolls(
    path: Path, title: str, melody: tuple[Note, ...], rows: Mapping[str, Parts], where: MelodyPassage
) -> None:
    """Write a PNG: one piano roll a row (label -> role -> notes) of the passage's first BARS bars, melody in each.

    Drums stand in a strip below the pitched parts. Raises PictureError without matplotlib, OSError when it cannot be
    written.
    """
    check_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    bars = min(MAX_BARS, where.bars)
    figure = Figure(figsize=(max(8.0, 0.7 * bars), 2.2 * len(rows)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    drawn = {role for parts in rows.values() for role in parts} | {"melody"}
    handles = [Patch(color=COLOURS.get(role, _OTHER_COLOUR), label=role) for role in (*COLOURS, EDITS) if role in drawn]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize="small", frameon=False, handlelength=1
    )
    panels = figure.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for panel, (label, parts) in zip(panels, rows.items(), strict=True):
        panel.set_title(label, loc="left", fontsize="small")
        for role, notes in (*parts.items(), ("melody", melody)):
            _draw_notes(panel, role, select_notes(tuple(notes), where, bars))
        for bar in range(bars + 1):
            panel.axvline(bar, color="#dddddd", linewidth=0.6, zorder=0)
    panels[-1].set_xlim(0, bars)
    panels[-1].set_ylim(14, 100)
    panels[-1].set_xlabel("bars from the melody's first")
    with open_atomically(path) as file:
        figure.savefig(file, dpi=90, format="png")


def select_notes(notes: tuple[Note, ...], where: MelodyPassage, bars: int) -> list[tuple[float, float, int]]:
    """Return (start, length, pitch) of the notes in the first bars of a passage, in bars from its start."""
    per_bar = where.steps_per_bar * TICKS_PER_STEP
    first = where.first_step * TICKS_PER_STEP
    end = first + bars * per_bar
    return [
        ((max(n.start, first) - first) / per_bar, (min(n.end, end) - max(n.start, first)) / per_bar, n.pitch)
        for n in quantise(notes)
        if n.end > first and n.start < end
    ]


def _draw_notes(panel: Axes, role: str, notes: list[tuple[float, float, int]]) -> None:
    low = role == "drums"
    pitches = [15 + pitch % 12 if low else pitch for _, _, pitch in notes]
    panel.barh(
        pitches,
        [0.04 if low else length - NOTE_GAP_BARS for _, length, _ in notes],
        left=[start for start, _, _ in notes],
        height=0.8 if low else 1.0,
        color=COLOURS.get(role, _OTHER_COLOUR),
        linewidth=0,
    )
