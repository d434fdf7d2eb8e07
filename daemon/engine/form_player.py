"""Playing the form: how a performance begins, what happens at each of its steps, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.engine.band import Band
from daemon.engine.form import Phase
from daemon.output.schedule import CLICK, DRUMS, NoteSchedule
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Note

#: General MIDI's bass drum and crash cymbal, for the drums of a final chord
FINAL_DRUMS = (36, 49)


class FormPlayer:
    """Has the band play what its form says. `now` is the world's time, in nanoseconds."""

    def __init__(self, band: Band) -> None:
        self._band = band

    def start(self, now: int) -> None:
        """Begin the performance: with a count-in, at a given step, or by waiting for the first note."""
        band = self._band
        song = band.transport.song
        if song.count_in:
            clicks = band.transport.count_in(now)
            band.clock_output.begin(clicks[0].start)
            for click in clicks:
                band.schedule.add(CLICK, click)
        if song.begin is not None:
            band.begin(song.begin)

    def begin_step(self, tick: int, now: int) -> None:
        """Do what the form has for the step that begins at a tick: mostly, commit its notes."""
        band = self._band
        form = band.form
        bars = band.settings.pause_bars
        if bars and not band.loop_player.is_wanted:  # a loop is there to be listened to
            form.end_after_pause(tick, band.input.melody.silent_since(tick), bars)
        match form.phase(tick):
            case Phase.PLAYING:
                step = tick // TICKS_PER_STEP
                band.loop_player.go_round(step, band.planner.number)
                band.planner.count_step(band.schedule.commit(step))
            case Phase.CHORD:
                self._play_final_chord(tick)
            case Phase.OVER:
                paused = form.ending is not None and form.ending.paused
                band.stop(now)
                if paused:  # whoever only paused goes on when he likes
                    band.transport.arm()

    def _play_final_chord(self, tick: int) -> None:
        """Hold the harmony of the last plan to the end."""
        band = self._band
        assert band.form.ending is not None
        assert band.transport.tempo is not None
        length = band.form.ending.over - tick
        chord = _make_final_chord(band.schedule, band.player.roles, tick)
        for event in band.schedule.drop(tick):
            band.sender.play(event, band.transport.tempo, band.input.melody.level)
        for role, notes in chord.items():
            for note in notes:
                band.schedule.add(role, Note(tick, note.pitch, length, note.velocity))


def _make_final_chord(schedule: NoteSchedule, roles: Iterable[str], tick: int) -> dict[str, tuple[Note, ...]]:
    """Return, by role, what is held to the end from a tick on."""
    chord = {role: schedule.chord_at(role, tick, tick + TICKS_PER_BEAT) for role in roles}
    if DRUMS in chord:
        chord[DRUMS] = tuple(Note(tick, pitch, 1, 100) for pitch in FINAL_DRUMS)
    return chord
