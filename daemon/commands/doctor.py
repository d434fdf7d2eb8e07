"""`houseband doctor`: look for what keeps this machine from playing well, and name the remedies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.config.cli_options import make_key_option
from music.errors import UserError

if TYPE_CHECKING:
    from daemon.diagnostics.check import BandSetup, CheckResult

#: state of a result -> how its line begins, and in which colour
_MARKS = {"good": ("ok  ", "green"), "odd": ("hmm ", "yellow"), "bad": ("BAD ", "red")}


@click.command(short_help="Say what is wrong with this machine's MIDI, timing or sound, and the remedy.")
@click.option("--config", "file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Another configuration.")
@make_key_option("api")
@make_key_option("technique")
@make_key_option("graph")
@make_key_option("soundfont", help="The soundfont to check.")
@click.option("--daw", is_flag=True, help="Measure instead how late the band is heard in the DAW.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, /, file: Path | None, daw: bool, as_json: bool, **options: object) -> None:
    """Check this machine and print what is wrong with it, with the remedy.

    Checked are the configuration, the MIDI system, permissions, real-time scheduling, memory locking, the graph, how
    fast this machine is, audio, the folder of takes, and the studio. Where no option is given the configuration holds,
    so it is the band you play with that is checked.

    With --daw it opens the band's ports, says how to have the DAW send back what it hears, and measures that loop: by
    so much the band has to be ahead of the DAW's clock (`latency_ms`), and whether it is so by itself.

    Exit status 1 where the band cannot play, or nothing comes back.
    """
    if daw:
        _measure_daw(file, options, as_json=as_json)
        return
    from daemon.diagnostics.doctor import DoctorReport, run_checks

    show = (lambda _: None) if as_json else _print
    setup, configuration = _read_setup(file, options)
    show(configuration)
    checked = run_checks(setup, show)
    report = DoctorReport((configuration, *checked.results), checked.figures)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
    else:
        click.echo(f"\n{report.summary}")
    context.exit(0 if report.fit else 1)


def _measure_daw(file: Path | None, options: Mapping[str, object], *, as_json: bool) -> None:
    from contextlib import closing

    from daemon.config.cli_options import load_config
    from daemon.diagnostics.daw_loop import measure_daw_loop
    from daemon.midi.backends import open_ports
    from daemon.midi.ports import PortRequest

    config = load_config(file, values=options).config
    request = PortRequest(config.api, config.output, config.in_port or None, config.out_port or None, wait=True)
    with closing(open_ports(request)) as ports:
        found = measure_daw_loop(ports, lambda text: click.echo(text, err=True))
    click.echo(json.dumps(found.as_json(), indent=1) if as_json else found.describe())


def _print(result: CheckResult) -> None:
    mark, colour = _MARKS[result.state]
    click.echo(click.style(mark, fg=colour) + f"{result.subject}: {result.message}")
    if result.remedy:
        click.echo(f"      -> {result.remedy}")


def _read_setup(file: Path | None, options: Mapping[str, object]) -> tuple[BandSetup, CheckResult]:
    """Return what the band plays with, and the result of reading it; the defaults where it cannot be read."""
    from daemon.config.cli_options import load_config
    from daemon.config.reading import build_config
    from daemon.diagnostics.check import BAD, GOOD, BandSetup, CheckResult
    from daemon.takes.storage import find_folder

    subject = "configuration"
    try:
        loaded = load_config(file, values=options)
        config, found = loaded.config, loaded.file
        if found is None:
            text = "none, the defaults hold (you have no home folder for one)"
        else:
            text = str(found) if found.exists() else f"none, the defaults hold ({found} is where it would be)"
        result = CheckResult(subject, GOOD, text)
    except UserError as error:
        config = build_config(values={key: value for key, value in options.items() if value is not None})
        result = CheckResult(subject, BAD, str(error), "correct that line: houseband config --edit")
    try:
        takes = find_folder(config.takes)
    except UserError:  # it is said when the band starts
        takes = None
    setup = BandSetup(
        api=config.api,
        technique=config.technique,
        graph=str(config.graph) if config.graph else None,
        soundfont=str(config.soundfont) if config.soundfont else None,
        audio=config.audio,
        takes=takes,
        takes_limit=config.takes_mb << 20,
    )
    return setup, result
