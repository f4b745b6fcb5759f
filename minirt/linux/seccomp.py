"""The filter on system calls that every container gets, written as the kernel wants it: classic BPF.

In substance docker's default profile (moby, ``profiles/seccomp/default.json``): what could reach beyond the
container is refused unless the container holds the capability for it. Docker lists what is allowed, this lists what
is not, and answers ENOSYS to calls newer than both. Programs of another processor mode (32 bit) are not served.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable
from functools import lru_cache

from minirt.linux.caps import mask_of
from minirt.linux.notify import CHOWN_CALLS
from minirt.linux.syscalls import prctl, seccomp_listen, seccomp_load

__all__ = ["build_filter", "load", "load_for_tracer"]

_ARM = platform.machine() == "aarch64"
_ARCHITECTURE = 0xC00000B7 if _ARM else 0xC000003E  # AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64
_PR_SET_NO_NEW_PRIVS = 38
_NEWEST = 466  # removexattrat(2)

# capability that opens them -> (number on x86_64, number on aarch64); None: there is no such call.
_GUARDED: dict[str, tuple[tuple[int | None, int | None], ...]] = {
    # bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree
    # perf_event_open quotactl quotactl_fd setdomainname sethostname setns umount2 unshare lsm_get_self_attr
    # lsm_set_self_attr lsm_list_modules
    "CAP_SYS_ADMIN": (
        (321, 280), (300, 262), (431, 431), (432, 432), (430, 430), (433, 433), (212, 18), (165, 40), (442, 442),
        (429, 429), (428, 428), (298, 241), (179, 60), (443, 443), (171, 162), (170, 161), (308, 268), (166, 39),
        (272, 97), (459, 459), (460, 460), (461, 461),
    ),
    "CAP_SYSLOG": ((103, 116),),  # syslog
    "CAP_SYS_BOOT": ((169, 142),),  # reboot
    "CAP_SYS_CHROOT": ((161, 51),),  # chroot
    "CAP_SYS_MODULE": ((176, 106), (175, 105), (313, 273)),  # delete_module init_module finit_module
    "CAP_SYS_PACCT": ((163, 89),),  # acct
    "CAP_SYS_PTRACE": ((312, 272), (440, 440), (438, 438)),  # kcmp process_madvise pidfd_getfd
    "CAP_SYS_RAWIO": ((172, None), (173, None)),  # iopl ioperm
    "CAP_SYS_TIME": ((164, 170), (227, 112)),  # settimeofday clock_settime
    "CAP_SYS_TTY_CONFIG": ((153, 58),),  # vhangup
    # get_mempolicy mbind set_mempolicy set_mempolicy_home_node
    "CAP_SYS_NICE": ((239, 236), (237, 235), (238, 237), (450, 450)),
    "CAP_DAC_READ_SEARCH": ((304, 265),),  # open_by_handle_at
    # Never: add_key keyctl request_key kexec_load kexec_file_load pivot_root swapon swapoff sysfs _sysctl uselib
    # userfaultfd ustat create_module get_kernel_syms query_module nfsservctl io_uring_setup/_enter/_register
    # move_pages migrate_pages
    "": (
        (248, 217), (250, 219), (249, 218), (246, 104), (320, 294), (155, 41), (167, 224), (168, 225), (139, None),
        (156, None), (134, None), (323, 282), (136, None), (174, None), (177, None), (178, None), (180, 42),
        (425, 425), (426, 426), (427, 427), (279, 239), (256, 238),
    ),
}  # fmt: skip
_CLONE, _CLONE3 = (220 if _ARM else 56), 435
_SOCKET = 198 if _ARM else 41
_PERSONALITY = 92 if _ARM else 135
_NAMESPACE_FLAGS = 0x7E020000
_AF_VSOCK = 40
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
# setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid
_SETTING_IDS = (146, 144, 145, 143, 147, 149, 159, 151, 152) if _ARM else (105, 106, 113, 114, 117, 119, 116, 122, 123)

# What PRoot 5.1 does not know: statx faccessat2 openat2 clone3 renameat2 fchmodat2 execveat
_TOO_NEW = (291, 439, 437, 435, 276, 452, 281) if _ARM else (332, 439, 437, 435, 316, 452, 322)
_AF_INET, _AF_INET6, _AF_PACKET = 2, 10, 17

# struct seccomp_data: nr, arch, instruction_pointer, args[6].
_NR, _ARCH, _ARG0 = 0, 4, 16
_LOAD, _JEQ, _JGT, _JSET, _RET = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_ASK = 0x7FC00000  # SECCOMP_RET_USER_NOTIF


class _Program:
    """A list of instructions whose jumps go forward to one of a few ends."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, str | int, str | int]] = []

    def load(self, offset: int) -> None:
        self.steps.append((_LOAD, offset, 0, 0))

    def test(self, code: int, value: int, then: str | int = 0, otherwise: str | int = 0) -> None:
        self.steps.append((code, value, then, otherwise))

    def assemble(self, ends: dict[str, int]) -> bytes:
        places = {name: len(self.steps) + number for number, name in enumerate(ends)}

        def distance(jump: str | int, place: int) -> int:
            return places[jump] - place - 1 if isinstance(jump, str) else jump

        lines = [
            struct.pack("=HBBI", code, distance(then, place), distance(otherwise, place), value)
            for place, (code, value, then, otherwise) in enumerate(self.steps)
        ]
        return b"".join([*lines, *(struct.pack("=HBBI", _RET, 0, 0, value) for value in ends.values())])


