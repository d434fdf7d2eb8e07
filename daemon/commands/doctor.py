"""`houseband doctor`: is this machine fit to play on, and what to do where it is not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.midi.rtmidi_ports import APIS

if TYPE_CHECKING:
    from daemon.diagnostics.doctor import Finding, Patient


@click.command(short_help="Say what is wrong with this machine's MIDI, timing or sound, and the remedy.")
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration.")
@click.option("--api", type=click.Choice(["auto", *APIS]), help="MIDI system.")
@click.option("--technique", metavar="NAME", help="Which player: gan, arcnn or transformer.")
@click.option("--graph", metavar="FILE.onnx", help="Weights other than the shipped.")
@click.option("--soundfont", metavar="FILE.sf2", help="The soundfont to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, /, file: Path | None, as_json: bool, **said: str | None) -> None:
    """Look at the configuration, the MIDI system, permissions, real-time scheduling, memory locking, the graph, how
    fast this machine is, audio, and the folder of takes: what was found, and the remedy where something is wrong. What
    no option says is as in the configuration, so it is the band you play with that is looked at.

    Exit status 1 where the band cannot play.
    """
    from daemon.diagnostics.doctor import Examined, examine, verdict

    tell = (lambda _: None) if as_json else _tell
    patient, configuration = _patient(file, said)
    tell(configuration)
    found = examine(patient, tell)
    examined = Examined((configuration, *found.findings), found.figures)
    if as_json:
        findings = [asdict(finding) for finding in examined.findings]
        click.echo(json.dumps({"fit": examined.fit, "findings": findings, "figures": examined.figures}, indent=1))
    else:
        click.echo(f"\n{verdict(examined.findings)}")
    context.exit(0 if examined.fit else 1)


def _tell(finding: Finding) -> None:
    mark, colour = {"good": ("ok  ", "green"), "odd": ("hmm ", "yellow"), "bad": ("BAD ", "red")}[finding.state]
    click.echo(click.style(mark, fg=colour) + f"{finding.what}: {finding.found}")
    if finding.remedy:
        click.echo(f"      -> {finding.remedy}")


def _patient(file: Path | None, said: dict[str, str | None]) -> tuple[Patient, Finding]:
    """What is looked at, and whether the configuration that says so can be used; the defaults where it cannot."""
    from daemon.config import config
    from daemon.config.cli_options import config_from
    from daemon.config.config import ConfigError
    from daemon.diagnostics.doctor import BAD, GOOD, Finding, Patient
    from daemon.takes.recorder import folder

    what = "configuration"
    try:
        chosen = config_from(file, (), {})
        values = chosen.config.values
        text = (
            str(chosen.file)
            if chosen.file.exists()
            else f"none, the defaults hold ({chosen.file} is where it would be)"
        )
        finding = Finding(what, GOOD, text)
    except ConfigError as error:
        values = config.config({}, {}).values
        finding = Finding(what, BAD, str(error), "correct that line: houseband config --edit")
    there = {key: said[key] or str(values[key] or "") or None for key in ("graph", "soundfont")}
    api, technique = (str(said[key] or values[key]) for key in ("api", "technique"))
    kept, limit = folder(str(values["takes"])), int(str(values["takes_mb"])) << 20
    patient = Patient(api, technique, there["graph"], there["soundfont"], bool(values["audio"]), kept, limit)
    return patient, finding
