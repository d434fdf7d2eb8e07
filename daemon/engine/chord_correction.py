"""Following a chord that the player has just struck: a plan is asked for, and what sounds or is planned is corrected.

Notes of bass, chords and pad that do not belong to the new chord end at the next step; where no note of their role
begins there, a note of the chord takes their place. What belongs to it goes on, so that nothing stutters. A bass that
rests there plays the chord's bass, so that it follows at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

from daemon.core.plan import Plan
from daemon.engine.band import Band
from daemon.engine.transport import HALF_STEP
from daemon.harmony.chord_reading import ReadChord
from music.encoding.gan_canvas import REGISTERS
from music.note import PITCH_CLASSES, PITCHED_ROLES, TICKS_PER_BEAT, TICKS_PER_STEP, Note

BASS = "bass"
#: steps of a plan that are adapted: by then another has come, unless the player hangs
ADAPTED_STEPS = 8
#: ticks for which a bass may have rested that follows a chord at once
RESTING_BASS_TICKS = 4 * TICKS_PER_BEAT
#: semitones of a third, and the tones of a chord that has one
_THIRDS, _TRIAD = (3, 4), 3


class ChordCorrection:
    """Brings what the band plays in line with the chords of the player's hand, as they change."""

    def __init__(self, band: Band) -> None:
        self._band = band
        self._chord: ReadChord | None = None  # the one that plans are adapted to which do not know it yet
        self._known_from = 0  # the number of the first plan that knows it
        self._due: tuple[int, ReadChord] | None = None  # the step at whose beginning what sounds is corrected
        # role -> what is to sound over that step, as it was planned before the chord was struck
        self._over: dict[str, list[Note]] = {}

    def advance(self, tick: int) -> None:
        """Go on to a tick of the grid; at the beginning of the step that is due, correct what sounds."""
        harmony = self._band.input.harmony
        harmony.advance(tick)
        if harmony.changed is not None:
            self._follow()
        if self._due is not None:
            step, chord = self._due
            late = tick - step * TICKS_PER_STEP
            if late >= 0 or late < -TICKS_PER_STEP:
                self._due = None
            if 0 <= late < TICKS_PER_STEP:  # else the band has stopped or leapt since
                self._correct(tick, chord)

    def follow(self, now: int) -> None:
        """Take note of what the player has just struck; if it is another chord, ask for a plan at once."""
        transport = self._band.transport
        if self._follow() and transport.grid % TICKS_PER_STEP == 0:  # the next step's plan was asked for before it
            self._band.request_plan(transport.grid - HALF_STEP, now, late=False)

    def adapt(self, plan: Plan) -> Plan:
        """Return a plan that has arrived: adapted, if it was asked for before the chord that holds was struck.

        One that knows the chord tells the third of a chord that has none, and its bass begins on the chord's bass.
        """
        if self._chord is not None and plan.number < self._known_from:
            return _adapt(plan, self._chord, self._band.transport.last_step + 1)
        self._chord = None
        if self._due is None:
            return plan
        step, chord = self._due
        if chord.tones.bit_count() < _TRIAD:
            chord = _add_third(chord, plan, step)
            self._due = step, chord
        if BASS not in plan.notes:
            return plan
        return replace(plan, notes={**plan.notes, BASS: _lead_bass(plan.notes[BASS], chord, step, step + 1)})

    def _follow(self) -> bool:
        band = self._band
        chord = band.input.harmony.take_change()
        if chord is None or not band.transport.playing:
            return False
        self._chord, self._known_from = chord, band.planner.number + 1
        step = band.transport.last_step + 1
        if self._due is None:
            self._over = {role: band.schedule.notes_over(role, step * TICKS_PER_STEP) for role in PITCHED_ROLES}
        self._due = step, chord
        band.schedule.adapt(lambda plan: _adapt(plan, chord, step))
        band.planner.renew()
        return True

    def _correct(self, tick: int, chord: ReadChord) -> None:
        """End what sounds over a tick and does not belong to the chord, and put what does in its place."""
        schedule = self._band.schedule
        for role in PITCHED_ROLES:
            over = {(note.start, note.pitch): note for note in schedule.notes_over(role, tick)}
            for note in self._over.get(role, ()):  # a plan that knows the chord may have cut it there already
                if note.start < tick < note.end and schedule.has_note(role, note.start, note.pitch):
                    over.setdefault((note.start, note.pitch), note)
            wrong = [note for note in over.values() if _is_wrong(note.pitch, role, chord)]
            for note in wrong:
                self._end(role, note, tick)
            if not schedule.begins_in(role, tick // TICKS_PER_STEP):
                taken = {note.pitch for note in over.values() if note not in wrong}
                for note in wrong:
                    pitch = _fit_pitch(note.pitch, role, chord, taken)
                    taken.add(pitch)
                    schedule.add(role, Note(tick, pitch, note.end - tick, note.velocity))
                if role == BASS and not wrong:
                    self._lead(tick, chord, over.values())

    def _end(self, role: str, note: Note, tick: int) -> None:
        band = self._band
        for event in band.schedule.end(role, note.start, note.pitch, tick):
            if band.transport.tempo is not None:
                band.sender.play(event, band.transport.tempo, band.input.melody.level)

    def _lead(self, tick: int, chord: ReadChord, over: Collection[Note]) -> None:
        """Let a bass note that is right go on, and a bass that rests play the chord's until it plays again.

        It does so if it has played another note lately.
        """
        for note in over:
            self._band.schedule.hold(BASS, note)
        if over:
            return
        last = next(iter(self._band.schedule.chord_at(BASS, tick, tick)), None)
        if last is None or tick - last.end > RESTING_BASS_TICKS or not _is_wrong(last.pitch, BASS, chord):
            return
        coming = next(iter(self._band.schedule.chord_at(BASS, tick, tick + TICKS_PER_BEAT)), last)
        length = coming.start - tick if coming.start > tick else TICKS_PER_BEAT
        self._band.schedule.add(BASS, Note(tick, _fit_pitch(last.pitch, BASS, chord, ()), length, last.velocity))


def _adapt(plan: Plan, chord: ReadChord, step: int) -> Plan:
    """Return a plan whose notes belong to a chord; the first one of its bass from a step on is the chord's bass."""
    notes = dict(plan.notes)
    for role in PITCHED_ROLES:
        line = plan.notes.get(role, ())
        far = bisect_left(line, (step + ADAPTED_STEPS) * TICKS_PER_STEP, key=_start_of)
        notes[role] = (*_fit_all(line[:far], role, chord), *line[far:])
    notes[BASS] = _lead_bass(notes[BASS], chord, step, plan.last)
    return replace(plan, notes={role: notes[role] for role in plan.notes})


def _lead_bass(line: tuple[Note, ...], chord: ReadChord, step: int, until: int) -> tuple[Note, ...]:
    """Return a bass line of which the first note that begins in the steps [step, until) is the chord's bass."""
    place = bisect_left(line, step * TICKS_PER_STEP, key=_start_of)
    if (
        place == len(line)
        or line[place].start >= until * TICKS_PER_STEP
        or not _is_wrong(line[place].pitch, BASS, chord)
    ):
        return line
    fitted = replace(line[place], pitch=_fit_pitch(line[place].pitch, BASS, chord, ()))
    return *line[:place], fitted, *line[place + 1 :]


def _add_third(chord: ReadChord, plan: Plan, step: int) -> ReadChord:
    """Return a chord with the third that a plan plays over its root in the steps to come, if there is one."""
    for role in ("chords", "pad"):
        for note in plan.notes.get(role, ()):
            is_near = step * TICKS_PER_STEP <= note.start < (step + ADAPTED_STEPS) * TICKS_PER_STEP
            if is_near and (note.pitch - chord.root) % PITCH_CLASSES in _THIRDS:
                return chord._replace(tones=chord.tones | 1 << note.pitch % PITCH_CLASSES)
    return chord


def _fit_all(notes: Iterable[Note], role: str, chord: ReadChord) -> tuple[Note, ...]:
    """Return notes with those moved that do not belong to a chord; of one onset, no two have the same pitch then."""
    fitted: list[Note] = []
    for _, onset in groupby(notes, _start_of):
        together = list(onset)
        taken = {note.pitch for note in together if _belongs(note.pitch, chord)}
        for note in together:
            if not _belongs(note.pitch, chord):
                pitch = _fit_pitch(note.pitch, role, chord, taken)
                note = Note(note.start, pitch, note.length, note.velocity)
                taken.add(pitch)
            fitted.append(note)
    return tuple(fitted)


def _start_of(note: Note) -> int:
    return note.start


def _belongs(pitch: int, chord: ReadChord) -> bool:
    """Tell whether a pitch can sound with a chord; where it has no third, either may."""
    up = (pitch - chord.root) % PITCH_CLASSES
    return chord.has(pitch) or (up in _THIRDS and chord.tones.bit_count() < _TRIAD)


def _is_wrong(pitch: int, role: str, chord: ReadChord) -> bool:
    """Tell whether a note that sounds is wrong from now on: the bass is, unless it is the chord's bass."""
    return pitch % PITCH_CLASSES != chord.bass if role == BASS else not _belongs(pitch, chord)


def _fit_pitch(pitch: int, role: str, chord: ReadChord, taken: Collection[int]) -> int:
    """Return the nearest pitch of a chord that is not taken, if there is one; for the bass, one of the chord's bass."""
    fitting = _list_near(pitch, role, 1 << chord.bass if role == BASS else chord.tones)
    return next((other for other in fitting if other not in taken), fitting[0])


@lru_cache(maxsize=4096)
def _list_near(pitch: int, role: str, wanted: int) -> tuple[int, ...]:
    """Return other pitches up to an octave away whose pitch classes are wanted, the nearest first.

    None of them leaves the compass of the role, unless the pitch lies outside of it.
    """
    compass = REGISTERS[role].list_pitches()
    lowest, highest = min(pitch, int(compass.min())), max(pitch, int(compass.max()))
    near = (pitch + way * distance for distance in range(1, PITCH_CLASSES + 1) for way in (-1, 1))
    return tuple(other for other in near if lowest <= other <= highest and wanted >> other % PITCH_CLASSES & 1)
