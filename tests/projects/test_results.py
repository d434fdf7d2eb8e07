"""Results: what the techniques make of an input, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.projects.generation import list_chords, make_song
from daemon.projects.item import Item
from daemon.projects.item_changes import show_edits
from daemon.projects.jobs import JobError, TooManyJobsError
from daemon.projects.techniques_on_offer import Wish
from daemon.projects.workshop import Workshop
from music.errors import UserError
from music.note import EDITS, MELODY, ROLES, Metre, Note, quantise
from tests.projects.items import TUNE, make_input

#: no answer takes longer, however busy the machine is
PATIENCE_S = 120
SHORT = replace(make_input(), bars=4, notes={MELODY: tuple(n for n in TUNE.notes if n.start < 4 * 96)})


class Shop:
    """A workshop, whose thread does what it is asked at once."""

    def __init__(self, folder: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self.shop = Workshop(folder, self.events.append)

    def ask(self, function: Callable[[Workshop], Any]) -> Any:
        return self.shop.ask(lambda: function(self.shop)).result(PATIENCE_S)

    def add(self, item: Item = SHORT) -> str:
        """Add an input, and return its id."""

        def put(shop: Workshop) -> str:
            key = shop.project.choose_id("input")
            shop.project.put("add", replace(item, id=key))
            return key

        return str(self.ask(put))

    def get(self, key: str) -> Item:
        item = self.ask(lambda shop: shop.project.get(key))
        assert isinstance(item, Item)
        return item

    def finish(self, job: str) -> dict[str, Any]:
        """Return a job once it is over."""
        answer = self.ask(lambda shop: shop._jobs._jobs[job].answer)
        answer.exception(PATIENCE_S)
        found = next(each for each in self.ask(Workshop.describe)["jobs"] if each["id"] == job)
        assert isinstance(found, dict)
        return found

    def make(self, key: str, wish: Wish) -> Item:
        """Return what is made of an input."""
        job = self.finish(self.ask(lambda shop: shop.make(key, wish))["id"])
        assert job["state"] == "done", job
        return self.get(job["item"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    opened = Shop(tmp_path_factory.mktemp("takes"))
    yield opened
    opened.shop.close()


@pytest.mark.parametrize(("technique", "style"), [("gan", "pop"), ("transformer", "jazz")])
def test_a_melody_is_accompanied_the_same_way_by_the_same_seed(shop: Shop, technique: str, style: str) -> None:
    key = shop.add()
    one, other, again = (shop.make(key, Wish(technique, style, seed)) for seed in (1, 2, 1))
    assert one.notes == again.notes != other.notes
    assert one.get(MELODY) == SHORT.get(MELODY)
    assert all(one.get(role) for role in ("bass", "drums"))
    assert (one.kind, one.parent, one.technique, one.style, one.seed) == ("result", key, technique, style, 1)
    assert (one.bars, one.bpm, one.metres) == (SHORT.bars, SHORT.bpm, SHORT.metres)
    assert all(note.end <= one.ticks for line in one.notes.values() for note in line)
    assert one.chords
    assert {tick % 48 for tick, _ in one.chords} == {0}


def test_the_hand_s_chords_are_what_the_band_plays_on(shop: Shop) -> None:
    chord = tuple(Note(0, pitch, 96) for pitch in (49, 53, 56))
    key = shop.add(replace(SHORT, notes={**SHORT.notes, "hand": chord}))
    made = shop.make(key, Wish("gan", "pop", 1))
    assert made.get("hand") == chord
    assert made.chords[0] == (0, "Db:maj")


def test_a_song_goes_on_and_what_there_is_has_a_band(shop: Shop) -> None:
    key = shop.add()
    made = shop.make(key, Wish("transformer", "pop", 3, extension=2))
    assert made.bars == SHORT.bars + 2
    assert made.name == "Transformer, 2 bars more, seed 3"
    for role in (MELODY, "bass"):
        assert any(note.start >= SHORT.ticks for note in made.get(role)), role
    assert any(note.start < SHORT.ticks for note in made.get("bass"))
    assert all(note.end <= made.ticks for line in made.notes.values() for note in line)


def test_notes_are_edited_and_each_edit_is_told(shop: Shop) -> None:
    key = shop.add()
    controls = {"creative_risk": 3.0, "remove_max": 100.0, "lock_bars": "1", "register_high": 90, "iterations": 10}
    controls.pop("iterations")
    made = shop.make(key, Wish("arcnn", "pop", 1, controls, iterations=10))
    assert made.edits
    assert made.edits_shown == len(made.edits)
    assert made.get(MELODY) == tuple(quantise(SHORT.get(MELODY)))
    assert show_edits(made, len(made.edits)).get(EDITS) == made.get(EDITS)
    assert all(each.tick >= 96 and each.pitch <= 90 and each.log_probability <= 0 for each in made.edits)
    assert made.controls == controls


def test_bars_are_played_anew_and_nothing_else_is_touched(shop: Shop) -> None:
    made = shop.make(shop.add(), Wish("gan", "rock", 1))
    before = shop.get(made.id)
    job = shop.ask(lambda opened: opened.regenerate(made.id, (2, 3), ["bass", "drums"], Wish("gan", "rock", 7)))
    assert shop.finish(job["id"])["item"] == made.id
    after = shop.get(made.id)
    assert after.revision != before.revision
    for role in after.notes:
        changed = set(after.get(role)) ^ set(before.get(role))
        assert role in ("bass", "drums") or not changed
        # a note that sounded into the bars ends where they begin
        assert all(note.start < 3 * 96 and note.end > 96 for note in changed)
    assert set(after.get("drums")) != set(before.get("drums"))
    shop.ask(Workshop.undo)
    assert shop.get(made.id) == before


def test_another_change_in_the_meantime_is_kept(shop: Shop) -> None:
    made = shop.make(shop.add(), Wish("gan", "pop", 1))

    def regenerate_and_rename(opened: Workshop) -> str:
        job = opened.regenerate(made.id, (1, 1), ["bass"], Wish("gan", "pop", 5))
        opened.change_item(made.id, "rename", lambda item: replace(item, name="Mine"))
        return str(job["id"])

    shop.finish(shop.ask(regenerate_and_rename))
    assert shop.get(made.id).name == "Mine"


def test_sound_is_written_with_the_mix(shop: Shop, tmp_path: Path) -> None:
    item = replace(make_input(), bars=1, notes={MELODY: (Note(0, 60, 90),), "bass": (Note(0, 36, 90),)})

    def write(name: str, mix: dict[str, object]) -> bytes:
        job = shop.ask(lambda opened: opened.write_wav(item, mix, tmp_path / name))
        job.answer.result(PATIENCE_S)
        with wave.open(str(tmp_path / name), "rb") as file:
            assert file.getnchannels() == 2
            assert file.getnframes() >= file.getframerate() * 60 / 104 * 3
            return bytes(file.readframes(file.getnframes()))

    both, melody = write("both.wav", {}), write("melody.wav", {"mute.bass": True})
    assert any(both)
    assert both != melody
    with pytest.raises(JobError, match="there is nothing to hear: no role that has notes is audible"):
        write("none.wav", {"mute.bass": True, "mute.melody": True})


def test_jobs_wait_and_can_be_cancelled(shop: Shop) -> None:
    key = shop.add(make_input())

    def crowd(opened: Workshop) -> list[str]:
        return [opened.make(key, Wish("gan", "pop", seed))["id"] for seed in range(3)]

    first, second, third = shop.ask(crowd)
    shop.ask(lambda opened: opened.cancel(second))
    shop.ask(lambda opened: opened.cancel(first))
    states = [shop.finish(job)["state"] for job in (first, second, third)]
    assert states[1:] == ["cancelled", "done"]
    assert states[0] in ("cancelled", "done")  # it may have been over already
    told = [event for event in shop.events if event["event"] == "job" and event["id"] == third]
    assert [told[0]["state"], told[-1]["state"], told[-1]["share"]] == ["waiting", "done", 1.0]
    with pytest.raises(UserError, match="there is no job"):
        shop.ask(lambda opened: opened.cancel(third))


def test_not_all_can_wait(shop: Shop) -> None:
    key = shop.add()

    def crowd(opened: Workshop) -> None:
        try:
            for seed in range(30):
                opened.make(key, Wish("gan", "pop", seed))
        finally:
            opened._jobs.cancel_all()

    with pytest.raises(TooManyJobsError, match="20 results are waiting to be made"):
        shop.ask(crowd)


def test_a_results_process_that_dies_is_told_and_replaced(shop: Shop) -> None:
    key = shop.add(make_input())
    shop.make(key, Wish("gan", "pop", 9))  # what was cancelled before is over

    def begin_and_kill(opened: Workshop) -> str:
        job = opened.make(key, Wish("transformer", "pop", 1))
        assert opened._jobs._process is not None
        opened._jobs._process.kill()
        return str(job["id"])

    job = shop.finish(shop.ask(begin_and_kill))
    assert (job["state"], job["error"]) == ("failed", "the results process ended (signal SIGKILL); try again")
    assert shop.make(key, Wish("gan", "pop", 1)).get("bass")


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="there are no priorities")
def test_results_are_made_at_a_low_priority(shop: Shop) -> None:
    shop.make(shop.add(), Wish("gan", "pop", 1))
    process = shop.ask(find_process)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, process) >= min(19, own + 10)


def test_another_project_does_not_get_the_results_of_the_one_before(shop: Shop) -> None:
    key = shop.add(make_input())

    def leave(opened: Workshop) -> str:
        job = opened.make(key, Wish("gan", "pop", 1))
        opened.create_project("Next")
        return str(job["id"])

    assert shop.finish(shop.ask(leave))["state"] in ("cancelled", "failed")
    assert shop.ask(Workshop.describe)["items"] == []


def test_roles_can_be_given_to_another_technique(shop: Shop) -> None:
    key = shop.add()
    gan, both = (shop.make(key, Wish("gan", "pop", 1, controls)) for controls in ({}, {"player.drums": "transformer"}))
    assert both.get("drums") != gan.get("drums")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (Wish("lstm", "pop"), "no technique 'lstm'"),
        (Wish("gan", "chorale"), "style: no style 'chorale'; the player knows pop, rock, jazz, ballad, piano"),
        (Wish("gan", "pop", 0, {"violin": 1}), "violin: no such control"),
        (Wish("gan", "pop", 0, {"density": 7}), "density: takes a number from 0 to 2, not 7"),
        (Wish("gan", "pop", 0, {"harmony": "chart"}), "harmony: there is no chart to play from; import one first"),
        (Wish("gan", "pop", extension=4), "only the transformer can go on with a song"),
        (Wish("transformer", "pop", extension=100), "extend: a whole number from 0 to 64 is needed here"),
        (Wish("arcnn", "pop", 0, {"register_low": 80, "register_high": 40}), "register_low: lies above register_high"),
    ],
)
def test_what_cannot_be_made_is_told_before_anything_is_done(shop: Shop, wish: Wish, sentence: str) -> None:
    key = shop.add()
    with pytest.raises(UserError) as caught:
        shop.ask(lambda opened: opened.make(key, wish))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("melody", "sentence"),
    [
        ((), "Ode: there is no melody in it; play one, or choose another input"),
        (
            (Note(0, 60, 24), Note(24 * 600, 60, 24)),
            "Ode: the melody lasts 601 beats, and that is too long for its 2 notes; trim it to the bars that you want",
        ),
    ],
)
def test_a_melody_that_cannot_be_played_along_with_is_told(melody: tuple[Note, ...], sentence: str) -> None:
    item = replace(make_input(), bars=200, notes={MELODY: melody, "bass": (Note(0, 40, 24),)})
    with pytest.raises(UserError) as caught:
        make_song(item, (MELODY, "bass"))
    assert str(caught.value) == sentence


def test_controls_of_the_stage_and_of_the_mix_change_no_note(shop: Shop) -> None:
    key = shop.add()
    plain = shop.make(key, Wish("gan", "pop", 1))
    controls = {"mute.bass": True, "level.drums": 0.1, "metre": "3/4", "count_in": 4, "program.pad": 3, "bpm": 90}
    made = shop.make(key, Wish("gan", "pop", 1, {**controls, "pause_bars": 1, "pickup": 2, "start": True}))
    assert made.notes == plain.notes


def test_chords_are_read_by_halves_of_a_bar() -> None:
    item = replace(
        make_input(), notes={"chords": tuple(Note(at, p, 24) for at in (0, 24, 48, 72) for p in (60, 64, 67))}
    )
    assert list_chords(item) == ((0, "C:maj"),)
    waltz = replace(item, metres=((0, Metre(3, 4)),))
    assert list_chords(waltz) == ((0, "C:maj"),)
    assert list_chords(make_input()) == ()
    assert not set(ROLES) & set(make_input().notes)


def find_process(shop: Workshop) -> int:
    """Return the process id of the results process."""
    assert shop._jobs._process is not None
    return shop._jobs._process._child.pid


def test_nothing_is_left_of_the_process_when_the_workshop_closes(tmp_path: Path) -> None:
    opened = Shop(tmp_path)
    pid = opened.ask(find_process)
    opened.shop.close()
    wait_for_end(pid)


HOLDER = """
import sys
from pathlib import Path
from daemon.projects.workshop import Workshop
shop = Workshop(Path(sys.argv[1]), lambda event: None)
print(shop._jobs._process._child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes cannot be killed")
def test_nothing_is_left_of_the_process_when_the_studio_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        pid = int(holder.stdout.readline())
        holder.kill()
    wait_for_end(pid)


def wait_for_end(pid: int) -> None:
    """Wait until a process is gone, or is nobody's child any more and only waits to be forgotten."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return
        except OSError:
            return
    pytest.fail("the results process goes on")
