"""Standard MIDI Files <-> notes by part.

Reading keeps what a performance holds (any resolution, any tempo map) rounded to ticks of 1/24 beat, and mends what is
wrong with a file where it can (`music.smf`); writing makes a type-1 file at 480 ticks a beat into which chosen source
tracks are copied message by message.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import mido

from music import midi, smf
from music.errors import UserError
from music.files import open_atomically
from music.midi_text import decode_text, make_printable
from music.note import CHANNELS, TICKS_PER_BEAT, Metre, Note
from music.track_names import match_names, rank_melody

FILE_TICKS = 480
DEFAULT_TEMPO = 500_000
#: Files of more bytes are refused: in one of a reasonable size, more than that is a sound font.
MAX_FILE_BYTES = 128 << 20
_MAX_DELTA = 0x0FFFFFFF
#: The last tick that is written: later ones would not fit into a delta time.
LAST_TICK = _MAX_DELTA * TICKS_PER_BEAT // FILE_TICKS
#: The longest music that anything here works on; at 120 beats a minute 14 hours.
MAX_BEATS = 100_000
#: How long music may last: so many beats in all, and so many more for every note. Rendering takes time by the beat, and
#: two notes that lie hours apart are a damaged file.
FREE_BEATS, BEATS_PER_NOTE = 128, 16
#: The longest time from one note to the next; at 120 beats a minute four minutes.
MAX_PAUSE_BEATS = 512
#: The track whose markers are chords.
HARMONY = "harmony"

#: Kinds of what is mended here, beside those of `music.smf`.
BAD_METRE = "metres that sixteenths cannot show left out"

_MAX_NAME_LENGTH = 100
_MAX_NAMES_TOLD = 20
_logger = logging.getLogger(__name__)


class MidiFileError(UserError):
    """A MIDI file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Part:
    """The notes of one track on one channel."""

    name: str  #: of the track; '' where it has none
    notes: tuple[Note, ...]  #: sorted, in ticks
    channel: int  #: 0..15
    index: int  #: of the track in the file
    program: int = 0  #: the first General MIDI program (0..127) chosen on the channel


@dataclass(frozen=True, slots=True)
class Song:
    """The music in a file."""

    parts: tuple[Part, ...]
    #: (tick, microseconds a beat), the first at tick 0
    tempos: tuple[tuple[int, int], ...] = ((0, DEFAULT_TEMPO),)
    #: (tick, Metre), the first at tick 0
    metres: tuple[tuple[int, Metre], ...] = ((0, Metre()),)
    #: (tick, text) of the track named `harmony`
    markers: tuple[tuple[int, str], ...] = ()
    #: the file's messages, for copying
    source: smf.SmfFile | None = field(default=None, compare=False, repr=False)
    #: what errors call it: its path
    name: str = field(default="", compare=False)
    #: how often what was mended in the file, as one line; '' for a file in order
    mended: str = field(default="", compare=False)

    def part(self, name: str) -> Part | None:
        """Return the first part of that name with a note in it."""
        return next((p for p in self.parts if p.name == name and p.notes), None)

    @property
    def end(self) -> int:
        """The tick at which the last note ends; 0 for a file without notes."""
        return max((n.end for p in self.parts for n in p.notes), default=0)

    @property
    def seconds(self) -> float:
        """The tick at which the file ends, that of its longest track or note."""
        ends = [round_to_tick(track.end, self.source.division) for track in self.source.tracks] if self.source else []
        end = max(self.end, *ends, 0)
        stops = [tick for tick, _ in self.tempos[1:]] + [end]
        us = sum((min(stop, end) - min(tick, end)) * us for (tick, us), stop in zip(self.tempos, stops, strict=True))
        return us / (TICKS_PER_BEAT * 1_000_000)

    def make_error(self, sentence: str) -> MidiFileError:
        """Return the error of which this file is the cause."""
        return MidiFileError(f"{self.name}: {sentence}" if self.name else sentence)


def read(path: str | Path) -> Song:
    """Read the song in a Standard MIDI File, which may hold no note; say in a warning what had to be mended.

    Raises MidiFileError when it cannot be read.
    """
    name = make_printable(str(path))
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise MidiFileError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MidiFileError(f"{name}: not a readable MIDI file ({reason})") from None
    if len(data) > MAX_FILE_BYTES:
        raise MidiFileError(f"{name}: not a readable MIDI file (it is larger than {MAX_FILE_BYTES >> 20} MiB)")
    song = parse(data, name)
    if song.mended:
        _logger.warning("%s: mended while reading: %s", name, song.mended)
    return song


