"""System calls that a filter gives to another process to answer (seccomp_unotify(2)).

The caller waits until it is answered, or killed. Whoever answers reads the call's arguments from the caller's memory
and does itself what is to be done.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
from dataclasses import dataclass

__all__ = ["CHOWN_CALLS", "METADATA_CALLS", "Call", "Form", "answer", "is_waiting", "let_go", "read_path", "receive"]

_ARM = platform.machine() == "aarch64"


@dataclass(frozen=True, slots=True)
class Form:
    """Which argument of a call is what: a directory's (or file's) descriptor, a path, flags, the (uid, gid).

    ``follow``: a link at the path's end is followed, unless the flags say no.
    """

    directory: int | None = None
    path: int | None = None
    flags: int | None = None
    ids: tuple[int, int] | None = None
    follow: bool = True


_FCHOWN, _FCHOWNAT = Form(0, ids=(1, 2)), Form(0, 1, 4, (2, 3))
_OF_FILE, _OF_PATH, _OF_LINK, _AT = Form(0), Form(None, 0), Form(None, 0, follow=False), Form(0, 1)
_UTIMENSAT = Form(0, 1, 3)

# What changes a file's owner, by number; the 64-bit ARM kernel has the newer calls only.
CHOWN_CALLS: dict[int, Form] = (
    {55: _FCHOWN, 54: _FCHOWNAT}
    if _ARM
    else {92: Form(None, 0, ids=(1, 2)), 93: _FCHOWN, 94: Form(None, 0, ids=(1, 2), follow=False), 260: _FCHOWNAT}
)
# What changes its mode (fchmod fchmodat chmod), times (utimensat utime utimes futimesat) or attributes
# (setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr).
METADATA_CALLS: dict[int, Form] = (
    {
        52: _OF_FILE, 53: _AT, 88: _UTIMENSAT,
        5: _OF_PATH, 6: _OF_LINK, 7: _OF_FILE, 14: _OF_PATH, 15: _OF_LINK, 16: _OF_FILE,
    }
    if _ARM
    else {
        91: _OF_FILE, 268: _AT, 90: _OF_PATH, 280: _UTIMENSAT, 132: _OF_PATH, 235: _OF_PATH, 261: _AT,
        188: _OF_PATH, 189: _OF_LINK, 190: _OF_FILE, 197: _OF_PATH, 198: _OF_LINK, 199: _OF_FILE,
    }
)  # fmt: skip

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102  # SECCOMP_IOCTL_NOTIF_*
_CALL = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp
_LONGEST = 4096  # PATH_MAX, its closing zero among it
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Call:
    """``pid`` is the calling thread's id as this process sees it; ``number`` is the machine's own.

    ``instruction`` is the address behind the call.
    """

    id: int
    pid: int
    number: int
    instruction: int
    arguments: tuple[int, ...]

    def signed(self, index: int) -> int:
        """An argument that the kernel reads as an ``int``: a descriptor, or AT_FDCWD."""
        return ctypes.c_int(self.arguments[index] & 0xFFFFFFFF).value

    def word(self, index: int) -> int:
        """An argument that the kernel reads as an ``unsigned int``: an id, or flags."""
        return self.arguments[index] & 0xFFFFFFFF


def receive(listener: int) -> Call | None:
    """The next call that waits; None when the one that was there has been killed or interrupted."""
    buffer = bytearray(_CALL.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    call, pid, _, number, _, instruction, *arguments = _CALL.unpack(buffer)
    return Call(call, pid, number, instruction, tuple(arguments))


def is_waiting(listener: int, call: Call) -> bool:
    """Whether it still waits: if not, ``call.pid`` may be another process by now, and what was opened of it is void."""
    try:
        fcntl.ioctl(listener, _IS_VALID, struct.pack("=Q", call.id))
    except OSError:
        return False
    return True


def answer(listener: int, call: Call, error: int = 0) -> None:
    """Let the caller go on, with 0 or an errno."""
    _send(listener, _ANSWER.pack(call.id, 0, -error, 0))


def let_go(listener: int, call: Call) -> None:
    """Let the kernel do the call after all."""
    _send(listener, _ANSWER.pack(call.id, 0, 0, 1))  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


def _send(listener: int, response: bytes) -> None:
    try:
        fcntl.ioctl(listener, _SEND, bytearray(response))
    except OSError as failure:
        if failure.errno != errno.ENOENT:
            raise


def read_path(process: str, address: int) -> bytes:
    """The text at ``address`` in the memory of ``process`` (its directory in /proc), up to its closing zero.

    ``OSError``: EFAULT, ENAMETOOLONG.
    """
    memory = os.open(f"{process}/mem", os.O_RDONLY | os.O_CLOEXEC)
    found = b""
    try:
        while len(found) < _LONGEST:
            # To the end of its page: the next one may not be there.
            at = address + len(found)
            piece = os.pread(memory, _PAGE - at % _PAGE, at)
            text, zero, _ = piece.partition(b"\0")
            found += text
            if zero:
                return found
            if not piece:
                break
    except (OSError, OverflowError, ValueError):
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from None
    finally:
        os.close(memory)
    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
