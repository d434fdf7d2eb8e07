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
    LossPanel(
        "Critic: played minus real",
        "the critic's scale",
        "Begins at 0 and falls as the critic tells what is rolled out from what people played, then levels off. Where "
        "it rises again the transformer gains on it; back at 0 it cannot tell them apart any more.",
        {"critic": "score of the played minus score of the real"},
    ),
    LossPanel(
        "Critic: gradient penalty",
        "(slope - 1)²",
        "Falls well below 1 and stays there. Above 10 the critic is too steep, and what it says is worth nothing: "
        "lower critic_rate.",
        {"penalty": "penalty"},
        is_logarithmic=True,
    ),
    LossPanel(
        "Transformer: what the critic makes of it",
        "the critic's scale",
        "Minus the critic's score of what is rolled out. Rises while the critic learns; once its rewards count it "
        "should stop rising. Only its changes count: the critic's zero lies anywhere.",
        {"generator": "minus the score"},
    ),
    LossPanel(
        "Roll-outs: how much is played",
        "notes a bar of 16 steps",
        "Stays near where it begins. A fall to a few notes, or a rise without end, is a band that collapses into what "
        "one critic likes: lower `adversarial`.",
        {"onsets": "all roles"},
    ),
)
