"""The order in which the written bars of a chart are played: repeats, endings, D.C., D.S., coda and fine."""

from __future__ import annotations

from collections.abc import Sequence

from music.charts.chart import MAX_BARS, ChartBar

#: A pass of repeated bars after a jump: only the last ending is played then, and nothing is repeated.
_LAST_PASS = 0


def spread_endings(bars: Sequence[ChartBar], stops: frozenset[int] = frozenset()) -> None:
    """Give all bars of an ending its numbers, where only the first bar of each has them.

    An ending reaches to its repeat sign, to the bar before the next ending or repeat, or to one of `stops` (indices of
    bars after which an ending is said to end). The last of several endings is one bar where nothing says more.
    """
    current: frozenset[int] = frozenset()
    for index, bar in enumerate(bars):
        if bar.repeat_start:
            current = frozenset()
        if bar.endings:
            current = bar.endings
        bar.endings = current
        is_last = current and not _has_repeat_end(bars, index)
        if bar.repeat_end or index in stops or (is_last and not stops):
            current = frozenset()


def _has_repeat_end(bars: Sequence[ChartBar], start: int) -> bool:
    """Tell whether the ending that begins or goes on at a bar comes to a repeat sign before anything new begins."""
    for index in range(start, len(bars)):
        bar = bars[index]
        if index > start and (bar.repeat_start or (bar.endings and bar.endings != bars[start].endings)):
            return False
        if bar.repeat_end:
            return True
    return False


def unfold(bars: Sequence[ChartBar]) -> list[int]:
    """Return the indices of bars as they are played.

    Raises ValueError when they are more than MAX_BARS.
    """
    order: list[int] = []
    index, start, passed, has_jumped = 0, 0, 1, False
    while index < len(bars):
        bar = bars[index]
        is_after_endings = index > 0 and bool(bars[index - 1].endings) and not bar.endings
        if index != start and (bar.repeat_start or is_after_endings):
            start, passed = index, _LAST_PASS if has_jumped else 1
        if bar.endings and not _is_played(bars, index, start, passed):
            index += 1
            continue
        if len(order) >= MAX_BARS:
            raise ValueError(f"its repeats make more than {MAX_BARS:,} bars")
        order.append(index)
        if has_jumped and bar.is_fine:
            break
        if has_jumped and bar.to_coda:
            coda = next((i for i in range(len(bars)) if i > index and bars[i].is_coda), None)
            if coda is not None:
                index = start = coda
                continue
        if bar.repeat_end and passed != _LAST_PASS:
            if passed < _count_passes(bars, start, index):
                passed, index = passed + 1, start
                continue
            start, passed = index + 1, 1
        if bar.jump and not has_jumped:
            has_jumped, passed = True, _LAST_PASS
            segno = next((i for i, b in enumerate(bars) if b.is_segno), 0)
            index = start = segno if bar.jump == "D.S." else 0
            continue
        index += 1
    return order


def _is_played(bars: Sequence[ChartBar], index: int, start: int, passed: int) -> bool:
    numbers = bars[index].endings
    if passed != _LAST_PASS:
        return passed in numbers
    return _find_last_ending(bars, start) in numbers


def _count_passes(bars: Sequence[ChartBar], start: int, end: int) -> int:
    """Return how often the bars from `start` to the repeat sign at `end` are played."""
    return max(bars[end].repeat_end, _find_last_ending(bars, start))


def _find_last_ending(bars: Sequence[ChartBar], start: int) -> int:
    """Return the highest number among the endings of the repeat that begins at a bar; 0 when it has none."""
    last, seen_ending = 0, False
    for index in range(start, len(bars)):
        bar = bars[index]
        if index > start and (bar.repeat_start or (seen_ending and not bar.endings)):
            break
        if bar.endings:
            last, seen_ending = max(last, *bar.endings), True
    return last