def parse(data: bytes, name: str = "") -> Song:
    """Return the song in a file's bytes. name: what errors call it. Raises MidiFileError when it cannot be read."""
    try:
        source = smf.parse(data)
    except ValueError as error:
        raise MidiFileError(f"{name}: not a readable MIDI file ({error})") from None
    mended = Counter(source.mended)
    parts: list[Part] = []
    tempos: dict[int, int] = {0: DEFAULT_TEMPO}
    metres: dict[int, Metre] = {0: Metre()}
    markers: list[tuple[int, str]] = []
    for index, track in enumerate(source.tracks):
        title = read_track_name(track)
        parts += _find_parts(track, title, index, source.division)
        for tick, status, kind, _, body in track.events:
            if status != smf.META:
                continue
            at = round_to_tick(tick, source.division)
            if kind == smf.SET_TEMPO:
                tempos[at] = int.from_bytes(body, "big")
            elif kind == smf.TIME_SIGNATURE:
                metre = _make_metre(body[0], body[1])
                if metre is None:
                    mended[BAD_METRE] += 1
                else:
                    metres[at] = metre
            elif kind == smf.MARKER and title == HARMONY:
                markers.append((at, decode_text(body)))
    return Song(
        tuple(parts),
        tuple(sorted(tempos.items())),
        tuple(sorted(metres.items())),
        tuple(markers),
        source,
        name,
        ", ".join(f"{kind} ({count})" for kind, count in mended.items()),
    )


def read_track_name(track: smf.Track) -> str:
    """Return the name of a track; '' where it has none."""
    return next((decode_text(body) for _, body in track.find_bodies(smf.TRACK_NAME)), "")[:_MAX_NAME_LENGTH].strip()


def _find_parts(track: smf.Track, name: str, index: int, division: int) -> list[Part]:
    """Return a track's notes, every channel as a part. What is never ended in the file ends with its track."""
    notes: dict[int, list[Note]] = {}
    programs: dict[int, int] = {}
    keys = ((tick, (status, first, second)) for tick, status, first, second, _ in track.events if status < 0xA0)
    for note in midi.pair_notes(keys, track.end, overlap=True):
        notes.setdefault(note.channel, []).append(_make_note(note, division))
    for _, status, program, _, _ in track.events:
        if status & 0xF0 == midi.PROGRAM_CHANGE:
            programs.setdefault(status & 0x0F, program)
    return [
        Part(name, tuple(sorted(notes[channel])), channel, index, programs.get(channel, 0)) for channel in sorted(notes)
    ]


def _make_metre(numerator: int, power: int) -> Metre | None:
    """Return a time signature over a power of two; None when no grid of sixteenths can show its bars."""
    while power > 4 and numerator % 2 == 0 and numerator:
        numerator, power = numerator // 2, power - 1
    return Metre(numerator, 1 << power) if numerator and power <= 4 else None


def round_to_tick(tick: int, ticks_per_beat: int) -> int:
    """Return a file's tick as the nearest tick of 1/24 beat (half up)."""
    return (2 * tick * TICKS_PER_BEAT + ticks_per_beat) // (2 * ticks_per_beat)


def _make_note(note: midi.TimedNote, ticks_per_beat: int) -> Note:
    start = round_to_tick(note.start, ticks_per_beat)
    return Note(start, note.pitch, max(1, round_to_tick(note.end, ticks_per_beat) - start), note.velocity)


def choose_melody(song: Song, track: str | None = None, channel: int | None = None) -> Part:
    """Return the part that plays the melody, always one with notes.

    track: its name (case and accents do not count, a word of it is enough) or its number, from 0; channel: its channel,
    1..16. Where neither is given it is the track that is named like a melody, else the first pitched one. Raises
    MidiFileError when there is none.
    """
    playing = [p for p in song.parts if p.notes]
    parts = [p for p in playing if channel is None or p.channel == channel - 1]
    where = "" if channel is None else f" on channel {channel}"
    if channel is not None and not parts:
        raise song.make_error(f"no notes{where}; the file has: {_list_names(playing)}")
    if track is not None:
        parts = _find_track(parts, track)
        if not parts:
            name = make_printable(track)
            raise song.make_error(f"no track {name!r} with notes in it{where}; the file has: {_list_names(playing)}")
        return parts[0]
    ranks = [rank_melody(p.name, p.channel) for p in parts]
    best = min((rank for rank in ranks if rank is not None), default=None)
    if best is not None:
        return parts[ranks.index(best)]
    pitched = [p for p in parts if channel is not None or p.channel != CHANNELS["drums"]]
    if not pitched:
        raise song.make_error("no melody: the file has no pitched notes")
    return pitched[0]


