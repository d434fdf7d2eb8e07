"""What MIDI turns: the table of gestures, what their values mean, learning; and that nothing else is taken for one."""

from __future__ import annotations

import pytest

from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import DEFAULT_GESTURES, Gesture, GestureError, Gestures, parse_gesture, parse_target
from daemon.core.controls import CONTROLS
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture, MidiIn, Quit
from daemon.core.schema import SettingError
from daemon.core.value_types import TOGGLE, Trigger
from daemon.offline.virtual_world import VirtualWorld
from tests.support.fakes import MS

CHOICES = {"style": ("pop", "rock", "jazz"), "technique": ("gan",), "preset": ("quiet",)}


def cc(number: int, value: int, channel: int = 1) -> bytes:
    return bytes((0xB0 | channel - 1, number, value))


def key(pitch: int, velocity: int = 80, channel: int = 16) -> bytes:
    return bytes((0x90 | channel - 1, pitch, velocity))


def program(number: int, channel: int = 16) -> bytes:
    return bytes((0xC0 | channel - 1, number))


def known(**bindings: str) -> Gestures:
    return Gestures({made.replace("_", " "): what for made, what in bindings.items()}, CHOICES)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("cc 80", Gesture("cc", 80)),
        ("CC 80 channel 2", Gesture("cc", 80, 1)),
        (" note 38 channel 16 ", Gesture("note", 38, 15)),
        ("program 5", Gesture("program", 5)),
        ("program", Gesture("program", None)),
        ("program channel 16", Gesture("program", None, 15)),
    ],
)
def test_a_gesture_is_written_as_it_is_read(text: str, made: Gesture) -> None:
    assert parse_gesture(text) == made
    assert parse_gesture(str(made)) == made


@pytest.mark.parametrize("text", ["", "cc", "knob 1", "cc 128", "cc 1 channel 0", "cc 1 channel 17", "cc -1", "note"])
def test_what_is_no_gesture_is_refused(text: str) -> None:
    with pytest.raises(GestureError):
        parse_gesture(text)


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ("note 1", "intensity"),
        ("program 1", "style"),
        ("program", "intensity"),
        ("note 1", "style"),
        ("note 1", "seed"),
        ("note 1", "key"),
    ],
)
def test_a_gesture_that_gives_no_value_must_be_told_one(made: str, what: str) -> None:
    with pytest.raises(GestureError, match=f"{what} takes .* say which, as in '{what}=...'"):
        parse_target(what, parse_gesture(made))


def test_targets_are_controls_with_values_they_can_take() -> None:
    with pytest.raises(SettingError, match="volume: no such control"):
        parse_target("volume", parse_gesture("cc 1"))
    with pytest.raises(SettingError, match="intensity: takes a number from 0 to 1, not '2'"):
        parse_target("intensity=2", parse_gesture("note 1"))


def test_the_usual_gestures_make_sense_and_reach_all_that_a_player_wants() -> None:
    Gestures(DEFAULT_GESTURES, CHOICES)
    reached = set(DEFAULT_GESTURES.values())
    triggers = {key for key, control in CONTROLS.items() if isinstance(control.type, Trigger)}
    assert triggers <= {what for made, what in DEFAULT_GESTURES.items() if made.startswith("cc")}
    assert triggers <= {what for made, what in DEFAULT_GESTURES.items() if made.startswith("note")}
    assert {"intensity", "style", "technique", "mute.bass", "level.drums"} <= reached


@pytest.mark.parametrize(
    ("data", "turned"),
    [
        (cc(16, 0), [("intensity", 0.0)]),
        (cc(16, 127), [("intensity", 1.0)]),
        (cc(17, 64), [("density", 1.0079)]),
        (cc(112, 127, 5), [("level.drums", 1.5)]),
        (cc(80, 64), [("fill", True)]),
        (cc(80, 63), []),
        (cc(105, 127), [("mute.bass", True)]),
        (cc(105, 0), [("mute.bass", False)]),
        (cc(113, 0), [("style", "pop")]),
        (cc(113, 127), [("style", "jazz")]),
        (key(38), [("fill", True)]),
        (key(38, 0), []),
        (bytes((0x8F, 38, 64)), []),
        (key(43), [("mute.bass", TOGGLE)]),
        (program(1), [("style", "rock")]),
        (program(9), []),
        (key(38, channel=1), None),
        (program(1, 1), None),
        (cc(64, 127), None),
        (key(90), None),
        (b"\xf8", None),
        (b"", None),
        (b"\xb0\x50", None),
        (b"\xb0\x50\xff", None),
    ],
)
def test_what_a_message_turns(data: bytes, turned: list[tuple[str, object]] | None) -> None:
    assert Gestures(DEFAULT_GESTURES, CHOICES).read(data) == turned


