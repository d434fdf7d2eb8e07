"""Rendering with an introduction, from the start, and to a final chord."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest

from daemon.control.automation import AutomationPoint
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.harmony.chart_line import ChartLine
from daemon.offline.introduction import add_introduction, find_key
from daemon.offline.render import RenderedSong, RenderOptions, render_file
from music import midifile, smf
from music.analysis.key import read_key
from music.charts.reading import parse_charts
from music.midifile import Part, Song
from music.note import Metre, Note
from tests.support.fakes import FakePlayer

BAR = 96
NAMES = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
SCALE = [Note(24 * i, pitch, 20) for i, pitch in enumerate((60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72))]
TUNE = [*SCALE, Note(288, 60, 90)]  # three bars, and a bar for the last note


def write_root(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """A bass note on every beat, whose pitch class is the root of the chord that is known."""
    tick = step * 6
    if step % 4:
        return {}
    root = next((each.root for each in request.harmony if each.start <= tick < each.end), 0)
    return {"bass": [Note(tick, 36 + root, 20, 80)]}


def player() -> FakePlayer:
    return FakePlayer(write_root, roles=("bass",), styles=("pop", "ballad"))


def chart(text: str) -> ChartLine:
    return ChartLine(parse_charts(text.encode(), Path("song.txt"))[0])


def moved(notes: list[Note], ticks: int) -> list[Note]:
    return [Note(note.start + ticks, note.pitch, note.length, note.velocity) for note in notes]


def render(
    folder: Path, notes: list[Note], options: RenderOptions | None = None, **written: object
) -> tuple[RenderedSong, Song]:
    midifile.write(folder / "in.mid", {"melody": notes}, **written)  # type: ignore[arg-type]
    done = render_file(folder / "in.mid", folder / "out.mid", player(), options or RenderOptions())
    return done, midifile.read(folder / "out.mid")


def roots(song: Song) -> str:
    """The root of the bass at the beginning of every bar."""
    return " ".join(NAMES[n.pitch % 12] for n in song.parts[-1].notes if n.start % BAR == 0)


def starts(song: Song, name: str) -> list[int]:
    part = song.part(name)
    assert part is not None
    return [note.start for note in part.notes]


def with_intro(bars: int, **settings: object) -> RenderOptions:
    return RenderOptions(Settings(intro_bars=bars, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(("bars", "leading"), [(1, "G"), (2, "F G"), (4, "C A F G"), (5, "G C A F G")])
def test_bars_are_added_before_a_melody_that_begins_in_bar_1(tmp_path: Path, bars: int, leading: str) -> None:
    done, song = render(tmp_path, TUNE, with_intro(bars))
    assert starts(song, "melody") == [note.start + bars * BAR for note in TUNE]
    assert (done.begin, done.end) == (0, (bars + 4) * BAR)
    assert starts(song, "bass") == list(range(0, (bars + 4) * BAR, 24))
    assert roots(song).split()[:bars] == leading.split()


def test_bars_that_are_empty_are_used_for_it(tmp_path: Path) -> None:
    _, song = render(tmp_path, moved(TUNE, 3 * BAR), with_intro(4))
    assert starts(song, "melody")[0] == 4 * BAR
    _, song = render(tmp_path, moved(TUNE, 3 * BAR), with_intro(2))
    assert (starts(song, "melody")[0], starts(song, "bass")[0]) == (3 * BAR, BAR)


def test_a_pickup_is_in_the_last_bar_of_the_file_that_it_is_in(tmp_path: Path) -> None:
    pickup = [Note(72, 67, 20), *moved(TUNE, BAR)]
    _, song = render(tmp_path, pickup, with_intro(2))
    assert starts(song, "melody")[:2] == [2 * BAR + 72, 3 * BAR]


def test_from_the_start_the_band_plays_before_the_melody_enters(tmp_path: Path) -> None:
    options = RenderOptions(Settings(start_with="band"))
    done, song = render(tmp_path, moved(TUNE, 4 * BAR), options)
    assert starts(song, "melody")[0] == 4 * BAR
    assert starts(song, "bass") == list(range(0, 8 * BAR, 24))
    assert roots(song).startswith("C A F G")
    assert done.begin == 0
    usual, _ = render(tmp_path, moved(TUNE, 4 * BAR))
    assert usual.begin == 4 * BAR


def test_on_a_chart_it_is_the_last_bars_or_the_section_that_is_called_so(tmp_path: Path) -> None:
    plain = chart("| C | Db | D | Eb |\n")
    options = RenderOptions(Settings(intro_bars=2, harmony="chart"), chart=plain)
    assert roots(render(tmp_path, TUNE, options)[1]) == "D Eb C Db D Eb"
    named = chart("[Intro]\n| Gb | Ab | Bb |\n[A]\n| C | Db | D | Eb |\n")
    options = RenderOptions(Settings(intro_bars=8, harmony="chart"), chart=named)
    _, song = render(tmp_path, TUNE, options)
    assert (roots(song), starts(song, "melody")[0]) == ("Gb Ab Bb C Db D Eb", 3 * BAR)


def test_tempo_metre_and_all_else_move_with_the_melody(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    first, track = mido.MidiTrack(), mido.MidiTrack()
    first += [
        mido.MetaMessage("time_signature", numerator=3, denominator=4), mido.MetaMessage("set_tempo", tempo=400_000),
        mido.MetaMessage("key_signature", key="Eb"), mido.MetaMessage("marker", text="Verse"),
        mido.MetaMessage("set_tempo", tempo=600_000, time=1440),
        mido.MetaMessage("time_signature", numerator=4, denominator=4, time=1440),
    ]  # fmt: skip
    track += [
        mido.MetaMessage("track_name", name="melody"), mido.Message("program_change", program=73),
        mido.Message("control_change", control=64, value=127), mido.Message("note_on", note=63, velocity=80),
        mido.Message("note_off", note=63, time=2000), mido.Message("control_change", control=64, value=0),
        mido.Message("note_on", note=63, velocity=80, time=880), mido.Message("note_off", note=63, time=1920),
    ]  # fmt: skip
    file.tracks += [first, track]
    file.save(tmp_path / "in.mid")
    render_file(tmp_path / "in.mid", tmp_path / "out.mid", player(), with_intro(2))
    song = midifile.read(tmp_path / "out.mid")
    assert song.metres == ((0, Metre(3, 4)), (288, Metre(4, 4)))
    assert song.tempos == ((0, 400_000), (216, 600_000))
    assert [note.start for part in song.parts if part.name == "melody" for note in part.notes] == [144, 288]
    assert song.source is not None
    found = {
        (status, first): tick
        for each in song.source.tracks[:2]
        for tick, status, first, _, _ in each.events
        if (status, first) in ((smf.META, smf.MARKER), (smf.META, smf.KEY_SIGNATURE), (0xC0, 73))
    }
    assert found == {(smf.META, smf.MARKER): 2880, (smf.META, smf.KEY_SIGNATURE): 0, (0xC0, 73): 0}
    assert roots(song).split()[0] == "Ab"  # the last two bars of the turnaround in E flat


@pytest.mark.parametrize(
    ("notes", "key"),
    [
        (SCALE, "C"), ([Note(n.start, n.pitch + 7, n.length) for n in SCALE], "G"),
        ([Note(24 * i, p, 20) for i, p in enumerate((57, 59, 60, 62, 64, 65, 68, 69, 64, 60, 57))], "A minor"),
    ],
)  # fmt: skip
def test_a_file_that_names_no_key_is_in_the_one_that_its_melody_fits(notes: list[Note], key: str) -> None:
    melody = Part("melody", tuple(notes), 0, 0)
    assert find_key(Song((melody,)), melody) == read_key(key)


def test_the_same_song_comes_back_where_nothing_is_wanted() -> None:
    melody = Part("melody", tuple(TUNE), 0, 0)
    song = Song((melody,))
    assert add_introduction(song, melody, Settings(), None)[0] is song
    assert add_introduction(song, melody, Settings(start_with="band"), None)[0] is song


# The final chord


def final(song: Song) -> tuple[int, int]:
    part = song.part("bass")
    assert part is not None
    return part.notes[-1].start, part.notes[-1].length


def test_the_final_chord_is_that_of_the_last_note_and_is_held_to_the_end(tmp_path: Path) -> None:
    _, song = render(tmp_path, TUNE, RenderOptions(ending=True))
    assert final(song) == (288, 96)
    _, song = render(tmp_path, [*SCALE, Note(300, 60, 60)], RenderOptions(ending=True))
    assert final(song) == (300, 84)
    done, song = render(tmp_path, [*SCALE, Note(372, 60, 12)], RenderOptions(ending=True))
    assert (final(song), done.end) == ((372, 108), 480)


def test_before_the_final_chord_of_a_ballad_the_tempo_goes_down_in_the_file(tmp_path: Path) -> None:
    options = RenderOptions(Settings(style="ballad"), ending=True)
    _, song = render(tmp_path, TUNE, options, tempos=[(0, 500_000), (100, 400_000), (250, 450_000)])
    tempos = dict(song.tempos)
    assert [tempos[0], tempos[100]] == [500_000, 400_000]
    assert tempos[288] == 450_000 * 100 // 68
    assert sorted(tempos)[2:4] == [198, 204]
    assert starts(song, "melody") == [note.start for note in TUNE]


def test_with_an_introduction_and_an_ending_nothing_hangs(tmp_path: Path) -> None:
    _, song = render(tmp_path, TUNE, RenderOptions(Settings(style="ballad", intro_bars=2), ending=True))
    assert final(song) == (480, 96)
    assert starts(song, "bass")[0] == 0


def test_an_ending_that_is_asked_for_on_the_way_slows_down_the_melody_too_and_then_goes_on(tmp_path: Path) -> None:
    automation = (AutomationPoint(100, "ending", True), AutomationPoint(300, "start", True))
    options = RenderOptions(Settings(style="ballad"), automation=automation)
    heard = player()
    midifile.write(tmp_path / "in.mid", {"melody": moved(TUNE, 0) + [Note(384 + 24 * i, 60, 20) for i in range(4)]})
    done = render_file(tmp_path / "in.mid", tmp_path / "out.mid", heard, options)
    assert max(request.heard or 0 for request in heard.asked if request.now <= 32) == 189
    tempos = dict(done.tempos)
    assert (tempos[192], tempos[288]) == (500_000 * 100 // 70, 500_000)
    told = [note.start for note in heard.asked[-1].melody if note.start >= 384]
    assert told == [384, 408, 432, 456]
