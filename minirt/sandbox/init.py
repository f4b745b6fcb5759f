"""PID 1 of a container, from the clone until it becomes the program."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
import termios
from dataclasses import dataclass
from typing import NoReturn

from minirt.linux import caps, mounts, syscalls
from minirt.linux.namespaces import CLONE_NEWCGROUP
from minirt.linux.paths import opened, write_new
from minirt.linux.processes import die_with_parent
from minirt.model.spec import LoopbackNetwork, Process, SandboxSpec
from minirt.sandbox.doing import doing
from minirt.sandbox.program import become, enter_directory, run_program, set_limits
from minirt.sandbox.reaper import split
from minirt.sandbox.rootfs import Given, build_root, enter_root
from minirt.sandbox.terminal import set_window
from minirt.sandbox.wire import Channel, error_to_json

__all__ = ["Stdio", "begin", "fail", "finish", "run_init", "take_stdio"]

_TIOCSPTLCK, _TIOCGPTN = 0x40045431, 0x80045430
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


@dataclass(frozen=True, slots=True)
class Stdio:
    """The descriptors that become 0, 1 and 2; None is ``/dev/null``."""

    stdin: int | None
    stdout: int | None
    stderr: int | None


def run_init(
    spec: SandboxSpec,
    stdio: Stdio,
    status: Channel,
    mount_point: str,
    *,
    user: bool,
    peer: int | None = None,
    given: Given | None = None,
) -> NoReturn:
    """Build the container around this process, then run its program.

    ``peer`` is the mount namespace of a container to share memory with. What goes wrong is told over ``status``; that
    ``status`` closes without a word says that the program runs.
    """
    try:
        begin()
        last = caps.last_capability()
        os.umask(0o022)

        def grouped() -> None:
            if spec.cgroup:
                if status.receive() is None:
                    os._exit(137)
                if spec.namespaces.own("cgroup"):
                    syscalls.unshare(CLONE_NEWCGROUP)

        root, stubs = build_root(spec, mount_point, user=user, grouped=grouped, peer=peer, given=given)
        if stubs.made:
            status.send({"stubs": stubs.to_json()})
        _name_machine(spec)
        if spec.oom_score_adj:
            with (
                doing("set --oom-score-adj", "only root may lower it"),
                open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file,
            ):
                file.write(str(spec.oom_score_adj))
        if isinstance(spec.network, LoopbackNetwork):
            with doing("bring up the loopback interface"):
                _loopback_up()
        enter_root(root)
        finish(spec.process, stdio, status, last, privileged=spec.privileged, init=spec.init)
    except BaseException as error:
        fail(status, error)
    os._exit(125)  # not reached: finish() became the program, or raised


def _name_machine(spec: SandboxSpec) -> None:
    """Host and domain name, where they are the container's own."""
    if not spec.namespaces.own("uts"):
        return
    if spec.hostname:
        with doing("set the host name"):
            socket.sethostname(spec.hostname)
    if spec.domainname:
        with doing("set the domain name"):
            syscalls.setdomainname(spec.domainname)


def begin() -> None:
    """An own session, killed with the monitor; and no imports any more.

    Once the root has changed, an import would run the image's Python files with the machine's rights.
    """
    sys.meta_path.clear()
    die_with_parent()
    os.setsid()
    try:
        syscalls.keyctl_new_session()
    except OSError:
        pass  # no keyrings in this kernel, or forbidden: there is nothing to keep apart then


def fail(status: Channel, error: BaseException) -> NoReturn:
    """Tell the monitor and end."""
    try:
        status.send({"error": error_to_json(error)})
    finally:
        os._exit(125)


def finish(
    process: Process,
    stdio: Stdio,
    status: Channel,
    last_capability: int,
    *,
    privileged: bool,
    init: bool = False,
    joins: bool = False,
) -> None:
    """What a new container and a command joining one have in common: from here to the program."""
    if process.terminal:
        stdio = _open_terminal(status, process)
    take_stdio(stdio)
    # Everything from here on closes by itself with exec: the descriptors of this interpreter, and ``status``.
    syscalls.close_on_exec(3)
    os.umask(0o022)
    set_limits(process.rlimits)
    enter_directory(process.cwd, process.user, make=not joins)
    become(process, last_capability, privileged=privileged, tell=lambda fd: status.send({"owners": True}, [fd]))
    if init:
        split(process.terminal)
    # The parent may have died before we asked to die with it.
    run_program(process, before=lambda: _still_wanted(status))


def take_stdio(stdio: Stdio) -> None:
    """Put the descriptors in their places."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    chosen = [null if fd is None else fd for fd in (stdio.stdin, stdio.stdout, stdio.stderr)]
    # First out of the way, as a source may itself be numbered 0, 1 or 2.
    copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in chosen]
    for number, fd in enumerate(copies):
        os.dup2(fd, number, inheritable=True)


def _still_wanted(status: Channel) -> None:
    try:
        if status.sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"":
            os._exit(137)
    except BlockingIOError:
        pass


def _open_terminal(status: Channel, process: Process) -> Stdio:
    """A pseudo-terminal of the container's own devpts; its other end goes to the monitor."""
    with doing("open a terminal"):
        controller = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(controller, _TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(controller, _TIOCGPTN, b"\0" * 4))[0]
        path = f"/dev/pts/{number}"
        terminal = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        if process.rows and process.columns:
            set_window(controller, process.rows, process.columns)
        with opened("/dev") as dev:
            if not os.path.exists("/dev/console"):
                write_new(dev, "console", b"")
                with opened("console", dir_fd=dev) as console:
                    mounts.bind(path, console, "/dev/console", recursive=False)
    status.send({"terminal": True}, [controller])
    os.close(controller)
    return Stdio(terminal, terminal, terminal)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))
