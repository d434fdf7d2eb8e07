"""Some bars of some roles played anew: what changes, and that nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import mido
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli import main
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.offline.note_replacement import EditInPlaceError, FileNote, MidiBytes, TrackSpan
from daemon.offline.regenerate import Selection, SelectionError, parse_selection, read_chords, regenerate
from daemon.offline.render import RenderOptions, render_file
from music import midifile
from music.note import ROLES, Metre, Note
from tests.support.fakes import FakePlayer
from tests.support.smf_bytes import file, track

BAR = 1920
Events = list[tuple[int, bytes]]


def seeded(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """Notes that tell the seed by their pitch, each as long as the step but the pad's, which sound for a bar."""
    at, seed = step * 6, request.settings.seed
    notes = {role: [Note(at, 40 + 10 * index + seed, 6, 80)] for index, role in enumerate(("bass", "chords"))}
    drums = [Note(at, 36 + seed, 2, 90)]
    return {**notes, "pad": [Note(at, 80 + seed, 96, 70)] if step % 16 == 8 else [], "drums": drums}


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    """A file of eight bars in three metres that was rendered with seed 0."""
    tune = [Note(beat * 24, 60 + beat % 5, 22) for beat in range(28)]
    midifile.write(tmp_path / "in.mid", {"melody": tune}, metres=((0, Metre()), (192, Metre(3, 4))))
    render_file(tmp_path / "in.mid", tmp_path / "out.mid", FakePlayer(seeded))
    return tmp_path / "out.mid"


def again(path: Path, selection: Selection, player: FakePlayer | None = None, **settings: object) -> bytes:
    options = RenderOptions(Settings(seed=9, **settings))  # type: ignore[arg-type]
    return regenerate(path.read_bytes(), selection, player or FakePlayer(seeded), options).data


