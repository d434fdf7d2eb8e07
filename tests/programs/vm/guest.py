"""The checks, inside the virtual machine: as root, with Debian's own Python, the band as a user's service.

Lines that begin with `@@ ` are for the host, JSON: {"check": NAME, "well": BOOL, "text": TEXT, "figures": {...},
"at": S}; at the end {"end": HOW MANY}.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

USER, HOME, UNIT = "player", Path("/home/player"), "houseband.service"
RUNTIME = "/run/user/1000"
BAND = HOME / "houseband" / "bin" / "houseband"
CONFIG = HOME / ".config" / "houseband" / "config.toml"
DROP_IN = HOME / ".config" / "systemd" / "user" / "houseband.service.d"
BPM = 60
#: an emulated processor takes six seconds over a plan of the shipped players: what plays here is a small, unlearnt one
GRAPH = HOME / "graphs" / "small.onnx"
SETTINGS = f'bpm = {BPM}\ngraph = "{GRAPH}"\n'
#: what is asked of the service: exposure, MB resident (a page that processes share counts once), and per cent of a
#: core, which an emulated one has fewer of
SCORE, MEGABYTES, CPU = 2.2, 200, 10.0
#: what the service consists of; the silencer ends what sounds if the conductor is killed, and outlives it for that
PROCESSES = ("conductor", "worker", "control", "silencer")

checks: list[bool] = []
began = time.monotonic()


def say(what: dict[str, object]) -> None:
    sys.stdout.write(f"\n@@ {json.dumps(what)}\n")


def check(name: str, well: object, text: object = "", **figures: float) -> bool:
    """Tells the host of a check. figures: numbers, with their unit in the name."""
    kept = {key: round(value, 3) for key, value in figures.items()}
    at = round(time.monotonic() - began, 1)
    say({"check": name, "well": bool(well), "text": " ".join(str(text).split()), "figures": kept, "at": at})
    checks.append(bool(well))
    return bool(well)


def as_user() -> dict[str, Any]:
    """Return the command that runs a program as the service's user."""
    found = pwd.getpwnam(USER)
    return {
        "user": found.pw_uid, "group": found.pw_gid, "extra_groups": os.getgrouplist(USER, found.pw_gid), "cwd": HOME,
        "env": {"PATH": os.environ["PATH"], "HOME": str(HOME), "XDG_RUNTIME_DIR": RUNTIME, "LANG": "C.UTF-8"},
    }  # fmt: skip


def user(*command: object, limit: float = 240) -> subprocess.CompletedProcess[str]:
    """Runs a program as that user."""
    return subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=limit,
        check=False,
        **as_user(),
    )


def ask(op: str, **members: object) -> dict[str, object]:
    """Asks the band through its control socket; a program for it would take an emulated processor seconds."""
    with socket.socket(socket.AF_UNIX) as band:
        band.settimeout(30)
        band.connect(f"{RUNTIME}/houseband/control.sock")
        lines = band.makefile("rwb")
        lines.readline()
        lines.write(json.dumps({"op": op, **members}).encode() + b"\n")
        lines.flush()
        answer: dict[str, object] = json.loads(lines.readline())
        return answer


def systemctl(*words: object) -> str:
    done = user("systemctl", "--user", *words)
    return (done.stdout + done.stderr).strip()


def shown(name: str) -> str:
    return systemctl("show", "--property", name, "--value", UNIT)


def pid() -> int:
    return int(shown("MainPID") or 0)


def until(true: Callable[[], object], limit: float, every: float = 0.2) -> float | None:
    """Seconds until it is true, None when it does not come to be. every: seconds between two looks; those that start a
    program cost an emulated processor much."""
    start = time.monotonic()
    while time.monotonic() - start < limit:
        if true():
            return time.monotonic() - start
        time.sleep(every)
    return None


def is_active() -> bool:
    return systemctl("show", "--property", "ActiveState,SubState", "--value", UNIT).split() == ["active", "running"]


def ready_after() -> float:
    """Seconds from the start of the process to its readiness, by systemd's own clock."""
    return (int(shown("ActiveEnterTimestampMonotonic")) - int(shown("ExecMainStartTimestampMonotonic"))) / 1e6