def _refused(capabilities: int) -> Iterable[int]:
    for name, numbers in _GUARDED.items():
        if name and capabilities & mask_of([name]):
            continue
        for pair in numbers:
            number = pair[_ARM]
            if number is not None:
                yield number


@lru_cache(maxsize=16)
def build_filter(capabilities: int, *, fake_ids: bool = False, ask: bool = False) -> bytes:
    """The filter for a container that holds these capabilities (a mask).

    ``fake_ids``: where only one id is mapped, calls that would change ids or owners say yes and do nothing, so that
    package managers, which insist on them, work. ``ask``: those about owners are answered by whoever holds the
    filter's listener (:mod:`minirt.linux.notify`).
    """
    program = _Program()
    program.load(_ARCH)
    program.test(_JEQ, _ARCHITECTURE, 0, "unknown")
    program.load(_NR)
    program.test(_JGT, _NEWEST, "unknown")
    if fake_ids:
        for number in _SETTING_IDS:
            program.test(_JEQ, number, "nothing")
        for number in CHOWN_CALLS:
            program.test(_JEQ, number, "asked" if ask else "nothing")
    for number in _refused(capabilities):
        program.test(_JEQ, number, "refused")
    if not capabilities & mask_of(["CAP_SYS_ADMIN"]):
        # Its flags are behind a pointer that a filter cannot follow; libraries fall back to clone(2).
        program.test(_JEQ, _CLONE3, "unknown")
        program.test(_JEQ, _CLONE, 0, 2)
        program.load(_ARG0)
        program.test(_JSET, _NAMESPACE_FLAGS, "refused", "allowed")
    program.test(_JEQ, _SOCKET, 0, 2)
    program.load(_ARG0)
    program.test(_JEQ, _AF_VSOCK, "refused", "allowed")
    program.test(_JEQ, _PERSONALITY, 0, "allowed")
    program.load(_ARG0)
    for value in _PERSONALITIES:
        program.test(_JEQ, value, "allowed")
    program.test(_JEQ, 0, "refused", "refused")
    return program.assemble(
        {
            "allowed": _ALLOW,
            "refused": _ERRNO | errno.EPERM,
            "unknown": _ERRNO | errno.ENOSYS,
            "nothing": _ERRNO,
            "asked": _ASK,
        }
    )


def load(capabilities: int, *, fake_ids: bool = False, ask: bool = False, program: bytes = b"") -> int | None:
    """Put the filter on this process and all that come from it; there is no way back.

    ``program`` is a filter of :mod:`minirt.linux.seccomp_profile`, instead of the built-in one; of two answers to a
    call the kernel takes the stricter.

    With ``ask`` the result is the filter's listener, whose holder must answer each change of an owner; None where this
    kernel gives none, and there such a change says yes and does nothing.
    """
    listener = None
    if fake_ids and ask:
        try:
            listener = seccomp_listen(_own_filter(capabilities, bool(program), fake_ids=True, ask=True))
        except OSError:
            pass  # before Linux 5.0, or somebody further out listens already
    if listener is None and (fake_ids or not program):
        seccomp_load(_own_filter(capabilities, bool(program), fake_ids=fake_ids, ask=False))
    if program:
        seccomp_load(program)
    return listener


def _own_filter(capabilities: int, only_fakes: bool, *, fake_ids: bool, ask: bool) -> bytes:
    if not only_fakes:
        return build_filter(capabilities, fake_ids=fake_ids, ask=ask)
    program = _Program()
    program.load(_NR)
    for number in _SETTING_IDS:
        program.test(_JEQ, number, "nothing")
    for number in CHOWN_CALLS:
        program.test(_JEQ, number, "asked" if ask else "nothing")
    return program.assemble({"allowed": _ALLOW, "nothing": _ERRNO, "asked": _ASK})


def load_for_tracer(*, offline: bool = False, ask: Iterable[int] = ()) -> int | None:
    """For PRoot and all that it traces: calls that it does not know are answered as an old kernel would.

    ``offline``: sockets of the internet are refused as if there were no network. ``ask`` are the numbers of the calls
    that are answered by the holder of the listener: see :func:`load`.
    """
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    numbers = tuple(ask)
    if numbers:
        try:
            return seccomp_listen(_for_tracer(offline=offline, ask=numbers))
        except OSError:
            pass
    seccomp_load(_for_tracer(offline=offline, ask=()))
    return None


def _for_tracer(*, offline: bool, ask: tuple[int, ...]) -> bytes:
    program = _Program()
    program.load(_ARCH)
    program.test(_JEQ, _ARCHITECTURE, 0, "allowed")
    program.load(_NR)
    for number in _TOO_NEW:
        program.test(_JEQ, number, "unknown")
    for number in ask:
        program.test(_JEQ, number, "asked")
    program.test(_JEQ, _SOCKET if offline else _NEWEST << 8, 0, "allowed")
    program.load(_ARG0)
    for family in (_AF_INET, _AF_INET6, _AF_PACKET):
        program.test(_JEQ, family, "unreachable")
    return program.assemble(
        {
            "allowed": _ALLOW,
            "unknown": _ERRNO | errno.ENOSYS,
            "unreachable": _ERRNO | errno.ENETUNREACH,
            "asked": _ASK,
        }
    )
