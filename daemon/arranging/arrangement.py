"""Roles that agree: the bass tells the chord's root, chords and pad keep above it and out of each other's way.

The networks write each role by itself, so that a right chord stands over another of its tones, and two roles grate.
Here a plan is gone through step by step, the bass first, then the chords, then the pad behind them. What people do more
rarely than by chance is kept from happening, and what is written is changed as little as that takes:

- on a beat the bass plays the root, or the lowest note of a chord that the player gave; where it walks, as in jazz, on
  the first and the third; under chords that sound on it does not fall silent over a beat, and bass and chords that
  are held for too long are struck anew on a bar line;
- chords and pad strike tones of the chord, in the inversion that moves their top least (`voicing`);
- nothing begins below the bass, or a semitone or a minor ninth from what sounds, and what is foreign to the chord makes
  way for the melody;
- on a beat, voices that the chord lacks move to the nearest tone that it has; within a beat they do where the melody
  sounds what nothing of the band does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter

from daemon.arranging.harmony_line import NO_HARMONY, StepHarmony, build_on_bass, list_harmony
from daemon.arranging.recollection import find_sure_end, play_again
from daemon.arranging.role_lines import (
    GRATING,
    ArrangedNote,
    RoleLine,
    find_grating,
    find_nearest,
    fold_pitches,
    has_tone,
    list_sounding,
    spread_tones,
)
from daemon.arranging.voicing import LOWEST_VOICE, ChordTops, ground, lead_voices
from daemon.core.plan import PlanRequest
from music.chords import NO_CHORD
from music.note import (
    PITCH_CLASSES,
    PITCHED_ROLES,
    STEPS_PER_BEAT,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Note,
    NoteNumbers,
    make_notes,
)

Notes = Mapping[str, tuple[Note, ...]]  #: by role
Numbers = Mapping[str, Sequence[NoteNumbers]]  #: of notes, by role

BASS, CHORDS = "bass", "chords"
UPPER_ROLES = tuple(role for role in PITCHED_ROLES if role != BASS)
#: the lowest and highest pitch that the bass is moved to
BASS_COMPASS = (28, 51)
#: the highest pitch to which chords and pad are moved up
HIGHEST_PITCH = 96
#: the bass holds a root that it begins anew for so many steps at least
ROOT_STEPS = 2
#: A note that has been held for one such part of a bar, or for longer, is struck anew on the bar line.
LONGEST_PARTS = {BASS: 2, CHORDS: 1}
#: committed notes of a role among which the chord before is looked for
RECENT_NOTES = 24
#: place in a beat at which chords are corrected, steps
CORRECTION_STEP = STEPS_PER_BEAT // 2
#: Styles whose bass walks: it tells the root where half of a bar begins, and is free within the chord between.
WALKING_STYLES = frozenset({"jazz"})
_NOTHING: dict[str, list[NoteNumbers]] = {}


def arrange_plan(
    request: PlanRequest,
    notes: Numbers,
    held: Notes,
    chords: Iterable[tuple[int, int]],
    last: int,
    near: Mapping[str, Iterable[Note]] | None = None,
) -> tuple[Notes, Notes]:
    """Return `notes` and `held` of a plan with what comes again, and with roles that agree.

    notes: those that begin, by role, as numbers that are soon made; chords: root and quality that the player has chosen
    for each step from the request's now-line on (`list_harmony`);
    last: the step before which the plan's last notes begin, those after it are left out. Roles are made to agree in the
    steps that are likely to be played and a beat more; later notes, which sound only where plans do not come, stay as
    they are;
    near: by role, committed notes among which are all that sound at the now-line, for who knows them already.
    """
    near = request.committed if near is None else near
    harmony = list_harmony(chords, request.harmony, request.now)
    notes, held = play_again(request, notes, held, near, harmony)
    arranger = _Arranger(request, notes, held, near, harmony)
    arranger.arrange(_find_sure_step(request, last), last)
    end = last * TICKS_PER_STEP
    made = {role: line.list_planned(end) for role, line in arranger.lines.items()}
    others = {
        role: tuple(make_notes(sorted([note for note in notes[role] if note[0] < end])))
        for role in notes
        if role not in made
    }
    ends = {role: line.list_committed() for role, line in arranger.lines.items()}
    return others | made, {**held, **ends}


class _Arranger:
    """Goes through one plan."""

    def __init__(
        self,
        request: PlanRequest,
        notes: Numbers,
        held: Notes,
        near: Mapping[str, Iterable[Note]],
        harmony: Sequence[StepHarmony],
    ) -> None:
        self._request, self._now, self._harmony = request, request.now, harmony
        self._bar, self._steps_per_bar = request.bar_origin // TICKS_PER_STEP, request.metre.steps_per_bar
        self._walks = request.settings.style in WALKING_STYLES
        tick = request.now * TICKS_PER_STEP
        self.lines = {role: RoleLine(list_sounding(request, held, near, role), tick) for role in PITCHED_ROLES}
        self._bass, self._upper = self.lines[BASS], [self.lines[role] for role in UPPER_ROLES]
        self._onsets = _group_onsets(notes)
        recent = chain.from_iterable([request.committed.get(role, ())[-RECENT_NOTES:] for role in UPPER_ROLES])
        self._tops = ChordTops(self._upper, (note for note in recent if note.start < tick))

    def arrange(self, until: int, last: int) -> None:
        """Arrange the steps before `until` whose harmony is told, and take over the rest of those before `last`.

        Where the bass is silent then, it goes on: chords to come may let its last note go on (`_hold_bass`).
        """
        now, bar, steps_per_bar, onsets = self._now, self._bar, self._steps_per_bar, self._onsets
        sure = find_sure_end(self._request)
        for step, harmony in enumerate(self._harmony, now):
            if step >= until and any(note.end > step * TICKS_PER_STEP for note in self._bass.sounding.values()):
                break
            begins, place = onsets.pop(step, _NOTHING), (step - bar) % steps_per_bar
            if begins or step == now or place % STEPS_PER_BEAT == 0:
                self._arrange_step(step, place, begins, NO_HARMONY if step < sure else harmony)
                if step < sure:
                    self._follow_chords(step, harmony.bass)
        for begins in [onsets[step] for step in sorted(onsets) if step < last]:
            for role, late in begins.items():
                self.lines[role].notes.extend([_copy(note) for note in late])

    def _arrange_step(
        self, step: int, place: int, begins: Mapping[str, list[NoteNumbers]], harmony: StepHarmony
    ) -> None:
        """Arrange a step; place: in its bar; begins: what the plan begins in it, by role."""
        in_beat, tick, tones = place % STEPS_PER_BEAT, step * TICKS_PER_STEP, harmony.tones
        for line in self.lines.values():
            if line.next_end <= tick:
                line.end_due(tick)
        melody = self._find_melody(step) if step == self._now else None
        if melody is not None and tones:
            self._make_way(melody, tick, tones)
        corrects = in_beat == CORRECTION_STEP and melody is not None and not self._sounds(melody)
        if tones and (in_beat == 0 or corrects):
            chord = spread_tones(tones)
            for role, line in zip(UPPER_ROLES, self._upper, strict=True):
                if line.pitches & ~chord:
                    self._move_voices(line, tick, tones, is_struck=role in begins)
        if in_beat and not corrects:
            harmony = self._keep_harmony(harmony, tick - in_beat * TICKS_PER_STEP)
        self._write_bass(step, begins.get(BASS, ()), harmony, is_strong=in_beat == 0 or corrects)
        self._write_chords(tick, begins, harmony, is_beat=in_beat == 0)
        if harmony.tones and not place and CHORDS not in begins:
            self._strike_anew(step)

    def _keep_harmony(self, harmony: StepHarmony, beat_tick: int) -> StepHarmony:
        """Return the harmony within a beat whose bass has told the root: a chord on that, not another that is guessed.

        beat_tick: that of the beat; a bass that walks, or has left the beat's note, tells nothing.
        """
        bass = next(reversed(self._bass.sounding.values()), None)
        if bass is None or bass.start > beat_tick or self._walks or harmony.is_known or not harmony.tones:
            return harmony
        root = bass.pitch % PITCH_CLASSES
        if root == harmony.bass:
            return harmony
        sounding = 0
        for line in self._upper:
            sounding |= line.pitches
        return build_on_bass(root, fold_pitches(sounding), harmony.tones)

    # The melody

    def _find_melody(self, step: int) -> int | None:
        """Return the pitch that the melody sounds at the now-line, a step; None where it rests, or all is heard."""
        request = self._request
        if request.heard is None or not request.melody:
            return None
        newest = request.melody[-1]
        return newest.pitch if newest.end >= (step - 1) * TICKS_PER_STEP else None

    def _sounds(self, pitch: int) -> bool:
        """Return True if the band sounds a pitch in any octave."""
        octaves = spread_tones(1 << pitch % PITCH_CLASSES)
        return any(line.pitches & octaves for line in self.lines.values())

    def _make_way(self, melody: int, tick: int, tones: int) -> None:
        """End notes a semitone from the melody that are no tones of the chord."""
        foreign = spread_tones(1 << (melody - 1) % PITCH_CLASSES | 1 << (melody + 1) % PITCH_CLASSES)
        foreign &= ~spread_tones(tones)
        for line in self._upper:
            if line.pitches & foreign:
                for pitch in [each for each in line.sounding if foreign >> each & 1]:
                    line.end(pitch, tick)

    # The bass

    def _write_bass(self, step: int, begins: Sequence[NoteNumbers], harmony: StepHarmony, *, is_strong: bool) -> None:
        """Begin what the bass begins in a step; where it is strong, on the pitch class that the harmony asks for."""
        if not begins and not is_strong:
            return
        line, root, tick = self._bass, harmony.bass, step * TICKS_PER_STEP
        note = _copy(begins[-1]) if begins else None  # one voice: the lowest
        sounding = next(reversed(line.sounding.values()), None)
        if sounding is None and note is None and is_strong and harmony.tones:
            sounding = self._hold_bass(tick)
        if is_strong and root != NO_CHORD and not self._may_walk(step, harmony, note or sounding):
            if note is not None:
                note.pitch = _move_bass(note.pitch, root)
            elif sounding is not None and (
                sounding.pitch % PITCH_CLASSES != root or self._is_stale(BASS, sounding, step)
            ):
                end = max(sounding.end, tick + ROOT_STEPS * TICKS_PER_STEP)
                note = ArrangedNote(tick, _move_bass(sounding.pitch, root), end, sounding.velocity)
        if note is None:
            return
        for pitch in list(line.sounding):
            line.end(pitch, tick)
        line.begin(note)
        for upper in self._upper:
            for pitch in find_grating(note.pitch, upper):
                upper.end(pitch, tick)

    def _hold_bass(self, tick: int) -> ArrangedNote | None:
        """Let the bass note before a beat go on for a beat, if chords or pad sound over it; return it, else None."""
        line = self._bass
        last = line.notes[-1] if line.notes else None
        if last is None or last.end < self._now * TICKS_PER_STEP or not any(upper.pitches for upper in self._upper):
            return None
        grating = GRATING[last.pitch]
        for upper in self._upper:
            if any(grating >> note.pitch & 1 and note.end > last.end for note in upper.notes):
                return None  # begun while it was silent
        last.end = tick + TICKS_PER_BEAT
        line.resume(last)
        return last

    def _follow_chords(self, step: int, root: int) -> None:
        """Move a bass that is held over a beat to the root of chords that come again, if they lack its tone."""
        line, tick = self._bass, step * TICKS_PER_STEP
        held = next(reversed(line.sounding.values()), None)
        if held is None or held.start == tick or (step - self._bar) % self._steps_per_bar % STEPS_PER_BEAT:
            return
        pitches = 0
        for upper in self._upper:
            pitches |= upper.pitches
        tones = fold_pitches(pitches)
        if has_tone(tones, held.pitch) or root == NO_CHORD or not has_tone(tones, root):
            return
        note = ArrangedNote(tick, _move_bass(held.pitch, root), held.end, held.velocity)
        line.end(held.pitch, tick)
        line.begin(note)

    def _is_stale(self, role: str, note: ArrangedNote, step: int) -> bool:
        """Return True on a bar line over which a note should not be held any more: it is struck anew."""
        if (step - self._bar) % self._steps_per_bar:
            return False
        return (step * TICKS_PER_STEP - note.start) * LONGEST_PARTS[role] >= self._steps_per_bar * TICKS_PER_STEP

    def _may_walk(self, step: int, harmony: StepHarmony, note: ArrangedNote | None) -> bool:
        """Return True if the bass may be on another tone of the chord: it walks, and no half of a bar begins here."""
        if not self._walks or note is None or (step - self._bar) % self._steps_per_bar % (2 * STEPS_PER_BEAT) == 0:
            return False
        return has_tone(harmony.tones, note.pitch)

    # Chords and pad

    def _write_chords(
        self, tick: int, begins: Mapping[str, list[NoteNumbers]], harmony: StepHarmony, *, is_beat: bool
    ) -> None:
        """Begin what chords and pad strike together: in the chord, near the voices before, above the bass."""
        struck = [note for role in UPPER_ROLES if role in begins for note in begins[role]]
        if not struck:
            return
        tones, bass = harmony.tones, max(self._bass.sounding, default=-1)
        pitches = tuple([find_nearest(pitch, tones) if tones else pitch for _, pitch, _, _ in struck])
        if len(pitches) > 1:
            top = self._tops.find(tick) if sorted(pitches)[-2] >= LOWEST_VOICE else None
            if top is not None:
                pitches = lead_voices(pitches, top, bass)
            if is_beat and bass < 0 and harmony.bass != NO_CHORD:
                upper = [pitch for line in self._upper for pitch in line.sounding]
                pitches = ground(pitches, upper, harmony.bass)
        moved = iter(zip(pitches, struck, strict=True))
        for role, line in zip(UPPER_ROLES, self._upper, strict=True):
            own = sorted(islice(moved, len(begins.get(role, ()))), key=itemgetter(0), reverse=True)
            for pitch, (start, _, length, velocity) in own:
                self._begin_above(line, ArrangedNote(start, pitch, start + length, velocity), bass, tones)

    def _strike_anew(self, step: int) -> None:
        """Strike chords anew that have been held for too long."""
        line, tick = self.lines[CHORDS], step * TICKS_PER_STEP
        for note in [note for note in line.sounding.values() if self._is_stale(CHORDS, note, step)]:
            if note.end - tick >= TICKS_PER_STEP:
                line.begin(ArrangedNote(tick, note.pitch, note.end, note.velocity))

    def _move_voices(self, line: RoleLine, tick: int, tones: int, *, is_struck: bool) -> None:
        """End the notes that a chord lacks; where the role strikes nothing anew, they go on as its nearest tones."""
        foreign = [(note, note.end) for pitch, note in line.sounding.items() if not tones >> pitch % PITCH_CLASSES & 1]
        for note, _ in foreign:
            line.end(note.pitch, tick)
        for note, end in foreign:
            pitch = find_nearest(note.pitch, tones)
            if is_struck or end - tick < TICKS_PER_STEP or pitch in line.sounding:
                continue
            if not any(GRATING[pitch] & other.pitches for other in self.lines.values()):
                line.begin(ArrangedNote(tick, pitch, end, note.velocity))

    def _begin_above(self, line: RoleLine, begun: ArrangedNote, bass: int, tones: int) -> None:
        """Begin a note of chords or pad above the bass's pitch, unless it grates on what sounds."""
        while begun.pitch <= bass and begun.pitch + PITCH_CLASSES <= HIGHEST_PITCH:
            begun.pitch += PITCH_CLASSES
        before = line.sounding.get(begun.pitch)
        if before is not None and before.start == begun.start:
            return
        grating, lines = GRATING[begun.pitch], self.lines.values()
        clashes = [
            (each, pitch) for each in lines if grating & each.pitches for pitch in find_grating(begun.pitch, each)
        ]
        if clashes and not has_tone(tones, begun.pitch):
            return
        for each, pitch in clashes:
            is_old = each.sounding[pitch].start < begun.start
            if each is self._bass or has_tone(tones, pitch) or not is_old:
                return
        for each, pitch in clashes:
            each.end(pitch, begun.start)
        line.begin(begun)


