"""Capabilities (capabilities(7)): root's power in pieces that can be given away for good."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from minirt.linux.syscalls import capset, prctl

__all__ = ["CAPABILITIES", "drop_bounding", "last_capability", "mask_of", "permitted", "set_capabilities"]

# In the kernel's order (include/uapi/linux/capability.h): the index is the number.
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip

_NUMBERS = {name: number for number, name in enumerate(CAPABILITIES)}
_PR_CAPBSET_DROP = 24


def mask_of(names: Iterable[str]) -> int:
    """The bits of these capabilities; raises ``KeyError`` with an unknown name."""
    mask = 0
    for name in names:
        mask |= 1 << _NUMBERS[name]
    return mask


@lru_cache(maxsize=1)
def last_capability() -> int:
    """The highest number this kernel knows."""
    try:
        with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as text:
            return int(text.read())
    except OSError:
        return len(CAPABILITIES) - 1


def drop_bounding(keep: int, last: int) -> None:
    """Give up for ever, also across exec, what is not in ``keep``; ``last`` is the highest number there is."""
    for number in range(last + 1):
        if not keep >> number & 1:
            prctl(_PR_CAPBSET_DROP, number)


def permitted() -> int:
    """The mask this process could make effective."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as lines:
        return next(int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:"))


def set_capabilities(mask: int) -> None:
    """Hold exactly these now. Nothing is inheritable, as in docker since CVE-2022-24769."""
    capset(mask, mask, 0)
