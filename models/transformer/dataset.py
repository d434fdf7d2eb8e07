"""Stretches of songs as the transformer hears and writes them. numpy only."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.chord_estimation import find_chords
from models.data.parts import extract_top_line, split_roles
from models.data.song_cache import CachedSong, DataError
from models.data.style_songs import StyleSongs
from models.transformer.network import TRANSFORMER_STYLES
from music.chords import NO_CHORD
from music.encoding import step_features, step_tokens
from music.encoding.gan_canvas import REGISTERS
from music.note import PITCH_CLASSES, PITCHED_ROLES, REST, ROLES, STEPS_PER_BEAT, Metre
from music.track_names import MELODIES, PARTS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LENGTH_STEPS = 256  #: of a stretch
MAX_TOKENS = 24  #: of one step; what is longer is not learned
MAX_PREDICTED = 500  #: melodies whose chords the harmonist predicts
#: a song whose melody and rest are shorter is not learned from
_MIN_STEPS = 64
#: notes that begin so long before a stretch do not reach into it
_LOOK_BACK_STEPS = 64
#: transpositions that stretches are learned in, in semitones: from the first to before the second
_TRANSPOSITIONS = (-5, 7)

#: role -> parts that play it in music that is no band's
_PARTS = {
    "melody": MELODIES,
    "bass": ("bass", "bass_voice", "cello"),
    "chords": ("chords", "alto", "tenor", "violin2", "viola"),
    "pad": ("pad",),
    "drums": ("drums",),
}


@dataclass(frozen=True, slots=True)
class BandScore:
    """A song ready to be cut into stretches."""

    style: int  #: index in TRANSFORMER_STYLES
    roles: dict[str, Ints]  #: (n, 4) rows of start, pitch, length, velocity, sorted, folded into their compass
    chords: Ints  #: (2, steps + 1): root and quality of every step, NO_CHORD where unknown
    first: int  #: step of the bar in which the melody begins
    steps: int
    metre: Metre = Metre()


def make_score(song: CachedSong) -> BandScore | None:
    """Return the score of a song; None when melody or band is missing or lasts less than four bars."""
    rows = {p: song.notes[song.notes[:, 0] == i][:, 1:].astype(np.int64) for i, p in enumerate(PARTS)}
    if len(rows["melody"]):
        roles = {k: np.asarray(v, np.int64) for k, v in split_roles(song).items()}
    else:
        roles = {role: np.concatenate([rows[p] for p in parts]) for role, parts in _PARTS.items()}
    roles["melody"] = extract_top_line(roles["melody"])
    for role in PITCHED_ROLES:
        register = REGISTERS[role]
        roles[role][:, 1] = [register.fold(int(p)) for p in roles[role][:, 1]]
        roles[role] = _separate(roles[role])
    roles = {role: r[np.lexsort((r[:, 1], r[:, 0]))] for role, r in roles.items()}
    if not len(roles["melody"]) or not len(roles["chords"]) or song.style not in TRANSFORMER_STYLES:
        return None
    total = song.steps
    per_bar = song.metre.steps_per_bar
    first = int(roles["melody"][0, 0]) // per_bar * per_bar
    if total - first < _MIN_STEPS:
        return None
    chords = np.full((2, total + 1), NO_CHORD, np.int64)
    spread = np.repeat(find_chords(song).astype(np.int64), STEPS_PER_BEAT, 0)[: total + 1].T
    chords[:, : spread.shape[1]] = spread
    return BandScore(TRANSFORMER_STYLES.index(song.style), roles, chords, first, total, song.metre)


def _separate(rows: Ints) -> Ints:
    """End a note where the next of its pitch begins; of two at once the longer stays."""
    last: dict[int, list[int]] = {}
    kept: list[list[int]] = []
    for row in sorted(rows.tolist(), key=lambda r: (r[0], -r[2])):
        before = last.get(row[1])
        if before is not None and before[0] == row[0]:
            continue
        if before is not None:
            before[2] = min(before[2], row[0] - before[0])
        last[row[1]] = row
        kept.append(row)
    return np.array(kept, np.int64).reshape(-1, 4)


#: predicts the chords of a song, (2, steps + 1), step by step from its melody only
ChordListener = Callable[[BandScore], Ints]


class HandBatch(NamedTuple):
    """B stretches of T steps: what the hand hears at each step, and what is written one step later."""

    features: Floats  #: (B, T, FEATURE_COUNT + PULSE_FEATURES)
    style: Floats  #: (B, styles)
    line: Ints  #: (B, T, MAX_TOKENS): tokens
    length: Ints  #: (B, T): how many there are; 0 where they are not to be learned
    velocity: Floats  #: (B, T, ROLES): / 127; 0 where nothing begins
    tune: Ints  #: (B, T): what the melody does, 0..MELODY_CHOICES


class Stretches:
    """Draws stretches of songs by the weights of their styles; scores are made when first drawn, and kept."""

    def __init__(
        self,
        songs: Sequence[CachedSong],
        weights: dict[str, float] | None = None,
        listen: ChordListener | None = None,
        other_metres: float = 0.0,
    ) -> None:
        """Draw from songs; a share `other_metres` of them is not in 4/4, where their style has such."""
        self._listen = listen
        self.songs = {s: [x for x in songs if x.style == s] for s in TRANSFORMER_STYLES}
        self._places = {s: StyleSongs(found, other_metres) for s, found in self.songs.items()}
        self.styles = [s for s in TRANSFORMER_STYLES if self.songs[s]]
        self.weights = {s: (weights or {}).get(s, 1.0) for s in self.styles}
        self._scores: dict[tuple[str, int], BandScore | None] = {}
        self._told: dict[bytes, Ints] = {}
        #: songs that are not learned from
        self._unusable: set[tuple[str, int]] = set()

    def get_score(self, style: str, index: int) -> BandScore | None:
        """Return the score of a style's song."""
        if (style, index) not in self._scores:
            self._scores[style, index] = make_score(self.songs[style][index])
        return self._scores[style, index]

    def draw_score(self, random: np.random.Generator) -> BandScore:
        """Draw a song by style weight. Raises DataError when none is of any use."""
        weight = np.array([self.weights[s] for s in self.styles])
        count = sum(len(songs) for songs in self.songs.values())
        while len(self._unusable) < count:
            style = self.styles[int(random.choice(len(self.styles), p=weight / weight.sum()))]
            index = self._places[style].draw(random)
            made = self.get_score(style, index)
            if made is not None:
                return made
            self._unusable.add((style, index))
        raise DataError("no song in the train split has a melody and chords and lasts four bars")

    def draw_batch(self, randoms: Sequence[np.random.Generator], spoil: float = 0.0, told: float = 0.0) -> HandBatch:
        """Draw stretches for the hand, one from each generator.

        spoil: share of those whose past is not the song's; told: share of those on the chords that the harmonist
        predicts.
        """
        shown = []
        for random in randoms:
            score = self.draw_score(random)
            begin, shift = draw_start(score, random), int(random.integers(*_TRANSPOSITIONS))
            spoiler = self._choose_spoiler(score, random) if random.random() < spoil else None
            chords = self._predict_chords(score) if random.random() < told else None
            shown.append(make_stretch(score, begin, LENGTH_STEPS, shift, random, spoiler, chords))
        return HandBatch(*(np.stack(column) for column in zip(*shown, strict=True)))

    def _predict_chords(self, score: BandScore) -> Ints | None:
        """Return the harmonist's chord at every step, of some MAX_PREDICTED melodies only, for it takes long.

        Which ones they are is told by the melodies alone.
        """
        key = score.roles["melody"].tobytes()
        share = MAX_PREDICTED / max(1, sum(len(songs) for songs in self.songs.values()))
        if self._listen is not None and key not in self._told and zlib.crc32(key) < share * (1 << 32):
            self._told[key] = self._listen(score)
        return self._told.get(key)

    def _choose_spoiler(self, score: BandScore, random: np.random.Generator) -> BandScore:
        """Choose a score of the same style, whose past the band is told it has played."""
        style = TRANSFORMER_STYLES[score.style]
        for _ in range(5):
            other = self.get_score(style, self._places[style].draw(random))
            if other is not None and other.metre.steps_per_bar == score.metre.steps_per_bar:
                return other
        return score


