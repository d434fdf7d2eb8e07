"""The live engine playing along with a bundled tune, in real time: on real ports where there are any, else in here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.core.counters import Counters
from daemon.core.events import MidiIn
from daemon.core.observers import Observer
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.core.world import Output
from daemon.engine.song import SongInfo
from daemon.live.performance import LivePerformance
from daemon.live.run import check_writable, write_take
from daemon.midi.rtmidi_ports import IN_NAME, PortError, RtMidiPorts, open_feed, open_ports
from daemon.players.worker import PlayerSpec, PreloadedWorker
from daemon.screen.jam_display import DisplaySetup, JamDisplay
from daemon.sound.audio import Audio, AudioSetup
from daemon.sound.click_track import ClickTrack
from daemon.system.live_world import LiveWorld
from daemon.takes.take import Take
from music import midi
from music.note import CHANNELS, MELODY
from music.tunes import Tune

log = logging.getLogger(__name__)

MELODY_PORT = "houseband melody"
#: --api for no ports at all
NOWHERE = "none"
#: ns from ready to the first note
LEAD_IN = 300_000_000


@dataclass(frozen=True, slots=True)
class JamSetup:
    """One jam. bpm: None for the tune's own; settings: made from the styles that the player knows; output: the file to
    leave, made from the style; api: as `open_ports` takes it, or `none`; out_port: likewise; plain: no drawing; sound:
    whether melody and band are heard through loudspeakers, too; preloaded: the player's process, if it was begun."""

    player: PlayerSpec
    tune: Tune
    bpm: float | None
    settings: Callable[[tuple[str, ...]], Settings]
    output: Callable[[str], Path]
    api: str = "auto"
    out_port: str | None = None
    plain: bool = False
    sound: AudioSetup = field(default_factory=AudioSetup)
    preloaded: PreloadedWorker | None = None


@dataclass(frozen=True, slots=True)
class JamResult:
    """What came of it."""

    path: Path
    counters: Counters


class SilentOutput:
    """An Output where there is no MIDI system: what the band plays is seen and kept all the same."""

    def send(self, data: bytes, due: int) -> None:
        """Nothing hears it."""


