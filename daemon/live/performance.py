"""A live performance: the parts that every one has, put together and taken down again.

`houseband run`, `houseband jam` and the bench build on it, each with ports and observers of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Self

from daemon.clocks.clock import Clock
from daemon.core.events import CalledSong, Quit, Suspend
from daemon.core.observers import ObservedOutput, ObservedWorld, Observer
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.world import Output, World
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine
from daemon.harmony.observed_composer import ObservedComposer
from daemon.players.worker import PlayerSpec, PreloadedWorker, Worker
from daemon.system import signals
from daemon.system.live_world import LiveWorld
from daemon.system.priority import real_time_section


class LivePerformance:
    """A clock with an inbox, the process that the player runs in, and a conductor once one is made.

    A context manager. The player begins to load when the `with` block is entered; whatever is put on `parts` is closed
    in reverse order when it is left. Ctrl-C and SIGTERM end the performance, and the program while there is none yet.
    Ctrl-Z silences the performance and stops the program until it is told to go on.
    """

    def __init__(self, player: PlayerSpec, preloaded: PreloadedWorker | None = None) -> None:
        """preloaded: a process that has begun to load the player already."""
        self.world = LiveWorld()
        self.parts = ExitStack()
        self.worker = Worker(player, self.world.put, self.world.now, preloaded=preloaded)
        #: called before Ctrl-Z stops the program, once all ends have been sent: returns when they have surely arrived
        self.end_notes: Callable[[], None] = lambda: None
        self._player: PlayerInfo | None = None
        self._conducting = self._stopping = False

    def __enter__(self) -> Self:
        self.parts.enter_context(signals.on_stop(self.stop))
        self.parts.enter_context(signals.on_suspend(self.suspend))
        self.parts.enter_context(closing(self.worker))
        self.worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.parts.__exit__(kind, error, trace)

    def stop(self) -> None:
        """End the performance; leave the program at once while there is no conductor. Called in signal handlers."""
        self._stopping = True
        if not self._conducting:
            raise SystemExit(0)
        self.world.put(Quit(self.world.now()))

    def suspend(self) -> None:
        """Silence the performance, then stop the program until SIGCONT comes. Called in signal handlers."""
        if self._conducting:
            self.world.put(Suspend(self.world.now(), self._stop_process))
        else:
            signals.stop_process()

    def _stop_process(self) -> None:
        self.end_notes()
        signals.stop_process()

    def wait_for_player(self) -> PlayerInfo:
        """Return what the player is, once it is loaded. Raises WorkerError."""
        if self._player is None:
            self._player = self.worker.wait_ready()
        return self._player

    def make_conductor(
        self,
        world: World,
        output: Output,
        song: SongInfo,
        settings: Settings,
        observers: Sequence[Observer] = (),
        *,
        channel: int | None = None,
        clock: Clock | None = None,
        send_clock: bool = False,
        chart: ChartLine | None = None,
        opening_song: CalledSong | None = None,
    ) -> Conductor:
        """Return a conductor that the observers look at, to be passed to `run`.

        world: this performance's, or one around it; output: where the band's MIDI goes; channel, clock, send_clock,
        chart, opening_song: see `Conductor`.
        """
        output = ObservedOutput(output, observers)
        conductor = Conductor(
            ObservedWorld(world, observers),
            output,
            ObservedComposer(self.worker, observers),
            self.wait_for_player(),
            song,
            settings,
            channel=channel,
            clock=clock,
            send_clock=send_clock,
            chart=chart,
            opening_song=opening_song,
        )
        for observer in observers:
            observer.on_start(conductor)
        self._conducting = True
        if self._stopping:  # a library swallowed the exception
            self.world.put(Quit(self.world.now()))
        return conductor

    def run(self, conductor: Conductor) -> None:
        """Play until somebody stops it; nothing sounds afterwards."""
        with real_time_section():
            conductor.run()
