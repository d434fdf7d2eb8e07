"""`houseband doctor`: is this machine fit to play on, and what to do where it is not."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from daemon.ports import APIS


@click.command(short_help="Say what is wrong with this machine's MIDI, timing or sound, and the remedy.")
@click.option("--api", type=click.Choice(["auto", *APIS]), default="auto", show_default=True, help="MIDI system.")
@click.option("--technique", default="gan", show_default=True, help="Which player: gan, arcnn or transformer.")
@click.option("--graph", metavar="FILE.onnx", help="Weights other than the shipped.")
@click.option("--soundfont", metavar="FILE.sf2", help="The soundfont to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context, api: str, technique: str, graph: str | None, soundfont: str | None, as_json: bool
) -> None:
    """Look at the MIDI system, permissions, real-time scheduling, memory locking, audio, the graph, and how fast this
    machine is: what was found, and the remedy where something is wrong.

    Exit status 1 where the band cannot play.
    """
    from daemon.doctor import BAD, examine

    examined = examine(api, technique, graph, soundfont)
    if as_json:
        found = [asdict(finding) for finding in examined.findings]
        click.echo(json.dumps({"findings": found, "figures": examined.figures}, indent=1))
    else:
        marks = {"good": ("ok  ", "green"), "odd": ("hmm ", "yellow"), "bad": ("BAD ", "red")}
        for finding in examined.findings:
            mark, colour = marks[finding.state]
            click.echo(click.style(mark, fg=colour) + f"{finding.what}: {finding.found}")
            if finding.remedy:
                click.echo(f"      -> {finding.remedy}")
    context.exit(1 if any(finding.state == BAD for finding in examined.findings) else 0)
