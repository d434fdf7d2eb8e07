"""Chords in MIDI files: markers or texts that are chord symbols."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from music import smf
from music.charts.chart import MAX_BARS, Chart, ChartBar, ChartMetre, PlacedChord, make_error
from music.charts.chord_names import ChordName, guess_key, parse_chord_name
from music.charts.text_lines import finish_bars
from music.midi_text import decode_text
from music.midifile import MidiFileError, Song
from music.note import TICKS_PER_BEAT
from music.track_names import fold_name

_LYRIC, _CUE = 0x05, 0x07
#: Kinds of text that may hold chords, the likelier ones first.
_KINDS = (smf.MARKER, smf.TEXT, _CUE, _LYRIC)
#: Words in the name of a track whose texts are chords.
_CHORD_TRACKS = ("harmony", "chord", "changes")
#: Names of first tracks that are no title.
_NO_TITLES = ("", "melody", "tempo", "conductor", "track", "piano", "control")
#: The beginning of a text that says which program has written a file.
_PROGRAM = "houseband take "
#: Chords are placed on twelfths of a beat (of the metre's lower figure).
_GRID = 12
_KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR_KEYS = ("Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m")


def parse_midi_texts(data: bytes, path: Path) -> Chart:
    """Return the chart that the chord symbols in a MIDI file make, bars by its time signatures.

    Raises ChartError for a file that cannot be read or holds no chord symbols.
    """
    try:
        file = smf.parse(data)
    except (MidiFileError, ValueError) as error:
        raise make_error(path, str(error)) from None
    texts = _find_chord_texts(file)
    if not texts:
        raise make_error(path, "the file has no markers or texts that are chord symbols")
    end = max((event[0] for track in file.tracks for event in track.events), default=0)
    chart = Chart("midi", _find_title(file, {tick for tick, _ in texts}))
    bars = _lay_out_bars(_list_metres(file), file.division, max(end, texts[-1][0] + 1))
    if bars and len(bars) > 1 and _is_pickup(bars):
        chart.has_pickup = True
        bars = bars[1:]
    chart.first_bar_tick = bars[0][0]
    chart.metre = bars[0][1]
    chart.bars = _fill_bars(bars, texts, file.division)
    chart.key = _find_key(file) or _guess_key(texts)
    return finish_bars(chart, path)


def chart_markers(song: Song) -> Chart:
    """Return the chart that the markers of a song's track `harmony` make, from the beginning of the file on.

    Raises ChartError where there are none.
    """
    texts = list(_read_chords(song.markers))
    if not texts:
        raise make_error(song.name, "the file has no track `harmony` with chords")
    bars = _lay_out_bars(
        [(tick, ChartMetre(metre.numerator, metre.denominator)) for tick, metre in song.metres],
        TICKS_PER_BEAT,
        max(song.end, texts[-1][0] + 1),
    )
    chart = Chart("midi", key=_guess_key(texts), metre=bars[0][1], bars=_fill_bars(bars, texts, TICKS_PER_BEAT))
    return finish_bars(chart, Path(song.name))


def _guess_key(texts: Sequence[tuple[int, ChordName]]) -> str:
    return guess_key([name for _, name in texts if name.quality is not None] or [texts[-1][1]])


def _find_chord_texts(file: smf.SmfFile) -> list[tuple[int, ChordName]]:
    """Return (tick, chord) of the texts that are chords: those of one track and kind, of which most are."""
    best: tuple[tuple[bool, float, int], list[tuple[int, ChordName]]] | None = None
    for track in file.tracks:
        name = fold_name(next((decode_text(body) for _, body in track.find_bodies(smf.TRACK_NAME)), ""))
        for kind in _KINDS:
            texts = [(tick, decode_text(body)) for tick, body in track.find_bodies(kind)]
            chords = list(_read_chords(texts))
            if not chords or 2 * len(chords) < len(texts):
                continue
            rank = (any(word in name for word in _CHORD_TRACKS), len(chords) / len(texts) > 0.8, len(chords))
            if best is None or rank > best[0]:
                best = rank, chords
    return best[1] if best else []


def _read_chords(texts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, ChordName]]:
    for tick, text in texts:
        try:
            yield tick, parse_chord_name(text)
        except ValueError:
            continue


def _find_title(file: smf.SmfFile, chord_ticks: set[int]) -> str:
    first = file.tracks[0]
    for kind in (smf.TRACK_NAME, smf.TEXT):
        for tick, body in first.find_bodies(kind):
            text = decode_text(body)
            is_chord = tick in chord_ticks and any(True for _ in _read_chords([(tick, text)]))
            is_title = fold_name(text) not in _NO_TITLES and not text.startswith(_PROGRAM)
            if tick == 0 and not is_chord and is_title:
                return text
    return ""


def _find_key(file: smf.SmfFile) -> str:
    for track in file.tracks:
        for _, body in track.find_bodies(smf.KEY_SIGNATURE):
            sharps = body[0] - 256 if body[0] > 127 else body[0]
            if len(body) == 2 and -7 <= sharps <= 7:
                return (_MINOR_KEYS if body[1] else _KEYS)[sharps + 7]
    return ""


def _list_metres(file: smf.SmfFile) -> list[tuple[int, ChartMetre]]:
    return sorted(
        (tick, ChartMetre(body[0], 1 << body[1]))
        for track in file.tracks
        for tick, body in track.find_bodies(smf.TIME_SIGNATURE)
        if len(body) >= 2 and body[0] and body[1] <= 5
    )


def _lay_out_bars(
    signatures: Sequence[tuple[int, ChartMetre]], division: int, end: int
) -> list[tuple[int, ChartMetre]]:
    """Return (tick, metre) of every bar that begins before the end, `division` ticks to the quarter."""
    bars: list[tuple[int, ChartMetre]] = []
    tick, metre, index = 0, ChartMetre(4, 4), 0
    while tick < max(end, 1) and len(bars) < MAX_BARS:
        while index < len(signatures) and signatures[index][0] <= tick:
            metre, index = signatures[index][1], index + 1
        bars.append((tick, metre))
        length = max(1, division * 4 * metre.numerator // metre.denominator)
        following = signatures[index][0] if index < len(signatures) else None
        tick = min(tick + length, following) if following is not None else tick + length
    return bars


def _is_pickup(bars: list[tuple[int, ChartMetre]]) -> bool:
    """Tell whether the first bar is shorter than the second, which has another metre."""
    (_, first), (_, second) = bars[:2]
    return first != second and first.numerator * second.denominator < second.numerator * first.denominator


def _fill_bars(bars: list[tuple[int, ChartMetre]], texts: list[tuple[int, ChordName]], division: int) -> list[ChartBar]:
    starts = [tick for tick, _ in bars]
    found: list[dict[Fraction, ChordName]] = [{} for _ in bars]
    for tick, name in texts:
        index = max(0, bisect_right(starts, tick) - 1)
        metre = bars[index][1]
        beat = Fraction(round(Fraction((tick - starts[index]) * metre.denominator * _GRID, 4 * division)), _GRID)
        if beat >= metre.numerator and index + 1 < len(bars):
            index, beat = index + 1, Fraction(0)
        found[index][1 + max(Fraction(0), beat)] = name
    return [
        ChartBar(metre, [PlacedChord(beat, name) for beat, name in chords.items()])
        for (_, metre), chords in zip(bars, found, strict=True)
    ]
