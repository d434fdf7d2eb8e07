"""`houseband jam`: the band plays along with a bundled tune in real time, on MIDI ports where there are any."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.core.counters import Counters
from daemon.core.events import MidiIn
from daemon.core.observers import Observer, PerformanceView
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.core.world import Output
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine
from daemon.input.sources import SourceWorld
from daemon.live.crash_silencer import CrashSilencer
from daemon.live.performance import LivePerformance
from daemon.live.run import write_take
from daemon.midi import backends
from daemon.midi.end_repeater import EndRepeatWorld
from daemon.midi.ports import IN_NAME, NO_PORTS, PortError, PortRequest
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.midi.rtmidi_ports import open_feed
from daemon.players.worker import PlayerSpec, PreloadedWorker
from daemon.screen.jam_display import DisplaySetup, JamDisplay
from daemon.sound.audio import Audio, AudioSetup
from daemon.sound.click_track import ClickTrack
from daemon.sound.player_sound import PlayerSound
from daemon.system.live_world import LiveWorld
from daemon.takes.take import Take
from music import midi
from music.files import check_writable
from music.note import CHANNELS, MELODY
from music.tunes import Tune

log = logging.getLogger(__name__)

#: the port that the melody comes from
MELODY_PORT = "houseband melody"
#: the value of `--api` that asks for no ports at all
#: time from the start to the first note
LEAD_IN_NS = 300_000_000


@dataclass(frozen=True, slots=True)
class JamSetup:
    """Everything that a jam is made from."""

    player: PlayerSpec
    tune: Tune
    bpm: float | None  #: None: the tune's own
    settings: Callable[[PlayerInfo], Settings]  #: called once the player is loaded
    output: Callable[[str], Path]  #: called with the style; the MIDI file to leave
    api: str = "auto"  #: the MIDI system, as `open_ports` takes it, or NO_PORTS
    out_port: str | None = None  #: an existing port to play to
    plain: bool = False  #: a line of text for every bar instead of a piano roll
    sound: AudioSetup = field(default_factory=AudioSetup)
    preloaded: PreloadedWorker | None = None  #: the player's process, if it has been started
    chart: ChartLine | None = None  #: the tune's chords, where there is a chart


@dataclass(frozen=True, slots=True)
class JamResult:
    """The file that a jam has left, and what was counted."""

    path: Path
    counters: Counters


class SilentOutput:
    """The output where there is no MIDI system; observers see what the band plays all the same."""

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send nothing anywhere."""


class MelodyThru(Observer):
    """Passes the melody on to the band's output port, so that one synthesiser plays everything."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._sound = PlayerSound()
        self._performance: PerformanceView | None = None
        self._sounding: set[int] = set()

    def on_start(self, performance: PerformanceView) -> None:
        """Let the melody sound as the settings of this performance have it."""
        self._performance = performance

    def on_input(self, data: bytes, at: int) -> None:
        """Pass a note of the melody on, on the melody's channel."""
        messages = [] if self._performance is None else self._sound.use(self._performance.settings)
        for message in (*messages, *self._sound.pass_on(data)):
            if not midi.is_note(message):
                continue
            if midi.is_note_on(message):
                self._sounding.add(message[1])
            else:
                self._sounding.discard(message[1])
            self._output.send(message, at)

    def end(self, at: int) -> None:
        """End every note that sounds."""
        for pitch in sorted(self._sounding):
            self._output.send(midi.note_off(CHANNELS[MELODY], pitch), at)
        self._sounding.clear()


