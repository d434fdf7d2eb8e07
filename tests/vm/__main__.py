"""`make test-vm`: boots a Debian with the wheel of this checkout, and prints what its checks found."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.vm.image import VMError, base, cache, check_tools, payload
from tests.vm.machine import boot

#: seconds for the machine from power-on to its end
LIMIT = 780.0


def main() -> int:
    """The exit status: 0 when every check was well."""
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {text}\n")
        sys.stdout.flush()

    log = cache() / "console.log"
    said: list[str] = []

    def told(line: str) -> None:
        said.append(line)
        tell(line)

    try:
        check_tools()
        tell("the Debian (made once, kept in the cache) ...")
        debian = base()
        with tempfile.TemporaryDirectory() as folder:
            tell("the wheels ...")
            disk = payload(Path(folder))
            tell("booting, by software emulation ...")
            ended = boot(debian, disk, LIMIT, log, told)
    except VMError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    failed = sum(line.startswith("FAILED") for line in said)
    well = sum(line.startswith("ok ") for line in said)
    tell(f"{well} checks well, {failed} failed{'' if ended else ', and it did not come to its end'}; console: {log}")
    return 0 if ended and well and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
