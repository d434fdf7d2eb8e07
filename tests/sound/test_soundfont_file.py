"""Soundfont files, read back by the letter of the format."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.sound.soundfont_file import (
    BankSample,
    Instrument,
    Preset,
    Zone,
    ZoneParameter,
    make_soundfont,
    to_time_cents,
)
from tests.support.soundfont_reader import read_chunks, read_presets


def _sample(name: str = "tone", length: int = 100, loop: tuple[int, int] | None = (8, 72)) -> BankSample:
    return BankSample(name, np.arange(length, dtype=np.int16), 44_100, 60, loop)


def test_it_says_what_it_is() -> None:
    chunks = read_chunks(make_soundfont("a bank", [_sample()], [Instrument("i", [Zone(0)])], [Preset("p", 0, 0, 0)]))
    assert struct.unpack("<HH", chunks["ifil"]) == (2, 1)
    assert chunks["INAM"].rstrip(b"\0") == b"a bank"
    assert len(chunks["INAM"]) % 2 == 0


def test_a_preset_leads_to_its_sample() -> None:
    samples = [_sample("first", 50), _sample("second", 60)]
    zones = [Zone(1, 30, 59, {ZoneParameter.PAN: -250}), Zone(0, 60, 90)]
    bank = make_soundfont(
        "b", samples, [Instrument("other", [Zone(0)]), Instrument("i", zones)], [Preset("p", 0, 5, 1)]
    )
    low, high = read_presets(bank)[0, 5]
    assert (low.keys, high.keys) == ((30, 59), (60, 90))
    assert (low.name, high.name) == ("second", "first")
    assert low.generators[ZoneParameter.PAN] == -250
    assert low.generators[ZoneParameter.SAMPLE_MODES] == 1
    assert list(low.samples) == list(range(60))
    assert low.loop == (8, 72)


def test_a_sample_without_a_loop_is_played_once() -> None:
    bank = make_soundfont("b", [_sample(loop=None)], [Instrument("i", [Zone(0)])], [Preset("p", 0, 0, 0)])
    assert ZoneParameter.SAMPLE_MODES not in read_presets(bank)[0, 0][0].generators


def test_presets_are_in_order_whatever_order_they_come_in() -> None:
    presets = [Preset("z", 128, 0, 0), Preset("b", 0, 7, 0), Preset("a", 0, 3, 0)]
    bank = make_soundfont("b", [_sample()], [Instrument("i", [Zone(0)])], presets)
    assert list(read_presets(bank)) == [(0, 3), (0, 7), (128, 0)]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.data())
def test_everything_comes_back(lengths: list[int], data: st.DataObject) -> None:
    samples = [_sample(f"s{number}", length, (0, length)) for number, length in enumerate(lengths)]
    numbers = st.lists(st.integers(0, len(samples) - 1), min_size=1, max_size=4)
    lines = data.draw(st.lists(numbers, min_size=1, max_size=4))
    instruments = [Instrument(f"i{at}", [Zone(number) for number in line]) for at, line in enumerate(lines)]
    bank = make_soundfont("b", samples, instruments, [Preset("p", 0, at, at) for at in range(len(instruments))])
    read = read_presets(bank)
    for at, line in enumerate(lines):
        assert [zone.name for zone in read[0, at]] == [f"s{number}" for number in line]
        assert [len(zone.samples) for zone in read[0, at]] == [lengths[number] for number in line]


def test_samples_have_the_silence_between_them_that_the_format_asks_for() -> None:
    bank = make_soundfont(
        "b", [_sample("a"), _sample("b")], [Instrument("i", [Zone(0), Zone(1)])], [Preset("p", 0, 0, 0)]
    )
    data = np.frombuffer(read_chunks(bank)["smpl"], "<i2")
    headers = read_chunks(bank)["shdr"]
    places = [struct.unpack_from("<20sII", headers, at) for at in range(0, len(headers) - 46, 46)]
    for (_, _, end), (_, begin, _) in pairwise(places):
        assert begin - end >= 46
        assert not data[end:begin].any()


def test_time_cents() -> None:
    assert [to_time_cents(seconds) for seconds in (1, 2, 0.5, 0)] == [0, 1200, -1200, -11959]
