"""`houseband service`: what is written, and what the service manager is told."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon import cli
from daemon.cli import main
from daemon.system import service_units
from daemon.system.service_units import Launchd, Needs, Systemd, UnitError, make_unit, quote_for_systemd


class FakeManager:
    """Remembers what it was told; commands that begin with one of `fails` fail."""

    def __init__(self, *fails: str) -> None:
        self.told: list[str] = []
        self._fails = fails

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        line = " ".join(command)
        self.told.append(line)
        failed = line.startswith(self._fails) if self._fails else False
        return subprocess.CompletedProcess(command, int(failed), "", "no such thing" if failed else "")


def settings(text: str) -> dict[str, list[str]]:
    """A unit's settings, each with all the values it is given."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose folders are the test's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_unit_is_for_the_environment_it_is_installed_from(tmp_path: Path) -> None:
    manager = FakeManager()
    systemd = Systemd(manager)
    systemd.install(["--style", "jazz"], Needs())
    [start] = settings(systemd.path.read_text(encoding="utf-8"))["ExecStart"]
    assert start == quote_for_systemd([*service_units.find_program(), "run", "--style", "jazz"])
    assert Path(service_units.find_program()[0]).is_file()
    assert systemd.path == tmp_path / "systemd" / "user" / "houseband.service"
    assert manager.told[-1] == "systemctl --user restart houseband.service"
    assert "systemctl --user enable houseband.service" in manager.told
    assert list(systemd.path.parent.iterdir()) == [systemd.path]


def test_installing_again_changes_it_and_uninstalling_leaves_nothing(tmp_path: Path) -> None:
    systemd = Systemd(FakeManager())
    systemd.install(["--bpm", "90"], Needs())
    systemd.install([], Needs())
    assert "--bpm" not in systemd.path.read_text(encoding="utf-8")
    assert systemd.uninstall()
    assert not systemd.uninstall()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_where_user_namespaces_are_forbidden_the_unit_does_without(tmp_path: Path) -> None:
    systemd = Systemd(FakeManager("systemd-run"))
    systemd.install([], Needs())
    [drop] = (systemd.path.parent / "houseband.service.d").iterdir()
    told = settings(drop.read_text(encoding="utf-8"))
    assert (told["PrivateUsers"], told["CapabilityBoundingSet"]) == (["no"], ["~"])
    Systemd(FakeManager()).install([], Needs())
    assert not drop.exists()


def test_without_a_systemd_of_the_users_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match=r"not through su or sudo.*enable-linger .*--print"):
        Systemd(FakeManager("systemctl")).install([], Needs())
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match=r"^systemctl --user enable houseband.service failed: no such thing$"):
        Systemd(FakeManager("systemctl --user enable")).install([], Needs())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["/a b/houseband", "run"], '"/a b/houseband" run'),
        (["run", "100%", "$HOME"], "run 100%% $$HOME"),
        (["run", 'a"b\\c', ""], 'run "a\\"b\\\\c" ""'),
    ],
)
def test_paths_are_quoted_as_systemd_reads_them(words: list[str], line: str) -> None:
    assert quote_for_systemd(words) == line


def test_the_unit_says_what_the_daemon_keeps() -> None:
    told = settings(make_unit(["/opt/houseband"], [], Needs()))
    assert told["ExecStart"] == ["/opt/houseband run"]
    assert told["ExecStopPost"] == ["-/opt/houseband silence"]
    assert told["ExecReload"] == ["/bin/sh -c 'kill -HUP $MAINPID'"]
    assert (told["Type"], told["Restart"], told["KillMode"]) == (["notify"], ["on-failure"], ["mixed"])
    assert int(told["WatchdogSec"][0]) > 0
    assert not {"RestrictRealtime", "MemoryDenyWriteExecute", "PrivateDevices", "PrivateIPC"} & set(told)


def test_the_unit_may_write_into_its_own_folders_only_and_has_no_network(tmp_path: Path) -> None:
    there = tmp_path / 'a "b" 100%'
    told = settings(make_unit(["/opt/houseband"], [], Needs((there, Path("/srv/takes")))))
    assert told["ReadWritePaths"] == [f'"-{tmp_path}/a \\"b\\" 100%%" "-/srv/takes"']
    assert (told["ProtectSystem"], told["ProtectHome"]) == (["strict"], ["read-only"])
    assert (told["RestrictAddressFamilies"], told["IPAddressDeny"]) == (["AF_UNIX"], ["any"])
    assert (told["MemoryMax"], told["TasksMax"]) == (["2G"], ["256"])
    told = settings(make_unit(["/opt/houseband"], [], Needs(loopback=True)))
    assert told["RestrictAddressFamilies"] == ["AF_UNIX AF_INET"]
    assert (told["IPAddressDeny"], told["IPAddressAllow"]) == (["any"], ["localhost"])
    told = settings(make_unit(["/opt/houseband"], [], Needs(network=True, loopback=True)))
    assert told["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6 AF_NETLINK"]
    assert "IPAddressDeny" not in told


