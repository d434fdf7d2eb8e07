"""Facts about players, and what they have not learned."""

from __future__ import annotations

from daemon.core.player_info import PlayerInfo, describe_limits
from daemon.core.settings import Settings
from music.note import ROLES, Metre

BOTH = PlayerInfo(
    16, 16, 16, ROLES, ("pop", "chorale"), ("gan", "transformer"),
    technique_styles={"gan": ("pop",), "transformer": ("pop", "chorale")},
)  # fmt: skip


def test_each_technique_has_its_styles_and_without_more_knowledge_those_of_all() -> None:
    assert BOTH.get_styles("gan") == ("pop",)
    assert BOTH.get_styles("transformer") == ("pop", "chorale")
    assert PlayerInfo(16, 16, 16, ROLES, ("hum",)).get_styles("kazoo") == ("hum",)


def test_a_metre_that_was_not_learned_is_said_once() -> None:
    assert describe_limits(BOTH, Settings("pop", technique="gan"), [Metre()]) == []
    assert describe_limits(BOTH, Settings("pop", technique="gan"), [Metre(2, 2), Metre()]) == []
    assert describe_limits(BOTH, Settings("pop", technique="gan"), [Metre(3, 4), Metre(6, 8), Metre(12, 8)]) == []
    assert describe_limits(BOTH, Settings("pop", technique="gan"), [Metre(7, 8), Metre(), Metre(7, 8)]) == [
        "the gan has learned from music in 4/4, 3/4, 6/8, 12/8: in 7/8 it keeps your bars, but its grooves are those "
        "of another metre"
    ]
    assert describe_limits(BOTH, Settings("pop", technique="transformer"), [Metre(9, 8), Metre(6, 4)]) == []
    assert describe_limits(BOTH, Settings("pop", technique="transformer"), [Metre(5, 4, (3, 2))]) == [
        "the transformer has learned from music in 4/4, 3/4, 6/4, 3/8, 6/8, 9/8, 12/8: in 5/4 it keeps your bars, but "
        "its grooves are those of another metre"
    ]


def test_a_style_that_was_not_learned_is_said_of_a_player_of_some_roles() -> None:
    mixed = Settings("chorale", technique="transformer", players={"drums": "gan"})
    assert describe_limits(BOTH, mixed, [Metre()]) == [
        "the gan has not learned chorale, only pop: it plays its roles as pop"
    ]
