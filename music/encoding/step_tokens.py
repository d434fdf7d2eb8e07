"""The transformer's language: music as an interleaved stream of tokens, step by step, lossless on the step grid.

A stream is `STYLE METRE step step ...`; a step is what the melody does, then what the band begins::

    step    = [CHORD] MELODY WHO section*          a CHORD where the harmony changes, or is said for the first time
    section = (LENGTH PITCH+)+ END                 one for every pitched role named by WHO, in the order of ROLES:
            | DRUM+ END                            lengths rise, and so do the pitches of one length; a drum has none

==========  =====  ===========================================================================================
kind        many   what a token says
==========  =====  ===========================================================================================
END             1  the section of a role is over
WHO            16  which roles begin notes in this step: a set of ROLES as bits, bass the lowest
LENGTH         17  how many steps the pitches after it last, 1 to 16; the 17th: 16 and tied to the same pitch there
PITCH         140  semitones above the chord's root an octave below MIDI's lowest one: pitch - root + 12
DRUM          128  a General MIDI drum note, by its MIDI number
CHORD          97  no chord, then root * 8 + quality (`music.chords.QUALITIES`), until the next one
MELODY        130  a rest, what sounded goes on, or a note begins: 2 + its MIDI number
STYLE          16  index of the style
METRE          64  (steps in a bar) - 1
==========  =====  ===========================================================================================

Every note says at its onset how long it lasts, so that none is ever left without an end; pitches are told from the
root, so that what was written carries rhythm and voicing from key to key. The first WRITER_TOKENS are
those that the model writes, `Grammar` says which may follow which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music.chords import NO_CHORD, QUALITIES
from music.errors import UserError
from music.note import ROLES, TICKS_PER_STEP, Note

END = 0
WHO = 1
LENGTH = WHO + 2 ** len(ROLES)
MAX_LENGTH_STEPS = 16  #: steps; a longer note is tied
TIED = LENGTH + MAX_LENGTH_STEPS
PITCH = TIED + 1
PITCH_TOKENS = 140
DRUM = PITCH + PITCH_TOKENS
WRITER_TOKENS = DRUM + 128  #: how many tokens the model writes; they come first
CHORD = WRITER_TOKENS
MELODY = CHORD + 1 + 12 * len(QUALITIES)
MELODY_REST, MELODY_HOLD, MELODY_ONSET = MELODY, MELODY + 1, MELODY + 2
STYLE = MELODY_ONSET + 128
METRE = STYLE + 16
VOCABULARY = METRE + 64

#: a role's notes in a step, at most, when the model writes
MAX_NOTES = {"bass": 1, "chords": 6, "pad": 5, "drums": 5}


class TokenError(UserError):
    """Tokens that say no music."""


@dataclass(frozen=True, slots=True)
class RoleOnsets:
    """The notes that one role begins in one step."""

    role: str
    notes: tuple[tuple[int, int], ...]  #: (length in steps, pitch), sorted; beyond MAX_LENGTH_STEPS: tied over


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Music on the step grid, as a stream of tokens can hold it."""

    steps: int
    style: int  #: index
    steps_per_bar: int
    melody: tuple[Note, ...]  #: one voice: no two overlap
    roles: Mapping[str, tuple[Note, ...]]  #: none of a role overlap in one pitch; drum notes last a step
    chords: tuple[tuple[int, int, int], ...]  #: (step, root, quality), rising; NO_CHORD twice for none


def encode_chord(root: int, quality: int) -> int:
    """Return the token of a chord."""
    return int(CHORD if root < 0 else CHORD + 1 + root * len(QUALITIES) + quality)


def decode_chord(token: int) -> tuple[int, int]:
    """Return root and quality of a chord's token."""
    if token == CHORD:
        return NO_CHORD, NO_CHORD
    root, quality = divmod(token - CHORD - 1, len(QUALITIES))
    return root, quality


