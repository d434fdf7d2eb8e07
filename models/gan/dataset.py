"""Walks through songs, many at a time, the now-line moving on: what the GAN trains on.

A stream plays one stretch of one song. At every turn it shows the canvas at its now-line; then the band's part up to
the next now-line is committed: the song's own in some streams, the generator's in others, so that the network learns
from the past it will see on stage. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.song_cache import CachedSong
from music.chords import NO_CHORD
from music.encoding import gan_canvas, melody_context
from music.encoding.gan_canvas import (
    BAND_KNOWN,
    BEAT_OF_BAR,
    CANVAS_STEPS,
    DRUM_CLASS,
    DRUM_PLANES,
    FIRST_NOW_STEP,
    MELODY_KNOWN,
)
from music.note import PITCH_CLASSES, ROLES, STEPS_PER_BAR, Metre
from music.styles import list_styles
from music.track_names import PARTS

GAN_STYLES = list_styles("gan")
BAND = gan_canvas.PLANE["bass", "sustain"]  #: first plane of the band; those before are the melody's
BAND_PLANES = gan_canvas.PITCHED_PLANES - BAND
RHYTHM = 9 + DRUM_PLANES
BASS_SPLIT = 52  #: the human piano part: lowest notes below this are the bass, everything else chords

Rows = NDArray[np.int32]


def role_rows(song: CachedSong) -> dict[str, Rows]:
    """(n, 4) rows of start, pitch, length, velocity for melody, bass, chords, pad, drums.

    A part named `piano` is split by register into bass and chords, `counter` is the pad; of a bass with several
    notes at once the lowest stays.
    """
    by_part = {part: song.notes[song.notes[:, 0] == i][:, 1:] for i, part in enumerate(PARTS)}
    roles = {part: by_part[part] for part in ("melody", "bass", "chords", "pad", "drums")}
    piano = by_part["piano"]
    if len(piano):
        lowest: dict[int, int] = {}
        for start, pitch in piano[:, :2].tolist():
            lowest[start] = min(pitch, lowest.get(start, 128))
        is_bass = np.array([p < BASS_SPLIT and p == lowest[s] for s, p in piano[:, :2].tolist()])
        roles["bass"] = np.concatenate([roles["bass"], piano[is_bass]])
        roles["chords"] = np.concatenate([roles["chords"], piano[~is_bass]])
    if len(by_part["counter"]):
        roles["pad"] = np.concatenate([roles["pad"], by_part["counter"]])
    roles["bass"] = _monophonic(roles["bass"])
    return {role: rows[np.argsort(rows[:, 0], kind="stable")] for role, rows in roles.items()}


def top_line(rows: NDArray[Any]) -> NDArray[np.int64]:
    """The melody as the live window hears it: one voice, the highest that begins, ended where the next one begins."""
    return np.array(_one_voice(sorted(rows.tolist(), key=lambda r: (r[0], -r[1]))), np.int64).reshape(-1, 4)


def _monophonic(rows: Rows) -> Rows:
    return np.array(_one_voice(sorted(rows.tolist())), np.int32).reshape(-1, 4)


def _one_voice(rows: list[list[int]]) -> list[list[int]]:
    """Of sorted rows those that begin first of what begins at once, each ended where the next one begins."""
    kept: list[list[int]] = []
    for row in rows:
        if kept and kept[-1][0] == row[0]:
            continue
        if kept:
            kept[-1][2] = min(kept[-1][2], row[0] - kept[-1][0])
        kept.append(row)
    return kept


@dataclass(slots=True)
class GanScore:
    """A song as planes. Step 0 of the arrays is FIRST_NOW steps before bar 1, and STEPS of silence follow the end.

    tune: the melody; pitched: uint8 (PITCHED_PLANES, 12, T); drums: uint8 (DRUM_PLANES, T); velocity: float32 (4, T),
    mean of the role's onsets / 127, 0 where none; rhythm: float32 (RHYTHM, T), what a groove is, without pitch classes;
    chords: int8 (2, T / 4), root and quality.
    """

    style: int
    tune: list[melody_context.Row]
    pitched: NDArray[np.uint8]
    drums: NDArray[np.uint8]
    velocity: NDArray[np.float32]
    rhythm: NDArray[np.float32]
    chords: NDArray[np.int8]
    first_bar: int
    bars: int


def score(song: CachedSong, transpose: int = 0) -> GanScore:
    """Planes of a song moved by `transpose` semitones (drums stay)."""
    roles = role_rows(song)
    steps = FIRST_NOW_STEP + song.steps + CANVAS_STEPS
    tune: list[melody_context.Row] = []
    pitched = np.zeros((gan_canvas.PITCHED_PLANES, PITCH_CLASSES, steps), np.uint8)
    drums = np.zeros((DRUM_PLANES, steps), np.uint8)
    velocity = np.zeros((4, steps), np.float32)
    for role in ("melody", "bass", "chords", "pad"):
        rows = roles[role][:, :3].copy()
        rows[:, 0] += FIRST_NOW_STEP
        rows[:, 1] += transpose
        gan_canvas.draw_part(pitched, role, map(tuple, rows.tolist()))
        if role == "melody":
            tune = [(start, pitch, length) for start, pitch, length in rows.tolist()]
    _clear_under_onsets(pitched)
    for start, pitch, _, _ in roles["drums"].tolist():
        if pitch in DRUM_CLASS:
            drums[DRUM_CLASS[pitch], start + FIRST_NOW_STEP] = 1
    for i, role in enumerate(ROLES):
        rows = roles[role]
        if len(rows):
            total = np.bincount(rows[:, 0] + FIRST_NOW_STEP, rows[:, 3], steps)
            count = np.bincount(rows[:, 0] + FIRST_NOW_STEP, minlength=steps)
            velocity[i] = (total / np.maximum(count, 1) / 127)[:steps]
    chords = np.full((2, steps // 4), NO_CHORD, np.int8)
    begin = FIRST_NOW_STEP // 4
    known = song.chords[: chords.shape[1] - begin].T
    chords[:, begin : begin + known.shape[1]] = known
    chords[0] = np.where(chords[0] >= 0, (chords[0] + transpose) % PITCH_CLASSES, NO_CHORD)
    first = int(roles["melody"][0, 0]) // 16 if len(roles["melody"]) else 0
    rhythm = _rhythm(pitched, drums)
    return GanScore(
        GAN_STYLES.index(song.style), tune, pitched, drums, velocity, rhythm, chords, first, song.steps // 16
    )


def _clear_under_onsets(pitched: NDArray[np.uint8]) -> None:
    """An onset always sounds: folding can lay one note's end over another's beginning, nothing more to mend."""
    for part in ("bass", "chords", "pad"):
        octaves = gan_canvas.REGISTERS[part].octaves
        s, o = gan_canvas.PLANE[part, "sustain"], gan_canvas.PLANE[part, "onset"]
        pitched[s : s + octaves] |= pitched[o : o + octaves]


def _rhythm(pitched: NDArray[np.uint8], drums: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(RHYTHM, T): per pitched role whether one begins, how many begin, how many sound; then the drums."""
    lines = []
    for part in ("bass", "chords", "pad"):
        octaves = gan_canvas.REGISTERS[part].octaves
        s, o = gan_canvas.PLANE[part, "sustain"], gan_canvas.PLANE[part, "onset"]
        begins = pitched[o : o + octaves].sum((0, 1), dtype=np.float32)
        lines += [begins > 0, begins / 4, pitched[s : s + octaves].sum((0, 1), dtype=np.float32) / 4]
    return np.concatenate([np.stack(lines).astype(np.float32), drums.astype(np.float32)])


