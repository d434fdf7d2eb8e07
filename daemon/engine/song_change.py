"""Going from one song to another: at the next bar line or the next step, or at once while nothing plays.

Half a step before it begins, the players are asked for the new song, with its settings, chords, bars and tempo; where
it begins, all that sounds of the old one ends. Whatever a song has turned is turned back when another is called.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from daemon.core import controls
from daemon.core.controls import BPM
from daemon.core.events import CalledSong
from daemon.core.plan import Plan
from daemon.core.schema import SettingError
from daemon.core.settings import AT_ONCE, NO_CHART, SOUNDING_ROLES, Settings
from daemon.engine.band import Band
from daemon.engine.looper import EditLoop
from daemon.engine.transport import HALF_STEP
from daemon.harmony.chart_line import ChartLine, OpenedChart
from daemon.harmony.harmony_source import CHART
from music.note import TICKS_PER_STEP

US_PER_MINUTE = 60_000_000


class _Turned(NamedTuple):
    """All that a song turns, worked out from how the controls stand."""

    settings: Settings
    bpm: float | None  #: None: the tempo stays
    chart: ChartLine | None
    before: dict[str, object]  #: control -> its value without a song


class SongChange:
    """Owns the song that has been called. Ticks are the band's, `now` is the world's time in nanoseconds."""

    def __init__(self, band: Band) -> None:
        self._band = band
        #: the source of the chart that is played from
        self.chart_source = band.settings.chart
        self._called: CalledSong | None = None  # it has yet to begin
        self._begin: int | None = None  # the tick at which one begins that players have been asked for
        self._line = 0  # the tick at which the one that is played began, or is to begin
        self._known_from = 0  # the first request for a plan that is about it
        self._before: dict[str, object] = {}  # control -> its value without a song, of those that the song has turned
        self._own_chart: ChartLine | None = None  # the chart without a song, while that has turned it

    def call(self, song: CalledSong, now: int) -> None:
        """Go to a song when it is time. Raises SettingError for one that cannot be played."""
        self._work_out(song)
        self._called = song
        if _is_silent(self._band):
            self.settle(now)
            return
        transport = self._band.transport
        if (
            self._begin is None and transport.grid % TICKS_PER_STEP == 0 and self._is_due(transport.grid)
        ):  # that has been asked for already
            self._prepare(song, transport.grid)
            self._band.request_plan(transport.grid - HALF_STEP, now, late=False)

    def advance(self, tick: int, now: int) -> None:
        """Go on to a tick of the grid: the song that was called is prepared, or begins."""
        if self._begin is not None:
            if tick >= self._begin:
                self._start(tick, now)
        elif self._called is not None and tick % TICKS_PER_STEP and self._is_due(tick + HALF_STEP):
            self._prepare(self._called, tick + HALF_STEP)

    def settle(self, now: int) -> None:
        """Begin the song that was called at once, if nothing plays."""
        band = self._band
        if (self._called is None and self._begin is None) or not _is_silent(band):
            return
        self._finish_begun(now)
        if (song := self._called) is None:
            return
        turned = self._take(song)
        if band.transport.playing:  # the clock that is followed has stopped
            band.end_all(now)
            band.planner.discard_pending()
        self._use(turned.settings, now)
        self._change_place(song, turned, None, band.position(now))
        if turned.bpm is not None:
            band.transport.change_tempo(now, turned.bpm)
        band.loop_player.change(now)
        band.planner.warm_up(turned.settings)

    def adapt(self, plan: Plan) -> Plan:
        """Return a plan that has arrived, without what it has of the old song from where the new one begins."""
        return plan if plan.number >= self._known_from else _cut(plan, self._line // TICKS_PER_STEP)

    def _is_due(self, line: int) -> bool:
        """Tell whether the song that was called is to begin at a step, given by its tick."""
        band = self._band
        if band.form.ending is not None:  # it follows when that is over
            return False
        return band.settings.song_change == AT_ONCE or line - band.transport.bars.bar_at(line).start < TICKS_PER_STEP

    def _prepare(self, song: CalledSong, line: int) -> None:
        """Let players be asked for the song from a step on, given by its tick, which is the next."""
        band, turned = self._band, self._take(song)
        self._begin = self._line = line
        self._known_from = band.planner.number + 1
        band.form.coming = turned.settings
        band.input.harmony.use(turned.settings)
        self._change_place(song, turned, line, line)
        if turned.bpm is not None:
            band.transport.change_tempo_from(line, turned.bpm)
        band.schedule.adapt(lambda plan: _cut(plan, line // TICKS_PER_STEP))
        band.planner.renew()

    def _start(self, tick: int, now: int) -> None:
        """Let the song begin that has been prepared, and end what sounds."""
        band, tempo = self._band, self._band.transport.tempo
        had_loop = band.settings
        self._finish_begun(now)
        events = band.schedule.silence(tick)
        if tempo is not None:
            for event in events:
                band.sender.play(event, tempo, band.input.melody.level)
        if EditLoop.is_wanted(had_loop, band.player.note_editors) or band.loop_player.is_wanted:
            band.loop_player.change(now)

    def _finish_begun(self, now: int) -> None:
        """Let the settings hold of a song that has been prepared."""
        if self._band.form.coming is not None:
            self._use(self._band.form.coming, now)
        self._begin = self._band.form.coming = None

    def _use(self, settings: Settings, now: int) -> None:
        """Let settings hold, and choose the instruments that they have and the ones before had not."""
        before = self._band.settings
        self._band.use(settings)
        other = [role for role in SOUNDING_ROLES if _find_program(before, role) != _find_program(settings, role)]
        if other:
            self._band.sender.choose_programs(now, other, with_bank=True)

    def _change_place(self, song: CalledSong, turned: _Turned, line: int | None, tick: int) -> None:
        """Let bars, chart and form be those of the song, from a line on or, with None, for the next performance."""
        band = self._band
        band.transport.change_metres(turned.settings, line)
        band.input.harmony.route.change_chart(turned.chart, line, is_led=band.transport.led)
        band.input.harmony.begin_song(tick)
        band.form.begin_song()
        band.planner.begin_song(tick, song.upcoming)

    def _take(self, song: CalledSong) -> _Turned:
        """Return what a song turns, and take it for the one that is played."""
        turned, route = self._work_out(song), self._band.input.harmony.route
        if "chart" in turned.before and "chart" not in self._before:
            self._own_chart = route.chart
        self._before, self._called, self.chart_source = turned.before, None, turned.settings.chart
        return turned

    def _work_out(self, song: CalledSong) -> _Turned:
        """Return what a song turns. Raises SettingError for what cannot be."""
        band, before = self._band, self._before
        settings, bpm = band.form.coming or band.settings, before.get(BPM.name)
        for key, value in controls.sort_changes(before.items()):
            settings = controls.with_control(settings, key, value)
        values: dict[str, object] = controls.current_values(settings)
        values[BPM.name] = US_PER_MINUTE / band.transport.us if bpm is None else bpm
        chart = self._own_chart if "chart" in before else band.input.harmony.route.chart
        for key, value in controls.sort_changes(song.changes):
            if isinstance(value, OpenedChart):
                chart, value = value.line, value.source
            elif key == BPM.name:
                bpm = value
            settings = controls.with_control(settings, key, value)
        learned = band.player.get_styles(settings.technique)
        if settings.style not in learned:
            settings = replace(settings, style=learned[0])
        controls.check_pickup(settings)
        if settings.harmony == CHART and chart is None:
            raise SettingError(NO_CHART)
        return _Turned(
            replace(settings, song=song.name),
            float(str(bpm)) if bpm is not None else None,
            chart,
            {key: values[key] for key in song.turned if key in values},
        )


def _find_program(settings: Settings, role: str) -> tuple[int, int]:
    return settings.programs.get(role, 0), settings.banks.get(role, 0)


def _is_silent(band: Band) -> bool:
    """Tell whether nothing is played, as while the clock that is followed stands still."""
    return not band.transport.playing or band.transport.held_since is not None


def _cut(plan: Plan, step: int) -> Plan:
    """Return a plan that ends before a step."""
    return plan if plan.last <= step else replace(plan, last=max(plan.first, step))
