"""Requests to the operating system about the program's memory, made at best effort.

Where it cannot be asked, nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

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
