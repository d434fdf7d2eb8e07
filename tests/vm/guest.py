"""The checks, inside the virtual machine: as root, with Debian's own Python, the band as a user's service.

Lines that begin with `@@ ` are for the host: `@@ ok NAME: FIGURE`, `@@ FAILED NAME: FIGURE`, at the end `@@ end`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

USER, HOME, UNIT = "player", Path("/home/player"), "houseband.service"
RUNTIME = "/run/user/1000"
BAND = HOME / "houseband" / "bin" / "houseband"
CONFIG = HOME / ".config" / "houseband" / "config.toml"
BPM = 60
#: what the issue asks of the service
SCORE, MEGABYTES = 3.0, 200

failures: list[str] = []
began = time.monotonic()


def say(line: str) -> None:
    sys.stdout.write(f"@@ {line}\n")


def check(name: str, well: bool, figure: object = "") -> bool:
    say(f"{'ok' if well else 'FAILED'} {name}: {figure}  [{time.monotonic() - began:.0f} s]")
    if not well:
        failures.append(name)
    return well


def user(*command: object, limit: float = 240) -> subprocess.CompletedProcess[str]:
    """Runs a command as the user whose service it is."""
    words = ["runuser", "-u", USER, "--", "env", f"HOME={HOME}", f"XDG_RUNTIME_DIR={RUNTIME}", "LANG=C.UTF-8"]
    return subprocess.run(
        [*words, *map(str, command)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=limit,
        check=False,
        cwd=HOME,
    )


def systemctl(*words: object) -> str:
    done = user("systemctl", "--user", *words)
    return (done.stdout + done.stderr).strip()


def shown(name: str) -> str:
    return systemctl("show", "--property", name, "--value", UNIT)


def pid() -> int:
    return int(shown("MainPID") or 0)


def until(true: Callable[[], object], limit: float) -> float | None:
    """Seconds until it is true, None when it does not come to be."""
    start = time.monotonic()
    while time.monotonic() - start < limit:
        if true():
            return time.monotonic() - start
        time.sleep(0.2)
    return None


def is_active() -> bool:
    return shown("ActiveState") == "active" and shown("SubState") == "running"


def ready_after() -> float:
    """Seconds from the start of the process to its readiness, by systemd's own clock."""
    return (int(shown("ActiveEnterTimestampMonotonic")) - int(shown("ExecMainStartTimestampMonotonic"))) / 1e6


