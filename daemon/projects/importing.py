"""Music that comes into a project from elsewhere: MIDI files, charts, what was played on the page, examples."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.engine.song import Metres, bar_at
from daemon.projects.item import (
    INPUT,
    ITEM_ROLES,
    MAX_BARS,
    MAX_BPM,
    MAX_NAME_LENGTH,
    MAX_NOTES,
    MIN_BPM,
    Item,
    ItemError,
    Line,
    count_bars,
    expect,
    find_end,
    find_music_end,
    parse_bpm,
    parse_integer,
    parse_metres,
    parse_name,
    parse_notes,
)
from music import midifile
from music.charts.reading import parse_charts
from music.errors import UserError
from music.midi_text import make_printable
from music.midifile import MidiFileError, Song
from music.note import MELODY, TICKS_PER_BEAT, Note, remove_overlaps
from music.track_names import fold_name
from music.tunes import TUNES

#: the largest file that is taken
MAX_UPLOAD_BYTES = 8 << 20
#: the id of an item that has not got one yet
NO_ID = "i0"
_MIDI_STARTS = (b"MThd", b"RIFF")
#: the most tracks that are named among those left out
_MAX_NAMED = 6
US_PER_MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class ImportedMusic:
    """A MIDI file as an item, and a sentence on what of it was left out; '' where nothing was."""

    item: Item
    told: str


@dataclass(frozen=True, slots=True)
class ImportedChart:
    """A chart that can be played from."""

    title: str
    bars: int  #: as they are played, with all repeats
    file_name: str
    data: bytes  #: of the file


def import_file(data: bytes, file_name: str) -> ImportedMusic | ImportedChart:
    """Return what a file holds. Raises UserError for one that is empty or too large, or holds neither."""
    check_upload(data)
    if data[:4] not in _MIDI_STARTS:
        return read_chart(data, file_name)
    try:
        return import_midi(data, file_name)
    except UserError:
        with contextlib.suppress(UserError):  # a MIDI file may hold nothing but the names of chords
            return read_chart(data, file_name)
        raise


def import_midi(data: bytes, file_name: str) -> ImportedMusic:
    """Return the music of a MIDI file as an input, whose id is still to be chosen. Raises MidiFileError, ItemError."""
    name = make_printable(file_name) or "the file"
    song = midifile.parse(data, name)
    melody = midifile.choose_melody(song)
    item = make_item(song, NO_ID, INPUT, _make_name(file_name))
    left = [part for part in song.parts if part is not melody and fold_name(part.name) not in ITEM_ROLES]
    others = sorted({part.name or f"track {part.index}" for part in left if part.notes})
    told = [f"mended while reading: {song.mended}"] if song.mended else []
    if others:
        more = f" and {len(others) - _MAX_NAMED} more" if len(others) > _MAX_NAMED else ""
        names = make_printable(", ".join(others[:_MAX_NAMED]))
        told.append(f"the melody is {melody.name or 'the first track'}; left out: {names}{more}")
    if len(song.tempos) > 1:
        told.append(f"the tempo is the first of {len(song.tempos)}")
    return ImportedMusic(item, "; ".join(told))


def make_item(song: Song, key: str, kind: str, name: str, *, needs_melody: bool = True) -> Item:
    """Return a song as an item: its melody, and what is on tracks called like roles. Raises MidiFileError, ItemError.

    needs_melody: whether a song without a melody is refused.
    """
    notes: dict[str, list[Note]] = {}
    try:
        melody = midifile.choose_melody(song)
        notes[MELODY] = list(melody.notes)
    except MidiFileError:
        if needs_melody:
            raise
        melody = None
    for part in song.parts:
        role = fold_name(part.name)
        if role in ITEM_ROLES and role != MELODY and part is not melody:
            notes.setdefault(role, []).extend(part.notes)
    lines: dict[str, Line] = {role: tuple(_move_to_bar_1(line)) for role, line in notes.items()}
    whole = [note for line in lines.values() for note in line]
    if not whole:
        raise song.make_error("there are no notes in it")
    if excess := midifile.describe_excess(sorted(whole)):
        raise song.make_error(f"the music {excess}")
    if len(whole) > MAX_NOTES:
        raise song.make_error(f"it has {len(whole)} notes, and an item at most {MAX_NOTES}; take fewer bars of it")
    end = find_music_end(lines.values())
    metres = parse_metres([[tick, str(metre)] for tick, metre in song.metres if tick < end or tick == 0][:4000])
    bars = count_bars(metres, end)
    if bars > MAX_BARS:
        raise song.make_error(f"it has {bars} bars, and an item at most {MAX_BARS}; take fewer of them")
    chords = tuple((tick, text) for tick, text in song.markers if 0 <= tick < end and len(text) <= MAX_NAME_LENGTH)
    bpm = parse_bpm(min(MAX_BPM, max(MIN_BPM, US_PER_MINUTE / max(1, song.tempos[0][1]))))
    return Item(key, kind, parse_name(name), bpm, metres, bars, lines, chords=chords[:MAX_NOTES])


def _move_to_bar_1(notes: list[Note]) -> list[Note]:
    """Return the notes, sorted and without overlaps, but for what ends before bar 1."""
    heard = (note for note in notes if note.end > 0)
    return remove_overlaps(note if note.start >= 0 else Note(0, note.pitch, note.end, note.velocity) for note in heard)


def read_chart(data: bytes, file_name: str) -> ImportedChart:
    """Return what is told of a chart. Raises ChartError for what is none that can be played from."""
    chart = parse_charts(data, Path(make_printable(file_name) or "the file"))[0]
    chart.check_playable()
    title = chart.title or Path(file_name).stem
    bars = sum(1 for _ in chart.iterate_played())
    return ImportedChart(make_printable(title)[:MAX_NAME_LENGTH], bars, file_name, data)


def parse_recording(data: Mapping[str, object]) -> Item:
    """Return what was recorded on the page as an input, whose id is still to be chosen. Raises ItemError."""
    notes = parse_notes(data.get("notes"))
    if not notes.get(MELODY):
        raise ItemError("nothing was recorded: play some notes between Record and Stop")
    metres = parse_metres(data.get("metres", [[0, "4/4"]]))
    if find_music_end(notes.values()) > find_end(metres, MAX_BARS):
        raise ItemError(f"a recording has at most {MAX_BARS} bars")
    lines, needed = _end_at_bar_line({role: tuple(remove_overlaps(line)) for role, line in notes.items()}, metres)
    bars = parse_integer(data.get("bars", needed), "bars", 1, MAX_BARS)
    if bars <= count_bars(metres, find_music_end(notes.values())):
        bars = needed
    name = parse_name(data.get("name") or "Recording")
    return Item(NO_ID, INPUT, name, parse_bpm(data.get("bpm", 120)), metres, bars, lines)


def decode_file_name(header: str) -> str:
    """Return the name of a file that the page sends percent-encoded, without folders. Raises ItemError."""
    from urllib.parse import unquote

    name = unquote(str(expect(header, str, "X-File-Name")), errors="replace")
    return make_printable(name.replace("\\", "/").rpartition("/")[2])[:200] or "file"


def check_upload(data: bytes) -> None:
    """Raise UserError for a file that is empty, or too large."""
    if not data:
        raise UserError("the file is empty; choose another")
    if len(data) > MAX_UPLOAD_BYTES:
        raise UserError(f"the file is larger than {MAX_UPLOAD_BYTES >> 20} MiB; choose another")


def _make_name(file_name: str) -> str:
    return make_printable(Path(file_name).stem).replace("_", " ").strip()[:MAX_NAME_LENGTH] or "Import"


def _end_at_bar_line(lines: dict[str, Line], metres: Metres) -> tuple[dict[str, Line], int]:
    """Return what was recorded, and its bars: keys that were held a moment too long make no further bar."""
    end = find_music_end(lines.values())
    line = bar_at(metres, end - 1).start
    begins = max(note.start for notes in lines.values() for note in notes)
    if begins >= line or end - line >= TICKS_PER_BEAT:
        return lines, count_bars(metres, end)
    cut = {
        role: tuple(replace(note, length=min(note.end, line) - note.start) for note in notes)
        for role, notes in lines.items()
    }
    return cut, count_bars(metres, line)


def make_example(name: str) -> Item:
    """Return an example as an input, whose id is still to be chosen. Raises ItemError for a name of none."""
    tune = TUNES.get(name)
    if tune is None:
        raise ItemError(f"there is no example {make_printable(name[:40])!r}; there are {', '.join(TUNES)}")
    title = tune.title.partition(" (")[0]
    return Item(NO_ID, INPUT, title, float(tune.bpm), ((0, tune.metre),), tune.bars, {MELODY: tune.notes})
