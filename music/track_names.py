"""Tell which part a track plays, by its name, channel and program: one rule for training and for playing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from music.note import CHANNELS, MELODY

#: Every part there is a name for.
PARTS = (
    *("melody", "counter", "piano", "bass", "chords", "pad", "drums"),
    *("soprano", "alto", "tenor", "bass_voice", "violin1", "violin2", "viola", "cello"),
)
#: Those that are a melody.
MELODIES = ("melody", "soprano", "violin1")

#: General MIDI programs, counted from 0.
_BASS_PROGRAMS = range(32, 40)
_PAD_PROGRAMS = (*range(48, 56), *range(88, 96))


def fold_name(name: str) -> str:
    """Return a name without regard to case, accents, width and space around it: `Mélodie ` is `melodie`."""
    if name.isascii():
        return name.strip().lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).strip()


#: Part -> words in a track's name that tell it, the likelier ones first.
_WORDS = {
    "melody": tuple(map(fold_name, ("melod", "メロ", "旋律", "vocal", "voice", "vox", "ボーカル", "lead"))),
    "bass": tuple(map(fold_name, ("bass", "ベース"))),
    "pad": ("pad", "string", "organ", "choir"),
}


def guess_part(name: str, channel: int, program: int) -> str:
    """Return which of PARTS a track plays. channel: 0..15; program: General MIDI's, 0..127."""
    folded = fold_name(name)
    if channel == CHANNELS["drums"]:
        return "drums"
    if folded in PARTS:
        return folded
    for part, words in _WORDS.items():
        if any(word in folded for word in words):
            return part
    if program in _BASS_PROGRAMS:
        return "bass"
    return "pad" if program in _PAD_PROGRAMS else "chords"


def rank_melody(name: str, channel: int) -> int | None:
    """Return how likely it is by its name that a track is the melody, 0 the likeliest.

    None when its name is none of a melody.
    """
    folded = fold_name(name)
    if folded == MELODY:
        return 0
    if guess_part(name, channel, 0) not in MELODIES:
        return None
    words = _WORDS[MELODY]
    return 1 + next((rank for rank, word in enumerate(words) if word in folded), len(words))


def match_names(names: Iterable[str], wanted: str) -> list[str]:
    """Return the names that somebody who wrote `wanted` may have meant, the likeliest first.

    That very name, the same but for case and accents, or one that has all of its words in it.
    """
    names, folded = list(dict.fromkeys(names)), fold_name(wanted)
    same = [name for name in names if name == wanted] + [name for name in names if fold_name(name) == folded]
    words = folded.split()
    like = [name for name in names if words and all(word in fold_name(name).split() for word in words)]
    within = [name for name in names if folded and folded in fold_name(name)]
    return list(dict.fromkeys([*same, *like, *within]))
