"""Finding a General MIDI soundfont."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from daemon.system.paths import SOUNDFONT_VARIABLE
from music.errors import UserError

#: a name that asks for the built-in synthesiser, even where there is a soundfont
BUILT_IN = "built-in"
#: the usual places, best first: files, and folders whose first soundfont will do; ~ is the user's home
PLACES: tuple[Path, ...] = (
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/soundfonts/FluidR3_GM.sf2"),
    Path("/usr/share/sounds/sf2/default-GM.sf2"),
    Path("/usr/share/soundfonts/default.sf2"),
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/soundfonts"),
    Path("/usr/local/share/soundfonts"),
    Path("/opt/homebrew/share/soundfonts"),
    Path("/opt/homebrew/share/fluid-synth/sf2"),
    Path("~/.local/share/soundfonts"),
    Path("~/Library/Audio/Sounds/Banks"),
    *((Path("C:/soundfonts"),) if sys.platform == "win32" else ()),
)
_ENDINGS = (".sf2", ".sf3")


class SoundFontError(UserError):
    """A soundfont that cannot be used."""


def find_soundfont(named: str | Path | None = None, places: Iterable[Path] = PLACES) -> Path | None:
    """Return the file that the caller or HOUSEBAND_SOUNDFONT names, else the first one in the usual places.

    Returns None where there is none, or where the built-in synthesiser was asked for. Raises SoundFontError for a
    named file that is no soundfont.
    """
    wanted = named or os.environ.get(SOUNDFONT_VARIABLE)
    if str(wanted) == BUILT_IN:
        return None
    if wanted:
        return _check_soundfont(Path(wanted))
    for place in places:
        with contextlib.suppress(RuntimeError, OSError):  # the user has no home; the place cannot be read
            place = place.expanduser()
            if place.is_file():
                return place
            if place.is_dir():
                fonts = sorted(file for file in place.iterdir() if file.suffix.lower() in _ENDINGS)
                if fonts:
                    return fonts[0]
    return None


def _check_soundfont(path: Path) -> Path:
    """Return the path. Raises SoundFontError unless the file begins as a soundfont does."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise SoundFontError(f"{path}: cannot be read: {error.strerror or error}") from None
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise SoundFontError(f"{path}: not a soundfont (a .sf2 or .sf3 file)")
    return path
