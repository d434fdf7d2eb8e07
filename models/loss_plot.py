"""The plot of a run's losses: a panel for each thing that is measured, with a sentence on what it should do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from music.files import open_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: panels side by side
_COLUMNS = 3
_PANEL_INCHES = 5.2, 3.5
#: characters of a line of text under a panel's title
_TEXT_WIDTH = 74
#: colours of a panel's curves, which are told apart without seeing red and green
_COLOURS = ("#0f4c81", "#d97706", "#4f9d69", "#8a4f9d", "#c1272d", "#5b5b5b", "#17a2b8", "#a0760a")
#: the third curve is often where the second is
_LINES = ("solid", "solid", "dashed")
#: the share of a run that is its beginning, and how much higher than all that follows it may be to be seen whole
_BEGINNING, _ROOM = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class LossPanel:
    """A panel of the plot: losses that measure the same thing, in training and on songs kept aside."""

    #: its heading, for somebody who has not read the code
    title: str
    #: what the values are counted in, such as "nats a step"
    unit: str
    #: one sentence on what they should do over a run, and on what is wrong when they do something else
    expected: str
    #: column of losses.csv -> the name of its curve
    curves: Mapping[str, str]
    #: the axis of the values is logarithmic
    is_logarithmic: bool = False


def list_undeclared(names: Iterable[str], panels: Sequence[LossPanel]) -> list[str]:
    """Return the names of losses that no panel has."""
    declared = {name for panel in panels for name in panel.curves}
    return [name for name in names if name not in declared]


def draw_losses(path: Path, title: str, rows: Sequence[Mapping[str, str]], panels: Sequence[LossPanel]) -> None:
    """Draw the rows of losses.csv into a PNG, panel by panel; columns that no panel has get one each.

    Panels without any value are left out. Raises OSError.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = dict.fromkeys(name for row in rows for name in row if name not in ("step", "seconds"))
    others = [
        LossPanel(f"{name} (an earlier version's)", "", "This version does not know it.", {name: name})
        for name in list_undeclared(columns, panels)
    ]
    shown = [panel for panel in (*panels, *others) if any(name in columns for name in panel.curves)]
    across = max(1, min(_COLUMNS, len(shown)))
    down = max(1, -(-len(shown) // across))
    width, height = _PANEL_INCHES
    layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.1)
    figure = Figure(figsize=(width * across, height * down + 0.5), layout=layout)
    figure.suptitle(title, fontsize=14)
    axes = figure.subplots(down, across, squeeze=False)
    for axis, panel in zip(axes.flat, shown, strict=False):
        _draw_panel(axis, panel, rows)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    with open_atomically(path) as file:
        figure.savefig(file, dpi=90, format="png")


def _draw_panel(axis: Axes, panel: LossPanel, rows: Sequence[Mapping[str, str]]) -> None:
    curves: list[list[tuple[int, float]]] = []
    for index, (name, label) in enumerate(panel.curves.items()):
        points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        if points:
            curves.append(points)
            axis.plot(
                *zip(*points, strict=True),
                label=label,
                linewidth=1.4,
                marker="o" if len(points) == 1 else "",
                color=_COLOURS[index % len(_COLOURS)],
                linestyle=_LINES[index % len(_LINES)],
            )
    text = textwrap.fill(panel.expected, _TEXT_WIDTH)
    axis.set_title(f"{panel.title}\n", loc="left", fontsize=11, fontweight="bold", pad=9 * text.count("\n") + 6)
    axis.text(0, 1.03, text, transform=axis.transAxes, fontsize=8, color="#444444", va="bottom")
    if panel.is_logarithmic:
        axis.set_yscale("log")
    elif curves:
        _cut_beginning(axis, curves)
    axis.set_xlim(0, max(int(row["step"]) for row in rows))
    axis.set_xlabel("updates", fontsize=9)
    axis.set_ylabel(panel.unit, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(color="#e5e5e5", linewidth=0.6)
    axis.set_axisbelow(True)
    if curves:
        axis.legend(fontsize=8, framealpha=0.6)


def _cut_beginning(axis: Axes, curves: Sequence[Sequence[tuple[int, float]]]) -> None:
    """Let the axis of the values end above what comes after the beginning, where that is far below the beginning.

    The first updates fall so far that nothing else could be seen.
    """
    values = [value for points in curves for _, value in points]
    last = max(step for points in curves for step, _ in points)
    later = [value for points in curves for step, value in points if step > _BEGINNING * last]
    low, high = min(values), max(later, default=0.0)
    room = _ROOM * (high - low)
    if later and max(values) > high + room:
        axis.set_ylim(low - 0.05 * (high + room - low), high + room)
        told = f"begins at {max(values):.3g}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.text(0.12, 0.96, told, transform=axis.transAxes, fontsize=8, color="#444444", va="top", bbox=box)
