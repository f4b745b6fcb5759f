"""What this machine allows, found out by trying, once per boot."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirt.linux import landlock
from minirt.linux.cgroup_tree import Tree, cgroup_version, find_tree, own_cgroup
from minirt.linux.idmap import own_id_map, subordinate_maps
from minirt.linux.machine import Answer, Machine, machine_from_json, machine_to_json
from minirt.linux.processes import boot_id

__all__ = ["Answer", "Machine", "probe"]

_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop()); from minirt.linux.trials import main; main()"
_FORMAT = 7
_CONFINEMENT = ("CapEff:", "NoNewPrivs:", "Seccomp:")


def probe(
    home: Path, *, snapshotter: str | None = None, isolation: str | None = None, subordinate_ids: bool = True
) -> Machine:
    """The machine as it is for this process; under 100 ms the first time, then read from ``home/cache``.

    ``snapshotter`` and ``isolation`` overrule the choice, not the answers. Without ``subordinate_ids`` containers
    get a single id even where more were granted.
    """
    machine = _cached(home) or _tried(home)
    if not subordinate_ids and not machine.root and not machine.single_id:
        uid_map, gid_map = own_id_map()
        machine = replace(machine, uid_map=uid_map, gid_map=gid_map)
    return replace(machine, snapshotter=snapshotter or machine.snapshotter, isolation=isolation or machine.isolation)


def _situation() -> dict[str, Any]:
    """All that a changed answer would depend on: another boot, user, confinement."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as lines:
        confinement = [line.strip() for line in lines if line.startswith(_CONFINEMENT)]
    return {
        "format": _FORMAT,
        "boot": boot_id(),
        "user": [os.geteuid(), os.getegid()],
        "confinement": confinement,
        "cgroup": own_cgroup(),
        "namespaces": [os.stat(f"/proc/self/ns/{kind}").st_ino for kind in ("mnt", "user")],
    }


def _cache_path(home: Path) -> Path:
    return home / "cache" / f"machine-{os.geteuid()}.json"


def _cached(home: Path) -> Machine | None:
    try:
        data = json.loads(_cache_path(home).read_text(encoding="utf-8"))
        if data["situation"] == _situation():
            return machine_from_json(data["machine"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _tried(home: Path) -> Machine:
    scratch = home / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    proot = shutil.which("proot") or ""
    # A program of its own: the caller may have threads, and must not fork Python.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, str(scratch.absolute()), proot, root],
        capture_output=True,
        text=True,
        env={},
        check=False,
    )
    try:
        outcomes = json.loads(done.stdout)
    except ValueError:
        reason = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        asked = ("user_namespaces", "seccomp", "ptrace", "proot")
        outcomes = {name: [0, f"the probe failed: {reason[0]}"] for name in asked}
    machine = _conclude(outcomes)
    path = _cache_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"situation": _situation(), "machine": machine_to_json(machine)}, indent=1))
    temporary.replace(path)
    return machine


def _conclude(outcomes: dict[str, Any]) -> Machine:
    root = "root_namespaces" in outcomes and outcomes["root_namespaces"] is None
    prefix = "root" if root else "user"
    user_namespaces = _answer(outcomes, "user_namespaces", _user_namespace_cure)
    spaces = _answer(outcomes, "root_namespaces" if root else "user_namespaces_all", _namespace_cure, user_namespaces)
    overlay = _answer(outcomes, f"{prefix}_overlay", _overlay_cure, user_namespaces)
    granted = _answer(outcomes, "subordinate_ids", _subordinate_cure, user_namespaces)
    if os.geteuid() == 0:
        granted = Answer(root, "" if root else "root of a confined container has its own id only")
    maps: tuple[Any, Any] = ((), ())
    if not root:
        maps = (subordinate_maps() if granted.ok else None) or own_id_map()
    cgroups, tree = _cgroup_answer(outcomes), find_tree()
    ptrace = _answer(outcomes, "ptrace", _ptrace_cure)
    proot = _answer(outcomes, "proot", lambda _: "install the package proot (apt-get install proot)")
    return Machine(
        kernel=os.uname().release,
        root=root,
        overlay=overlay,
        user_namespaces=user_namespaces,
        subordinate_ids=granted,
        namespaces=spaces,
        cgroups=cgroups,
        cgroup_version=cgroup_version(),
        controllers=_controllers(tree) if cgroups.ok and tree is not None else (),
        seccomp=_answer(outcomes, "seccomp", lambda _: "use a kernel built with CONFIG_SECCOMP_FILTER"),
        ptrace=ptrace,
        proot=proot,
        landlock=_landlock_answer(),
        uid_map=maps[0],
        gid_map=maps[1],
        snapshotter="overlay" if overlay.ok and spaces.ok else "copy",
        isolation="namespaces" if spaces.ok else ("proot" if ptrace.ok and proot.ok else "none"),
    )


