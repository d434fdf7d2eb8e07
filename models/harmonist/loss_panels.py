"""The harmonist's losses: their names, their units, and what each should do over a run."""

from __future__ import annotations

from models.loss_plot import LossPanel

#: what a validation is called in its columns -> what the harmonist knew in it
_ASKED = {
    "live": "validation, melody heard so far",
    "forgetful": "..., without memory of earlier places",
    "moved": "..., in a key that changes",
    "offline": "validation, whole melody",
    "folk": "lead sheets, melody heard so far",
    "folk_offline": "lead sheets, whole melody",
    "chart": "validation, chords as a chart has them",
    "hands": "validation, chords as left hands play them",
}

PANELS = (
    LossPanel(
        "Chords: surprise at the right one",
        "nats a chord",
        "Begins at log(chords), falls fast until the key is heard, at about 3, and slowly below. The whole melody is "
        "worth 0.2 nats; chords that are given bring it near 0. Validation that rises again is learning by heart.",
        {"chord": "training, this beat and those ahead", **{f"valid_{k}_chord": v for k, v in _ASKED.items()}},
    ),
    LossPanel(
        "Right roots",
        "share of beats, 0 to 1",
        "Rises from 1/12 to about 0.4 live and 0.5 with the whole melody: people harmonise one melody in many ways. "
        "With a chart it nears 1.",
        {f"valid_{k}_root": v for k, v in _ASKED.items()},
    ),
    LossPanel(
        "Norm of the gradient",
        "norm, before it is clipped to 1",
        "Stays between 0.1 and 10. In the thousands, the precision is too low or the rate too high, and nothing is "
        "learnt.",
        {"gradient": "norm"},
        is_logarithmic=True,
    ),
)
