"""Makes this process look like one on macOS or on Windows, as far as Python code can tell.

``python elsewhere.py darwin|win32 PROGRAM [ARGUMENT…]``: what the standard library and other projects need is loaded
first, as they bring their own support; then everything that only Linux (or only Unix) has goes away, every module of
ours is forgotten, and PROGRAM is imported and run anew.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import select
import signal
import socket
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

ONLY_LINUX: dict[ModuleType, tuple[str, ...]] = {
    os: (
        "O_PATH", "O_TMPFILE", "O_DIRECT", "O_NOATIME", "pidfd_open", "memfd_create", "eventfd", "splice",
        "copy_file_range", "getxattr", "setxattr", "listxattr", "removexattr", "setresuid", "setresgid", "getresuid",
        "getresgid", "sched_getaffinity", "sched_setaffinity", "getrandom", "pipe2", "setns", "unshare",
    ),
    select: ("epoll",),
    signal: ("pidfd_send_signal", "sigtimedwait", "sigwaitinfo"),
    socket: ("AF_NETLINK", "SO_PEERCRED", "SO_PASSCRED", "SCM_CREDENTIALS"),
}  # fmt: skip
ONLY_UNIX: dict[ModuleType, tuple[str, ...]] = {
    os: (
        "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "fork", "forkpty", "getuid", "geteuid",
        "getgid", "getegid", "getgroups", "setgroups", "chown", "lchown", "fchown", "fchmod", "mknod", "mkfifo",
        "killpg",
        "getpgid", "setsid", "openpty", "WNOHANG", "wait4", "uname", "sysconf", "statvfs", "fchdir", "major", "minor",
        "makedev", "pread", "pwrite", "readv", "writev", "sync", "posix_spawn", "chroot", "register_at_fork",
        "SEEK_DATA", "SEEK_HOLE",
    ),
    select: ("poll",),
    signal: (
        "SIGKILL", "SIGHUP", "SIGCHLD", "SIGWINCH", "SIGPIPE", "SIGSTOP", "SIGCONT", "SIGTSTP", "SIGQUIT", "SIGUSR1",
        "pthread_sigmask", "sigwait", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK",
    ),
    socket: ("AF_UNIX", "send_fds", "recv_fds"),
}  # fmt: skip
UNIX_MODULES = ("fcntl", "termios", "tty", "pty", "pwd", "grp", "resource")


class _OtherLibrary:
    """A C library without Linux's own calls. On macOS the process's own can be asked for, on Windows none."""

    def __init__(self, name: object = None, *_: object, **__: object) -> None:
        if sys.platform == "win32":
            raise TypeError("a library needs a name here")

    def __getattr__(self, name: str) -> Any:
        if name in ("syscall", "mount", "strerror"):
            return SimpleNamespace(restype=None, argtypes=None)
        raise AttributeError(f"symbol not found: {name}")


def become(system: str) -> None:
    for module, names in (*ONLY_LINUX.items(), *(ONLY_UNIX.items() if system == "win32" else ())):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    if system == "win32":
        sys.modules.update(dict.fromkeys(UNIX_MODULES))  # None: importing it fails
    sys.platform = system
    ctypes.CDLL = ctypes.PyDLL = _OtherLibrary  # type: ignore[assignment,misc]


def main() -> None:
    system, program, *arguments = sys.argv[1:]
    sys.path[:0] = [ROOT, os.path.join(ROOT, "kernel"), os.path.dirname(os.path.abspath(__file__))]
    module = importlib.import_module(program)
    module.main(arguments, rehearsal=True)  # on Linux: loads what other projects load when they are first used
    for name in [name for name in sys.modules if name.split(".")[0] in ("minirt", "minirt_kernel", program)]:
        del sys.modules[name]
    become(system)
    importlib.import_module(program).main(arguments, rehearsal=False)


if __name__ == "__main__":
    main()
