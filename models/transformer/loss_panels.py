"""The transformer's losses: their names, their units, and what each should do over a run."""

from __future__ import annotations

from models.loss_plot import LossPanel

PANELS = (
    LossPanel(
        "Notes: surprise at the next step",
        "nats a step that has notes",
        "Falls fast for some hundred updates, then slowly. With a spoilt past it stays above that with the true one: "
        "the gap is what its own mistakes will cost it. Where training falls on and validation rises, songs are learnt "
        "by heart.",
        {
            "writing": "training",
            "valid_true_writing": "validation, true past",
            "valid_spoilt_writing": "validation, spoilt past",
        },
    ),
    LossPanel(
        "Loudness",
        "nats an onset, a tenth of them",
        "Falls below 0 (a density can be above 1) and levels off early.",
        {"loudness": "how loud the notes are"},
    ),
    LossPanel(
        "Melody: surprise at its next step",
        "nats a step",
        "Falls slowly and a little, for a melody is hard to foretell; it only has the network listen to the melody.",
        {"tune": "training"},
    ),
)
