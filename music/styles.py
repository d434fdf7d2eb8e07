"""Styles that the players know, and the collections of songs that they learn them from.

A new style is one line of `STYLES`, a new collection one line of `COLLECTIONS`. A network's style input has one place
for each style its technique learns, in the order of `list_styles`: put a new style last, or the weights of networks
that were trained before do not fit any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The collection whose accompaniments were made by rule, each song in several styles.
BANDS = "bands"
#: The collection of drummers' takes, which hold drums only.
DRUMMERS = "grooves"
#: The style of a song in a collection that is not listed: most folders that a user trains on hold pop.
DEFAULT_STYLE = "pop"


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of songs that lies in one archive or folder of its name."""

    name: str
    #: style of all its songs; None where the name of a file ends in its style: `003-jazz`
    style: str | None
    #: how often training draws one of its melodies for the harmonist, relative to the other collections
    melody_weight: float = 1.0


COLLECTIONS = (
    Collection(BANDS, None),
    Collection("pop909", "piano"),
    Collection("chorales", "chorale", melody_weight=0.5),
    Collection("lieder", "romantic", melody_weight=0.5),
    Collection("quartets", "classical", melody_weight=0.3),
)


@dataclass(frozen=True, slots=True)
class Style:
    """A way to play, and the techniques that learn it."""

    name: str
    #: technique -> how often training draws a song in this style, relative to its other styles
    weights: Mapping[str, float]
    #: technique -> collection that it learns the style from, where that is not the one of `COLLECTIONS`
    sources: Mapping[str, str] = field(default_factory=dict)
    #: percent of the tempo that a ritardando before the final chord comes down to; 100: the style has none
    final_tempo_percent: int = 100
    #: degrees of the scale on which the chords of an introduction lie, one a bar; the last one leads to bar 1
    turnaround: tuple[int, ...] = (1, 6, 4, 5)
    #: tones of these chords: 3, triads, or 4, sevenths
    turnaround_tones: int = 3


STYLES = (
    Style("pop", {"gan": 1.0, "arcnn": 0.16, "transformer": 3.0}, {"arcnn": "pop909"}),
    Style("rock", {"gan": 1.0, "transformer": 1.5}, turnaround=(1, 4, 1, 5)),
    Style("jazz", {"gan": 1.0, "transformer": 1.5}, turnaround=(1, 6, 2, 5), turnaround_tones=4),
    Style("ballad", {"gan": 1.0, "transformer": 1.5}, final_tempo_percent=65),
    Style("piano", {"gan": 2.0, "transformer": 2.0}, final_tempo_percent=70),
    Style("romantic", {"arcnn": 0.16, "transformer": 0.7}, final_tempo_percent=60, turnaround=(1, 4, 2, 5)),
    Style("classical", {"arcnn": 0.18, "transformer": 0.7}, final_tempo_percent=70, turnaround=(1, 4, 2, 5)),
    Style("chorale", {"arcnn": 0.5, "transformer": 0.3}, final_tempo_percent=60, turnaround=(1, 4, 2, 5)),
)
#: Technique -> the style that comes first in its style input, where that is not the first of `STYLES`.
_FIRST_STYLE = {"arcnn": "chorale"}


def get_style(name: str) -> Style:
    """Return the style of a name; one that is not listed, as a graph of one's own may have, is a plain one."""
    return next((style for style in STYLES if style.name == name), Style(name, {}))


def get_weights(technique: str) -> dict[str, float]:
    """Return how often training draws each style that a technique learns, in the order of its style input."""
    learned = [style for style in STYLES if technique in style.weights]
    learned.sort(key=lambda style: style.name != _FIRST_STYLE.get(technique))
    return {style.name: style.weights[technique] for style in learned}


def list_styles(technique: str) -> tuple[str, ...]:
    """Return the styles that a technique learns, in the order of its style input; none for an unknown technique."""
    return tuple(get_weights(technique))


def find_collection(style: str | None, technique: str = "") -> str:
    """Return the collection that holds songs in a style, or that a technique learns it from."""
    sources = {known.name: known.sources for known in STYLES}
    if style in sources and technique in sources[style]:
        return sources[style][technique]
    return next((collection.name for collection in COLLECTIONS if style and collection.style == style), BANDS)


def is_collection(name: str) -> bool:
    """Tell whether a collection of that name is known, of songs or of drummers' takes."""
    return name == DRUMMERS or any(known.name == name for known in COLLECTIONS)


def names_style(collection: str) -> bool:
    """Tell whether the names of a collection's files end in their styles."""
    return any(known.name == collection and known.style is None for known in COLLECTIONS)


def read_style(collection: str, name: str) -> str | None:
    """Return the style that a file's name (without its ending) says it was made in; None where it says none."""
    return name.rpartition("-")[2] if names_style(collection) and "-" in name else None


def find_style(collection: str, name: str) -> str:
    """Return the style of a file, by its name or by its collection; `DEFAULT_STYLE` where neither tells."""
    named = read_style(collection, name)
    known = next((entry.style for entry in COLLECTIONS if entry.name == collection), None)
    return named or known or DEFAULT_STYLE
