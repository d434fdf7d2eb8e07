"""`make fuzz`: hostile MIDI bytes into a live band on virtual time, as JSON.

    python -m tests.programs.fuzz_midi [--seconds 60] [--seed 0]

Each performance hears running status, SysEx that nobody ends, real-time messages inside of others, data bytes above
127, clocks that lie, ports that go and come. Exit status 1 unless each ends without an exception and with every note
ended, sends nothing that is no MIDI message, and leaves a take that can be read.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from tests.support.hostile_midi import play


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    wrong: list[dict[str, Any]] = []
    sent, until, seed = 0, time.monotonic() + args.seconds, args.seed
    while time.monotonic() < until:
        try:
            sent += play(seed)
        except Exception as error:  # noqa: BLE001 - which is what is looked for
            wrong.append({"seed": seed, "said": f"{type(error).__name__}: {error}"[:300]})
        seed += 1
    print(json.dumps({"performances": seed - args.seed, "sent": sent, "wrong": wrong}, indent=1))  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