def draw_start(score: BandScore, random: np.random.Generator) -> int:
    """Draw the step at which a stretch begins: in one of five the bar of the melody's first note."""
    last = max(score.first, score.steps - 128)
    return score.first if random.random() < 0.2 else int(random.integers(score.first, last + 1))


def _extract_stretch(
    score: BandScore, begin: int, count: int
) -> tuple[step_features.MelodyFeatures, Ints, step_features.BandFeatures]:
    """Return melody, chords (2, count + 1) and band of the steps [begin, begin + count)."""
    melody = step_features.extract_melody(
        select_near(score.roles["melody"], begin, count)[:, :3].tolist(), begin, count
    )
    near = {role: select_near(score.roles[role], begin, count)[:, :3] for role in ROLES}
    return melody, _cut_chords(score.chords, begin, count + 1), step_features.extract_band(near, begin, count)


def _cut_chords(chords: Ints, begin: int, count: int) -> Ints:
    made = np.full((2, count), NO_CHORD, np.int64)
    there = chords[:, begin : begin + count]
    made[:, : there.shape[1]] = there
    return made


def select_near(rows: Ints, begin: int, count: int) -> Ints:
    """Return the rows of notes that may sound in the steps [begin, begin + count)."""
    last = int(np.searchsorted(rows[:, 0], begin + count))
    first = int(np.searchsorted(rows[:, 0], begin - _LOOK_BACK_STEPS))
    return rows[first:last]