def chunks(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        found.append(data[at:end])
        at = end
    return found


def events(chunk: bytes) -> Events:
    [only] = mido.MidiFile(file=BytesIO(file(chunk, division=480))).tracks
    tick, found = 0, []
    for message in only:
        tick += message.time
        found.append((tick, bytes(message.bytes())))
    return found


@pytest.mark.parametrize("roles", [("bass",), ("chords", "pad"), ("drums",), ROLES])
def test_the_selection_is_played_anew_and_the_rest_stays_to_the_byte(rendered: Path, roles: tuple[str, ...]) -> None:
    before, after = chunks(rendered.read_bytes()), chunks(again(rendered, Selection(3, 4, roles)))
    begin, end = 2 * BAR, 2 * BAR + 2 * 1440  # bars of 3/4
    for old, new in zip(before, after, strict=True):
        name = next((role for role in ROLES if b"\x03" + bytes([len(role)]) + role.encode() in old), "")
        if name not in roles:
            assert old == new
            continue
        outside = [[event for event in events(each) if not begin <= event[0] < end] for each in (old, new)]
        assert outside[0] == outside[1]
        pitches = {each[1][1] for each in events(new) if begin <= each[0] < end - 1 and each[1][0] >> 4 == 9}
        assert pitches == {{"bass": 49, "chords": 59, "pad": 89, "drums": 45}[name]}


def test_the_same_seed_again_is_the_same_to_the_byte(rendered: Path) -> None:
    first = again(rendered, Selection(3, 4, ("bass", "pad")))
    assert again(rendered, Selection(3, 4, ("bass", "pad"))) == first
    rendered.write_bytes(first)
    assert again(rendered, Selection(3, 4, ("bass", "pad"))) == first


def test_every_note_that_begins_is_ended_whatever_is_selected(rendered: Path) -> None:
    rendered.write_bytes(again(rendered, Selection(2, 3, ("pad",))))
    done = midifile.parse(again(rendered, Selection(3, 6, ROLES)))
    for part in done.parts:
        assert done.mended == ""
        assert all(note.end <= done.end for note in part.notes)


def test_what_sounded_on_behind_the_selection_sounds_on(rendered: Path) -> None:
    """The pad's note from the middle of bar 1 goes on into bar 2, and the one of bar 2 into bar 3."""
    pad = next(part for part in midifile.parse(again(rendered, Selection(2, 2, ("pad",)))).parts if part.name == "pad")
    at = {note.start: (note.pitch, note.end) for note in pad.notes}
    assert at[48] == (80, 144)  # from before
    assert at[144] == (89, 192)  # new, and ended with the bar
    assert at[192] == (80, 240)  # taken up again right before the line


def test_a_role_that_has_no_track_gets_one(rendered: Path, tmp_path: Path) -> None:
    song = midifile.read(rendered)
    midifile.write(tmp_path / "bare.mid", {"melody": song.parts[0].notes}, metres=song.metres)
    done = midifile.parse(again(tmp_path / "bare.mid", Selection(2, 2, ("bass",))))
    assert [(part.name, part.channel, len(part.notes)) for part in done.parts] == [("melody", 0, 28), ("bass", 1, 16)]
    assert (
        chunks(again(tmp_path / "bare.mid", Selection(2, 2, ("bass",))))[1:3]
        == chunks((tmp_path / "bare.mid").read_bytes())[1:]
    )


def test_the_player_hears_the_other_roles_and_their_chords(rendered: Path) -> None:
    player = FakePlayer(seeded)
    again(rendered, Selection(3, 3, ("bass",)), player)
    request = next(each for each in player.asked if each.now == 32)
    assert {note.pitch for note in request.committed["chords"]} == {50}
    assert {note.pitch for note in request.committed["bass"]} == {49}  # its own, from before the selection
    assert max(note.start for note in request.committed["drums"]) == 31 * 6


def test_the_chords_of_the_other_roles_are_played_on() -> None:
    triad = [Note(0, pitch, 48) for pitch in (60, 64, 67)] + [Note(48, pitch, 24) for pitch in (57, 60, 64)]
    chords = read_chords({"chords": triad, "drums": [Note(72, 36, 4)]})
    assert [(chord.start, chord.root, chord.list_tones()) for chord in chords] == [
        *((0, 0, [0, 4, 7]), (24, 0, [0, 4, 7])),
        (48, 9, [0, 4, 9]),
    ]
    over_g = read_chords({"chords": triad, "bass": [Note(0, 43, 24)]})
    assert (over_g[0].bass, over_g[1].bass) == (7, 0)


def test_chords_that_the_file_was_rendered_with_are_given_again(tmp_path: Path) -> None:
    tune = [Note(beat * 24, 60, 22) for beat in range(16)]
    markers = [(0, "C:maj"), (96, "F:maj"), (192, "G:7"), (288, "C:maj")]
    midifile.write(tmp_path / "out.mid", {"melody": tune, "bass": [Note(0, 40, 12)]}, harmony=markers)
    player = FakePlayer(seeded)
    again(tmp_path / "out.mid", Selection(3, 3, ("bass",)), player)
    request = next(each for each in player.asked if each.now == 32)
    assert next(chord.root for chord in request.harmony if chord.start <= 192 < chord.end) == 7


def test_bars_before_the_melody_are_played_anew_too(tmp_path: Path) -> None:
    tune = [Note(192 + beat * 24, 60, 22) for beat in range(8)]
    midifile.write(tmp_path / "out.mid", {"melody": tune, "bass": [Note(24 * beat, 40, 12) for beat in range(16)]})
    done = midifile.parse(again(tmp_path / "out.mid", Selection(2, 2, ("bass",))))
    bass = next(part for part in done.parts if part.name == "bass")
    at = {note.start // 96 + 1: note.pitch for note in bass.notes}
    assert at == {1: 40, 2: 49, 3: 40, 4: 40}


def test_behind_the_melody_nothing_is_taken_away(tmp_path: Path) -> None:
    bass = [Note(24 * beat, 40, 12) for beat in range(24)]
    midifile.write(tmp_path / "out.mid", {"melody": [Note(0, 60, 180)], "bass": bass})
    with pytest.raises(SelectionError, match="bar 3: the band does not play there"):
        again(tmp_path / "out.mid", Selection(3, 4))
    done = regenerate((tmp_path / "out.mid").read_bytes(), Selection(2, 6), FakePlayer(seeded), RenderOptions())
    assert done.bars == (2, 2)
    kept = next(part for part in midifile.parse(done.data).parts if part.name == "bass")
    assert [note for note in kept.notes if note.start >= 192] == [note for note in bass if note.start >= 192]


@pytest.mark.parametrize(
    ("bars", "roles", "wanted"),
    [
        ("bars=5-6", "bass", Selection(5, 6, ("bass",))),
        ("5-6", " Bass, drums,bass ", Selection(5, 6, ("bass", "drums"))),
        ("bar = 7", "", Selection(7, 7)),
        ("", "pad", Selection(None, None, ("pad",))),
    ],
)
def test_selections_are_read(bars: str, roles: str, wanted: Selection) -> None:
    assert parse_selection(bars, roles) == wanted


@pytest.mark.parametrize(
    ("bars", "roles", "sentence"),
    [
        ("bars=6-5", "", "no bars 6-5"),
        ("bars=0", "", "no bars 0-0"),
        ("verse", "", "say bars=5-6"),
        ("bars=99999999", "", "say bars=5-6"),
        ("", "oboe", "there are bass, chords, pad, drums"),
        ("", ",", "no role is selected"),
    ],
)
def test_what_is_no_selection_is_refused(bars: str, roles: str, sentence: str) -> None:
    with pytest.raises(SelectionError, match=sentence):
        parse_selection(bars, roles)


def test_bars_that_the_song_does_not_have_are_refused(rendered: Path) -> None:
    with pytest.raises(SelectionError, match="has no bar 40; it has 9"):
        again(rendered, Selection(40, 41))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-30], lambda data: data + b"junk", lambda data: data.replace(b"MTrk", b"MTrx", 1)]
)
def test_a_damaged_file_is_refused(rendered: Path, damage: Callable[[bytes], bytes]) -> None:
    rendered.write_bytes(damage(rendered.read_bytes()))
    with pytest.raises(midifile.MidiFileError):
        again(rendered, Selection(3, 4, ("drums",)))