def test_the_unit_follows_options_and_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_units, "find_service_manager", lambda **_: Systemd(FakeManager()))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HOUSEBAND_CONFIG", raising=False)
    (tmp_path / "houseband").mkdir()
    (tmp_path / "houseband" / "config.toml").write_text(f'clock = "link"\nmetrics = "{tmp_path}/prom/houseband.prom"\n')
    runner = CliRunner()
    result = runner.invoke(main, ["service", "install", "--", "--takes", str(tmp_path / "mine"), "--bpm", "90"])
    assert result.exit_code == 0, result.output
    told = settings((tmp_path / "systemd" / "user" / "houseband.service").read_text(encoding="utf-8"))
    folders = ("houseband", "data/houseband", "cache/houseband/graphs", "mine", "prom")
    mine = " ".join(f'"-{tmp_path / folder}"' for folder in folders)
    assert told["ReadWritePaths"] == [mine]
    assert "AF_INET" in told["RestrictAddressFamilies"][0]
    assert told["ExecStart"][0].endswith(f" run --takes {tmp_path}/mine --bpm 90")
    assert (tmp_path / "mine").is_dir()
    result = runner.invoke(main, ["service", "install", "--", "--bpm", "9000"])
    assert (result.exit_code, result.output) == (2, "Error: bpm: takes a number from 10 to 400, not '9000'\n")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "houseband.service"
    unit.write_text(make_unit(["/bin/true"], [], Needs((Path('/srv/a "b" 100%'),))), encoding="utf-8")
    (tmp_path / "run").mkdir()
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for words in (["verify", "--user"], ["security", "--user", "--offline=true", "--threshold=25", "--no-pager"]):
        done = subprocess.run(
            ["systemd-analyze", *words, str(unit)],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert words[0] == "security" or done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no launchd and no getuid there")
def test_launchd_is_told_the_same(tmp_path: Path) -> None:
    manager = FakeManager()
    launchd = Launchd(manager)
    launchd.install(["--bpm", "90"], Needs())
    made = plistlib.loads(launchd.path.read_bytes())
    assert made["ProgramArguments"] == [*service_units.find_program(), "run", "--bpm", "90"]
    assert made["KeepAlive"] == {"SuccessfulExit": False}
    assert manager.told[-1].startswith("launchctl bootstrap gui/")
    assert launchd.uninstall()
    assert not launchd.path.exists()


@pytest.mark.parametrize("action", ["install", "uninstall", "status", "logs"])
def test_elsewhere_it_is_refused_in_one_sentence(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    result = CliRunner().invoke(main, ["service", action])
    assert result.exit_code == 2
    assert result.output.startswith("Error: houseband is a service under systemd (Linux) and launchd (macOS) only")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_can_complete(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_HOUSEBAND_COMPLETE" in result.output


def test_completion_knows_commands_and_options() -> None:
    def offered(words: str, position: int) -> set[str]:
        asked = {"_HOUSEBAND_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        result = CliRunner().invoke(main, [], prog_name="houseband", env=asked)
        return {line.rpartition(",")[2] for line in result.output.splitlines()}

    assert {"run", "render", "service"} <= offered("houseband ", 1)
    assert {"install", "uninstall", "status", "logs"} == offered("houseband service ", 2)
    assert "--style" in offered("houseband run --st", 2)


def test_the_manual_page_has_every_command_and_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_entry_points", lambda group: [])  # they load torch
    result = CliRunner().invoke(main, ["man"], prog_name="houseband")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith('.TH HOUSEBAND 1 ""')
    for name in ("run", "render", "service install", "completion"):
        assert [line for line in lines if line.startswith(f".SS houseband {name} ")], name
    assert ".B \\-\\-style VALUE" in lines
    requests = {line.split(" ", 1)[0] for line in lines if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".TP", ".PP", ".B"}


def test_the_manual_page_says_what_a_command_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("train", "nothing_by_that_name:command", cli.ENTRY_POINTS)
    monkeypatch.setattr(cli, "find_entry_points", lambda group: [point])
    lines = CliRunner().invoke(main, ["man"], prog_name="houseband").output.splitlines()
    about = lines[lines.index(".SS houseband train") + 1]
    assert about.startswith("houseband train needs the package nothing_by_that_name")


def test_the_unit_can_be_printed_where_there_is_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    printed = CliRunner().invoke(main, ["service", "install", "--print", "--", "--style", "jazz"])
    assert printed.exit_code == 0
    [start] = settings(printed.stdout)["ExecStart"]
    assert start.endswith("run --style jazz")
    assert str(tmp_path / "systemd" / "user" / "houseband.service") in printed.stderr
    assert not list(tmp_path.rglob("*.service"))
