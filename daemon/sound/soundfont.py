"""Where a General MIDI soundfont is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from music.errors import UserError

#: instead of a file: the built-in synthesiser, even where there is a soundfont
BUILT_IN = "built-in"
#: names it without an option
VARIABLE = "HOUSEBAND_SOUNDFONT"
#: the usual places, best first: files, and folders whose first soundfont will do
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
    Path.home() / ".local/share/soundfonts",
    Path.home() / "Library/Audio/Sounds/Banks",
    *((Path("C:/soundfonts"),) if sys.platform == "win32" else ()),
)
_ENDINGS = (".sf2", ".sf3")


class SoundFontError(UserError):
    """A soundfont that cannot be used."""


def find(named: str | Path | None = None, places: Iterable[Path] = PLACES) -> Path | None:
    """The file that is named, by the caller or by HOUSEBAND_SOUNDFONT, else the first of the usual places; None where
    there is none. Raises SoundFontError for a name that is no soundfont."""
    said = named or os.environ.get(VARIABLE)
    if str(said) == BUILT_IN:
        return None
    if said:
        return _checked(Path(said))
    for place in places:
        if place.is_file():
            return place
        if place.is_dir():
            fonts = sorted(file for file in place.iterdir() if file.suffix.lower() in _ENDINGS)
            if fonts:
                return fonts[0]
    return None


def _checked(path: Path) -> Path:
    """Raises SoundFontError unless the file begins as a soundfont does."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise SoundFontError(f"{path}: cannot be read: {error.strerror or error}") from None
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise SoundFontError(f"{path}: not a soundfont (a .sf2 or .sf3 file)")
    return path
