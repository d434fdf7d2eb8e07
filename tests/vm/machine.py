"""Boots the virtual machine by software emulation and passes on what its checks say on the serial console."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.vm.image import Base, VMError

#: what lines of the checks begin with
MARK = "@@ "
CORES, MEMORY = 2, "2G"


def boot(base: Base, payload: Path, limit: float, log: Path, told: Callable[[str], None]) -> bool:
    """Boots, gives every line that the checks mark to `told`, and returns whether they came to their end within `limit`
    seconds. log: where all of the console goes. The base is not written to. Raises VMError when QEMU does not start."""
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
    ended = False
    began = time.monotonic()
    try:
        assert machine.stdout
        with log.open("wb") as kept:
            for line in machine.stdout:
                kept.write(b"%7.1f " % (time.monotonic() - began) + line)
                kept.flush()
                text = line.decode(errors="replace").rstrip()
                if MARK in text:
                    said = text.partition(MARK)[2]
                    ended = ended or said == "end"
                    told(said)
    finally:
        over.cancel()
        machine.kill()
        machine.wait()
    return ended