def encode_pitch(pitch: int, root: int) -> int:
    """Return the token of a pitch under a chord's root (NO_CHORD: none)."""
    return int(PITCH + pitch - max(root, 0) + 12)


def decode_pitch(token: int, root: int) -> int:
    """Return the pitch of a token under a chord's root."""
    return int(token - PITCH + max(root, 0) - 12)


def encode_section(begun: RoleOnsets, root: int) -> list[int]:
    """Return the tokens of the notes that a role begins, under a chord's root."""
    if begun.role == "drums":
        return [*(DRUM + pitch for _, pitch in begun.notes), END]
    tokens: list[int] = []
    last = 0
    for length, pitch in begun.notes:
        short = min(length, MAX_LENGTH_STEPS + 1)
        if short != last:
            tokens.append(LENGTH + short - 1)
        tokens.append(encode_pitch(pitch, root))
        last = short
    return [*tokens, END]


def encode_step(begun: Iterable[RoleOnsets], root: int) -> list[int]:
    """Return WHO and the sections of one step; begun: in the order of ROLES, none of them empty."""
    parts = list(begun)
    who = sum(1 << ROLES.index(part.role) for part in parts)
    return [WHO + who, *(token for part in parts for token in encode_section(part, root))]


def decode_step(tokens: Sequence[int], root: int) -> list[RoleOnsets]:
    """Return what a step was encoded of; lengths of tied notes come as MAX_LENGTH_STEPS + 1. Raises TokenError."""
    if not tokens or not WHO <= tokens[0] < LENGTH:
        raise TokenError("a step begins with a WHO token")
    who, at, parts = tokens[0] - WHO, 1, []
    for i, role in enumerate(ROLES):
        if who >> i & 1:
            notes: list[tuple[int, int]] = []
            length = 1 if role == "drums" else 0
            while at < len(tokens) and (token := tokens[at]) != END:
                at += 1
                if LENGTH <= token < PITCH:
                    length = token - LENGTH + 1
                elif length and (DRUM if role == "drums" else PITCH) <= token < (
                    WRITER_TOKENS if role == "drums" else DRUM
                ):
                    notes.append((length, token - DRUM if role == "drums" else decode_pitch(token, root)))
                else:
                    raise TokenError(f"token {token} cannot stand in a section of the {role}")
            if at == len(tokens):
                raise TokenError(f"the section of the {role} has no end")
            at += 1
            parts.append(RoleOnsets(role, tuple(notes)))
    if at != len(tokens):
        raise TokenError("something follows the last section of a step")
    return parts


