"""Stretches of songs as the transformer hears and writes them. numpy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.chord_estimation import chords_of
from models.data.song_cache import CachedSong
from models.gan.dataset import role_rows, top_line
from models.transformer.network import TRANSFORMER_STYLES
from music.chords import NO_CHORD
from music.encoding import step_features, step_tokens
from music.encoding.gan_canvas import REGISTERS
from music.note import PITCHED_ROLES, REST, ROLES
from music.track_names import MELODIES, PARTS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LENGTH = 256  #: steps of a stretch
MOST_TOKENS = 24  #: of one step; what is longer is not learnt
MOST_TOLD = 500  #: melodies whose chords the harmonist tells

#: Parts of music that is no band's, by role.
_PARTS = {
    "melody": MELODIES,
    "bass": ("bass", "bass_voice", "cello"),
    "chords": ("chords", "alto", "tenor", "violin2", "viola"),
    "pad": ("pad",),
    "drums": ("drums",),
}


@dataclass(frozen=True, slots=True)
class BandScore:
    """A song ready to be cut. roles: part -> (n, 4) rows of start, pitch, length, velocity, sorted, folded into their
    registers; chords: (2, steps + 1) root and quality of every step, -1 where unknown."""

    style: int
    roles: dict[str, Ints]
    chords: Ints
    first: int
    steps: int


def score_of(song: CachedSong) -> BandScore | None:
    """The score of a song; None when melody or band lasts less than four bars."""
    rows = {p: song.notes[song.notes[:, 0] == i][:, 1:].astype(np.int64) for i, p in enumerate(PARTS)}
    if len(rows["melody"]):
        roles = {k: np.asarray(v, np.int64) for k, v in role_rows(song).items()}
    else:
        roles = {role: np.concatenate([rows[p] for p in parts]) for role, parts in _PARTS.items()}
    roles["melody"] = top_line(roles["melody"])
    for role in PITCHED_ROLES:
        register = REGISTERS[role]
        roles[role][:, 1] = [register.fold(int(p)) for p in roles[role][:, 1]]
        roles[role] = _apart(roles[role])
    roles = {role: r[np.lexsort((r[:, 1], r[:, 0]))] for role, r in roles.items()}
    if not len(roles["melody"]) or not len(roles["chords"]) or song.style not in TRANSFORMER_STYLES:
        return None
    total = song.steps
    first = int(roles["melody"][0, 0]) // 16 * 16
    if total - first < 64:
        return None
    chords = np.full((2, total + 1), NO_CHORD, np.int64)
    spread = np.repeat(chords_of(song).astype(np.int64), 4, 0)[: total + 1].T
    chords[:, : spread.shape[1]] = spread
    return BandScore(TRANSFORMER_STYLES.index(song.style), roles, chords, first, total)


def _apart(rows: Ints) -> Ints:
    """No two notes of one pitch overlap: the earlier ends where the later begins, of two at once the longer stays."""
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


#: The chords (2, steps + 1) that are told of a song, step by step, by who hears its melody only.
Listen = Callable[["BandScore"], Ints]


class HandBatch(NamedTuple):
    """B stretches: features (B, T, FEATURES), style (B, styles); what is written one step later: line (B, T,
    MOST_TOKENS), length (B, T) of it, 0 where it is not to be learnt; velocity (B, T, 4) / 127, 0 where nothing begins;
    tune (B, T) what the melody does."""

    features: Floats
    style: Floats
    line: Ints
    length: Ints
    velocity: Floats
    tune: Ints


class Stretches:
    """Draws stretches of songs by style weight; scores are made when first drawn and kept."""

    def __init__(
        self,
        songs: Sequence[CachedSong],
        seed: int,
        weights: dict[str, float] | None = None,
        listen: Listen | None = None,
    ) -> None:
        self.random = np.random.default_rng(seed)
        self._listen = listen
        self.songs = {s: [x for x in songs if x.style == s] for s in TRANSFORMER_STYLES}
        self.styles = [s for s in TRANSFORMER_STYLES if self.songs[s]]
        self.weights = {s: (weights or {}).get(s, 1.0) for s in self.styles}
        self._scores: dict[tuple[str, int], BandScore | None] = {}
        self._told: dict[bytes, Ints] = {}

    def score(self, style: str, index: int) -> BandScore | None:
        """One song's."""
        if (style, index) not in self._scores:
            self._scores[style, index] = score_of(self.songs[style][index])
        return self._scores[style, index]

    def draw(self, weights: dict[str, float] | None = None) -> BandScore:
        """A song by style weight."""
        weight = np.array([(weights or self.weights).get(s, 0.0) for s in self.styles])
        while True:
            style = self.styles[int(self.random.choice(len(self.styles), p=weight / weight.sum()))]
            made = self.score(style, int(self.random.integers(len(self.songs[style]))))
            if made is not None:
                return made

    def begin(self, score: BandScore) -> int:
        """A step at which a stretch begins: the melody's bar in one of five."""
        last = max(score.first, score.steps - 128)
        return score.first if self.random.random() < 0.2 else int(self.random.integers(score.first, last + 1))

    def hand(self, count: int, spoil: float = 0.0, told: float = 0.0) -> HandBatch:
        """`count` stretches for the hand. spoil: share of those whose past is not what it should be; told: share of
        those that are played on the chords that the harmonist would have told."""
        shown = []
        for _ in range(count):
            score = self.draw()
            begin, shift = self.begin(score), int(self.random.integers(-5, 7))
            spoiler = self._spoiler(score) if self.random.random() < spoil else None
            chords = self._told_chords(score) if self.random.random() < told else None
            shown.append(hand_rows(score, begin, LENGTH, shift, self.random, spoiler, chords))
        return HandBatch(*(np.stack(column) for column in zip(*shown, strict=True)))

    def _told_chords(self, score: BandScore) -> Ints | None:
        """What the harmonist tells at every step: of MOST_TOLD melodies, for it takes long; many songs share theirs."""
        key = score.roles["melody"].tobytes()
        if self._listen is not None and key not in self._told and len(self._told) < MOST_TOLD:
            self._told[key] = self._listen(score)
        return self._told.get(key)

    def _spoiler(self, score: BandScore) -> BandScore:
        """Somebody of the same style whose past the band is told it has played."""
        style = TRANSFORMER_STYLES[score.style]
        for _ in range(5):
            other = self.score(style, int(self.random.integers(len(self.songs[style]))))
            if other is not None:
                return other
        return score