def entries(*match: str) -> list[dict[str, object]]:
    """Return the journal's lines about the unit."""
    done = user("journalctl", "--user", "--user-unit", UNIT, "--output", "json", "--no-pager", *match)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def channels(found: Iterable[int]) -> str:
    """Channels as a musician counts them."""
    return ", ".join(str(channel + 1) for channel in sorted(found))


class Synth:
    """aseqdump in a synthesiser's place: what it was sent, and which notes sound."""

    NOTE = re.compile(r"Note (on|off)\s+(\d+), note (\d+)(?:, velocity (\d+))?")
    CONTROL = re.compile(r"Control change\s+(\d+), controller (\d+), value (\d+)")

    def __init__(self) -> None:
        self.sounding: set[tuple[int, int]] = set()
        self.notes: list[tuple[float, bool, tuple[int, int]]] = []  # when one began or ended: (channel, pitch)
        self.onsets: dict[int, int] = {}
        self.silenced: set[int] = set()  # channels that were told that all notes are off
        self._dump = subprocess.Popen(
            ["stdbuf", "-oL", "aseqdump", "-p", "houseband out"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **as_user(),
        )
        # the band plays with real-time priority: on a slow machine a reader without one finds its queue overflown
        os.sched_setscheduler(self._dump.pid, os.SCHED_FIFO, os.sched_param(50))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._dump.stdout
        for line in self._dump.stdout:
            if note := self.NOTE.search(line):
                key = int(note[2]), int(note[3])
                begins = note[1] == "on" and note[4] != "0"
                self.notes.append((time.monotonic(), begins, key))
                if begins:
                    self.sounding.add(key)
                    self.onsets[key[0]] = self.onsets.get(key[0], 0) + 1
                else:
                    self.sounding.discard(key)
            elif (control := self.CONTROL.search(line)) and control[2] in ("120", "123"):
                self.silenced.add(int(control[1]))
                self.sounding = {key for key in self.sounding if key[0] != int(control[1])}

    def left(self, moment: float) -> dict[tuple[int, int], float]:
        """Notes begun by then that had no end of their own, and when: a synthesiser need not know all notes off."""
        sounds: dict[tuple[int, int], float] = {}
        for at, begins, key in self.notes:
            if at <= moment and begins:
                sounds[key] = at
            elif at <= moment:
                sounds.pop(key, None)
        return sounds

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
    player = subprocess.Popen(["aplaymidi", "-p", "houseband in", str(file)], **as_user())
    heard = until(lambda: synth.count > before, 60)
    try:
        if heard is None:
            check("the band answers a melody", False, f"aplaymidi: {player.poll()}")
        yield
    finally:
        player.terminate()
        player.wait()


def install() -> None:
    start = time.monotonic()
    made = user("python3", "-m", "venv", "--without-pip", HOME / "houseband", limit=400)
    [pip] = Path("/usr/share/python-wheels").glob("pip-*.whl")  # Debian's own, unpacked by nobody: so it is quicker
    python = HOME / "houseband" / "bin" / "python"
    wheels = sorted(Path("/mnt/wheels").iterdir())
    options = ("--quiet", "--no-compile", "--no-index", "--no-deps", "--disable-pip-version-check")
    done = user("env", f"PYTHONPATH={pip}", python, "-m", "pip", "install", *options, *wheels, limit=600)
    seconds = time.monotonic() - start
    well = not made.returncode and not done.returncode
    check("installed offline from the wheel", well, f"{seconds:.0f} s {done.stderr[-300:]}", install_s=seconds)
    CONFIG.parent.mkdir(parents=True)
    CONFIG.write_text(SETTINGS)
    GRAPH.parent.mkdir()
    shutil.copy("/mnt/small.onnx", GRAPH)
    subprocess.run(["chown", "-R", f"{USER}:", str(HOME / ".config"), str(GRAPH.parent)], check=True)


def enable() -> None:
    start = time.monotonic()
    done = user(BAND, "service", "install")
    said = " ".join((done.stdout.partition("\n")[0], done.stderr[-300:]))
    check("houseband service install", not done.returncode, f"{time.monotonic() - start:.1f} s; {said}")
    if done.returncode:
        raise RuntimeError("the service does not start, so there is nothing more to check")
    check(
        "enabled, active and ready (Type=notify)",
        is_active() and systemctl("is-enabled", UNIT) == "enabled" and shown("Type") == "notify",
        f"{ready_after():.2f} s from start to ready; {shown('StatusText')}",
        ready_s=ready_after(),
    )
    check("all of the unit holds (user namespaces)", not DROP_IN.exists(), "no drop-in was needed")


def ports() -> None:
    listed = user("aconnect", "-l").stdout
    there = [name for name in ("houseband in", "houseband out") if f"'{name}'" in listed]
    check("ALSA ports under their names", len(there) == 2, ", ".join(there))


def plays(synth: Synth) -> None:
    with playing(synth):
        until(lambda: len(synth.onsets) >= 4 and synth.count > 60, 60)
    heard = ", ".join(f"{channel + 1}: {count}" for channel, count in sorted(synth.onsets.items()))
    well = synth.count > 30 and len(synth.onsets) >= 3
    check("aplaymidi in, accompaniment out to aseqdump", well, f"onsets by channel {heard}", onsets=synth.count)
    user(BAND, "set", "stop")
    ended = until(lambda: not synth.sounding, 10)
    check("stop: no note left sounding", ended is not None, f"{len(synth.sounding)} sound")
    ask("set", key="start")


def reloads(synth: Synth) -> None:
    with playing(synth):
        main = pid()
        CONFIG.write_text(f"{SETTINGS}intensity = 0.9\n")
        start = time.monotonic()
        systemctl("reload", UNIT)
        taken = until(lambda: entries("HOUSEBAND_EVENT=reloaded"), 30, 1)
        seconds = time.monotonic() - start
        taken = taken if "0.9" in user(BAND, "status").stdout else None
        before = synth.count
        on = until(lambda: synth.count > before + 10, 30)
        check(
            "reload while it plays: taken, and played on",
            taken is not None and on is not None and pid() == main and is_active(),
            f"{seconds:.1f} s, same process, {synth.count - before} onsets since",
            reload_s=seconds,
        )
        CONFIG.write_text(SETTINGS.replace(str(BPM), "'fast'", 1))
        systemctl("reload", UNIT)
        until(lambda: entries("HOUSEBAND_EVENT=refused"), 30, 1)
        refused = entries("HOUSEBAND_EVENT=refused")
        well = refused and is_active() and pid() == main
        check("a broken configuration is refused, the band plays on", well, refused[-1]["MESSAGE"] if refused else "")
        CONFIG.write_text(SETTINGS)
        restarts(synth, main)


def restarts(synth: Synth, main: int) -> None:
    until(lambda: len(synth.sounding) > 1, 30)
    sounded, synth.silenced = len(synth.sounding), set()
    start = time.monotonic()
    systemctl("restart", UNIT)
    seconds = time.monotonic() - start
    well = is_active() and pid() != main
    text = f"{seconds:.1f} s, ready after {ready_after():.2f} s"
    check("restart while it plays", well, text, restart_s=seconds, restart_ready_s=ready_after())
    ready = int(shown("ActiveEnterTimestampMonotonic")) / 1e6
    left = synth.left(ready)  # seconds after the one before has gone, and the new one has played nothing yet
    ages = sorted(round(start - at, 1) for at in left.values())
    text = f"{sounded} sounded before, {len(left)} of those begun had no end of their own; begun {ages} s before"
    check("restart: every note is ended", sounded > 0 and not left, text)
    again = until(lambda: "aseqdump" in user("aconnect", "-l").stdout.partition("houseband out")[2], 15, 1)
    check("restart: connected again", again is not None, f"all notes off on channels {channels(synth.silenced)}")


def recovers(synth: Synth, name: str, number: signal.Signals, limit: float) -> None:
    with playing(synth):
        until(lambda: len(synth.sounding) >= 2, 30)
        before, restarts, synth.silenced = pid(), int(shown("NRestarts")), set()
        sounded = len(synth.sounding)
        start = time.monotonic()
        os.kill(before, number)
        silent = until(lambda: not synth.sounding and synth.silenced, limit)
        until(lambda: is_active() and pid() not in (0, before), limit, 1)
        seconds = time.monotonic() - start
    well = is_active() and pid() != before and int(shown("NRestarts")) == restarts + 1
    text = f"{seconds:.1f} s, ready after {ready_after():.2f} s"
    check(f"{name}: restarted by itself", well, text, **{f"{number.name.lower()}_restart_s": seconds})
    check(
        f"{name}: no note left sounding",
        silent is not None,
        f"{sounded} sounded, silent after {silent or limit:.1f} s, channels {channels(synth.silenced)}",
        **{f"{number.name.lower()}_silent_s": silent or limit},
    )
    alone = until(lambda: set(processes()) == set(family(pid())), 30, 1)
    check(f"{name}: no process left over", alone is not None, f"{len(processes())} are the service's")
    onsets = synth.count
    with playing(synth):
        pass
    check(f"{name}: it plays again, to whom it played before", synth.count > onsets, f"{synth.count - onsets} onsets")


def stuck_worker(synth: Synth) -> None:
    with playing(synth):
        main, restarts = pid(), shown("NRestarts")
        worker = next(child for child in family(main) if called(child) == "worker")
        os.kill(worker, signal.SIGSTOP)
        gone = until(lambda: not Path(f"/proc/{worker}").exists(), 30)
        new = until(lambda: any(called(child) == "worker" for child in family(main)[1:] if child != worker), 10)
        before = synth.count
        on = until(lambda: synth.count > before + 8, 120)
    check(
        "a stuck worker is replaced, and is no outage",
        gone is not None and new is not None and on is not None and pid() == main and shown("NRestarts") == restarts,
        f"ended after {gone or 30:.1f} s, played on after {(gone or 30) + (on or 120):.1f} s, same conductor",
        worker_replaced_s=gone or 30,
    )


def processes() -> list[int]:
    """All that belong to the service."""
    group = shown("ControlGroup")
    return [int(line) for line in Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()]


def family(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def called(process: int) -> str:
    """Return the name of one of the service's processes."""
    with suppress(FileNotFoundError, ProcessLookupError):
        line = Path(f"/proc/{process}/cmdline").read_bytes()
        for mark, name in (
            (b"daemon.players.worker", "worker"),
            (b"daemon.control.server", "control"),
            (b"daemon.live.crash_silencer_child", "silencer"),
            (b" run", "conductor"),
        ):
            if mark in line.replace(b"\0", b" "):
                return name
    return "other"


def spent(process: int) -> float:
    """Seconds of processor time so far."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def rest() -> list[int]:
    """The service's processes once it idles."""
    ask("set", key="stop")
    until(lambda: len(family(pid())) == len(PROCESSES), 60, 1)  # a take may still be written up
    time.sleep(5)
    return [process for process in family(pid()) if called(process) in PROCESSES]


def resident(name: str) -> None:
    """Read the idle service's memory."""
    there = rest()
    rss, pss = ({called(process): memory(process, key) for process in there} for key in ("Rss", "Pss"))
    each = ", ".join(f"{process} {value:.0f}" for process, value in rss.items())
    figure = name.replace(" ", "_")
    charged = int(shown("MemoryCurrent")) / 2**20 if shown("MemoryCurrent").isdigit() else 0.0
    check(
        name,
        len(there) == len(PROCESSES) and sum(pss.values()) < MEGABYTES,
        f"RSS {sum(rss.values()):.0f} MB ({each}), PSS {sum(pss.values()):.0f} MB; "
        f"systemd's MemoryCurrent, with cached files, {charged:.0f} MB",
        **{f"{figure}_rss_mb": sum(rss.values()), f"{figure}_pss_mb": sum(pss.values())},
    )


def idle(seconds: float) -> None:
    there = rest()
    before = {process: spent(process) for process in there}
    time.sleep(seconds)
    shares = {called(process): 100 * (spent(process) - before[process]) / seconds for process in there}
    total = sum(shares.values())
    each = ", ".join(f"{name} {value:.2f}" for name, value in shares.items())
    check(
        "idle CPU",
        total < CPU,
        f"{total:.2f} % of an emulated core over {seconds:.0f} s ({each})",
        idle_cpu_percent=total,
        **{f"idle_cpu_{name}_percent": value for name, value in shares.items()},
    )
    resident("idle memory")


def another_technique(synth: Synth) -> None:
    """Loaded while the band plays, by who played before until then."""
    ask("set", key="start")
    with playing(synth):
        main, before = pid(), synth.count
        answer = ask("set", key="technique", value="transformer")
        on = until(lambda: synth.count > before + 20, 90)
    complaints = [entry["MESSAGE"] for entry in entries() if "cannot be loaded" in str(entry.get("MESSAGE"))]
    well = answer["ok"] and on is not None and pid() == main and not complaints
    check("another technique, chosen while it plays", well, f"{synth.count - before} onsets since; {complaints}")
    resident("idle memory after it")
    ask("set", key="technique", value="gan")


def memory(process: int, key: str) -> float:
    """Rss or Pss in MB."""
    found = re.search(rf"^{key}:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)
    return int(found[1]) / 1024 if found else 0.0


def journal(synth: Synth) -> None:
    said = entries()
    own = [entry for entry in said if entry.get("LOGGER")]
    levels = sorted({str(entry.get("PRIORITY")) for entry in said})
    events = sorted({str(entry["HOUSEBAND_EVENT"]) for entry in own if "HOUSEBAND_EVENT" in entry})
    check(
        "journal: levels and structured fields",
        len(levels) > 1 and {"ready", "reloaded", "refused", "connected"} <= set(events),
        f"priorities {', '.join(levels)}; HOUSEBAND_EVENT {', '.join(events)}",
    )
    check(
        "journal: quiet",
        len(said) < 150 and synth.count > 3 * len(own),
        f"{len(own)} entries of the band's own ({len(said)} of the unit) for {synth.count} notes",
        journal_entries=len(own),
        notes=synth.count,
    )
    text = [str(entry.get("MESSAGE", "")) for entry in said]
    bites = [line for line in text if "watchdog" in line.lower()]
    check("journal: the watchdog's bite is there", bites, bites[0] if bites else "")
    shown = [user(BAND, "service", command) for command in ("logs", "status")]
    well = not any(done.returncode for done in shown) and "ready on alsa" in shown[0].stdout
    check("houseband service logs, status", well, f"{len(shown[0].stdout.splitlines())} lines")


def hardened() -> None:
    said = user("systemd-analyze", "--user", "security", "--no-pager", UNIT).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    score = float(found[1]) if found else 10.0
    check("systemd-analyze --user security", score < SCORE, score, security=score)
    status = Path(f"/proc/{pid()}/status").read_text()
    told = dict(re.findall(r"^(NoNewPrivs|Seccomp|CapBnd):\s+(\S+)", status, re.M))
    text = ", ".join(f"{key} {value}" for key, value in told.items())
    check("the kernel agrees", told == {"NoNewPrivs": "1", "Seccomp": "2", "CapBnd": "0" * 16}, text)
    limits = {name: shown(name) for name in ("MemoryMax", "TasksMax")}
    check("bounds of memory and tasks", limits == {"MemoryMax": str(2 << 30), "TasksMax": "256"}, limits)
    denied = set(shown("IPAddressDeny").split())
    well = shown("RestrictAddressFamilies") == "AF_UNIX" and denied == {"0.0.0.0/0", "::/0"}
    check("no network", well, f"{shown('RestrictAddressFamilies')}; denied: {shown('IPAddressDeny')}")
    writable = [
        point for point in list_mounts(pid()) if not point.startswith(("/dev", "/proc", "/sys")) and is_writable(point)
    ]
    own = {f"{HOME}/.config/houseband", f"{HOME}/.local/share/houseband", f"{HOME}/.cache/houseband/graphs"}
    well = set(writable) == own | {f"{RUNTIME}/houseband"}
    check("it may write into its own folders only", well, ", ".join(writable))
    policy = os.sched_getscheduler(pid()) & ~os.SCHED_RESET_ON_FORK
    locked = re.search(r"VmLck:\s+(\d+)", status)
    check(
        "real-time priority, memory locked (as far as this user may)",
        policy == os.SCHED_FIFO and locked is not None and int(locked[1]) > 0,
        f"policy {policy} (1: SCHED_FIFO), {int(locked[1]) // 1024 if locked else 0} MB may not be swapped out",
    )


def list_mounts(process: int) -> list[str]:
    """Return the mount points in a process's namespace, each once."""
    lines = Path(f"/proc/{process}/mountinfo").read_text().splitlines()
    return sorted({line.split()[4] for line in lines})


def is_writable(point: str) -> bool:
    """Return whether the service sees a file system there that can be written to.

    The flags in mountinfo are no answer: they are told of mounts that lie hidden under others, too.
    """
    try:
        return not os.statvfs(f"/proc/{pid()}/root{point}").f_flag & os.ST_RDONLY
    except OSError:  # not even to be looked at
        return False


def keeps_takes() -> None:
    folder = HOME / ".local/share/houseband/takes"
    user(BAND, "set", "stop")
    kept = until(lambda: list(folder.glob("*.mid")), 60, 1)
    modes = {oct(file.stat().st_mode & 0o777) for file in folder.glob("*.mid")}
    check("takes are kept, for their owner alone", kept is not None and modes == {"0o600"}, f"modes {modes}")


def control_server_lost(synth: Synth) -> None:
    with playing(synth):
        main = pid()
        server = next(child for child in family(main) if called(child) == "control")
        os.kill(server, signal.SIGKILL)
        done = user(BAND, "panic")  # by a signal, if need be
        again = until(lambda: any(called(child) == "control" for child in family(main) if child != server), 60, 1)
        before = synth.count
        on = until(lambda: synth.count > before + 8, 60)
    told = "started again" in user(BAND, "status").stdout
    check("panic while the control socket's server is gone", done.returncode == 0, done.stdout + done.stderr)
    well = again is not None and on is not None and pid() == main and told
    check("a lost server is told of and replaced, the band plays on", well, f"after {again or 60:.1f} s, told: {told}")


def by_hand() -> None:
    """The remaining commands."""
    done = [user(BAND, *words) for words in (("man",), ("completion", "bash"), ("service", "--help"))]
    well = not any(each.returncode for each in done) and all(each.stdout for each in done)
    check("houseband man, completion, --help", well, f"{len(done[0].stdout.splitlines())} lines of manual")


def without_namespaces() -> None:
    """As on a system that forbids them."""
    switch = Path("/proc/sys/user/max_user_namespaces")
    before = switch.read_text()
    switch.write_text("0")
    done = user(BAND, "service", "install")
    check(
        "where user namespaces are forbidden it is installed without them",
        done.returncode == 0 and DROP_IN.exists() and is_active(),
        f"ready after {ready_after():.2f} s {done.stderr[-200:]}",
    )
    switch.write_text(before)


def uninstall() -> None:
    done = user(BAND, "service", "uninstall")
    there = (HOME / ".config/systemd/user" / UNIT).exists() or DROP_IN.exists()
    listed = user("aconnect", "-l").stdout
    check(
        "houseband service uninstall",
        done.returncode == 0 and not there and "houseband in" not in listed,
        f"{done.stdout} {done.stderr[-200:]}",
    )


def main() -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    check("booted", True, f"{uptime:.0f} s; Linux {os.uname().release}", boot_s=uptime)
    lingers = until(lambda: systemctl("is-system-running") in ("running", "degraded"), 120)
    check("the user's systemd runs without a login (lingering)", lingers is not None)
    install()
    enable()
    ports()
    synth = Synth()
    until(lambda: "aseqdump" in user("aconnect", "-l").stdout, 15, 1)
    time.sleep(2)
    plays(synth)
    reloads(synth)
    hardened()
    recovers(synth, "SIGKILL", signal.SIGKILL, 120)
    recovers(synth, "watchdog (SIGSTOP)", signal.SIGSTOP, 120)
    stuck_worker(synth)
    control_server_lost(synth)
    keeps_takes()
    ask("set", key="start")
    idle(45)
    another_technique(synth)
    journal(synth)
    by_hand()
    without_namespaces()
    uninstall()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever it is, the host wants to know
        check("the checks themselves", False, f"{type(error).__name__}: {error}")
    if not all(checks):
        sys.stdout.write(user("journalctl", "--user", "--no-pager", "--output", "short-monotonic").stdout)
    say({"end": len(checks)})
