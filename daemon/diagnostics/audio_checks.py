"""Checks of what `--audio` plays through: loudspeakers, a player of soundfonts, a soundfont.

The band plays without them; they are bad only where the configuration wants it to be heard here.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

from daemon.diagnostics.check import BAD, GOOD, ODD, CheckContext, CheckResult
from daemon.midi.rtmidi_library import capture_stderr

_INSTALL = "pip install 'houseband[audio]'"
#: a system's library -> its package in Debian
_PACKAGES = {
    "libportaudio": "libportaudio2",
    "libasound": "libasound2, or libasound2t64",
    "libfluidsynth": "libfluidsynth3",
    "libjack": "libjack-jackd2-0",
}
#: imports a module by name
Importer = Callable[[str], object]


def check_loudspeakers(context: CheckContext, load: Importer = importlib.import_module) -> list[CheckResult]:
    """Look for a device that can be played through. load: how to import, for tests."""
    subject = "loudspeakers"
    state = _choose_state(context)
    try:
        sounddevice = load("sounddevice")
    except ImportError:
        return [CheckResult(subject, state, "sounddevice is not installed; --audio does not work", _INSTALL)]
    except OSError as error:
        text = f"sounddevice cannot be used ({error}); --audio does not work"
        return [CheckResult(subject, state, text, _find_library_remedy(str(error), "libportaudio"))]
    try:
        with capture_stderr():
            device = sounddevice.query_devices(kind="output")  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - PortAudioError, ValueError: no device
        remedy = "plug one in, or start JACK or PipeWire; `houseband render -o OUT.wav` needs none"
        return [CheckResult(subject, state, "no audio device; --audio does not work", remedy)]
    return [CheckResult(subject, GOOD, str(device["name"]))]


def check_soundfont_player(_: CheckContext, load: Importer = importlib.import_module) -> list[CheckResult]:
    """Look for fluidsynth, without which the built-in synthesiser plays. load: how to import, for tests."""
    subject = "soundfont player"
    try:
        load("fluidsynth")
    except (ImportError, OSError) as error:
        missing = isinstance(error, ModuleNotFoundError)
        remedy = _INSTALL if missing else _find_library_remedy(str(error), "libfluidsynth")
        return [CheckResult(subject, ODD, f"none ({error}); the built-in synthesiser plays instead", remedy)]
    return [CheckResult(subject, GOOD, "fluidsynth")]


def check_soundfont(context: CheckContext, places: tuple[Path, ...] = ()) -> list[CheckResult]:
    """Look for the soundfont that is named, else for one in the usual places. places: others, for tests."""
    from daemon.sound.soundfont import PLACES, SoundFontError, find_soundfont

    subject = "soundfont"
    try:
        found = find_soundfont(context.setup.soundfont, places or PLACES)
    except SoundFontError as error:
        return [CheckResult(subject, _choose_state(context), str(error), "name one that is there with --soundfont")]
    if found is None:
        remedy = "install one (Debian: apt install fluid-soundfont-gm), or name one with --soundfont"
        return [CheckResult(subject, ODD, "there is none; the built-in synthesiser plays instead", remedy)]
    return [CheckResult(subject, GOOD, str(found))]


def _choose_state(context: CheckContext) -> str:
    return BAD if context.setup.audio else ODD


def _find_library_remedy(error: str, usual: str) -> str:
    """Return how to install the library that an error of the loader names last, the one it could not find."""
    named = re.findall(r"(lib[a-z]+)[\w.-]*\.so", error)
    library = next((name for name in reversed(named) if name in _PACKAGES), usual)
    return f"install {library} (Debian: apt install {_PACKAGES[library]})"
