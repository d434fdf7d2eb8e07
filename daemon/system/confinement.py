"""Rights that a process gives up before it reads a file which may be hostile.

Each is given up where the system allows it, and without a word where it does not: elsewhere than on Linux there is
nothing to give up here, and seccomp and Landlock may be missing from a kernel or forbidden in a container.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable

#: option of prctl(2)
_PR_SET_NO_NEW_PRIVS = 38
#: operation of seccomp(2) that sets a filter; flags: for all threads, and without slowing computation down for it
_SET_MODE_FILTER, _FLAG_TSYNC, _FLAG_SPEC_ALLOW = 1, 1, 4
#: open files that a process which only computes may have
_MAX_FILES = 256

#: machine -> its name in seccomp, and its column in _CALLS
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
#: system call -> its number on x86-64 and on ARM64; None where there is none
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "ptrace": (101, 117),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "mount": (165, 40),
    "umount2": (166, 39),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "finit_module": (313, 273),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "clone3": (435, 435),
    "pidfd_getfd": (438, 438),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
#: what no process that only computes has a use for
_NEVER_NEEDED = (
    "ptrace", "pivot_root", "chroot", "mount", "umount2", "init_module", "delete_module", "kexec_load", "add_key",
    "request_key", "keyctl", "unshare", "perf_event_open", "open_by_handle_at", "setns", "process_vm_readv",
    "process_vm_writev", "finit_module", "bpf", "userfaultfd", "io_uring_setup", "pidfd_getfd",
)  # fmt: skip

#: codes of classic BPF: load a word, jump if equal, if at least, if a bit is set, return
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
#: where seccomp has the call's number, its machine, and the lower half of its first argument
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_EPERM, _EACCES, _ENOSYS = 1, 13, 38
_AF_UNIX, _CLONE_THREAD, _X32_CALLS = 1, 0x10000, 0x40000000
_Instruction = tuple[int, int, int, int]

#: rights of Landlock to files
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_FILE, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_FOLDER
_REPLACE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE
#: those that a single file can have
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
#: version of Landlock -> the rights to files that it knows
_KNOWN_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
#: from these versions on it knows of TCP (to bind, to connect), and of abstract sockets and signals to others
_TCP_SINCE, _SCOPES_SINCE = 4, 6
_TCP, _SCOPES = 0b11, 0b11
_PATH_BENEATH = 1

#: folders of the system that programs and libraries are read from
_SYSTEM_FOLDERS = (
    "/usr", "/bin", "/lib", "/lib64", "/etc", "/opt", "/nix/store", "/gnu/store", "/snap",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Let this process, its threads and processes it starts, open no network socket and few files from now on.

    To be called while there is one thread. They read what the system's and this program's folders hold, and what is
    beneath `readable`; they write only into the folders `writable`. There are calls that they may not make at all.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = _MAX_FILES if hard == resource.RLIM_INFINITY else min(_MAX_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(OSError):
        _call_prctl(_PR_SET_NO_NEW_PRIVS, 1)
        with contextlib.suppress(OSError):
            _restrict_files([*_list_program_folders(), *readable], writable)
        _filter_calls([*_refuse_sockets(), *(step for name in _NEVER_NEEDED for step in _refuse(name, _EPERM))])


def forbid_programs() -> None:
    """Let this process start no other process or program from now on; threads it may start."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        _call_prctl(_PR_SET_NO_NEW_PRIVS, 1)
        refused = (step for name in ("fork", "vfork", "execve", "execveat") for step in _refuse(name, _EPERM))
        # pthread_create tries clone3 first, whose flags no filter sees, and then clone
        _filter_calls([*refused, *_refuse("clone3", _ENOSYS), *_refuse_processes()])


def _call_prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "prctl")


def _call_system(name: str, *arguments: object) -> int:
    """Make a system call that the C library has no function for. Raises OSError."""
    number = _find_number(name)
    if number is None:
        raise OSError(_ENOSYS, name)
    libc = ctypes.CDLL(None, use_errno=True)
    plain = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *plain))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _find_number(name: str) -> int | None:
    found = _MACHINES.get(os.uname().machine)
    return None if found is None else _CALLS[name][found[1]]


# Calls: seccomp


def _refuse(name: str, error: int) -> list[_Instruction]:
    """Return what refuses a call with an error number; it is run with the call's number loaded."""
    number = _find_number(name)
    return [] if number is None else [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)]


def _refuse_sockets() -> list[_Instruction]:
    """Return what refuses sockets of all kinds but Unix's."""
    number = _find_number("socket")
    if number is None:
        return []
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, _AF_UNIX),
        (_RETURN, 0, 0, _ERROR | _EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _refuse_processes() -> list[_Instruction]:
    """Return what refuses `clone` where it makes no thread."""
    number = _find_number("clone")
    if number is None:
        return []
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _filter_calls(steps: list[_Instruction]) -> None:
    """Filter the calls of all threads from now on. Raises OSError."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(_ENOSYS, "seccomp")
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine[0]),
        (_RETURN, 0, 0, _ERROR | _EPERM),  # a call of another machine's, such as the 32-bit one
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32_CALLS),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        *steps,
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    _call_system("seccomp", _SET_MODE_FILTER, _FLAG_TSYNC | _FLAG_SPEC_ALLOW, header)


# Files: Landlock


def _list_program_folders() -> set[str]:
    """Return the folders that this program, Python and its packages are read from."""
    found = {*_SYSTEM_FOLDERS, sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)}
    beneath = tuple(f"{folder}{os.sep}" for folder in found)
    for module in list(sys.modules.values()):  # installed in place, a package lies outside of all of these
        file = getattr(module, "__file__", None)
        if file and not file.startswith(beneath):
            found.add(os.path.dirname(file))  # noqa: PTH120 - of hundreds
    return found


def _restrict_files(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Restrict the calling thread, and what it starts, to these files and folders. Raises OSError."""
    version = _call_system("landlock_create_ruleset", None, 0, 1)
    rights = _KNOWN_RIGHTS[min(version, max(_KNOWN_RIGHTS))]
    fields = [rights, _TCP if version >= _TCP_SINCE else 0, _SCOPES if version >= _SCOPES_SINCE else 0]
    size = 1 if version < _TCP_SINCE else 2 if version < _SCOPES_SINCE else 3
    attributes = struct.pack(f"={size}Q", *fields[:size])
    rules = _call_system("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for path in {os.path.realpath(each) for each in readable}:
            _allow(rules, path, _READ & rights)
        for path in _DEVICES:
            _allow(rules, path, (_READ_FILE | _WRITE_FILE) & rights)
        for folder in writable:
            _allow(rules, os.path.realpath(folder), _REPLACE & rights)
        _call_system("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow rights to a file, or to all beneath a folder; a path that is not there needs none."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES
        _call_system("landlock_add_rule", rules, _PATH_BENEATH, struct.pack("=Qi", rights, handle), 0)
    finally:
        os.close(handle)
