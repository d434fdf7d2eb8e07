"""The settings that a performer can change while the band plays, as one immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.core.schema import declare_key, declare_key_per_role
from daemon.core.techniques import DEFAULT_TECHNIQUE, check_style, check_technique
from daemon.core.value_types import (
    Choice,
    FilePathOrLink,
    Integer,
    KeyName,
    KnownName,
    Metres,
    Number,
    Ranges,
    Switch,
    check_name,
)
from music.charts.metres import place_metres, read_metres
from music.edits.edit import MAX_BAR, Limits, parse_ranges
from music.note import EDITS, HAND, MELODY, PITCH_CLASSES, PITCHED_ROLES, ROLES, TICKS_PER_BEAT, Metre

#: roles that the band plays
MIXED_ROLES = (*ROLES, EDITS)
#: whatever sounds: what the player plays, with the right hand and the left, and what the band does
SOUNDING_ROLES = (MELODY, HAND, *MIXED_ROLES)
#: those of them whose notes have a pitch, which drums have not
_TUNED_ROLES = (MELODY, HAND, *PITCHED_ROLES, EDITS)
#: where the chords may come from
#: why `harmony = chart` is refused where nothing names a chart
NO_CHART = "harmony: there is no chart to play from"
#: how links begin that hold a chart, iReal Pro's
CHART_LINKS = ("irealb://", "irealbook://")
HARMONY_CHOICES = ("auto", "melody", "hands", "chart")
#: where the final chord of an ending falls
FINAL_CHORDS = NEXT_BAR, BAR_LATER, NEXT_NOTE = "next-bar", "bar-later", "next-note"
#: what `start` begins with
STARTS = AUTO_START, NOTE_START, COUNT_IN_START, INTRO_START, BAND_START = "auto", "note", "count-in", "intro", "band"
#: whether the tempo slows down before a final chord
RITARDANDO_CHOICES = AUTO_RITARDANDO, RITARDANDO, NO_RITARDANDO = "auto", "on", "off"

#: when a song that is called begins, while another is played
SONG_CHANGES = AT_BAR, AT_ONCE = "bar", "now"

_STYLE = KnownName("style", "one of the player's styles", check_style)
_TECHNIQUE = KnownName("technique", "one of the techniques loaded", check_technique)
_TECHNIQUE_OR_NONE = KnownName("technique", "one of the techniques loaded, or nothing", check_technique)
_SONG = KnownName("song", "one of the songs, or nothing", lambda name, songs: check_name("song", name, songs))
_SETLIST = KnownName(
    "setlist",
    "one of the set lists, or nothing",
    lambda name, lists: check_name("set list", name, lists),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that a performer can change while the band plays; each is declared with its values and its help."""

    style: str = declare_key("pop", _STYLE, "how the band plays, from the next plan on")
    seed: int = declare_key(0, Integer(), "the same seed gives the same music")
    temperature: float = declare_key(1.0, Number(0, 2), "how adventurous the players are")
    density: float = declare_key(1.0, Number(0, 2), "how many notes they play; 1 is as usual in the style")
    intensity: float = declare_key(0.7, Number(0, 1), "how loud and full they play")
    recall: float = declare_key(
        1.0, Number(0, 1), "how surely they play again what they played where the melody was the same; 0: never"
    )
    swing: float = declare_key(0.0, Number(0, 1), "how far off-beat sixteenths are delayed; 1 is a triplet")
    humanise: float = declare_key(0.0, Number(0, 1), "how far from the beat the band plays; 1: as drummers do")
    technique: str = declare_key(
        DEFAULT_TECHNIQUE, _TECHNIQUE, "which of the players plays, from the next plan on", metavar="NAME"
    )
    pause_bars: int = declare_key(
        0, Integer(0, 64), "bars of silence after which the band ends; 0: it goes on for ever"
    )
    start_with: str = declare_key(
        AUTO_START,
        Choice(STARTS),
        "what start begins with; auto: intro or count-in if there are bars of it, else the first note; band: bar 1, "
        "before the melody",
    )
    intro_bars: int = declare_key(
        0,
        Integer(0, 32),
        "bars that the band plays alone before bar 1; 0: none, or 4 where an intro is asked for",
        metavar="BARS",
    )
    final_chord: str = declare_key(
        NEXT_BAR,
        Choice(FINAL_CHORDS),
        "where an ending's final chord falls: on the next bar line, a bar later, or on the next note of the melody",
    )
    ritardando: str = declare_key(
        AUTO_RITARDANDO,
        Choice(RITARDANDO_CHOICES),
        "slow down before the final chord; auto: in styles that do, such as ballads",
    )
    split: int = declare_key(0, Integer(0, 127), "keys below this pitch are no melody, but chords")
    harmony: str = declare_key(
        "melody",
        Choice(HARMONY_CHOICES),
        "where the chords come from; auto: hands where they play, else the chart, else what they have played before",
    )
    chord_channel: int = declare_key(0, Integer(0, 16), "the MIDI channel on which chords are played; 0: none")
    harmony_hold: bool = declare_key(
        True, Switch(live=True), "let a chord go on until another is played, not only while its keys are down"
    )
    key: str = declare_key(
        KeyName.AUTO, KeyName(), "the key that guessed chords keep to; auto: the chart's, else any", metavar="KEY"
    )
    chart: str = declare_key(
        "",
        FilePathOrLink(*CHART_LINKS),
        "the song's chord chart, for harmony = auto or chart; from the next bar line on",
        metavar="FILE",
    )
    vamp: bool = declare_key(
        False, Switch(live=True), "repeat the section of the chart that is played, for as long as it is on"
    )
    song: str = declare_key("", _SONG, "the song that is played", metavar="NAME")
    setlist: str = declare_key(
        "", _SETLIST, "the list of songs that next_song and previous_song go through; empty: all", metavar="NAME"
    )
    song_change: str = declare_key(
        AT_BAR, Choice(SONG_CHANGES), "when a song that is called begins, while another is played: at the bar line, now"
    )
    metre: str = declare_key(
        Metres.AUTO, Metres(), "the metre, from the next bar line on; auto: the chart's, else 4/4", metavar="METRE"
    )
    pickup: float = declare_key(0.0, Number(0, 16), "beats by which the first note comes before bar 1", metavar="BEATS")
    count_in: int = declare_key(0, Integer(0, 16), "bars of clicks before bar 1", metavar="BARS")
    transpose: int = declare_key(0, Integer(-24, 24), "semitones by which the band sounds above the keys and the chart")

    muted: frozenset[str] = declare_key_per_role(
        "mute", SOUNDING_ROLES, False, Switch(live=True), "mute {role}, which plays on in silence", as_set=True
    )
    #: factors of velocity
    levels: Mapping[str, float] = declare_key_per_role(
        "level", SOUNDING_ROLES, 1.0, Number(0, 1.5), "how loud {role} is; 1 is as usual"
    )
    programs: Mapping[str, int] = declare_key_per_role(
        "program", SOUNDING_ROLES, 0, Integer(0, 128), "General MIDI program of {role}; 0: none is chosen"
    )
    banks: Mapping[str, int] = declare_key_per_role(
        "bank", SOUNDING_ROLES, 0, Integer(0, 16383), "bank of the program of {role}, 128 times CC 0 and CC 32"
    )
    semitones: Mapping[str, int] = declare_key_per_role(
        "semitones", _TUNED_ROLES, 0, Integer(-24, 24), "semitones by which {role} sounds higher"
    )
    octaves: Mapping[str, int] = declare_key_per_role(
        "octave", _TUNED_ROLES, 0, Integer(-4, 4), "octaves by which {role} sounds higher"
    )
    offsets_ms: Mapping[str, float] = declare_key_per_role(
        "offset_ms", MIXED_ROLES, 0.0, Number(-500, 500), "by how many ms the synthesiser of {role} is late"
    )
    players: Mapping[str, str] = declare_key_per_role(
        "player", MIXED_ROLES, "", _TECHNIQUE_OR_NONE, "which of the players plays {role}, if another than the rest"
    )

    # of the AR-CNN and of the loop that it edits
    loop_bars: int = declare_key(4, Integer(1, 8), "bars of the loop that the AR-CNN edits")
    overdub: bool = declare_key(
        False, Switch(live=True), "add what is played to the loop, instead of replacing its bars"
    )
    edits_per_second: float = declare_key(4.0, Number(0, 50), "how fast the loop is edited, at most")
    edit_sysex: bool = declare_key(False, Switch(live=True), "send edits as MIDI (SysEx), too")
    creative_risk: float = declare_key(1.0, Number(0, 6), "how unlikely an edit may be; 0 takes the likeliest")
    remove_max: float = declare_key(50.0, Number(0, 100), "percent of the notes played that edits may remove")
    add_max: int = declare_key(200, Integer(0, 100_000), "how many notes edits may add")
    lock_pitches: str = declare_key("", Ranges(127), "pitches that edits leave alone")
    lock_bars: str = declare_key("", Ranges(MAX_BAR), "bars that edits leave alone, counted from 1")
    register_low: int = declare_key(0, Integer(0, 127), "the lowest pitch that is edited")
    register_high: int = declare_key(127, Integer(0, 127), "the highest pitch that is edited")

    def find_shift(self, role: str) -> int:
        """Return the semitones by which a role sounds higher than it is played."""
        return self.semitones.get(role, 0) + PITCH_CLASSES * self.octaves.get(role, 0)

    @property
    def metres(self) -> tuple[tuple[int, Metre], ...]:
        """The metres, by the tick from which on each holds, with bar 1 at tick 0; 4/4 where a chart has the say."""
        return ((0, Metre()),) if self.metre == Metres.AUTO else place_metres(read_metres(self.metre))

    @property
    def pickup_ticks(self) -> int:
        """Ticks by which the first note comes before bar 1."""
        return round(self.pickup * TICKS_PER_BEAT)

    @property
    def limits(self) -> Limits:
        """The edits that the AR-CNN may make."""
        return Limits(
            self.remove_max,
            self.add_max,
            parse_ranges(self.lock_pitches),
            parse_ranges(self.lock_bars),
            self.register_low,
            self.register_high,
        )
