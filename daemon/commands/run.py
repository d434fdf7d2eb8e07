"""`houseband run`: play along live, through virtual MIDI ports."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from daemon import controls
from daemon.commands.render import control_options, settings_from
from daemon.conductor import Song
from daemon.ports import APIS, PortError
from daemon.refusal import Refusal, refusing
from daemon.worker import PlayerSpec, WorkerError
from music.note import TICKS_PER_BEAT, Metre


@click.command(short_help="Play along live, through virtual MIDI ports.")
@click.option("--technique", default="gan", show_default=True, help="Which player: gan, arcnn or transformer.")
@click.option("--graph", metavar="FILE.onnx", type=click.Path(path_type=Path), help="Weights other than the shipped.")
@click.option("--bpm", metavar="VALUE", default="120", show_default=True, help="Beats per minute.")
@click.option("--metre", default="4/4", show_default=True, help="Time signature.")
@click.option("--pickup", type=float, default=0, metavar="BEATS", help="The first note comes so long before bar 1.")
@click.option("--count-in", type=int, default=0, metavar="BARS", help="Click first; the clicks say where bar 1 is.")
@control_options
@click.option("--api", type=click.Choice(["auto", *APIS]), default="auto", show_default=True, help="MIDI system.")
@click.option("--in-port", metavar="NAME", help="Listen to this existing port instead of a virtual one.")
@click.option("--out-port", metavar="NAME", help="Play to this existing port instead of a virtual one.")
@click.option("--record", metavar="FILE.mid", type=click.Path(path_type=Path), help="Write the take at the end.")
@click.option("--report", metavar="FILE.json", type=click.Path(path_type=Path), help="Write figures at the end.")
@click.option("-v", "--verbose", count=True, help="Say more; twice: everything.")
def command(
    technique: str,
    graph: Path | None,
    bpm: str,
    metre: str,
    pickup: float,
    count_in: int,
    assigned: tuple[str, ...],
    api: str,
    in_port: str | None,
    out_port: str | None,
    record: Path | None,
    report: Path | None,
    verbose: int,
    **values: str | None,
) -> None:
    """Open the MIDI input `houseband in` and the output `houseband out`, and play along with what is heard.

    The first note starts the band and is bar 1, beat 1. Bass is on channel 2, chords on 3, pad on 4, drums on 10.
    Ctrl-C ends it and leaves no note on.

    Windows has no virtual ports: make two with loopMIDI, called `houseband in` and `houseband out`, or name others
    with --in-port and --out-port.
    """
    start_logging(verbose)
    from daemon.live import Setup, play  # after the options have been looked at

    with refusing(controls.ControlError, PortError, WorkerError):
        setup = Setup(
            player=PlayerSpec("daemon.players.load:load_player", (technique, None if graph is None else str(graph))),
            song=song_from(bpm, metre, pickup, count_in),
            settings=lambda styles: settings_from(values, assigned, styles),
            api=api,
            in_port=in_port,
            out_port=out_port,
            record=record,
            report=report,
        )
        try:
            play(
                setup,
                lambda ports, settings: click.echo(
                    ready_line(ports.api, ports.names, setup.song, settings.style), err=True
                ),
            )
        except OSError as error:
            raise Refusal(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None
    if record is not None:
        click.echo(f"take written to {record}", err=True)


def song_from(bpm: str, metre: str, pickup: float, count_in: int) -> Song:
    """The song that the options describe. Raises ControlError for the bpm, Refusal for the others."""
    beats = controls.parse("bpm", bpm)
    assert isinstance(beats, float)
    try:
        numerator, _, denominator = metre.partition("/")
        signature = Metre(int(numerator), int(denominator))
    except ValueError:
        raise Refusal(f"--metre takes a time signature such as 4/4, 3/4 or 6/8, not {metre!r}") from None
    ticks = round(pickup * TICKS_PER_BEAT)
    if not 0 <= ticks < signature.ticks_per_bar:
        raise Refusal(f"--pickup takes beats from 0 to less than a bar of {metre}, not {pickup:g}")
    if count_in < 0:
        raise Refusal(f"--count-in takes a number of bars from 0, not {count_in}")
    return Song(bpm=beats, metres=((0, signature),), pickup=ticks, count_in=count_in)


def ready_line(api: str, names: tuple[str, str], song: Song, style: str) -> str:
    """What is said when it can begin."""
    begin = f"{song.count_in} bars of count-in" if song.count_in else "the first note starts the band"
    return (
        f"houseband is ready on {api}: play into '{names[0]}', the band answers on '{names[1]}' "
        f"({style}, {song.bpm:g} bpm, {song.metres[0][1]}); {begin}, Ctrl-C ends it"
    )


def start_logging(verbose: int) -> None:
    """Messages to stderr: warnings, with -v what happens, with -vv everything."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
