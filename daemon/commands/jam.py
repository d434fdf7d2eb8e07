"""`houseband jam`: the band plays along with a bundled tune."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from daemon.commands._options import build_settings, control_options, graph_option, technique_option
from daemon.commands._standard_streams import hold_nothing_up, reopen_without_waiting
from daemon.config.cli_options import make_key_option
from daemon.core.counters import Counters
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.midi.backends import API_CHOICES
from daemon.midi.ports import NO_PORTS
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.players.worker import PlayerSpec, PreloadedWorker
from daemon.sound.audio import AudioSetup
from daemon.system.log_setup import start_logging
from music.errors import report_os_errors
from music.files import OutputError, find_free_path
from music.tunes import TUNES


@click.command(short_help="Hear and see the band play along with a bundled tune.")
@click.option("--tune", type=click.Choice([*TUNES]), default="ode", show_default=True, help="Which tune.")
@click.option("--bars", type=click.IntRange(1), metavar="N", help="Only the first N bars of it.")
@make_key_option("bpm", help="Beats per minute instead of the tune's own tempo.")
@technique_option
@graph_option
@make_key_option("chart")
@control_options
@click.option(
    "-o", "--output", metavar="FILE.mid", type=click.Path(path_type=Path), help="A new file  [default: jam-STYLE.mid]"
)
@click.option(
    "--api", type=click.Choice([*API_CHOICES, NO_PORTS]), default="auto", show_default=True, help="MIDI system."
)
@make_key_option("out_port")
@make_key_option("audio")
@make_key_option("soundfont")
@make_key_option("click", "clicks")
@click.option("--plain", is_flag=True, help="A line per bar instead of a piano roll.")
@make_key_option("verbose")
def command(
    tune: str,
    bars: int | None,
    bpm: float | None,
    technique: str,
    graph: Path | None,
    chart: str | None,
    assigned: tuple[str, ...],
    output: Path | None,
    api: str,
    out_port: str | None,
    audio: bool | None,
    soundfont: Path | None,
    clicks: bool | None,
    plain: bool,
    verbose: int,
    **values: object,
) -> None:
    """Let the band play along with a bundled tune, once and in real time; watch it, hear it, keep it.

    Everything is sent to the MIDI port `houseband out` where the machine has MIDI ports, the melody on channel 1, bass
    on 2, chords on 3, pad on 4, drums on 10. What was played is left as a MIDI file.
    """
    reopen_without_waiting(2)
    start_logging(verbose)
    click.get_current_context().with_resource(hold_nothing_up("stdout"))
    _check_new(output)
    chosen = TUNES[tune] if bars is None else TUNES[tune].cut(bars)

    def announce(ports: ReconnectingPorts | None, sound: str | None, settings: Settings) -> None:
        click.echo(f"{chosen.title}: {settings.style}, {technique}")
        click.echo(describe_output(ports, sound))

    spec = PlayerSpec("daemon.players.confined:load_player", (technique, None, 0))
    if graph is not None:
        spec = PlayerSpec("daemon.players.confined:load_player", (technique, str(graph), 0), stand_in=spec)
    with closing(PreloadedWorker(spec)) as preloaded:
        from daemon.harmony.chart_line import open_chart  # imported while the player is loaded
        from daemon.live.jam import JamSetup, play

        setup = JamSetup(
            player=spec,
            tune=chosen,
            bpm=bpm,
            settings=lambda player: _choose_settings(player, values, assigned, chart),
            chart=open_chart(chart).line if chart else None,
            output=lambda style: output or find_free_path(Path(f"jam-{style}.mid")),
            api=api,
            out_port=out_port,
            plain=plain,
            sound=AudioSetup(bool(audio or clicks or soundfont), str(soundfont) if soundfont else None, bool(clicks)),
            preloaded=preloaded,
        )
        with report_os_errors():
            result = play(setup, announce)
    _report(result.counters, result.path)


def _report(counters: Counters, path: Path) -> None:
    """Say how it went, and where the take is."""
    isr = counters.isr
    click.echo(f"in time {isr:.3f}, " if isr is not None else "", nl=False)
    click.echo(f"{counters.onsets} notes; the take, melody and band, is in {path}")
    if counters.failed:
        instead = "; the shipped weights played instead of the graph" if counters.stand_ins else ""
        click.echo(f"{counters.failed} inferences failed{instead}")


def _check_new(output: Path | None) -> None:
    """Raise OutputError for a file that is there already."""
    if output is not None and output.is_file():
        raise OutputError(f"{output}: is there already, and a jam overwrites nothing; name another file")


def _choose_settings(
    player: PlayerInfo, values: Mapping[str, object], assigned: tuple[str, ...], chart: str | None
) -> Settings:
    """Return the settings that the options stand for: the chords are the chart's, where there is one."""
    harmony = "chart" if chart else "melody"
    usual = Settings(player.styles[0], technique=player.techniques[0], harmony=harmony, chart=chart or "")
    return build_settings(values, assigned, player, usual)


def describe_output(ports: ReconnectingPorts | None, sound: str | None) -> str:
    """Return what it plays on, and how to hear it. sound: the name of what makes it audible, None for nothing."""
    heard = f" Sound: {sound}." if sound else ""
    if ports is None:
        hint = heard or " To hear it, use --audio, or open the take in any player."
        return f"No MIDI system here, so melody and band meet inside this program.{hint}"
    hint = (
        heard or " It carries no sound: use --audio, connect it to a synthesiser, or name one's port with --out-port."
    )
    return f"MIDI: {ports.api}, port '{ports.names[1]}'.{hint}"
