"""What all rows boot: a small Debian with Python, three kernels, and a first program that runs the row's script."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.machines.rows import SUITES

__all__ = ["build", "cache"]

_PACKAGES = (
    "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,python3,proot,uidmap,slirp4netns,kmod,busybox-static,"
    "iproute2,e2fsprogs,xfsprogs,btrfs-progs,nfs-kernel-server,rpcbind,apparmor,procps,git"
)
_LIBRARIES = ("click>=8.1", "urllib3>=2.3", "zstandard>=0.22", "pytest>=8.0", "hypothesis>=6.100", "graphviz>=0.20")
_PYTHON = "3.11"  # bookworm's
_MODULES = ("virtio_pci", "virtio_blk", "ext4")
_KERNEL_PARTS = ("linux-image-", "linux-binary-", "linux-modules-", "linux-base-")
_FIRST = """#!/bin/sh
/bin/busybox mount -t proc none /proc; /bin/busybox mount -t devtmpfs none /dev
for one in /modules/*; do /bin/busybox insmod $one; done
while ! test -e /dev/vda; do /bin/busybox sleep 0.1; done
/bin/busybox mount -o rw /dev/vda /root
for one in $(/bin/busybox cat /proc/cmdline); do case $one in init=*) init=${one#init=};; esac; done
/bin/busybox umount /dev /proc; exec /bin/busybox switch_root /root $init
"""
# Process 1 where systemd is not; where it is, its service.
_MACHINE = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if [ $$ = 1 ]; then
  mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/pts /dev/shm
  mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run
  mount -t cgroup2 none /sys/fs/cgroup; ip link set lo up; ln -sf /proc/self/fd /dev/fd; chmod 666 /dev/ptmx
  hostname machine
fi
exec < /dev/null > /dev/ttyS0 2>&1
for one in overlay tun loop; do modprobe $one; done; chmod 666 /dev/net/tun
mkdir -p /source; tar -xf /dev/vdb -C /source
sh /source/row.sh
sync; echo o > /proc/sysrq-trigger; sleep 60
"""
_SERVICE = """[Service]
ExecStart=/machine
[Install]
WantedBy=multi-user.target
"""


def cache() -> Path:
    """Where it is kept; ``MACHINES`` in the environment says another place."""
    given = os.environ.get("MACHINES")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "minirt-machines"


def build(*, again: bool = False) -> None:
    """Make what is missing, as root (debootstrap needs it): some 300 MB from Debian, about ten minutes."""
    place = cache()
    if (place / "root.img").exists() and not again:
        return
    place.mkdir(parents=True, exist_ok=True)
    root = place / "root"
    if not (root / "debootstrap").exists() and not (root / "usr/bin/python3").exists():
        _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root)
    _furnish(root)
    for suite in SUITES:
        _kernel(root, suite)
    (place / "root.img").unlink(missing_ok=True)
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, place / "root.new", "4G")
    (place / "root.new").rename(place / "root.img")


def _furnish(root: Path) -> None:
    libraries = root / "opt/site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", f"--python-version={_PYTHON}"]
    _run(*pip, "--upgrade", "--target", libraries, *_LIBRARIES)
    if "learner" not in (root / "etc/passwd").read_text():
        _run("chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", "learner")
    (root / "machine").write_text(_MACHINE)
    (root / "machine").chmod(0o755)
    unit = root / "etc/systemd/system/machine.service"
    unit.write_text(_SERVICE)
    wanted = root / "etc/systemd/system/multi-user.target.wants/machine.service"
    wanted.unlink(missing_ok=True)
    wanted.symlink_to("/etc/systemd/system/machine.service")


def _kernel(root: Path, suite: str) -> None:
    """The kernel of this release, its modules in the root, and an initial file system with what finds the disk."""
    flavour = "cloud-" + {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    with tempfile.TemporaryDirectory(prefix="minirt-kernel-") as scratch:
        there = Path(scratch)
        for package in _packages(there, suite, f"linux-image-{flavour}"):
            # Its files go where the root's links lead: /lib is one.
            _run("sh", "-c", f"dpkg-deb --fsys-tarfile {package} | tar -x --keep-directory-symlink -C {root}")
        version = next(path.name for path in (root / "lib/modules").iterdir() if path.name in _contents(there))
        found = (root / f"boot/vmlinuz-{version}", root / f"lib/modules/{version}/vmlinuz")
        shutil.copy(next(path for path in found if path.exists()), cache() / f"{suite}.vmlinuz")
        _run("chroot", root, "depmod", version)
        _initramfs(root, version, there / "initial", cache() / f"{suite}.initramfs")


def _packages(place: Path, suite: str, name: str) -> list[Path]:
    """Download the package and those that it is made of."""
    for part in ("lists/partial", "cache/archives/partial"):
        (place / part).mkdir(parents=True)
    (place / "sources").write_text(f"deb {_mirror()} {suite} main\n")
    options = [
        f"-oDir::Etc::SourceList={place}/sources",
        "-oDir::Etc::SourceParts=/dev/null",
        "-oDir::State::status=/dev/null",
    ]
    options += [f"-oDir::State::Lists={place}/lists", f"-oDir::Cache={place}/cache", "-oAPT::Sandbox::User=root"]
    _run("apt-get", *options, "-qq", "update")
    wanted, done = [name], []
    while wanted:
        done.append(wanted.pop())
        _run("apt-get", *options, "-qq", "download", done[-1], cwd=place)
        package = next(place.glob(f"{done[-1].replace('+', '[+]')}_*.deb"))
        depends = subprocess.check_output(["dpkg-deb", "-f", package, "Depends"], text=True)
        names = [one.split()[0] for one in depends.replace("|", ",").split(",") if one.strip()]
        wanted += [one for one in names if one.startswith(_KERNEL_PARTS)]
    return sorted(place.glob("*.deb"))


def _mirror() -> str:
    """Debian's, as this machine's apt knows it."""
    listed = subprocess.check_output(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], text=True
    )
    found = next((line.rstrip("/") for line in listed.splitlines() if line.rstrip("/").endswith("/debian")), "")
    return found or sys.exit("apt here knows no mirror of Debian: this needs Debian")


def _contents(place: Path) -> str:
    return "\n".join(subprocess.check_output(["dpkg-deb", "-c", path], text=True) for path in place.glob("*.deb"))


def _initramfs(root: Path, version: str, tree: Path, target: Path) -> None:
    for name in ("bin", "proc", "dev", "root", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", tree / "bin/busybox")
    (tree / "bin/sh").symlink_to("busybox")
    (tree / "init").write_text(_FIRST)
    (tree / "init").chmod(0o755)
    asked = ["chroot", str(root), "modprobe", "-S", version, "--all", "--show-depends", *_MODULES]
    lines = subprocess.check_output(asked, text=True).splitlines()
    files = dict.fromkeys(line.split()[1] for line in lines if line.startswith("insmod"))
    for number, name in enumerate(files):
        plain = tree / f"modules/{number:02}.ko"
        module = f"{root}{name}"
        shutil.copy(module, plain) if name.endswith(".ko") else _run("sh", "-c", f"xz -dc {module} > {plain}")
    _run("sh", "-c", f"cd {tree} && find . | bin/busybox cpio -o -H newc | gzip > {target}")


def _run(*words: object, cwd: Path | None = None) -> None:
    subprocess.run([str(word) for word in words], check=True, cwd=cwd)
