"""The service of a user: systemd's unit on Linux, launchd's on macOS, made for the environment we run from."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from daemon.system import paths
from music.errors import UserError
from music.files import write_atomically

NAME, LABEL = "houseband.service", "io.github.houseband"
#: beside the unit, where a user's systemd has no user namespaces
PLAIN = "50-no-user-namespaces.conf"
_PLAIN_TEXT = """# Written by `houseband service install`: this system forbids user namespaces, without which a user's
# systemd cannot take capabilities away.
[Service]
PrivateUsers=no
CapabilityBoundingSet=~
ProtectKernelModules=no
ProtectKernelLogs=no
"""
_HOME = "%h/.local/bin/houseband"


class UnitError(UserError):
    """The service cannot be installed, removed or asked."""


class ServiceManager(Protocol):
    """A service manager."""

    path: Path

    def install(self, options: Sequence[str]) -> None:
        """Write, enable and start it, with these options of `houseband run`. Raises UnitError."""
        ...

    def uninstall(self) -> bool:
        """Stop and remove it; False when there was none. Raises UnitError."""
        ...

    def status(self) -> list[str]:
        """The command that says how it is."""
        ...

    def logs(self, follow: bool, lines: int) -> list[str]:
        """The command that says what it said."""
        ...


def program() -> list[str]:
    """The command that we are: the script beside our interpreter, else the interpreter itself."""
    script = Path(sys.executable).parent / "houseband"
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "daemon"]


def systemd_quote(words: Sequence[str]) -> str:
    """A command line as systemd.service(5) reads it."""
    found = []
    for word in words:
        plain = word.replace("%", "%%").replace("$", "$$")
        if not plain or any(c in plain for c in " \t\"'\\;"):
            escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
            plain = f'"{escaped}"'
        found.append(plain)
    return " ".join(found)


def unit_text(command: Sequence[str], options: Sequence[str]) -> str:
    """The shipped unit for this command."""
    text = (files("systemd") / NAME).read_text(encoding="utf-8")
    text = text.replace(f"ExecStart={_HOME} run", f"ExecStart={systemd_quote([*command, 'run', *options])}")
    return text.replace(f"ExecStopPost=-{_HOME} silence", f"ExecStopPost=-{systemd_quote([*command, 'silence'])}")


def plist(command: Sequence[str], options: Sequence[str], logs: Path) -> bytes:
    """The same for launchd: kept alive after a crash, in the scheduling class of what is heard."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [*command, "run", *options],
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 5,
            "ProcessType": "Interactive",
            "StandardOutPath": str(logs),
            "StandardErrorPath": str(logs),
        }
    )


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise UnitError(f"{command[0]} cannot be run: {error.strerror}") from None


def _must(run: Callable[..., subprocess.CompletedProcess[str]], *command: str) -> None:
    done = run(*command)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise UnitError(f"{' '.join(command)} failed: {reason[0]}")


class Systemd:
    """The user's systemd. run: runs a command."""

    def __init__(self, run: Callable[..., subprocess.CompletedProcess[str]] = _run) -> None:
        self._run = run
        self.path = paths.systemd_folder() / NAME
        self._plain = self.path.with_name(f"{NAME}.d") / PLAIN

    def install(self, options: Sequence[str]) -> None:
        """As the protocol's."""
        self._check()
        _write(self.path, unit_text(program(), options).encode())
        tried = self._run(
            "systemd-run", "--user", "--quiet", "--wait", "--collect", "-p", "PrivateUsers=yes",
            "-p", "CapabilityBoundingSet=", "-p", "ProtectSystem=strict", "true",
        )  # fmt: skip
        if tried.returncode:
            _write(self._plain, _PLAIN_TEXT.encode())
        elif self._plain.exists():
            self._plain.unlink()
        _must(self._run, "systemctl", "--user", "daemon-reload")
        _must(self._run, "systemctl", "--user", "enable", NAME)
        _must(self._run, "systemctl", "--user", "reset-failed", NAME)
        _must(self._run, "systemctl", "--user", "restart", NAME)

    def uninstall(self) -> bool:
        """As the protocol's."""
        there = self.path.exists()
        if there:
            self._check()
            _must(self._run, "systemctl", "--user", "disable", "--now", NAME)
            self.path.unlink()
        self._plain.unlink(missing_ok=True)
        if self._plain.parent.is_dir() and not any(self._plain.parent.iterdir()):
            self._plain.parent.rmdir()
        if there:
            _must(self._run, "systemctl", "--user", "daemon-reload")
        return there

    def status(self) -> list[str]:
        """As the protocol's."""
        return ["systemctl", "--user", "--no-pager", "status", NAME]

    def logs(self, follow: bool, lines: int) -> list[str]:
        """As the protocol's."""
        return [
            "journalctl",
            "--user",
            "--unit",
            NAME,
            f"--lines={lines}",
            *(["--follow"] if follow else ["--no-pager"]),
        ]

    def _check(self) -> None:
        done = self._run("systemctl", "--user", "show", "--property=Version")
        if done.returncode:
            raise UnitError(
                "there is no systemd of yours to talk to here; log in as the user whose service it shall be "
                "(not through su or sudo)"
            )


class Launchd:
    """macOS's launchd."""

    def __init__(self, run: Callable[..., subprocess.CompletedProcess[str]] = _run) -> None:
        self._run = run
        self.path = paths.launch_agents_folder() / f"{LABEL}.plist"
        self._logs = paths.launchd_log_file()
        self._domain = f"gui/{os.getuid()}"

    def install(self, options: Sequence[str]) -> None:
        """As the protocol's."""
        self._run("launchctl", "bootout", f"{self._domain}/{LABEL}")  # the one before, if there was one
        self._logs.parent.mkdir(parents=True, exist_ok=True)
        _write(self.path, plist(program(), options, self._logs))
        _must(self._run, "launchctl", "bootstrap", self._domain, str(self.path))

    def uninstall(self) -> bool:
        """As the protocol's."""
        there = self.path.exists()
        self._run("launchctl", "bootout", f"{self._domain}/{LABEL}")
        self.path.unlink(missing_ok=True)
        return there

    def status(self) -> list[str]:
        """As the protocol's."""
        return ["launchctl", "print", f"{self._domain}/{LABEL}"]

    def logs(self, follow: bool, lines: int) -> list[str]:
        """As the protocol's."""
        return ["tail", "-n", str(lines), *(["-f"] if follow else []), str(self._logs)]


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. Raises UnitError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise UnitError(f"{path} cannot be written: {error.strerror}") from None


def service_manager() -> ServiceManager:
    """That of this system. Raises UnitError where there is none that we know."""
    if sys.platform == "darwin":
        return Launchd()
    if sys.platform.startswith("linux") and shutil.which("systemctl"):
        return Systemd()
    raise UnitError("houseband is a service under systemd (Linux) and launchd (macOS) only; use `houseband run` here")
