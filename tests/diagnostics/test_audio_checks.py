"""Missing parts of --audio are named, with their remedies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.diagnostics.audio_checks import check_loudspeakers, check_soundfont, check_soundfont_player
from daemon.diagnostics.check import BAD, ODD, BandSetup, CheckContext
from daemon.sound.soundfont import SoundFontError, find_soundfont


def importer(**failures: Exception) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        if name in failures:
            raise failures[name]
        return SimpleNamespace(query_devices=lambda kind: {"name": "speakers"})

    return load


def test_no_soundfont(tmp_path: Path) -> None:
    (found,) = check_soundfont(CheckContext(), (tmp_path / "nowhere",))
    assert (found.subject, found.state) == ("soundfont", ODD)
    assert "built-in synthesiser" in found.message
    assert "fluid-soundfont-gm" in found.remedy


def test_a_soundfont_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.sf2").write_bytes(b"RIFF1234WAVE")
    with pytest.raises(SoundFontError, match=r"a\.sf2: not a soundfont"):
        find_soundfont(tmp_path / "a.sf2")
    (found,) = check_soundfont(CheckContext(BandSetup(soundfont=str(tmp_path / "a.sf2"))))
    assert (found.state, bool(found.remedy)) == (ODD, True)
    (found,) = check_soundfont(CheckContext(BandSetup(soundfont=str(tmp_path / "a.sf2"), audio=True)))
    assert (found.state, bool(found.remedy)) == (BAD, True)


def test_no_audio_packages() -> None:
    failures = {"sounddevice": OSError("PortAudio library not found"), "fluidsynth": ImportError("no libfluidsynth")}
    (loud,), (player,) = (
        check(CheckContext(), importer(**failures)) for check in (check_loudspeakers, check_soundfont_player)
    )
    assert "libportaudio2" in loud.remedy
    assert "libfluidsynth3" in player.remedy
    (player,) = check_soundfont_player(
        CheckContext(), importer(fluidsynth=OSError("libfluidsynth.so.3: file too short"))
    )
    assert player.state == ODD
    (loud,) = check_loudspeakers(CheckContext(), importer(sounddevice=ImportError("no module")))
    assert "houseband[audio]" in loud.remedy
    assert loud.state == ODD
    deeper = OSError("cannot load library 'libportaudio.so.2': libasound.so.2: cannot open shared object file")
    (loud,) = check_loudspeakers(CheckContext(BandSetup(audio=True)), importer(sounddevice=deeper))
    assert loud.remedy == "install libasound (Debian: apt install libasound2, or libasound2t64)"
    assert loud.state == BAD