def test_a_trigger_happens_once_when_a_knob_passes_and_every_time_a_pad_is_hit() -> None:
    gestures = known(cc_1="fill")
    swept = [gestures.read(cc(1, value)) for value in (10, 60, 64, 70, 90, 60, 65)]
    assert [bool(turned) for turned in swept] == [False, False, True, False, False, False, True]
    pad = known(cc_1="fill")
    assert [bool(pad.read(cc(1, value))) for value in (127, 127, 127, 0, 127)] == [True, True, True, False, True]


def test_a_value_that_is_said_is_set() -> None:
    gestures = known(note_60="intensity=0.9", program_3="style=jazz", cc_9="preset=quiet")
    assert gestures.read(key(60, channel=3)) == [("intensity", 0.9)]
    assert gestures.read(program(3, 2)) == [("style", "jazz")]
    assert gestures.read(cc(9, 127)) == [("preset", "quiet")]
    assert gestures.read(program(4, 2)) is None


def test_the_nearest_description_counts_and_an_empty_target_is_none() -> None:
    gestures = known(cc_1="fill", cc_1_channel_2="panic", cc_3="tap")
    assert gestures.read(cc(1, 127, 2)) == [("panic", True)]
    assert gestures.read(cc(1, 127, 3)) == [("fill", True)]
    gestures.bind("cc 3", "")
    assert gestures.read(cc(3, 127)) is None


# Learning


def test_what_is_learnt_turns_and_what_it_covered_comes_back() -> None:
    gestures = known(cc_21_channel_1="density")
    assert gestures.learn(cc(21, 5), "intensity") == Gesture("cc", 21, 0)
    assert gestures.read(cc(21, 127)) == [("intensity", 1.0)]
    assert gestures.learn(cc(22, 5), "intensity") == Gesture("cc", 22, 0)
    assert gestures.read(cc(21, 127)) == [("density", 2.0)]
    assert gestures.forget("intensity") == Gesture("cc", 22, 0)
    assert gestures.read(cc(22, 127)) is None
    assert gestures.forget("intensity") is None


def test_what_restore_learned_before_is_as_if_learnt_now() -> None:
    gestures = known(cc_21_channel_1="density")
    gestures.restore_learned({"cc 21 channel 1": "intensity"})
    assert gestures.read(cc(21, 0)) == [("intensity", 0.0)]
    gestures.forget("intensity")
    assert gestures.read(cc(21, 0)) == [("density", 0.0)]


def test_a_knob_goes_through_the_words_that_a_control_takes_and_a_program_counts_them() -> None:
    gestures = known(cc_1="harmony", program="key", note_60="key=D minor")
    assert [gestures.read(cc(1, value)) for value in (0, 31, 32, 127)] == [
        [("harmony", word)] for word in ("auto", "auto", "melody", "chart")
    ]
    assert gestures.read(program(0)) == [("key", "auto")]
    assert gestures.read(program(3)) == [("key", "D major")]
    assert gestures.read(program(25)) == []
    assert gestures.read(key(60, channel=3)) == [("key", "D minor")]


