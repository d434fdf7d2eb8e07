"""The loop through a DAW: how long a note of the band's takes to be heard there, from when it is to leave.

The DAW sends back what it hears. What goes round takes as long as an answer of the band's to a clock of the DAW's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from daemon.core.events import Event, MidiIn
from daemon.core.tempo import NS_PER_MS
from daemon.midi.ports import MidiPorts
from music import midi
from music.errors import UserError

#: how long somebody has to connect the ports, and how long a note may take to come back
PATIENCE_S, RETURN_S = 120.0, 0.5
#: notes that are measured, and how far apart they are: no multiple of a usual period, so that they fall anywhere in it
NOTES, INTERVAL_S = 60, 0.0973
#: the notes are soft, for the DAW may play them
VELOCITY = 1
#: a loop that strays further cannot be made up for by one offset; one that differs less from what is told is as told
MAX_SPREAD_MS, MAX_DIFFERENCE_MS = 3.0, 0.5


class NoLoopError(UserError):
    """Nothing comes back from the DAW."""


@dataclass(frozen=True, slots=True)
class DawLoop:
    """Times of notes through the loop."""

    times_ms: tuple[float, ...]
    told_ms: float  #: the latency that the ports tell by themselves
    lost: int = 0  #: notes that did not come back

    @property
    def median_ms(self) -> float:
        """The time in the middle."""
        return sorted(self.times_ms)[len(self.times_ms) // 2]

    @property
    def spread_ms(self) -> float:
        """The time by which nine of ten notes differ at most."""
        found = sorted(self.times_ms)
        return found[(len(found) - 1) * 19 // 20] - found[(len(found) - 1) // 20]

    @property
    def is_told(self) -> bool:
        """True where the ports tell it right, so that nothing is to be set."""
        return abs(self.median_ms - self.told_ms) <= MAX_DIFFERENCE_MS

    def as_json(self) -> dict[str, object]:
        """Return the figures for programs."""
        return {
            "loop_ms": round(self.median_ms, 3), "spread_ms": round(self.spread_ms, 3), "lost": self.lost,
            "told_ms": round(self.told_ms, 3), "latency_ms": -1 if self.is_told else round(self.median_ms, 1),
        }  # fmt: skip

    def describe(self) -> str:
        """Return what it means for the configuration."""
        text = (
            f"a note takes {self.median_ms:.1f} ms to be heard in the DAW (nine of ten within {self.spread_ms:.1f} ms)"
        )
        if self.lost:
            text += f"; {self.lost} of {self.lost + len(self.times_ms)} were lost"
        if self.spread_ms > MAX_SPREAD_MS:
            text += "; no offset makes up for that much jitter: give the audio server real-time priority"
        if self.is_told:
            return f"{text}\nThe ports tell that themselves: leave latency_ms as it is (-1)."
        return f"{text}\nPut this into the configuration (houseband config --edit): latency_ms = {self.median_ms:.1f}"


def measure_daw_loop(ports: MidiPorts, say: Callable[[str], None], notes: int = NOTES) -> DawLoop:
    """Send notes once they come back, and time them. Raises NoLoopError where none does.

    say: is told what is to be done and what happens.
    """
    events: SimpleQueue[Event] = SimpleQueue()
    ports.listen(time.monotonic_ns, events.put)
    heard, played = ports.names
    say(
        f"In the DAW, let a MIDI track hear '{played}' and send what it hears on to '{heard}' (input monitoring on); "
        "the transport need not roll. Waiting for that (Ctrl-C gives up) ..."
    )
    limit = time.monotonic() + PATIENCE_S
    while _go_round(ports, events, 60) is None:
        if time.monotonic() > limit:
            raise NoLoopError(f"nothing came back from the DAW: connect '{played}' to a track, and that to '{heard}'")
    ports.find_failure()  # it looks at the connections, too, by which the ports know what they tell
    ports.find_failure()
    say("It comes back; measuring ...")
    times = []
    for number in range(notes):
        taken = _go_round(ports, events, 36 + number % 60)
        if taken is not None:
            times.append(taken / NS_PER_MS)
        time.sleep(INTERVAL_S)
    if not times:
        raise NoLoopError("the DAW sent something back, and then nothing more: leave the track as it is meanwhile")
    return DawLoop(tuple(times), ports.latency_ns / NS_PER_MS, notes - len(times))


def _go_round(ports: MidiPorts, events: SimpleQueue[Event], pitch: int) -> int | None:
    """Send a note and return after how long (ns) it came back; None where it did not."""
    sent = time.monotonic_ns()
    ports.send(midi.note_on(0, pitch, VELOCITY), sent)
    limit, found = time.monotonic() + RETURN_S, None
    while found is None and (left := limit - time.monotonic()) > 0:
        try:
            event = events.get(timeout=left)
        except Empty:
            break
        if isinstance(event, MidiIn) and midi.is_note_on(event.data) and event.data[1] == pitch and event.at >= sent:
            found = event.at - sent
    ports.send(midi.note_off(0, pitch), time.monotonic_ns())
    return found
