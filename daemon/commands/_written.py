"""Telling what a command has written: a line for people, an object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from music.files import STDOUT
from music.midi_text import make_printable

json_option = click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")


def report_written(output: Path, facts: Mapping[str, Any], as_json: bool) -> None:
    """Print what was written: to standard output, or to standard error where the file itself goes there.

    facts: `bars`, `seconds`, `notes` (part -> number of notes) and `lufs` (stem -> loudness) are told as text, all of
    them in JSON.
    """
    to_stderr = output == STDOUT
    if as_json:
        click.echo(json.dumps({"file": str(output), **facts}, ensure_ascii=False, indent=1), err=to_stderr)
        return
    parts = [f"{count} {'bar' if count == 1 else 'bars'}" for count in (facts.get("bars"),) if count is not None]
    if (seconds := facts.get("seconds")) is not None:
        parts.append(f"{int(seconds) // 60}:{int(seconds) % 60:02}")
    parts += [f"{part} {count}" for part, count in facts.get("notes", {}).items() if count]
    unit = " notes" if any(facts.get("notes", {}).values()) else ""
    name = "standard output" if to_stderr else make_printable(str(output))
    click.echo(f"{name}: {', '.join(parts)}{unit}", err=to_stderr)
    if loudness := facts.get("lufs"):
        told = [f"{stem} {lufs:.1f}" for stem, lufs in loudness.items() if lufs is not None]
        click.echo(f"loudness: {', '.join(told)} LUFS", err=to_stderr)


def count_notes(parts: Mapping[str, Sequence[object]]) -> dict[str, int]:
    """Return the number of notes of each part."""
    return {part: len(notes) for part, notes in parts.items()}