def _find_sure_step(request: PlanRequest, last: int) -> int:
    """Return the step before which roles are made to agree in a plan that ends at a step."""
    played = request.played_steps
    return last if played is None else min(last, request.now + played + STEPS_PER_BEAT)


def _group_onsets(notes: Numbers) -> dict[int, dict[str, list[NoteNumbers]]]:
    """Return the notes of the pitched roles by the step in which they begin, and by role; from the top."""
    onsets: dict[int, dict[str, list[NoteNumbers]]] = {}
    for role in PITCHED_ROLES:
        for note in sorted(notes.get(role, ()), key=_by_start_from_the_top):
            begins = onsets.setdefault(note[0] // TICKS_PER_STEP, {})
            if role in begins:
                begins[role].append(note)
            else:
                begins[role] = [note]
    return onsets


def _by_start_from_the_top(note: NoteNumbers) -> tuple[int, int]:
    return note[0], -note[1]


def _copy(note: NoteNumbers) -> ArrangedNote:
    start, pitch, length, velocity = note
    return ArrangedNote(start, pitch, start + length, velocity)


def _move_bass(pitch: int, pitch_class: int) -> int:
    """Return the pitch of a pitch class in the bass's compass that is nearest to a pitch."""
    low, high = BASS_COMPASS
    near = find_nearest(pitch, 1 << pitch_class)
    while near < low:
        near += PITCH_CLASSES
    while near > high:
        near -= PITCH_CLASSES
    return near
