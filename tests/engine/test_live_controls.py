"""Live controls alone: what each does, and which are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.clocks.midi_clock import MidiClock
from daemon.core.controls import CONTROLS
from daemon.core.events import ControlChange, MidiIn
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.core.value_types import Trigger
from daemon.engine.band import Band
from daemon.engine.beginning import Beginning
from daemon.engine.clock_sync import ClockSync
from daemon.engine.form import Phase
from daemon.engine.form_player import FormPlayer
from daemon.engine.live_controls import LiveControls
from daemon.engine.song import SongInfo
from daemon.engine.song_change import SongChange
from daemon.engine.transport import TransportState
from daemon.offline.virtual_world import RecordingOutput, VirtualWorld
from music.midi import all_notes_off, note_off, note_on
from music.note import CHANNELS, Note
from tests.support.fakes import FakePlayer

AT_120 = TempoMap(500_000)
BASS = CHANNELS["bass"]


class Stand:
    """A band on virtual time, and the controls in front of it."""

    def __init__(self, clock: MidiClock | None = None, **info: tuple[str, ...]) -> None:
        self.world = VirtualWorld()
        self.output, self.player = RecordingOutput(self.world), FakePlayer()
        self.player.info = replace(self.player.info, **info)  # type: ignore[arg-type]
        song = SongInfo(TempoMap(500_000))
        self.band = Band(self.output, self, self.player.info, song, self.world.now)
        self.band.use(Settings())
        beginning = Beginning(self.band)
        self.sync = ClockSync(clock, self.band, beginning)
        songs = SongChange(self.band)
        self.controls = LiveControls(self.band, self.sync, beginning, FormPlayer(self.band), songs)

    def ask(self, request: PlanRequest) -> None:
        self.player.plan(request)

    def turn(self, key: str, value: object = True, tick: int = 0, at: int | None = None) -> bool:
        now = AT_120.ns_at(tick)
        return self.controls.apply(ControlChange(now if at is None else at, key, value), now)

    def sound(self, role: str, pitch: int) -> None:
        """Have a note of a role sound from tick 0 on."""
        self.band.schedule.add(role, Note(0, pitch, 96))
        for event in self.band.schedule.take(0, 0):
            self.band.sender.play(event, AT_120, 0)
        self.band.sender.release(0, AT_120)

    def state(self) -> TransportState:
        return self.band.transport.state

    def loop_steps(self) -> int | None:
        """The length of what goes round, None if nothing does."""
        return None if self.band.loop.draft is None else self.band.loop.draft.steps

    @property
    def sent(self) -> list[bytes]:
        return [message.data for message in self.output.sent]


def test_there_is_no_playing_from_a_chart_that_is_not_there() -> None:
    stand = Stand()
    assert not stand.turn("harmony", "chart")
    assert stand.turn("harmony", "hands")
    assert stand.band.settings.harmony == "hands"


@pytest.mark.parametrize(
    ("key", "value"), [("no such", 1), ("intensity", 2), ("intensity", "loud"), ("style", "polka"), ("bpm", 5)]
)
def test_what_does_not_exist_or_fit_is_refused_and_changes_nothing(key: str, value: object) -> None:
    stand = Stand()
    before = stand.band.settings
    assert not stand.turn(key, value)
    assert stand.band.settings is before
    assert stand.band.counters.refused == 1


def test_a_technique_must_be_one_of_the_players_or_the_one_there_is() -> None:
    assert Stand().turn("technique", "gan")
    assert not Stand().turn("technique", "arcnn")
    stand = Stand(techniques=("gan", "arcnn"))
    assert stand.turn("technique", "arcnn")
    assert stand.band.settings.technique == "arcnn"


def test_a_setting_reaches_whoever_needs_it() -> None:
    stand = Stand()
    for key, value in (("split", 48), ("swing", 0.5), ("offset_ms.bass", 20), ("level.drums", 0), ("mute.pad", True)):
        assert stand.turn(key, value)
    band = stand.band
    assert (band.input.melody.split, band.loop.split, band.schedule.swing) == (48, 48, 0.5)
    assert (band.sender.lookahead_ns, band.silent_roles) == (20_000_000, frozenset({"drums", "pad"}))


def test_every_action_is_a_control() -> None:
    kinds = {key.partition(".")[0] for key in CONTROLS}
    assert set(Stand().controls._actions) <= kinds
    triggers = {key for key, control in CONTROLS.items() if isinstance(control.type, Trigger)}
    called_before = {"next_song", "previous_song"}  # songs arrive ready to be played
    assert triggers - called_before <= set(Stand().controls._actions)


def test_muting_ends_what_sounds_and_unmuting_does_nothing() -> None:
    stand = Stand()
    stand.sound("bass", 40)
    assert stand.turn("mute.bass", "toggle")
    assert stand.sent == [note_on(BASS, 40, 80), note_off(BASS, 40)]
    assert stand.turn("mute.bass", False)
    assert len(stand.sent) == 2


def test_the_tempo_and_taps_change_it_from_when_they_were_turned() -> None:
    stand = Stand()
    assert stand.turn("bpm", 60, tick=24)
    assert stand.band.transport.tempo is not None
    assert stand.band.transport.tempo.marks == ((0, 500_000), (24, 1_000_000))
    assert stand.turn("tap", tick=24, at=0)
    assert stand.turn("tap", tick=24, at=400_000_000)
    assert stand.band.transport.tempo.marks == ((0, 500_000), (24, 400_000))


def test_panic_ends_all_and_goes_on_playing() -> None:
    stand = Stand()
    stand.band.begin(0)
    stand.sound("bass", 40)
    assert stand.turn("panic")
    assert stand.sent == [note_on(BASS, 40, 80), note_off(BASS, 40), all_notes_off(BASS)]
    assert stand.state() is TransportState.PLAYING


def test_stop_and_start() -> None:
    stand = Stand()
    stand.band.begin(0)
    assert stand.turn("start")
    assert stand.state() is TransportState.PLAYING
    assert stand.turn("stop")
    assert stand.state() is TransportState.STOPPED
    assert stand.turn("start")
    assert stand.state() is TransportState.ARMED


@pytest.mark.parametrize(("waits", "state"), [(False, TransportState.ARMED), (True, TransportState.HELD)])
def test_start_leaves_a_clock_that_has_stopped_unless_the_band_must_wait_for_it(
    waits: bool, state: TransportState
) -> None:
    stand = Stand(MidiClock(500_000, waits))
    for at, data in ((0, b"\xfa"), (0, b"\xf8"), (1_000_000, b"\xfc")):
        stand.sync.on_event(MidiIn(at, data), at)
    assert stand.state() is TransportState.HELD
    assert stand.turn("start", tick=24)
    assert (stand.state(), stand.band.transport.led) == (state, waits)


def test_fills_and_endings_are_for_a_band_that_plays() -> None:
    stand = Stand()
    assert stand.turn("fill")
    assert stand.turn("ending")
    assert stand.band.form.phase(10_000) is Phase.PLAYING
    assert stand.band.form.settings(90, Settings()) == Settings()
    stand.band.begin(0)
    assert stand.turn("fill", tick=10)
    assert stand.band.form.settings(90, Settings()).density > 1
    assert stand.turn("ending", tick=10)
    assert stand.band.form.phase(96) is Phase.CHORD


def test_a_variation_comes_at_once_or_at_the_next_bar() -> None:
    stand = Stand()
    assert stand.turn("variation")
    first = stand.band.form.settings(0, Settings()).seed
    assert first != 0
    stand.band.begin(0)
    assert stand.turn("variation", tick=10)
    assert stand.band.form.settings(90, Settings()).seed == first
    assert stand.band.form.settings(96, Settings()).seed != first


def test_every_change_asks_anew_and_whoever_is_to_play_gets_ready_while_nobody_does() -> None:
    stand = Stand(techniques=("gan", "arcnn"))
    assert stand.turn("intensity", 0.5)
    assert stand.player.asked == []
    assert stand.turn("technique", "arcnn")
    assert [request.settings.technique for request in stand.player.asked] == ["arcnn"]
    stand.band.begin(0)
    assert stand.turn("technique", "gan")
    assert len(stand.player.asked) == 1
    stand.band.request_plan(3, 0, late=False)
    assert stand.player.asked[-1].settings.technique == "gan"


def test_the_loop_follows_technique_and_bars() -> None:
    stand = Stand(techniques=("gan", "arcnn"), note_editors=("arcnn",))
    stand.band.begin(0)
    assert stand.loop_steps() is None
    assert stand.turn("technique", "arcnn", tick=3)
    assert stand.loop_steps() == 4 * 16
    assert stand.turn("loop_bars", 2, tick=3)
    assert stand.loop_steps() == 2 * 16
    assert stand.turn("undo", tick=3)  # there is nothing to be undone
    assert stand.turn("player.edits", "gan", tick=3)
    assert stand.loop_steps() is None


def test_a_style_that_the_technique_has_not_learned_is_refused() -> None:
    stand = Stand(styles=("pop", "chorale"), techniques=("gan", "transformer"))
    learned = {"gan": ("pop",), "transformer": ("chorale", "pop")}
    stand.band.player = replace(stand.band.player, technique_styles=learned)
    assert not stand.turn("style", "chorale")
    assert (stand.band.settings.style, stand.band.counters.refused) == ("pop", 1)
    assert stand.turn("technique", "transformer")
    assert stand.band.settings.style == "pop"
    assert stand.turn("style", "chorale")
    assert stand.turn("technique", "gan")
    assert stand.band.settings.style == "pop"  # what it plays is what it says
