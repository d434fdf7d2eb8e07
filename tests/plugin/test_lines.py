"""The lines of the plugin socket, good and bad."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.plugin.lines import (
    MAX_LINE_BYTES,
    At,
    Bye,
    Hello,
    LineError,
    Played,
    Plays,
    Turned,
    make_line,
    read_line,
)
from music.note import Metre


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hello 1 a-B9 Ardour 7.3", Hello(1, "a-B9", "Ardour 7.3")),
        ("hello 2 x", Hello(2, "x", "")),
        ("plays 31 1", Plays(31, True)),
        ("plays 255 0 more", Plays(31, False)),
        (
            "at 3 -96000 -95000 2 500000 -96000 6 8 2500 0 0",
            At(3, -96000, -95000, 2, 500000, -96000, Metre(6, 8), 2500, None),
        ),
        ("at 3 0 0 0 1 0 7 32 0 5 9 new", At(3, 0, 0, 0, 1, 0, None, 0, (5, 9))),
        ("in 1 5 144 60 100", Played(1, 5, b"\x90\x3c\x64")),
        ("in 1 5 208 60 0", Played(1, 5, b"\xd0\x3c")),
        ("set 0 0 style jazz waltz", Turned(0, 0, "style", "jazz waltz")),
        ("set 4 -5 chart ", Turned(4, -5, "chart", "")),
        ("bye", Bye()),
        ("ping", None),
        ("later 1 2", None),
        ("", None),
    ],
)
def test_lines_are_read(text: str, line: object) -> None:
    assert read_line(text.encode()) == line


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "hello one x",
        "hello 1",
        "hello 1 ../../etc name",
        "hello 1 " + "x" * 65,
        "plays",
        "plays 1",
        "at 1 2 3",
        "at 0 0 0 1 500000 0 4 4 0 0 0",
        "at 1 0 0 3 500000 0 4 4 0 0 0",
        "at 1 0 0 1 0 0 4 4 0 0 0",
        "at 1 5 0 1 500000 0 4 4 0 0 0",
        "at 1 0 99999999999999999999999 1 500000 0 4 4 0 0 0",
        "at 1 0 0 1 500000 0 4 4 -1 0 0",
        "in 1 0 60 60 60",
        "in 1 0 144 200 1",
        "in 1 0 248 0 0",
        "set 1 0 style",
        "set 1 0 ../x y",
        "set one 0 style pop",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(LineError):
        read_line(text.encode())


def list_described(heading: str) -> set[str]:
    """Return the words of the lines that a section of the protocol's description describes."""
    text = (files("daemon.plugin") / "protocol.md").read_text(encoding="utf-8")
    return set(re.findall(r"^    ([a-z]+)\b", text.split(f"## {heading}\n")[1].split("\n## ")[0], re.M))


def read_sources(package: str, suffix: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for path in files(package).iterdir() if path.name.endswith(suffix)
    )


def test_every_line_that_the_plugin_or_the_band_sends_or_reads_is_described() -> None:
    plugin, band = read_sources("plugin", ".c"), read_sources("daemon.plugin", ".py")
    plugin_says = set(re.findall(r'\bsay\(session, "([a-z]+)', plugin))
    plugin_reads = set(re.findall(r'\{"([a-z]+)", hear_\w+\}', plugin))
    band_says = set(re.findall(r'make_line\(\s*"([a-z]+)"|b"([a-z]+)\\n"', band))
    band_reads = set(re.findall(r'case "([a-z]+)":', band))
    assert {"hello", "at"} <= plugin_says
    assert {"note", "forget", "stop"} <= plugin_reads
    from_plugin, from_band = list_described("From the plugin"), list_described("From the band")
    assert plugin_says | band_reads == from_plugin
    assert {one or other for one, other in band_says} | plugin_reads == from_band


@given(st.binary(max_size=MAX_LINE_BYTES))
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    try:
        read_line(data)
        read_line(b"at " + data)
        read_line(b"in " + data)
        read_line(b"set " + data)
    except LineError:
        pass


@given(st.text(max_size=3000))
def test_a_line_that_is_made_is_one_line_and_no_longer_than_allowed(text: str) -> None:
    line = make_line("error", text)
    assert len(line) <= MAX_LINE_BYTES
    assert line.index(b"\n") == len(line) - 1