def _stretch(
    score: BandScore, begin: int, count: int
) -> tuple[step_features.MelodyFeatures, Ints, step_features.BandFeatures]:
    """Melody, chords (2, count + 1) and band of [begin, begin + count)."""
    melody = step_features.extract_melody(_near(score.roles["melody"], begin, count)[:, :3].tolist(), begin, count)
    near = {role: _near(score.roles[role], begin, count)[:, :3] for role in ROLES}
    return melody, _cut(score.chords, begin, count + 1), step_features.extract_band(near, begin, count)


def _cut(chords: Ints, begin: int, count: int) -> Ints:
    made = np.full((2, count), NO_CHORD, np.int64)
    there = chords[:, begin : begin + count]
    made[:, : there.shape[1]] = there
    return made


def _near(rows: Ints, begin: int, count: int) -> Ints:
    last = int(np.searchsorted(rows[:, 0], begin + count))
    first = int(np.searchsorted(rows[:, 0], begin - 64))
    return rows[first:last]


def hand_rows(
    score: BandScore,
    begin: int,
    count: int,
    shift: int,
    random: np.random.Generator,
    spoiler: BandScore | None = None,
    chords_told: Ints | None = None,
) -> HandBatch:
    """One stretch for the hand, moved by `shift` semitones, without the axis of stretches. chords_told: (2, steps + 1)
    the chords it is told instead of the song's; where their root is another, nothing is learnt."""
    melody, chords, band = _stretch(_moved(score, shift), begin, count + 1)
    shown = step_features.MelodyFeatures(melody.pitch[:count], melody.struck[:count])
    phase = (begin + 1 + np.arange(count)) % 16
    line, length, velocity = _written(_moved(score, shift), begin + 1, count, chords[0, 1 : count + 1])
    past = step_features.BandFeatures(
        band.begun[:, :count], band.sounding[:, :count], band.length[:, :count], band.drums[:count]
    )
    told, since = chords[:, : count + 1], 0
    if spoiler is not None:
        past, since = _spoilt(past, told, begin, spoiler, random)
    if chords_told is not None:
        right, told = told, _cut(chords_told, begin, count + 1)
        told[0] = np.where(told[0] >= 0, (told[0] + shift) % 12, NO_CHORD)
        _as_under(past, right[0, :count], told[0, :count])
        length = np.where(right[0, 1:] == told[0, 1:], length, 0)
    features = step_features.build_features(shown, past, told, phase, begun=since)
    coming = step_features.MelodyFeatures(melody.pitch[1:], melody.struck[1:])
    begins = 2 + np.clip(coming.pitch - np.maximum(told[0, 1:], 0) + 12, 0, step_tokens.PITCH_TOKENS - 1)
    tune = np.where(coming.pitch == REST, 0, np.where(coming.struck, begins, 1))
    return HandBatch(
        features, np.eye(len(TRANSFORMER_STYLES), dtype=np.float32)[score.style], line, length, velocity, tune
    )


