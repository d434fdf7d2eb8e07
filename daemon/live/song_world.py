"""A World in which a song that is called arrives ready to be played.

Charts are read by a thread of its own, the next song's and the previous one's before they are called, for the
conductor has no time to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue

from daemon.config.songs import SongBook, SongEntry
from daemon.core.events import CalledSong, ControlChange, Event
from daemon.core.world import World
from music.errors import HousebandError, describe_error

log = logging.getLogger(__name__)

#: the controls that call a song -> how many places it is after the one before, None for one that is named
_CALLS = {"song": None, "next_song": 1, "previous_song": -1}


NO_SONG = SongEntry("")


@dataclass(frozen=True, slots=True)
class ChangeBook(ControlChange):
    """The songs of a configuration that was read again, as the value; they replace the previous ones."""


@dataclass(frozen=True, slots=True)
class _Prepared(ControlChange):
    """A song that the thread is done with; value: the song, or why it cannot be played."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class SongView:
    """The songs as they stand, for clients of the control socket."""

    song: SongEntry | None  #: the one that was called last
    following: SongEntry | None  #: the one after it
    order: tuple[str, ...]  #: those of the set list, in order
    names: tuple[str, ...]  #: all of them
    setlists: tuple[str, ...]  #: the set lists

    @property
    def presets(self) -> Mapping[str, Sequence[tuple[str, object]]]:
        """The registrations of the song."""
        return {} if self.song is None else self.song.presets

    def describe(self) -> dict[str, object]:
        """Return the song and the next one as clients are told of them."""
        song, following = self.song or NO_SONG, self.following or NO_SONG
        return {
            "name": song.name,
            "title": song.shown,
            "next": following.name,
            "next_title": following.shown,
            "order": list(self.order),
        }


class SongWorld:
    """Hands on a song, ready to be played, where one was called by its name or its place in the set list."""

    def __init__(
        self,
        world: World,
        put: Callable[[Event], None],
        book: SongBook,
        setlist: str = "",
        song: str = "",
        tell: Callable[[SongView], None] = lambda _view: None,
        *,
        reads_inline: bool = False,
    ) -> None:
        """Hear what `world` hears. put: gives it an event; song: the one that is played.

        tell: is called on the waiting thread with how the songs stand, whenever another is called; it must be quick.
        reads_inline: songs are prepared when they are called, on the calling thread, as where time is virtual.
        """
        self._world, self._put, self._tell = world, put, tell
        self._book, self._setlist, self._song = book, setlist, song
        self._prepared: dict[str, CalledSong | str] = {}  # name -> the song, or why it cannot be played
        self._waiting: ControlChange | None = None  # the song that was called and is not ready
        self._to_prepare: SimpleQueue[SongEntry | None] = SimpleQueue()
        self._reads_inline = reads_inline
        if not reads_inline:
            threading.Thread(target=self._prepare_songs, name="songs", daemon=True).start()
        self._look_ahead()

    def now(self) -> int:
        """Return the world's time, ns."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """Wait for the next event, at the latest until `until` (ns); None when nothing came."""
        while True:
            event = self._world.wait(until)
            match event:
                case _Prepared():
                    assert isinstance(event.value, CalledSong | str)
                    self._prepared[event.name] = event.value
                    if self._waiting is None or self._waiting.value != event.name:
                        continue
                    event, self._waiting = self._waiting, None
                case ChangeBook():
                    assert isinstance(event.value, SongBook)
                    self._book, self._prepared = event.value, {}
                    self._look_ahead()
                    continue
                case ControlChange(key="setlist", value=str(name)) if not name or name in self._book.setlists:
                    self._setlist = name
                    self._look_ahead()
                case ControlChange() if event.key in _CALLS:
                    event = self._find(event)
            if not isinstance(event, ControlChange) or event.key != "song" or not isinstance(event.value, str):
                return event
            if (ready := self._call(event)) is not None:
                return ready

    def open_song(self, name: str) -> CalledSong | None:
        """Return the song to begin with, ready to be played; None for no name. Raises ChartError."""
        return self._book.songs[name].prepare(self._list_upcoming()) if name else None

    def close(self) -> None:
        """Prepare no more."""
        self._to_prepare.put(None)

    def _find(self, change: ControlChange) -> ControlChange:
        """Return the call of a song by its name, in place of one by its place in the set list.

        It is returned with a value of None where there is no such song.
        """
        distance = _CALLS[change.key]
        if distance is None:
            return change
        name = self._book.find_neighbour(self._song, self._setlist, distance)
        if name is None:
            _refuse(change, f"{change.key}: there is no other song in that direction of the set list")
            return replace(change, value=None, explain=None)
        return replace(change, key="song", value=name)

    def _call(self, change: ControlChange) -> ControlChange | None:
        """Return the change that a song makes which is ready; None for one that must be waited for."""
        name = str(change.value)
        song = self._book.songs.get(name)
        if song is None and name:
            _refuse(change, self._book.broken.get(name) or f"song: no song {name!r}")
            return replace(change, value=None, explain=None)
        if song is not None and self._reads_inline:
            self._prepared[name] = _prepare(song)
        prepared = CalledSong("") if song is None else self._prepared.get(name)
        if prepared is None:
            if self._waiting is not None and self._waiting.done is not None:
                self._waiting.done(False)  # another has been called meanwhile
            self._waiting = change
            self._prepare(name)
            return None
        if isinstance(prepared, str):
            _refuse(change, prepared)
            self._prepared.pop(name)  # it may be mended until the next time
            return replace(change, value=None, explain=None)
        self._song = name
        self._look_ahead()
        return replace(change, value=replace(prepared, upcoming=self._list_upcoming()))

    def _list_neighbours(self) -> list[SongEntry]:
        """Return the songs that may follow."""
        names = [self._book.find_neighbour(self._song, self._setlist, distance) for distance in (1, -1)]
        return [self._book.songs[name] for name in names if name is not None and name in self._book.songs]

    def _list_upcoming(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for song in self._list_neighbours() for name in song.list_techniques()))

    def _look_ahead(self) -> None:
        """Prepare the songs that may follow, and tell how the songs stand."""
        neighbours = self._list_neighbours()
        for song in neighbours:
            if song.name not in self._prepared:
                self._prepare(song.name)
        played = self._book.songs.get(self._song)
        name = self._book.find_neighbour(self._song, self._setlist, 1)
        following = None if name is None else self._book.songs.get(name)
        order = self._book.list_names(self._setlist)
        self._tell(SongView(played, following, order, self._book.list_names(), tuple(self._book.setlists)))

    def _prepare(self, name: str) -> None:
        self._to_prepare.put(self._book.songs[name])

    def _prepare_songs(self) -> None:
        while (song := self._to_prepare.get()) is not None:
            self._put(_Prepared(self._world.now(), "song", _prepare(song), name=song.name))


def _prepare(song: SongEntry) -> CalledSong | str:
    """Return a song, ready to be called, or why it cannot be played."""
    try:
        return song.prepare()
    except (HousebandError, OSError, ValueError, MemoryError) as error:
        reason = f"the song {song.name!r} cannot be played: {describe_error(error)}"
        log.error("%s", reason)
        return reason


def _refuse(change: ControlChange, reason: str) -> None:
    """Say why a call is refused; the conductor refuses it, for its value is None then."""
    if change.explain is not None:
        change.explain(reason)
    else:
        log.warning("%s", reason)