def check_length(song: Song, notes: Sequence[Note], begin: int | None = None) -> None:
    """Raise MidiFileError for notes of a song that last too long.

    begin: the tick from which on that counts, where it is not the first note's.
    """
    excess = describe_excess(notes, begin)
    if excess:
        raise song.make_error(
            f"the melody {excess}; choose another track with --track, or mend the file's time division"
        )


def describe_excess(notes: Sequence[Note], begin: int | None = None) -> str:
    """Return how notes last too long ("lasts ..."); '' where they do not. begin: as in `check_length`."""
    if not notes:
        return ""
    starts = sorted({n.start for n in notes} | ({begin} if begin is not None else set()))
    starts.append(max(n.end for n in notes))
    beats = (starts[-1] - starts[0]) // TICKS_PER_BEAT
    pause = max(later - earlier for earlier, later in pairwise(starts)) // TICKS_PER_BEAT
    if beats > min(MAX_BEATS, FREE_BEATS + BEATS_PER_NOTE * len(notes)):
        return f"lasts {beats} beats, and that is too long for its {len(notes)} notes"
    if starts[-1] > MAX_BEATS * TICKS_PER_BEAT:
        return f"ends at beat {starts[-1] // TICKS_PER_BEAT}, and that is too late"
    if pause > MAX_PAUSE_BEATS:
        return f"stands still for {pause} beats, and that is too long"
    return ""


def _find_track(parts: list[Part], track: str) -> list[Part]:
    """Return the parts of the track of that name or number."""
    named = {p.name for p in parts}
    numbered = [p for p in parts if str(p.index) == track.strip()]
    if track not in named and numbered:
        return numbered
    return [p for name in match_names((p.name for p in parts), track)[:1] for p in parts if p.name == name]


def _list_names(parts: list[Part]) -> str:
    """Return the names of tracks, of those without one the numbers, with their channels where a track has several."""
    channels: dict[tuple[int, str], list[int]] = {}
    for part in parts:
        channels.setdefault((part.index, part.name), []).append(part.channel + 1)
    names = sorted(
        {
            f"{name or index} (channels {', '.join(map(str, found))})" if len(found) > 1 else name or str(index)
            for (index, name), found in channels.items()
        }
    )
    more = [f"and {len(names) - _MAX_NAMES_TOLD} more"] if len(names) > _MAX_NAMES_TOLD else []
    return ", ".join([*names[:_MAX_NAMES_TOLD], *more]) or "none"


