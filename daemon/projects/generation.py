"""Results: what the techniques make of an item, by the engine that plays live, on virtual time.

Players stay loaded from one result to the next. All of it runs in a process of its own (`results_child`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from daemon.core.settings import Settings
from daemon.core.techniques import find
from daemon.engine.song import bar_at
from daemon.harmony.chart_line import ChartLine, open_chart
from daemon.harmony.chord_naming import list_changes
from daemon.offline.extend import Extension, extend
from daemon.offline.file_editing import EditOptions, edit_song
from daemon.offline.regenerate import Selection, read_chords, regenerate
from daemon.offline.render import RenderOptions, perform
from daemon.players.arcnn import EditScorer
from daemon.players.ensemble import Ensemble, PlayerFactory
from daemon.players.graph import Graph, InferenceError
from daemon.players.load import describe_player, load_feel, load_player
from daemon.players.player import ContinuingPlayer, Player, warm_up
from daemon.projects.exporting import make_midi
from daemon.projects.item import RESULT, Item, ItemError, Line, ListedEdit, count_bars, find_music_end
from daemon.projects.techniques_on_offer import Wish, describe_techniques, name_result
from music import midifile
from music.encoding.chord_evidence import GivenChord
from music.errors import UserError
from music.midifile import Part, Song
from music.note import (
    CHANNELS,
    EDITS,
    HAND,
    HAND_SOUND_CHANNEL,
    MELODY,
    PITCH_CLASSES,
    ROLES,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
)
from music.track_names import fold_name

Progress = Callable[[float], None]
#: the share of the time in which what is there is accompanied, before a song goes on
_ACCOMPANIED_SHARE = 0.5
US_PER_MINUTE = 60_000_000


class LoadedPlayers:
    """The players of all techniques, each loaded when it is first needed."""

    def __init__(self) -> None:
        self._players: dict[str, Player] = {}
        self._editors: dict[str, EditScorer] = {}
        self._feel = load_feel()

    def load(self, technique: str) -> None:
        """Load what a technique needs, so that its first result is there at once."""
        if find(technique).edits_notes:
            self.get_editor(technique)
        else:
            self.get_player(technique)

    def get_player(self, technique: str) -> Player:
        """Return the player of a technique, ready to play."""
        if technique not in self._players:
            player = load_player(technique)
            warm_up(player)
            self._players[technique] = player
        return self._players[technique]

    def get_editor(self, technique: str) -> EditScorer:
        """Return the scorer of a technique that edits notes."""
        if technique not in self._editors:
            self._editors[technique] = EditScorer(Graph(None, technique))
        return self._editors[technique]

    def make_band(self, technique: str) -> Ensemble:
        """Return the players that roles may be given to, with the one of a technique for the rest."""
        info = describe_techniques()
        factories = {
            name: PlayerFactory(describe_player(name, info.get_styles(name)), partial(self.get_player, name))
            for name in info.techniques
            if name not in info.note_editors
        }
        return Ensemble({technique: self.get_player(technique)}, factories, self._feel)


def make_result(item: Item, wish: Wish, players: LoadedPlayers, progress: Progress) -> Item:
    """Return the result that a wish makes of an item; its id is the item's still. Raises UserError, InferenceError."""
    settings = wish.check()
    technique = find(wish.technique)
    if technique.edits_notes:
        made = _edit(item, wish, settings, players, progress)
    elif wish.extension:
        made = _extend(item, wish, settings, players, progress)
    else:
        made = _accompany(item, settings, players, progress)
    return replace(
        made,
        kind=RESULT,
        name=name_result(wish.technique, settings.style, wish.seed, wish.extension),
        parent=item.id,
        technique=wish.technique,
        style=settings.style,
        seed=wish.seed,
        controls=dict(wish.controls),
    )


def _accompany(item: Item, settings: Settings, players: LoadedPlayers, progress: Progress) -> Item:
    song = make_song(item, (MELODY, HAND))
    settings, chart = _read_chart(item, settings)
    hand = HAND if item.get(HAND) else None
    options = RenderOptions(settings, offline=True, chart=chart, chord_track=hand)
    done = perform(song, song.parts[0], players.make_band(settings.technique), options, progress)
    if done.failure:
        raise InferenceError(done.failure)
    notes = {role: item.get(role) for role in (MELODY, HAND)}
    notes |= {role: _tidy(done.parts[role]) for role in ROLES if role in done.parts}
    bars = max(item.bars, count_bars(item.metres, find_music_end(notes.values())))
    made = replace(item, notes=notes, bars=bars, edits=(), edits_shown=0)
    return replace(made, chords=tuple(done.harmony) or list_chords(made))


def _read_chart(item: Item, settings: Settings) -> tuple[Settings, ChartLine | None]:
    """Return settings whose chords come from wherever there are some, and the chart. Raises ChartError."""
    chart = open_chart(settings.chart).line if settings.chart else None
    if settings.harmony == "melody" and (chart is not None or item.get(HAND)):
        settings = replace(settings, harmony="auto")
    return settings, chart


