"""The first process of a traced container: 300 bytes of machine code that start the program and tell how it ends.

PRoot (5.1) ends with the exit code of whichever process ended last, and tells of no signal. So the first process it
starts is not the program but this one. It needs nothing of the image, not even a C library. In words:

1. ``prctl(PR_SET_CHILD_SUBREAPER, 1)``: orphans of the container become its children, as they would with PID 1.
2. ``fcntl(3, F_SETFD, FD_CLOEXEC)``: descriptor 3 leads to the monitor, and is not the program's business.
3. ``landlock_restrict_self(4, 0)``: descriptor 4, if there is one, is the list of files that the container may reach.
   It holds for this process and all that come from it; PRoot, outside, keeps its own files. Without a list (EBADF), and
   on kernels that have no such call (ENOSYS, before 5.13; there no list is made), it goes on. If it is refused, the
   result is written to 3 and this ends. Then 4 is closed.
4. ``clone(CLONE_VFORK | SIGCHLD)``; the child does ``execve(argv[1], argv + 2, envp + 2)`` (the first two variables
   are PRoot's own). If that fails it writes the result, a negative errno, to 3 and ends.
5. All signals are blocked; the child's process id is written to 3; then ``wait4(-1)`` until it is the child that ended.
6. The child's wait status is written to 3.

All numbers written are 4 bytes in the machine's own order.
"""

from __future__ import annotations

import platform
import struct

__all__ = ["first_program"]

_CODE = {
    "x86_64": (
        62,  # EM_X86_64
        "4889e3b89d000000bf24000000be010000000f05b848000000bf03000000be02000000ba010000000f05b8be010000bf0400"
        "000031f60f0583f8f7741583f8da741085c0757ab803000000bf040000000f05b838000000bf1140000031f631d24531d24531c00f0585"
        "c0743a4189c4e8750000004154e857000000b83d000000bfffffffff4889e631d24531d20f0583f8fc74e785c0780a4439e0"
        "75dee83000000031ffeb25488b0b488d7310488d54cb20488b3e488d7318b83b0000000f0550e80c000000bf7f000000b8e7"
        "0000000f05b801000000bf03000000488d742408ba040000000f05c3b80e0000006aff4889e631ff31d241ba080000000f05"
        "58c3",
    ),
    "aarch64": (
        183,  # EM_AARCH64
        "f3030091e81480d2800480d2210080d2010000d4280380d2600080d2410080d2220080d2010000d4c83780d2800080d20100"
        "80d2010000d41f2400b1e00000541f9800b1a0000054400400b5280780d2800080d2010000d4200288d22300009480020034f403002a2d000094"
        "ff4300d1f40300b924000094882080d200008092e1030091020080d2030080d2010000d41f1000b120ffff548000f8b71f00"
        "146bc1feff5418000094000080d20d000014690240f961420091620e098b42800091200040f961620091a81b80d2010000d4"
        "ff4300d1e00300b90b000094e00f80d2c80b80d2010000d4881b80d2010080d2020080d2030080d2040080d2010000d4c003"
        "5fd6080880d2600080d2e1030091820080d2010000d4c0035fd6ff4300d101008092e10300f9e81080d2000080d2e1030091"
        "020080d2030180d2010000d4ff430091c0035fd6",
    ),
}
_ADDRESS = 0x400000
_HEADERS = 64 + 56


def first_program() -> bytes | None:
    """An ELF file for this processor (elf(5)): one header, one segment, the code. None for other processors."""
    if platform.machine() not in _CODE:
        return None
    machine, text = _CODE[platform.machine()]
    code = bytes.fromhex(text)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = _HEADERS + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    return ident + header + segment + code