class Batch(NamedTuple):
    """What the streams show at one turn (B streams). pitched (B, PITCHED_PLANES, 12, STEPS) and plain (B,
    PLAIN_PLANES, STEPS) are the canvas as the generator may see it; true_* the song itself; rhythm (B, RHYTHM, STEPS);
    velocity (B, 4, STEPS); chords (B, 2, BEATS); style (B,); line (B,) the now-line in steps of the canvas; heard_all
    (B,); melody (B, MELODY_PLANES, 12, PAST + FUTURE), known (B, 1) and phase (B, PHASES): what the harmonist hears."""

    pitched: NDArray[np.float32]
    plain: NDArray[np.float32]
    true_pitched: NDArray[np.float32]
    true_drums: NDArray[np.float32]
    rhythm: NDArray[np.float32]
    velocity: NDArray[np.float32]
    chords: NDArray[np.int64]
    style: NDArray[np.int64]
    line: NDArray[np.int64]
    heard_all: NDArray[np.bool_]
    melody: NDArray[np.float32]
    known: NDArray[np.float32]
    phase: NDArray[np.float32]


@dataclass(slots=True)
class _Stream:
    score: GanScore
    band: NDArray[np.uint8]  # committed planes of the band, own or true
    drums: NDArray[np.uint8]
    melody_from: int  # steps of the arrays before this are silent: the band has just begun
    now: int
    last: int
    own: bool
    heard_all: bool