def _controllers(tree: Tree) -> tuple[str, ...]:
    # In version 2 devices are no controller of the kernel's, but a program that we give it.
    programs = ("devices",) if tree.version == 2 and tree.devices else ()
    return tree.controllers + programs


def _answer(outcomes: dict[str, Any], name: str, cure: Any, below: Answer | None = None) -> Answer:
    if name not in outcomes:
        if below is not None and not below.ok:
            return Answer(False, f"it needs a user namespace ({below.why})", below.cure)
        return Answer(False, "it was not tried, as what it builds on does not work", "")
    outcome = outcomes[name]
    if outcome is None:
        return Answer(True)
    return Answer(False, str(outcome[1]), cure(outcome[0]))


def _cgroup_answer(outcomes: dict[str, Any]) -> Answer:
    version = cgroup_version()
    if version == 0:
        return Answer(False, "no control groups are mounted at /sys/fs/cgroup", "containers run without limits")
    outcome = outcomes.get("cgroups", [0, ""])
    if outcome is None:
        return Answer(True)
    return Answer(
        False,
        f"this user may not create control groups ({outcome[1]})" if outcome[1] else "this user may not create any",
        "containers run without limits; run as root, or let systemd delegate a tree (systemd-run --user --scope)",
    )


def _landlock_answer() -> Answer:
    found = landlock.version()
    if found >= landlock.WANTED:
        return Answer(True)
    why = f"this kernel has version {found} of it, which lets files be cut short" if found else "this kernel has none"
    return Answer(False, why, "a kernel of 6.2 or later, with landlock among its security modules (lsm=), has it")


def _setting(path: str) -> str:
    try:
        with open(path, encoding="ascii") as text:
            return text.read().strip()
    except OSError:
        return ""


def _user_namespace_cure(number: int) -> str:
    if _setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "sysctl kernel.unprivileged_userns_clone=1 (as root)"
    if _setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sysctl kernel.apparmor_restrict_unprivileged_userns=0 (as root), or an AppArmor profile for this Python"
    if number == errno.ENOSPC or _setting("/proc/sys/user/max_user_namespaces") == "0":
        return "sysctl user.max_user_namespaces=10000 (as root)"
    return "run outside a confined container, or give it a seccomp profile that allows unshare(2)"


def _namespace_cure(number: int) -> str:
    if number == errno.EPERM:
        return "in a container, run it with --security-opt systempaths=unconfined, or as root with CAP_SYS_ADMIN"
    return _user_namespace_cure(number)


def _ptrace_cure(_: int) -> str:
    scope = _setting("/proc/sys/kernel/yama/ptrace_scope")
    if scope == "2":
        return "sysctl kernel.yama.ptrace_scope=1 (as root)"
    if scope == "3":
        return "start the machine anew with kernel.yama.ptrace_scope=1: 3 cannot be taken back"
    return "allow ptrace(2), for example in the container's seccomp profile"


def _overlay_cure(number: int) -> str:
    if number == errno.ENODEV:
        return "load the kernel's overlay module: modprobe overlay (as root)"
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.geteuid() and release and (int(release[1]), int(release[2])) < (5, 11):
        return "a kernel of 5.11 or later lets ordinary users mount overlayfs"
    return "put MINIRT_HOME on ext4, xfs, btrfs or tmpfs: overlayfs cannot write on top of every file system (NFS)"


def _subordinate_cure(_: int) -> str:
    return (
        "install the package uidmap and give the user a range in /etc/subuid and /etc/subgid "
        "(usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME, as root)"
    )
