"""Items of a project: an input that somebody played or brought, or a result that a technique made of one.

An item never changes. Whatever is done to one gives another, with the same id and another revision.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from daemon.engine.song import bar_at, bar_starts
from music.edits.edit import ADD, REMOVE, Action
from music.errors import UserError
from music.midi_text import make_printable
from music.note import EDITS, HAND, MELODY, ROLES, Metre, Note

#: the kinds of items; a take is shown as one, but belongs to no project
INPUT, RESULT, TAKE = KINDS = ("input", "result", "take")
#: the roles that an item may have notes of
ITEM_ROLES = (MELODY, HAND, *ROLES, EDITS)
#: the most that one item holds
MAX_NOTES, MAX_BARS, MAX_EDITS = 20_000, 1000, 20_000
#: the last tick that a note may end at: no bar is longer than 64 quarters
_MAX_TICK = MAX_BARS * 64 * 24
MIN_BPM, MAX_BPM = 10.0, 400.0
MAX_NAME_LENGTH = 100
_MAX_CONTROLS, _MAX_TEXT_LENGTH = 300, 4096
_MAX_SEED = 1 << 53
_MAX_METRES = 4000

Line = tuple[Note, ...]


class ItemError(UserError):
    """Raised for what makes no item, or is no part of one; the message says what is wrong with it."""


def tell_time() -> str:
    """Return the time as it is noted: in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class ListedEdit:
    """An edit of the AR-CNN, as it is listed for whoever wants it or not."""

    action: Action
    tick: int  #: where its note begins
    pitch: int
    length: int  #: ticks
    velocity: int
    log_probability: float  #: nats, of its cell among all that could be edited
    iteration: int  #: the evaluation that it came from, from 1
    kept: bool = True  #: False: it has been taken back

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class Item:
    """A piece of music in a project: bars, notes by role, and how they came about."""

    id: str  #: `i1`, `r2`: no two items of a project ever have the same number
    kind: str  #: one of KINDS
    name: str
    bpm: float
    #: (tick, Metre), the first at tick 0, which is bar 1
    metres: tuple[tuple[int, Metre], ...]
    bars: int  #: how many
    notes: Mapping[str, Line]  #: role -> notes, sorted; a role without any may be left out
    parent: str | None = None  #: the id of the item that it was made of
    technique: str = ""
    style: str = ""
    seed: int = 0
    controls: Mapping[str, object] = field(default_factory=dict)  #: the other controls that it was made with
    chords: tuple[tuple[int, str], ...] = ()  #: (tick, label) of every change
    edits: tuple[ListedEdit, ...] = ()
    edits_shown: int = 0  #: so many of them, from the first on, are applied, but for those that are not kept
    created: str = field(default_factory=tell_time)

    @cached_property
    def ticks(self) -> int:
        """The tick at which the last bar ends."""
        return find_end(self.metres, self.bars)

    @cached_property
    def revision(self) -> str:
        """A name for exactly this content."""
        text = json.dumps(self._describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def get(self, role: str) -> Line:
        """Return the notes of a role."""
        return self.notes.get(role, ())

    def as_json(self) -> dict[str, Any]:
        """Return the whole item as JSON has it."""
        return {**self._describe(), "revision": self.revision, "ticks": self.ticks}

    def summarise(self) -> dict[str, Any]:
        """Return the item as it is listed: without notes, edits and chords, but with how many there are."""
        counts = {role: len(self.get(role)) for role in ITEM_ROLES}
        numbers = {"counts": counts, "edit_count": len(self.edits), "ticks": self.ticks}
        return {**self._describe_origin(), **numbers, "revision": self.revision}

    def _describe(self) -> dict[str, Any]:
        return {
            **self._describe_origin(),
            "chords": [list(chord) for chord in self.chords],
            "notes": {role: [list_numbers(note) for note in self.get(role)] for role in ITEM_ROLES},
            "edits": [edit.as_json() for edit in self.edits],
        }

    def _describe_origin(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "parent": self.parent,
            "technique": self.technique,
            "style": self.style,
            "seed": self.seed,
            "controls": dict(self.controls),
            "bpm": self.bpm,
            "metres": [[tick, str(metre)] for tick, metre in self.metres],
            "bars": self.bars,
            "edits_shown": self.edits_shown,
            "created": self.created,
        }


def list_numbers(note: Note) -> list[int]:
    """Return a note as JSON has it: start, pitch, length, velocity."""
    return [note.start, note.pitch, note.length, note.velocity]


def find_end(metres: Sequence[tuple[int, Metre]], bars: int) -> int:
    """Return the tick at which the last of so many bars ends."""
    tick = 0
    for _ in range(bars):
        tick = bar_at(metres, tick).end
    return tick


def count_bars(metres: Sequence[tuple[int, Metre]], end: int) -> int:
    """Return in how many bars music lies that ends at a tick; at least one."""
    return max(1, len(bar_starts(metres, end)) - 1)


def parse_item(data: object) -> Item:
    """Return the item that JSON describes. Raises ItemError."""
    given = expect(data, dict, "an item")
    metres = parse_metres(given.get("metres"))
    edits = tuple(_parse_edit(each) for each in expect(given.get("edits", []), list, "edits", MAX_EDITS))
    kind = given.get("kind")
    if kind not in KINDS:
        raise ItemError("the item is of no known kind")
    return Item(
        id=_parse_text(given.get("id"), "id"),
        kind=str(kind),
        name=parse_name(given.get("name")),
        bpm=parse_bpm(given.get("bpm")),
        metres=metres,
        bars=parse_integer(given.get("bars"), "bars", 1, MAX_BARS),
        notes=parse_notes(given.get("notes")),
        parent=None if given.get("parent") is None else _parse_text(given["parent"], "parent"),
        technique=_parse_text(given.get("technique", ""), "technique"),
        style=_parse_text(given.get("style", ""), "style"),
        seed=parse_seed(given.get("seed", 0)),
        controls=parse_controls(given.get("controls", {})),
        chords=_parse_chords(given.get("chords", [])),
        edits=edits,
        edits_shown=parse_integer(given.get("edits_shown", 0), "edits_shown", 0, len(edits)),
        created=_parse_text(given.get("created", ""), "created"),
    )


def expect(value: object, kind: type, what: str, most: int | None = None) -> Any:
    """Return a value of JSON that is to be of a kind, and to have at most so many members. Raises ItemError."""
    if not isinstance(value, kind):
        names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
        raise ItemError(f"{what}: {names.get(kind, kind.__name__)} is needed here")
    if most is not None and len(value) > most:  # type: ignore[arg-type]
        raise ItemError(f"{what}: there are {len(value)}, and at most {most} are possible")  # type: ignore[arg-type]
    return value


def parse_integer(value: object, what: str, low: int, high: int) -> int:
    """Return an integer in a range. Raises ItemError."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ItemError(f"{what}: a whole number from {low} to {high} is needed here")
    return value


def parse_seed(value: object) -> int:
    """Return a seed. Raises ItemError."""
    return parse_integer(value, "seed", -_MAX_SEED, _MAX_SEED)


def parse_bpm(value: object) -> float:
    """Return a tempo in beats per minute. Raises ItemError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and MIN_BPM <= value <= MAX_BPM:
        return round(float(value), 4)
    raise ItemError(f"bpm: a number from {MIN_BPM:g} to {MAX_BPM:g} is needed here")


def parse_name(value: object) -> str:
    """Return a name as it can be shown, without blanks around it. Raises ItemError for an empty one."""
    name = make_printable(" ".join(str(expect(value, str, "name"))[: 4 * MAX_NAME_LENGTH].split()))[:MAX_NAME_LENGTH]
    if not name.strip():
        raise ItemError("name: give it one of at least one letter")
    return name.strip()


def parse_controls(value: object) -> dict[str, object]:
    """Return controls and their values, which are numbers, texts or switches. Raises ItemError."""
    controls: dict[str, object] = expect(value, dict, "controls", _MAX_CONTROLS)
    for key, each in controls.items():
        is_plain = isinstance(each, bool | int | str) or (isinstance(each, float) and math.isfinite(each))
        if not is_plain or len(key) > _MAX_TEXT_LENGTH or (isinstance(each, str) and len(each) > _MAX_TEXT_LENGTH):
            raise ItemError(f"{make_printable(key[:40])}: a number, a text or true or false is needed here")
    return dict(controls)


def parse_metres(value: object) -> tuple[tuple[int, Metre], ...]:
    """Return the metres in [[tick, "3/4"], ...], by tick from 0 on. Raises ItemError."""
    found: dict[int, Metre] = {}
    for pair in expect(value, list, "metres", _MAX_METRES):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
            raise ItemError('metres: pairs of tick and metre are needed here, such as [0, "3/4"]')
        tick = parse_integer(pair[0], "metres", 0, _MAX_TICK)
        found[tick] = _parse_metre(pair[1])
    if 0 not in found:
        raise ItemError("metres: the first one has to begin at tick 0")
    return tuple(sorted(found.items()))


def _parse_metre(text: str) -> Metre:
    above, _, below = text[:10].partition("/")
    try:
        metre = Metre(int(above), int(below))
    except ValueError:
        raise ItemError(f"metres: {make_printable(text[:10])!r} is none; say 4/4, 3/4 or 6/8, for instance") from None
    if metre.numerator > 64:
        raise ItemError("metres: a bar has at most 64 beats")
    return metre


def parse_notes(value: object) -> dict[str, Line]:
    """Return the notes in {role: [[start, pitch, length, velocity], ...]}, sorted. Raises ItemError."""
    given: dict[str, object] = expect(value, dict, "notes")
    if unknown := [role for role in given if role not in ITEM_ROLES]:
        raise ItemError(f"notes: no role {make_printable(unknown[0][:40])!r}; there are {', '.join(ITEM_ROLES)}")
    lists = {role: expect(notes, list, f"notes of {role}", MAX_NOTES) for role, notes in given.items()}
    if sum(map(len, lists.values())) > MAX_NOTES:
        raise ItemError(f"notes: there are more than {MAX_NOTES}, which is more than an item can hold")
    return {role: tuple(sorted(_parse_note(role, note) for note in notes)) for role, notes in lists.items()}


def _parse_note(role: str, value: object) -> Note:
    if isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value):
        start, pitch, length, velocity = value
        if start >= 0 and start + length <= _MAX_TICK:
            try:
                return Note(start, pitch, length, velocity)
            except ValueError:
                pass
    raise ItemError(
        f"notes of {role}: {str(value)[:40]} is none; a note is start (ticks from 0), pitch (0 to 127), length (ticks "
        "from 1) and velocity (1 to 127)"
    )


