"""Melody and left hand in the loudspeakers: level, mute and pitch of their own, and no note that is left on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.settings import Settings
from daemon.sound.player_sound import PlayerSound
from music import midi
from music.note import HAND_SOUND_CHANNEL


def heard(sound: PlayerSound, *messages: str) -> list[str]:
    return [data.hex() for message in messages for data in sound.pass_on(bytes.fromhex(message))]


def test_without_settings_of_its_own_the_melody_sounds_as_it_is_played() -> None:
    sound = PlayerSound()
    assert heard(sound, "903c40", "b04040", "e00140", "d050", "803c20", "c005") == [
        *("903c40", "b04040", "e00140", "d050", "803c20"),
    ]


def test_the_melody_has_a_level_a_transposition_and_an_octave() -> None:
    sound = PlayerSound(Settings(levels={"melody": 0.5}, semitones={"melody": -2}, octaves={"melody": 1}))
    assert heard(sound, "903c40", "803c20", "907b01") == ["904620", "804620", "907901"]


def test_a_note_ends_where_it_began_whatever_is_turned_meanwhile() -> None:
    sound = PlayerSound()
    assert heard(sound, "903c40", "913040") == ["903c40", "903040"]
    assert sound.use(Settings(octaves={"melody": 1}, split=60, chord_channel=2)) == []
    assert heard(sound, "803c00", "813000", "903c40") == ["803c00", "803000", "904840"]


def test_the_left_hand_is_below_the_split_or_on_its_channel_and_has_its_own_sound() -> None:
    sound = PlayerSound(Settings(split=60, chord_channel=3, levels={"hand": 0.5}, octaves={"hand": -1}))
    assert heard(sound, "903b40", "903c40", "924040") == ["952f20", "903c40", "953420"]
    assert heard(sound, "b0407f", "b2407f") == ["b0407f", "b5407f", "b5407f"]
    assert heard(sound, "803b00", "803c00", "824000") == ["852f00", "803c00", "853400"]


def test_a_mute_ends_at_once_what_sounds_and_lets_the_other_hand_play_on() -> None:
    sound = PlayerSound(Settings(split=60))
    heard(sound, "903040", "904840")
    ended = sound.use(Settings(split=60, muted=frozenset({"melody"})))
    assert [data.hex() for data in ended] == ["804800", "b07800"]
    assert heard(sound, "804800", "904a40", "804a00", "803000") == ["853000"]
    assert sound.use(Settings(split=60)) == []
    assert heard(sound, "904a40") == ["904a40"]


_TURNS = st.builds(
    Settings,
    split=st.sampled_from([0, 60]),
    chord_channel=st.sampled_from([0, 2]),
    muted=st.sets(st.sampled_from(["melody", "hand"])).map(frozenset),
    octaves=st.dictionaries(st.sampled_from(["melody", "hand"]), st.integers(-4, 4)),
    levels=st.dictionaries(st.sampled_from(["melody", "hand"]), st.sampled_from([0.0, 0.5, 1.5])),
)
_NOTES = st.builds(
    lambda on, channel, pitch: midi.note_on(channel, pitch, 64) if on else midi.note_off(channel, pitch),
    st.booleans(),
    st.integers(0, 1),
    st.sampled_from([2, 48, 60, 72, 126]),
)


@given(st.lists(st.one_of(_TURNS, _NOTES), max_size=40))
def test_once_all_keys_are_up_nothing_sounds(events: list[Settings | bytes]) -> None:
    sound, sounding = PlayerSound(), set[tuple[int, int]]()
    ends = [midi.note_off(channel, pitch) for channel in (0, 1) for pitch in (2, 48, 60, 72, 126)]
    for event in (*events, *ends):
        for data in sound.use(event) if isinstance(event, Settings) else sound.pass_on(event):
            if midi.is_note_on(data):
                sounding.add(midi.key_of(data))
                assert midi.channel_of(data) in (0, HAND_SOUND_CHANNEL)
            elif midi.is_note_off(data):
                sounding.discard(midi.key_of(data))
            elif data[1] == midi.ALL_SOUND_OFF:
                sounding = {key for key in sounding if key[0] != midi.channel_of(data)}
    assert not sounding
