"""Which system calls are refused here: a JSON object, name -> what a call with harmless arguments says (x86-64)."""

from __future__ import annotations

import ctypes
import errno
import json
import socket

# name -> (number, arguments …): none of them can do anything, whoever calls.
CALLS = {
    "unshare": (272, 0x10000000), "mount": (165, 0, 0, 0, 0, 0), "umount2": (166, 0, 0), "pivot_root": (155, 0, 0),
    "setns": (308, -1, 0), "keyctl": (250, 0, 0, 0, 0, 0), "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0), "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, -1, -1, 0),
    "io_uring_setup": (425, 0, 0), "open_tree": (428, -1, 0, 0), "move_mount": (429, -1, 0, -1, 0, 0),
    "fsopen": (430, 0, 0), "fsconfig": (431, -1, 0, 0, 0, 0), "fsmount": (432, -1, 0, 0), "fspick": (433, -1, 0, 0),
    "mount_setattr": (442, -1, 0, 0, 0, 0), "ptrace": (101, 99, 0, 0, 0), "process_vm_readv": (310, 0, 0, 0, 0, 0, 0),
    "kcmp": (312, 0, 0, 0, 0, 0), "personality": (135, 0xFFFFFFFF), "personality_odd": (135, 0x1234),
    "name_to_handle_at": (303, -1, 0, 0, 0, 0), "open_by_handle_at": (304, -1, 0, 0), "quotactl": (179, 0, 0, 0, 0),
    "syslog": (103, 10, 0, 0), "acct": (163, 0), "swapon": (167, 0, 0), "clock_settime": (227, 0, 0),
    "init_module": (175, 0, 0, 0), "iopl": (172, 0), "kexec_load": (246, 0, 0, 0, 0), "mbind": (237, 0, 0, 0, 0, 0, 0),
    "get_mempolicy": (239, 0, 0, 0, 0, 0), "clone3": (435, 0, 0), "seccomp": (317, 9, 0, 0),
    "landlock_create_ruleset": (444, 0, 0, 1), "statx": (332, -1, 0, 0, 0, 0), "faccessat2": (439, -1, 0, 0, 0),
    "openat2": (437, -1, 0, 0, 0), "pidfd_open": (434, -1, 0), "pidfd_getfd": (438, -1, -1, 0),
    "process_madvise": (440, -1, 0, 0, 0, 0), "fanotify_init": (300, 0, 0), "fchmodat2": (452, -1, 0, 0, 0),
    "sethostname": (170, 0, 1), "lsm_get_self_attr": (459, 0, 0, 0, 0), "unknown": (470, 0),
}  # fmt: skip


def main() -> None:
    """Try each, and sockets of the families that differ."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = {}
    for name, (number, *arguments) in CALLS.items():
        result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments))
        found[name] = errno.errorcode[ctypes.get_errno()] if result < 0 else "ok"
    for name, family in {"socket_inet": socket.AF_INET, "socket_vsock": 40}.items():
        try:
            socket.socket(family, socket.SOCK_STREAM).close()
            found[name] = "ok"
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
