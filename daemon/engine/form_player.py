"""Playing the form: what happens at each step of a performance, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.core.settings import NEXT_BAR, NO_RITARDANDO, RITARDANDO
from daemon.engine.band import Band
from daemon.engine.form import Ending, Phase
from daemon.output.schedule import DRUMS, NoteSchedule
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Note, round_to_step
from music.styles import get_style

#: General MIDI's bass drum and crash cymbal, for the drums of a final chord
FINAL_DRUMS = (36, 49)
#: percent of the tempo that a ritardando comes down to in a style that has none of its own
USUAL_FINAL_TEMPO_PERCENT = 70


class FormPlayer:
    """Has the band play what its form says. `now` is the world's time, in nanoseconds."""

    def __init__(self, band: Band) -> None:
        self._band = band

    def begin_step(self, tick: int, now: int) -> None:
        """Do what the form has for the step that begins at a tick: mostly, commit its notes."""
        band = self._band
        form = band.form
        bars = band.settings.pause_bars
        is_alone = band.input.harmony.lead_in.lasts(tick)  # for as long as the melody likes
        if bars and not is_alone and not band.loop_player.is_wanted:  # a loop is there to be listened to
            form.end_after_pause(tick, band.input.melody.silent_since(tick), bars)
        self._tell_final_chord()
        if form.ending is not None and tick < form.ending.chord:
            self._slow_down(form.ending, tick, now)
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

    def end(self, now: int) -> None:
        """End the performance, as is asked for now, with a final chord where the settings have it.

        A band that counts in does not begin.
        """
        band = self._band
        if band.transport.is_counting_in:
            band.stop(now)
        if not band.transport.playing:
            return
        tick, final_chord, harmony = band.position(now), band.settings.final_chord, band.input.harmony
        plays_last_bar = final_chord != NEXT_BAR

        def find_chord(line: int) -> int | None:
            return harmony.go_to_ending(line, tick + TICKS_PER_BEAT, plays_last_bar=plays_last_bar)

        band.form.end(tick, final_chord, find_chord)
        self._tell_final_chord()
        newest = band.input.melody.newest_note
        if newest is not None and band.transport.tick_at(now) - newest < TICKS_PER_STEP:  # pressed together with it
            self.hear_note(now)

    def _tell_final_chord(self) -> None:
        """Let the harmony know where the final chord falls, as far as that is known."""
        ending = self._band.form.ending
        is_known = ending is not None and not ending.waits_for_note
        self._band.input.harmony.final_tick = ending.chord if ending is not None and is_known else None

    def hear_note(self, now: int) -> None:
        """Take in that a melody note has begun, on which the final chord may fall."""
        band = self._band
        tick = band.input.melody.newest_note
        assert tick is not None
        ending = band.form.ending
        if ending is not None and ending.paused and tick < ending.chord:
            band.transport.resume_tempo(now + band.sender.lookahead_ns)
        if not band.form.melody_played(tick):
            return
        position, step = band.position(now), round_to_step(tick) * TICKS_PER_STEP
        chord = max(position, step)
        band.form.end_on(chord)
        is_to_come = chord > position or (position % TICKS_PER_STEP == 0 and band.transport.is_at_grid(position))
        if not is_to_come:
            self._play_final_chord(position)

    def _slow_down(self, ending: Ending, tick: int, now: int) -> None:
        """Begin the ritardando in the last bar before the final chord, if there is one; the rest of it slows down.

        tick: that of the step that begins.
        """
        band = self._band
        settings = band.settings
        percent = 100 if settings.ritardando == NO_RITARDANDO else get_style(settings.style).final_tempo_percent
        if settings.ritardando == RITARDANDO and percent == 100:
            percent = USUAL_FINAL_TEMPO_PERCENT
        bar = band.transport.bars.bar_at(ending.chord - 1)
        if percent == 100 or tick < bar.start:
            return
        begin = (max(tick, band.position(now)) // TICKS_PER_STEP + 1) * TICKS_PER_STEP
        share = 100 - (100 - percent) * (ending.chord - begin) // (ending.chord - bar.start)
        band.transport.slow_down(begin, ending.chord, share)

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
