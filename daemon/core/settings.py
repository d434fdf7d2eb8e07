"""The controls that a performer can change while the band plays, as one immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.core.techniques import DEFAULT_TECHNIQUE
from music.edits.edit import Limits, parse_ranges


@dataclass(frozen=True, slots=True)
class Settings:
    """What a performer can turn while the band plays.

    style: one of the graph's styles; seed: any integer, the same seed gives the same music; temperature: 0..2, how
    adventurous; density: 0..2, how many notes, 1 as the style has it; intensity: 0..1, how loud and full;
    levels: role -> 0..1.5 velocity factor; muted: roles that go on in silence; swing: 0..1, how far the off-beat
    sixteenth is delayed towards the triplet; technique: which of the players loaded answers; humanise: 0..1, how far
    notes stray from the beat; offsets_ms: role -> ms by which its synthesiser is slow, and its notes leave earlier;
    pause_bars: whole bars of silence after which the band ends, 0 for never; split: pitch below which keys are no
    melody; players: role -> the technique that plays it, where that is another (an empty one: the same).

    For the AR-CNN: loop_bars: 1..8 bars that go round; overdub: what is played is added to them, otherwise it replaces
    the bars it is played in; edits_per_second: how fast they change; edit_sysex: whether edits are told as MIDI, too;
    creative_risk: 0..6, its temperature; remove_max: percent of what was played that may go; add_max: the most notes
    added; lock_pitches, lock_bars: what stays as it is, as `music.edits.edit.parse_ranges` reads it; register_low,
    register_high: the pitches that may be edited.
    """

    style: str = "pop"
    seed: int = 0
    temperature: float = 1.0
    density: float = 1.0
    intensity: float = 0.7
    levels: Mapping[str, float] = field(default_factory=dict)
    muted: frozenset[str] = frozenset()
    swing: float = 0.0
    technique: str = DEFAULT_TECHNIQUE
    humanise: float = 0.0
    offsets_ms: Mapping[str, float] = field(default_factory=dict)
    pause_bars: int = 0
    split: int = 0
    players: Mapping[str, str] = field(default_factory=dict)
    loop_bars: int = 4
    overdub: bool = False
    edits_per_second: float = 4.0
    edit_sysex: bool = False
    creative_risk: float = 1.0
    remove_max: float = 50.0
    add_max: int = 200
    lock_pitches: str = ""
    lock_bars: str = ""
    register_low: int = 0
    register_high: int = 127

    @property
    def limits(self) -> Limits:
        """What the AR-CNN may do."""
        return Limits(
            self.remove_max,
            self.add_max,
            parse_ranges(self.lock_pitches),
            parse_ranges(self.lock_bars),
            self.register_low,
            self.register_high,
        )
