"""Instances of one project, in whatever order the host processes them: each note at its sample, and none hangs."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.plugin.instances import (
    ABSENT,
    ALL,
    BASS,
    FRAMES_PER_TICK,
    NOTE_OFF,
    NOTE_ON,
    RATE,
    Daemon,
    Instance,
    Place,
    at,
    stopped,
    tell_all,
)

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
NS_PER_FRAME = 1_000_000_000 // 48_000
BASS_ON, BASS_OFF = bytes((NOTE_ON | 1, 40, 90)), bytes((NOTE_OFF | 1, 40, 64))

Make = Callable[..., Instance]


def test_an_epoch_that_begins_where_an_older_one_did_is_another(make: Make, daemon: Daemon) -> None:
    melody, bass = make(ALL), make(BASS)
    connection = daemon.accept()
    for each in (melody, bass):
        each.run(64, (0, at(96)))
    epoch = int(connection.hear("at")[0])
    # a jump, and back to the first place, within one block that the melody's instance is processed in first
    block = (64, (0, at(150)), (32, at(96)))
    melody.run(*block)
    connection.hear("at", epoch + 2, 96000)
    tell_all(connection, melody, f"note {epoch + 2} bass 96000 40 90 0", f"until {epoch + 2} 97000")
    assert bass.run(*block) == [(32, BASS_ON)]


def test_an_instance_that_is_processed_first_agrees_in_every_round_of_a_loop(make: Make, daemon: Daemon) -> None:
    melody, bass = make(ALL), make(BASS)
    connection = daemon.accept()
    for each in (bass, melody):
        each.run(64, (0, at(96)))
    epoch = int(connection.hear("at")[0])
    for again in range(1, 4):
        assert bass.run(64, (0, at(150)), (32, at(96))) == [(0, BASS_OFF)] * (again > 1)
        melody.run(64, (0, at(150)), (32, at(96)))
        now = epoch + 2 * again
        connection.hear("at", now, 96000)
        tell_all(connection, melody, f"note {now} bass 96100 40 90 0", f"until {now} 97000")
        assert bass.run(200) == [(68, BASS_ON)]


def test_an_instance_that_is_ahead_by_more_than_one_jump_is_believed_in_each(make: Make, daemon: Daemon) -> None:
    melody, bass = make(ALL), make(BASS)
    connection = daemon.accept()
    for each in (bass, melody):
        each.run(64, (0, at(96)))
    epoch = int(connection.hear("at")[0])
    bass.run(64, (0, stopped(200)))
    bass.run(64, (0, at(200)))  # the melody's track waits for other tracks
    connection.hear("at", epoch + 1, 200_000, 200_000, 0)
    connection.hear("at", epoch + 2, 200_000, 200_000, 1)
    for place in (stopped(200), at(200)):
        melody.run(64, (0, place))
    tell_all(connection, melody, f"note {epoch + 2} bass 200400 40 90 0", f"until {epoch + 2} 201000")
    assert bass.run(400) == [(400 - 64, BASS_ON)]


def test_an_instance_that_is_added_while_the_host_plays_receives_from_there_on(make: Make, daemon: Daemon) -> None:
    melody = make(ALL)
    connection = daemon.accept()
    melody.run(FRAMES_PER_TICK, (0, at(0)))
    epoch = int(connection.hear("at")[0])
    bass = make(BASS)
    for each in (bass, melody):
        each.run(FRAMES_PER_TICK, (0, at(1)))
    connection.hear("plays", 3)
    connection.hear("at", epoch, 0)
    tell_all(connection, melody, f"note {epoch} bass 2500 40 90 0", f"until {epoch} 4000")
    assert bass.run(FRAMES_PER_TICK, (0, at(2))) == [(500, BASS_ON)]
    melody.run(FRAMES_PER_TICK, (0, at(2)))
    for each in (bass, melody):  # and agrees on what is next
        each.run(FRAMES_PER_TICK, (0, at(50)))
    connection.hear("at", epoch + 1, 50000)
    tell_all(connection, melody, f"note {epoch + 1} bass 51250 40 90 0", f"until {epoch + 1} 52000")
    assert bass.run(FRAMES_PER_TICK, (0, at(51))) == [(250, BASS_ON)]


def test_a_melody_that_is_taken_away_and_comes_back_interrupts_nobody(make: Make, daemon: Daemon) -> None:
    melody, bass = make(ALL), make(BASS)
    connection = daemon.accept()
    for each in (melody, bass):
        each.run(FRAMES_PER_TICK, (0, at(0)), heard=[(10, bytes((NOTE_ON, 60, 90)))])
    epoch = int(connection.hear("at")[0])
    connection.hear("in", epoch, 10)
    melody.deactivate()
    connection.hear("in", epoch)  # its key goes up
    connection.hear("plays", 2, 1)
    bass.run(FRAMES_PER_TICK, (0, at(1)))
    melody.activate()
    connection.hear("plays", 3, 1)
    for tick in (2, 3):
        for each in (melody, bass):
            each.run(FRAMES_PER_TICK, (0, at(tick)))
    connection.hear("at", epoch, 0, 4000)
    tell_all(connection, bass, f"note {epoch} bass 4000 40 90 0", f"until {epoch} 5000")
    assert bass.run(FRAMES_PER_TICK, (0, at(4))) == [(0, BASS_ON)]


def test_the_last_instance_that_goes_stops_the_band(make: Make, daemon: Daemon) -> None:
    bass = make(BASS)
    connection = daemon.accept()
    bass.run(FRAMES_PER_TICK, (0, at(0)))
    epoch = int(connection.hear("at")[0])
    bass.deactivate()
    assert connection.hear("at", epoch + 1)[3] == "0"


def test_one_of_two_melodies_feeds_the_band_and_the_other_takes_over(make: Make, daemon: Daemon) -> None:
    first, second = make(ALL), make(ALL)
    connection = daemon.accept()
    first.run(100, (0, at(0)), heard=[(10, bytes((NOTE_ON, 60, 90)))])
    second.run(100, (0, at(0)), heard=[(10, bytes((NOTE_ON, 72, 90)))])
    epoch = int(connection.hear("at")[0])
    assert connection.hear("in")[2:4] == ["144", "60"]
    first.deactivate()
    assert connection.hear("in")[2:4] == ["128", "60"]
    second.run(100, heard=[(10, bytes((NOTE_ON, 74, 90)))])
    connection.hear("in", epoch, 110, 144, 74, 90)


def test_two_projects_of_one_host_know_nothing_of_each_other(make: Make, daemon: Daemon) -> None:
    melodies = [make(ALL, "one"), make(ALL, "two")]
    basses = [make(BASS, "one"), make(BASS, "two")]
    connections = {each.hello[1]: each for each in (daemon.accept(), daemon.accept())}
    assert sorted(connections) == ["one", "two"]
    for number, each in enumerate((*melodies, *basses)):
        each.run(100, (0, at(96 * (number % 2))))
    for number, name in enumerate(("one", "two")):
        connection, begin = connections[name], 96000 * number
        epoch = int(connection.hear("at")[0])
        pitch = 40 + number
        tell_all(
            connection,
            melodies[number],
            f"note {epoch} bass {begin + 150} {pitch} 90 0",
            f"until {epoch} {begin + 1000}",
        )
    assert [each.run(100) for each in basses] == [[(50, bytes((NOTE_ON | 1, 40 + number, 90)))] for number in range(2)]
    connections["one"].close()  # one is lost: what sounds of it ends, the other goes on
    basses[0].wait_for_status(ABSENT)
    assert basses[0].run(100) == [(0, BASS_OFF)]
    assert basses[1].run(100) == []


def test_what_sounds_ends_where_an_instance_is_taken_down_and_put_up_again(make: Make, daemon: Daemon) -> None:
    melody, bass = make(ALL), make(BASS)
    connection = daemon.accept()
    for each in (melody, bass):
        each.run(100, (0, at(0)))
    epoch = int(connection.hear("at")[0])
    tell_all(connection, melody, f"note {epoch} bass 150 40 90 0", f"until {epoch} 1000")
    assert bass.run(100) == [(50, BASS_ON)]
    bass.deactivate()
    bass.activate()
    assert bass.run(100, (0, at(0.2))) == [(0, BASS_OFF)]


@pytest.mark.parametrize(("first", "last"), [(120, 120), (90, 150), (200, 60)])
def test_a_position_that_the_host_rounds_is_made_exact(make: Make, daemon: Daemon, first: int, last: int) -> None:
    daemon.close()  # the host outruns real time: it would be waited for one that is there
    instance, block, blocks, part = make(ALL), 1000, 400, 24 / 1920
    rise = (last - first) / (block * blocks)

    def find_exact(frame: int) -> float:
        return (first + rise * frame / 2) * frame / RATE / 60 * 24

    for frame in range(0, block * blocks, block):
        told = at(round(find_exact(frame) / part) * part, frame, hides_ramps=True, rounded=part * 0.51)
        told.bpm = first + rise * frame
        instance.run(block, (0, told))
        frames_per_tick = 60 * RATE / told.bpm / 24
        off = abs(instance.find_tick() - find_exact(frame + block)) * frames_per_tick
        assert off < (0.01 if first == last else 0.7 if frame else 3)  # the first block tells nothing of a ramp


def test_behind_the_end_of_a_loop_nothing_begins_before_the_host_is_there(make: Make, daemon: Daemon) -> None:
    """What is told for both ways of the host is played once: where it goes round, and where it goes on."""
    bass = make(BASS)
    connection = daemon.accept()
    loop = {"has_loop": True, "loop_start": 0.0, "loop_end": 96.0004}  # the end is not on a sample
    bass.run(FRAMES_PER_TICK, (0, at(0, **loop)))
    epoch = int(connection.hear("at")[0])
    end = f"bass 96000 40 90 {-NS_PER_FRAME}"
    told = [
        f"note {epoch} {end}",
        f"note {epoch + 1} bass 0 41 90 0",
        f"until {epoch} 97000",
        f"until {epoch + 1} 1000",
    ]
    tell_all(connection, bass, *told)
    for tick in range(1, 95):
        assert bass.run(FRAMES_PER_TICK, (0, at(tick, **loop))) == []
    assert bass.run(FRAMES_PER_TICK + 1, (0, at(95, **loop))) == []
    assert bass.run(100, (0, at(0.0006, **loop))) == [(0, bytes((NOTE_ON | 1, 41, 90)))]


@pytest.mark.parametrize("turned_off", [True, False])
def test_a_host_that_does_not_go_round_hears_what_is_behind_the_loop(
    make: Make, daemon: Daemon, turned_off: bool
) -> None:
    bass = make(BASS)
    connection = daemon.accept()
    loop = {"has_loop": True, "loop_start": 0.0, "loop_end": 96.0}
    bass.run(1000, (0, at(95, **loop)))
    epoch = int(connection.hear("at")[0])
    told = [f"note {epoch} bass 96000 40 90 0", f"note {epoch + 1} bass 0 41 90 0", f"until {epoch} 97000"]
    tell_all(connection, bass, *told)
    assert bass.run(5000, (0, at(96, **({} if turned_off else loop)))) == [(0, BASS_ON)]
    # a jump to the loop's beginning is none of its rounds: what was told for that is forgotten
    assert bass.run(1000, (0, at(0))) == [(0, BASS_OFF)]


def test_a_loop_that_was_seen_once_is_expected_again_also_after_a_stop(make: Make, daemon: Daemon) -> None:
    bass = make(BASS)
    connection = daemon.accept()
    bass.run(1000, (0, at(95)))
    epoch = int(connection.hear("at")[0])
    bass.run(1000, (1, at(0)))  # back by a bar and the sample that its end was missed by
    assert connection.hear("at", epoch + 1)[9:] == ["0", "96000"]
    bass.run(1000, (0, stopped(1)))
    bass.run(1000, (0, at(48)))
    assert connection.hear("at", epoch + 3)[9:] == ["0", "96000"]
    bass.run(1000, (0, at(100)))  # behind it there is none
    assert connection.hear("at", epoch + 4)[9:] == ["0", "0"]


def test_a_host_that_tells_its_loops_has_no_others(make: Make, daemon: Daemon) -> None:
    bass = make(BASS)
    connection = daemon.accept()
    bass.run(1000, (0, at(96, tells_loop=True)))
    epoch = int(connection.hear("at")[0])
    bass.run(1000, (1, at(0, tells_loop=True)))
    assert connection.hear("at", epoch + 1)[9:] == ["0", "0"]


def in_bar(bar: int, quarters: float, beats: int) -> Place:
    """Return where a host is that counts bars of its own metres and no ticks."""
    return Place(speed=1, bpm=120, bar=bar, quarters=quarters, beats=beats, unit=4)


@pytest.mark.parametrize("way", ["added", "put up again"])
def test_an_instance_knows_the_metres_that_others_have_met(make: Make, daemon: Daemon, way: str) -> None:
    melody = make(ALL)
    bass = make(BASS) if way == "put up again" else None
    connection = daemon.accept()
    for each in (melody, bass) if bass else (melody,):
        each.run(100, (0, in_bar(0, 0, 4)))
    if bass:
        bass.deactivate()
    melody.run(100, (0, in_bar(2, 0, 3)))
    melody.run(100, (0, in_bar(5, 0, 4)))
    if bass:
        bass.activate()
    bass = bass or make(BASS)
    position = 24_000 * (2 * 4 + 3 * 3 + 4)  # where bar 6 begins
    for each in (melody, bass):
        each.run(100, (0, in_bar(6, 0, 4)))
    epoch = int(connection.hear("at")[0])
    while connection.hear("at")[1] != str(position):
        pass
    tell_all(connection, melody, *(f"note {epoch + each} bass {position + 150} 40 90 0" for each in range(5)))
    assert bass.run(100) == [(50, BASS_ON)]


def test_a_loop_whose_seam_lies_within_a_block_that_is_told_of_afterwards_is_on_time(
    make: Make, daemon: Daemon
) -> None:
    melody, bass = make(ALL), make(BASS)
    connection = daemon.accept()
    seam, key = 300, bytes((NOTE_ON, 60, 90))

    def play(first: int, last: int, *heard: tuple[int, bytes]) -> list[tuple[int, bytes]]:
        """Process a block for each tick, which begins behind it."""
        sent = []
        for tick in range(first, last + 1):
            place = at(tick + 0.7, (tick + 0.7) * FRAMES_PER_TICK, hides_ramps=True)
            place.beats, place.unit = 2, 32
            melody.run(FRAMES_PER_TICK, (0, place), heard=heard)
            sent += bass.run(FRAMES_PER_TICK, (0, place))
        return sent

    play(100, 101)
    epoch = int(connection.hear("at")[0])
    play(96, 97)  # the host has gone round from 102 to 96 in the block before: now it is known where
    assert connection.hear("at", epoch + 1)[-2:] == ["96000", "102000"]
    for now in (epoch + 2, epoch + 3):
        tell_all(connection, melody, f"note {now} bass 96000 40 90 0", f"until {now} 98000")
        assert play(98, 100) == []
        assert play(101, 101, (seam, key)) == [(seam, BASS_ON)]
        connection.hear("at", now, 96000)
        assert connection.hear("in", now) == [str(now), "96000", *map(str, key)]
        tell_all(connection, melody, f"note {now} bass 97800 40 0 0", f"until {now} 102000")
        assert play(96, 97) == [(100, BASS_OFF)]  # it goes on there, as was expected
    play(98, 101)
    connection.hear("at", epoch + 4, 96000)
    play(102, 102)  # the host goes round no more: there was no seam
    assert connection.hear("at", epoch + 5, 102700)[-2:] == ["0", "0"]
