"""The last steps before the container's program: its limits, its rights, and finding it in the container's PATH."""

from __future__ import annotations

import binascii
import errno
import os
import resource
import signal
from collections.abc import Callable

from minirt.errors import CommandNotExecutable, CommandNotFound, InvalidSpec, SandboxError
from minirt.linux import caps, seccomp
from minirt.linux.namespaces import rename_only_id
from minirt.linux.processes import die_with_parent
from minirt.linux.syscalls import prctl
from minirt.model.spec import Process, Rlimit, User
from minirt.sandbox.doing import doing

__all__ = [
    "NOT_THERE",
    "DEFAULT_PATH",
    "become",
    "enter_directory",
    "explain_refusal",
    "no_directory",
    "not_found",
    "run_program",
    "set_limits",
]

NOT_THERE = "the container's files do not have this path"
"""The cause where a program given by its path is missing, not only what it needs."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 8, 38


def set_limits(limits: tuple[Rlimit, ...]) -> None:
    """Resource limits, by their runtime-spec names."""
    for limit in limits:
        number = getattr(resource, limit.name, None)
        if number is None:
            raise InvalidSpec(f"unknown resource limit {limit.name}", hint="see getrlimit(2) for their names")
        with doing(f"set {limit.name}", "only root may raise a limit above the machine's own"):
            resource.setrlimit(number, (limit.soft, limit.hard))


def enter_directory(path: str, user: User, *, make: bool = True) -> None:
    """Change to the working directory. Docker makes it for a container if it is missing, not for a command in one."""
    with doing(f"enter the working directory {path}"):
        try:
            os.chdir(path)
        except FileNotFoundError:
            if not make:
                raise no_directory(path) from None
            os.makedirs(path, exist_ok=True)
            os.chdir(path)
        try:
            os.getcwd()
        except FileNotFoundError:
            # /proc/self/fd/N of a descriptor from outside would lead there (CVE-2024-21626).
            raise SandboxError(f"the working directory {path} is outside of the container") from None


def no_directory(path: str) -> CommandNotFound:
    """The refusal of a command whose working directory is not there."""
    return CommandNotFound(
        f'chdir to cwd ("{path}") failed: no such file or directory', hint=f"mkdir -p {path} in it first."
    )


def become(process: Process, last_capability: int, *, privileged: bool, tell: Callable[[int], None]) -> None:
    """Give up what the program must not have: capabilities, ids, system calls.

    ``tell`` gets the descriptor of calls that somebody outside must answer (:mod:`minirt.sandbox.owners`), if any.
    """
    try:
        keep = ~0 if privileged else caps.mask_of(process.capabilities)
    except KeyError as error:
        raise InvalidSpec(f"unknown capability {error.args[0]}", hint="see capabilities(7) for their names") from None
    user, single = process.user, _single_id()
    becoming = f"become user {user.uid}:{user.gid}"
    if single and (user.uid or user.gid):
        with doing(becoming):
            rename_only_id(user.uid, user.gid)
    with doing("drop capabilities"):
        caps.drop_bounding(keep, last_capability)
        held = caps.permitted()
    if process.no_new_privileges:
        prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if not single:
        with doing(becoming, "this machine maps no such id; grant subordinate ids (subuid)"):
            prctl(_PR_SET_KEEPCAPS, 1)
            os.setgroups(user.groups)
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
    program = binascii.a2b_base64(process.seccomp_program)
    die_with_parent()
    if program:
        reset_signals()  # before the profile can refuse it
    if process.seccomp and (program or not privileged or single):
        with doing("load the seccomp filter"):
            # The effective set went with the user id; loading a filter needs CAP_SYS_ADMIN once more.
            caps.set_capabilities(held)
            listener = seccomp.load(keep, fake_ids=single and user.uid == 0, ask=True, program=program)
        if listener is not None:
            tell(listener)
            os.close(listener)
    with doing("drop capabilities"):
        caps.set_capabilities(held & keep if user.uid == 0 else 0)  # an ordinary user has none


def _single_id() -> bool:
    """Whether this user namespace has one id only (its maps tell)."""
    with open("/proc/self/uid_map", encoding="utf-8") as lines:
        return [line.split()[2] for line in lines] == ["1"]


def reset_signals() -> None:
    """Every signal does what it does by default, whatever Python, or the shell that started us, had ignored.

    A shell without job control starts what runs in the background with SIGINT and SIGQUIT ignored, for good.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def run_program(process: Process, before: Callable[[], None]) -> None:
    """Replace this process by the program; returns never, raises when it cannot be run.

    ``before`` runs right before the first try, with the program's signals already as it will find them.
    """
    if not process.argv or not process.argv[0]:
        raise SandboxError("no command was given", hint="name a command, or set CMD or ENTRYPOINT in the image")
    reset_signals()
    before()
    name = process.argv[0]
    search = process.env.get("PATH", DEFAULT_PATH).split(":")
    candidates = [name] if "/" in name else [f"{directory or '.'}/{name}" for directory in search]
    refused: OSError | None = None
    for path in candidates:
        try:
            os.execve(path, process.argv, process.env)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or os.path.exists(path):
                refused = refused or OSError(error.errno, error.strerror, path)
    if refused is None:
        raise not_found(name, search)
    raise explain_refusal(refused, str(refused.filename))


def not_found(name: str, search: list[str]) -> CommandNotFound:
    """None of the directories ``search`` has it."""
    if "/" in name:
        return CommandNotFound(
            f'exec: "{name}": no such file or directory',
            cause=NOT_THERE,
            hint="look into the container, for example with: ls " + (os.path.dirname(name) or "/"),
        )
    return CommandNotFound(
        f'exec: "{name}": executable file not found in $PATH',
        cause=f"none of the container's directories {':'.join(search)} has a program of that name",
        hint="check the spelling, or install the program in the image",
    )


def explain_refusal(error: OSError, path: str, place: str | None = None) -> SandboxError:
    """Why the program at ``path`` did not start; ``place`` is where its file lies for us, if not there."""
    if place is None and os.path.isdir(path):
        return CommandNotExecutable(f'exec: "{path}": is a directory', hint="name a program in it")
    if error.errno == errno.ENOENT:
        return CommandNotFound(
            f'exec: "{path}": no such file or directory',
            cause=_interpreter(path if place is None else place),
            hint="add the interpreter to the image, or save the script with Unix line ends",
        )
    if error.errno == errno.EACCES:
        return CommandNotExecutable(
            f'exec: "{path}": permission denied',
            cause="the file may not be executed by this user",
            hint=f"chmod +x {path}",
        )
    if error.errno == errno.ENOEXEC:
        return CommandNotExecutable(
            f'exec: "{path}": exec format error',
            cause="it is a program for another processor, or a script without its first line #!…",
            hint='start a script with "#!/bin/sh", or use an image for this machine\'s platform',
        )
    return CommandNotExecutable(f'exec: "{path}": {error.strerror}')


def _interpreter(path: str) -> str:
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError:
        first = b""
    if first.startswith(b"#!"):
        words = first[2:].decode("utf-8", "replace").rstrip("\n")
        note = ", which ends in a carriage return" if words.endswith("\r") else ""
        return f"the script is there, but its interpreter {words.strip()!r} is not{note}"
    return "the program is there, but not the loader or library it was linked for (musl against glibc?)"
