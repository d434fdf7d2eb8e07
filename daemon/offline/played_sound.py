"""A record of the player's own notes on virtual time, as loudspeakers would have them."""

from __future__ import annotations

from daemon.core.observers import Observer, PerformanceView
from daemon.sound.player_sound import PlayerSound
from music import midi
from music.note import HAND, HAND_SOUND_CHANNEL, MELODY


class PlayedSound(Observer):
    """Keeps the messages of melody and left hand as their levels and all else in the settings have them sound."""

    def __init__(self) -> None:
        self._sound = PlayerSound()
        self._performance: PerformanceView | None = None
        self._kept: dict[str, list[tuple[int, bytes]]] = {MELODY: [], HAND: []}

    def on_start(self, performance: PerformanceView) -> None:
        """Sound as the settings of this performance have it."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """End what was muted."""
        self._follow(now)

    def on_input(self, data: bytes, at: int) -> None:
        """Keep a message of the player."""
        self._follow(at)
        self._keep(self._sound.pass_on(data), at)

    def list_messages(self, origin: int) -> dict[str, list[tuple[int, bytes]]]:
        """Return, by the role that plays a note, (ns since `origin`, message), by time."""
        return {
            role: [(at - origin, data) for at, data in messages]
            for role, messages in self._kept.items()
            if any(midi.is_note_on(data) for _, data in messages)
        }

    def _follow(self, now: int) -> None:
        if self._performance is not None:
            self._keep(self._sound.use(self._performance.settings), now)

    def _keep(self, messages: list[bytes], at: int) -> None:
        for data in messages:
            self._kept[HAND if midi.channel_of(data) == HAND_SOUND_CHANNEL else MELODY].append((at, data))
