"""What the system does with our memory: given back, in small pages, locked."""

from __future__ import annotations

import contextlib
import ctypes
import sys

#: mlockall(2): what is there now, each page once it is used; prctl(2)
_MCL_CURRENT, _MCL_ONFAULT = 1, 4
_PR_SET_THP_DISABLE = 41


def trim_heap() -> None:
    """Loading a graph leaves glibc's heap full of holes: let the system have them. Nothing where there is another C
    library, or none by that name."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def disable_huge_pages() -> bool:
    """No huge pages for us and the processes we start: over the hours the kernel would fill the holes in their memory
    with them. False where that cannot be."""
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False


def lock_memory() -> bool:
    """Keep what is loaded in memory, where the limits allow it; False where they do not."""
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_ONFAULT)) == 0
    except (OSError, AttributeError):
        return False
