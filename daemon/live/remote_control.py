"""How a band that plays is reached: MIDI gestures and the control socket, between its ports and the conductor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.control.control_socket import OFF, ControlSocket, ServerSetup, resolve
from daemon.control.gestures import Gestures, GestureWorld
from daemon.control.publisher import Publisher
from daemon.core import controls
from daemon.core.observers import ObservedOutput, ObservedWorld, PerformanceView
from daemon.core.settings import Settings
from daemon.core.world import Output, World
from daemon.system.live_world import LiveWorld
from music.note import CHANNELS


@dataclass(frozen=True, slots=True)
class Reach:
    """What the configuration says of it. gestures: gesture -> target; learnt: the same, learnt before and kept in
    learnt_file; presets: name -> (key, value)s; control: as the configuration has it; programs: role -> 1..128."""

    gestures: Mapping[str, str] = field(default_factory=dict)
    learnt: Mapping[str, str] = field(default_factory=dict)
    learnt_file: Path | None = None
    presets: Mapping[str, Sequence[tuple[str, object]]] = field(default_factory=dict)
    control: str = OFF
    programs: Mapping[str, int] = field(default_factory=dict)

    def start(self, world: LiveWorld, stack: ExitStack) -> ControlSocket | None:
        """Start the socket's server, which takes a moment; None when there is to be no socket."""
        if resolve(self.control) == OFF:
            return None
        return stack.enter_context(closing(ControlSocket(world.put, world.now)))

    def choices(self, styles: Sequence[str], techniques: Sequence[str]) -> dict[str, Sequence[str]]:
        """What the choices among the controls can be."""
        return {"style": styles, "technique": techniques, "preset": tuple(self.presets)}

    def opening(self) -> list[bytes]:
        """The program changes at the start."""
        return [
            bytes((0xC0 | CHANNELS[role], program - 1)) for role, program in self.programs.items() if role in CHANNELS
        ]


@dataclass(frozen=True, slots=True)
class Reached:
    """World and output for the conductor, and who must be shown the conductor."""

    world: World
    output: Output
    publisher: Publisher | None

    def on_start(self, performance: PerformanceView) -> None:
        """Publish this performance."""
        if self.publisher is not None:
            self.publisher.on_start(performance)


def reached(
    reach: Reach,
    control: ControlSocket | None,
    world: World,
    output: Output,
    *,
    styles: Sequence[str],
    techniques: Sequence[str],
    settings: Settings,
    bpm: float,
    ports: tuple[str, ...],
) -> Reached:
    """The world with gestures understood, and with the socket open when there is a server."""
    gestures = Gestures(reach.gestures, reach.choices(styles, techniques))
    gestures.was_learnt(reach.learnt)
    if control is None:
        return Reached(GestureWorld(world, gestures, reach.presets), output, None)
    publisher = Publisher(control)
    control.start(
        ServerSetup(
            where=resolve(reach.control),
            styles=tuple(styles),
            techniques=tuple(techniques),
            presets=tuple(reach.presets),
            controls=controls.current_values(settings),
            bpm=bpm,
            gestures=dict(reach.gestures),
            learnt=dict(reach.learnt),
            learnt_path=str(reach.learnt_file or ""),
            ports=ports,
        )
    )
    # beneath the gestures: clients hear of everything that is played, and of a preset once all of it is set
    hears = GestureWorld(ObservedWorld(world, [publisher]), gestures, reach.presets, control.learnt)
    return Reached(hears, ObservedOutput(output, [publisher]), publisher)
