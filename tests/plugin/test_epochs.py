"""Instances count the host's jumps by themselves: their counts agree, in whatever order they are heard of."""

from __future__ import annotations

import ctypes
import shutil
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")

MAX_KNOWN_EPOCHS = 16
MS = 1_000_000


class Stretch(ctypes.Structure):
    """The `struct stretch` of epochs.h."""

    _fields_ = (("begun", ctypes.c_int64), ("stopped", ctypes.c_bool))


class Epochs(ctypes.Structure):
    """The `struct epochs` of epochs.h."""

    _fields_ = (("newest", ctypes.c_uint32), ("reached", ctypes.c_int64), ("known", Stretch * MAX_KNOWN_EPOCHS))


class Count(ctypes.Structure):
    """The `struct epoch_count` of epochs.h."""

    _fields_ = (
        ("holds", ctypes.c_bool),
        ("own", ctypes.c_uint32),
        ("at", Stretch),
        ("offset", ctypes.c_int64),
        ("sure", ctypes.c_bool),
        ("behind_since", ctypes.c_int64),
        ("reached", ctypes.c_int64),
    )


class Counted:
    """An instance of the plugin, as far as it counts."""

    def __init__(self, first: int) -> None:
        self.own, self.begun, self.count = first, 0, Count()
        self.queue: deque[tuple[int, int] | None] = deque()  # own epoch and where it began; None: it leaves

    def go(self, begun: int) -> None:
        self.own, self.begun = self.own + 1, begun
        self.tell()

    def tell(self) -> None:
        self.queue.append((self.own, self.begun))


class Session:
    """A session of the plugin, of which the first instance leads."""

    def __init__(self, library: ctypes.CDLL, instances: list[Counted]) -> None:
        self._library, self.instances = library, instances
        library.epochs_take.restype = ctypes.c_int64
        library.epochs_take.argtypes = [
            ctypes.POINTER(Epochs),
            ctypes.POINTER(Count),
            ctypes.c_uint32,
            Stretch,
            ctypes.c_bool,
            ctypes.c_int64,
        ]
        library.epochs_begin.argtypes = [ctypes.POINTER(Epochs), ctypes.c_uint32, Stretch]
        library.epochs_match.argtypes = [ctypes.POINTER(Epochs), ctypes.POINTER(Count)]
        self.epochs = Epochs()
        self.begin(1, Stretch(0, True))

    def begin(self, number: int, stretch: Stretch) -> None:
        self._library.epochs_begin(ctypes.byref(self.epochs), number, stretch)
        for each in self.instances[1:]:
            self._library.epochs_match(ctypes.byref(self.epochs), ctypes.byref(each.count))

    def hear(self, instance: Counted, now: int = 0) -> None:
        """Take the oldest thing that an instance has told."""
        told = instance.queue.popleft()
        if told is None:
            instance.count.holds = False
            return
        own, stretch = told[0], Stretch(told[1], False)
        leads = instance is self.instances[0]
        epochs, count = ctypes.byref(self.epochs), ctypes.byref(instance.count)
        number = self._library.epochs_take(epochs, count, own, stretch, leads, now)
        if leads and number > self.epochs.newest:
            self.begin(number, stretch)

    def hear_all(self) -> None:
        for each in self.instances:
            while each.queue:
                self.hear(each)

    def list_numbers(self) -> list[int]:
        return [each.own + each.count.offset for each in self.instances]


@given(
    st.permutations(range(3)),
    st.lists(st.tuples(st.sampled_from([0, 0, 96_000, 192_000]), st.lists(st.integers(0, 2), max_size=8)), max_size=12),
)
def test_counts_agree_whatever_is_heard_first(library: ctypes.CDLL, order: list[int], steps: list[Any]) -> None:
    """Jumps, also to where the host came from, and loops: with all told, every instance is where the session is."""
    instances = [Counted(first) for first in (5, 1, 9)]
    session = Session(library, instances)
    for each in instances:
        each.go(1000)
    session.hear_all()
    for begun, heard in steps:
        for number in order:
            instances[number].go(begun)
        for number in heard:
            if instances[number].queue:
                session.hear(instances[number])
    while any(each.queue for each in instances):
        for each in instances:
            if each.queue:
                session.hear(each)
    numbers = session.list_numbers()
    assert numbers == [session.epochs.newest] * 3, numbers


def test_an_instance_heard_of_late_agrees_with_the_next_jump(library: ctypes.CDLL) -> None:
    lead, other = Counted(1), Counted(7)
    session = Session(library, [lead, other])
    for each in (lead, other):
        each.go(0)
    session.hear_all()
    other.queue.append(None)
    other.go(10_000)  # it is put up again, and begins in between; of that is heard only after the next jump
    lead.go(96_000)
    session.hear(lead)
    session.hear(other)
    session.hear(other)
    other.go(96_000)
    session.hear_all()
    assert session.list_numbers() == [session.epochs.newest] * 2


def test_an_instance_that_was_not_processed_goes_on_where_the_session_is(library: ctypes.CDLL) -> None:
    lead, other = Counted(1), Counted(1)
    session = Session(library, [lead, other])
    for each in (lead, other):
        each.go(0)
    session.hear_all()
    session.epochs.reached = 50_000
    other.go(50_500)
    session.hear_all()
    assert session.list_numbers() == [session.epochs.newest] * 2


def test_a_short_jump_is_one_though_an_instance_tells_of_it_before_the_lead(library: ctypes.CDLL) -> None:
    lead, other = Counted(1), Counted(1)
    session = Session(library, [lead, other])
    for each in (lead, other):
        each.go(0)
    session.hear_all()
    session.epochs.reached = 33_187
    other.go(29_148)
    session.hear(other)
    assert session.list_numbers() == [session.epochs.newest, session.epochs.newest + 1]


def test_an_instance_that_goes_back_has_jumped_though_the_lead_is_as_far_back(library: ctypes.CDLL) -> None:
    lead, other = Counted(1), Counted(1)
    session = Session(library, [lead, other])
    for each in (lead, other):
        each.go(0)
    session.hear_all()
    session.epochs.reached, other.count.reached = 0, 3840
    other.go(879)
    session.hear(other)
    assert session.list_numbers() == [session.epochs.newest, session.epochs.newest + 1]


def test_an_instance_that_has_missed_a_round_of_a_loop_follows_after_a_moment(library: ctypes.CDLL) -> None:
    lead, other = Counted(1), Counted(1)
    session = Session(library, [lead, other])
    for each in (lead, other):
        each.go(0)
    session.hear_all()
    lead.go(0)
    session.hear_all()
    for now, behind in ((1, 1), (90 * MS, 1), (102 * MS, 0)):
        other.tell()
        session.hear(other, now)
        assert session.list_numbers() == [session.epochs.newest, session.epochs.newest - behind]


def test_a_lead_that_is_put_up_again_goes_on_where_the_session_is(library: ctypes.CDLL) -> None:
    lead, other = Counted(1), Counted(1)
    session = Session(library, [lead, other])
    for each in (lead, other):
        each.go(0)
    session.hear_all()
    newest, session.epochs.reached = session.epochs.newest, 20_000
    lead.queue.append(None)
    lead.go(21_000)
    session.hear_all()
    assert session.epochs.newest == newest
    lead.go(500_000)
    session.hear_all()
    assert session.epochs.newest == newest + 1