def group_by_step(notes: Iterable[Note], role: str) -> dict[int, list[tuple[int, int]]]:
    """Return the notes of a role by the step in which they begin, as (length, pitch).

    A tied note is cut into pieces of MAX_LENGTH_STEPS, whose lengths come as one more, and a rest.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    for note in notes:
        step, length = note.start // TICKS_PER_STEP, note.length // TICKS_PER_STEP
        if role == "drums":
            length = 1
        while length > MAX_LENGTH_STEPS:
            found.setdefault(step, []).append((MAX_LENGTH_STEPS + 1, note.pitch))
            step, length = step + MAX_LENGTH_STEPS, length - MAX_LENGTH_STEPS
        found.setdefault(step, []).append((length, note.pitch))
    for there in found.values():
        there.sort()
    return found


def encode(piece: TokenSequence) -> list[int]:
    """Return the stream of tokens of a piece that begins at step 0."""
    chords = {step: (root, quality) for step, root, quality in piece.chords}
    bands = {role: group_by_step(piece.roles.get(role, ()), role) for role in ROLES}
    tokens = [STYLE + piece.style, METRE + piece.steps_per_bar - 1]
    melody = [MELODY_REST] * piece.steps
    for note in piece.melody:
        first, last = note.start // TICKS_PER_STEP, note.end // TICKS_PER_STEP
        melody[first] = MELODY_ONSET + note.pitch
        melody[first + 1 : last] = [MELODY_HOLD] * len(melody[first + 1 : last])
    root = NO_CHORD
    for step in range(piece.steps):
        if step in chords:
            root = chords[step][0]
            tokens.append(encode_chord(*chords[step]))
        tokens.append(melody[step])
        here = (RoleOnsets(role, tuple(bands[role][step])) for role in ROLES if step in bands[role])
        tokens += encode_step(here, root)
    return tokens


def decode(tokens: Sequence[int]) -> TokenSequence:
    """Return the piece in a stream of tokens. Raises TokenError for what is no stream."""
    if len(tokens) < 2 or not STYLE <= tokens[0] < METRE or not METRE <= tokens[1] < VOCABULARY:
        raise TokenError("a stream begins with its style and its metre")
    chords: list[tuple[int, int, int]] = []
    melody: list[list[int]] = []
    roles: dict[str, dict[int, list[int]]] = {role: {} for role in ROLES}  # role -> pitch -> open note
    done: dict[str, list[list[int]]] = {role: [] for role in ROLES}
    root, step = NO_CHORD, 0
    for heard, band in _split_steps(tokens):
        if len(heard) == 2:
            chord = decode_chord(heard[0])
            root = chord[0]
            chords.append((step, *chord))
        if heard[-1] >= MELODY_ONSET:
            melody.append([step, heard[-1] - MELODY_ONSET, 1])
        elif heard[-1] == MELODY_HOLD:
            if not melody or sum(melody[-1][::2]) != step:
                raise TokenError(f"step {step}: nothing is there to go on")
            melody[-1][2] += 1
        for part in decode_step(band, root):
            _add_section(part, step, roles[part.role], done[part.role])
        step += 1
    made = {role: _make_notes(notes) for role, notes in done.items() if notes}
    return TokenSequence(step, tokens[0] - STYLE, tokens[1] - METRE + 1, _make_notes(melody), made, tuple(chords))


def _add_section(part: RoleOnsets, step: int, opened: dict[int, list[int]], done: list[list[int]]) -> None:
    """Add one section to the notes of its role; opened: pitch -> the note whose tie is due."""
    for length, pitch in part.notes:
        before = opened.pop(pitch, None)
        if before is not None and before[0] + before[2] == step:
            note = before
            note[2] += min(length, MAX_LENGTH_STEPS)
        else:
            note = [step, pitch, min(length, MAX_LENGTH_STEPS)]
            done.append(note)
        if length > MAX_LENGTH_STEPS:
            opened[pitch] = note


def _make_notes(rows: Iterable[Sequence[int]]) -> tuple[Note, ...]:
    return tuple(sorted(Note(s * TICKS_PER_STEP, p, n * TICKS_PER_STEP) for s, p, n in rows))


def _split_steps(tokens: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the tokens of every step: chord and melody, and what the band begins."""
    at = 2
    while at < len(tokens):
        heard = list(tokens[at : at + (2 if CHORD <= tokens[at] < MELODY else 1)])
        at += len(heard)
        if not heard or not MELODY <= heard[-1] < STYLE or at >= len(tokens):
            raise TokenError("a step lacks its melody token")
        first, at = at, at + 1
        for _ in range((max(0, tokens[first] - WHO)).bit_count()):
            while at < len(tokens) and tokens[at] != END:
                at += 1
            at += 1
        yield heard, list(tokens[first:at])


