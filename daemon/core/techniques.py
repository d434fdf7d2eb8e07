"""The techniques by which parts are made, in one table: a new one is a line here and a file in daemon/players.

A package of its own may add techniques, too: as entry points of the group `houseband.techniques`, each of which is a
`Technique`, or by `register`. Looking into the table imports no player.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from music.errors import UserError
from music.note import Metre

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "houseband.techniques"


@dataclass(frozen=True, slots=True)
class Technique:
    """A way of making parts: a class of player, and graphs trained for it."""

    #: what it is called on the command line, in a configuration and in a graph's signature
    name: str
    #: its player, a subclass of daemon.players.graph.GraphPlayer, as `module:class`
    player: str
    #: the package that holds the graph it plays on unless another is named, as the file NAME.onnx
    graph_package: str = "models.pretrained"
    #: it edits the notes of a loop, or of a file, instead of accompanying a melody
    edits_notes: bool = False
    #: it can go on with a melody by itself: its player is a daemon.players.player.ContinuingPlayer
    continues_melodies: bool = False
    #: the metres of the music that its shipped graph has learned from; empty: any
    learned_metres: tuple[Metre, ...] = ()
    #: a plan is one run of one network, whose time can be compared with the same network's in torch
    is_one_network: bool = True


_TECHNIQUES = {
    technique.name: technique
    for technique in (
        Technique(
            "gan",
            "daemon.players.gan:GanPlayer",
            learned_metres=(Metre(), Metre(3, 4), Metre(6, 8), Metre(12, 8)),
        ),
        Technique("arcnn", "daemon.players.arcnn:ArcnnPlayer", edits_notes=True),
        Technique(
            "transformer",
            "daemon.players.transformer:TransformerPlayer",
            continues_melodies=True,
            learned_metres=(Metre(), *(Metre(3, 4), Metre(6, 4)), *(Metre(n, 8) for n in (3, 6, 9, 12))),
            is_one_network=False,
        ),
    )
}
#: the technique that plays where none is named
DEFAULT_TECHNIQUE = next(iter(_TECHNIQUES))


def register(technique: Technique) -> None:
    """Add a technique to the table of this process. Raises ValueError for a name that is taken."""
    if technique.name in _TECHNIQUES:
        raise ValueError(f"there is a technique {technique.name!r} already")
    _TECHNIQUES[technique.name] = technique


def find(name: str) -> Technique:
    """Return the technique of that name. Raises UserError where there is none.

    Installed packages are looked through, which takes a moment, only for a name that is not in the table.
    """
    if name not in _TECHNIQUES:
        check_technique(name, list_names())
        _TECHNIQUES[name] = next(point for point in _entry_points() if point.name == name).load()
    return _TECHNIQUES[name]


def list_techniques() -> tuple[Technique, ...]:
    """Return the techniques in the table: the program's own, those registered, and installed ones that were named."""
    return tuple(_TECHNIQUES.values())


def describe_choice() -> str:
    """Return the names of the techniques in the table in words, for help texts: a, b or c."""
    *others, last = _TECHNIQUES
    return f"{', '.join(others)} or {last}"


def list_names() -> tuple[str, ...]:
    """Return the names of all techniques, those of installed packages too. Takes a moment."""
    return tuple(dict.fromkeys((*_TECHNIQUES, *(point.name for point in _entry_points()))))


def check_technique(name: str, techniques: Collection[str]) -> None:
    """Raise UserError for a technique that is not among those there are."""
    if name not in techniques:
        raise UserError(f"no technique {name!r}; there are {', '.join(techniques)}")


def check_style(style: str, styles: Collection[str]) -> None:
    """Raise UserError for a style that is not among those a player knows."""
    if style not in styles:
        raise UserError(f"no style {style!r}; the player knows {', '.join(styles)}")


def _entry_points() -> list[EntryPoint]:
    from importlib import metadata  # slow to load

    return list(metadata.entry_points(group=ENTRY_POINTS))
