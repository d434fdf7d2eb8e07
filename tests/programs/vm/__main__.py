"""`make test-vm`: boots a Debian with the wheel of this checkout, and prints what its checks found."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.programs.vm.image import VMError, base, cache, check_tools, payload
from tests.programs.vm.machine import CheckResult, boot

#: seconds for all of it, the making of the Debian included
LIMIT = 1800.0


def main() -> int:
    """The exit status: 0 when every check was well, 1 when one was not, 2 when the machine cannot be made."""
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {text}\n")
        sys.stdout.flush()

    results: list[CheckResult] = []

    def found(result: CheckResult) -> None:
        results.append(result)
        tell(f"{'ok    ' if result.well else 'FAILED'}  {result.check}: {result.text}")

    log = cache() / "console.log"
    try:
        check_tools()
        tell("the Debian (made once, kept in the cache) ...")
        debian = base()
        with tempfile.TemporaryDirectory() as folder:
            tell("the wheels ...")
            disk = payload(Path(folder))
            tell("booting, by software emulation ...")
            ended = boot(debian, disk, LIMIT - (time.monotonic() - began), log, found)
    except VMError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    seconds = time.monotonic() - began
    sys.stdout.write(report(results, ended, seconds))
    tell(f"console: {log}")
    return 0 if is_well(results, ended) else 1


def is_well(results: list[CheckResult], ended: bool) -> bool:
    """Return True where all checks were made and none failed."""
    return ended and bool(results) and all(result.well for result in results)


def report(results: list[CheckResult], ended: bool, seconds: float) -> str:
    """The results as a table, then all of it as a line of JSON."""
    width = max((len(result.check) for result in results), default=0)
    rows = [f"{f.check:<{width}}  {'ok' if f.well else 'FAILED':<6}  {f.text}".rstrip() for f in results]
    failed = [result.check for result in results if not result.well]
    verdict = f"{len(results) - len(failed)} of {len(results)} checks well"
    if not ended:
        verdict += "; the checks did not come to their end"
    whole = {
        "well": is_well(results, ended),
        "ended": ended,
        "seconds": round(seconds),
        "failed": failed,
        "figures": {key: value for result in results for key, value in result.figures.items()},
        "checks": [asdict(result) for result in results],
    }
    return "\n".join(["", *rows, "", f"{verdict}, {seconds:.0f} s", "", json.dumps(whole), ""])


if __name__ == "__main__":
    sys.exit(main())