class Streams:
    """`count` streams over songs drawn by style weight."""

    def __init__(
        self,
        songs: list[CachedSong],
        count: int,
        seed: int,
        style_weights: dict[str, float] | None = None,
        heard_all: float = 0.2,
        bars: int = 24,
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.by_style = {s: [x for x in songs if x.style == s] for s in GAN_STYLES}
        weights = style_weights or {}
        present = [s for s in GAN_STYLES if self.by_style[s]]
        self.styles = present
        self.weights = np.array([weights.get(s, 1.0) for s in present])
        self.weights /= self.weights.sum()
        self.heard_all, self.bars, self.own_share = heard_all, bars, 0.0
        self.streams = [self.begin() for _ in range(count)]

    def begin(self) -> _Stream:
        """A new stream."""
        random = self.random
        while True:
            style = self.styles[int(random.choice(len(self.styles), p=self.weights))]
            song = self.by_style[style][int(random.integers(len(self.by_style[style])))]
            made = score(song, int(random.integers(-5, 7)))
            if made.bars - made.first_bar >= 4:
                break
        bar = int(random.integers(made.first_bar, max(made.first_bar + 1, made.bars - 4)))
        if random.random() < 0.35:
            bar = made.first_bar
        now = FIRST_NOW_STEP + bar * 16 + int(random.integers(16))
        own = bool(random.random() < self.own_share)
        fresh = own and random.random() < 0.9
        band, drums = made.pitched[BAND:].copy(), made.drums.copy()
        if fresh:
            band[:, :, :now] = 0
            drums[:, :now] = 0
        last = min(now + self.bars * 16, FIRST_NOW_STEP + made.bars * 16)
        begun = now // 16 * 16 if fresh else 0
        return _Stream(made, band, drums, begun, now, last, own, bool(random.random() < self.heard_all))

    def batch(self) -> Batch:
        """The canvases at the streams' now-lines."""
        shown = [self._show(s) for s in self.streams]
        return Batch(*(np.stack(column) for column in zip(*shown, strict=True)))

    def _show(self, stream: _Stream) -> tuple[NDArray[np.generic] | np.generic, ...]:
        song = stream.score
        first = stream.now // 16 * 16 - FIRST_NOW_STEP
        window = slice(first, first + CANVAS_STEPS)
        line = stream.now - first
        true = song.pitched[:, :, window].astype(np.float32)
        true_drums = song.drums[:, window].astype(np.float32)
        begun = max(0, stream.melody_from - first)
        true[:BAND, :, :begun] = 0
        pitched = true.copy()
        pitched[BAND:, :, :line] = stream.band[:, :, first : first + line]
        pitched[BAND:, :, line:] = 0
        if not stream.heard_all:
            pitched[:BAND, :, line:] = 0
        plain = np.zeros((gan_canvas.PLAIN_PLANES, CANVAS_STEPS), np.float32)
        plain[:DRUM_PLANES, :line] = stream.drums[:, first : first + line]
        plain[MELODY_KNOWN, : CANVAS_STEPS if stream.heard_all else line] = 1
        plain[BAND_KNOWN, :line] = 1
        plain[BEAT_OF_BAR + gan_canvas.number_beats(0, CANVAS_STEPS, Metre()), np.arange(CANVAS_STEPS)] = 1
        beats = slice(first // 4, (first + CANVAS_STEPS) // 4)
        return (
            *(pitched, plain, true, true_drums, song.rhythm[:, window], song.velocity[:, window]),
            *(song.chords[:, beats].astype(np.int64), np.int64(song.style), np.int64(line), np.bool_(stream.heard_all)),
            *_heard(stream),
        )

    def commit(self, band: NDArray[np.uint8], drums: NDArray[np.uint8], steps: int) -> None:
        """Move every now-line on by `steps`; streams with a past of their own take the generator's band.

        band (B, BAND_PLANES, 12, FUTURE) and drums (B, DRUM_PLANES, FUTURE) start at step FIRST_NOW of the canvases
        shown.
        """
        for i, stream in enumerate(self.streams):
            first = stream.now // 16 * 16
            stop = min(stream.now + steps, first + gan_canvas.FUTURE_STEPS)
            if stream.own:
                inside = slice(stream.now - first, stop - first)
                stream.band[:, :, stream.now : stop] = band[i, :, :, inside]
                stream.drums[:, stream.now : stop] = drums[i, :, inside]
            stream.now = stop
            if stream.now >= stream.last:
                self.streams[i] = self.begin()


def _heard(stream: _Stream) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The melody around a stream's now-line, how sure its future is, and the phase of the bar, see
    music.encoding.melody_context."""
    begun = stream.melody_from
    tune = [(max(s, begun), p, s + n - max(s, begun)) for s, p, n in stream.score.tune if s + n > begun]
    melody, known = melody_context.draw_around(tune, stream.now, stream.heard_all)
    return (
        melody,
        np.array([known], np.float32),
        np.eye(STEPS_PER_BAR, dtype=np.float32)[stream.now % STEPS_PER_BAR],
    )
