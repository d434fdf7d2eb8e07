"""Walks through songs, many at a time, the now-line moving on: what the GAN trains on.

A stream plays one stretch of one song. At every update it shows the canvas at its now-line; then the band's part up to
the next now-line is committed: the song's own in some streams, the generator's in others, so that the network learns
from the past it will see on stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.data.parts import split_roles
from models.data.song_cache import CachedSong, DataError
from models.data.style_songs import StyleSongs
from models.draws import Draws
from music.chords import NO_CHORD
from music.encoding import gan_canvas, melody_context
from music.encoding.gan_canvas import (
    BAND_KNOWN,
    BEAT_OF_BAR,
    CANVAS_BEATS,
    CANVAS_STEPS,
    DRUM_PLANES,
    FIRST_NOW_STEP,
    FUTURE_STEPS,
    MELODY_KNOWN,
    PITCHED_PLANES,
    PLAIN_PLANES,
    PLANE,
    REGISTERS,
)
from music.note import MELODY, PITCH_CLASSES, PITCHED_ROLES, ROLES, STEPS_PER_BAR, STEPS_PER_BEAT, Metre
from music.styles import list_styles
from music.track_names import PARTS

GAN_STYLES = list_styles("gan")
BAND = PLANE["bass", "sustain"]  #: first plane of the band; those before are the melody's
BAND_PLANES = PITCHED_PLANES - BAND
#: rows of what tells a groove: three for each pitched role, one for each drum
RHYTHM_ROWS = 3 * len(PITCHED_ROLES) + DRUM_PLANES

#: steps by which a bar is shown that has not STEPS_PER_BAR
OTHER_BAR_STEPS = 12

#: transpositions that songs are learned in, in semitones: from the first to before the second
_TRANSPOSITIONS = (-5, 7)
#: steps of the past that a canvas shows, at most
_PAST_STEPS = FIRST_NOW_STEP + STEPS_PER_BAR
#: bars that a stretch of a song has at least
_MIN_BARS = 4
#: share of stretches that begin with the song, not in its middle
_FROM_START = 0.35
#: share of streams with a past of their own whose band has just begun: it knows no past of the song's
_FRESH_BAND = 0.9


@dataclass(slots=True)
class GanScore:
    """A song as planes, T steps long.

    Step 0 lies FIRST_NOW_STEP steps before bar 1, and CANVAS_STEPS of silence follow the song's end.
    """

    style: int  #: index in GAN_STYLES
    melody: list[melody_context.Row]
    pitched: NDArray[np.uint8]  #: (PITCHED_PLANES, 12, T)
    drums: NDArray[np.uint8]  #: (DRUM_PLANES, T)
    velocity: NDArray[np.float32]  #: (ROLES, T): mean velocity / 127 of the notes that begin; 0 where none does
    rhythm: NDArray[np.float32]  #: (RHYTHM_ROWS, T): what a groove is, without pitch classes
    chords: NDArray[np.int8]  #: (2, T / 4): root and quality of every beat
    first_bar: int  #: of the melody
    bars: int
    metre: Metre
    fills: NDArray[np.bool_]  #: (T / 4,): beats of bars in which a drummer leads into another section

    def find_canvas(self, now: int) -> int:
        """Return the step of the score at which the canvas of a now-line begins."""
        return FIRST_NOW_STEP + gan_canvas.find_first_step(now - FIRST_NOW_STEP, self.metre.steps_per_bar)

    def find_bar(self, now: int) -> int:
        """Return the step of the score at which the bar of a step begins."""
        return now - (now - FIRST_NOW_STEP) % self.metre.steps_per_bar


def draw_score(song: CachedSong, transpose: int = 0) -> GanScore:
    """Return a song as planes, moved by `transpose` semitones (drums stay)."""
    roles = split_roles(song)
    steps = FIRST_NOW_STEP + song.steps + CANVAS_STEPS
    melody: list[melody_context.Row] = []
    pitched = np.zeros((PITCHED_PLANES, PITCH_CLASSES, steps), np.uint8)
    for role in ("melody", *PITCHED_ROLES):
        rows = roles[role][:, :3].copy()
        rows[:, 0] += FIRST_NOW_STEP
        rows[:, 1] += transpose
        gan_canvas.draw_part(pitched, role, map(tuple, rows.tolist()))
        if role == "melody":
            melody = [(start, pitch, length) for start, pitch, length in rows.tolist()]
    _sustain_onsets(pitched)
    drums = np.zeros((DRUM_PLANES, steps), np.uint8)
    gan_canvas.draw_drums(drums[:, FIRST_NOW_STEP:], roles["drums"].tolist())
    velocity = np.zeros((len(ROLES), steps), np.float32)
    for i, role in enumerate(ROLES):
        rows = roles[role]
        if len(rows):
            total = np.bincount(rows[:, 0] + FIRST_NOW_STEP, rows[:, 3], steps)
            count = np.bincount(rows[:, 0] + FIRST_NOW_STEP, minlength=steps)
            velocity[i] = (total / np.maximum(count, 1) / 127)[:steps]
    per_bar = song.metre.steps_per_bar
    first_bar = int(roles["melody"][0, 0]) // per_bar if len(roles["melody"]) else 0
    return GanScore(
        style=GAN_STYLES.index(song.style),
        melody=melody,
        pitched=pitched,
        drums=drums,
        velocity=velocity,
        rhythm=_extract_rhythm(pitched, drums),
        chords=_spread_chords(song, steps, transpose),
        first_bar=first_bar,
        bars=song.steps // per_bar,
        metre=song.metre,
        fills=_mark_fills(song, steps),
    )


def _mark_fills(song: CachedSong, steps: int) -> NDArray[np.bool_]:
    """Return the beats of a score of so many steps that lie in a fill."""
    fills = np.zeros(steps // STEPS_PER_BEAT, np.bool_)
    beats = song.metre.steps_per_bar // STEPS_PER_BEAT
    for start in song.fills:
        first = (FIRST_NOW_STEP + start) // STEPS_PER_BEAT
        fills[first : first + beats] = True
    return fills


def _spread_chords(song: CachedSong, steps: int, transpose: int) -> NDArray[np.int8]:
    """Return the chord of every beat of a score, (2, steps / 4)."""
    chords = np.full((2, steps // STEPS_PER_BEAT), NO_CHORD, np.int8)
    begin = FIRST_NOW_STEP // STEPS_PER_BEAT
    known = song.chords[: chords.shape[1] - begin].T
    chords[:, begin : begin + known.shape[1]] = known
    chords[0] = np.where(chords[0] >= 0, (chords[0] + transpose) % PITCH_CLASSES, NO_CHORD)
    return chords


def _sustain_onsets(pitched: NDArray[np.uint8]) -> None:
    """Let every onset sound: folding into a compass can lay one note's end over another's beginning."""
    for role in PITCHED_ROLES:
        octaves = REGISTERS[role].octaves
        s, o = PLANE[role, "sustain"], PLANE[role, "onset"]
        pitched[s : s + octaves] |= pitched[o : o + octaves]


def _extract_rhythm(pitched: NDArray[np.uint8], drums: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (RHYTHM_ROWS, T): per pitched role whether one begins, how many begin, how many sound; then the drums."""
    rows = []
    for role in PITCHED_ROLES:
        octaves = REGISTERS[role].octaves
        s, o = PLANE[role, "sustain"], PLANE[role, "onset"]
        begins = pitched[o : o + octaves].sum((0, 1), dtype=np.float32)
        rows += [begins > 0, begins / 4, pitched[s : s + octaves].sum((0, 1), dtype=np.float32) / 4]
    return np.concatenate([np.stack(rows).astype(np.float32), drums.astype(np.float32)])