def entries(*match: str) -> list[dict[str, object]]:
    """What the unit has said, as the journal keeps it."""
    done = user("journalctl", "--user", "--user-unit", UNIT, "--output", "json", "--no-pager", *match)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Synth:
    """aseqdump in a synthesiser's place: what it was sent, and which notes sound."""

    NOTE = re.compile(r"Note (on|off)\s+(\d+), note (\d+)(?:, velocity (\d+))?")
    CONTROL = re.compile(r"Control change\s+(\d+), controller (\d+), value (\d+)")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.sounding: set[tuple[int, int]] = set()
        self.onsets: dict[int, int] = {}
        self.silenced: set[int] = set()  # channels that were told that all notes are off
        self._dump = subprocess.Popen(
            ["runuser", "-u", USER, "--", "stdbuf", "-oL", "aseqdump", "-p", "houseband out"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._dump.stdout
        for line in self._dump.stdout:
            self.lines.append(line.rstrip())
            if note := self.NOTE.search(line):
                key = int(note[2]), int(note[3])
                if note[1] == "on" and note[4] != "0":
                    self.sounding.add(key)
                    self.onsets[key[0]] = self.onsets.get(key[0], 0) + 1
                else:
                    self.sounding.discard(key)
            elif (control := self.CONTROL.search(line)) and control[2] in ("120", "123"):
                self.silenced.add(int(control[1]))
                self.sounding = {key for key in self.sounding if key[0] != int(control[1])}

    @property
    def count(self) -> int:
        return sum(self.onsets.values())


def melody(path: Path, bars: int) -> None:
    """A Standard MIDI File of quarter notes."""
    events = b"\x00\xff\x51\x03" + (60_000_000 // BPM).to_bytes(3, "big")
    for bar in range(bars):
        for pitch in ((60, 64, 67, 64), (65, 69, 72, 69), (67, 71, 74, 71), (60, 64, 67, 72))[bar % 4]:
            events += bytes((0, 0x90, pitch, 90, 96, 0x80, pitch, 0))
    events += b"\x00\xff\x2f\x00"
    path.write_bytes(b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(events)) + events)


@contextmanager
def playing(synth: Synth, bars: int = 60) -> Iterator[None]:
    """While a melody is played in by aplaymidi, from when the band answers."""
    file = Path("/tmp/melody.mid")
    melody(file, bars)
    before = synth.count
    player = subprocess.Popen(["runuser", "-u", USER, "--", "aplaymidi", "-p", "houseband in", str(file)])
    heard = until(lambda: synth.count > before, 60)
    try:
        if heard is None:
            check("the band answers a melody", False, player.poll())
        yield
    finally:
        player.terminate()
        player.wait()


def install() -> None:
    start = time.monotonic()
    made = user("python3", "-m", "venv", "--without-pip", HOME / "houseband", limit=400)
    [pip] = Path("/usr/share/python-wheels").glob(
        "pip-*.whl"
    )  # Debian's own, as venv would unpack it; so it is quicker
    python = HOME / "houseband" / "bin" / "python"
    wheels = sorted(Path("/mnt/wheels").iterdir())
    options = ("--quiet", "--no-compile", "--no-index", "--no-deps", "--disable-pip-version-check")
    done = user("env", f"PYTHONPATH={pip}", python, "-m", "pip", "install", *options, *wheels, limit=600)
    check(
        "installed offline from the wheel",
        not made.returncode and not done.returncode,
        f"{time.monotonic() - start:.0f} s {done.stderr.strip()[-300:]}",
    )
    CONFIG.parent.mkdir(parents=True)
    CONFIG.write_text(f"bpm = {BPM}\n")
    subprocess.run(["chown", "-R", f"{USER}:", str(HOME / ".config")], check=True)
    start = time.monotonic()
    done = user(BAND, "service", "install")
    check(
        "houseband service install",
        done.returncode == 0,
        f"{time.monotonic() - start:.1f} s {done.stdout.strip()} {done.stderr.strip()[-300:]}",
    )
    check(
        "enabled, active and ready (Type=notify)",
        is_active() and systemctl("is-enabled", UNIT) == "enabled" and shown("Type") == "notify",
        f"{ready_after():.2f} s from start to ready; {shown('StatusText')}",
    )
    if done.returncode:
        raise RuntimeError("the service does not start, so there is nothing more to check")
    drop = HOME / ".config/systemd/user/houseband.service.d"
    check("all of the unit holds (user namespaces)", not drop.exists(), "no drop-in was needed")


def ports() -> None:
    listed = user("aconnect", "-l").stdout
    there = [name for name in ("houseband in", "houseband out") if f"'{name}'" in listed]
    check("ALSA ports under their names", len(there) == 2, ", ".join(there))


def plays(synth: Synth) -> None:
    with playing(synth):
        until(lambda: len(synth.onsets) >= 4 and synth.count > 60, 60)
    check(
        "aplaymidi in, accompaniment out to aseqdump",
        synth.count > 30 and len(synth.onsets) >= 3,
        f"onsets by channel {dict(sorted((c + 1, n) for c, n in synth.onsets.items()))}",
    )
    user(BAND, "set", "stop")
    ended = until(lambda: not synth.sounding, 10)
    check("stop: no note left sounding", ended is not None, f"{len(synth.sounding)} sound")
    user(BAND, "set", "start")


def reloads(synth: Synth) -> None:
    with playing(synth):
        main = pid()
        CONFIG.write_text(f"bpm = {BPM}\nintensity = 0.9\ndensity = 0.8\n")
        start = time.monotonic()
        systemctl("reload", UNIT)
        taken = until(lambda: entries("HOUSEBAND_EVENT=reloaded"), 30)
        seconds = time.monotonic() - start
        state = user(BAND, "status").stdout
        before = synth.count
        on = until(lambda: synth.count > before + 10, 30)
        check(
            "reload while it plays",
            taken is not None and on is not None and pid() == main and is_active(),
            f"{seconds:.1f} s, same process, {synth.count - before} onsets since, intensity "
            f"{'0.9' if '0.9' in state else 'NOT TAKEN: ' + state[:200]}",
        )
        CONFIG.write_text("bpm = 'fast'\n")
        systemctl("reload", UNIT)
        said = until(lambda: entries("HOUSEBAND_EVENT=refused"), 30)
        refused = entries("HOUSEBAND_EVENT=refused")
        check(
            "a broken configuration is refused, the band plays on",
            said is not None and is_active() and pid() == main,
            refused[-1]["MESSAGE"] if refused else "",
        )
        CONFIG.write_text(f"bpm = {BPM}\n")
        before = synth.count
        until(lambda: synth.sounding and synth.count > before + 4, 30)
        sounded, synth.silenced = len(synth.sounding), set()
        start = time.monotonic()
        systemctl("restart", UNIT)
        seconds = time.monotonic() - start
        check(
            "restart while it plays",
            is_active() and pid() != main,
            f"{seconds:.1f} s, ready after {ready_after():.2f} s",
        )
        left = until(lambda: not synth.sounding, 10)
        check("restart: no note left sounding", left is not None, f"{sounded} sounded when it was stopped")
    again = until(lambda: "aseqdump" in user("aconnect", "-l").stdout.partition("houseband out")[2], 15)
    check(
        "connected again after the restart",
        again is not None and bool(synth.silenced),
        f"all notes off on channels {sorted(c + 1 for c in synth.silenced)}",
    )


def recovers(synth: Synth, name: str, number: signal.Signals, limit: float) -> None:
    with playing(synth):
        until(lambda: len(synth.sounding) >= 2, 30)
        before, restarts, synth.silenced = pid(), int(shown("NRestarts")), set()
        sounded = len(synth.sounding)
        start = time.monotonic()
        os.kill(before, number)
        silent = until(lambda: not synth.sounding and synth.silenced, limit)
        quiet = time.monotonic() - start
        until(lambda: is_active() and pid() not in (0, before), limit)
    well = is_active() and pid() != before and int(shown("NRestarts")) == restarts + 1
    check(f"{name}: restarted by itself", well, f"{time.monotonic() - start:.1f} s, ready after {ready_after():.2f} s")
    check(
        f"{name}: no note left sounding",
        silent is not None,
        f"{sounded} sounded, silent after {quiet:.1f} s, channels {sorted(c + 1 for c in synth.silenced)}",
    )
    before = synth.count
    with playing(synth):
        pass
    check(f"{name}: it plays again, to whom it played before", synth.count > before, f"{synth.count - before} onsets")


def stuck_worker(synth: Synth) -> None:
    with playing(synth):
        main, restarts = pid(), shown("NRestarts")
        worker = next((child for child in family(main) if b"daemon.worker" in cmdline(child)), 0)
        os.kill(worker, signal.SIGSTOP)
        start = time.monotonic()
        gone = until(lambda: not Path(f"/proc/{worker}").exists(), 30)
        time.sleep(max(0.0, 12 - (time.monotonic() - start)))
        before = synth.count
        on = until(lambda: synth.count > before, 60)
    check(
        "a stuck worker is no outage",
        gone is not None and on is not None and pid() == main and shown("NRestarts") == restarts,
        f"replaced after {gone or 0:.1f} s; the service was not restarted",
    )


def family(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for task in Path(f"/proc/{root}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cmdline(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def idle(seconds: float) -> None:
    user(BAND, "set", "stop")
    time.sleep(5)
    processes = family(pid())

    def spent() -> float:
        ticks = 0
        for process in processes:
            words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(seconds)
    share = (spent() - before) / seconds
    resident = {}
    for process in processes:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        resident[process] = [int(re.search(rf"^{key}:\s+(\d+)", rollup, re.M)[1]) / 1024 for key in ("Rss", "Pss")]  # type: ignore[index]
    pss = sum(row[1] for row in resident.values())
    each = ", ".join(f"{row[0]:.0f}" for row in resident.values())
    check("idle memory", pss < MEGABYTES, f"{pss:.0f} MB (PSS) of {len(resident)} processes; RSS each {each} MB")
    say(f"ok idle CPU: {100 * share:.2f} % of an emulated core over {seconds:.0f} s")


def journal(synth: Synth) -> None:
    said = entries()
    own = [entry for entry in said if entry.get("LOGGER")]
    levels = sorted({str(entry.get("PRIORITY")) for entry in said})
    events = sorted({str(e["HOUSEBAND_EVENT"]) for e in own if "HOUSEBAND_EVENT" in e})
    check(
        "journal: levels and structured fields",
        len(levels) > 1 and {"ready", "reloaded", "refused"} <= set(events),
        f"priorities {', '.join(levels)}; HOUSEBAND_EVENT {', '.join(events)}",
    )
    check(
        "journal: quiet",
        len(said) < 120 and synth.count > 3 * len(own),
        f"{len(own)} entries of the band's own ({len(said)} of the unit) for {synth.count} notes",
    )
    stuck = [
        e for e in said if "realtime" in str(e.get("MESSAGE", "")) or "watchdog" in str(e.get("MESSAGE", "")).lower()
    ]
    check("journal: the watchdog's bite is there", bool(stuck), stuck[0].get("MESSAGE") if stuck else "")
    check(
        "houseband service logs, status",
        user(BAND, "service", "logs").returncode == 0 and user(BAND, "service", "status").returncode == 0,
    )


def hardened() -> None:
    said = user("systemd-analyze", "--user", "security", "--no-pager", UNIT).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    check("systemd-analyze --user security", found is not None and float(found[1]) < SCORE, found[1] if found else said)
    status = Path(f"/proc/{pid()}/status").read_text()
    told = {key: re.search(rf"^{key}:\s+(\S+)", status, re.M)[1] for key in ("NoNewPrivs", "Seccomp", "CapBnd")}  # type: ignore[index]
    check("the kernel agrees", told == {"NoNewPrivs": "1", "Seccomp": "2", "CapBnd": "0" * 16}, told)
    policy = os.sched_getscheduler(pid()) & ~os.SCHED_RESET_ON_FORK
    locked = re.search(r"VmLck:\s+(\d+)", status)
    check(
        "real-time priority, memory locked",
        policy == os.SCHED_FIFO and locked is not None and int(locked[1]) > 0,
        f"policy {policy}, locked {int(locked[1]) // 1024 if locked else 0} MB",
    )


def without_namespaces() -> None:
    """As on a system that forbids them."""
    switch = Path("/proc/sys/user/max_user_namespaces")
    before = switch.read_text()
    switch.write_text("0")
    done = user(BAND, "service", "install")
    drop = HOME / ".config/systemd/user/houseband.service.d"
    check(
        "where user namespaces are forbidden it is installed without them",
        done.returncode == 0 and drop.exists() and is_active(),
        f"ready after {ready_after():.2f} s {done.stderr.strip()[-200:]}",
    )
    switch.write_text(before)


def uninstall() -> None:
    done = user(BAND, "service", "uninstall")
    there = (HOME / ".config/systemd/user" / UNIT).exists()
    listed = user("aconnect", "-l").stdout
    check(
        "houseband service uninstall",
        done.returncode == 0 and not there and "houseband in" not in listed,
        done.stdout.strip() + done.stderr.strip()[-200:],
    )


def main() -> None:
    uptime = Path("/proc/uptime").read_text().split()[0]
    say(f"ok booted: {uptime} s; Linux {os.uname().release}")
    check(
        "the user's systemd runs without a login (lingering)",
        until(lambda: systemctl("is-system-running") in ("running", "degraded"), 120) is not None,
    )
    install()
    ports()
    synth = Synth()
    until(lambda: "aseqdump" in user("aconnect", "-l").stdout, 15)
    time.sleep(2)
    plays(synth)
    reloads(synth)
    hardened()
    recovers(synth, "SIGKILL", signal.SIGKILL, 60)
    recovers(synth, "watchdog (SIGSTOP)", signal.SIGSTOP, 90)
    stuck_worker(synth)
    idle(60)
    journal(synth)
    without_namespaces()
    uninstall()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever it is, the host wants to know
        check("the checks themselves", False, f"{type(error).__name__}: {error}")
    if failures:
        for each in entries()[-40:]:
            say(f"journal {each.get('PRIORITY')} {str(each.get('MESSAGE'))[:300]}")
    say(f"{len(failures)} failed")
    say("end")