def make_stretch(
    score: BandScore,
    begin: int,
    count: int,
    shift: int,
    random: np.random.Generator,
    spoiler: BandScore | None = None,
    chords_told: Ints | None = None,
) -> HandBatch:
    """Return one stretch for the hand, moved by `shift` semitones, without the axis of stretches.

    spoiler: whose past it is told instead of its own; chords_told: (2, steps + 1), the chords it is told instead of the
    song's: where their root is another, nothing is learned.
    """
    melody, chords, band = _extract_stretch(_transpose(score, shift), begin, count + 1)
    shown = step_features.MelodyFeatures(melody.pitch[:count], melody.struck[:count])
    coming = begin + 1 + np.arange(count)  # the steps that are written
    line, length, velocity = _encode_written(_transpose(score, shift), begin + 1, count, chords[0, 1 : count + 1])
    past = step_features.BandFeatures(
        band.begun[:, :count], band.sounding[:, :count], band.length[:, :count], band.drums[:count]
    )
    told, since = chords[:, : count + 1], 0
    if spoiler is not None:
        past, since = _spoil_past(past, told, begin, spoiler, random)
    if chords_told is not None:
        right, told = told, _cut_chords(chords_told, begin, count + 1)
        told[0] = np.where(told[0] >= 0, (told[0] + shift) % PITCH_CLASSES, NO_CHORD)
        _move_to_roots(past, right[0, :count], told[0, :count])
        length = np.where(right[0, 1:] == told[0, 1:], length, 0)
    phase = step_features.find_places(coming, score.metre)
    features = step_features.build_features(shown, past, told, phase, begun=since)
    features = np.concatenate([features, step_features.mark_pulses(coming, score.metre)], 1)
    begins = 2 + np.clip(melody.pitch[1:] - np.maximum(told[0, 1:], 0) + 12, 0, step_tokens.PITCH_TOKENS - 1)
    tune = np.where(melody.pitch[1:] == REST, 0, np.where(melody.struck[1:], begins, 1))
    return HandBatch(
        features, np.eye(len(TRANSFORMER_STYLES), dtype=np.float32)[score.style], line, length, velocity, tune
    )


def _transpose(score: BandScore, shift: int) -> BandScore:
    if not shift:
        return score
    roles = {r: rows + np.array([0, shift if r != "drums" else 0, 0, 0]) for r, rows in score.roles.items()}
    for role in PITCHED_ROLES:
        low, high = step_features.get_compass(role)
        pitch = roles[role][:, 1]
        roles[role][:, 1] = np.where(pitch < low, pitch + 12, np.where(pitch > high, pitch - 12, pitch))
    chords = score.chords.copy()
    chords[0] = np.where(chords[0] >= 0, (chords[0] + shift) % PITCH_CLASSES, NO_CHORD)
    return replace(score, roles=roles, chords=chords)


