"""The band as a service of the user: a unit of systemd (Linux) or a job of launchd (macOS).

It runs the program from the environment that installed it.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from daemon.system import paths
from music.errors import UserError
from music.files import write_atomically

UNIT_NAME, LAUNCHD_LABEL = "houseband.service", "io.github.houseband"
#: a file beside the unit that changes it where a user's systemd has no user namespaces
OVERRIDE_NAME = "50-no-user-namespaces.conf"
_OVERRIDE = """# Written by `houseband service install`: this system forbids user namespaces, without which a user's
# systemd cannot take capabilities away.
[Service]
PrivateUsers=no
CapabilityBoundingSet=~
ProtectKernelModules=no
ProtectKernelLogs=no
"""
#: the program in the shipped unit, which installing replaces
_SHIPPED_PROGRAM = "%h/.local/bin/houseband"
#: lines of the shipped unit that a configuration may change
_SHIPPED_FOLDERS = "ReadWritePaths=-%h/.config/houseband -%h/.local/share/houseband -%h/.cache/houseband"
_SHIPPED_FAMILIES, _SHIPPED_ADDRESSES = "RestrictAddressFamilies=AF_UNIX", "IPAddressDeny=any"


class UnitError(UserError):
    """The service cannot be installed, removed or asked."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The part of the system that a band needs as it is configured, beyond its MIDI ports."""

    #: folders that it writes into, beside the one of its control socket
    folders: tuple[Path, ...] = ()
    #: the network, for Ableton Link
    network: bool = False
    #: this machine's own network, for a control socket over TCP
    loopback: bool = False


class ServiceManager(Protocol):
    """A service manager of the user's, and the band's service in it."""

    path: Path  #: the file that describes the service

    def describe(self, options: Sequence[str], needs: Needs) -> str:
        """Return the file that `install` writes. Raises UnitError."""
        ...

    def install(self, options: Sequence[str], needs: Needs) -> None:
        """Write the service, enable and start it, with these options of `houseband run`. Raises UnitError."""
        ...

    def uninstall(self) -> bool:
        """Stop and remove the service; return False when there was none. Raises UnitError."""
        ...

    def status_command(self) -> list[str]:
        """Return the command that shows how the service is."""
        ...

    def logs_command(self, follow: bool, lines: int) -> list[str]:
        """Return the command that shows the last lines of the service's log; follow: and those still to come."""
        ...


def find_program() -> list[str]:
    """Return the command that starts this program: the script beside the interpreter, else the interpreter itself."""
    script = Path(sys.executable).parent / "houseband"
    if script.is_file() and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "daemon"]


def quote_for_systemd(words: Sequence[str]) -> str:
    """Return a command line as systemd.service(5) reads it."""
    found = []
    for word in words:
        plain = word.replace("%", "%%").replace("$", "$$")
        if not plain or any(c in plain for c in " \t\"'\\;"):
            escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
            plain = f'"{escaped}"'
        found.append(plain)
    return " ".join(found)


