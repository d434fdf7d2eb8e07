"""Going on after the machine stood still, ports were lost or the program was suspended, with nothing left sounding."""

from __future__ import annotations

from collections.abc import Callable

from daemon.core.events import Suspend
from daemon.engine.band import Band
from daemon.engine.transport import HALF_STEP
from music.note import TICKS_PER_STEP


class Recovery:
    """Ends what sounds when the band was cut off, and lets it go on where it should be. `now` is in nanoseconds."""

    def __init__(self, band: Band) -> None:
        self._band = band

    # The machine stood still

    def catch_up(self, position: int, now: int) -> None:
        """Go on at `position`, if the machine stood still for long; as after a sleep if it was for very long."""
        band = self._band
        stall = band.transport.find_stall(position)
        if stall is None:
            return
        band.counters.stalls += 1
        if stall.slept:
            self._wake_up(now)
            return
        band.counters.steps += stall.missed_steps
        band.counters.uncovered += stall.missed_steps
        self._begin_again(position, now)

    def resume(self, now: int) -> None:
        """Begin again after the machine was suspended."""
        self._band.counters.stalls += 1
        self._wake_up(now)

    def _wake_up(self, now: int) -> None:
        """Begin again after a sleep, which nobody sits through: with the clock, if one leads, else with a note."""
        band = self._band
        band.release_keys(now)
        if not band.transport.playing or band.transport.held_since is not None:
            return
        if band.transport.led:
            self._begin_again(band.position(now), now)
        else:
            band.stop(now)
            band.transport.arm()

    def _begin_again(self, position: int, now: int) -> None:
        self._band.end_all(now)
        self._band.begin(-((HALF_STEP - position) // TICKS_PER_STEP))  # the first step whose middle has not passed

    def suspend(self, event: Suspend, now: int, time: Callable[[], int]) -> None:
        """End everything, let the program be stopped, and play on when it goes on; time: returns the world's time."""
        band = self._band
        band.end_all(now)
        event.stop()
        band.release_keys(time())  # what was let go of meanwhile was not heard
        band.planner.renew()

    # Ports

    def lose_ports(self, now: int) -> None:
        """End everything: neither band nor player can be heard."""
        band = self._band
        band.counters.losses += 1
        band.sender.lose_ports(now)
        band.end_all(now)
        band.planner.renew()

    def regain_ports(self, now: int) -> None:
        """Make up for the note-offs that were lost, and ask anew."""
        self._band.sender.regain_ports(now)
        self._band.sender.choose_programs(now)
        self._band.planner.renew()
