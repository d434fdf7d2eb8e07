"""Disks of the virtual machine: a minimal Debian in an ext4 image, made once and kept in the user's cache, and a disk
with the wheels and the script of checks, made for every run. Nothing of it needs a network once it runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RELEASE = "bookworm"
GUEST_PYTHON = "3.11"
PACKAGES = (
    "alsa-utils", "dbus", "dbus-user-session", "kmod", "libasound2", "libpam-systemd", "linux-image-amd64", "passwd",
    "python3", "python3-venv", "systemd", "systemd-sysv", "udev",
)  # fmt: skip
TOOLS = {"debootstrap": "debootstrap", "mkfs.ext4": "e2fsprogs", "qemu-system-x86_64": "qemu-system-x86"}
#: the user whose service it is: in the group that may open the sequencer, lingering, with limits as audio users have
USER = "player"
#: what a wheel for the guest may be built for
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

_FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/hostname": "band\n",
    "etc/hosts": "127.0.0.1 localhost band\n",
    "etc/modules-load.d/snd-seq.conf": "snd-seq\n",
    "etc/security/limits.d/audio.conf": "@audio - rtprio 95\n@audio - memlock unlimited\n",
    f"var/lib/systemd/linger/{USER}": "",
    "etc/systemd/system/houseband-checks.service": (
        "[Unit]\nDescription=Checks of the houseband service\nAfter=multi-user.target\n"
        "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\n"
        "ExecStartPre=/bin/mount -o ro /dev/vdb /mnt\nExecStart=/usr/bin/python3 -u /mnt/guest.py\n"
        "ExecStopPost=/bin/systemctl poweroff --no-block\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
}
_SETUP = f"""
set -e
useradd --create-home --shell /bin/bash --groups audio {USER}
mkdir -p /var/log/journal
ln -s /etc/systemd/system/houseband-checks.service /etc/systemd/system/multi-user.target.wants/
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer serial-getty@ttyS0.service getty@.service
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
"""


class VMError(Exception):
    """The machine cannot be made; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Base:
    """A Debian that can be booted."""

    disk: Path
    kernel: Path
    initrd: Path


def cache() -> Path:
    """Where the base is kept: the platform's cache directory."""
    from platformdirs import user_cache_path

    path = user_cache_path("houseband") / "vm"
    path.mkdir(parents=True, exist_ok=True)
    return path


def check_tools() -> None:
    """Raises VMError that names what is to be installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None]
    if missing:
        raise VMError(f"the virtual machine needs {' '.join(missing)}: apt-get install {' '.join(missing)}")


def base() -> Base:
    """The Debian, from the cache or made now (some minutes). Raises VMError."""
    told = hashlib.sha256(repr((RELEASE, PACKAGES, sorted(_FILES.items()), _SETUP)).encode()).hexdigest()[:12]
    home = cache() / f"{RELEASE}-{told}"
    made = Base(home / "disk.ext4", home / "vmlinuz", home / "initrd")
    if home.exists():
        return made
    part, tree = home.with_suffix(".part"), home.with_suffix(".tree")
    as_root("rm", "-rf", str(part), str(tree))
    part.mkdir()
    try:
        as_root("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(tree))
        furnish(tree)
        as_root("mkfs.ext4", "-q", "-F", "-L", "band", "-d", str(tree), str(part / made.disk.name), "2500M")
        for name, target in (("vmlinuz", made.kernel), ("initrd.img", made.initrd)):
            as_root("sh", "-c", f'install -m 644 "$1"/boot/{name}-* "$2"', "sh", str(tree), str(part / target.name))
    finally:
        as_root("rm", "-rf", str(tree))
    part.rename(home)
    return made


def furnish(tree: Path) -> None:
    """Files, user and services of the machine. Raises VMError."""
    for name, text in _FILES.items():
        as_root("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" > "$1"', "sh", str(tree / name), text)
    as_root("chroot", str(tree), "sh", "-c", _SETUP)


def payload(folder: Path) -> Path:
    """A disk with the wheel of this checkout, what it depends on, a small graph and the checks. folder: to work in."""
    from tests.support.training import write_gan_graph  # needs torch

    content = folder / "payload"
    wheels = content / "wheels"
    wheels.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))
    [wheel] = wheels.glob("houseband-*.whl")
    platforms = [option for name in _PLATFORMS for option in ("--platform", name)]
    run(
        *pip, "download", "--dest", str(wheels), "--only-binary=:all:", "--implementation", "cp",
        "--python-version", GUEST_PYTHON, *platforms, str(wheel),
    )  # fmt: skip
    shutil.copy(Path(__file__).parent / "guest.py", content)
    write_gan_graph(content / "small.onnx")
    disk = folder / "payload.ext4"
    run("mkfs.ext4", "-q", "-F", "-d", str(content), str(disk), "400M")
    return disk


def run(*command: str) -> None:
    """Runs a program. Raises VMError with the last of what it said."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        last = " / ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise VMError(f"{Path(command[0]).name} failed: {last}")


def as_root(*command: str) -> None:
    """Runs a program as root. Raises VMError."""
    run(*([] if os.geteuid() == 0 else ["sudo"]), *command)
