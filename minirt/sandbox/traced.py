"""Containers on machines that allow no namespaces: PRoot traces every process and changes the paths it asks for.

The container's program is a child of :mod:`minirt.sandbox.first`, that of PRoot, that of the monitor. Nothing is
isolated but the files: the container sees the machine's processes, network and host name, and runs as the same user.
Before PRoot starts, a filter answers "no such call" to calls newer than the PRoot of today's distributions knows, so
that C libraries fall back to those it does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from minirt.errors import CommandNotExecutable, SandboxError, Unsupported
from minirt.linux import seccomp
from minirt.linux.caps import mask_of, permitted
from minirt.linux.notify import CHOWN_CALLS, METADATA_CALLS
from minirt.linux.paths import ensure_inside
from minirt.linux.processes import name_process, start_time
from minirt.linux.syscalls import close_on_exec, prctl
from minirt.linux.tracing import end_traced, siblings
from minirt.model.cancel import readable
from minirt.model.spec import LoopbackNetwork, Process, SandboxSpec
from minirt.sandbox.guest import FIRST, Guest
from minirt.sandbox.init import Stdio, take_stdio
from minirt.sandbox.owners import OwnerKeeper
from minirt.sandbox.placeholders import missing_places, open_places
from minirt.sandbox.program import DEFAULT_PATH, explain_refusal, no_directory, not_found, reset_signals, set_limits
from minirt.sandbox.reach import Borders, rules_for
from minirt.sandbox.running_guest import guest_of
from minirt.sandbox.traced_owners import Translated

__all__ = ["Traced", "join_traced", "start_traced"]

_PR_SET_CHILD_SUBREAPER = 36
_TELLING, _RULES = 3, 4  # the descriptors that the container's first process knows
_OFFLINE = "offline"  # a mark in the scratch directory: no network for this container
_OOM_SCORE = "oom_score_adj"  # and a note, of a number


@dataclass(slots=True)
class Traced:
    """A program that runs. ``collect`` is called once its process has ended, and gives its wait status."""

    pid: int
    start_time: int
    pidfd: int
    terminal: int | None
    collect: Callable[[], int]
    owners: OwnerKeeper | None = None


def start_traced(spec: SandboxSpec, stdio: Stdio, tracer: str, home: str) -> Traced:
    """Start a container. Raises what :meth:`Sandbox.start` does, and :class:`Unsupported`."""
    if not os.access(tracer, os.X_OK):
        raise Unsupported(
            "containers cannot run on this machine as it is",
            cause="no namespaces are allowed here, and proot, which can do without, is not installed",
            hint="install the package proot (apt-get install proot), or see `docker info`",
        )
    guest = Guest.of(spec, f"{home}/tmp/traced-{spec.id[:24]}-{os.getpid()}")
    try:
        if isinstance(spec.network, LoopbackNetwork):
            open(f"{guest.scratch}/{_OFFLINE}", "w").close()
        if spec.oom_score_adj:
            Path(guest.scratch, _OOM_SCORE).write_text(str(spec.oom_score_adj), encoding="ascii")
        return _launch(guest, spec.process, stdio, tracer, last=True)
    except BaseException:
        guest.remove()
        raise


def join_traced(pid: int, started: int, process: Process, stdio: Stdio) -> Traced:
    """Run a second program in the container of the process ``pid``. Raises :class:`ContainerNotRunning`."""
    tracer, guest = guest_of(pid, started)
    return _launch(guest, process, stdio, tracer, last=False)


def _launch(guest: Guest, process: Process, stdio: Stdio, tracer: str, *, last: bool) -> Traced:
    program = _find(guest, process)
    _check_directory(guest, process.cwd, make=last)
    user = process.user
    who = ["-0"] if user.uid == 0 and user.gid == 0 else ["-i", f"{user.uid}:{user.gid}"]
    # -v: it says on the container's own stderr which of its processes a signal ended, unless told to be quiet.
    words = [tracer, *guest.words(), "-v", "-1", *who, "-w", process.cwd, FIRST, program, *process.argv]
    missing = missing_places(guest.root, (target for _, target in guest.bindings)) if last else ()
    terminal, inner = _terminal(process) if process.terminal else (None, None)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        _become_tracer(words, guest, process, stdio, telling, inner)
    telling.close()
    if inner is not None:
        os.close(inner)
    owners = _owners(guest, process, pid, _listener(told))
    main = _first_word(told, owners)
    if main is None or main < 0:
        end_traced(pid)
        os.waitpid(pid, 0)
        raise _refusal(main, program)
    open_places(guest.root, missing)
    guard = _start_guard(pid, guest if last else None)

    def collect() -> int:
        status = _first_word(told, owners)
        for one in siblings(pid) if last else [pid]:
            end_traced(one, pause=lambda seconds: _answer_for(seconds, owners))
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        _reap(guard)
        told.close()
        if last:
            guest.remove()
        return int(signal.SIGKILL) if status is None else status

    return Traced(main, start_time(main) or 0, _pidfd(main), terminal, collect, owners)


def _pidfd(pid: int) -> int:
    """A handle on the program; on some process that has ended, if the program was so quick."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        ended = os.fork()
        if ended == 0:
            os._exit(0)
        return os.pidfd_open(ended)


