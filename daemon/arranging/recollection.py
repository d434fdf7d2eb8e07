"""Music that comes again: where the melody is back where it was, the band plays what it played there.

The engine tells which place that is, and what was played from there on (`daemon.core.plan.Recollection`). A role plays
it again instead of what its network wrote, as far as the chords of today allow: a note that today's chord lacks moves
to the nearest tone that it has. The control `recall` says how surely a role does so in a bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from random import Random

from daemon.arranging.harmony_line import StepHarmony
from daemon.arranging.role_lines import find_nearest, has_tone, list_sounding
from daemon.core.plan import PlanRequest, Recollection
from music.encoding.chord_evidence import SURE
from music.note import PITCH_CLASSES, PITCHED_ROLES, ROLES, STEPS_PER_BEAT, TICKS_PER_STEP, Note, NoteNumbers

Notes = Mapping[str, tuple[Note, ...]]  #: by role
Numbers = Mapping[str, Sequence[NoteNumbers]]  #: of notes, by role

#: from this trust on the roles play again exactly what they played, unless the player gives the chords
EXACT_TRUST = 0.55
#: roles whose notes move with the chord; the bass is moved as the roles are made to agree
_MOVING_ROLES = ("chords", "pad")


def play_again(
    request: PlanRequest,
    notes: Numbers,
    held: Notes,
    near: Mapping[str, Iterable[Note]],
    harmony: Sequence[StepHarmony],
) -> tuple[Numbers, Notes]:
    """Return `notes` and `held` of a plan with what was played where the melody was before.

    near: as in `list_sounding`; harmony: that of each step from the request's now-line on.
    """
    recalled = request.recalled
    if recalled is None:
        return notes, held
    again, kept = dict(notes), dict(held)
    is_sure = find_sure_end(request) > request.now
    for role in notes:
        if role in ROLES:
            moves_to = harmony if role in _MOVING_ROLES and not is_sure else ()
            again[role] = _mix(request, role, recalled, notes[role], moves_to)
            before = {(note.start, note.pitch): note for note in recalled.notes.get(role, ())}
            kept[role] = tuple(before.get((note.start, note.pitch), note) for note in held.get(role, ()))
    if is_sure and _is_on_beat(request):
        for role in PITCHED_ROLES:
            if role in again and _remembers(request, role, request.now * TICKS_PER_STEP):
                _take_over(request, role, recalled, near, again, kept)
    return again, kept


def _take_over(
    request: PlanRequest,
    role: str,
    recalled: Recollection,
    near: Mapping[str, Iterable[Note]],
    again: dict[str, Sequence[NoteNumbers]],
    kept: dict[str, tuple[Note, ...]],
) -> None:
    """Let what was held at such a place sound instead of other notes that are held now.

    Without it, a bass that was not struck there would stay on the note of another chord.
    """
    now = request.now * TICKS_PER_STEP
    wanted = [note for note in recalled.notes.get(role, ()) if note.start < now and note.end - now >= TICKS_PER_STEP]
    if not wanted or any(start == now for start, _, _, _ in again[role]):
        return
    sounding = list_sounding(request, kept, near, role)
    classes = {note.pitch % PITCH_CLASSES for note in wanted}
    if all(note.pitch % PITCH_CLASSES in classes for note in sounding if note.end > now):
        return
    kept[role] = tuple(Note(n.start, n.pitch, min(n.length, now - n.start), n.velocity) for n in sounding)
    struck = [(now, note.pitch, note.end - now, note.velocity) for note in wanted]
    again[role] = sorted([*struck, *again[role]])


def _is_on_beat(request: PlanRequest) -> bool:
    bar = request.bar_origin // TICKS_PER_STEP
    return (request.now - bar) % request.metre.steps_per_bar % STEPS_PER_BEAT == 0


def _remembers(request: PlanRequest, role: str, tick: int) -> bool:
    """Return True if a role plays again what it knows in the bar of a tick."""
    bar = (tick - request.bar_origin) // request.metre.ticks_per_bar
    return _draw(request.settings.seed, bar, role) < request.settings.recall


def find_sure_end(request: PlanRequest) -> int:
    """Return the step up to which what comes again is left as it was played, whatever the chords are now."""
    recalled = request.recalled
    is_sure = (
        recalled is not None and recalled.trust >= EXACT_TRUST and not any(c.certainty >= SURE for c in request.harmony)
    )
    return recalled.until if recalled is not None and is_sure else request.now


def _mix(
    request: PlanRequest,
    role: str,
    recalled: Recollection,
    planned: Sequence[NoteNumbers],
    harmony: Sequence[StepHarmony],
) -> list[NoteNumbers]:
    """Return what a role begins: what it played before in the bars in which it remembers, else what is planned.

    harmony: that of each step, into which what was played moves; none where it stays as it was.
    """
    now, until = request.now * TICKS_PER_STEP, recalled.until * TICKS_PER_STEP
    origin, ticks_per_bar = request.bar_origin, request.metre.ticks_per_bar
    bars = range((now - origin) // ticks_per_bar, (until - 1 - origin) // ticks_per_bar + 1)
    remembered = {bar for bar in bars if _remembers(request, role, origin + bar * ticks_per_bar)}

    def remembers(tick: int) -> bool:
        return now <= tick < until and (tick - origin) // ticks_per_bar in remembered

    made = {note[:2]: note for note in planned if not remembers(note[0])}
    for note in recalled.notes.get(role, ()):
        if remembers(note.start):
            pitch = _find_pitch(note, request.now, harmony)
            made.setdefault((note.start, pitch), (note.start, pitch, note.length, note.velocity))
    return sorted(made.values())


def _find_pitch(note: Note, now: int, harmony: Sequence[StepHarmony]) -> int:
    """Return the pitch of a note on the nearest tone of the chord of its step."""
    offset = note.start // TICKS_PER_STEP - now
    tones = harmony[offset].tones if offset < len(harmony) else 0
    if not tones or has_tone(tones, note.pitch):
        return note.pitch
    return find_nearest(note.pitch, tones)


@lru_cache(maxsize=64)
def _draw(seed: int, bar: int, role: str) -> float:
    """Return a number 0..1 that a seed gives a role in a bar."""
    return Random(f"{seed} {bar} {role}").random()
