"""Reading the configuration again while the band plays: changed controls are set, and no note is dropped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from daemon.config.config import KEYS, Config
from daemon.core.controls import current_values, sort_changes
from daemon.core.events import ControlChange, Event, RebindGestures
from daemon.core.player_info import PlayerInfo
from daemon.live.song_world import ChangeBook
from daemon.system import sd_notify
from daemon.system.journald import with_fields
from music.errors import UserError

log = logging.getLogger(__name__)


def find_changes(before: Config, after: Config, player: PlayerInfo) -> tuple[list[tuple[str, object]], list[str]]:
    """Return the controls to set, as (key, value), and the names of changed keys that hold from the next start only.

    Raises ConfigError for a style or a technique that the player does not know.
    """
    old, new = current_values(before.make_settings(player)), current_values(after.make_settings(player))
    turned = sort_changes((key, value) for key, value in new.items() if old.get(key) != value)
    if before.bpm != after.bpm:
        turned.append(("bpm", after.bpm))
    changed = [key for key in KEYS if before.get_value(key) != after.get_value(key)]
    # a technique can be chosen live, but only those are loaded that were found at the start
    later = [key for key in changed if not KEYS[key].live or key == "technique"]
    return turned, [key for key in later if key not in ("preset", "default_gestures")]


def _sign_file(path: str) -> tuple[int, ...]:
    """Return what changes with a file; nothing where there is none."""
    if not path:
        return ()
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


class ConfigReloader:
    """Reads the configuration again, on a thread of its own, and asks the conductor for what has changed."""

    def __init__(
        self,
        read: Callable[[], Config],
        now: Callable[[], int],
        put: Callable[[Event], None],
        known: Config,
        player: PlayerInfo,
        find_chart: Callable[[], str],
    ) -> None:
        """read: how to read it, raising UserError; known: the configuration at the start.

        find_chart: returns the name of the chart that is played from, on any thread.
        """
        self._find_chart = find_chart
        self._read, self._now, self._put, self._known, self._player = read, now, put, known, player
        self._chart = _sign_file(known.settings.chart)
        self._lock = threading.Lock()  # two reloads do not overtake each other

    def start(self) -> None:
        """Begin to read it again; a signal handler."""
        threading.Thread(target=self.reload, name="reload", daemon=True).start()

    def reload(self) -> None:
        """Read it again and set what has changed; a configuration with a mistake changes nothing."""
        with self._lock:
            sd_notify.notify_reloading()
            try:
                found = self._read()
                turned, later = find_changes(self._known, found, self._player)
            except UserError as error:  # of the configuration, or of what was learned while playing
                log.error("the configuration is not taken: %s", error, extra=with_fields(event="refused"))
                sd_notify.notify("READY=1")
                return
            source, chart = found.settings.chart, _sign_file(found.settings.chart)
            is_edited = chart != self._chart and source == self._known.settings.chart
            if is_edited and source == self._find_chart():  # one that was chosen live stays
                turned.append(("chart", source))
            self._chart = chart
            for key, value in turned:
                self._put(ControlChange(self._now(), key, value))
            keys = [key for key, _ in turned]
            if (self._known.gestures, self._known.presets) != (found.gestures, found.presets):
                self._put(RebindGestures(self._now(), found.gestures, found.presets))
                keys.append("gestures")
            if self._known.book != found.book:
                self._put(ChangeBook(self._now(), "song", found.book.keep_known(self._player)))
                keys.append("songs")
            self._known = found
            log.info(
                "configuration read again: %s", ", ".join(keys) or "nothing new", extra=with_fields(event="reloaded")
            )
            if later:
                log.warning(
                    "these hold after a restart: %s", ", ".join(later), extra=with_fields(event="restart-needed")
                )
            sd_notify.notify("READY=1")