def find_mean_bar(rhythm: NDArray[np.float32], bar: int, metre: Metre) -> NDArray[np.float32]:
    """Return the mean bar of a rhythm, over the bars in which anything begins: (RHYTHM_ROWS, STEPS_PER_BAR).

    rhythm: (RHYTHM_ROWS, n); bar: a step of it, or before or behind it, at which a bar begins. A bar of other metres
    is shown by twelve steps, on which longer ones lie one over the other (12/8 as two of 6/8) and shorter ones follow
    each other; the rest is empty.
    """
    shown = STEPS_PER_BAR if metre.steps_per_bar == STEPS_PER_BAR else OTHER_BAR_STEPS
    unit = shown if metre.steps_per_bar % shown == 0 else metre.steps_per_pulse
    repeats = shown // unit if shown % unit == 0 else 1
    cut = rhythm[:, bar % unit :]
    bars = cut[:, : cut.shape[1] // unit * unit].reshape(len(rhythm), -1, unit)
    plays = bars.max((0, 2)) > 0
    mean = np.zeros((len(rhythm), STEPS_PER_BAR), np.float32)
    if plays.any():
        mean[:, : unit * repeats] = np.tile(bars[:, plays].mean(1), repeats)[:, :STEPS_PER_BAR]
    return mean


class GanBatch(NamedTuple):
    """Canvases at the now-lines of B streams, and what the songs themselves have there."""

    pitched: NDArray[np.float32]  #: (B, PITCHED_PLANES, 12, CANVAS_STEPS): the canvas as the generator may see it
    plain: NDArray[np.float32]  #: (B, PLAIN_PLANES, CANVAS_STEPS): likewise
    true_pitched: NDArray[np.float32]  #: (B, PITCHED_PLANES, 12, CANVAS_STEPS): the song
    true_drums: NDArray[np.float32]  #: (B, DRUM_PLANES, CANVAS_STEPS): the song
    bar: NDArray[np.float32]  #: (B, RHYTHM_ROWS, STEPS_PER_BAR): the mean bar of the song's rhythm there
    pulse: NDArray[np.float32]  #: (B, PULSE_PLANES, CANVAS_STEPS): see music.encoding.gan_canvas.mark_pulse
    fill: NDArray[np.float32]  #: (B, CANVAS_BEATS): beats of bars in which a drummer leads into another section
    velocity: NDArray[np.float32]  #: (B, ROLES, CANVAS_STEPS)
    chords: NDArray[np.int64]  #: (B, 2, CANVAS_BEATS)
    style: NDArray[np.int64]  #: (B,)
    line: NDArray[np.int64]  #: (B,): the now-line, in steps of the canvas
    heard_all: NDArray[np.bool_]  #: (B,): the whole melody is visible
    melody: NDArray[np.float32]  #: (B, MELODY_PLANES, 12, PAST_STEPS + FUTURE_STEPS): the harmonist's input
    known: NDArray[np.float32]  #: (B, 1): likewise
    phase: NDArray[np.float32]  #: (B, 16): likewise


@dataclass(slots=True)
class _Stream:
    source: tuple[int, int, int]  #: style, which of its songs, transposition
    score: GanScore
    band: NDArray[np.uint8]  #: committed planes of the band, its own or the song's
    drums: NDArray[np.uint8]
    melody_from: int  #: steps of the score before this are silent: the band has just begun
    now: int
    last: int
    own: bool  #: its past is the generator's
    heard_all: bool


class Streams:
    """So many streams over songs, drawn by the weights of their styles."""

    def __init__(
        self,
        songs: list[CachedSong],
        draws: Draws,
        style_weights: dict[str, float] | None = None,
        heard_all: float = 0.2,
        bars: int = 24,
        other_metres: float = 0.0,
    ) -> None:
        """Start a stream of at most `bars` bars for each example; a share `heard_all` of them sees the whole melody.

        other_metres: share of songs that are not in 4/4, where their style has such.

        Raises DataError when no song is long enough.
        """
        self.draws = draws
        self.by_style = {s: [x for x in songs if x.style == s and _is_long_enough(x)] for s in GAN_STYLES}
        self.styles = [s for s in GAN_STYLES if self.by_style[s]]
        self.weights = np.array([(style_weights or {}).get(s, 1.0) for s in self.styles])
        if not self.weights.sum():
            raise DataError(f"no song of a style that the GAN learns has {_MIN_BARS} bars from its melody on")
        self.weights /= self.weights.sum()
        self.heard_all, self.bars = heard_all, bars
        self._songs = {s: StyleSongs(found, other_metres) for s, found in self.by_style.items()}
        #: share of new streams whose past is the generator's own
        self.own_share = 0.0
        self.streams = [self.start_stream(random) for random in draws.open_examples(0)]

    def start_stream(self, random: np.random.Generator) -> _Stream:
        """Return a new stream, drawn at random."""
        style = self.styles[int(random.choice(len(self.styles), p=self.weights))]
        index = self._songs[style].draw(random)
        source = GAN_STYLES.index(style), index, int(random.integers(*_TRANSPOSITIONS))
        score = self._draw_source(source)
        bar = int(random.integers(score.first_bar, max(score.first_bar + 1, score.bars - _MIN_BARS)))
        if random.random() < _FROM_START:
            bar = score.first_bar
        per_bar = score.metre.steps_per_bar
        now = FIRST_NOW_STEP + bar * per_bar + int(random.integers(per_bar))
        own = bool(random.random() < self.own_share)
        fresh = own and random.random() < _FRESH_BAND
        band, drums = score.pitched[BAND:].copy(), score.drums.copy()
        if fresh:
            band[:, :, :now] = 0
            drums[:, :now] = 0
        last = min(now + self.bars * per_bar, FIRST_NOW_STEP + score.bars * per_bar)
        begun = score.find_bar(now) if fresh else 0
        return _Stream(source, score, band, drums, begun, now, last, own, bool(random.random() < self.heard_all))

    def _draw_source(self, source: tuple[int, int, int]) -> GanScore:
        style, index, transpose = source
        return draw_score(self.by_style[GAN_STYLES[style]][index], transpose)

    def show(self) -> GanBatch:
        """Return the canvases at the streams' now-lines."""
        shown = [_show(stream) for stream in self.streams]
        return GanBatch(*(np.stack(column) for column in zip(*shown, strict=True)))

    def commit(self, band: NDArray[np.uint8], drums: NDArray[np.uint8], steps: int, update: int = 0) -> None:
        """Move every now-line on by `steps`; streams with a past of their own take the generator's band.

        update: the step of training, by which the streams are drawn that begin now; band: (B, BAND_PLANES, 12,
        FUTURE_STEPS), drums: (B, DRUM_PLANES, FUTURE_STEPS), both from step FIRST_NOW_STEP of the canvases shown on.
        """
        for i, stream in enumerate(self.streams):
            first = stream.score.find_canvas(stream.now) + FIRST_NOW_STEP
            stop = min(stream.now + steps, first + FUTURE_STEPS)
            if stream.own:
                inside = slice(stream.now - first, stop - first)
                stream.band[:, :, stream.now : stop] = band[i, :, :, inside]
                stream.drums[:, stream.now : stop] = drums[i, :, inside]
            stream.now = stop
            if stream.now >= stream.last:
                self.streams[i] = self.start_stream(self.draws.open_example(update + 1, i))

    def collect_state(self) -> dict[str, Tensor]:
        """Return where the streams are and the past they show, in the order of the batch."""
        places, bands, drums = [], [], []
        for stream in self.streams:
            past = _select_past(stream)
            places.append([*stream.source, stream.now, stream.last, stream.melody_from, stream.own, stream.heard_all])
            bands.append(np.zeros((BAND_PLANES, PITCH_CLASSES, _PAST_STEPS), np.uint8))
            drums.append(np.zeros((DRUM_PLANES, _PAST_STEPS), np.uint8))
            bands[-1][:, :, : past.stop - past.start] = stream.band[:, :, past]
            drums[-1][:, : past.stop - past.start] = stream.drums[:, past]
        return {
            "places": torch.tensor(places, dtype=torch.int64),
            "bands": torch.from_numpy(np.stack(bands)),
            "drums": torch.from_numpy(np.stack(drums)),
        }

    def restore_state(self, places: Tensor, bands: Tensor, drums: Tensor) -> None:
        """Go on where `collect_state` was called. Raises DataError for streams through other songs."""
        self.streams = []
        for (style, index, transpose, now, last, begun, own, heard_all), band, drum in zip(
            places.tolist(), bands.numpy(), drums.numpy(), strict=True
        ):
            if not (0 <= style < len(GAN_STYLES) and 0 <= index < len(self.by_style[GAN_STYLES[style]])):
                raise DataError("the run was trained on other music; give the same with --cache or --data")
            source = style, index, transpose
            score = self._draw_source(source)
            planes, hits = score.pitched[BAND:].copy(), score.drums.copy()
            stream = _Stream(source, score, planes, hits, begun, now, last, bool(own), bool(heard_all))
            past = _select_past(stream)
            if past.stop > score.drums.shape[1]:
                raise DataError("the run was trained on other music; give the same with --cache or --data")
            stream.band[:, :, past] = band[:, :, : past.stop - past.start]
            stream.drums[:, past] = drum[:, : past.stop - past.start]
            self.streams.append(stream)


def _is_long_enough(song: CachedSong) -> bool:
    melody = song.notes[song.notes[:, 0] == PARTS.index(MELODY), 1]
    per_bar = song.metre.steps_per_bar
    first_bar = int(melody.min()) // per_bar if len(melody) else 0
    return song.steps // per_bar - first_bar >= _MIN_BARS


def _select_past(stream: _Stream) -> slice:
    """Return the steps of a stream's score that its canvas shows left of the now-line."""
    return slice(stream.score.find_canvas(stream.now), stream.now)


def _show(stream: _Stream) -> GanBatch:
    """Return the canvas at one stream's now-line, without the axis of streams."""
    score = stream.score
    first = score.find_canvas(stream.now)
    window = slice(first, first + CANVAS_STEPS)
    line = stream.now - first
    true = score.pitched[:, :, window].astype(np.float32)
    true[:BAND, :, : max(0, stream.melody_from - first)] = 0
    pitched = true.copy()
    pitched[BAND:, :, :line] = stream.band[:, :, first : first + line]
    pitched[BAND:, :, line:] = 0
    if not stream.heard_all:
        pitched[:BAND, :, line:] = 0
    plain = np.zeros((PLAIN_PLANES, CANVAS_STEPS), np.float32)
    plain[:DRUM_PLANES, :line] = stream.drums[:, first : first + line]
    plain[MELODY_KNOWN, : CANVAS_STEPS if stream.heard_all else line] = 1
    plain[BAND_KNOWN, :line] = 1
    place = first - FIRST_NOW_STEP  # counted from bar 1
    plain[BEAT_OF_BAR + gan_canvas.number_beats(place, CANVAS_STEPS, score.metre), np.arange(CANVAS_STEPS)] = 1
    melody, known, phase = _draw_melody(stream)
    return GanBatch(
        pitched=pitched,
        plain=plain,
        true_pitched=true,
        true_drums=score.drums[:, window].astype(np.float32),
        bar=find_mean_bar(score.rhythm[:, window], -place, score.metre),
        pulse=gan_canvas.mark_pulse(place, score.metre),
        fill=score.fills[first // STEPS_PER_BEAT :][:CANVAS_BEATS].astype(np.float32),
        velocity=score.velocity[:, window],
        chords=score.chords[:, first // STEPS_PER_BEAT : (first + CANVAS_STEPS) // STEPS_PER_BEAT].astype(np.int64),
        style=np.asarray(score.style, np.int64),
        line=np.asarray(line, np.int64),
        heard_all=np.asarray(stream.heard_all, np.bool_),
        melody=melody,
        known=known,
        phase=phase,
    )


def _draw_melody(stream: _Stream) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the harmonist's input at a stream's now-line: melody, known, phase (see music.encoding.melody_context)."""
    begun = stream.melody_from
    rows = [(max(s, begun), p, s + n - max(s, begun)) for s, p, n in stream.score.melody if s + n > begun]
    metre = stream.score.metre
    melody, known = melody_context.draw_around(rows, stream.now, stream.heard_all, metre)
    phase = np.eye(STEPS_PER_BAR, dtype=np.float32)[melody_context.find_phase(stream.now - FIRST_NOW_STEP, metre)]
    return melody, np.array([known], np.float32), phase