def _encode_written(score: BandScore, begin: int, count: int, roots: Ints) -> tuple[Ints, Ints, Floats]:
    """Return tokens, their number and velocities of the steps [begin, begin + count) under their roots."""
    line = np.zeros((count, MAX_TOKENS), np.int64)
    length = np.zeros(count, np.int64)
    velocity = np.zeros((count, len(ROLES)), np.float32)
    begun: list[list[step_tokens.RoleOnsets]] = [[] for _ in range(count)]
    for i, role in enumerate(ROLES):
        rows = select_near(score.roles[role], begin, count)
        found: dict[int, set[tuple[int, int]]] = {}
        for start, pitch, long, loud in rows.tolist():
            step = start - begin
            while long > 0:
                if 0 <= step < count:
                    short = 1 if role == "drums" else min(long, step_tokens.MAX_LENGTH_STEPS + 1)
                    found.setdefault(step, set()).add((short, pitch))
                    if step == start - begin:
                        velocity[step, i] = loud / 127
                if role == "drums":
                    break
                step, long = step + step_tokens.MAX_LENGTH_STEPS, long - step_tokens.MAX_LENGTH_STEPS
        for step, notes in found.items():
            once = {pitch: long for long, pitch in sorted(notes)}
            few = sorted((long, pitch) for pitch, long in once.items())[: step_tokens.MAX_NOTES[role]]
            begun[step].append(step_tokens.RoleOnsets(role, tuple(few)))
    for step, parts in enumerate(begun):
        made = step_tokens.encode_step(parts, int(roots[step]))
        if len(made) <= MAX_TOKENS:
            line[step, : len(made)], length[step] = made, len(made)
    return line, length, velocity


def _spoil_past(
    past: step_features.BandFeatures, chords: Ints, begin: int, other: BandScore, random: np.random.Generator
) -> tuple[step_features.BandFeatures, int]:
    """Return a past as the hand may find it on stage, and the step since which the band plays.

    Up to some step it is another band's, has holes, or is none.
    """
    count, since = len(past.drums), 0
    begun, sounding = past.begun.copy(), past.sounding.copy()
    long, drums = past.length.copy(), past.drums.copy()
    kind = random.random()
    until = int(random.integers(16, count - 32))
    if kind < 0.3:  # the band has just come in
        since = until
        begun[:, :until] = sounding[:, :until] = False
        long[:, :until], drums[:until] = 0, False
    elif kind < 0.65:  # somebody else's bars, at the same place in the bar
        per_bar = other.metre.steps_per_bar
        bars = max(1, (other.steps - other.first) // per_bar - count // per_bar - 1)
        first = other.first + int(random.integers(bars)) * per_bar + begin % per_bar
        _, theirs_chords, theirs = _extract_stretch(other, first, count)
        _move_to_roots(theirs, theirs_chords[0, :count], chords[0, :count])
        begun[:, :until], sounding[:, :until] = theirs.begun[:, :until], theirs.sounding[:, :until]
        long[:, :until], drums[:until] = theirs.length[:, :until], theirs.drums[:until]
    else:  # notes are missing here and there
        gone = random.random((3, count)) < 0.25
        begun[gone], long[gone] = False, 0
        drums[random.random(drums.shape) < 0.25] = False
    return step_features.BandFeatures(begun, sounding, long, drums), since


def _move_to_roots(band: step_features.BandFeatures, theirs: Ints, ours: Ints) -> None:
    """Move what was played under their roots (T,) to ours, step by step."""
    away = (np.maximum(ours, 0) - np.maximum(theirs, 0) + 6) % 12 - 6
    for semitones in set(away.tolist()) - {0}:
        there = away == semitones
        for planes in (band.begun, band.sounding):
            planes[:, there] = np.roll(planes[:, there], semitones, 2)
