"""`houseband render --technique arcnn`: the notes of a file edited, instead of accompanied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.commands._console import show_progress
from daemon.commands._files import report_write_errors
from daemon.commands._options import build_settings
from daemon.commands._render_arguments import EditArguments, RenderArguments
from daemon.commands._written import count_notes, report_written
from daemon.config.reading import build_config, read_config
from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import list_techniques
from music.errors import UserError
from music.files import check_distinct, check_writable
from music.note import EDITS, MELODY

if TYPE_CHECKING:
    from daemon.offline.file_editing import EditOptions


def edit_file(given: RenderArguments, editing: EditArguments, as_json: bool) -> None:
    """Edit the notes of a MIDI file, write them to another, as the options say, and tell it. Raises UserError."""
    from daemon.core.tempo import us_per_beat
    from daemon.offline import file_editing
    from daemon.players.arcnn import EditScorer
    from daemon.players.graph import Graph
    from daemon.players.load import describe_player, guard_loading
    from music import midifile

    log = editing["edits"]
    if log is not None:
        check_writable(log, given.melody, given.graph, given.config_file)
        check_distinct(given.output, log)
    with guard_loading(given.graph, given.technique):
        editor = EditScorer(Graph(given.graph, given.technique))
    known = tuple(technique.name for technique in list_techniques())  # none is switched to: a preset may name any
    player = replace(describe_player(given.technique, editor.styles), techniques=known)
    options = _build_options(given, editing, player)
    with show_progress(f"editing {given.melody.name}") as progress:
        song = midifile.read(given.melody)
        done = file_editing.edit_song(song, editor, options, given.track, progress, given.channel)
    if log is not None:
        with report_write_errors(log):
            file_editing.write_edits(log, done)
    us = None if given.bpm is None else us_per_beat(given.bpm)
    with report_write_errors(given.output):
        file_editing.write_notes(given.output, song, done, us)
    facts = {
        "technique": given.technique,
        "style": options.style,
        "seed": options.seed,
        "bars": len(done.draft.bars),
        "notes": count_notes({MELODY: done.given, EDITS: done.notes}),
        "edits": len(done.edits),
    }
    report_written(given.output, facts, as_json)


def _build_options(given: RenderArguments, editing: EditArguments, player: PlayerInfo) -> EditOptions:
    """Return what the options say of the edits. Raises SettingError, ConfigError, UserError."""
    from daemon.offline.file_editing import EditOptions

    config = build_config(read_config(given.config_file) if given.config_file else None)
    settings = build_settings(given.values, given.assigned, player, config.make_settings(player))
    if settings.limits.low > settings.limits.high:
        raise UserError("register_low: lies above register_high, so nothing could be edited")
    return EditOptions(
        style=settings.style,
        limits=settings.limits,
        iterations=100 if editing["iterations"] is None else editing["iterations"],
        risk=settings.creative_risk,
        seed=settings.seed,
        at_once=editing["at_once"],
        undo=editing["undo"] or 0,
    )