class Grammar:
    """The grammar of a step that is being written: tells which tokens may come next.

    What it lets pass is always a step that `decode_step` reads, and no longer than MAX_NOTES says.
    """

    def __init__(self, roles: Iterable[str], compass: Mapping[str, tuple[int, int]], root: int) -> None:
        """Begin a step. roles: which may begin notes; compass: role -> (lowest, highest pitch); root: of the chord."""
        self.tokens: list[int] = []
        #: the role whose section is being written; None before the first and after the last
        self.role: str | None = None
        self.over = False
        self._roles, self._compass, self._root = tuple(roles), compass, root
        self._left: list[str] = []  # roles whose sections are not over
        self._notes = self._length = self._last = 0
        self._low = self._high = 0  # tokens of the role's lowest and highest pitch
        self._used: list[int] = []  # pitches of the section
        self._used_shorter: list[int] = []  # those with shorter lengths than the last one

    @property
    def is_at_end(self) -> bool:
        """True where END alone may come next, and ends the step."""
        return len(self._left) == 1 and self._notes >= MAX_NOTES[self._left[0]]

    def find_allowed(self) -> NDArray[np.bool_]:
        """Return which tokens may come next, (WRITER_TOKENS,), at least one while the step is not over."""
        mask = np.zeros(WRITER_TOKENS, np.bool_)
        if not self.tokens:
            may = sum(1 << ROLES.index(role) for role in self._roles)
            sets = np.arange(LENGTH - WHO)
            mask[WHO:LENGTH] = sets & ~may == 0
            return mask
        role = self._left[0]
        more, rising = self._notes < MAX_NOTES[role], self._last >= PITCH
        mask[END] = rising
        if not more:
            return mask
        if role == "drums":
            mask[max(DRUM, self._last + 1) : WRITER_TOKENS] = True
            return mask
        if self._length:
            mask[max(self._low, self._last + 1) : self._high + 1] = True
            mask[self._used] = False
        if rising or not self._length:
            mask[LENGTH + self._length : PITCH] = True
        return mask

    def confine(self, wanted: NDArray[np.float64]) -> tuple[int, int]:
        """Return the first token that may come next, and the one after the last.

        wanted: (WRITER_TOKENS,) numbers of the tokens, set to minus infinity for those in between that may not.
        """
        if not self.tokens:
            if len(self._roles) < len(ROLES):
                wanted[~self.find_allowed()] = -np.inf
            return WHO, LENGTH
        role, last = self._left[0], self._last
        if self._notes >= MAX_NOTES[role]:
            return END, END + 1
        if role == "drums":
            wanted[END + 1 : max(DRUM, last + 1)] = -np.inf
            return (END if last else DRUM), WRITER_TOKENS
        if not self._length:
            return LENGTH, PITCH
        if self._used_shorter:
            wanted[self._used_shorter] = -np.inf
        if last < PITCH:
            return self._low, self._high + 1
        wanted[END + 1 : LENGTH + self._length] = -np.inf
        wanted[PITCH : last + 1] = -np.inf
        return END, self._high + 1

    def append(self, token: int) -> None:
        """Append the token that was chosen, one of those allowed."""
        self.tokens.append(token)
        if len(self.tokens) == 1:
            self._left = [role for i, role in enumerate(ROLES) if token - WHO >> i & 1]
            self._open_section()
        elif token == END:
            self._left.pop(0)
            self._open_section()
        elif token < PITCH:
            self._length, self._last = token - LENGTH + 1, token
            self._used_shorter = list(self._used)
        else:
            self._notes, self._last = self._notes + 1, token
            self._used.append(token)

    def _open_section(self) -> None:
        """Begin the section of the next role; the step is over where there is none."""
        self.over, self.role = not self._left, self._left[0] if self._left else None
        self._notes = self._length = self._last = 0
        self._used, self._used_shorter = [], []
        if self.role is not None and self.role != "drums":
            self._low, self._high = (encode_pitch(pitch, self._root) for pitch in self._compass[self.role])

    def finish(self) -> list[int]:
        """Return the tokens so far as a step that is over: the section in hand as it is, and none of those after it."""
        who, made = self.tokens[0] - WHO, list(self.tokens)
        if not self._left:
            return made
        if LENGTH <= made[-1] < PITCH:
            made.pop()
        if self._notes:
            made.append(END)
            self._left.pop(0)
        gone = sum(1 << ROLES.index(role) for role in self._left)
        return [WHO + (who & ~gone), *made[1:]]