def quote_path_for_systemd(path: Path) -> str:
    """Return a path, which need not be there, as systemd reads it in a list such as ReadWritePaths=."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"-{escaped}"'


def make_unit(command: Sequence[str], options: Sequence[str], needs: Needs) -> str:
    """Return the shipped unit, changed to run this command with these options of `houseband run`, and to let it.

    Raises UnitError where the shipped unit has not the lines to change.
    """
    text = (files("systemd") / UNIT_NAME).read_text(encoding="utf-8")
    changed = {
        f"ExecStart={_SHIPPED_PROGRAM} run": f"ExecStart={quote_for_systemd([*command, 'run', *options])}",
        f"ExecStopPost=-{_SHIPPED_PROGRAM} silence": f"ExecStopPost=-{quote_for_systemd([*command, 'silence'])}",
        _SHIPPED_FOLDERS: f"ReadWritePaths={' '.join(map(quote_path_for_systemd, needs.folders))}",
    }
    if needs.network:
        changed[_SHIPPED_FAMILIES] = f"{_SHIPPED_FAMILIES} AF_INET AF_INET6 AF_NETLINK"
        changed[_SHIPPED_ADDRESSES] = "# IPAddressDeny= is left out: Ableton Link is on"
    elif needs.loopback:
        changed[_SHIPPED_FAMILIES] = f"{_SHIPPED_FAMILIES} AF_INET"
        changed[_SHIPPED_ADDRESSES] = f"{_SHIPPED_ADDRESSES}\nIPAddressAllow=localhost"
    lines = text.splitlines()
    missing = changed.keys() - set(lines)
    if missing:
        raise UnitError(f"the shipped unit has no line {min(missing)}; install houseband again")
    return "\n".join(changed.get(line, line) for line in lines) + "\n"


def make_plist(command: Sequence[str], options: Sequence[str], logs: Path) -> bytes:
    """Return the same for launchd: restarted after a crash, with the priority of interactive programs."""
    return plistlib.dumps(
        {
            "Label": LAUNCHD_LABEL,
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


def _run_or_fail(run: Callable[..., subprocess.CompletedProcess[str]], *command: str) -> None:
    done = run(*command)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise UnitError(f"{' '.join(command)} failed: {reason[0]}")


class Systemd:
    """The user's systemd (Linux)."""

    def __init__(self, run: Callable[..., subprocess.CompletedProcess[str]] = _run) -> None:
        """Find the unit's place. run: runs a command."""
        self._run = run
        self.path = paths.find_systemd_folder() / UNIT_NAME
        self._override = self.path.with_name(f"{UNIT_NAME}.d") / OVERRIDE_NAME

    def describe(self, options: Sequence[str], needs: Needs) -> str:
        """Return the unit. Raises UnitError."""
        return make_unit(find_program(), options, needs)

    def install(self, options: Sequence[str], needs: Needs) -> None:
        """Write the unit, make its folders, enable and start it. Raises UnitError."""
        self._check()
        _make_folders(needs.folders)  # it has no right to make them itself
        _write(self.path, self.describe(options, needs).encode())
        tried = self._run(
            "systemd-run", "--user", "--quiet", "--wait", "--collect", "-p", "PrivateUsers=yes",
            "-p", "CapabilityBoundingSet=", "-p", "ProtectSystem=strict", "true",
        )  # fmt: skip
        if tried.returncode:
            _write(self._override, _OVERRIDE.encode())
        elif self._override.exists():
            self._override.unlink()
        _run_or_fail(self._run, "systemctl", "--user", "daemon-reload")
        _run_or_fail(self._run, "systemctl", "--user", "enable", UNIT_NAME)
        _run_or_fail(self._run, "systemctl", "--user", "reset-failed", UNIT_NAME)
        _run_or_fail(self._run, "systemctl", "--user", "restart", UNIT_NAME)

    def uninstall(self) -> bool:
        """Stop and remove the unit; return False when there was none. Raises UnitError."""
        there = self.path.exists()
        if there:
            self._check()
            _run_or_fail(self._run, "systemctl", "--user", "disable", "--now", UNIT_NAME)
            self.path.unlink()
        self._override.unlink(missing_ok=True)
        if self._override.parent.is_dir() and not any(self._override.parent.iterdir()):
            self._override.parent.rmdir()
        if there:
            _run_or_fail(self._run, "systemctl", "--user", "daemon-reload")
        return there

    def status_command(self) -> list[str]:
        """Return systemctl's command."""
        return ["systemctl", "--user", "--no-pager", "status", UNIT_NAME]

    def logs_command(self, follow: bool, lines: int) -> list[str]:
        """Return journalctl's command."""
        return [
            "journalctl",
            "--user",
            "--unit",
            UNIT_NAME,
            f"--lines={lines}",
            *(["--follow"] if follow else ["--no-pager"]),
        ]

    def _check(self) -> None:
        done = self._run("systemctl", "--user", "show", "--property=Version")
        if done.returncode:
            user, number = find_user_name(), os.getuid()
            raise UnitError(
                f"no systemd of {user}'s answers here: log in as {user} (not through su or sudo), or, where nobody "
                f"logs in, have it started at boot with `sudo loginctl enable-linger {user}` and tell this shell where "
                f"it is with `export XDG_RUNTIME_DIR=/run/user/{number}`; `houseband service install --print` shows "
                "the unit"
            )


class Launchd:
    """The user's launchd (macOS)."""

    def __init__(self, run: Callable[..., subprocess.CompletedProcess[str]] = _run) -> None:
        """Find the job's place. run: runs a command."""
        self._run = run
        self.path = paths.find_launch_agents_folder() / f"{LAUNCHD_LABEL}.plist"
        self._logs = paths.find_launchd_log_file()
        self._domain = f"gui/{os.getuid()}"

    def describe(self, options: Sequence[str], needs: Needs) -> str:
        """Return the job."""
        return make_plist(find_program(), options, self._logs).decode()

    def install(self, options: Sequence[str], needs: Needs) -> None:
        """Write the job and start it. Raises UnitError."""
        self._run("launchctl", "bootout", f"{self._domain}/{LAUNCHD_LABEL}")  # the one before, if there was one
        self._logs.parent.mkdir(parents=True, exist_ok=True)
        _write(self.path, make_plist(find_program(), options, self._logs))
        _run_or_fail(self._run, "launchctl", "bootstrap", self._domain, str(self.path))

    def uninstall(self) -> bool:
        """Stop and remove the job; return False when there was none."""
        there = self.path.exists()
        self._run("launchctl", "bootout", f"{self._domain}/{LAUNCHD_LABEL}")
        self.path.unlink(missing_ok=True)
        return there

    def status_command(self) -> list[str]:
        """Return launchctl's command."""
        return ["launchctl", "print", f"{self._domain}/{LAUNCHD_LABEL}"]

    def logs_command(self, follow: bool, lines: int) -> list[str]:
        """Return a command that shows the end of the log file."""
        return ["tail", "-n", str(lines), *(["-f"] if follow else []), str(self._logs)]


def _make_folders(folders: Iterable[Path]) -> None:
    """Make the folders that are not there, for their owner alone. Raises UnitError."""
    for folder in folders:
        try:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise UnitError(f"{folder}: cannot be made: {error.strerror}; name another folder") from None


def _write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it. Raises UnitError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise UnitError(f"{path} cannot be written: {error.strerror}") from None


def find_user_name() -> str:
    """Return the name of the user, or the number where it has none."""
    import pwd  # not on Windows

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def find_service_manager(*, to_print: bool = False) -> ServiceManager:
    """Return the service manager of this system. Raises UnitError where there is none that is supported.

    to_print: only what it would be told is wanted, so that it need not be there.
    """
    if sys.platform == "darwin":
        return Launchd()
    if sys.platform.startswith("linux") and (to_print or shutil.which("systemctl")):
        return Systemd()
    raise UnitError("houseband is a service under systemd (Linux) and launchd (macOS) only; use `houseband run` here")