def _parse_chords(value: object) -> tuple[tuple[int, str], ...]:
    found = []
    for pair in expect(value, list, "chords", MAX_NOTES):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ItemError("chords: pairs of tick and name are needed here")
        found.append((parse_integer(pair[0], "chords", 0, _MAX_TICK), _parse_text(pair[1], "chords")))
    return tuple(sorted(found))


def _parse_edit(value: object) -> ListedEdit:
    given = expect(value, dict, "edits")
    if given.get("action") not in (ADD, REMOVE):
        raise ItemError("edits: an edit adds a note or removes one")
    probability = given.get("log_probability", 0.0)
    if not isinstance(probability, int | float) or not math.isfinite(probability):
        raise ItemError("edits: a probability is a number")
    return ListedEdit(
        given["action"],
        parse_integer(given.get("tick"), "tick of an edit", 0, _MAX_TICK),
        parse_integer(given.get("pitch"), "pitch of an edit", 0, 127),
        parse_integer(given.get("length"), "length of an edit", 1, _MAX_TICK),
        parse_integer(given.get("velocity"), "velocity of an edit", 1, 127),
        float(probability),
        parse_integer(given.get("iteration"), "iteration of an edit", 0, 1 << 31),
        bool(expect(given.get("kept", True), bool, "kept")),
    )


def _parse_text(value: object, what: str) -> str:
    text = str(expect(value, str, what))
    if len(text) > _MAX_TEXT_LENGTH:
        raise ItemError(f"{what}: that is too long")
    return text


def find_music_end(notes: Iterable[Line]) -> int:
    """Return the tick at which the last note ends; 0 where there is none."""
    return max((note.end for line in notes for note in line), default=0)
