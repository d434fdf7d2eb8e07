"""The display of `houseband top`: a piano roll with the plan right of the now-line and figures, or the stage view.

Everything it shows comes through the control socket.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from daemon.control.client import ControlClient
from daemon.screen.band_state import BandState, Json, describe_chord
from daemon.screen.keys import read_keys
from daemon.screen.piano_roll import LANES, draw, frames, lane_heights
from daemon.screen.stage import draw_stage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

TOPICS = ("notes", "heard", "plans", "tempo", "counters", "controls", "chords", "bars")
_LABEL_COLUMNS, _METER_COLUMNS = 8, 7
_SHOWN_CONTROLS = ("intensity", "density", "temperature", "swing", "humanise", "seed")
_GAP = "   "


def picture(band: BandState, now: int, width: int, height: int, ascii_only: bool) -> Text:
    """Return the roll with its heading and figures at a time (ns), for a terminal of that size."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    heading, footing = wrap(_list_heading(band, now), width), _list_footing(band, width)
    text.append("\n".join(heading) + "\n", "bold")
    columns = max(1, width - _LABEL_COLUMNS - _METER_COLUMNS - 1)
    heights = lane_heights(max(len(LANES), height - len(heading) - len(footing) - 1))
    lanes = {role: band.lane(role, now, columns, rows) for role, rows in heights.items()}
    draw(text, lanes, {role: _label(band, role, now, ascii_only) for role in lanes}, ascii_only=ascii_only)
    for line in footing:
        text.append(f"{line}\n", "default")
    return text


def wrap(facts: Iterable[str], width: int) -> list[str]:
    """Return facts as lines of so many columns at most, at least one; a fact is not divided, but cut if need be."""
    lines = [""]
    for fact in facts:
        joined = f"{lines[-1]}{_GAP}{fact}" if lines[-1] else fact
        if len(joined) <= width:
            lines[-1] = joined
        else:
            lines += [fact[:width]] if lines[-1] else []
            lines[-1] = fact[:width]
    return lines


def _list_heading(band: BandState, now: int) -> list[str]:
    found, place = band.controls, band.find_place(now)
    where = f"bar {place.bar}.{place.beat}" if band.playing else "waiting for the melody"
    if band.waiting_for and band.waiting_for != ["note"]:
        where = f"waiting for {', '.join(band.waiting_for)}"
    facts = ["houseband", where, f"{found.get('style')}, {found.get('technique')}", f"{60e6 / band.us:.4g} bpm"]
    chord = describe_chord(band.chord)
    return [*facts, chord] if chord else facts


def _label(band: BandState, role: str, now: int, ascii_only: bool) -> str:
    return f"{role:<{_LABEL_COLUMNS}}{_meter(band, role, now, ascii_only):<{_METER_COLUMNS}} "


def _meter(band: BandState, role: str, now: int, ascii_only: bool) -> str:
    """Return a role's meter as text, `mute` where it is muted."""
    if band.controls.get(f"mute.{role}"):
        return "mute"
    full = round(band.meter(role, now) * (_METER_COLUMNS - 1))
    return ("#" if ascii_only else "▮") * full + ("." if ascii_only else "▯") * (_METER_COLUMNS - 1 - full)


def _list_footing(band: BandState, width: int) -> list[str]:
    found, counted = band.controls, band.counters
    lines = wrap((f"{key} {found[key]:g}" for key in _SHOWN_CONTROLS if key in found), width)
    if not counted:
        return [*lines, ""]
    figures = (
        f"in time {_figure(counted, 'isr')}",
        f"plan {_figure(counted, 'inference_ms_p50')}/{_figure(counted, 'inference_ms_p99')} ms",
        f"late {_figure(counted, 'lateness_ms_p99')} ms",
        f"knows {_figure(counted, 'age_ms_p50')}/{_figure(counted, 'age_ms_p99')} ms",
        f"notes {counted['onsets']}",
        f"dropped {counted['dropped']}",
        f"plans late {counted['late']}",
    )
    return [*lines, *wrap(figures, width)]


def _figure(counted: Mapping[str, Any], key: str) -> str:
    value = counted.get(key)
    return "-" if value is None else f"{value:.3g}"


class Viewer:
    """Knows which of the views is shown, and whether the user has left."""

    def __init__(self, *, on_stage: bool = False) -> None:
        self.band = BandState()
        self.has_left = False
        self.on_stage = on_stage

    def take(self, event: Json) -> None:
        """Take an event of the band, or a key that was pressed."""
        match event:
            case {"key": "q" | "Q"}:
                self.has_left = True
            case {"key": "s" | "S" | "\t"}:
                self.on_stage = not self.on_stage
            case {"event": _}:
                self.band.take(event, time.monotonic_ns())

    def draw(self, now: int, width: int, height: int, ascii_only: bool) -> Text:
        """Return the view at a time (ns)."""
        if self.on_stage:
            return draw_stage(self.band, now, width, height, ascii_only=ascii_only)
        return picture(self.band, now, width, height, ascii_only)


def watch(client: ControlClient, console: Console, *, on_stage: bool = False) -> bool:
    """Draw until the band leaves, in a terminal; return True if the user does, with q. Ctrl-C raises as usual.

    on_stage: begin with the stage view.
    """
    from rich.live import Live

    viewer = Viewer(on_stage=on_stage)
    state = client.ask("get")["state"]
    client.ask("subscribe", to=[*TOPICS, *(["songs"] if "song" in state else [])])
    viewer.band.begin(client.ask("get")["state"], time.monotonic_ns())
    events: SimpleQueue[Json | None] = SimpleQueue()
    threading.Thread(target=_read, args=(client, events), name="top-reader", daemon=True).start()
    with (
        read_keys(lambda key: events.put({"key": key})),
        Live(console=console, auto_refresh=False, screen=True) as live,
    ):
        for over in frames(events, viewer.take):
            if over or viewer.has_left:
                break
            now, size = time.monotonic_ns(), console.size
            live.update(viewer.draw(now, size.width, size.height, console.options.ascii_only), refresh=True)
            viewer.band.forget(viewer.band.tick_at(now))
    return viewer.has_left


def _read(client: ControlClient, events: SimpleQueue[Json | None]) -> None:
    for event in client.read_events():
        events.put(event)
    events.put(None)
