"""Rendering: the band's accompaniment to a song's melody, by the conductor that plays live, on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.control.automation import AutomationPoint
from daemon.core.counters import Counters
from daemon.core.events import ControlChange, Event, MidiIn, Quit
from daemon.core.observers import ObservedWorld
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS, NS_PER_S, TempoMap, us_per_beat
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo, bar_at
from daemon.harmony.chart_line import ChartLine, OpenedChart, open_chart
from daemon.harmony.harmony_source import HarmonySource
from daemon.input.melody import MelodyTracker
from daemon.input.transposition import Transposition
from daemon.offline.given_chords import HarmonyLog, choose_channels, copy_hand, find_hand
from daemon.offline.introduction import NO_INTRODUCTION, Introduction, add_introduction
from daemon.offline.kept_tracks import copy_other_tracks, list_song_metas, replace_programs
from daemon.offline.played_sound import PlayedSound
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, SentMessage, VirtualWorld
from daemon.output.programs import SOUND_CHANNELS
from daemon.players.graph import InferenceError
from daemon.players.player import Player
from daemon.sound.stems import Loudness
from daemon.sound.synth import Synth
from music import midi, midifile
from music.midifile import Part
from music.note import CHANNELS, HAND, MELODY, TICKS_PER_BEAT, TICKS_PER_STEP, Metre, Note, quantise, remove_overlaps

if TYPE_CHECKING:
    import mido

#: called with the share done, 0..1
Progress = Callable[[float], None]
#: how far the accompaniment may begin before the first note, and end after the last, where a bar is longer than that
MAX_BAR_TICKS = 32 * TICKS_PER_BEAT
#: how often a player that sees the whole melody is asked: nothing that it does not know comes to pass within a beat,
#: and the figures of `houseband evaluate` are those of a plan a step; with two beats they are not (models/LOG.md)
OFFLINE_REPLAN = "beat"
#: how long a final chord is held at least
MIN_FINAL_TICKS = 2 * TICKS_PER_BEAT
#: the longest sound that is written
MAX_WAV_NS = 3 * 3600 * NS_PER_S

#: controls that change where the bars lie
METRE_KEYS = frozenset({"metre"})

_Message = tuple[int, int, bytes]  # tick, order at that tick, data


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Options of a rendering."""

    #: the controls at the start
    settings: Settings = Settings()
    #: beats per minute instead of the song's tempo map
    bpm: float | None = None
    #: the time that a plan takes on the virtual clock
    latency_ns: int = 10 * NS_PER_MS
    #: the players see the whole melody
    offline: bool = False
    #: how often to ask for a plan, one of `daemon.core.plan.REPLAN_CHOICES`; None: as often as it pays
    replan: str | None = None
    #: controls turned on the way
    automation: tuple[AutomationPoint, ...] = ()
    #: the song's chords, where there is a chart
    chart: ChartLine | None = None
    #: the last note of the melody is that of a final chord
    ending: bool = False
    #: name or number of the track that is heard as the leading hand; None: `chord_channel` and `split` tell it
    chord_track: str | None = None

    @property
    def humanises(self) -> bool:
        """True if notes stray from their ticks, as if played by hand, at least for a while."""
        return bool(self.settings.humanise) or any(turn.key == "humanise" for turn in self.automation)


