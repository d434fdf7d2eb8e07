"""`houseband silence`: for the service's unit, after a crash."""

from __future__ import annotations

import os

import click


@click.command(short_help="End what a band that was killed left sounding.")
def command() -> None:
    """Tell whoever listened to the service that all notes are off.

    The service does so by itself whenever it ends badly (ExecStopPost) and when it starts again. Who listened is known
    on ALSA's sequencer. A band that still plays is told with `houseband panic`.
    """
    if os.environ.get("SERVICE_RESULT") == "success":
        return  # it has ended its notes itself
    from daemon.midi.alsa_reconnect import end_notes_of_dead_band
    from daemon.system.paths import find_connections_file

    told = end_notes_of_dead_band(find_connections_file())
    click.echo(f"all notes off was told to {told} that listened", err=True)
