"""Auditions: short renderings by several seeds, with pictures and figures."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.core.plan import PlanRequest
from daemon.evaluation.piano_roll_svg import draw_piano_roll
from music import midifile
from music.note import Metre, Note
from tests.support.fakes import FakePlayer, under_the_melody

SVG = "{http://www.w3.org/2000/svg}"


def seeded(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    if step % (2 + request.settings.seed % 3):
        return {}
    return under_the_melody(request, step)


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six bars of 3/4 that begin in bar 2."""
    monkeypatch.setattr("daemon.players.load.load_band", lambda technique, graph: FakePlayer(seeded))
    monkeypatch.chdir(tmp_path)
    notes = [Note(72 + beat * 24, 60 + beat % 5, 30) for beat in range(18)]
    midifile.write(tmp_path / "tune.mid", {"melody": notes}, metres=((0, Metre(3, 4)),))
    return tmp_path / "tune.mid"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["seeds", *map(str, arguments)])


def test_each_seed_leaves_a_file_a_picture_and_figures(tune: Path) -> None:
    done = run(tune, "--count", 3, "--bars", 2, "--seed", 4, "--json")
    told = json.loads(done.stdout)
    folder = Path("tune-seeds")
    assert told["page"] == str(folder / "index.html")
    assert [each["seed"] for each in told["auditions"]] == [4, 5, 6]
    assert {len(each["figures"]) for each in told["auditions"]} == {9}
    for each in told["auditions"]:
        song = midifile.read(each["file"])
        counts = {part.name: len(part.notes) for part in song.parts}
        assert counts == {"melody": 6, **each["notes"]}
        assert song.metres == ((0, Metre(3, 4)),)
        assert song.end == 72 * 3  # bars 2 and 3, and nothing hangs over
        assert ElementTree.parse(each["picture"]).getroot().tag == f"{SVG}svg"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert all(f'href="seed-{seed}.mid"' in page and f'src="seed-{seed}.svg"' in page for seed in (4, 5, 6))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.html", *(f"seed-{seed}.{suffix}" for seed in (4, 5, 6) for suffix in ("mid", "svg"))]
    )


def test_what_a_seed_auditions_is_what_render_plays_with_it(tune: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tune, "--count", 1, "--bars", 3, "--seed", 5, "-o", "there")
    CliRunner().invoke(main, ["render", str(tune), "-o", "whole.mid", "--seed", "5"])
    end = 72 * 4 - 6  # the melody's last note is cut there
    heard, whole = (
        {part.name: [n for n in part.notes if n.start < end - 12] for part in midifile.read(path).parts}
        for path in ("there/seed-5.mid", "whole.mid")
    )
    assert {role: [n.start for n in heard[role]] for role in heard} == {
        role: [n.start for n in whole[role]] for role in whole
    }


def test_a_table_says_what_there_is(tune: Path) -> None:
    done = run(tune, "--count", 2, "-o", "there")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["seed", "clear", "own"]
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    assert lines[-1] == "there/index.html: 2 auditions"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("no.mid",), "no.mid: no such file"), (("tune.mid", "--technique", "arcnn"), "no band that could audition")],
)
def test_what_cannot_be_auditioned_is_refused(tune: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert not Path("tune-seeds").exists()


def test_a_picture_has_a_box_for_every_note_and_the_drums_below() -> None:
    parts = {"melody": [Note(0, 72, 24), Note(90, 60, 50)], "drums": [Note(0, 36, 2), Note(24, 42, 2)]}
    root = ElementTree.fromstring(draw_piano_roll("a < b", parts, 0, 96, [0], 24))
    assert root.find(f"{SVG}title").text == "a < b"  # type: ignore[union-attr]
    groups = {group.get("fill"): group.findall(f"{SVG}rect") for group in root.findall(f"{SVG}g")}
    assert sorted(len(boxes) for boxes in groups.values()) == [2, 2]
    boxes = [box for each in groups.values() for box in each]
    assert all(0 <= float(box.get("x", "")) < 96 and float(box.get("width", "")) > 0 for box in boxes)
    assert max(float(box.get("x", "")) + float(box.get("width", "")) for box in boxes) <= 96
