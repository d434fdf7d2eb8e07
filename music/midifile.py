"""Standard MIDI Files <-> notes by part.

Reading keeps what a performance holds (any resolution, any tempo map) rounded to ticks of 1/24 beat; writing makes a
type-1 file at 480 ticks a beat whose chosen source tracks are copied message by message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import mido

from music import midi
from music.errors import UserError
from music.files import open_atomically
from music.note import CHANNELS, TICKS_PER_BEAT, Metre, Note

FILE_TICKS = 480
DEFAULT_TEMPO = 500_000
#: mido's names of the messages that begin and end notes
_STATUS = {"note_on": midi.NOTE_ON, "note_off": midi.NOTE_OFF}


class MidiFileError(UserError):
    """A MIDI file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Part:
    """One track: its name ('' where it has none), its notes in ticks, its MIDI channel, its index in the file and the
    first General MIDI program (0..127) chosen on it."""

    name: str
    notes: tuple[Note, ...]
    channel: int
    index: int
    program: int = 0


@dataclass(frozen=True, slots=True)
class Song:
    """What a file holds. tempos: (tick, microseconds a beat), the first at tick 0; metres: (tick, Metre), likewise;
    markers: (tick, text) of the track named `harmony`; texts: the text events of the first track."""

    parts: tuple[Part, ...]
    tempos: tuple[tuple[int, int], ...] = ((0, DEFAULT_TEMPO),)
    metres: tuple[tuple[int, Metre], ...] = ((0, Metre()),)
    markers: tuple[tuple[int, str], ...] = ()
    texts: tuple[str, ...] = ()
    source: mido.MidiFile | None = field(default=None, compare=False, repr=False)

    def part(self, name: str) -> Part | None:
        """The first part of that name with a note in it."""
        return next((p for p in self.parts if p.name == name and p.notes), None)

    @property
    def end(self) -> int:
        """The tick at which the last note ends; 0 for a file without notes."""
        return max((n.end for p in self.parts for n in p.notes), default=0)


def read(path: str | Path) -> Song:
    """The song in a Standard MIDI File. Raises MidiFileError when it cannot be read; a song may hold no note."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise MidiFileError(f"{path}: no such file") from None
    except OSError as error:
        raise MidiFileError(f"{path}: not a readable MIDI file ({error})") from None
    return parse(content, str(path))


def parse(content: bytes, name: str) -> Song:
    """Return the song in the bytes of a Standard MIDI File. Raises MidiFileError, which calls the file by `name`."""
    try:
        source = mido.MidiFile(file=BytesIO(content))
        if source.ticks_per_beat <= 0:
            raise MidiFileError(f"{name}: SMPTE time division is not supported; save the file with ticks per beat")
        return from_mido(source)
    except MidiFileError:
        raise
    except Exception as error:  # noqa: BLE001 - mido raises EOFError, ValueError, KeySignatureError, IndexError, ...
        raise MidiFileError(f"{name}: not a readable MIDI file ({str(error) or type(error).__name__})") from None


def from_mido(source: mido.MidiFile) -> Song:
    """The song in a parsed file; channels of a type-0 track become parts of their own."""
    parts: list[Part] = []
    tempos: dict[int, int] = {0: DEFAULT_TEMPO}
    metres: dict[int, Metre] = {0: Metre()}
    markers: list[tuple[int, str]] = []
    texts: list[str] = []
    for index, track in enumerate(source.tracks):
        name = track.name.strip()
        tick = 0
        keys: list[tuple[int, tuple[int, int, int]]] = []  # note-ons and note-offs
        notes: dict[int, list[Note]] = {}
        programs: dict[int, int] = {}
        for message in track:
            tick += message.time
            at = round_to_tick(tick, source.ticks_per_beat)
            if message.type == "set_tempo" and message.tempo > 0:
                tempos[at] = message.tempo
            elif message.type == "time_signature":
                try:
                    metres[at] = Metre(message.numerator, message.denominator)
                except ValueError:
                    raise MidiFileError(f"metre {message.numerator}/{message.denominator} is not supported") from None
            elif message.type == "marker" and name == "harmony":
                markers.append((at, message.text))
            elif message.type == "text" and index == 0:
                texts.append(message.text)
            elif message.type == "program_change":
                programs.setdefault(message.channel, message.program)
            elif message.type in _STATUS:
                keys.append((tick, (_STATUS[message.type] | message.channel, message.note, message.velocity)))
        for note in midi.pair_notes(keys, tick, overlap=True):  # what never ends in the file ends with the track
            notes.setdefault(note.channel, []).append(_make_note(note, source.ticks_per_beat))
        for channel in sorted(notes):
            parts.append(Part(name, tuple(sorted(notes[channel])), channel, index, programs.get(channel, 0)))
    return Song(
        tuple(parts),
        tuple(sorted(tempos.items())),
        tuple(sorted(metres.items())),
        tuple(markers),
        tuple(texts),
        source,
    )


def round_to_tick(tick: int, ticks_per_beat: int) -> int:
    """A file's tick as the nearest tick of 1/24 beat (half up)."""
    return (2 * tick * TICKS_PER_BEAT + ticks_per_beat) // (2 * ticks_per_beat)


