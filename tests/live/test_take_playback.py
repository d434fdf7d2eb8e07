"""Playing a take: each message at its moment, and nothing left on however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.core.events import Quit
from daemon.live.take_playback import LEAD_IN_NS, list_messages, send_in_time
from daemon.offline.virtual_world import RecordingOutput, VirtualWorld
from music import midifile
from music.note import Note

BEAT_NS = 500_000_000


def messages(folder: Path) -> list[tuple[int, bytes]]:
    path = folder / "take.mid"
    parts = {"melody": [Note(0, 60, 24)], "bass": [Note(24, 36, 48)]}
    controls = {"melody": [(12, b"\xe0\x01\x50"), (12, b"\xb0\x40\x7f")], "bass": [(0, b"\xc1\x21")]}
    midifile.write(path, parts, controls=controls)
    return list_messages(midifile.read(path))


def test_a_take_is_sent_with_all_that_is_no_note(tmp_path: Path) -> None:
    assert [(at * 24 // BEAT_NS, data.hex()) for at, data in messages(tmp_path)] == [
        *((0, "c121"), (0, "903c50"), (12, "e00150"), (12, "b0407f")),
        *((24, "803c00"), (24, "912450"), (72, "812400")),
    ]


@pytest.mark.parametrize("quit_beats", [None, 1.5])
def test_each_message_leaves_at_its_moment_and_nothing_is_left_on(tmp_path: Path, quit_beats: float | None) -> None:
    world = VirtualWorld()
    output = RecordingOutput(world)
    timed = messages(tmp_path)
    if quit_beats is not None:
        world.put(Quit(LEAD_IN_NS + round(quit_beats * BEAT_NS)))
    send_in_time(timed, world, output.send)
    whole = [(LEAD_IN_NS + at, data) for at, data in timed]
    played = whole if quit_beats is None else whole[:-1]
    assert [(each.at, each.data) for each in output.sent[: len(played)]] == played
    ends = [each.data.hex() for each in output.sent[len(played) :]]
    assert ends == [*(["812400"] if quit_beats else []), "b04000", "b07b00", "b14000", "b17b00"]
