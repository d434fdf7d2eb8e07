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
from functools import cached_property
from operator import attrgetter, itemgetter

from daemon.arranging.harmony_line import NO_HARMONY, StepHarmony, build_on_bass, list_harmony
from daemon.arranging.recollection import find_sure_end, play_again
from daemon.arranging.role_lines import ArrangedNote, RoleLine, find_grating, find_nearest, has_tone, list_sounding
from daemon.arranging.voicing import LOWEST_VOICE, find_top, ground, lead_voices
from daemon.core.plan import PlanRequest
from music.chords import NO_CHORD
from music.note import PITCH_CLASSES, PITCHED_ROLES, STEPS_PER_BEAT, TICKS_PER_BEAT, TICKS_PER_STEP, Note

Notes = Mapping[str, tuple[Note, ...]]  #: by role

BASS, CHORDS = "bass", "chords"
UPPER_ROLES = tuple(role for role in PITCHED_ROLES if role != BASS)
#: the lowest and highest pitch that the bass is moved to
BASS_COMPASS = (28, 51)
#: the highest pitch to which chords and pad are moved up
HIGHEST_PITCH = 96
#: the bass holds a root that it begins anew for so many steps at least
ROOT_STEPS = 2
#: semitones between two pitch classes, either way, that make a semitone or a minor ninth
_SEMITONES = (1, PITCH_CLASSES - 1)
#: A note that has been held for one such part of a bar, or for longer, is struck anew on the bar line.
LONGEST_PARTS = {BASS: 2, CHORDS: 1}
#: committed notes of a role among which the chord before is looked for
RECENT_NOTES = 24
#: place in a beat at which chords are corrected, steps
CORRECTION_STEP = STEPS_PER_BEAT // 2
#: Styles whose bass walks: it tells the root where half of a bar begins, and is free within the chord between.
WALKING_STYLES = frozenset({"jazz"})
_NOTHING: dict[str, list[Note]] = {}


def arrange_plan(
    request: PlanRequest, notes: Notes, held: Notes, chords: Iterable[tuple[int, int]]
) -> tuple[Notes, Notes]:
    """Return `notes` and `held` of a plan with what comes again, and with roles that agree.

    chords: root and quality that the player has chosen for each step from the request's now-line on (`list_harmony`).
    """
    harmony = list_harmony(chords, request.harmony, request.now)
    return arrange(request, *play_again(request, notes, held, harmony), harmony)


def arrange(request: PlanRequest, notes: Notes, held: Notes, harmony: Sequence[StepHarmony]) -> tuple[Notes, Notes]:
    """Return `notes` and `held` of a plan (daemon.core.plan) with roles that agree.

    harmony: that of each step from the request's now-line on; later notes of the plan stay as they are.
    """
    arranger = _Arranger(request, notes, held, harmony)
    arranger.arrange()
    made = {role: line.list_planned() for role, line in arranger.lines.items()}
    ends = {role: line.list_committed() for role, line in arranger.lines.items()}
    return {**notes, **made}, {**held, **ends}


