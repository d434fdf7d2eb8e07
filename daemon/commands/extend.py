"""`houseband extend`: a song goes on for some bars."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.commands._console import show_progress
from daemon.commands._files import report_write_errors
from daemon.commands._options import build_settings, channel_option, control_options, graph_option, track_option
from daemon.commands._written import count_notes, json_option, report_written
from daemon.core.techniques import list_techniques
from music.files import check_writable


@click.command()
@click.argument("song", metavar="IN.mid", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT.mid", required=True, type=click.Path(path_type=Path), help="To write.")
@click.option("--bars", metavar="N", type=click.IntRange(1, 512), required=True, help="How many bars to add.")
@graph_option
@track_option
@channel_option
@control_options
@json_option
def command(
    song: Path,
    output: Path,
    bars: int,
    graph: Path | None,
    track: str | None,
    channel: int | None,
    assigned: tuple[str, ...],
    as_json: bool,
    **values: object,
) -> None:
    """Continue a melody, and its accompaniment, by some bars.

    The transformer hears what is there, melody and band (told by their tracks' names: bass, chords, pad, drums, piano),
    and goes on from the bar line after the end. The same seed goes on the same way.
    """
    from daemon.offline.extend import Extension, extend_file
    from daemon.players.load import load_player
    from daemon.players.player import ContinuingPlayer

    check_writable(output, song, graph)
    player = load_player(next(known.name for known in list_techniques() if known.continues_melodies), graph)
    assert isinstance(player, ContinuingPlayer)
    settings = build_settings(values, assigned, player.info)
    with report_write_errors(output), show_progress(f"going on from {song.name}") as progress:
        added = extend_file(song, output, player, Extension(bars, settings), track, progress, channel)
    facts = {"style": settings.style, "seed": settings.seed, "bars": bars, "notes": count_notes(added)}
    report_written(output, facts, as_json)
