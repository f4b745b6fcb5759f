"""Docker's seccomp profiles made into filters. The built-in one is in :mod:`minirt.linux.seccomp`.

Apart from it, because every container's start loads that one, and few have a profile of their own.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Collection

from minirt.errors import InvalidSpec
from minirt.linux.bpf import MOST, Branch, assemble
from minirt.linux.syscall_numbers import numbers
from minirt.model.seccomp import Profile

__all__ = ["compile_profile"]

_ARCHITECTURES = (0xC000003E, 0xC00000B7)  # AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64
# SECCOMP_RET_*
_ERRNO, _TRACE = 0x00050000, 0x7FF00000
_UNKNOWN = _ERRNO | errno.ENOSYS
_ACTIONS = {
    "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO, "SCMP_ACT_TRACE": _TRACE, "SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_LOG": 0x7FFC0000,
}  # fmt: skip
_X32 = 0x40000000  # __X32_SYSCALL_BIT: the same calls once more, with pointers of 32 bits


def compile_profile(profile: Profile, capabilities: Collection[str], machine: str = "", kernel: str = "") -> bytes:
    """The filter for a container with these capabilities, on this machine and kernel unless others are named.

    As runc and libseccomp do it: names that this machine has no call for are left out, a rule that says what happens
    anyway too; a rule without comparisons wins over those with, else the first that fits. Where calls without a rule
    are refused, those newer than all that the profile names answer ENOSYS, so that libraries fall back to older ones.
    Raises :class:`InvalidSpec`.
    """
    machine = machine or platform.machine()
    arm = machine == "aarch64"
    parts = (kernel or os.uname().release).split(".")
    version = int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()))
    known = numbers(machine)
    default = _answer(profile.default, profile.default_errno)
    table: dict[int, list[Branch]] = {}
    newest = 0
    for rule in profile.rules_for(capabilities, "arm64" if arm else "amd64", version):
        answer = _answer(rule.action, rule.errno)
        for number in (known[name] for name in rule.names if name in known):
            newest = max(newest, number)
            if answer != default:
                table.setdefault(number, []).extend(Branch(answer, one) for one in rule.alternatives())
    open_to_all = profile.default in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
    program = assemble(
        {number: tuple(sorted(branches, key=lambda one: bool(one.comparisons))) for number, branches in table.items()},
        default,
        architecture=_ARCHITECTURES[arm],
        elsewhere=_UNKNOWN,
        beyond=(_X32 if open_to_all else newest + 1, _UNKNOWN),
    )
    if len(program) > 8 * MOST:
        raise InvalidSpec(
            f"the seccomp profile is too long: its filter has {len(program) // 8} instructions",
            cause=f"the kernel takes {MOST}",
            hint="Each argument that is compared takes 4 to 6; a rule without arguments takes about 2.",
        )
    return program


def _answer(action: str, number: int) -> int:
    return _ACTIONS[action] | (number if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0)
