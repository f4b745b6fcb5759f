"""The filter on system calls, tried in a child process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

_TRY = """
import ctypes, os, sys
sys.path[:] = eval(sys.argv[1])
from minirt.linux.seccomp import load
from minirt.linux.syscalls import prctl
prctl(38, 1)
load(eval(sys.argv[2]), fake_ids=eval(sys.argv[3]))
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(*(ctypes.c_long(value) for value in eval(sys.argv[4])))
print(ctypes.get_errno() if result < 0 else 0)
"""
X86 = os.uname().machine == "x86_64"


def _errno_of(*call: int, capabilities: int = 0, fake_ids: bool = False) -> int:
    arguments = [repr(sys.path), str(capabilities), str(fake_ids), repr(call)]
    done = subprocess.run([sys.executable, "-c", _TRY, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not X86, reason="the numbers are those of x86_64")
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ((165, 0, 0, 0, 0, 0), errno.EPERM),  # mount
        ((272, 0x10000000), errno.EPERM),  # unshare(CLONE_NEWUSER)
        ((56, 0x10000000 | 17, 0, 0, 0, 0), errno.EPERM),  # clone(CLONE_NEWUSER)
        ((435, 0, 0), errno.ENOSYS),  # clone3
        ((250, 0, 0, 0), errno.EPERM),  # keyctl
        ((41, 40, 1, 0), errno.EPERM),  # socket(AF_VSOCK)
        ((41, 1, 1, 0), 0),  # socket(AF_UNIX)
        ((135, 0xFFFFFFFF), 0),  # personality: ask
        ((135, 0x40000), errno.EPERM),  # personality: ADDR_NO_RANDOMIZE
        ((39,), 0),  # getpid
        ((999,), errno.ENOSYS),
        ((0x40000000 | 39,), errno.ENOSYS),  # the x32 numbers
    ],
)
def test_default_filter(call: tuple[int, ...], number: int) -> None:
    """What could reach beyond a container is refused, what programs need is not."""
    assert _errno_of(*call) == number


@pytest.mark.skipif(not X86, reason="the numbers are those of x86_64")
def test_a_capability_opens_its_calls() -> None:
    """A container with CAP_SYS_ADMIN gets past the filter; the kernel itself then looks at the arguments."""
    assert _errno_of(165, 0, 0, 0, 0, 0, capabilities=1 << 21) != errno.EPERM or os.geteuid() != 0


@pytest.mark.skipif(not X86, reason="the numbers are those of x86_64")
def test_pretended_ids() -> None:
    """With a single id, setuid(2) says yes and changes nothing."""
    assert _errno_of(105, 12345, fake_ids=True) == 0


def test_ordinary_work_goes_on() -> None:
    """Threads, sockets, subprocesses and files work under the filter."""
    script = """
import sys; sys.path[:] = eval(sys.argv[1])
from minirt.linux.seccomp import load
from minirt.linux.syscalls import prctl
prctl(38, 1); load(0)
import subprocess, threading, socket, tempfile
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
socket.socketpair(); tempfile.TemporaryFile()
print(subprocess.check_output(["/bin/echo", "fine"], text=True), end="")
"""
    assert subprocess.check_output([sys.executable, "-c", script, repr(sys.path)], text=True) == "fine\n"
