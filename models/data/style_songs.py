"""Songs of one style, drawn so that a share of them is in other metres than 4/4."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.data.song_cache import CachedSong


class StyleSongs:
    """The songs of a style, by their place among them."""

    def __init__(self, songs: Sequence[CachedSong], other_metres: float) -> None:
        """Draw from songs; a share `other_metres` of what is drawn is not in 4/4, where there are such."""
        self._in_four = [i for i, song in enumerate(songs) if song.is_in_four]
        self._others = [i for i, song in enumerate(songs) if not song.is_in_four]
        self._other_metres = other_metres

    def draw(self, random: np.random.Generator) -> int:
        """Draw a song; return its place. There has to be one."""
        if self._others and (not self._in_four or random.random() < self._other_metres):
            return self._others[int(random.integers(len(self._others)))]
        return self._in_four[int(random.integers(len(self._in_four)))]
