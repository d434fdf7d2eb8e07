"""The GAN's losses: their names, their units, and what each should do over a run."""

from __future__ import annotations

from models.loss_plot import LossPanel

_NATS = "nats a step"

PANELS = (
    LossPanel(
        "All parts: surprise at the real band",
        _NATS,
        "Falls fast for some hundred updates, then slowly for hours; validation, of the averaged weights, comes later. "
        "Where training falls on and validation rises, songs are learnt by heart: stop there.",
        {
            "reconstruction": "training, on its own past",
            "valid_live_reconstruction": "validation, melody heard so far",
            "valid_offline_reconstruction": "validation, whole melody",
        },
    ),
    LossPanel(
        "Bass",
        _NATS,
        "All fall within some hundred updates, then slowly, and wander with the songs that are drawn. Blindly, a note "
        "that begins would cost log(24) = 3.2 nats.",
        {"bass_gate": "does a note begin", "bass_pitch": "which note", "bass_hold": "does it go on"},
    ),
    LossPanel(
        "Chords",
        _NATS,
        "All fall; which notes begin stays the greatest of all losses, for people break chords in many ways.",
        {"chords_gate": "do notes begin", "chords_onset": "which notes", "chords_hold": "which go on"},
    ),
    LossPanel(
        "Pad",
        _NATS,
        "All fall, early and far: the pads of the data were made by rule.",
        {"pad_gate": "do notes begin", "pad_onset": "which notes", "pad_hold": "which go on"},
    ),
    LossPanel(
        "Drums",
        _NATS,
        "Falls fastest of all, as a pattern comes again in every bar, and goes on falling as the groove vector is "
        "understood.",
        {"drums": "which drums are hit"},
    ),
    LossPanel(
        "Loudness",
        "nats a step, a tenth of them",
        "Below 0, for a density can be above 1. Falls early, and then wanders with the songs that are drawn: there is "
        "little to know beyond a role's mean.",
        {"velocity": "how loud the notes are"},
    ),
    LossPanel(
        "Critic: played minus real",
        "the critic's scale",
        "Begins at 0 and falls as the critic tells what is played from what people play, then levels off around -1 to "
        "-5. A fall without end, below -100, is a critic that runs away; back at 0 it cannot tell them apart any more.",
        {"critic": "score of the played minus score of the real"},
    ),
    LossPanel(
        "Critic: gradient penalty",
        "(slope - 1)²",
        "Falls well below 1 and stays there: then the critic is as steep as it may be. Above 10 it is too steep, and "
        "what it says is worth nothing: lower critic_rate.",
        {"penalty": "penalty"},
        is_logarithmic=True,
    ),
    LossPanel(
        "Generator: what the critic makes of it",
        "the critic's scale",
        "Minus the critic's score of what is played. Rises while the critic learns; once the generator listens it "
        "should stop rising. Only its changes count: the critic's zero lies anywhere.",
        {"generator": "minus the score"},
    ),
    LossPanel(
        "Generator: how much it listens to the critic",
        "weight",
        "Stays at the recipe's `adversarial` as long as the critic's pull is no greater than the likelihood's. Near 0 "
        "the critic has run away and is silenced.",
        {"adversarial_weight": "weight of the critic's score"},
    ),
)