def write(
    path: str | Path,
    parts: Mapping[str, Iterable[Note]],
    *,
    tempos: Iterable[tuple[int, int]] = ((0, DEFAULT_TEMPO),),
    metres: Iterable[tuple[int, Metre]] = ((0, Metre()),),
    markers: Iterable[tuple[int, str]] = (),
    copied: Mapping[str, Iterable[mido.Message]] | None = None,
    note_ticks: int = TICKS_PER_BEAT,
    harmony: Iterable[tuple[int, str]] = (),
    channels: Mapping[str, int] = CHANNELS,
    controls: Mapping[str, Iterable[tuple[int, bytes]]] | None = None,
    metas: Iterable[mido.Message] = (),
    others: Iterable[tuple[str, Iterable[mido.Message]]] = (),
) -> None:
    """Write a type-1 file at 480 ticks a beat: tempo track, `copied` tracks (messages timed in 480ths), then `parts`.

    note_ticks: to the beat, that the parts' notes are given in; harmony: labels of chords by tick, for a track
    `harmony` of markers, which there is only where they are; channels: those (0..15) of parts, 0 where a part has none;
    controls: channel messages of parts by tick that are no notes, such as the pedal's and program changes; metas:
    further messages of the tempo track, others: name and messages of tracks behind all, both as `copied`. What lies
    after LAST_TICK is left out. Nothing half-written is ever seen. Raises OSError when it cannot be written.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=FILE_TICKS, charset="utf-8")
    scale = FILE_TICKS // TICKS_PER_BEAT
    file.tracks.append(_make_tempo_track(tempos, metres, markers, metas))
    for name, messages in (copied or {}).items():
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        track.extend(messages)
        file.tracks.append(track)
    for name, notes in parts.items():
        channel = channels.get(name, 0)
        events: list[tuple[int, int, mido.Message]] = []
        unit = FILE_TICKS // note_ticks
        for n in notes:
            on = mido.Message("note_on", True, channel=channel, note=n.pitch, velocity=n.velocity)  # a Note is in range
            off = mido.Message("note_off", True, channel=channel, note=n.pitch, velocity=0)
            events += [(n.start * unit, 2, on), (n.end * unit, 1, off)]
        events.sort(key=lambda e: (e[0], e[1], e[2].note))
        moves = [
            (tick * scale, 0, mido.Message.from_bytes(midi.with_channel(data, channel)))
            for tick, data in (controls or {}).get(name, ())
        ]
        events = sorted(events + moves, key=lambda e: e[:2])
        file.tracks.append(_make_track(name, events))
    if labels := [(t * scale, 0, mido.MetaMessage("marker", text=text)) for t, text in harmony]:
        file.tracks.append(_make_track(HARMONY, labels))
    for name, messages in others:
        title = [mido.MetaMessage("track_name", name=name)] if name else []
        file.tracks.append(mido.MidiTrack([*title, *messages]))
    with open_atomically(Path(path)) as opened:
        file.save(file=opened)


def _make_tempo_track(
    tempos: Iterable[tuple[int, int]],
    metres: Iterable[tuple[int, Metre]],
    markers: Iterable[tuple[int, str]],
    metas: Iterable[mido.Message],
) -> mido.MidiTrack:
    """Return the first track of a file; the parameters are those of `write`."""
    scale = FILE_TICKS // TICKS_PER_BEAT
    first: list[tuple[int, int, mido.Message]] = []
    first += [(t * scale, 0, mido.MetaMessage("set_tempo", tempo=min(tempo, 0xFFFFFF))) for t, tempo in tempos]
    first += [
        (t * scale, 1, mido.MetaMessage("time_signature", numerator=m.numerator, denominator=m.denominator))
        for t, m in metres
    ]
    first += [(t * scale, 2, mido.MetaMessage("marker", text=make_printable(text))) for t, text in markers]
    at = 0
    for message in metas:
        at += message.time
        first.append((at, 3, message))
    return _make_track("", sorted(first, key=lambda event: event[:2]))


def copy_track(
    song: Song, index: int, channel: int | None = None, metas: Collection[int] | None = None
) -> list[mido.Message]:
    """Return the messages of a source track, timed in 480ths of a beat, without its name, tempo and metre.

    A note that nothing ends is ended with the track. channel: only messages of this one (0..15); metas: only meta
    messages of these types. Raises MidiFileError for a song that was not read from a file.
    """
    if song.source is None:
        raise song.make_error("this song was not read from a file")
    messages = []
    last = 0
    down: Counter[tuple[int, int]] = Counter()
    track = song.source.tracks[index]
    for tick, status, first, second, body in track.events:
        if status == smf.META and first in (smf.TRACK_NAME, smf.SET_TEMPO, smf.TIME_SIGNATURE):
            continue
        if channel is not None and status < midi.SYSEX and status & 0x0F != channel:
            continue
        if metas is not None and (status != smf.META or first not in metas):
            continue
        at = _round_to_file_tick(tick, song.source.division)
        if at - last > _MAX_DELTA:
            break
        messages.append(_make_message(status, first, second, body, at - last))
        last = at
        _count_down(down, status, first, second)
    end = min(max(_round_to_file_tick(track.end, song.source.division), last), last + _MAX_DELTA)
    for key, pitch in down.elements():
        messages.append(mido.Message("note_off", channel=key, note=pitch, velocity=0, time=end - last))
        last = end
    return messages


def _round_to_file_tick(tick: int, division: int) -> int:
    return (2 * tick * FILE_TICKS + division) // (2 * division)


def _count_down(down: Counter[tuple[int, int]], status: int, pitch: int, velocity: int) -> None:
    """Count, by channel and pitch, how many notes have begun and not ended, once a message has passed."""
    kind, channel = status & 0xF0, status & 0x0F
    if kind == midi.NOTE_ON and velocity:
        down[channel, pitch] += 1
    elif kind in (midi.NOTE_ON, midi.NOTE_OFF) and down[channel, pitch]:
        down[channel, pitch] -= 1


def _make_message(status: int, first: int, second: int, body: bytes, time: int) -> mido.Message:
    """Return a message of a file as mido writes it, byte for byte."""
    if status == smf.META:
        return mido.UnknownMetaMessage(first, body, time=time)
    if status == midi.SYSEX:
        return mido.Message("sysex", data=body, time=time)
    data = (status, first) if 0xC0 <= status < 0xE0 else (status, first, second)
    return mido.Message.from_bytes(data, time)


def _make_track(name: str, events: Iterable[tuple[int, int, mido.Message]]) -> mido.MidiTrack:
    track = mido.MidiTrack()
    if name:
        track.append(mido.MetaMessage("track_name", name=name))
    last = 0
    for tick, _, message in events:
        if tick > LAST_TICK * FILE_TICKS // TICKS_PER_BEAT:
            break
        timed = message.copy()  # without changes nothing is checked again
        timed.time = max(0, tick - last)
        track.append(timed)
        last = max(last, tick)
    return track
