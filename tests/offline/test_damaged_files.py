"""Files that are damaged are refused in one sentence, or played: see `make fuzz` for more of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from music import midifile, smf
from tests.programs.fuzz_files import try_file
from tests.support.damaged_midi import damage, make
from tests.support.smf_bytes import PITCHES, file, meta, track, tune

SONG = file(track(meta(smf.TRACK_NAME, b"melody"), tune()), track(tune(9)))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 30), st.booleans())
@example(283498, True)  # of two notes of one pitch a tick apart, the first is rounded onto the other
def test_any_file_is_refused_or_played(tmp_path: Path, seed: int, whole: bool) -> None:
    assert try_file(damage(SONG, seed) if whole else make(seed), tmp_path) in ("refused", "played")


@pytest.mark.parametrize("channel", [None, 0])
def test_a_note_that_nothing_ends_is_ended_in_the_copy(tmp_path: Path, channel: int | None) -> None:
    begun = b"\x00\x90\x48\x50\x00\x90\x48\x50\x00\x99\x24\x50"  # twice the same, and one on another channel
    song = midifile.parse(file(track(begun, tune())))
    copied = midifile.copy_track(song, 0, channel)
    midifile.write(tmp_path / "out.mid", {}, copied={"melody": copied})
    (_, written) = smf.parse((tmp_path / "out.mid").read_bytes()).tracks
    ends = [(tick, first) for tick, status, first, _, _ in written.events if status & 0xF0 == 0x80]
    last = 480 * len(PITCHES)
    assert ends[len(PITCHES) :] == [(last, 0x48), (last, 0x48)] + ([(last, 0x24)] if channel is None else [])
