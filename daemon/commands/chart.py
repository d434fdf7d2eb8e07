"""`houseband chart`: show a chord chart."""

from __future__ import annotations

import json

import click

from music.midi_text import make_printable


@click.command(short_help="Show a chord chart as a page of bars.")
@click.argument("source", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: metre, key, every bar as written, the order played.")
def command(source: str, as_json: bool) -> None:
    """Show a chord chart as a page of bars.

    FILE is bars in plain text (`| C | Am7 |`), ChordPro, MusicXML, a page or a text with links of iReal Pro or such a
    link itself, or a MIDI file whose markers or texts are chords. What is printed is a chart in plain text again, so
    this converts any of them: `houseband chart song.mxl > song.txt`.
    """
    from music.charts.chart import describe_charts
    from music.charts.reading import read_charts
    from music.charts.text_writing import format_text

    charts = read_charts(source)
    if as_json:
        click.echo(json.dumps(describe_charts(charts), ensure_ascii=False, indent=1))
        return
    for chart in charts:
        for line in format_text(chart).splitlines():
            click.echo(make_printable(line))
        if len(charts) > 1:
            click.echo()
    untimed = [chart for chart in charts if not chart.is_timed]
    if untimed:
        click.echo("This chart tells the order of its chords, not their bars: write them in a grid.", err=True)
