"""Charts as plain text: what is written is read back as the same chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from music.charts.chart import Chart, ChartBar, PlacedChord
from music.midi_text import make_printable


def clean_text(text: str) -> str:
    """Return a title or a name as a line of a plain chart can hold it: in printable words, without bar lines."""
    return " ".join(make_printable(" ".join(text.split())).replace("|", "/").split())


def restate_chords(chart: Chart) -> Chart:
    """Return a chart each of whose bars says which chord it begins with, from the first chord of all on."""
    held = chart.list_bars()
    first = next((index for index, bar in enumerate(chart.bars) if bar.chords), len(held))
    bars = [replace(bar, chords=held[i]) if i > first else bar for i, bar in enumerate(chart.bars)]
    return replace(chart, bars=bars)


def place_on_beats(chart: Chart) -> Chart:
    """Return a chart whose chords stand on beats, or divide their bar evenly: those between two, on the nearest.

    A chord nearest to the next bar's first beat begins there, unless repeats or jumps say which bar is next. Of several
    chords on one beat the last one stays.
    """
    is_linear = chart.order == list(range(len(chart.bars)))
    bars: list[ChartBar] = []
    late: list[PlacedChord] = []  # of the bar before
    for number, bar in enumerate(chart.bars, 1):
        chords = bar.chords if bar.chords and bar.chords[0].beat == 1 else [*late, *bar.chords]
        late = []
        if not _divide_evenly(chords, bar.metre.numerator):
            last = bar.metre.numerator
            placed = {min(last + 1, int(chord.beat + Fraction(1, 2))): chord.name for chord in chords}
            if last + 1 in placed:
                name = placed.pop(last + 1)
                if is_linear and number < len(chart.bars):
                    late = [PlacedChord(Fraction(1), name)]
                else:
                    placed[last] = name
            chords = [PlacedChord(Fraction(beat), name) for beat, name in sorted(placed.items())]
        bars.append(replace(bar, chords=list(chords)))
    return replace(chart, bars=bars)


def _divide_evenly(chords: Sequence[PlacedChord], beats: int) -> bool:
    """Tell whether chords begin at equal parts of a bar, as symbols fewer than its beats stand for."""
    part = Fraction(beats, max(1, len(chords)))
    is_written = len(chords) <= beats and (2 * part).denominator == 1
    return is_written and all(chord.beat == 1 + part * number for number, chord in enumerate(chords))


def format_text(chart: Chart, bars_a_line: int = 4) -> str:
    """Return a chart as plain text, which `parse_text` reads back to the same bars and order.

    Chords between two beats stand on the nearest beat, as `place_on_beats` has them; where jumps (D.C., D.S., coda)
    lead, the bars stand as they are played. A chart without bars is its chords in a row.
    """
    chart = place_on_beats(chart)
    headers = {"Title": clean_text(chart.title), "Composer": clean_text(chart.composer), "Key": chart.key}
    headers["Time"] = str(chart.metre)
    if chart.tempo_bpm is not None:
        headers["Tempo"] = f"{chart.tempo_bpm:g}"
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    if chart.sequence is not None:
        return "\n".join([*lines, "", " ".join(name.symbol for name in chart.sequence), ""])
    if chart.bars and not chart.bars[0].section:
        lines.append("")
    has_jumps = any(bar.jump for bar in chart.bars)
    bars = [replace(chart.bars[i], repeat_start=False, repeat_end=0, endings=frozenset()) for i in chart.order]
    row: list[str] = []
    metre = chart.metre
    for index, bar in enumerate(bars if has_jumps else chart.bars):
        is_new_metre = bar.metre != metre
        if bar.section or is_new_metre or len(row) == bars_a_line:
            _end_row(lines, row)
        if bar.section:
            lines += ["", f"[{clean_text(bar.section).replace(']', ')')}]"]
        if is_new_metre:
            metre = bar.metre
            lines.append(f"Time: {metre}")
        before = chart.bars[index - 1] if index and not has_jumps else None
        row.append(_format_bar(bar, before))
    _end_row(lines, row)
    return "\n".join([*lines, ""])


def _end_row(lines: list[str], row: list[str]) -> None:
    """Write the bars that have been collected as one line."""
    if not row:
        return
    is_ended = row[-1].rpartition(" ")[2].startswith((":|", "x"))
    lines.append(" ".join(row) + ("" if is_ended else " |"))
    row.clear()


def _format_bar(bar: ChartBar, before: ChartBar | None) -> str:
    begins_ending = bar.endings and (before is None or before.endings != bar.endings or before.repeat_end)
    opening = "|:" if bar.repeat_start else "|"
    opening += f"{','.join(map(str, sorted(bar.endings)))}." if begins_ending else ""
    closing = (" :|" + (f" x{bar.repeat_end}" if bar.repeat_end > 2 else "")) if bar.repeat_end else ""
    return f"{opening} {' '.join(_list_symbols(bar))}{closing}"


def _list_symbols(bar: ChartBar) -> list[str]:
    beats, chords = bar.metre.numerator, bar.chords
    if not chords:
        return ["/"]
    if _divide_evenly(chords, beats):
        return [chord.name.symbol for chord in chords]
    symbols = ["/"] * beats
    for chord in chords:
        symbols[int(chord.beat) - 1] = chord.name.symbol
    return symbols