# In the bytes


def test_running_status_programs_and_pedal_survive() -> None:
    content = b"".join(
        (
            b"\x00\xc1\x20",
            b"\x00\x91\x28\x50\x60\x28\x00",  # a note by running status
            b"\x00\xb1\x40\x7f\x00\x91\x29\x50\x60\x29\x00",
            b"\x00\x2a\x50\x60\x2a\x00",
        )
    )
    data = MidiBytes(file(track(content)))
    data.replace_notes(0, TrackSpan(96, 192), [FileNote(100, 150, 77, 66)], 1)
    expected = b"".join(
        (
            b"\x00\xc1\x20",
            b"\x00\x91\x28\x50\x60\x28\x00",
            b"\x00\xb1\x40\x7f",
            b"\x04\x91\x4d\x42\x32\x81\x4d\x00",
            b"\x2a\x91\x29\x00",  # the end of the note that went: it is outside, and has a status now
            b"\x00\x2a\x50\x60\x2a\x00",
        )
    )
    assert data.format() == file(track(expected))


FILE_NOTES = st.lists(
    st.builds(
        lambda start, length, pitch: FileNote(start, start + length, pitch, 64),
        st.integers(0, 900),
        st.integers(1, 400),
        st.integers(40, 44),
    ),
    max_size=30,
)


@given(FILE_NOTES, FILE_NOTES, st.integers(0, 500), st.integers(1, 500))
def test_outside_the_stretch_every_message_stays_and_every_new_note_is_ended(
    old: list[FileNote], new: list[FileNote], begin: int, length: int
) -> None:
    messages = sorted(
        [(note.start, 1, note.pitch, 64) for note in old] + [(note.end, 0, note.pitch, 0) for note in old]
    )
    content, last = b"", 0
    for tick, _, pitch, velocity in messages:
        delta = tick - last
        content += bytes((0x80 | delta >> 7, delta & 0x7F, 0x90, pitch, velocity))
        last = tick
    before = file(track(content))
    data = MidiBytes(before)
    data.replace_notes(0, TrackSpan(begin, begin + length), new, 0)
    [[_, old_track], [_, new_track]] = chunks(before), chunks(data.format())

    def outside(chunk: bytes) -> Events:
        return [each for each in events(chunk)[:-1] if not begin <= each[0] < begin + length]

    assert outside(old_track) == outside(new_track)
    down = dict.fromkeys(range(40, 45), 0)
    for _, message in events(new_track)[:-1]:
        down[message[1]] = max(0, down[message[1]] + (1 if message[0] == 0x90 and message[2] else -1))
    assert set(down.values()) == {0}


@pytest.mark.parametrize("data", [b"", b"RIFF", file(track())[:-1], file(track(b"\x00\x40"), division=96)])
def test_bytes_that_are_no_midi_file_are_refused(data: bytes) -> None:
    with pytest.raises(EditInPlaceError):
        MidiBytes(data).replace_notes(0, TrackSpan(0, 1), [], 0)


def test_a_file_that_counts_frames_is_refused() -> None:
    with pytest.raises(EditInPlaceError, match="counts frames"):
        MidiBytes(file(track(), division=0xE728))


# The command


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.players.load.load_band", lambda technique, graph: FakePlayer(seeded))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["render", *map(str, arguments)])


@pytest.mark.usefixtures("loads")
def test_without_a_file_to_write_it_is_done_in_place(rendered: Path, tmp_path: Path) -> None:
    options = ("--only", "bars=5-6", "--roles", "bass", "--from", rendered, "--seed", 9)
    beside = run(*options, "-o", tmp_path / "new.mid")
    assert beside.stdout == f"{tmp_path / 'new.mid'}: 2 bars, bass 24 notes\n"
    before = rendered.read_bytes()
    assert run(*options).exit_code == 0
    assert rendered.read_bytes() == (tmp_path / "new.mid").read_bytes() != before


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--from", "IN", "--roles", " , "), "--roles: selects nothing; say bass,drums, for instance"),
        (("--from", "IN", "--only", ""), "--only: selects nothing; say bars=5-6, for instance"),
        (("--only", "bars=1", "-o", "x.mid", "IN"), "--only: selects a part of a rendered file; name that file"),
        (("--roles", "bass", "-o", "x.mid", "IN"), "--roles: selects a part"),
        (("--from", "IN", "-o", "x.wav"), "played anew in a MIDI file"),
        (("--from", "IN", "--technique", "arcnn"), "is not for --technique arcnn"),
        (("--from", "no.mid", "--only", "bars=1"), "no.mid: no such file"),
        (("-o", "x.mid"), "Missing argument 'MELODY.mid'"),
        (("IN",), "Missing option '-o'"),
    ],
)
def test_what_cannot_be_selected_is_refused(
    rendered: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(rendered.parent)
    before = rendered.read_bytes()
    done = run(*("out.mid" if option == "IN" else option for option in options))
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())
    assert rendered.read_bytes() == before