class _Arranger:
    """Goes through one plan."""

    def __init__(self, request: PlanRequest, notes: Notes, held: Notes, harmony: Sequence[StepHarmony]) -> None:
        self._request, self._now, self._harmony = request, request.now, harmony
        self._bar, self._steps_per_bar = request.bar_origin // TICKS_PER_STEP, request.metre.steps_per_bar
        self._walks = request.settings.style in WALKING_STYLES
        tick = request.now * TICKS_PER_STEP
        self.lines = {role: RoleLine(list_sounding(request, held, role), tick) for role in PITCHED_ROLES}
        self._onsets: dict[int, dict[str, list[Note]]] = {}  # by step and role; from the top
        for role in PITCHED_ROLES:
            from_the_top = sorted(notes.get(role, ()), key=attrgetter("pitch"), reverse=True)
            for note in sorted(from_the_top, key=attrgetter("start")):
                self._onsets.setdefault(note.start // TICKS_PER_STEP, {}).setdefault(role, []).append(note)
        self._tops: dict[int, list[int]] = {}  # pitches that chords and pad have begun at each tick, see `_find_top`
        self._counted = dict.fromkeys(UPPER_ROLES, 0)  # notes of each role's line that are in there

    def arrange(self) -> None:
        """Arrange all steps whose harmony is told, and take over the rest."""
        sure = find_sure_end(self._request)
        for offset, harmony in enumerate(self._harmony):
            step = self._now + offset
            self._arrange_step(step, NO_HARMONY if step < sure else harmony)
            if step < sure:
                self._follow_chords(step, harmony.bass)
        for _, begins in sorted(self._onsets.items()):
            for role, late in begins.items():
                self.lines[role].notes.extend([_copy(note) for note in late])

    def _arrange_step(self, step: int, harmony: StepHarmony) -> None:
        begins, place = self._onsets.pop(step, _NOTHING), (step - self._bar) % self._steps_per_bar
        in_beat, tick = place % STEPS_PER_BEAT, step * TICKS_PER_STEP
        if not begins and step != self._now and in_beat:
            return
        for line in self.lines.values():
            if line.sounding:
                line.end_due(tick)
        melody = self._find_melody(step)
        if melody is not None and harmony.tones:
            self._make_way(melody, tick, harmony.tones)
        corrects = in_beat == CORRECTION_STEP and melody is not None and not self._sounds(melody)
        if harmony.tones and (in_beat == 0 or corrects):
            for role in UPPER_ROLES:
                self._move_voices(self.lines[role], tick, harmony.tones, is_struck=role in begins)
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
        bass = next(reversed(self.lines[BASS].sounding.values()), None)
        if bass is None or bass.start > beat_tick or self._walks or harmony.is_known or not harmony.tones:
            return harmony
        root = bass.pitch % PITCH_CLASSES
        if root == harmony.bass:
            return harmony
        sounding = 0
        for role in UPPER_ROLES:
            for pitch in self.lines[role].sounding:
                sounding |= 1 << pitch % PITCH_CLASSES
        return build_on_bass(root, sounding, harmony.tones)

    # The melody

    def _find_melody(self, step: int) -> int | None:
        """Return the pitch that the melody sounds at a step; None where it rests, or that is not known yet."""
        request = self._request
        if step != request.now or request.heard is None or not request.melody:
            return None
        newest = request.melody[-1]
        return newest.pitch if newest.end >= (step - 1) * TICKS_PER_STEP else None

    def _sounds(self, pitch: int) -> bool:
        """Return True if the band sounds a pitch in any octave."""
        return any((other - pitch) % PITCH_CLASSES == 0 for line in self.lines.values() for other in line.sounding)

    def _make_way(self, melody: int, tick: int, tones: int) -> None:
        """End notes a semitone from the melody that are no tones of the chord."""
        for role in UPPER_ROLES:
            line = self.lines[role]
            for pitch in [each for each in line.sounding if (each - melody) % PITCH_CLASSES in _SEMITONES]:
                if not has_tone(tones, pitch):
                    line.end(pitch, tick)

    # The bass

    def _write_bass(self, step: int, begins: Sequence[Note], harmony: StepHarmony, *, is_strong: bool) -> None:
        """Begin what the bass begins in a step; where it is strong, on the pitch class that the harmony asks for."""
        line, root, tick = self.lines[BASS], harmony.bass, step * TICKS_PER_STEP
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
        for role in UPPER_ROLES:
            upper = self.lines[role]
            for pitch in find_grating(note.pitch, upper.sounding):
                upper.end(pitch, tick)

    def _hold_bass(self, tick: int) -> ArrangedNote | None:
        """Let the bass note before a beat go on for a beat, if chords or pad sound over it; return it, else None."""
        line = self.lines[BASS]
        last = line.notes[-1] if line.notes else None
        if (
            last is None
            or last.end < self._now * TICKS_PER_STEP
            or not any(self.lines[r].sounding for r in UPPER_ROLES)
        ):
            return None
        since = [note for role in UPPER_ROLES for note in self.lines[role].notes if note.end > last.end]
        if find_grating(last.pitch, {note.pitch: note for note in since}):  # begun while it was silent
            return None
        last.end = tick + TICKS_PER_BEAT
        line.sounding[last.pitch] = last
        return last

    def _follow_chords(self, step: int, root: int) -> None:
        """Move a bass that is held over a beat to the root of chords that come again, if they lack its tone."""
        line, tick = self.lines[BASS], step * TICKS_PER_STEP
        held = next(reversed(line.sounding.values()), None)
        if held is None or held.start == tick or (step - self._bar) % self._steps_per_bar % STEPS_PER_BEAT:
            return
        tones = {pitch % PITCH_CLASSES for role in UPPER_ROLES for pitch in self.lines[role].sounding}
        if held.pitch % PITCH_CLASSES in tones or root not in tones:
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
        self, tick: int, begins: Mapping[str, list[Note]], harmony: StepHarmony, *, is_beat: bool
    ) -> None:
        """Begin what chords and pad strike together: in the chord, near the voices before, above the bass."""
        struck = [(role, note) for role in UPPER_ROLES if role in begins for note in begins[role]]
        if not struck:
            return
        pitches, tones = [note.pitch for _, note in struck], harmony.tones
        if tones:
            pitches = [find_nearest(pitch, tones) for pitch in pitches]
        bass = max(self.lines[BASS].sounding, default=-1)
        if len(pitches) > 1:
            top = self._find_top(tick) if sorted(pitches)[-2] >= LOWEST_VOICE else None
            if top is not None:
                pitches = lead_voices(pitches, top, bass)
            if is_beat and bass < 0 and harmony.bass != NO_CHORD:
                upper = [pitch for role in UPPER_ROLES for pitch in self.lines[role].sounding]
                pitches = ground(pitches, upper, harmony.bass)
        for role in begins:
            moved = [(pitch, note) for pitch, (other, note) in zip(pitches, struck, strict=True) if other == role]
            for pitch, note in sorted(moved, key=itemgetter(0), reverse=True):
                begun = ArrangedNote(note.start, pitch, note.start + note.length, note.velocity)
                self._begin_above(self.lines[role], begun, bass, tones)

    def _strike_anew(self, step: int) -> None:
        """Strike chords anew that have been held for too long."""
        line, tick = self.lines[CHORDS], step * TICKS_PER_STEP
        for note in [note for note in line.sounding.values() if self._is_stale(CHORDS, note, step)]:
            if note.end - tick >= TICKS_PER_STEP:
                line.begin(ArrangedNote(tick, note.pitch, note.end, note.velocity))

    def _find_top(self, tick: int) -> int | None:
        """Return the top of the chord before a tick."""
        for role in UPPER_ROLES:
            notes = self.lines[role].notes
            for note in notes[self._counted[role] :]:
                if note.pitch >= LOWEST_VOICE and not note.is_committed:
                    self._tops.setdefault(note.start, []).append(note.pitch)
            self._counted[role] = len(notes)
        latest = max((start for start, tops in self._tops.items() if len(tops) > 1 and start < tick), default=None)
        return self._top_before if latest is None else max(self._tops[latest])

    @cached_property
    def _top_before(self) -> int | None:
        """The top of the newest chord that was committed."""
        now = self._now * TICKS_PER_STEP
        return find_top(
            note
            for role in UPPER_ROLES
            for note in self._request.committed.get(role, ())[-RECENT_NOTES:]
            if note.start < now
        )

    def _move_voices(self, line: RoleLine, tick: int, tones: int, *, is_struck: bool) -> None:
        """End the notes that a chord lacks; where the role strikes nothing anew, they go on as its nearest tones."""
        foreign = [(note, note.end) for pitch, note in line.sounding.items() if not has_tone(tones, pitch)]
        for note, _ in foreign:
            line.end(note.pitch, tick)
        for note, end in foreign:
            pitch = find_nearest(note.pitch, tones)
            if is_struck or end - tick < TICKS_PER_STEP or pitch in line.sounding:
                continue
            if not any(find_grating(pitch, other.sounding) for other in self.lines.values()):
                line.begin(ArrangedNote(tick, pitch, end, note.velocity))

    def _begin_above(self, line: RoleLine, begun: ArrangedNote, bass: int, tones: int) -> None:
        """Begin a note of chords or pad above the bass's pitch, unless it grates on what sounds."""
        while begun.pitch <= bass and begun.pitch + PITCH_CLASSES <= HIGHEST_PITCH:
            begun.pitch += PITCH_CLASSES
        before = line.sounding.get(begun.pitch)
        if before is not None and before.start == begun.start:
            return
        clashes = [(each, pitch) for each in self.lines.values() for pitch in find_grating(begun.pitch, each.sounding)]
        if clashes and not has_tone(tones, begun.pitch):
            return
        for each, pitch in clashes:
            is_old = each.sounding[pitch].start < begun.start
            if each is self.lines[BASS] or has_tone(tones, pitch) or not is_old:
                return
        for each, pitch in clashes:
            each.end(pitch, begun.start)
        line.begin(begun)


def _copy(note: Note) -> ArrangedNote:
    return ArrangedNote(note.start, note.pitch, note.start + note.length, note.velocity)


def _move_bass(pitch: int, pitch_class: int) -> int:
    """Return the pitch of a pitch class in the bass's compass that is nearest to a pitch."""
    low, high = BASS_COMPASS
    near = find_nearest(pitch, 1 << pitch_class)
    while near < low:
        near += PITCH_CLASSES
    while near > high:
        near -= PITCH_CLASSES
    return near
