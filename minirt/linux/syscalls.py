"""The system calls that Python does not wrap, each as one small function that raises ``OSError``.

Numbers are those of the kernel's own tables (``arch/*/entry/syscalls``); calls since 2019 share one number on
every architecture. Nothing here decides anything: see :mod:`minirt.linux.mounts` and its neighbours.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct

__all__ = [
    "bpf_attach_device_program",
    "bpf_count_device_programs",
    "bpf_load_device_program",
    "capset",
    "clone",
    "close_on_exec",
    "close_range",
    "fsconfig_create",
    "fsconfig_flag",
    "fsconfig_string",
    "fsmount",
    "fsopen",
    "keyctl_new_session",
    "landlock_add",
    "landlock_create",
    "landlock_version",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "prctl",
    "seccomp_listen",
    "seccomp_load",
    "set_file_ids",
    "setdomainname",
    "setns",
    "umount",
    "unshare",
]

# Where two numbers are given: x86_64, then aarch64.
_ARM = platform.machine() == "aarch64"
_SYS_CLONE = 220 if _ARM else 56
_SYS_PIVOT_ROOT = 41 if _ARM else 155
_SYS_CAPSET = 91 if _ARM else 126
_SYS_KEYCTL = 219 if _ARM else 250
_SYS_SECCOMP = 277 if _ARM else 317
_SYS_BPF = 280 if _ARM else 321
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_CLOSE_RANGE = 436
_SYS_MOUNT_SETATTR = 442
_SYS_LANDLOCK_CREATE_RULESET = 444
_SYS_LANDLOCK_ADD_RULE = 445

_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_IDMAP = 0x00100000
# linux/bpf.h: commands, a type of program, where it is attached, and that others may be attached beside it.
_BPF_PROG_LOAD, _BPF_PROG_ATTACH, _BPF_PROG_QUERY = 5, 8, 16
_BPF_PROG_TYPE_CGROUP_DEVICE, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI = 15, 6, 2
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6

# PyDLL keeps the interpreter's lock: these calls do not block, and a raw clone must not happen without it.
_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _check(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def _call(number: int, *arguments: object, path: str | None = None) -> int:
    return _check(_syscall(ctypes.c_long(number), *arguments), path)


def _long(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


def mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    """Mount the old way: one call, the options as one text."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    _check(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), target)


def umount(target: str, flags: int = 0) -> None:
    """Take a mount away."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Exchange this mount namespace's root for the mount at ``new_root``."""
    _call(_SYS_PIVOT_ROOT, os.fsencode(new_root), os.fsencode(put_old), path=new_root)


def unshare(flags: int) -> None:
    """Leave namespaces (``CLONE_NEW*``) for fresh ones."""
    _check(_libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, flags: int = 0) -> None:
    """Enter the namespace ``fd``, or several namespaces of the process that the pidfd ``fd`` names."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)))


def clone(flags: int) -> int:
    """Fork into new namespaces: 0 in the child. Only where the process has one thread."""
    return _call(_SYS_CLONE, ctypes.c_ulong(flags), _long(0), _long(0), _long(0), _long(0))


def prctl(option: int, *arguments: int) -> int:
    """Settings of this process; missing arguments are 0, as several options insist on."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _check(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)))


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the capabilities of this thread; each argument is a mask of 64 bits."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    words = [mask >> shift & 0xFFFFFFFF for shift in (0, 32) for mask in (effective, permitted, inheritable)]
    _call(_SYS_CAPSET, header, (ctypes.c_uint32 * 6)(*words))


def close_on_exec(first: int) -> None:
    """close_range(2): every descriptor from ``first`` on closes when this process runs another program."""
    try:
        _call(_SYS_CLOSE_RANGE, _long(first), _long(0xFFFFFFFF), _long(4))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):  # kernels before 5.11 do not know the flag
            raise
        for fd in _descriptors(first):
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)


def _descriptors(first: int) -> list[int]:
    try:
        return [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd >= first]
    except OSError:  # no /proc here
        return list(range(first, min(os.sysconf("SC_OPEN_MAX"), 1 << 16)))


def close_range(first: int) -> None:
    """Close every descriptor from ``first`` on now."""
    try:
        _call(_SYS_CLOSE_RANGE, _long(first), _long(0xFFFFFFFF), _long(0))
    except OSError as error:
        if error.errno != errno.ENOSYS:  # kernels before 5.9
            raise
        for fd in _descriptors(first):
            with contextlib.suppress(OSError):
                os.close(fd)