@dataclass(frozen=True, slots=True)
class RenderedSong:
    """An accompaniment, as it sounded."""

    #: role -> notes, in ticks
    parts: dict[str, tuple[Note, ...]]
    #: as in `music.midifile.Song`
    tempos: tuple[tuple[int, int], ...]
    metres: tuple[tuple[int, Metre], ...]
    #: the tick at which the bar of the first melody note begins
    begin: int
    #: the tick at which the bar of the last one ends
    end: int
    counters: Counters
    #: where inferences failed, how many and why; the plans before them went on
    failure: str = ""
    #: role -> notes as they sounded, in 480ths of a beat, where they stray from their ticks
    strayed: dict[str, tuple[Note, ...]] | None = None
    #: the parts that were heard as the leading hand
    hand: tuple[Part, ...] = ()
    #: role -> (tick, message) of what chooses its instrument
    programs: Mapping[str, Sequence[tuple[int, bytes]]] = field(default_factory=dict)
    #: role -> (ns from tick 0, message) of what the player played, where it was asked for
    played: Mapping[str, Sequence[tuple[int, bytes]]] = field(default_factory=dict)
    #: role -> how loud it is, and the mix as `mix`, where sound was written
    loudness: Mapping[str, Loudness] = field(default_factory=dict)
    #: (tick, label) of every chord that the band was told of, where there were any, as `HarmonyLog` has them
    harmony: tuple[tuple[int, str], ...] = ()

    @property
    def bars(self) -> int:
        """The number of bars that the band plays."""
        count, tick = 0, self.begin
        while tick < self.end:
            count, tick = count + 1, bar_at(self.metres, tick).end
        return count

    @property
    def seconds(self) -> float:
        """The time from the beginning of its first bar to the end of the last."""
        tempo = TempoMap.from_marks(self.tempos)
        return (tempo.ns_at(self.end) - tempo.ns_at(self.begin)) / NS_PER_S

    @property
    def unit(self) -> int:
        """The parts to the beat that what sounded is told in."""
        return TICKS_PER_BEAT if self.strayed is None else midifile.FILE_TICKS

    @property
    def sounded(self) -> dict[str, tuple[Note, ...]]:
        """Role -> notes as they sounded, in `unit`."""
        return self.parts if self.strayed is None else self.strayed