def _make_note(note: midi.TimedNote, ticks_per_beat: int) -> Note:
    start = round_to_tick(note.start, ticks_per_beat)
    return Note(start, note.pitch, max(1, round_to_tick(note.end, ticks_per_beat) - start), note.velocity)


def choose_melody(song: Song, track: str | None = None) -> Part:
    """The part that plays the melody: the track of that name or number, else `melody`, else the first pitched one.

    Raises MidiFileError when there is none.
    """
    if track is not None:
        chosen = song.part(track)
        if chosen is None and track.isdigit():
            chosen = next((p for p in song.parts if p.index == int(track) and p.notes), None)
        if chosen is None:
            names = ", ".join(sorted({p.name or str(p.index) for p in song.parts if p.notes})) or "none"
            raise MidiFileError(f"no track {track!r} with notes in it; the file has: {names}")
        return chosen
    named = song.part("melody")
    if named is not None:
        return named
    pitched = [p for p in song.parts if p.channel != CHANNELS["drums"] and p.notes]
    if not pitched:
        raise MidiFileError("no melody: the file has no pitched notes")
    return pitched[0]


def write(
    path: str | Path,
    parts: Mapping[str, Iterable[Note]],
    *,
    tempos: Iterable[tuple[int, int]] = ((0, DEFAULT_TEMPO),),
    metres: Iterable[tuple[int, Metre]] = ((0, Metre()),),
    markers: Iterable[tuple[int, str]] = (),
    copied: Mapping[str, Iterable[mido.Message]] | None = None,
) -> None:
    """Write a type-1 file at 480 ticks a beat: tempo track, `copied` tracks (messages timed in 480ths), then `parts`.

    Nothing half-written is ever seen. Raises OSError when it cannot be written.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=FILE_TICKS)
    scale = FILE_TICKS // TICKS_PER_BEAT
    first: list[tuple[int, int, mido.MetaMessage]] = []
    first += [(t * scale, 0, mido.MetaMessage("set_tempo", tempo=tempo)) for t, tempo in tempos]
    first += [
        (t * scale, 1, mido.MetaMessage("time_signature", numerator=m.numerator, denominator=m.denominator))
        for t, m in metres
    ]
    first += [(t * scale, 2, mido.MetaMessage("marker", text=text)) for t, text in markers]
    file.tracks.append(_make_track("", sorted(first, key=lambda e: e[:2])))
    for name, messages in (copied or {}).items():
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        track.extend(messages)
        file.tracks.append(track)
    for name, notes in parts.items():
        channel = CHANNELS.get(name, 0)
        events: list[tuple[int, int, mido.Message]] = []
        for n in notes:
            on = mido.Message("note_on", channel=channel, note=n.pitch, velocity=n.velocity)
            off = mido.Message("note_off", channel=channel, note=n.pitch, velocity=0)
            events += [(n.start * scale, 1, on), (n.end * scale, 0, off)]
        file.tracks.append(_make_track(name, sorted(events, key=lambda e: (e[0], e[1], e[2].note))))
    with open_atomically(Path(path)) as opened:
        file.save(file=opened)


def copy_track(song: Song, index: int, channel: int | None = None) -> list[mido.Message]:
    """The messages of a source track (of one channel, where given), timed in 480ths of a beat, without its name.

    Raises MidiFileError for a song that was not read from a file.
    """
    if song.source is None:
        raise MidiFileError("this song was not read from a file")
    messages = []
    tick = last = 0
    for message in song.source.tracks[index]:
        tick += message.time
        if message.type in ("track_name", "end_of_track", "set_tempo", "time_signature"):
            continue
        if channel is not None and not message.is_meta and getattr(message, "channel", channel) != channel:
            continue
        at = (2 * tick * FILE_TICKS + song.source.ticks_per_beat) // (2 * song.source.ticks_per_beat)
        messages.append(message.copy(time=at - last))
        last = at
    return messages


def _make_track(name: str, events: Iterable[tuple[int, int, mido.Message]]) -> mido.MidiTrack:
    track = mido.MidiTrack()
    if name:
        track.append(mido.MetaMessage("track_name", name=name))
    last = 0
    for tick, _, message in events:
        track.append(message.copy(time=max(0, tick - last)))
        last = max(last, tick)
    return track
