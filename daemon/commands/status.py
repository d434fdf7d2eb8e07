"""`houseband status`: print what the band that plays is doing."""

from __future__ import annotations

import json
from contextlib import closing

import click

from daemon.config.cli_options import add_connect_option, choose_control_address
from daemon.control.client import ControlClient

#: reason to wait, as the control socket has it -> what the band is doing
REASONS = {
    "note": "waiting for the melody",
    "start": "stopped, waiting for `houseband set start`",
    "clock": "waiting for the clock that it follows to start",
    "count-in": "counting in",
}
#: what names a port that is not there, and what means that no player is loaded
PORT, PLAYER = "port ", "player"


@click.command(short_help="Print what the band that plays is doing.")
@add_connect_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(control: str | None, as_json: bool) -> None:
    """Print what the band that plays is doing: its music, its controls, and how well it keeps up."""
    from daemon.screen.band_state import describe_chord

    with closing(ControlClient(choose_control_address(control))) as client:
        client.check_band()
        state = client.ask("get")["state"]
    if as_json:
        click.echo(json.dumps(state, indent=1))
        return
    found, counters = state["controls"], state["counters"]
    waiting = state.get("waiting_for", [])
    doing = next((REASONS[reason] for reason in waiting if reason in REASONS), None)
    doing = doing or ("playing" if state["playing"] else "waiting for the melody")
    click.echo(f"{doing}: {found['style']}, {found['technique']}, {state['bpm']:g} bpm")
    for reason in waiting:
        if reason.startswith(PORT):
            click.echo(f"waiting for the MIDI port {reason.removeprefix(PORT)!r}, which is not there")
        elif reason == PLAYER:
            click.echo("waiting for the player, which is being loaded; what it planned before goes on")
    if chord := describe_chord(state.get("chord", {})):
        click.echo(f"chord: {chord}")
    click.echo(f"ports: {', '.join(state['ports'])}")
    turned = [f"{key} {value}" for key, value in found.items() if key not in ("style", "technique") and "." not in key]
    click.echo(", ".join(turned))
    muted = [key.partition(".")[2] for key, value in found.items() if key.startswith("mute.") and value]
    if muted:
        click.echo(f"muted: {', '.join(muted)}")
    if state.get("restarts"):
        click.echo(f"control socket: its server ended unexpectedly {state['restarts']} time(s) and was started again")
    if counters:
        late = _format_or_dash(counters["lateness_ms_p99"])
        click.echo(
            f"in time {_format_or_dash(counters['isr'])}, plan {_format_or_dash(counters['inference_ms_p99'])} ms, "
            f"sent {late} ms late (p99), {counters['onsets']} notes, {counters['dropped']} dropped"
        )
        if counters["failed"]:
            instead = "; the shipped weights play instead of the graph" if counters["stand_ins"] else ""
            click.echo(f"{counters['failed']} inferences failed{instead}")


def _format_or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
