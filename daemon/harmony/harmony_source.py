"""The harmony that the player gives: by hand, by a chart, or by what the song has shown before; now and to come.

How sure each chord is is said with it, and fades where it is only assumed to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from daemon.core.settings import Settings
from daemon.core.value_types import KeyName
from daemon.harmony.chart_line import ChartLine, place
from daemon.harmony.chart_route import ChartRoute
from daemon.harmony.chord_memory import ChordMemory
from daemon.harmony.chord_reading import ReadChord
from daemon.harmony.hand_keys import HandKeys
from daemon.harmony.lead_in import BarPlace, LeadIn, make_tonic
from music.analysis.key import Key, read_key
from music.encoding.chord_evidence import HELD_FADE, GivenChord
from music.encoding.melody_context import AHEAD_BEATS
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, round_to_step

AUTO, MELODY, HANDS, CHART = "auto", "melody", "hands", "chart"
#: where a chord has come from when it was played before
MEMORY = "memory"
#: and when it leads in to a song of which nothing is known but the key
KEY = "key"
#: beats of the past of which players are told
_PAST_BEATS = 8
#: a chord less sure than this is not worth telling
_LEAST_CERTAINTY = 0.05
_NEVER = 1 << 62


class HarmonyState(NamedTuple):
    """The chord that holds, the one that follows, and where the first has come from."""

    now: GivenChord | None = None
    following: GivenChord | None = None  #: None where it is not known
    source: str = MELODY  #: MELODY where the band guesses


def find_split(settings: Settings) -> int:
    """Return the pitch, as the band hears it, below which keys are chords; 0: there is none."""
    return min(127, max(1, settings.split + settings.transpose)) if settings.split else 0


def find_key(settings: Settings, chart: ChartLine | None = None) -> Key | None:
    """Return the key that is set, else that of a chart that is played from; None where there is neither.

    It is in the player's key, as the chart is.
    """
    if settings.key != KeyName.AUTO:
        return read_key(settings.key)
    return chart.key if chart is not None and settings.harmony in (AUTO, CHART) else None


class HarmonySource:
    """Owns the harmony that the player gives. Is told of everything in the order of ticks."""

    def __init__(
        self,
        find_bar: Callable[[int], BarPlace],
        has_melody: Callable[[int, int], bool],
        route: ChartRoute | None = None,
    ) -> None:
        """find_bar: returns the bar of a tick; has_melody: tells whether (channel, port) is listened to."""
        #: the way through the chart that is played from
        self.route = route or ChartRoute()
        #: the tick at which the final chord begins; None: no ending is under way
        self.final_tick: int | None = None
        #: the stretch before the melody comes in
        self.lead_in = LeadIn(find_bar)
        self._find_bar = find_bar
        self._keys = HandKeys(lambda tick: find_bar(tick).start, has_melody)
        self._memory = ChordMemory()
        self._settings = Settings()
        self._split = 0  # the one that is set
        self._is_led = False  # hands may lead
        #: a chord of the hand that nobody has been told of
        self.changed: ReadChord | None = None
        self._is_free = False  # the hand has stopped, and what it played has been learnt

    def use(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self._settings = settings
        self.route.wants_vamp = settings.vamp
        self._split, self._is_led = find_split(settings), settings.harmony in (AUTO, HANDS)
        self._keys.use(self._split, settings.chord_channel - 1, holds=settings.harmony_hold)

    def hear(self, tick: int, data: bytes, port: int = 0, *, is_armed: bool = False) -> int:
        """Take in a message of the player that came at a tick; return the pitch below which keys are chords.

        It is the one that is set, else where a left hand that leads has shown; 0: there is none. is_armed: the band
        waits for a first note, which may be any key where no split is set.
        """
        if self._keys.hear(tick, data, port):
            self._note_change()
        return self._keys.split if self._is_led and not is_armed else self._split

    def advance(self, tick: int) -> None:
        """Go on to a tick."""
        if self._keys.reader.advance(tick):
            self._note_change()
        if not self._is_free and self._is_hand_free(tick):
            self._is_free = True
            free = self._find_free_tick()
            bar = self._find_bar(free)
            self._memory.learn(list(self._keys.reader.chords), free, bar.end - bar.start, bar.start)

    def take_change(self) -> ReadChord | None:
        """Return the chord that the hand has begun to play since the last call, if the band follows hands."""
        changed, self.changed = self.changed, None
        return changed if self._is_led else None

    def release(self) -> None:
        """Take every key of the player as up; the chord holds."""
        self._keys.release()

    def forget(self, tick: int, bar_1: int) -> None:
        """Let what holds begin at a tick, and forget all before, for bar 1 lies elsewhere now."""
        self.route.restart(bar_1)
        self._keys.forget(tick)
        self._memory.forget()

    def begin_song(self, tick: int) -> None:
        """Let what holds begin at a tick, at which another song begins, and forget the chords of the one before.

        Where the melody has not come in, what leads in to it goes on.
        """
        self._keys.begin_song(tick)
        self._memory.forget()
        if self.lead_in.lasts(tick):
            self.lead_in.begin(tick, tick)
        else:
            self.lead_in.cancel()

    def go_to_ending(self, line: int, soonest: int, *, plays_last_bar: bool = True) -> int | None:
        """Go to the chart's ending at a bar line, and return where its final chord begins.

        soonest, plays_last_bar: as `ChartRoute.end` takes them. Returns None where the band plays from no chart.
        """
        if self._settings.harmony not in (AUTO, CHART):
            return None
        return self.route.end(line, soonest, plays_last_bar=plays_last_bar)

    @property
    def has_intro(self) -> bool:
        """True if the band plays from a chart that begins with an introduction."""
        chart = self.route.chart
        return chart is not None and self._settings.harmony in (AUTO, CHART) and chart.has_intro

    def list_chords(self, step: int) -> tuple[GivenChord, ...]:
        """Return the chords around a step, as `PlanRequest.harmony` has them."""
        return tuple(self._list_chords(step)[0])

    def find_key(self) -> Key | None:
        """Return the key that guessed chords keep to, as the band sounds; None for any."""
        key = find_key(self._settings, self.route.chart)
        return None if key is None else key.transpose(self._settings.transpose)

    def find_state(self, tick: int) -> HarmonyState:
        """Return how the harmony stands at a tick."""
        chords, source = self._list_chords(tick // TICKS_PER_STEP)
        now = next((chord for chord in chords if chord.start <= tick < chord.end), None)
        if now is None:
            return HarmonyState()
        later = (chord for chord in chords if chord.start > tick and chord[2:5] != now[2:5])
        return HarmonyState(now, next(later, None), source)

    def lacks_chords(self, step: int) -> bool:
        """Return True if a step lies before the melody, and nothing tells the chords that it leads in with."""
        return self.lead_in.lasts(step * TICKS_PER_STEP) and not self._list_chords(step)[0]

    def _list_chords(self, step: int) -> tuple[list[GivenChord], str]:
        """Return the chords around a step, and where that of the step is from.

        Where nothing but the key is known, an ending ends on its tonic.
        """
        chords, source = self._list_up_to_final(step)
        final, key = self.final_tick, self.find_key()
        if final is None or key is None or source not in (MELODY, KEY):
            return chords, source
        chords = [chord._replace(end=min(chord.end, final)) for chord in chords if chord.start < final]
        return [*chords, make_tonic(final, self._find_bar(final).end, key, self._settings.style)], source

    def _list_up_to_final(self, step: int) -> tuple[list[GivenChord], str]:
        tick = step * TICKS_PER_STEP
        chords, source = self._list_given(step)
        if not self.lead_in.lasts(tick) or any(chord.start <= tick < chord.end for chord in chords):
            return chords, source
        key = self.find_key()
        if key is None and self.lead_in.key is not None:
            key = self.lead_in.key.transpose(self._settings.transpose)
        if key is None:
            return [], MELODY
        since, until = tick - _PAST_BEATS * TICKS_PER_BEAT, tick + (AHEAD_BEATS + 1) * TICKS_PER_BEAT
        return self.lead_in.list_chords(since, until, key, self._settings.style), KEY

    def _list_given(self, step: int) -> tuple[list[GivenChord], str]:
        """Return the chords that the player gives around a step, and where that of the step is from."""
        begin = step * TICKS_PER_STEP // TICKS_PER_BEAT * TICKS_PER_BEAT
        since, until = begin - _PAST_BEATS * TICKS_PER_BEAT, begin + (AHEAD_BEATS + 1) * TICKS_PER_BEAT
        match self._settings.harmony:
            case "chart":
                return self._list_charted(since, until), CHART
            case "hands":
                return [*self._list_played(since, begin), *self._assume_held(begin, until)], HANDS
            case "auto":
                return self._list_all(since, begin, until)
        return [], MELODY

    def _note_change(self) -> None:
        self.changed, self._is_free = self._keys.reader.current, False

    # The hand

    def _list_played(self, since: int, until: int) -> list[GivenChord]:
        """Return what the hand has played; the last chord up to a tick."""
        found, end = [], until
        for each in reversed(self._keys.reader.chords):
            if each.chord is not None and end > max(since, each.start):
                found.append(place(each.chord, each.start, end, 1.0))
            end = each.start
            if end <= since:
                break
        return found[::-1]

    def _assume_held(self, begin: int, until: int, certainty: float = 1.0) -> list[GivenChord]:
        """Return the hand's last chord, from the beat that begins at a tick on, less sure with every beat."""
        reader, found = self._keys.reader, []
        if reader.current is None:
            return []
        for tick in range(begin, until, TICKS_PER_BEAT):
            start = max(tick, reader.chords[-1].start)
            if start < tick + TICKS_PER_BEAT and certainty >= _LEAST_CERTAINTY:
                found.append(place(reader.current, start, tick + TICKS_PER_BEAT, certainty))
            certainty *= HELD_FADE
        return found

    def _is_hand_free(self, tick: int) -> bool:
        """Tell whether the hand has stopped to play: its keys are up at the end of the bar of its last chord."""
        return self._keys.reader.struck_at is not None and tick >= self._find_free_tick()

    def _find_free_tick(self) -> int:
        """Return the tick from which on the hand is free, if it plays nothing more."""
        reader = self._keys.reader
        if reader.struck_at is None or reader.is_down:
            return _NEVER
        bar = self._find_bar(round_to_step(reader.struck_at) * TICKS_PER_STEP)
        return max(bar.end, reader.released_at)

    # All together

    def _list_charted(self, since: int, until: int) -> list[GivenChord]:
        return self.route.list_chords(since, until, self._settings.transpose)

    def _list_all(self, since: int, begin: int, until: int) -> tuple[list[GivenChord], str]:
        """Return what hands say where there are hands, else what the chart or the memory does, and which it is."""
        source, expect = (MEMORY, self._memory.list_chords) if self.route.chart is None else (CHART, self._list_charted)
        expected = expect(begin, until)
        if not self._keys.reader.chords:
            return expect(since, until), source
        if not self._is_hand_free(begin):
            held = self._assume_held(begin, until)
            if held and expected and expected[0].root == held[0].root:  # the player is where it says: it will go on
                held = held[:1] + [chord for chord in expected if chord.end > held[0].end]
            return self._list_played(since, begin) + held, HANDS
        free = self._find_free_tick()
        past = self._list_played(since, min(begin, free)) + expect(max(since, free), begin)
        held = self._assume_held(begin, until, HELD_FADE ** (1 + max(0, begin - free) // TICKS_PER_BEAT))
        if expected and (not held or expected[0].certainty >= held[0].certainty):
            return past + expected, source
        return past + held, HANDS
