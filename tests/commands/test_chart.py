"""`houseband chart`: a page of bars, JSON, and errors in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from daemon.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["chart", *map(str, arguments)])


def test_a_chart_is_shown_and_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "song.cho"
    file.write_text("{title: Song}\n{key: G}\n{sog}\n|: G . . . | C . D7 . :|\n{eog}\n")
    shown = run(file)
    assert shown.exit_code == 0
    assert "|: G | C D7 :|" in shown.stdout
    again = tmp_path / "song.txt"
    again.write_text(shown.stdout)
    both = [json.loads(run(f, "--json").stdout) for f in (file, again)]
    assert (
        both[0]["bars"]
        == both[1]["bars"]
        == [
            [{"beat": 1, "root": "G", "quality": "maj", "bass": None}],
            [
                {"beat": 1, "root": "C", "quality": "maj", "bass": None},
                {"beat": 3, "root": "D", "quality": "7", "bass": None},
            ],
        ]
    )
    assert both[0]["order"] == [0, 1, 0, 1]


def test_a_bad_chart_ends_with_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text("| C | Q |\n")
    result = run(file)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {file}, line 1, bar 2: ")
    assert result.stderr.count("\n") == 1


def test_chords_above_lyrics_are_listed_and_said_to_have_no_bars(tmp_path: Path) -> None:
    file = tmp_path / "song.cho"
    file.write_text("{title: Song}\n[G]La [C]la")
    result = run(file)
    assert result.stdout.splitlines()[-1] == "G C"
    assert "not their bars" in result.stderr
