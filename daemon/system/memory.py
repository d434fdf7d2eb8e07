"""Requests to the operating system about the program's memory, made at best effort.

Where it cannot be asked, nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

#: flags of mlockall(2): pages that are there now, and pages as they are first used
_MCL_CURRENT, _MCL_ONFAULT = 1, 4
#: option of prctl(2)
_PR_SET_THP_DISABLE = 41


def trim_heap() -> None:
    """Give free memory inside the heap back to the system: loading a graph leaves glibc's heap full of holes."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def disable_huge_pages() -> bool:
    """Keep this process, and processes it starts later, from huge pages; return False where that cannot be.

    Over the hours the kernel would fill the holes in their memory with them.
    """
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False


def lock_memory() -> bool:
    """Keep what is loaded from being swapped out; return False where the limits do not allow it."""
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_ONFAULT)) == 0
    except (OSError, AttributeError):
        return False


def limit_growth(size: int) -> bool:
    """Let this process take so many bytes more than it has, and never more again; return False where that cannot be.

    Beyond them an allocation fails. Only Linux counts what is allocated; memory that is shared, such as libraries, does
    not count.
    """
    return _set_limit(size, for_ever=True) is not None


@contextlib.contextmanager
def bounded_growth(size: int) -> Iterator[None]:
    """Let this process take so many bytes more than it has while the context is open, as `limit_growth` does."""
    before = _set_limit(size, for_ever=False)
    try:
        yield
    finally:
        if before is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, before)


def _set_limit(size: int, *, for_ever: bool) -> tuple[int, int] | None:
    """Limit what is allocated; return the limits before, None where there can be none or a lower one holds."""
    if sys.platform != "linux":
        return None
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        soft, hard = before = resource.getrlimit(resource.RLIMIT_DATA)
        limit = pages * resource.getpagesize() + size
        if soft != resource.RLIM_INFINITY and soft <= limit:
            return None
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit if for_ever else hard))
    except (OSError, ValueError, IndexError):
        return None
    return before