def _extend(item: Item, wish: Wish, settings: Settings, players: LoadedPlayers, progress: Progress) -> Item:
    """Return an item that goes on; what there is of it is accompanied first, where nothing accompanies it yet."""
    has_band = any(item.get(role) for role in ROLES)
    share = 0.0 if has_band else _ACCOMPANIED_SHARE
    if not has_band:
        item = _accompany(item, settings, players, lambda done: progress(done * share))
    player = players.get_player(wish.technique)
    assert isinstance(player, ContinuingPlayer)
    song = make_song(item, (MELODY, *ROLES))
    wanted = Extension(wish.extension, settings)
    added = extend(song, song.parts[0].notes, player, wanted, lambda done: progress(share + done * (1 - share)))
    notes = dict(item.notes) | {role: (*item.get(role), *_tidy(line)) for role, line in added.items()}
    bars = max(count_bars(item.metres, find_music_end([item.get(MELODY), *(item.get(r) for r in ROLES)])), 1)
    made = replace(item, notes=notes, bars=bars + wish.extension, edits=(), edits_shown=0)
    return replace(made, chords=list_chords(made))


def _edit(item: Item, wish: Wish, settings: Settings, players: LoadedPlayers, progress: Progress) -> Item:
    song = make_song(item, (MELODY,))
    options = EditOptions(
        settings.style, settings.limits, wish.iterations, settings.creative_risk, seed=abs(settings.seed)
    )
    done = edit_song(song, players.get_editor(wish.technique), options, progress=progress)
    edits = tuple(
        ListedEdit(
            each.action,
            each.step * TICKS_PER_STEP,
            each.pitch,
            each.length * TICKS_PER_STEP,
            each.velocity,
            round(each.log_probability, 4),
            each.iteration,
        )
        for each in done.edits
    )
    notes = {**item.notes, MELODY: done.given, EDITS: done.notes}
    bars = max(item.bars, count_bars(item.metres, find_music_end(notes.values())))
    return replace(item, notes=notes, bars=bars, edits=edits, edits_shown=len(edits))


def regenerate_selection(
    item: Item, bars: tuple[int, int], roles: Sequence[str], wish: Wish, players: LoadedPlayers, progress: Progress
) -> Item:
    """Return an item in which some bars of some roles are played anew, and nothing else is touched.

    Raises UserError, InferenceError.
    """
    settings = wish.check()
    if find(wish.technique).edits_notes:
        raise UserError("bars are played anew by the GAN or the transformer; choose one as the technique")
    settings, chart = _read_chart(item, settings)
    options = RenderOptions(settings, offline=True, chart=chart)
    selection = Selection(*bars, tuple(roles))
    done = regenerate(make_midi(item), selection, players.make_band(wish.technique), options, progress, name=item.name)
    song = midifile.parse(done.data, item.name)
    fresh = {
        fold_name(part.name): part.notes
        for part in song.parts
        if part.notes and fold_name(part.name) in selection.roles
    }
    notes = {**item.notes, **{role: tuple(fresh.get(role, ())) for role in selection.roles}}
    bar_count = max(item.bars, count_bars(item.metres, find_music_end(notes.values())))
    return replace(item, notes=notes, bars=bar_count)


def make_song(item: Item, roles: Sequence[str]) -> Song:
    """Return an item's notes of some roles as a song, a part for each that has notes; the first is the melody.

    Raises MidiFileError for an item without a melody, ItemError for one whose melody lasts too long for its notes.
    """
    channels = {**CHANNELS, HAND: HAND_SOUND_CHANNEL}
    parts = tuple(
        Part(role, item.get(role), channels[role], number) for number, role in enumerate(roles) if item.get(role)
    )
    song = Song(parts, ((0, round(US_PER_MINUTE / item.bpm)),), item.metres, name=item.name)
    if not item.get(MELODY):
        raise song.make_error("there is no melody in it; play one, or choose another input")
    if excess := midifile.describe_excess(item.get(MELODY)):
        raise ItemError(f"{item.name}: the melody {excess}; trim it to the bars that you want")
    return song


def list_chords(item: Item) -> tuple[tuple[int, str], ...]:
    """Return (tick, label) of the chords that the roles of an item play, one at most for each half of a bar."""
    by_half: dict[tuple[int, int], list[GivenChord]] = {}
    for chord in read_chords({role: item.get(role) for role in ROLES}):
        by_half.setdefault(_find_half(item, chord.start), []).append(chord)
    halves = [
        max(found, key=lambda each: _count_alike(each, found))._replace(start=start, end=end)
        for (start, end), found in sorted(by_half.items())
    ]
    return tuple((tick, label) for tick, label in list_changes(halves, item.ticks, gaps=False) if label)


def _find_half(item: Item, tick: int) -> tuple[int, int]:
    """Return the half of a bar that a tick lies in, or the whole bar where it has no halves of whole beats."""
    bar = bar_at(item.metres, tick)
    half = (bar.end - bar.start) // 2
    if half % TICKS_PER_BEAT:
        return bar.start, bar.end
    start = bar.start + (tick - bar.start) // half * half
    return start, start + half


def _count_alike(chord: GivenChord, others: Sequence[GivenChord]) -> float:
    """Return by how much a chord stands for others: by how many are the same, and whether it has a third."""
    has_third = any(chord.tones >> (chord.root + third) % PITCH_CLASSES & 1 for third in (3, 4))
    return sum(each[2:5] == chord[2:5] for each in others) + 0.5 * has_third


def _tidy(line: Line) -> Line:
    """Return notes that begin at bar 1 or later; one that strayed before it begins there."""
    return tuple(sorted(note if note.start >= 0 else replace(note, start=0) for note in line if note.end > 0))