def perform(
    song: midifile.Song,
    melody: Part,
    player: Player,
    options: RenderOptions = RenderOptions(),
    progress: Progress | None = None,
    sound: PlayedSound | None = None,
    introduction: Introduction = NO_INTRODUCTION,
) -> RenderedSong:
    """Play the accompaniment to a part of a song that has notes, in whole bars from the first note to the last.

    introduction: what the band plays before. Raises MidiFileError for a melody that lasts too long, InferenceError
    where the player never answers.
    """
    marks = song.tempos if options.bpm is None else ((0, us_per_beat(options.bpm)),)
    midifile.check_length(song, melody.notes)
    begin, end, early, final = _find_span(song, melody, options, introduction)
    hand = find_hand(song, melody, options.settings, options.chord_track)
    settings, channel = choose_channels(options.settings, bool(hand))
    played = _make_messages(song, melody, channel)
    messages = played + [each for part in hand for each in _make_messages(song, part, settings.chord_channel - 1)]
    messages.sort(key=_order_of)
    tempo = TempoMap.from_marks(marks, early)
    known = SongInfo(tempo, metres=song.metres, bar_1=introduction.bar_1, key=introduction.key, ending=final, over=end)
    if introduction.begin is not None:
        known = replace(known, begin=begin // TICKS_PER_STEP - 1, enters=introduction.enters)
    if options.offline:
        known = replace(known, melody=_extract_top_voice(played, settings), begin=begin // TICKS_PER_STEP - 1)
    world = VirtualWorld()
    world.put_at_ticks(tempo, _list_events(messages, options.automation, early, end))
    output = RecordingOutput(world)
    inline = InlineComposer(world, player, options.latency_ns)
    log = HarmonyLog(inline if progress is None else _ProgressComposer(inline, progress, begin, end))
    replan = options.replan or (OFFLINE_REPLAN if options.offline else "step")
    heard = world if sound is None else ObservedWorld(world, [sound])
    conductor = Conductor(heard, output, log, player.info, known, settings, replan=replan, chart=options.chart)
    if sound is not None:
        sound.on_start(conductor)
    conductor.run()
    failure = _describe_failure(conductor.counters, inline.first_failure)
    if failure and not conductor.counters.answered:
        raise InferenceError(f"the band plays nothing: {failure}")
    parts = {role: _collect_notes(output.sent, CHANNELS[role], tempo) for role in player.info.roles}
    tempos = {max(0, tick): us for tick, us in tempo.marks}  # what was turned before bar 1 holds from there on
    is_turned = any(turn.key in METRE_KEYS for turn in options.automation)
    metres = _list_metres(conductor, begin, end) if is_turned else song.metres
    strayed = None
    if options.humanises:
        slow = options.settings.offsets_ms
        strayed = {role: _collect_strayed(output.sent, role, tempo, slow.get(role, 0)) for role in player.info.roles}
    return RenderedSong(
        *(parts, tuple(tempos.items()), metres, begin, end, conductor.counters, failure, strayed),
        hand=hand,
        played={} if sound is None else sound.list_messages(tempo.ns_at(0)),
        programs=_collect_programs(output.sent, tempo),
        harmony=log.list_markers(end),
    )


def _find_span(
    song: midifile.Song, melody: Part, options: RenderOptions, introduction: Introduction
) -> tuple[int, int, int, int | None]:
    """Return the ticks at which the band begins and ends, one before both, and that of the final chord or None."""
    known, notes = SongInfo(metres=song.metres), quantise(melody.notes)
    first, *_, last = sorted({at for note in notes for at in (note.start, note.end)})
    begin = max(known.bar_at(first).start, first - MAX_BAR_TICKS)
    end = known.bar_at(last - 1).start + known.metre_at(last - 1)[1].ticks_per_bar
    end = min(end, last + MAX_BAR_TICKS)
    final = max(note.start for note in notes) if options.ending else None
    if final is not None and end - final < MIN_FINAL_TICKS:
        end = known.bar_at(end).end
    if introduction.begin is not None:
        begin = introduction.begin
    return begin, end, min(begin, 0) - known.metre_at(first)[1].ticks_per_bar, final


def _list_metres(conductor: Conductor, begin: int, end: int) -> tuple[tuple[int, Metre], ...]:
    """Return the metres that the band has played in, by tick, the first from bar 1 on."""
    found: list[tuple[int, Metre]] = []
    tick = min(0, begin)
    while tick < end:
        bar = conductor.find_bar(tick)
        if not found or found[-1][1] != bar.metre:
            found.append((max(0, bar.start), bar.metre))
        tick = bar.end
    return tuple(found)


def render_notes(
    song: midifile.Song,
    player: Player,
    settings: Settings,
    latency_ms: float = 10,
    offline: bool = False,
    replan: str | None = None,
    chart: ChartLine | None = None,
) -> tuple[dict[str, tuple[Note, ...]], Counters]:
    """Return the notes that the band plays to a song's melody, by role, and the engine's counters.

    chart: the song's chords, for settings whose `harmony` wants one. Raises MidiFileError for a song without a melody,
    InferenceError where an inference fails.
    """
    latency_ns = round(latency_ms * NS_PER_MS)
    options = RenderOptions(settings, latency_ns=latency_ns, offline=offline, replan=replan, chart=chart)
    performance = perform(song, midifile.choose_melody(song), player, options)
    if performance.failure:
        raise InferenceError(performance.failure)
    return performance.parts, performance.counters


def render_file(
    source: str | Path,
    target: str | Path,
    player: Player,
    options: RenderOptions = RenderOptions(),
    track: str | None = None,
    progress: Progress | None = None,
    channel: int | None = None,
) -> RenderedSong:
    """Render the accompaniment to a MIDI file's melody into another file, with all that the band does not replace.

    track, channel: as `music.midifile.choose_melody` takes them. Raises MidiFileError for a source without a melody,
    OSError when the target cannot be written, InferenceError where inferences fail: after it is written, if some did
    not.
    """
    song = midifile.read(source)
    melody = midifile.choose_melody(song, track, channel)
    song, melody, introduction = add_introduction(song, melody, options.settings, options.chart)
    copied = midifile.copy_track(song, melody.index, melody.channel)
    performance = perform(song, melody, player, options, progress, None, introduction)
    indices = {melody.index, *(part.index for part in performance.hand)}
    midifile.write(
        target,
        performance.sounded,
        tempos=performance.tempos,
        metres=performance.metres,
        copied=_choose_instruments({MELODY: copied, **copy_hand(song, performance.hand)}, performance.programs),
        harmony=performance.harmony,
        controls=performance.programs,
        note_ticks=performance.unit,
        metas=list_song_metas(song, indices),
        others=copy_other_tracks(song, indices),
    )
    _report_failure(performance, target)
    return performance


def render_wav(
    source: str | Path,
    target: Path,
    player: Player,
    options: RenderOptions,
    track: str | None,
    progress: Progress,
    synth: Synth,
    clicks: bool,
    channel: int | None = None,
    *,
    stems: bool = False,
) -> RenderedSong:
    """Render a MIDI file's melody, and the band, as sound; clicks: with a click on every beat.

    stems: write each role into a file of its own, too, as `name_stem` has it. Raises MidiFileError, for a song that
    lasts too long, too, and OSError as `render_file`.
    """
    from daemon.sound import wav

    song = midifile.read(source)
    melody = midifile.choose_melody(song, track, channel)
    song, melody, introduction = add_introduction(song, melody, options.settings, options.chart)
    tempo = TempoMap.from_marks(song.tempos if options.bpm is None else ((0, us_per_beat(options.bpm)),))
    hours, limit = (ns / NS_PER_S / 3600 for ns in (tempo.ns_at(max(n.end for n in melody.notes)), MAX_WAV_NS))
    if hours > limit:
        raise song.make_error(f"it lasts {hours:.0f} hours at this tempo, and a .wav may last {limit:.0f}; use --bpm")
    done = perform(song, melody, player, options, progress, PlayedSound(), introduction)
    click = done.metres if clicks else ()
    parts = {role: notes for role, notes in done.sounded.items() if notes}
    roles = [*done.played, *parts, *([wav.CLICK] if clicks else [])]
    loudness = wav.write(
        *(target, parts, TempoMap.from_marks(done.tempos), synth, click, done.unit),
        controls={role: done.programs[role] for role in roles if role in done.programs},
        played=done.played,
        settings=options.settings,
        stems={role: name_stem(target, role) for role in roles} if stems else {},
    )
    done = replace(done, loudness=loudness)
    _report_failure(done, target)
    return done


def name_stem(mix: Path, role: str) -> Path:
    """Return the file of a role's stem, which lies beside that of the mix."""
    return mix.with_name(f"{mix.stem}-{role}{mix.suffix}")


def _report_failure(done: RenderedSong, target: str | Path) -> None:
    """Raise InferenceError for what was written although inferences failed."""
    if done.failure:
        raise InferenceError(f"{target}: is written, but parts are missing: {done.failure}")


def _describe_failure(counters: Counters, reason: str) -> str:
    """Return how many inferences failed, and why the first did; nothing where none did."""
    return f"{counters.failed} of {counters.asked} inferences failed: {reason}" if counters.failed else ""


def _make_messages(song: midifile.Song, part: Part, channel: int) -> list[_Message]:
    """Return a part as a keyboard sends it on a channel: keys and sustain pedal, in the order of their ticks.

    At one tick the pedal moves first, then keys go up, then others go down.
    """
    messages: list[_Message] = []
    for note in remove_overlaps(part.notes):
        messages.append((note.start, 2, midi.note_on(channel, note.pitch, note.velocity)))
        messages.append((note.end, 1, midi.note_off(channel, note.pitch)))
    if song.source is not None:
        moved = midi.CONTROL_CHANGE | part.channel
        for tick, status, number, value, _ in song.source.tracks[part.index].events:
            if status == moved and number == midi.PEDAL:
                at = midifile.round_to_tick(tick, song.source.division)
                messages.append((at, 0, midi.control_change(channel, midi.PEDAL, value)))
    return sorted(messages, key=_order_of)


def _order_of(message: _Message) -> tuple[int, int]:
    return message[:2]


def _extract_top_voice(messages: Iterable[_Message], settings: Settings) -> tuple[Note, ...]:
    """Return the melody that the conductor will have heard in the end, as the settings at the start have it."""
    tracker, transposition = MelodyTracker(), Transposition()
    harmony = HarmonySource(SongInfo().bar_at, lambda channel, _: channel != settings.chord_channel - 1)
    harmony.use(settings)
    transposition.semitones = settings.transpose
    last = 0
    for tick, _, data in messages:
        heard = transposition.apply(MidiIn(0, data)).data
        tracker.split = harmony.hear(tick, heard)
        tracker.hear(tick, heard)
        last = tick
    tracker.release(last)
    return tracker.notes(-(1 << 62), 1 << 62)


def _list_events(
    messages: Iterable[_Message], automation: Iterable[AutomationPoint], early: int, end: int
) -> list[tuple[int, Callable[[int], Event]]]:
    """Return everything that will happen, by tick, to be made for the time at which its tick comes.

    Controls turned at a tick come before what is played there, those turned at tick 0 before anything, at tick `early`.
    """
    events = [(turn.tick or early, _make_turn(turn)) for turn in automation]
    events += [(tick, partial(MidiIn, data=data)) for tick, _, data in messages]
    return sorted([*events, (end, Quit)], key=itemgetter(0))


def _make_turn(turn: AutomationPoint) -> Callable[[int], Event]:
    value = turn.value
    if turn.key == "chart":
        value = open_chart(str(turn.value)) if turn.value else OpenedChart("", None)
    return partial(ControlChange, key=turn.key, value=value)


def _collect_notes(sent: Sequence[SentMessage], channel: int, tempo: TempoMap) -> tuple[Note, ...]:
    """Return the notes of a channel at the ticks at which they sounded.

    A message that left early, for a slow synthesiser or to sound human, counts from when it was due.
    """
    own = ((max(message.at, message.due), message.data) for message in sent if midi.channel_of(message.data) == channel)
    notes = []
    for note in midi.pair_notes(own):
        start = tempo.tick_at(note.start)
        notes.append(Note(start, note.pitch, max(1, tempo.tick_at(note.end) - start), note.velocity))
    return tuple(remove_overlaps(notes))


def _collect_programs(sent: Sequence[SentMessage], tempo: TempoMap) -> dict[str, list[tuple[int, bytes]]]:
    """Return, by role, what chooses its instrument: (tick from 0 on, message)."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    roles = {channel: role for role, channel in SOUND_CHANNELS.items()}
    for message in sent:
        if midi.chooses_program(message.data):
            role = roles[midi.channel_of(message.data)]
            found.setdefault(role, []).append((max(0, tempo.tick_at(message.at)), message.data))
    return found


def _choose_instruments(
    copied: Mapping[str, list[mido.Message]], programs: Mapping[str, Sequence[tuple[int, bytes]]]
) -> dict[str, list[mido.Message]]:
    """Return the copied tracks, the melody and those of a hand, with the instruments that are chosen for them."""
    chosen = {name: programs.get(MELODY if name == MELODY else HAND) for name in copied}
    return {name: replace_programs(track, chosen[name] or ()) for name, track in copied.items()}


def _collect_strayed(sent: Sequence[SentMessage], role: str, tempo: TempoMap, slow_ms: float) -> tuple[Note, ...]:
    """Return the notes of a role, in 480ths of a beat, where they sounded.

    That is when they left, or later by what a slow synthesiser needs.
    """
    channel, slow_ns = CHANNELS[role], round(slow_ms * NS_PER_MS)
    own = ((message.at + slow_ns, message.data) for message in sent if midi.channel_of(message.data) == channel)
    notes = []
    for note in midi.pair_notes(own):
        start = max(0, _find_fine_tick(tempo, note.start))
        length = max(1, _find_fine_tick(tempo, note.end) - start)
        notes.append(Note(start, note.pitch, length, note.velocity))
    return tuple(remove_overlaps(notes))


def _find_fine_tick(tempo: TempoMap, at: int) -> int:
    """Return the 480th of a beat that is nearest to a time (ns)."""
    tick, fine = tempo.tick_at(at), midifile.FILE_TICKS // TICKS_PER_BEAT
    start, end = tempo.ns_at(tick), tempo.ns_at(tick + 1)
    return tick * fine + round((at - start) * fine / (end - start))


class _ProgressComposer:
    """A Composer that reports how far the song has come."""

    def __init__(self, composer: InlineComposer, progress: Progress, begin: int, end: int) -> None:
        self._composer, self._progress, self._begin, self._end = composer, progress, begin, end

    def ask(self, request: PlanRequest) -> None:
        """Report the step that is asked for, and ask."""
        done = (request.now * TICKS_PER_STEP - self._begin) / (self._end - self._begin)
        self._progress(min(1.0, max(0.0, done)))
        self._composer.ask(request)