def keyctl_new_session() -> None:
    """A fresh session keyring (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING), so that the machine's keys stay outside."""
    _call(_SYS_KEYCTL, _long(1), None)


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def seccomp_load(program: bytes) -> None:
    """Install a filter: ``program`` is an array of ``struct sock_filter`` (8 bytes each)."""
    _call(_SYS_SECCOMP, _long(1), _long(0), ctypes.byref(_FilterProgram(len(program) // 8, program)))


def seccomp_listen(program: bytes) -> int:
    """The same, with a descriptor on which its calls arrive that are to be answered by somebody else.

    ``OSError``: EINVAL from a kernel older than 5.0, EBUSY where a filter further out has such a descriptor.
    """
    flags = _long(1 << 3)  # SECCOMP_FILTER_FLAG_NEW_LISTENER; it closes on exec
    return _call(_SYS_SECCOMP, _long(1), flags, ctypes.byref(_FilterProgram(len(program) // 8, program)))


def setdomainname(name: str) -> None:
    """The NIS domain name of this process's UTS namespace."""
    data = os.fsencode(name)
    _check(_libc.setdomainname(data, ctypes.c_size_t(len(data))))


def set_file_ids(uid: int, gid: int) -> None:
    """setfsuid(2) and setfsgid(2): who this thread is to file systems. Both never say that they failed."""
    _libc.setfsgid(ctypes.c_int(gid))
    _libc.setfsuid(ctypes.c_int(uid))


def open_tree(path: str, *, clone: bool = True, recursive: bool = True) -> int:
    """A detached copy of the mount at ``path`` (and of those below it), as a descriptor."""
    flags = os.O_CLOEXEC | (1 if clone else 0) | (_AT_RECURSIVE if clone and recursive else 0)
    return _call(_SYS_OPEN_TREE, _long(-100), os.fsencode(path), _long(flags), path=path)


def move_mount(fd: int, target_fd: int, path: str | None = None) -> None:
    """Attach the detached mount ``fd`` to the directory or file ``target_fd``; ``path`` is only for the error."""
    flags = 0x4 | 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
    _call(_SYS_MOVE_MOUNT, _long(fd), b"", _long(target_fd), b"", _long(flags), path=path)


def mount_setattr(
    fd: int, *, add: int = 0, propagation: int = 0, recursive: bool = False, id_map: int | None = None
) -> None:
    """Add attributes (``MOUNT_ATTR_*``) to the mount ``fd``; those it has stay, as they may be locked.

    ``id_map`` is a user namespace: files look as if its ids were those on the disk.
    """
    if id_map is not None:
        add |= _MOUNT_ATTR_IDMAP
    attributes = (ctypes.c_uint64 * 4)(add, 0, propagation, id_map or 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _call(_SYS_MOUNT_SETATTR, _long(fd), b"", _long(flags), attributes, _long(ctypes.sizeof(attributes)))


def fsopen(kind: str) -> int:
    """A file-system context to configure."""
    return _call(_SYS_FSOPEN, kind.encode(), _long(1), path=kind)


def fsconfig_string(fd: int, key: str, value: str) -> None:
    """Set one option; the kernel takes values shorter than 256 bytes."""
    _call(_SYS_FSCONFIG, _long(fd), _long(_FSCONFIG_SET_STRING), key.encode(), os.fsencode(value), _long(0), path=value)


def fsconfig_flag(fd: int, key: str) -> None:
    """Set one option that has no value."""
    _call(_SYS_FSCONFIG, _long(fd), _long(_FSCONFIG_SET_FLAG), key.encode(), None, _long(0), path=key)


def fsconfig_create(fd: int) -> None:
    """Make the file system as configured."""
    _call(_SYS_FSCONFIG, _long(fd), _long(_FSCONFIG_CMD_CREATE), None, None, _long(0))


def fsmount(fd: int, attributes: int = 0) -> int:
    """The created file system as a detached mount."""
    return _call(_SYS_FSMOUNT, _long(fd), _long(1), _long(attributes))


def landlock_version() -> int:
    """Which version of Landlock the kernel has. ``OSError``: ENOSYS, EOPNOTSUPP (switched off), EPERM (refused)."""
    return _call(_SYS_LANDLOCK_CREATE_RULESET, None, _long(0), _long(1))


def landlock_create(handled: int) -> int:
    """A ruleset, as a descriptor, that forbids these accesses to files but for what is added to it."""
    attribute = ctypes.c_uint64(handled)
    return _call(_SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(attribute), _long(8), _long(0))


def landlock_add(ruleset: int, fd: int, allowed: int) -> None:
    """Allow these accesses to the file ``fd``, or to all below the directory ``fd``."""

    class _Beneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]

    rule = _Beneath(allowed, fd)
    _call(_SYS_LANDLOCK_ADD_RULE, _long(ruleset), _long(1), ctypes.byref(rule), _long(0))


def bpf_load_device_program(program: bytes) -> int:
    """A program (``struct bpf_insn[]``) that decides about devices, as a descriptor."""
    instructions = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"BSD")
    # union bpf_attr: prog_type, insn_cnt, insns, license.
    attribute = struct.pack(
        "=IIQQ", _BPF_PROG_TYPE_CGROUP_DEVICE, len(program) // 8, ctypes.addressof(instructions),
        ctypes.addressof(licence),
    )  # fmt: skip
    return _call(_SYS_BPF, _long(_BPF_PROG_LOAD), attribute, _long(len(attribute)))


def bpf_attach_device_program(group: int, program: int) -> None:
    """Let it decide for the control group ``group`` (a descriptor of its directory), beside those of groups above."""
    attribute = struct.pack("=IIII", group, program, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI)
    _call(_SYS_BPF, _long(_BPF_PROG_ATTACH), attribute, _long(len(attribute)))


def bpf_count_device_programs(group: int) -> int:
    """How many programs decide for the control group ``group`` itself."""
    attribute = ctypes.create_string_buffer(struct.pack("=IIIIQI", group, _BPF_CGROUP_DEVICE, 0, 0, 0, 0))
    _call(_SYS_BPF, _long(_BPF_PROG_QUERY), attribute, _long(28))
    return int(struct.unpack_from("=I", attribute, 24)[0])