def _find(guest: Guest, process: Process) -> str:
    """The program's path in the container. Raises what starting it would."""
    if not process.argv or not process.argv[0]:
        raise SandboxError("no command was given", hint="name a command, or set CMD or ENTRYPOINT in the image")
    name = process.argv[0]
    search = process.env.get("PATH", DEFAULT_PATH).split(":")
    candidates = [name] if "/" in name else [f"{directory or '.'}/{name}" for directory in search]
    refused: CommandNotExecutable | None = None
    for candidate in candidates:
        path = candidate if candidate.startswith("/") else f"{process.cwd}/{candidate}"
        try:
            mode = os.stat(guest.host(path)).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            refused = refused or CommandNotExecutable(f'exec: "{candidate}": is a directory', hint="name a program")
        elif not mode & 0o111:
            refused = refused or CommandNotExecutable(
                f'exec: "{candidate}": permission denied',
                cause="the file may not be executed by this user",
                hint=f"chmod +x {candidate}",
            )
        else:
            _check_interpreter(guest, path, candidate)
            return path
    raise refused or not_found(name, search)


def _check_interpreter(guest: Guest, path: str, shown: str) -> None:
    with open(guest.host(path), "rb") as file:
        first = file.readline(256)
    if first.startswith(b"#!"):
        words = os.fsdecode(first[2:].rstrip(b"\n")).split()
        try:
            guest.host(words[0] if words else "/")
        except OSError:
            raise explain_refusal(OSError(errno.ENOENT, ""), shown, guest.host(path)) from None
    elif not first.startswith(b"\x7fELF"):
        raise explain_refusal(OSError(errno.ENOEXEC, ""), shown, guest.host(path))


