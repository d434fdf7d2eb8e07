"""The AR-CNN's losses: their names, their units, and what each should do over a run."""

from __future__ import annotations

from models.arcnn.network import ARCNN_STYLES
from models.loss_plot import LossPanel

PANELS = (
    LossPanel(
        "Edits: surprise at a right one",
        "nats an edit",
        "Begins at log(cells), about 9, falls fast to 7 and slowly below. It jumps up by some 0.1 where the network's "
        "own edits come into the examples.",
        {"nats": "training", **{f"valid_{style}_nats": f"validation, {style}" for style in ARCNN_STYLES}},
    ),
    LossPanel(
        "What all edits that seem worthwhile are worth",
        "note F1, 0 to 1",
        "Rises slowly all the while. Styles differ by how regular their music is, not by how far they are learnt.",
        {f"valid_{style}_f1": f"validation, {style}" for style in ARCNN_STYLES},
    ),
    LossPanel(
        "Calibration: how probable each edit is",
        "nats a cell that differs",
        "Falls with the edits' own loss. Where it rises while that falls, thresholds cannot be relied on.",
        {"calibration": "training"},
    ),
    LossPanel(
        "Lengths of added notes",
        "nats a note",
        "Falls from log(lengths) and levels off early, at the variety of note values.",
        {"length": "training"},
    ),
)
