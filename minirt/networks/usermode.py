"""A network for containers of ordinary users: slirp4netns carries packets to the machine's own sockets.

pasta is not used: it does not open a namespace of the user namespace that it already runs in.
"""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from minirt.errors import SandboxError
from minirt.linux import links
from minirt.linux.namespaces import CLONE_NEWNET
from minirt.linux.processes import die_with_parent
from minirt.linux.syscalls import close_on_exec, setns, unshare

__all__ = ["enter_user_network", "find_program", "why_not"]

_PLACES = ("/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin")
_TAP = "/dev/net/tun"
_INTERFACE = "eth0"
_PATIENCE = 5.0  # seconds until the program must have set the interface up


def find_program() -> str | None:
    """The path of slirp4netns, or None where it cannot work."""
    if not os.access(_TAP, os.R_OK | os.W_OK):
        return None
    found = (f"{place}/slirp4netns" for place in _PLACES)
    return next((path for path in found if os.access(path, os.X_OK)), None)


def why_not() -> str:
    """Why :func:`find_program` found none."""
    if not os.access(_TAP, os.R_OK | os.W_OK):
        return f"an ordinary user may not open {_TAP} here"
    return "slirp4netns is not installed"


def enter_user_network(program: str) -> None:
    """Step into a fresh network namespace that ``program`` serves until this process ends.

    Raises :class:`SandboxError`, ``OSError``.
    """
    hold, release = os.pipe2(os.O_CLOEXEC)
    ready, set_up = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _hold_namespace(set_up, hold, release)
    os.close(set_up)
    try:
        if not os.read(ready, 1):
            raise SandboxError("cannot make a network namespace", hint="Use --network host.")
        inside = os.open(f"/proc/{child}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _start_program(program, f"/proc/{child}/ns/net")
        setns(inside, CLONE_NEWNET)
        os.close(inside)
        links.loopback_up()
        _wait_for_interface(program)
    finally:
        for fd in (ready, hold, release):
            os.close(fd)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _hold_namespace(set_up: int, hold: int, release: int) -> None:
    try:
        die_with_parent()
        os.close(release)
        unshare(CLONE_NEWNET)
        os.write(set_up, b".")
        os.read(hold, 1)
    finally:
        os._exit(0)


def _start_program(program: str, namespace: str) -> None:
    """The program ends with this process: a pipe of ours closes, and it dies with its parent anyway."""
    watched, _kept_open = os.pipe()
    arguments = ["--configure", "--mtu=65520", "--disable-host-loopback", f"--exit-fd={watched}",
                 "--netns-type=path", namespace, _INTERFACE]  # fmt: skip
    pid = os.fork()
    if pid:
        os.close(watched)
        return
    try:
        die_with_parent()
        os.closerange(0, 3)
        for _ in range(3):
            os.open("/dev/null", os.O_RDWR)
        close_on_exec(3)
        os.set_inheritable(watched, True)
        os.execv(program, [program, *arguments])
    finally:
        os._exit(127)


def _wait_for_interface(program: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while links.address_of(_INTERFACE) is None:
        if time.monotonic() > deadline or _ended():
            raise SandboxError(
                f"{Path(program).name} did not give the container a network",
                hint="Use --network host or --network none.",
            )
        select.select([], [], [], 0.002)


def _ended() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
