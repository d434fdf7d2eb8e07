"""Remote control of a performance: MIDI gestures and the control socket, between its ports and the conductor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.control.control_socket import ControlSocket, ServerSetup
from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import Gestures
from daemon.control.protocol import OFF, resolve_address
from daemon.control.publisher import Publisher
from daemon.core import controls
from daemon.core.controls import PANIC
from daemon.core.events import ControlChange
from daemon.core.observers import ObservedOutput, ObservedWorld, PerformanceView
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.world import Inbox, Output, World
from daemon.live.song_world import SongView
from daemon.system import signals

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttachedControl:
    """World and output for the conductor, with remote control in between."""

    world: World
    output: Output
    publisher: Publisher | None  #: tells the clients of the control socket what happens
    gestures: GestureWorld
    presets: Mapping[str, Sequence[tuple[str, object]]]  #: the configuration's
    server: ControlSocket | None

    def show_songs(self, view: SongView) -> None:
        """Let gestures and clients of the socket know how the songs stand."""
        self.gestures.use_song(view.presets, view.order)
        if self.server is not None:
            presets = list(dict.fromkeys((*view.presets, *self.presets)))
            self.server.tell("song", view.describe(), presets, list(view.names), list(view.setlists))

    def on_start(self, performance: PerformanceView) -> None:
        """Publish this performance."""
        if self.publisher is not None:
            self.publisher.on_start(performance)


@dataclass(frozen=True, slots=True)
class RemoteControl:
    """The ways to control a performance while it plays, as the configuration has them."""

    gestures: Mapping[str, str] = field(default_factory=dict)  #: gesture -> target
    learned: Mapping[str, str] = field(default_factory=dict)  #: gestures learned in earlier performances
    learned_file: Path | None = None  #: where those are kept
    presets: Mapping[str, Sequence[tuple[str, object]]] = field(default_factory=dict)  #: name -> (control, value) pairs
    control: str = OFF  #: address of the control socket, as the configuration has it
    clock: str = ""  #: the clock that the band follows, as `--clock` has it

    def start(self, world: Inbox, stack: ExitStack) -> ControlSocket | None:
        """Start the socket's server, which takes a moment, and heed the signal that stands for a panic.

        Returns None where there is to be no socket, or can be none, which is logged.
        """
        server: ControlSocket | None = None
        try:
            if resolve_address(self.control) != OFF:
                server = ControlSocket(world.put, world.now)
        except OSError as error:
            log.warning("control socket: there is none, for %s", error)
        confirm = None if server is None else server.confirm_panic
        stack.enter_context(signals.on_panic(lambda: world.put(ControlChange(world.now(), PANIC, True, done=confirm))))
        return None if server is None else stack.enter_context(closing(server))

    def attach(
        self,
        server: ControlSocket | None,
        world: World,
        output: Output,
        player: PlayerInfo,
        settings: Settings,
        bpm: float,
        ports: tuple[str, ...],
        channel: int | None = None,
        find_missing: Callable[[], Sequence[str]] = tuple,
    ) -> AttachedControl:
        """Return the world with gestures understood; open the socket if there is a server.

        ports: their names; channel: the only one on which the melody is heard, 0..15; find_missing: see `Publisher`.
        """
        choices = {"style": player.styles, "technique": player.techniques, "preset": tuple(self.presets)}
        gestures = Gestures(self.gestures, choices)
        gestures.restore_learned(self.learned)
        if server is None:
            hears = GestureWorld(world, gestures, self.presets, channel=channel)
            return AttachedControl(hears, output, None, hears, self.presets, None)
        server.start(
            ServerSetup(
                where=resolve_address(self.control),
                styles=player.styles,
                technique_styles=player.technique_styles,
                techniques=player.techniques,
                presets=tuple(self.presets),
                preset_styles=_find_preset_styles(self.presets),
                controls=controls.current_values(settings),
                bpm=bpm,
                gestures=dict(self.gestures),
                learned=dict(self.learned),
                learned_file=str(self.learned_file or ""),
                ports=ports,
                clock=self.clock,
            )
        )
        publisher = Publisher(server, find_missing, settings)
        # beneath the gestures: clients hear of everything that is played, and of a preset once all of it is set
        hears = GestureWorld(ObservedWorld(world, [publisher]), gestures, self.presets, server.tell_learned, channel)
        return AttachedControl(hears, ObservedOutput(output, [publisher]), publisher, hears, self.presets, server)


def _find_preset_styles(presets: Mapping[str, Sequence[tuple[str, object]]]) -> dict[str, str]:
    """Return the styles of presets that leave it open which technique plays."""
    pairs = {name: dict(preset) for name, preset in presets.items()}
    return {name: str(keys["style"]) for name, keys in pairs.items() if "style" in keys and "technique" not in keys}
