"""Boots the virtual machine by software emulation and passes on what its checks say on the serial console."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs.vm.image import Base, VMError

#: what lines of the checks begin with
MARK = "@@ "
CORES, MEMORY = 2, "2G"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a check. text: in words; figures: numbers with their unit in the name; at: seconds since the first."""

    check: str
    well: bool
    text: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    at: float = 0.0


def parse_result(line: str) -> CheckResult | int | None:
    """Return a console line's result, at the end of the checks their number, None for any other line."""
    _, mark, said = line.partition(MARK)
    try:
        told = json.loads(said) if mark else None
        if not isinstance(told, dict):
            return None
        return int(told["end"]) if "end" in told else CheckResult(**told)
    except (ValueError, TypeError):
        return None


def boot(base: Base, payload: Path, limit: float, log: Path, found: Callable[[CheckResult], None]) -> bool:
    """Boots, gives every result of the checks to `found`, and returns whether they came to their end within `limit`
    seconds and none was lost. log: where all of the console goes. The base is not written to.

    Raises VMError when QEMU does not start.
    """
    command = [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(CORES), "-m", MEMORY,
        "-kernel", str(base.kernel), "-initrd", str(base.initrd),
        "-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off systemd.show_status=false",
        "-drive", f"file={base.disk},format=raw,if=virtio,snapshot=on",
        "-drive", f"file={payload},format=raw,if=virtio,readonly=on",
        "-nic", "none", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
    ]  # fmt: skip
    try:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise VMError(f"QEMU does not start: {error.strerror}") from None
    over = threading.Timer(limit, machine.kill)
    over.start()
    ended, count = False, 0
    began = time.monotonic()
    try:
        assert machine.stdout
        with log.open("wb") as kept:
            for line in machine.stdout:
                kept.write(b"%7.1f " % (time.monotonic() - began) + line)
                kept.flush()
                said = parse_result(line.decode(errors="replace").rstrip())
                if isinstance(said, CheckResult):
                    found(said)
                    count += 1
                elif said is not None:
                    ended = said == count
    finally:
        over.cancel()
        machine.kill()
        machine.wait()
    return ended