@pytest.mark.parametrize(
    ("data", "what", "made"),
    [
        (cc(64, 127), "intensity", "cc 64 channel 1"),
        (cc(66, 127), "fill", "cc 66 channel 1"),
        (cc(67, 127), "mute.bass", "cc 67 channel 1"),
        (cc(123, 127), "panic", None),
        (key(60, channel=1), "intensity", None),  # the melody goes on while one reaches for the knob
        (key(60, 0, 1), "fill", None),
        (key(60, channel=1), "fill", "note 60 channel 1"),
        (key(60, channel=1), "style=jazz", "note 60 channel 1"),
        (program(4), "fill", "program 4 channel 16"),
        (program(4), "style", "program channel 16"),
        (program(4), "key", "program channel 16"),
        (b"\xf8", "fill", None),
    ],
)
def test_what_can_be_learnt_for_what(data: bytes, what: str, made: str | None) -> None:
    learnt = known().learn(data, what)
    assert (None if learnt is None else str(learnt)) == made


# The world that hears them


def heard(events: list[Event], gestures: Gestures, **presets: list[tuple[str, object]]) -> list[tuple[int, str]]:
    world = VirtualWorld()
    for scripted in (*events, Quit(1_000)):
        world.put(scripted)
    through = GestureWorld(world, gestures, presets)
    found = []
    while not isinstance(event := through.wait(None), Quit):
        assert event is not None
        said = f"{event.key}={event.value}" if isinstance(event, ControlChange) else "midi"
        found.append((event.at, said))
    return found


def test_a_gesture_comes_as_a_command_and_is_no_melody() -> None:
    events: list[Event] = [
        MidiIn(1, key(60, channel=1)),
        MidiIn(2, key(38)),
        MidiIn(3, key(38, 0)),
        MidiIn(4, cc(64, 9)),
    ]
    assert heard(events, Gestures(DEFAULT_GESTURES, CHOICES)) == [(1, "midi"), (2, "fill=True"), (4, "midi")]


def test_a_preset_turns_all_it_has_whoever_wants_it() -> None:
    quiet: list[tuple[str, object]] = [("intensity", 0.3), ("mute.drums", True)]
    events: list[Event] = [
        ControlChange(1, "preset", "quiet"),
        MidiIn(2, program(1, 1)),
        ControlChange(3, "preset", "loud"),
    ]
    found = heard(events, known(program_1="preset=quiet"), quiet=quiet)
    turned = ["intensity=0.3", "mute.drums=True"]
    assert found == [(1, turned[0]), (1, turned[1]), (2, turned[0]), (2, turned[1]), (3, "preset=loud")]


def test_the_world_learns_tells_and_forgets() -> None:
    told: list[tuple[str, str]] = []
    world = VirtualWorld()
    events: list[Event] = [
        LearnGesture(1, "intensity"),
        MidiIn(2, key(60, channel=1)),
        MidiIn(3, cc(21, 127)),
        MidiIn(4, cc(21, 0)),
        ForgetGesture(5, "intensity"),
        MidiIn(6, cc(21, 127)),
        Quit(7),
    ]
    for event in events:
        world.put(event)
    through = GestureWorld(world, known(), tell_learned=lambda made, what: told.append((made, what)))
    found = [through.wait(None) for _ in range(5)]
    assert [type(event).__name__ for event in found] == ["MidiIn", "ControlChange", "ControlChange", "MidiIn", "Quit"]
    assert told == [("cc 21 channel 1", "intensity"), ("cc 21 channel 1", "")]


def pedal(at: int, value: int) -> MidiIn:
    return MidiIn(at, bytes((0xB0, 64, value)))


