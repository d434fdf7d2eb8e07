"""Some bars of some roles of a rendered file played anew, and nothing else of it touched."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import BAND_START
from daemon.engine.song import bar_at, bar_starts
from daemon.harmony.chart_line import ChartLine, place
from daemon.harmony.chord_reading import read_chord
from daemon.harmony.harmony_source import AUTO, CHART, MELODY
from daemon.offline.introduction import NO_INTRODUCTION, add_introduction
from daemon.offline.note_replacement import EditInPlaceError, FileNote, MidiBytes, TrackSpan
from daemon.offline.render import Progress, RenderedSong, RenderOptions, perform
from daemon.players.player import Player
from music import midifile
from music.analysis.note_density import WINDOW_STEPS
from music.charts.chart import ChartError
from music.charts.midi_texts import chart_markers
from music.encoding.chord_evidence import GivenChord
from music.errors import UserError
from music.files import write_atomically
from music.midifile import Song
from music.note import (
    CHANNELS,
    PITCHED_ROLES,
    ROLES,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Note,
    quantise,
)
from music.note import (
    MELODY as MELODY_TRACK,
)
from music.track_names import fold_name

#: how many steps before a selection the player begins, so that it is in its groove there: as many as it looks back on
_LEAD_STEPS = WINDOW_STEPS
#: a bar that is counted so far is none that anybody means
_MAX_BAR = 1_000_000
_BARS = re.compile(r"(?:bars?\s*=\s*)?(\d+)(?:\s*-\s*(\d+))?", re.IGNORECASE)
#: how sure it is that chords which other roles play are what is to be played on
_SURE = 1.0
#: beats around the one that is played of whose chords the player is told
_PAST_BEATS, _FUTURE_BEATS = 8, 10

Line = tuple[Note, ...]


class SelectionError(UserError):
    """Raised for a selection that is none, or that has nothing in it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a song: bars, counted from 1, and the roles in them. Raises SelectionError for what is none."""

    #: None: all bars
    first_bar: int | None = None
    #: the last one that belongs to it; None: all from the first on
    last_bar: int | None = None
    roles: tuple[str, ...] = ROLES

    def __post_init__(self) -> None:
        if unknown := [role for role in self.roles if role not in ROLES]:
            raise SelectionError(f"no role {unknown[0]!r}; there are {', '.join(ROLES)}")
        if not self.roles:
            raise SelectionError(f"no role is selected; there are {', '.join(ROLES)}")
        first = 1 if self.first_bar is None else self.first_bar
        last = first if self.last_bar is None else self.last_bar
        if not 1 <= first <= last <= _MAX_BAR:
            raise SelectionError(f"no bars {first}-{last}; bars are counted from 1, the first one first")


def parse_selection(bars: str = "", roles: str = "") -> Selection:
    """Return the selection that `bars=5-6` (or `5-6`, `5`) and `bass,drums` stand for; '' stands for all.

    Raises SelectionError.
    """
    chosen = tuple(dict.fromkeys(fold_name(role) for role in roles.split(",") if role.strip())) if roles else ROLES
    if not bars:
        return Selection(roles=chosen)
    found = _BARS.fullmatch(bars.strip())
    if found is None or len(found[1]) > 7 or len(found[2] or "") > 7:
        raise SelectionError(f"{bars[:40]!r}: tells no bars; say bars=5-6, for instance")
    return Selection(int(found[1]), int(found[2] or found[1]), chosen)


@dataclass(frozen=True, slots=True)
class RegeneratedSong:
    """A file in which a selection was played anew."""

    data: bytes
    #: the bars, from 1: the first and the last
    bars: tuple[int, int]
    #: role -> the new notes, in ticks
    parts: Mapping[str, Line]


def regenerate(
    data: bytes,
    selection: Selection,
    player: Player,
    options: RenderOptions,
    progress: Progress | None = None,
    *,
    name: str = "",
    heard: Song | None = None,
    track: str | None = None,
    channel: int | None = None,
) -> RegeneratedSong:
    """Play the selected bars and roles of a rendered MIDI file anew, with the rest of it as it is.

    The player hears the melody and the other roles; where these have chords, and none are given by the options, it
    plays on them. name: what errors call the file; heard: the song whose
    melody is heard instead of the file's own; track, channel: as `choose_melody` takes them. Raises MidiFileError,
    SelectionError, EditInPlaceError, InferenceError.
    """
    song = midifile.parse(data, name)
    begin, end, bars = _find_bars(song, selection)
    try:
        file = MidiBytes(data)
    except EditInPlaceError as error:
        raise song.make_error(str(error)) from None
    if song.source is None or file.track_count != len(song.source.tracks):
        raise song.make_error("what it has is not all readable; a program that reads it can save it anew")
    melody = midifile.choose_melody(heard or song, track, channel)
    tracks = {role: _find_track(song, role, melody.index if heard is None else None) for role in player.info.roles}
    given = {role: _list_notes(song, where) for role, where in tracks.items() if where is not None}
    steps = range(begin // TICKS_PER_STEP - _LEAD_STEPS, -(-end // TICKS_PER_STEP))
    partial = SelectionPlayer(player, given, steps, selection.roles)
    options = _give_chords(options, heard or song)
    if begin < bar_at(song.metres, min(note.start for note in melody.notes)).start:  # the band plays there already
        options = replace(options, settings=replace(options.settings, start_with=BAND_START))
    moved, _, introduction = add_introduction(heard or song, melody, options.settings, options.chart)
    if moved is not (heard or song):  # it has no bars for one, and gets none
        introduction = NO_INTRODUCTION
    played = perform(heard or song, melody, partial, options, progress, None, introduction)
    if begin >= played.end:
        raise SelectionError(f"bar {bars[0]}: the band does not play there, for the melody is over before it")
    end = min(end, played.end)
    fresh = {role: _select(played, role, begin, end) for role in selection.roles if role in player.info.roles}
    for role, notes in fresh.items():
        _replace(file, role, tracks[role], (begin, end), notes, played.unit)
    parts = {role: tuple(note for note in played.parts[role] if begin <= note.start < end) for role in fresh}
    return RegeneratedSong(file.format(), (bars[0], len(bar_starts(song.metres, end)) - 1), parts)


def regenerate_file(
    source: Path,
    target: Path,
    selection: Selection,
    player: Player,
    options: RenderOptions,
    progress: Progress | None = None,
    *,
    heard: Path | None = None,
    track: str | None = None,
    channel: int | None = None,
) -> RegeneratedSong:
    """Play a selection of a rendered file anew and write it to a file, which may be the same.

    heard: the file whose melody is heard instead; the others as `regenerate` takes them. Raises as that does, and
    OSError when the target cannot be written.
    """
    song = midifile.read(source)  # says what is wrong with it
    listened = None if heard is None else midifile.read(heard)
    done = regenerate(
        *(source.read_bytes(), selection, player, options, progress),
        name=song.name,
        heard=listened,
        track=track,
        channel=channel,
    )
    write_atomically(target, done.data)
    return done


class SelectionPlayer(Player):
    """A player that has another one write some roles for a while, and rests elsewhere.

    The other one is told of the other roles as if it had played them just as they are. Of the roles that it writes it
    knows its own notes alone: a player that finds itself playing more than its groove has rests until that is made up.
    """

    def __init__(self, player: Player, given: Mapping[str, Line], steps: range, roles: Collection[str]) -> None:
        """given: role -> the notes there are; steps: for which the other player writes `roles`."""
        self.info = player.info
        self._player, self._roles, self._steps = player, frozenset(roles), steps
        self._kept = {role: tuple(quantise(notes)) for role, notes in given.items() if role not in self._roles}
        self._chords = read_chords(self._kept)

    def plan(self, request: PlanRequest) -> Plan:
        """Return the other player's plan of its roles."""
        rest: dict[str, Line] = dict.fromkeys(self.info.roles, ())
        if request.now not in self._steps:
            last = request.now + self.info.future_steps
            return Plan(request.number, request.now, last, request.heard, rest)
        tick = request.now * TICKS_PER_STEP
        before = {role: tuple(n for n in notes if n.start < tick) for role, notes in self._kept.items()}
        own = {role: notes for role, notes in request.committed.items() if role in self._roles}
        harmony = request.harmony or self._list_chords(tick)
        plan = self._player.plan(replace(request, committed={**before, **own}, harmony=harmony, recalled=None))
        notes = {role: line for role, line in plan.notes.items() if role in self._roles}
        held = {role: line for role, line in plan.held.items() if role in self._roles}
        return replace(plan, notes={**rest, **notes}, held=held)

    def close(self) -> None:
        """Close the player that is asked."""
        self._player.close()

    def _list_chords(self, tick: int) -> tuple[GivenChord, ...]:
        beat = tick // TICKS_PER_BEAT
        around = range((beat - _PAST_BEATS) * TICKS_PER_BEAT, (beat + _FUTURE_BEATS) * TICKS_PER_BEAT)
        return tuple(chord for chord in self._chords if chord.start in around)