def _check_directory(guest: Guest, path: str, *, make: bool) -> None:
    """Docker makes the working directory of a container if it is missing, not that of a command in one."""
    try:
        guest.host(path)
    except OSError:
        if not make:
            raise no_directory(path) from None
        root = os.open(guest.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(ensure_inside(root, path, directory=True))
        finally:
            os.close(root)


def _terminal(process: Process) -> tuple[int, int]:
    controller, inner = os.openpty()
    if process.rows and process.columns:
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", process.rows, process.columns, 0, 0))
    return controller, inner


def _become_tracer(
    words: list[str],
    guest: Guest,
    process: Process,
    stdio: Stdio,
    telling: socket.socket,
    terminal: int | None,
) -> NoReturn:
    told = False
    try:
        os.setsid()
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            stdio = Stdio(terminal, terminal, terminal)
        take_stdio(stdio)
        if telling.fileno() == _TELLING:
            os.set_inheritable(_TELLING, True)
        else:
            os.dup2(telling.fileno(), _TELLING, inheritable=True)
        close_on_exec(_RULES)
        rules = rules_for(guest.scratch)
        if rules is not None:
            os.dup2(rules, _RULES, inheritable=True) if rules != _RULES else os.set_inheritable(rules, True)
        os.umask(0o022)
        _take_oom_score(guest)
        set_limits(process.rlimits)
        reset_signals()
        offline = os.path.exists(f"{guest.scratch}/{_OFFLINE}")
        listener = seccomp.load_for_tracer(offline=offline, ask=_asked(guest, process))
        _tell_listener(listener)
        told = True
        # PRoot's filter of its own, which saves stops, lets calls through unchanged on today's kernels (5.4.0 does so
        # without a word). The first two variables are taken away again before the program starts.
        os.execve(words[0], words, {"PROOT_TMP_DIR": f"{guest.scratch}/tracer", "PROOT_NO_SECCOMP": "1", **process.env})
    except BaseException as error:
        reason = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        os.write(_TELLING, struct.pack("=i" if told else "=ii", *([] if told else [0]), -reason))
    os._exit(125)


def _take_oom_score(guest: Guest) -> None:
    note = Path(guest.scratch, _OOM_SCORE)
    if note.exists():
        Path("/proc/self/oom_score_adj").write_text(note.read_text(encoding="ascii"), encoding="ascii")


def _asked(guest: Guest, process: Process) -> tuple[int, ...]:
    """The calls that the monitor answers: those about owners, and where something is read-only, about metadata too.

    Landlock keeps from changing what is in a file, but not from changing what is said of it.
    """
    if Borders.of(guest.root, guest.scratch).readable:
        return (*CHOWN_CALLS, *METADATA_CALLS)
    return tuple(CHOWN_CALLS) if process.user.uid == 0 and _owners_are_noted() else ()


def _owners_are_noted() -> bool:
    """Whether files of other owners cannot be made: then owners are noted beside them."""
    return not (os.geteuid() == 0 and permitted() & mask_of(["CAP_CHOWN"]))


def _tell_listener(listener: int | None) -> None:
    fds = [] if listener is None else [listener]
    with socket.socket(fileno=os.dup(_TELLING)) as telling:
        socket.send_fds(telling, [struct.pack("=i", 0)], fds)


def _listener(told: socket.socket) -> int | None:
    """What the tracer says first: its filter's listener, if it has one. None also when it ended before that."""
    _, fds, _, _ = socket.recv_fds(told, 4, 1)
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds[0] if fds else None


def _owners(guest: Guest, process: Process, tracer: int, listener: int | None) -> OwnerKeeper | None:
    if listener is None:
        return None
    finder = Translated(tracer, Borders.of(guest.root, guest.scratch).place_of)
    return OwnerKeeper(listener, finder, notes=process.user.uid == 0 and _owners_are_noted())


def _answer_for(seconds: float, owners: OwnerKeeper | None) -> None:
    """PRoot, too, makes calls that are to be answered, as long as it is there."""
    if owners is None or not owners.interests():
        time.sleep(seconds)
        return
    for fd in readable(owners.interests(), seconds):
        owners.handle(fd)


def _first_word(told: socket.socket, owners: OwnerKeeper | None) -> int | None:
    """The next that is told; calls are answered until then."""
    while owners is not None:
        ready = readable([told.fileno(), *owners.interests()], None)
        if told.fileno() in ready:
            break
        for fd in ready:
            owners.handle(fd)
    return _word(told)


def _word(told: socket.socket) -> int | None:
    try:
        data = told.recv(4)
    except ConnectionResetError:
        return None
    return struct.unpack("=i", data)[0] if len(data) == 4 else None


def _refusal(number: int | None, program: str) -> SandboxError:
    if number is None:
        return SandboxError(
            "the container could not be started",
            cause="proot ended before the program began",
            hint="see what it wrote; `proot --version` must work on this machine",
        )
    if number == -errno.EINVAL:
        number = -errno.ENOEXEC  # PRoot's word for a program of another processor
    return explain_refusal(OSError(-number, os.strerror(-number)), program, "")


def _start_guard(tracer: int, guest: Guest | None) -> int:
    """A process that ends the container if this one is killed: the tracer alone would leave its processes free."""
    watched = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid:
        os.close(watched)
        return pid
    try:
        os.setsid()
        name_process("mrt-guard")
        # Nothing of the client's may stay open here: its closing tells that somebody is gone.
        os.dup2(watched, 0)
        os.closerange(1, 4096)
        select.select([0], [], [])
        end_traced(tracer)
        if guest is not None:
            guest.remove()
    finally:
        os._exit(0)


def _reap(guard: int) -> None:
    """End the guard, and what a killed tracer may have left to us."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(guard, signal.SIGKILL)
    try:
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                for child in _children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _children() -> list[int]:
    me = str(os.getpid())
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as text:
                if text.read().rpartition(")")[2].split()[1] == me:
                    found.append(int(name))
    return found
