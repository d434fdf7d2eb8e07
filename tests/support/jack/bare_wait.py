"""Lateness of bare deadline waits: the reference for how late houseband's notes leave.

Waits for one deadline after the other, INTERVAL_NS apart, until its stdin ends; then prints each lateness in ns.
Usage: bare_wait.py INTERVAL_NS
"""

from __future__ import annotations

import sys
import threading
import time
from queue import Empty, SimpleQueue

from daemon.system.priority import real_time_section


def main() -> None:
    interval = int(sys.argv[1])
    queue: SimpleQueue[None] = SimpleQueue()
    late: list[int] = []

    def end() -> None:
        sys.stdin.read()
        queue.put(None)

    threading.Thread(target=end, daemon=True).start()
    due = time.monotonic_ns()
    with real_time_section():
        while True:
            due += interval
            try:
                queue.get(timeout=max(0.0, (due - time.monotonic_ns()) / 1e9))
                break
            except Empty:
                late.append(time.monotonic_ns() - due)
    sys.stdout.writelines(f"{lateness}\n" for lateness in late)


if __name__ == "__main__":
    main()