class Performer:
    """Plays a tune in real time, in a thread of its own."""

    def __init__(self, tune: Tune, tempo: TempoMap, send: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """tempo: where the tune's ticks lie in time; send: takes MIDI messages; on_end: called after the last bar."""
        events = [(n.start, 1, midi.note_on(CHANNELS[MELODY], n.pitch, n.velocity)) for n in tune.notes]
        events += [(n.end, 0, midi.note_off(CHANNELS[MELODY], n.pitch)) for n in tune.notes]
        self._events = [(tempo.ns_at(tick), data) for tick, _, data in sorted(events)]
        self._end = tempo.ns_at(tune.bars * tune.metre.ticks_per_bar)
        self._send, self._on_end = send, on_end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="performer", daemon=True)

    def start(self) -> None:
        """Begin to play, at the time that the tempo gives."""
        self._thread.start()

    def close(self) -> None:
        """Stop, in the middle if need be, and end the note that sounds."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        world = LiveWorld()
        sounding: set[int] = set()
        for at, data in self._events:
            if self._stopped.wait(max(0, at - world.now()) / 1e9):
                break
            (sounding.add if midi.is_note_on(data) else sounding.discard)(data[1])
            self._send(data)
        for pitch in sounding:
            self._send(midi.note_off(CHANNELS[MELODY], pitch))
        if not self._stopped.wait(max(0, self._end - world.now()) / 1e9):
            self._on_end()


def play(setup: JamSetup, on_begin: Callable[[ReconnectingPorts | None, str | None, Settings], None]) -> JamResult:
    """Play the tune once, or until a signal comes; nothing sounds afterwards.

    on_begin: called just before the first note with the ports and the name of what makes the sound, None where there
    are none, and with the settings. Raises PortError for a port that was asked for, AudioError for sound that was,
    WorkerError, whatever `settings` raises, and OSError.
    """
    song = build_song(setup)
    with LivePerformance(setup.player, setup.preloaded) as live:
        audio = live.parts.enter_context(closing(Audio(setup.sound.soundfont))) if setup.sound.on else None
        ports = open_wanted_ports(setup, live.parts)
        if ports is not None:
            live.end_notes = ports.end_notes
        settings = setup.settings(live.wait_for_player())
        path = setup.output(settings.style)
        check_writable(path)
        sound = None if audio is None else audio.wait_ready()
        send_melody = open_melody_input(ports, live.world, live.parts)
        on_begin(ports, sound, settings)
        output: Output = ports or SilentOutput()
        thru, take = MelodyThru(output), Take()
        live.parts.callback(lambda: thru.end(live.world.now()))
        display = live.parts.enter_context(closing(JamDisplay(build_display_setup(setup, song, settings), setup.plain)))
        observers: list[Observer] = [thru, take, display]
        if audio is not None:
            observers += [audio, ClickTrack(audio.send)] if setup.sound.click else [audio]
        world = live.world if ports is None else EndRepeatWorld(live.world, ports)
        conductor = live.make_conductor(SourceWorld(world), output, song, settings, observers, chart=setup.chart)
        tempo = TempoMap(us_per_beat(song.bpm), setup.tune.notes[0].start, live.world.now() + LEAD_IN_NS)
        performer = live.parts.enter_context(closing(Performer(setup.tune, tempo, send_melody, live.stop)))
        performer.start()
        live.run(conductor)
    write_take(take, path, conductor)
    return JamResult(path, conductor.counters)


def build_song(setup: JamSetup) -> SongInfo:
    """Return what the conductor knows of the tune beforehand; an upbeat comes before bar 1."""
    tune = setup.tune
    first = tune.notes[0].start
    pickup = tune.metre.ticks_per_bar - first if first else 0
    return SongInfo(bpm=setup.bpm or tune.bpm, metres=((0, tune.metre),), pickup=pickup)


def build_display_setup(setup: JamSetup, song: SongInfo, settings: Settings) -> DisplaySetup:
    """Return what the display shows of the tune."""
    bars = setup.tune.bars - (song.pickup > 0)
    return DisplaySetup(setup.tune.title, settings.style, song.bpm, setup.tune.metre, song.pickup, bars)


def open_wanted_ports(setup: JamSetup, stack: ExitStack) -> ReconnectingPorts | None:
    """Return open ports, None where there is no MIDI system. Raises PortError where one was asked for.

    stack: closes them. If this process is killed, another ends what it has begun.
    """
    if setup.api == NO_PORTS:
        return None
    silencer = CrashSilencer()
    request = PortRequest(setup.api, "rtmidi", out_port=setup.out_port, keys=silencer.keys)
    try:
        ports = ReconnectingPorts(lambda: backends.open_ports(request), silencer.tell_listeners)
    except PortError:
        silencer.close()
        if setup.api != "auto" or setup.out_port is not None:
            raise
        return None
    stack.enter_context(closing(silencer))
    return stack.enter_context(closing(ports))


def open_melody_input(ports: ReconnectingPorts | None, world: LiveWorld, stack: ExitStack) -> Callable[[bytes], None]:
    """Return a function that plays a message to the band: through its input port, or without one if need be."""

    def put(data: bytes) -> None:
        world.put(MidiIn(world.now(), data))

    if ports is None:
        return put
    send = put
    try:
        send = stack.enter_context(closing(open_feed(ports.api, MELODY_PORT, IN_NAME))).send
    except PortError as error:
        log.info("the melody comes without a port: %s", error)
    ports.listen(world.now, world.put)
    return send