class MelodyThru(Observer):
    """Passes the melody on to the band's port, on the melody's channel, so that one synthesiser plays everything."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._sounding: set[int] = set()

    def on_input(self, data: bytes, at: int) -> None:
        """Pass a note of the melody on."""
        if not midi.is_note(data):
            return
        if midi.is_note_on(data):
            self._sounding.add(data[1])
        else:
            self._sounding.discard(data[1])
        self._output.send(midi.with_channel(data, CHANNELS[MELODY]), at)

    def end(self, at: int) -> None:
        """Ends what sounds."""
        for pitch in sorted(self._sounding):
            self._output.send(midi.note_off(CHANNELS[MELODY], pitch), at)
        self._sounding.clear()


class Performer:
    """Plays a tune in real time, in a thread of its own; `over` is called at the end of its last bar."""

    def __init__(self, tune: Tune, tempo: TempoMap, play: Callable[[bytes], None], over: Callable[[], None]) -> None:
        events = [(n.start, 1, midi.note_on(CHANNELS[MELODY], n.pitch, n.velocity)) for n in tune.notes]
        events += [(n.end, 0, midi.note_off(CHANNELS[MELODY], n.pitch)) for n in tune.notes]
        self._events = [(tempo.ns_at(tick), data) for tick, _, data in sorted(events)]
        self._end = tempo.ns_at(tune.bars * tune.metre.ticks_per_bar)
        self._play, self._over = play, over
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="performer", daemon=True)

    def start(self) -> None:
        """Begins; the tempo says when."""
        self._thread.start()

    def close(self) -> None:
        """Stops, in the middle if need be, and ends the note that sounds."""
        self._left.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        world = LiveWorld()
        sounding: set[int] = set()
        for at, data in self._events:
            if self._left.wait(max(0, at - world.now()) / 1e9):
                break
            (sounding.add if midi.is_note_on(data) else sounding.discard)(data[1])
            self._play(data)
        for pitch in sounding:
            self._play(midi.note_off(CHANNELS[MELODY], pitch))
        if not self._left.wait(max(0, self._end - world.now()) / 1e9):
            self._over()


def play(setup: JamSetup, begins: Callable[[RtMidiPorts | None, str | None, Settings], None]) -> JamResult:
    """Plays the tune once, or until a signal comes; nothing sounds afterwards. begins: called just before it does, with
    the ports and what makes the sound, None where there are none, and the settings.

    Raises PortError for a port that was asked for, AudioError for sound that was, WorkerError, whatever `settings`
    raises, and OSError.
    """
    song = song_of(setup)
    with LivePerformance(setup.player, setup.preloaded) as live:
        audio = live.parts.enter_context(closing(Audio(setup.sound.soundfont))) if setup.sound.on else None
        ports = open_any(setup)
        if ports is not None:
            live.parts.enter_context(closing(ports))
        settings = setup.settings(live.wait_for_player().styles)
        path = setup.output(settings.style)
        check_writable(path)
        heard = None if audio is None else audio.wait_ready()
        play_in = way_in(ports, live.world, live.parts)
        begins(ports, heard, settings)
        output: Output = ports or SilentOutput()
        thru, take = MelodyThru(output), Take()
        live.parts.callback(lambda: thru.end(live.world.now()))
        display = live.parts.enter_context(closing(JamDisplay(poster_of(setup, song, settings), setup.plain)))
        observers: list[Observer] = [thru, take, display]
        if audio is not None:
            observers += [audio, ClickTrack(setup.tune.metre, audio.send)] if setup.sound.click else [audio]
        conductor = live.make_conductor(live.world, output, song, settings, observers)
        tempo = TempoMap(us_per_beat(song.bpm), setup.tune.notes[0].start, live.world.now() + LEAD_IN)
        performer = live.parts.enter_context(closing(Performer(setup.tune, tempo, play_in, live.stop)))
        performer.start()
        live.run(conductor)
    write_take(take, path, conductor)
    return JamResult(path, conductor.counters)


def song_of(setup: JamSetup) -> SongInfo:
    """A tune as the conductor knows it beforehand: an upbeat is an upbeat to bar 1."""
    tune = setup.tune
    first = tune.notes[0].start
    pickup = tune.metre.ticks_per_bar - first if first else 0
    return SongInfo(bpm=setup.bpm or tune.bpm, metres=((0, tune.metre),), pickup=pickup)


def poster_of(setup: JamSetup, song: SongInfo, settings: Settings) -> DisplaySetup:
    """What the display says of it."""
    bars = setup.tune.bars - (song.pickup > 0)
    return DisplaySetup(setup.tune.title, settings.style, song.bpm, setup.tune.metre, song.pickup, bars)


def open_any(setup: JamSetup) -> RtMidiPorts | None:
    """The ports, None where there is no MIDI system. Raises PortError where one was asked for."""
    if setup.api == NOWHERE:
        return None
    try:
        return open_ports(setup.api, out_port=setup.out_port)
    except PortError:
        if setup.api != "auto" or setup.out_port is not None:
            raise
        return None


def way_in(ports: RtMidiPorts | None, world: LiveWorld, stack: ExitStack) -> Callable[[bytes], None]:
    """How the melody comes to the band: through its input port, or in this process where that cannot be."""
    if ports is not None:
        try:
            feed = stack.enter_context(closing(open_feed(ports.api, MELODY_PORT, IN_NAME)))
        except PortError as error:
            log.info("the melody comes without a port: %s", error)
        else:
            ports.listen(world.now, world.put)
            return feed.send
    return lambda data: world.put(MidiIn(world.now(), data))