def read_chords(parts: Mapping[str, Sequence[Note]]) -> tuple[GivenChord, ...]:
    """Return the chords that pitched roles play, beat by beat; none for a beat of which they leave it open.

    The lowest note is the bass's where there is a bass.
    """
    pitched = {role: notes for role, notes in parts.items() if role in PITCHED_ROLES}
    sounding: dict[int, list[Note]] = {}
    for notes in pitched.values():
        for note in notes:
            for beat in range(note.start // TICKS_PER_BEAT, -(-note.end // TICKS_PER_BEAT)):
                sounding.setdefault(beat, []).append(note)
    found: list[GivenChord] = []
    for beat, notes in sorted(sounding.items()):
        start, end = beat * TICKS_PER_BEAT, (beat + 1) * TICKS_PER_BEAT
        # what passes within the beat is no chord tone
        firm = [n.pitch for n in notes if min(n.end, end) - max(n.start, start) >= TICKS_PER_BEAT // 2] or [
            note.pitch for note in notes
        ]
        chord = read_chord(firm) if len({pitch % 12 for pitch in firm}) >= 2 else None
        if chord is None:
            continue
        if "bass" not in pitched:
            chord = chord._replace(bass=chord.root)
        found.append(place(chord, start, end, _SURE))
    return tuple(found)


def _find_bars(song: Song, selection: Selection) -> tuple[int, int, tuple[int, int]]:
    """Return (first tick, tick behind the last, (first bar, last bar)) of a selection. Raises SelectionError."""
    first = selection.first_bar or 1
    last = selection.last_bar if selection.last_bar is not None or selection.first_bar is not None else _MAX_BAR
    tick, number, begin = 0, 1, None
    while tick < song.end:
        bar = bar_at(song.metres, tick)
        if number == first:
            begin = bar.start
        if begin is not None and (number == last or bar.end >= song.end):
            return begin, bar.end, (first, number)
        tick, number = bar.end, number + 1
    raise SelectionError(f"{song.name or 'the song'}: has no bar {first}; it has {number - 1}")


#: the track of a role, by its number, and the channel (0..15) where the role has not all of it
_Place = tuple[int, int | None]


def _find_track(song: Song, role: str, melody: int | None) -> _Place | None:
    """Return where a role is played: on the track of its name, else on the role's channel; None: nowhere."""
    assert song.source is not None
    for index, track in enumerate(song.source.tracks):
        if fold_name(midifile.read_track_name(track)) == role:
            return index, None
    names = {*ROLES, MELODY_TRACK}
    for part in song.parts:
        if part.channel == CHANNELS[role] and fold_name(part.name) not in names:
            return (part.index, part.channel) if part.index != melody or len(song.source.tracks) == 1 else None
    return None


def _list_notes(song: Song, where: _Place) -> Line:
    index, channel = where
    return tuple(
        note
        for part in song.parts
        if part.index == index and channel in (None, part.channel)
        for note in part.notes
        if note.start >= 0
    )


def _give_chords(options: RenderOptions, song: Song) -> RenderOptions:
    """Return options that give the player the chords which the song was rendered with, where no others are given."""
    if options.settings.harmony not in (MELODY, AUTO) or options.chart is not None or not song.markers:
        return options
    try:
        chart = ChartLine(chart_markers(song))
    except ChartError:
        return options
    return replace(options, settings=replace(options.settings, harmony=CHART), chart=chart)


def _select(played: RenderedSong, role: str, begin: int, end: int) -> list[Note]:
    """Return the notes of a role that were played in [begin, end), in the unit of what sounded.

    All of them begin there, but for humanising, which may let the first ones come a little earlier.
    """
    scale = played.unit // TICKS_PER_BEAT
    notes = []
    for note in played.sounded.get(role, ()):
        start = max(note.start, begin * scale)
        if start < end * scale and note.end > start:
            notes.append(replace(note, start=start, length=note.end - start))
    return notes


def _replace(
    file: MidiBytes, role: str, where: _Place | None, ticks: tuple[int, int], notes: Iterable[Note], unit: int
) -> None:
    """Replace the notes of a role in [begin, end) ticks by others, in 1/unit of a beat."""
    index, channel = (file.add_track(role), None) if where is None else where
    begin, end = (_scale(tick, TICKS_PER_BEAT, file.division) for tick in ticks)
    fresh = [
        FileNote(
            max(begin, _scale(n.start, unit, file.division)), _scale(n.end, unit, file.division), n.pitch, n.velocity
        )
        for n in notes
    ]
    file.replace_notes(index, TrackSpan(begin, end, channel), fresh, CHANNELS[role])


def _scale(tick: int, unit: int, division: int) -> int:
    """Return a tick of 1/unit beat as the nearest one of a file's."""
    return (2 * tick * division + unit) // (2 * unit)
