"""The band on a real JACK server, from its first note to its last.

What it sounds like is for other tests; how precisely it plays is what `make bench-jack` measures.
"""

from __future__ import annotations

import pytest

from music.note import CHANNELS, Note
from tests.support.jack.stage import Performance, hanging, onsets, perform

pytestmark = pytest.mark.jack

BPM = 240
#: two bars up, and the same two bars down
UP = [Note(12 * i, 60 + 2 * i, 11, 90) for i in range(16)]
DOWN = [Note(12 * i, 90 - 2 * i - 1, 11, 90) for i in range(16)]


@pytest.fixture(scope="module")
def performances(jack_server: str, tmp_path_factory: pytest.TempPathFactory) -> list[Performance]:
    return [perform(melody, BPM, tmp_path_factory.mktemp("stage") / "report.json", fake=True) for melody in (UP, DOWN)]


def channels(done: Performance) -> set[int]:
    return {data[0] & 0x0F for _, data in onsets(done.heard)}


def test_it_answers_on_the_channels_of_its_roles_and_leaves_with_status_0(performances: list[Performance]) -> None:
    for done in performances:
        assert done.status == 0
        assert channels(done) == {CHANNELS[role] for role in ("bass", "chords", "pad", "drums")}


def test_the_first_note_starts_it(performances: list[Performance]) -> None:
    for done in performances:
        assert done.played[0][0] < done.heard[0][0]


def test_another_melody_makes_it_play_something_else(performances: list[Performance]) -> None:
    up, down = ([data[1] for _, data in onsets(done.heard) if data[0] & 0x0F == 1] for done in performances)
    assert up != down


def test_no_note_is_left_on_though_it_had_to_leave_in_the_middle(performances: list[Performance]) -> None:
    for done in performances:
        assert len(onsets(done.heard)) > 20
        assert hanging(done.heard) == set()


def test_every_step_had_its_own_plan(performances: list[Performance]) -> None:
    for done in performances:
        assert done.report["steps"] > 0
        assert done.report["failed"] == 0


def test_the_shipped_weights_play_through_the_command_line(
    jack_server: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = perform(UP, BPM, tmp_path_factory.mktemp("stage") / "report.json", options=["--seed", "1"])
    assert (done.status, hanging(done.heard)) == (0, set())
    assert onsets(done.heard)
    assert channels(done) <= {CHANNELS[role] for role in ("bass", "chords", "pad", "drums")}
    assert done.report["answered"] > 0
    assert done.report["failed"] == 0


def test_a_second_stranger_saw_the_same_notes(performances: list[Performance]) -> None:
    for done in performances:  # two recorders; an xrun may cost either some
        assert {data for _, data in onsets(done.frames)} & {data for _, data in onsets(done.heard)}
