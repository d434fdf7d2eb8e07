r"""Names found by a pattern in a time that only grows with the name's length, whatever the pattern.

Python's own regular expressions try all ways to match one after the other: with some patterns and names that takes for
ever, and nothing else in the program runs meanwhile. Here all ways are tried at once. Patterns are a part of those of
`re`: `. [...] \d ^ $ \b ( | ) * + ? {2,3}`. Case does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from music.errors import UserError

#: a pattern that is longer, or would be with its `{2,3}` written out, is none
MAX_STATES = 500
_TOKEN = re.compile(r"\(\?:|\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.", re.DOTALL)
_REPEAT = re.compile(r"(?:([*+?])|\{(\d{1,3})(?:(,)(\d{1,3})?)?\})[?+]?")  # how eager it is makes no difference here
_SIMPLE_REPEATS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_ASSERTIONS = frozenset(("^", "$", r"\b", r"\B", r"\A", r"\Z"))


class PatternError(UserError):
    """Not a pattern, or one that says more than is understood here."""


@dataclass(eq=False, slots=True)
class _State:
    """A place in a pattern, and the way on from there."""

    following: list[_State] = field(default_factory=list)
    test: re.Pattern[str] | None = None  #: what must match there to go on; None: the way is free
    is_character: bool = False  #: whether that is a character, which is passed


#: a part of a pattern from its first to its last state; a function makes it, for a part that repeats is made repeatedly
_Part = tuple[_State, _State]
_Maker = Callable[[], _Part]


class NamePattern:
    """A pattern that is looked for in names."""

    def __init__(self, text: str) -> None:
        """Read a pattern. Raises PatternError."""
        self._first, self._last = _PatternReader(text).read()

    def is_in(self, name: str) -> bool:
        """Tell whether some part of a name matches."""
        now: set[_State] = set()
        for at in range(len(name) + 1):
            _enter(self._first, name, at, now)
            if self._last in now:
                return True
            passed, now = now, set()
            for state in passed:
                if state.is_character and state.test is not None and state.test.match(name, at):
                    for following in state.following:
                        _enter(following, name, at + 1, now)
        return False


def _enter(state: _State, name: str, at: int, now: set[_State]) -> None:
    """Add a state, and all that can be reached from it without passing a character."""
    waiting = [state]
    while waiting:
        state = waiting.pop()
        if state not in now:
            now.add(state)
            if not state.is_character and (state.test is None or state.test.match(name, at)):
                waiting += state.following


class _PatternReader:
    """Reads a pattern, token by token."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth, self._states = text, 0, 0, 0

    def read(self) -> _Part:
        """Return the whole pattern. Raises PatternError."""
        make = self._read_choice()
        if self._at < len(self._text):
            raise PatternError("a bracket too many")
        return make()

    def _make_state(self) -> _State:
        self._states += 1
        if self._states > MAX_STATES:
            raise PatternError("too long")
        return _State()

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _read_choice(self) -> _Maker:
        makers = [self._read_sequence()]
        while self._take("|"):
            makers.append(self._read_sequence())

        def make() -> _Part:
            first, last = self._make_state(), self._make_state()
            for begin, end in (make_one() for make_one in makers):
                first.following.append(begin)
                end.following.append(last)
            return first, last

        return make

    def _read_sequence(self) -> _Maker:
        makers: list[_Maker] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            make_one = self._read_one()
            if repeat := _REPEAT.match(self._text, self._at):
                self._at = repeat.end()
                make_one = self._repeat(make_one, *_find_limits(repeat))
            makers.append(make_one)

        def make() -> _Part:
            first = last = self._make_state()
            for begin, end in (make_one() for make_one in makers):
                last.following.append(begin)
                last = end
            return first, last

        return make

    def _read_one(self) -> _Maker:
        """Read a group, or a token that stands for one character or an assertion."""
        if self._take("(?:") or self._take("("):
            self._depth += 1
            if self._depth > MAX_STATES // 10:
                raise PatternError("too deep")
            make_group = self._read_choice()
            self._depth -= 1
            if not self._take(")"):
                raise PatternError("a bracket too few")
            return make_group
        token = _TOKEN.match(self._text, self._at)
        assert token is not None
        self._at = token.end()
        try:
            test = re.compile(token[0], re.IGNORECASE)
        except re.error as error:
            raise PatternError(str(error)) from None

        def make() -> _Part:
            first, last = self._make_state(), self._make_state()
            first.test, first.is_character = test, token[0] not in _ASSERTIONS
            first.following.append(last)
            return first, last

        return make

    def _repeat(self, make_one: _Maker, least: int, most: int | None) -> _Maker:
        """Return what makes a part `least` to `most` times in a row; None: as often as there is."""

        def make() -> _Part:
            first = begin = last = self._make_state()
            for number in range(max(least, 1) if most is None else most):
                begin, end = make_one()
                last.following.append(begin)
                if number >= least:
                    last.following.append(end)
                last = end
            if most is None:
                last.following.append(begin)
            return first, last

        return make


def _find_limits(repeat: re.Match[str]) -> tuple[int, int | None]:
    """Return how often the part before it is at least and at most there; None: there is no limit."""
    simple, least, comma, most = repeat.groups()
    if simple:
        return _SIMPLE_REPEATS[simple]
    if not comma:
        return int(least), int(least)
    return int(least), int(most) if most else None
