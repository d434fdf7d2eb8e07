"""A simulated hour of the plugin in a host of ours, as LV2 and CLAP: blocks of any size, loops, jumps, lost daemons.

    python -m tests.programs.plugin_hour [--seconds 3600] [--seed 1]

One JSON line for each format; exit status 1 where a note was missing, off its sample, or did not end. It takes minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from daemon.plugin import bundles
from tests.plugin.test_native import FORMATS, compile_host, find_binary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundles.build(folder, "")
        host = compile_host(folder / "host")
        for each in FORMATS:
            command = [host, each, find_binary(folder, each), folder / "socket", args.seconds, args.seed]
            environment = {**os.environ, "HOUSEBAND_PROGRAM": ""}
            failed |= subprocess.run([str(part) for part in command], env=environment, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
