"""Live controls: a table of what happens when a performer turns something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from daemon.core import controls
from daemon.core.events import CalledSong, ControlChange
from daemon.core.schema import SettingError
from daemon.core.settings import NO_CHART, Settings
from daemon.engine.band import Band
from daemon.engine.beginning import Beginning
from daemon.engine.clock_sync import ClockSync
from daemon.engine.form_player import FormPlayer
from daemon.engine.song_change import SongChange
from daemon.harmony.chart_line import OpenedChart
from daemon.harmony.harmony_source import CHART
from music.note import EDITS


class LiveControls:
    """Checks control changes and carries them out."""

    def __init__(
        self, band: Band, sync: ClockSync, beginning: Beginning, form_player: FormPlayer, songs: SongChange
    ) -> None:
        self._band, self._sync, self._songs = band, sync, songs
        self._beginning, self._form_player = beginning, form_player
        #: what a control does besides changing the settings; keyed by the part before a dot, as in `mute.bass`
        self._actions: Mapping[str, Callable[[ControlChange, int], None]] = {
            "mute": self._mute,
            "program": self._choose_program,
            "bank": self._choose_program,
            "bpm": self._set_bpm,
            "tap": self._tap,
            "panic": self._panic,
            "start": self._start,
            "stop": self._stop,
            "start_stop": self._start_or_stop,
            "intro": self._play_intro,
            "undo": self._undo,
            "fill": self._fill,
            "variation": self._begin_variation,
            "ending": self._end,
            "vamp": self._vamp,
            "chart": self._change_chart,
            "metre": self._change_metre,
        }

    def apply(self, change: ControlChange, now: int) -> bool:
        """Carry a change out at `now` (ns). Return False, and change nothing, if it is none.

        That is one whose key or value does not exist, or that wants a chart where there is none.
        """
        band, before = self._band, self._band.settings
        try:
            if isinstance(change.value, CalledSong):
                self._songs.call(change.value, now)
                return True
            value = self._parse(change)
        except SettingError as error:
            band.counters.refused += 1
            if change.explain is not None:
                change.explain(str(error))
            return False
        after = controls.with_control(before, change.key, value)
        learned = band.player.get_styles(after.technique)
        if after.style not in learned:  # another technique plays now: in a style of its own, until one is chosen
            after = replace(after, style=learned[0])
        band.use(after)
        if band.form.coming is not None:
            band.form.coming = controls.with_control(band.form.coming, change.key, value)
        band.planner.renew()
        if _editor(before) != _editor(after):
            band.loop_player.change(now)
        if not band.transport.playing and _players(before) != _players(after):
            band.planner.warm_up(after)
        action = self._actions.get(change.key.partition(".")[0])
        if action is not None:
            is_opened = isinstance(change.value, OpenedChart)
            action(change if is_opened else ControlChange(change.at, change.key, value), now)
        return True

    def _parse(self, change: ControlChange) -> object:
        """Return the value of a change in its own type. Raises SettingError."""
        band, value = self._band, change.value
        if change.key in ("song", "next_song", "previous_song"):  # they are prepared before they get here
            raise SettingError(f"{change.key}: there are no songs here")
        if change.key == "chart":  # it has been read before it gets here, for that takes time
            if not isinstance(value, OpenedChart):
                raise SettingError("chart: takes a chart that has been read")
            value = value.source
        styles = band.player.get_styles(band.settings.technique)
        value = controls.parse(change.key, value, styles, band.player.techniques)
        if change.key == "harmony" and value == CHART and band.input.harmony.route.chart is None:
            raise SettingError(NO_CHART)
        if change.key in ("metre", "pickup"):
            controls.check_pickup(controls.with_control(band.settings, change.key, value))
        return value

    def _mute(self, change: ControlChange, now: int) -> None:
        role = change.key.partition(".")[2]
        if role in self._band.settings.muted:
            self._band.sender.end(self._band.schedule.silence(self._band.position(now), role), now)

    def _choose_program(self, change: ControlChange, now: int) -> None:
        key, _, role = change.key.partition(".")
        self._band.sender.choose_programs(now, [role], with_bank=key == "bank")

    def _set_bpm(self, change: ControlChange, now: int) -> None:
        assert isinstance(change.value, float)
        self._band.transport.change_tempo(max(change.at, now), change.value)

    def _tap(self, change: ControlChange, now: int) -> None:
        bpm = self._band.transport.tap(change.at)
        if bpm is not None:
            self._band.transport.change_tempo(max(change.at, now), bpm)

    def _panic(self, _: ControlChange, now: int) -> None:
        self._band.end_all(now)
        self._band.sender.choose_programs(now)  # a synthesiser that was reset, too, plays what it should

    def _start(self, _: ControlChange, now: int) -> None:
        """Begin, or let the next melody note begin: without the clock that is followed, if that has stopped."""
        self._leave_stopped_clock(now)
        self._beginning.start(now, self._sync.state)

    def _stop(self, _: ControlChange, now: int) -> None:
        self._band.stop(now)

    def _start_or_stop(self, change: ControlChange, now: int) -> None:
        """Stop if the band plays, and is not held up by a clock that has stopped; else start."""
        transport = self._band.transport
        is_on = transport.playing and transport.held_since is None
        (self._stop if is_on else self._start)(change, now)

    def _play_intro(self, _: ControlChange, now: int) -> None:
        self._leave_stopped_clock(now)
        self._beginning.play_intro(now, self._sync.state)

    def _leave_stopped_clock(self, now: int) -> None:
        if self._band.transport.held_since is not None and self._sync.let_go():
            self._band.stop(now)
            self._band.transport.release()

    def _undo(self, _: ControlChange, now: int) -> None:
        band = self._band
        band.loop_player.undo(band.planner.number, now)

    def _fill(self, _: ControlChange, now: int) -> None:
        if self._band.transport.playing:
            self._band.form.fill(self._band.position(now))

    def _begin_variation(self, _: ControlChange, now: int) -> None:
        self._band.form.next_variation(self._band.position(now) if self._band.transport.playing else None)

    def _end(self, _: ControlChange, now: int) -> None:
        self._form_player.end(now)

    def _change_chart(self, change: ControlChange, now: int) -> None:
        """Take another chart at the next bar line; during an ending, or a stop, for the next performance."""
        assert isinstance(change.value, OpenedChart)
        band = self._band
        is_same = change.value.source == self._songs.chart_source
        self._songs.chart_source = change.value.source
        line = self._find_line(now)
        band.input.harmony.route.change_chart(change.value.line, line, is_same=is_same, is_led=band.transport.led)

    def _change_metre(self, _: ControlChange, now: int) -> None:
        """Let the bars be those of another metre from the next bar line on."""
        if self._band.transport.playing:
            self._band.transport.change_metres(self._band.settings, self._find_line(now))

    def _find_line(self, now: int) -> int | None:
        """Return the bar line at which another song can take over: after an ending under way, None if nothing plays.

        None also during a count-in or an introduction, for bar 1 is still to come.
        """
        band = self._band
        ending, tick, bars = band.form.ending, band.position(now), band.transport.bars
        if not band.transport.playing or (ending is None and tick < bars.route.bar_1):
            return None
        return bars.bar_at(tick).end if ending is None else ending.over

    def _vamp(self, _: ControlChange, now: int) -> None:
        """Begin or end a vamp; during an ending that is not to be called off it comes too late."""
        ending = self._band.form.ending
        if self._band.transport.playing and (ending is None or ending.paused):
            self._band.input.harmony.route.vamp(self._band.position(now))


def _players(settings: Settings) -> tuple[str, Mapping[str, str]]:
    return settings.technique, settings.players


def _editor(settings: Settings) -> tuple[str, str, int]:
    return settings.technique, settings.players.get(EDITS, ""), settings.loop_bars
