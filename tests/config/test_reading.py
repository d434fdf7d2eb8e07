"""Configuration files as nobody should write them."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from daemon.config.checks import ConfigError
from daemon.config.reading import read_config
from daemon.system.text_files import MAX_DOTS, MAX_TOML_CHARACTERS
from tests.programs.fuzz_config import try_one


@pytest.mark.parametrize("seed", range(8))
def test_whatever_it_says_it_is_taken_or_refused_in_a_sentence(seed: int, tmp_path: Path) -> None:
    for number in range(3):
        assert try_one(random.Random(1000 * seed + number), tmp_path) in ("taken", "refused")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = " + "1" * MAX_TOML_CHARACTERS, "has more than 262144 characters; divide it, or name another file"),
        ("a." * (MAX_DOTS + 1) + "a = 1", "a line with more than 64 dots"),
        ("x = " + "[" * 10_000, "not TOML: maximum recursion depth exceeded"),
        ("bpm = " + "9" * 5_000, "not TOML: Exceeds the limit"),
    ],
)
def test_what_would_take_minutes_or_gigabytes_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text + "\n")
    with pytest.raises(ConfigError) as refused:
        read_config(file)
    assert reason in str(refused.value)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_a_device_without_end_is_refused_and_a_pipe_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has more than 262144 characters"):
        read_config(Path("/dev/zero"))
    reader, writer = os.pipe()
    os.write(writer, b"bpm = 90\n")
    os.close(writer)
    assert read_config(Path(f"/dev/fd/{reader}")).values == {"bpm": 90.0}
    os.close(reader)
