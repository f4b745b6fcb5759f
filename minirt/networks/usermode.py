"""The way out for ordinary users: pasta or slirp4netns carries packets to sockets of the machine.

Each serves one network namespace, that of a home (``homenet.py``), over a virtual interface there. Both get the same
addresses, so nothing else knows which of them it is.

pasta gives up most capabilities before it opens the namespace, and the kernel lets a process open ``/proc/PID/ns/net``
only if it has every capability that PID has (ptrace(2), "Ptrace access mode checking"). So the process that holds the
namespace must have none; with that, each pasta serves a namespace whose user namespace it runs in already.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from minirt.errors import SandboxError
from minirt.linux import links
from minirt.linux.processes import die_with_parent
from minirt.linux.syscalls import close_on_exec

__all__ = ["INTERFACE", "find_programs", "fork_program", "in_order", "wait_for_interface", "why_not"]

INTERFACE = "tap0"
_PLACES = ("/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin")
_TAP = "/dev/net/tun"
_NAMES = ("pasta", "slirp4netns")
_ADDRESS, _PREFIX, _GATEWAY = "10.0.2.100", "24", "10.0.2.2"  # slirp4netns's own; pasta is told them
_PATIENCE = 5.0  # seconds until the program must have set the interface up


def find_programs() -> tuple[str, ...]:
    """The paths of those that are installed; none where they cannot work."""
    if not os.access(_TAP, os.R_OK | os.W_OK):
        return ()
    found = ((f"{place}/{name}" for place in _PLACES) for name in _NAMES)
    here = (next((path for path in paths if os.access(path, os.X_OK)), None) for paths in found)
    return tuple(path for path in here if path is not None)


def in_order(programs: Sequence[str]) -> list[str]:
    """The better one first. A pasta from before 2024 is the worse one: it can lose the end of a connection."""
    return sorted(programs, key=lambda path: 1 if path.endswith("slirp4netns") else 0 if _is_recent(path) else 2)


def _is_recent(pasta: str) -> bool:
    try:
        said = subprocess.run([pasta, "--version"], capture_output=True, text=True, env={}, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return False
    # "pasta 0.0~git20240220.1e6f92b-1", "pasta 2024_09_06.6b38f07"; that of 2023 knows no version.
    year = re.search(r"20\d\d(?=_?\d\d)", said.stdout.partition("\n")[0])
    return year is not None and int(year[0]) >= 2024


def why_not() -> str:
    """Why :func:`find_programs` found none."""
    if not os.access(_TAP, os.R_OK | os.W_OK):
        return f"an ordinary user may not open {_TAP} here"
    return "neither pasta (package passt) nor slirp4netns is installed"


def _arguments(program: str, namespace: str) -> list[str]:
    if program.endswith("slirp4netns"):
        return [program, "--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path", namespace,
                INTERFACE]  # fmt: skip
    # Nothing is forwarded by itself, in either direction: ports are published by our own forwarder.
    return [program, "--foreground", "--quiet", "--config-net", "--netns-only", "--netns", namespace,
            "--no-netns-quit", "--no-map-gw", "-4", "-a", _ADDRESS, "-n", _PREFIX, "-g", _GATEWAY, "-I", INTERFACE,
            "-t", "none", "-u", "none", "-T", "none", "-U", "none"]  # fmt: skip


def fork_program(program: str, namespace: str) -> tuple[int, Callable[[], None]]:
    """A child that stays in the present network namespace and becomes ``program`` when the function is called.

    ``namespace`` is the path of the one to serve. It ends with this process.
    """
    wait, go = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(go)
        _become(program, namespace, wait)
    os.close(wait)

    def begin() -> None:
        os.write(go, b".")
        os.close(go)

    return pid, begin


def _become(program: str, namespace: str, wait: int) -> NoReturn:
    try:
        die_with_parent()
        if os.read(wait, 1):
            # Python ignores it, and the pasta of 2023 takes that for a failure of its own.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            for fd in range(3):
                os.dup2(os.open("/dev/null", os.O_RDWR), fd)
            close_on_exec(3)
            os.execv(program, _arguments(program, namespace))
    finally:
        os._exit(127)


def wait_for_interface(program: str, pid: int) -> None:
    """Until the program ``pid`` has set the interface up. Raises :class:`SandboxError` when it gives up before."""
    deadline = time.monotonic() + _PATIENCE
    while links.address_of(INTERFACE) is None:
        if time.monotonic() > deadline or os.waitpid(pid, os.WNOHANG)[0]:
            raise SandboxError(
                f"{Path(program).name} gave the containers no way out of this machine",
                hint="Use --network host, or --network none.",
            )
        select.select([], [], [], 0.002)
