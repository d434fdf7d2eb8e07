"""`houseband render --from`: some bars of some roles of a rendered file played anew, in place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.commands._completion import complete_roles
from daemon.commands._console import show_progress
from daemon.commands._files import report_write_errors
from daemon.commands._written import count_notes, report_written
from daemon.core.techniques import find
from music.errors import UserError
from music.files import STDOUT

if TYPE_CHECKING:
    from daemon.core.settings import Settings
    from daemon.offline.regenerate import Selection
    from daemon.offline.render import RenderOptions
    from daemon.players.player import Player


@dataclass(frozen=True, slots=True)
class SelectionArguments:
    """Arguments that say which part of which file is played anew; None where they were not given."""

    #: the rendered file
    source: Path | None
    #: such as `bars=5-6`
    only: str | None
    #: such as `bass,drums`
    roles: str | None

    def parse(self) -> Selection | None:
        """Return the selection; None where nothing is selected. Raises SelectionError, UserError."""
        from daemon.offline.regenerate import parse_selection

        if self.source is None:
            for option, value in (("--only", self.only), ("--roles", self.roles)):
                if value is not None:
                    raise UserError(f"{option}: selects a part of a rendered file; name that file with --from")
            return None
        for option, value, example in (("--only", self.only, "bars=5-6"), ("--roles", self.roles, "bass,drums")):
            if value is not None and not value.strip(" ,"):
                raise UserError(f"{option}: selects nothing; say {example}, for instance, or leave it out for all")
        return parse_selection(self.only or "", self.roles or "")


def selection_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select a part of a rendered file; the function gets them as `selection`."""

    @functools.wraps(function)
    def call(*args: Any, source: Path | None, only: str | None, roles: str | None, **values: Any) -> None:
        function(*args, selection=SelectionArguments(source, only, roles), **values)

    for option in (
        click.option(
            "--roles",
            metavar="ROLE,...",
            shell_complete=complete_roles,
            help="With --from: the roles to play anew, such as bass,drums.",
        ),
        click.option("--only", metavar="bars=A-B", help="With --from: the bars to play anew, counted from 1."),
        click.option(
            "--from",
            "source",
            metavar="OUT.mid",
            type=click.Path(path_type=Path),
            help="A rendered file of which only a selection is played anew; without -o, in place.",
        ),
    ):
        call = option(call)
    return call


def choose_files(melody: Path | None, output: Path | None, source: Path | None) -> tuple[Path, Path]:
    """Return what is heard and what is written: both are the rendered file where nothing else was given.

    Raises MissingParameter where there is no such file either.
    """
    missing = next((name for name, path in (("melody", melody), ("output", output)) if path is None), None)
    if source is None and missing is not None:
        context = click.get_current_context()
        parameter = next(each for each in context.command.params if each.name == missing)
        raise click.MissingParameter(ctx=context, param=parameter)
    heard, written = melody or source, output or source
    assert heard is not None
    assert written is not None
    return heard, written


def list_inputs(melody: Path, output: Path, selection: SelectionArguments) -> list[Path | None]:
    """Return the files that are read and must not be overwritten: a rendered file may be, by itself."""
    if selection.source is None:
        return [melody]
    kept = [melody] if melody != selection.source else []
    return [*kept, selection.source if output != selection.source else None]


def check_selection(technique: str, output: Path) -> None:
    """Raise UserError for what cannot be done in a rendered file."""
    if find(technique).edits_notes:
        raise UserError(f"--from: is not for --technique {technique}, which edits the melody")
    if output != STDOUT and output.suffix.lower() == ".wav":
        raise UserError(f"{output}: a selection is played anew in a MIDI file; render sound from that")


def regenerate_selection(
    selection: Selection, source: Path, melody: Path, output: Path, player: Player, options: RenderOptions,
    track: str | None, channel: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Play a selection of `source` anew to the melody of a file, write it, and tell it. Raises UserError."""
    from daemon.offline.regenerate import regenerate_file

    with report_write_errors(output), show_progress(f"playing anew in {source.name}") as progress:
        done = regenerate_file(
            *(source, output, selection, player, options, progress),
            heard=None if melody == source else melody,
            track=track,
            channel=channel,
        )
    first, last = done.bars
    settings: Settings = options.settings
    facts = {
        "from": str(source),
        "first_bar": first,
        "last_bar": last,
        "technique": settings.technique,
        "style": settings.style,
        "seed": settings.seed,
        "bars": last - first + 1,
        "notes": count_notes(done.parts),
    }
    report_written(output, facts, as_json)