def _moved(score: BandScore, shift: int) -> BandScore:
    if not shift:
        return score
    roles = {r: rows + np.array([0, shift if r != "drums" else 0, 0, 0]) for r, rows in score.roles.items()}
    for role in PITCHED_ROLES:
        low, high = step_features.get_compass(role)
        pitch = roles[role][:, 1]
        roles[role][:, 1] = np.where(pitch < low, pitch + 12, np.where(pitch > high, pitch - 12, pitch))
    chords = score.chords.copy()
    chords[0] = np.where(chords[0] >= 0, (chords[0] + shift) % 12, NO_CHORD)
    return BandScore(score.style, roles, chords, score.first, score.steps)


def _written(score: BandScore, begin: int, count: int, roots: Ints) -> tuple[Ints, Ints, Floats]:
    """Tokens, their number and velocities of the steps [begin, begin + count) under their roots."""
    line = np.zeros((count, MOST_TOKENS), np.int64)
    length = np.zeros(count, np.int64)
    velocity = np.zeros((count, 4), np.float32)
    begun: list[list[step_tokens.RoleOnsets]] = [[] for _ in range(count)]
    for i, role in enumerate(ROLES):
        rows = _near(score.roles[role], begin, count)
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
        if len(made) <= MOST_TOKENS:
            line[step, : len(made)], length[step] = made, len(made)
    return line, length, velocity


def _spoilt(
    past: step_features.BandFeatures, chords: Ints, begin: int, other: BandScore, random: np.random.Generator
) -> tuple[step_features.BandFeatures, int]:
    """What the hand may find on stage: a past that is not the song's (another band's, thinned, or none) up to some
    step; and since when the band plays."""
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
        bars = max(1, (other.steps - other.first) // 16 - count // 16 - 1)
        first = other.first + int(random.integers(bars)) * 16 + begin % 16
        _, theirs_chords, theirs = _stretch(other, first, count)
        _as_under(theirs, theirs_chords[0, :count], chords[0, :count])
        begun[:, :until], sounding[:, :until] = theirs.begun[:, :until], theirs.sounding[:, :until]
        long[:, :until], drums[:until] = theirs.length[:, :until], theirs.drums[:until]
    else:  # notes are missing here and there
        gone = random.random((3, count)) < 0.25
        begun[gone], long[gone] = False, 0
        drums[random.random(drums.shape) < 0.25] = False
    return step_features.BandFeatures(begun, sounding, long, drums), since


def _as_under(band: step_features.BandFeatures, theirs: Ints, ours: Ints) -> None:
    """Move what was played under their roots to ours, step by step."""
    away = (np.maximum(ours, 0) - np.maximum(theirs, 0) + 6) % 12 - 6
    for semitones in set(away.tolist()) - {0}:
        there = away == semitones
        for planes in (band.begun, band.sounding):
            planes[:, there] = np.roll(planes[:, there], semitones, 2)
