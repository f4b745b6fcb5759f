"""The probe's experiments, run in a process of their own: ``python -m minirt.linux.trials HOME PROOT``.

Each trial runs in a forked child, as most of them change the process for good; this program has one thread. All that
do not build on another's answer run at the same time: most of their time the kernel waits (for mounts and namespaces to
be gone on every processor). The answer is one JSON object on standard output: trial -> null, or [errno, text].
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable

from minirt.linux import mounts, namespaces, seccomp
from minirt.linux.cgroup_tree import find_tree
from minirt.linux.cgroups import Group
from minirt.linux.idmap import own_id_map, subordinate_maps
from minirt.linux.paths import opened
from minirt.linux.syscalls import clone, prctl, umount, unshare
from minirt.model.spec import IdMapping, OverlayRoot

__all__ = ["main"]

Maps = tuple[tuple[IdMapping, ...], tuple[IdMapping, ...]]
Outcome = list[int | str] | None
_ALL_BUT_USER = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWCGROUP
    | namespaces.CLONE_NEWNET
)
_PTRACE_TRACEME = 0
_PR_SET_NO_NEW_PRIVS = 38


def begin(trial: Callable[[], None]) -> Callable[[], Outcome]:
    """Start ``trial`` in a child. The function returned waits for it: None if it ran through, else what went wrong."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.write(write_end, json.dumps(_outcome(trial)).encode())
        os._exit(0)
    os.close(write_end)

    def wait() -> Outcome:
        with open(read_end, "rb") as answer:
            data = answer.read()
        os.waitpid(pid, 0)
        return json.loads(data) if data else [0, "the trial was killed"]

    return wait


def _outcome(trial: Callable[[], None]) -> Outcome:
    try:
        trial()
    except OSError as error:
        text = str(error.strerror)
        return [error.errno or 0, f"{error.filename}: {text}" if error.filename else text]
    except BaseException as error:
        return [0, f"{type(error).__name__}: {error}"]
    return None


def _enter(maps: Maps | None) -> None:
    if maps is not None:
        namespaces.enter_user_namespace(namespaces.make_user_namespace(*maps))


def _overlay(directory: str, maps: Maps | None) -> None:
    """Mount one, delete a file of the lower layer, and look for the mark the deletion must leave."""
    _enter(maps)
    unshare(namespaces.CLONE_NEWNS)
    mounts.make_private()
    for name in ("lower", "upper", "work", "merged"):
        os.makedirs(f"{directory}/{name}")
    with open(f"{directory}/lower/file", "w"):
        pass
    root = OverlayRoot((f"{directory}/lower",), f"{directory}/upper", f"{directory}/work")
    mounts.mount_overlay(root, f"{directory}/merged", user=maps is not None)
    os.unlink(f"{directory}/merged/file")
    left = os.lstat(f"{directory}/upper/file").st_mode
    # Cleared away here: outside of the namespace, the kernel's own directory in ``work`` may not be entered.
    umount(f"{directory}/merged")
    shutil.rmtree(directory)
    if not stat.S_ISCHR(left):
        raise OSError(0, "a deleted file left no whiteout")


def _namespaces(maps: Maps | None) -> None:
    """All namespaces of a container, and a /proc of its own, which a confined container may not mount."""
    _enter(maps)
    pid = clone(_ALL_BUT_USER | signal.SIGCHLD)
    if pid == 0:
        try:
            mounts.make_private()
            with opened("/proc") as fd:
                mounts.mount_new("proc", fd, "/proc")
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code), "mount /proc")


def _seccomp() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    seccomp.load(0)


def _ptrace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.fork()
    if pid == 0:
        os._exit(ctypes.get_errno() if libc.ptrace(_PTRACE_TRACEME, 0, None, None) else 0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code), "ptrace")


def _proot(path: str) -> None:
    """Let it show a directory at another place: behind a pod's filters it may be there and not work."""
    if not path:
        raise OSError(errno.ENOENT, "it is not installed")
    seccomp.load_for_tracer()
    command = [path, "-0", "-r", "/", "-b", "/proc/self:/minirt", "/bin/sh", "-c", "cd /minirt/fd && exit 7"]
    done = subprocess.run(command, capture_output=True, check=False, env={"PROOT_NO_SECCOMP": "1"})
    if done.returncode != 7:
        raise OSError(0, f"it cannot run a program: {done.stderr.decode(errors='replace').strip()[-200:]}")


def _cgroup() -> Outcome:
    """Make a group, put a process into it, take it away."""
    tree = find_tree()
    if tree is None:
        return [0, "no writable tree"]
    group = Group(tree, f"minirt/probe-{os.getpid()}")

    def join() -> None:
        group.create()
        group.add(os.getpid())

    try:
        return begin(join)()
    finally:
        group.remove(patience=0.5)


def _try_all(scratch: str, proot: str) -> dict[str, Outcome]:
    """Begin what stands alone, then what the answers so far allow; collect the rest at the end."""
    own, granted, root = own_id_map(), subordinate_maps(), os.geteuid() == 0
    begun = {"user_namespaces": begin(lambda: _enter(own))}
    if root:
        begun["root_overlay"] = begin(lambda: _overlay(f"{scratch}/root", None))
        begun["root_namespaces"] = begin(lambda: _namespaces(None))
    begun["proot"] = begin(lambda: _proot(proot))
    begun["seccomp"], begun["ptrace"] = begin(_seccomp), begin(_ptrace)
    gates = ["user_namespaces", "root_namespaces"] if root else ["user_namespaces"]
    outcomes = {"cgroups": _cgroup()}
    outcomes |= {name: begun.pop(name)() for name in gates}
    if outcomes["user_namespaces"] is None:
        if not root and granted is not None:
            begun["subordinate_ids"] = begin(lambda: _enter(granted))
        elif not root:
            outcomes["subordinate_ids"] = [0, "none are granted, or newuidmap is not installed"]
        if outcomes.get("root_namespaces", []) is not None:
            begun["user_overlay"] = begin(lambda: _overlay(f"{scratch}/user", own))
            begun["user_namespaces_all"] = begin(lambda: _namespaces(own))
    return outcomes | {name: wait() for name, wait in begun.items()}


def main() -> None:
    """The program: ``argv[1]`` is a directory for scratch files, where layers will lie; ``argv[2]`` is proot."""
    scratch = tempfile.mkdtemp(prefix="probe-", dir=sys.argv[1])
    try:
        outcomes = _try_all(scratch, sys.argv[2])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(json.dumps(outcomes))  # noqa: T201 - this is the program's answer


if __name__ == "__main__":
    main()
