"""Playing the edit loop: what goes round is put into the schedule, and what edits or keys take out of it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from daemon.core.settings import Settings
from daemon.engine.looper import EditLoop
from daemon.engine.transport import Transport
from daemon.output.schedule import NoteSchedule
from daemon.output.sender import NoteSender
from music.edits.edit import REMOVE, Edit
from music.edits.sysex import encode_sysex
from music.note import EDITS, TICKS_PER_STEP


class LoopPlayer:
    """Plays a loop as the settings want it. `now` is the world's time, in nanoseconds."""

    def __init__(
        self,
        loop: EditLoop,
        transport: Transport,
        schedule: NoteSchedule,
        sender: NoteSender,
        note_editors: Collection[str],
    ) -> None:
        """Play `loop`. note_editors: the techniques that edit notes."""
        self._loop, self._transport = loop, transport
        self._schedule, self._sender = schedule, sender
        self._note_editors = note_editors
        self._settings = Settings()

    @property
    def is_wanted(self) -> bool:
        """True if what is played goes round and is edited."""
        return self._loop.is_wanted(self._settings, self._note_editors)

    def use(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self._settings = settings

    def begin(self, step: int) -> None:
        """Let a loop go round from this step on, at which the band begins, if one is wanted and none does."""
        if self.is_wanted and self._loop.draft is None:
            self._loop.begin(step, self._transport.bars, self._settings.loop_bars)

    def change(self, now: int) -> None:
        """End what goes round, and begin it anew if it is still wanted: technique or number of bars have changed."""
        self._sender.end(self._schedule.silence(self._position(now), EDITS), now)
        if not self.is_wanted:
            self._loop.end()
        elif self._transport.playing:
            self._loop.begin(self._transport.last_step + 1, self._transport.bars, self._settings.loop_bars)

    def go_round(self, step: int, number: int) -> None:
        """Let the loop's notes of a step be played; number: of the newest request for a plan."""
        for note in self._loop.go_round(step, self._transport.bars, number):
            self._schedule.add(EDITS, note)

    def hear(self, tick: int, data: bytes, port: int, number: int, now: int) -> None:
        """Take in a message that came at a tick, and end what it replaced in the loop."""
        if removed := self._loop.hear(tick, data, self._settings.overdub, number, port):
            self._end_notes(removed, now)

    def take(self, edits: Iterable[Edit], number: int, now: int) -> None:
        """Apply a player's edits, as far as they can still be made; number: of the request that they answer."""
        self._announce(self._loop.take(edits, number, now, self._position(now), self._settings), now)

    def undo(self, number: int, now: int) -> None:
        """Take back the last edit; number: of the newest request for a plan."""
        self._announce(self._loop.undo(number, now, self._position(now)), now)

    def _announce(self, edits: Sequence[Edit], now: int) -> None:
        """End the notes that edits, which have just been applied, removed; send the edits as MIDI, if wanted."""
        self._end_notes([(edit.step, edit.pitch) for edit in edits if edit.action == REMOVE], now)
        if self._settings.edit_sysex and self._loop.draft is not None:
            for edit in edits:
                self._sender.send(encode_sysex(edit, self._loop.draft), now)

    def _end_notes(self, places: Iterable[tuple[int, int]], now: int) -> None:
        """End notes, given by place in the loop and pitch, that are no longer in it."""
        if not self._transport.playing:
            return
        for place, pitch in places:
            start = self._loop.last_pass(place, self._transport.last_step) * TICKS_PER_STEP
            self._sender.end(self._schedule.end(EDITS, start, pitch, self._position(now)), now)

    def _position(self, now: int) -> int:
        return self._transport.tick_at(now + self._sender.lookahead_ns)