def learnt(*events: Event) -> tuple[list[tuple[str, str]], list[tuple[int, str]]]:
    """Return what was learnt for `fill`, and what came of the events, as `heard` does."""
    told: list[tuple[str, str]] = []
    world = VirtualWorld()
    for given in (LearnGesture(0, "fill"), *events, Quit(10_000 * MS)):
        world.put(given)
    through = GestureWorld(world, known(), tell_learned=lambda made, what: told.append((made, what)))
    found = []
    while isinstance(event := through.wait(None), MidiIn | ControlChange):
        found.append((event.at // MS, event.data.hex() if isinstance(event, MidiIn) else event.key))
    assert isinstance(event, Quit)
    return told, found


FILL = [("cc 64 channel 1", "fill")]


def test_the_sustain_pedal_is_learnt_when_it_goes_down_and_up_and_the_melody_hears_both() -> None:
    told, found = learnt(pedal(10 * MS, 127), pedal(300 * MS, 0), pedal(500 * MS, 127), pedal(600 * MS, 0))
    assert told == FILL
    assert found == [(10, "b0407f"), (300, "b04000"), (500, "fill")]


def test_a_pedal_that_is_held_long_is_learnt_then_and_lifted_for_the_melody() -> None:
    told, found = learnt(pedal(10 * MS, 127), pedal(5_000 * MS, 0), pedal(6_000 * MS, 127))
    assert told == FILL
    assert found == [(10, "b0407f"), (1_010, "b04000"), (6_000, "fill")]


def test_a_pedal_that_is_played_with_is_not_learnt() -> None:
    music = [pedal(10 * MS, 127), MidiIn(50 * MS, key(60, channel=1)), pedal(2_000 * MS, 0)]
    told, _ = learnt(*music[:1], MidiIn(50 * MS, bytes((0x82, 60, 0))), *music[2:])
    assert told == FILL  # a key that goes up is no playing
    told, _ = learnt(pedal(10 * MS, 127), MidiIn(20 * MS, cc(21, 127)), pedal(30 * MS, 0))
    assert told == [("cc 21 channel 1", "fill")]
    world = VirtualWorld()
    script: list[Event] = [LearnGesture(0, "intensity"), *music, Quit(10_000 * MS)]
    for event in script:
        world.put(event)
    said: list[tuple[str, str]] = []
    through = GestureWorld(world, known(), tell_learned=lambda made, what: said.append((made, what)))
    passed = [through.wait(None) for _ in range(4)]
    assert passed[:3] == music
    assert said == []


def test_a_pedal_that_had_another_target_does_not_turn_it_while_a_gesture_is_waited_for() -> None:
    world = VirtualWorld()
    for event in (LearnGesture(0, "fill"), pedal(1, 127), pedal(2, 0), pedal(3, 127), pedal(4, 0), Quit(5)):
        world.put(event)
    through = GestureWorld(world, known(cc_64="ending"))
    assert through.wait(None) == ControlChange(3, "fill", True)
    assert isinstance(through.wait(None), Quit)


def test_a_deadline_passes_through() -> None:
    world = VirtualWorld()
    world.put(MidiIn(5, key(38, 0)))
    assert GestureWorld(world, Gestures(DEFAULT_GESTURES, CHOICES)).wait(10) is None
    assert world.now() == 10


@pytest.mark.parametrize("zone", [False, True])
def test_on_a_channel_of_melody_the_usual_keys_are_no_gestures(zone: bool) -> None:
    """Whether the player has named channel 16, or an MPE instrument plays there."""
    world = VirtualWorld()
    announced = [b"\xb0\x65\x00", b"\xb0\x64\x06", b"\xb0\x06\x0f"] if zone else []
    played = [b"\x9f\x24\x50", b"\x8f\x24\x00"]
    gestures = Gestures({**DEFAULT_GESTURES, "note 40 channel 16": "stop"}, CHOICES)
    through = GestureWorld(world, gestures, channel=None if zone else 15)
    for data in (*announced, *played, b"\x9f\x28\x50", b"\xb0\x50\x7f"):
        world.put(MidiIn(0, data))
    heard = [through.wait(9) for _ in range(len(announced) + 4)]
    assert heard[:-2] == [MidiIn(0, data) for data in (*announced, *played)]
    assert heard[-2:] == [ControlChange(0, "stop", True), ControlChange(0, "fill", True)]


def test_a_key_that_was_learned_is_a_gesture_wherever_it_is() -> None:
    gestures = Gestures(DEFAULT_GESTURES, CHOICES)
    assert gestures.read(b"\x9f\x24\x50", is_melody=True) is None
    assert gestures.learn(b"\x9f\x24\x50", "start") is not None
    assert gestures.read(b"\x9f\x24\x50", is_melody=True) == [("start", True)]


@pytest.mark.parametrize("number", [98, 99, 100, 101])
def test_what_chooses_a_parameter_is_not_learned(number: int) -> None:
    assert Gestures(DEFAULT_GESTURES, CHOICES).learn(bytes((0xB0, number, 100)), "intensity") is None
