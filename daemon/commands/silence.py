"""`houseband silence`: end the notes of a band that was killed; the service's unit runs it."""

from __future__ import annotations

import os

import click


@click.command(short_help="End what a band that was killed left sounding.")
def command() -> None:
    """Send "all notes off" to every device that listened to a band that was killed.

    The service does so by itself whenever it ends badly (ExecStopPost) and when it starts again. The devices are known
    on ALSA's sequencer only. For a band that still plays there is `houseband panic`.
    """
    if os.environ.get("SERVICE_RESULT") == "success":
        return  # it has ended its notes itself
    from daemon.midi.alsa_reconnect import end_notes_of_dead_band
    from daemon.system.paths import find_connections_file

    count = end_notes_of_dead_band(find_connections_file())
    click.echo(f"all notes off was sent to {count} that listened", err=True)
