"""`make test-vm` reads its virtual machine's console; the machine itself is no part of these tests."""

from __future__ import annotations

import json

import pytest

from tests.programs.vm.__main__ import is_well, report
from tests.programs.vm.machine import CheckResult, parse_result

READY = CheckResult("ready", True, "9.5 s", {"ready_s": 9.5}, 3.0)
STUCK = CheckResult("stop: no note left sounding", False, "2 sound")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('@@ {"check": "ready", "well": true, "text": "9.5 s", "figures": {"ready_s": 9.5}, "at": 3.0}', READY),
        ('[   12.3] systemd[1]: @@ {"check": "ports", "well": false}', CheckResult("ports", False)),
        ('@@ {"end": 27}', 27),
        ("Started the user's systemd.", None),
        ('@@ {"check": "ready", "we', None),  # the machine was ended in the middle of it
        ('@@ {"check": "ready", "well": true, "colour": 3}', None),
        ("@@ 27", None),
    ],
)
def test_lines_of_the_console(line: str, said: CheckResult | int | None) -> None:
    assert parse_result(line) == said


def test_the_report_is_a_table_and_a_line_of_json() -> None:
    *table, verdict, _, whole = report([READY, STUCK], True, 512.4).splitlines()
    assert [row.split("  ")[0] for row in table if row] == ["ready", "stop: no note left sounding"]
    assert verdict == "1 of 2 checks well, 512 s"
    told = json.loads(whole)
    assert told["failed"] == ["stop: no note left sounding"]
    assert told["figures"] == {"ready_s": 9.5}
    assert (told["well"], told["ended"], told["seconds"]) == (False, True, 512)


def test_well_is_what_ended_with_every_check_well() -> None:
    assert is_well([READY], ended=True)
    assert not is_well([READY], ended=False)
    assert not is_well([READY, STUCK], ended=True)
    assert not is_well([], ended=True)
