"""The machines that ``python -m tests.machines`` boots: a kernel, what is set, as whom, and what must be found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "SUITES", "Row"]

# Debian's releases, by whose kernel is taken: 5.10, 6.1 and the newest.
SUITES = ("bullseye", "bookworm", "forky")
_SYSTEMD = "systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 init=/lib/systemd/systemd"
# The controllers of version 1, each at a place of its own, as systemd mounted them before 2021 (hybrid: and the other).
_V1 = """
umount /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup
for one in memory cpu cpuacct cpuset pids freezer devices blkio; do
  mkdir -p /sys/fs/cgroup/$one; mount -t cgroup -o $one none /sys/fs/cgroup/$one
done"""
_HYBRID = _V1 + "\nmkdir /sys/fs/cgroup/unified; mount -t cgroup2 none /sys/fs/cgroup/unified"
_NFS = """
modprobe nfsd; mkdir -p /export /home/nfs; mount -t tmpfs none /export; mkdir /export/home; chown learner: /export/home
rpcbind; mount -t nfsd nfsd /proc/fs/nfsd 2>/dev/null
echo '/export 127.0.0.1(rw,no_root_squash,no_subtree_check,fsid=0)' > /etc/exports
exportfs -a; rpc.mountd; rpc.nfsd 4; mount -t nfs -o vers=3,nolock 127.0.0.1:/export /home/nfs"""


def _disk(kind: str, more: str = "") -> str:
    """A home on a file system of this kind, in a file."""
    return (
        f"truncate -s 700M /disk; mkfs.{kind} -q /disk; mkdir -p /home/disk; mount -o loop{more} /disk /home/disk\n"
        "mkdir /home/disk/home; chown learner: /home/disk/home"
    )


@dataclass(frozen=True, slots=True)
class Row:
    """``chosen``: snapshotter and isolation; ``limits``: the version of control groups that limit, 0 where none do.

    ``setup`` is run by root's shell; ``home`` is MINIRT_HOME; ``refusal`` is a word of the error where the row has no
    trial but a message.
    """

    suite: str = "bookworm"
    chosen: str = "overlay namespaces"
    limits: int = 0
    user: str = "learner"
    setup: str = ""
    boot: str = ""
    home: str = ""
    delegated: bool = False
    resets: bool = False
    refusal: str = ""


ROWS = {
    "root-v2": Row(user="root", limits=2),
    "root-v1": Row(user="root", limits=1, setup=_V1),
    "root-hybrid": Row(user="root", limits=1, setup=_HYBRID),
    "root-newest": Row("forky", user="root", limits=2),
    "root-5.10": Row("bullseye", user="root", limits=2),
    "root-ptrace": Row(user="root", limits=2, setup="sysctl -q kernel.yama.ptrace_scope=3"),
    "user": Row(),
    "user-delegated": Row(limits=2, boot=_SYSTEMD, delegated=True),
    "user-delegated-newest": Row("forky", limits=2, boot=_SYSTEMD, delegated=True),
    "user-one-id": Row(setup=": > /etc/subuid; : > /etc/subgid"),
    "user-5.10": Row("bullseye", "copy namespaces", setup="sysctl -q kernel.unprivileged_userns_clone=1"),
    "user-5.10-as-shipped": Row("bullseye", "copy proot", setup="sysctl -q kernel.unprivileged_userns_clone=0"),
    "user-no-clone": Row(chosen="copy proot", setup="sysctl -q kernel.unprivileged_userns_clone=0"),
    "user-no-namespaces": Row(chosen="copy proot", setup="sysctl -q user.max_user_namespaces=0"),
    "user-ptrace-2": Row(
        chosen="copy none",
        setup="sysctl -q kernel.yama.ptrace_scope=2 kernel.unprivileged_userns_clone=0",
        refusal="ptrace",
    ),
    "user-no-proot": Row(
        chosen="copy none", setup="rm /usr/bin/proot; sysctl -q user.max_user_namespaces=0", refusal="proot"
    ),
    "user-no-tun": Row(setup="rmmod tun; rm -f /dev/net/tun; mv /lib/modules /lib/modules.away"),
    "home-xfs": Row(home="/home/disk/home", setup=_disk("xfs")),
    "home-btrfs": Row(home="/home/disk/home", setup=_disk("btrfs")),
    "home-xfs-copy": Row("bullseye", "copy namespaces", home="/home/disk/home", setup=_disk("xfs")),
    "home-tmpfs": Row(home="/home/tmp/home", setup="mkdir /home/tmp; mount -t tmpfs -o mode=777 none /home/tmp"),
    "home-nfs": Row(chosen="copy namespaces", home="/home/nfs/home", setup=_NFS),
    "home-read-only": Row(
        home="/home/ro/home",
        setup="mkdir -p /home/ro; mount -t tmpfs none /home/ro; mount -o remount,ro /home/ro",
        refusal="MINIRT_HOME",
    ),
    "reset": Row(user="root", limits=2, resets=True),
}
