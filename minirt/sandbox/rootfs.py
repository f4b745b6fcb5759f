"""What a container sees as ``/``: its root file system, the kernel's own file systems, and the mounts asked for.

Runs in the container's fresh mount namespace, before the program. What is mounted and masked follows docker
(moby, ``oci/defaults.go``) and the runtime-spec's "Default Filesystems".
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from minirt.errors import SandboxError
from minirt.linux import mounts, syscalls
from minirt.linux.paths import covered_mode, ensure_inside, find_inside, opened, write_new
from minirt.model.spec import (
    MASKED_PATHS,
    READ_ONLY_PATHS,
    BindMount,
    FileMount,
    HostNetwork,
    LayersMount,
    Mount,
    OverlayRoot,
    RootFilesystem,
    SandboxSpec,
    TmpfsMount,
)
from minirt.sandbox.devices import fill_dev, set_sysctls
from minirt.sandbox.doing import doing
from minirt.sandbox.stubs import Stubs

__all__ = ["Builder", "Given", "build_root", "enter_root", "mount_root", "prepare_staging"]

_NO_SURPRISES = ("nosuid", "nodev", "noexec")


def prepare_staging(mount_point: str) -> str:
    """Cover ``mount_point`` with a small private tmpfs that holds ``files/`` and the empty directory ``root/``.

    Returns the path of ``root``. Nobody outside this mount namespace sees it.
    """
    os.makedirs(mount_point, exist_ok=True)
    with opened(mount_point) as fd:
        mounts.mount_new("tmpfs", fd, mount_point, ("nosuid", "nodev", "mode=755", "size=16m"), source="minirt")
    os.mkdir(f"{mount_point}/root")
    os.mkdir(f"{mount_point}/files")
    return f"{mount_point}/root"


def mount_root(root: RootFilesystem, where: str, *, user: bool) -> None:
    """Mount the layers (or bind the tree) at ``where``."""
    if isinstance(root, OverlayRoot):
        mounts.mount_overlay(root, where, user=user)
        return
    with opened(where) as fd:
        mounts.bind(root.path, fd, where, recursive=False)


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody with more rights has mounted already, to be put in its place: descriptors of detached mounts.

    ``upper`` is where what is written lands; ``binds`` are by target, with whether each is a directory.
    """

    root: int
    upper: int
    binds: dict[str, tuple[int, bool]] = field(default_factory=dict)


def build_root(
    spec: SandboxSpec,
    mount_point: str,
    *,
    user: bool,
    grouped: Callable[[], None],
    peer: int | None = None,
    given: Given | None = None,
) -> tuple[str, Stubs]:
    """Everything mounted, ready for :func:`enter_root`: the root's path in this namespace, and what was made in it.

    ``grouped`` returns when this process is in its control group, which /sys shows. ``peer`` is the mount namespace
    of the container whose shared memory this one shares.
    """
    with doing("prepare the container's mount namespace"):
        mounts.make_private()
        root = prepare_staging(mount_point)
    with doing("mount the container's root file system"):
        if given is None:
            mount_root(spec.root, root, user=user)
        else:
            with opened(root) as fd:
                mounts.attach(given.root, fd, root)
    for name in ("proc", "dev", "sys"):
        # A link of the image would be followed on the machine as long as this process has not changed its root.
        if os.path.islink(f"{root}/{name}"):
            raise SandboxError(f"/{name} is a symbolic link in the image", hint="make it a directory")
    if not user and not spec.privileged:
        # The list of devices is what is bound into /dev: a node that the image has or a program makes opens nothing.
        with doing("forbid devices outside /dev"):
            mounts.restrict(root, mounts.MOUNT_ATTR_NODEV)
    builder = Builder(spec, root, f"{mount_point}/files", user=user, peer=peer)
    if given is not None:
        builder.binds = given.binds
        builder.stubs.storage = f"/proc/self/fd/{given.upper}"
    builder.mount_kernel_file_systems(grouped)
    builder.mount_files()
    # What a build step's mounts hung on is not part of its layer; a container keeps it, as with docker.
    builder.noting = spec.lifetime.state_dir is None
    for mount in sorted(spec.mounts, key=_depth):
        with doing(f"mount {mount.target}"):
            builder.mount_one(mount)
    if not spec.privileged and spec.masked:
        builder.mask()
    if spec.read_only:
        with doing("make the root read-only"):
            mounts.set_read_only(root)
    return root, builder.stubs


def enter_root(root: str) -> None:
    """Make ``root`` this process's ``/`` and let go of the machine's files."""
    with doing("change to the container's root"):
        os.chdir(root)
        syscalls.pivot_root(".", ".")
        # Both roots are now stacked at "/"; the upper one is the machine's.
        syscalls.umount(".", mounts.MNT_DETACH)
        os.chdir("/")


def _depth(mount: Mount) -> int:
    return len([part for part in mount.target.split("/") if part])


class Builder:
    """One root under construction. ``user``: in an ordinary user's namespace, where device nodes cannot be made."""

    def __init__(self, spec: SandboxSpec, root: str, files: str, *, user: bool, peer: int | None) -> None:
        self.spec = spec
        self.peer = peer
        self.binds: dict[str, tuple[int, bool]] = {}
        self.root = root
        self.root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.files = files
        self.nodes = "/dev"
        self.user = user
        self.noting = True
        self.count = 0
        self.stubs = Stubs(root, spec.root)

    @contextmanager
    def at(self, path: str, *, directory: bool = True) -> Iterator[int]:
        note = self.stubs.note if self.noting else None
        fd = ensure_inside(self.root_fd, path, directory=directory, note=note)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def found(self, path: str) -> Iterator[int]:
        """What is there already; nothing is made."""
        fd = find_inside(self.root_fd, path)
        try:
            yield fd
        finally:
            os.close(fd)

    def new(self, kind: str, target: str, options: Iterable[str] = _NO_SURPRISES) -> None:
        with doing(f"mount {target}"), self.at(target) as fd:
            mounts.mount_new(kind, fd, target, tuple(options))

    def mount_kernel_file_systems(self, grouped: Callable[[], None]) -> None:
        self.mount_proc()
        self.nodes = fill_dev(self)
        grouped()
        self.mount_sys()

    def mount_proc(self) -> None:
        if self.user and "pid" in self.spec.namespaces.machine:
            # A new proc shows a pid namespace, and this one is not an ordinary user's: show the one there is.
            with doing("show /proc"), self.at("/proc") as fd:
                mounts.bind("/proc", fd, "/proc")
            return
        self.new("proc", "/proc")
        if self.spec.sysctls:
            set_sysctls(f"{self.root}/proc/sys", self.spec.sysctls)

    @property
    def no_devices(self) -> tuple[str, ...]:
        return () if self.user or self.spec.privileged else ("nodev",)

    def mount_sys(self) -> None:
        writable = self.spec.privileged
        with doing("mount /sys"), self.at("/sys") as fd:
            if self.user and isinstance(self.spec.network, HostNetwork):
                # A new sysfs shows a network namespace, and this one belongs to the machine: show the machine's.
                mounts.bind("/sys", fd, "/sys", read_only=True)
                return
            try:
                mounts.mount_new("sysfs", fd, "/sys", (*_NO_SURPRISES, *(() if writable else ("ro",))))
            except PermissionError:
                if not self.user:
                    raise
                # The network of a container that has other ids.
                mounts.bind("/sys", fd, "/sys", read_only=True)
                return
        with doing("mount /sys/fs/cgroup"):
            self.mount_cgroups(read_only=not writable)

    def mount_cgroups(self, *, read_only: bool) -> None:
        target = "/sys/fs/cgroup"
        if not os.path.isdir(f"{self.root}{target}"):
            return
        with self.at(target) as fd:
            if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
                mounts.mount_new("cgroup2", fd, target, (*_NO_SURPRISES, *(("ro",) if read_only else ())))
            elif self.spec.cgroup and self.spec.namespaces.own("cgroup"):
                self.mount_own_groups(fd, target, read_only=read_only)
            elif os.path.isdir("/sys/fs/cgroup"):
                mounts.bind("/sys/fs/cgroup", fd, target, read_only=read_only)

    def mount_own_groups(self, fd: int, target: str, *, read_only: bool) -> None:
        """Version 1: of each controller the container's own group, which its namespace has as ``/``."""
        machine = "/sys/fs/cgroup"
        mounts.mount_new("tmpfs", fd, target, (*_NO_SURPRISES, "mode=755", "size=64k"))
        with opened(f"{self.root}{target}") as place:
            for name in sorted(os.listdir(machine)):
                own = f"{machine}/{name}/{self.spec.cgroup}"
                if os.path.islink(f"{machine}/{name}"):
                    os.symlink(os.readlink(f"{machine}/{name}"), name, dir_fd=place)
                elif os.path.isdir(own):
                    os.mkdir(name, dir_fd=place)
                    with opened(name, dir_fd=place) as door:
                        mounts.bind(own, door, f"{target}/{name}", read_only=read_only)
        if read_only:
            mounts.set_read_only(f"{self.root}{target}")

    def mount_files(self) -> None:
        for number, (target, text) in enumerate(self.spec.files.items()):
            source = f"{self.files}/{number}"
            with doing(f"provide {target}"):
                with open(source, "w", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(text)
                try:
                    with self.at(target, directory=False) as fd:
                        mounts.bind(source, fd, target, recursive=False)
                except OSError as error:
                    # A root that is only looked at, and that has no such file: nothing to hang it on.
                    if error.errno != errno.EROFS:
                        raise

    def mount_one(self, mount: Mount) -> None:
        match mount:
            case TmpfsMount():
                self.mount_tmpfs(mount)
            case LayersMount():
                self.mount_layers(mount)
            case FileMount():
                self.mount_file(mount)
            case BindMount():
                self.mount_bind(mount)

    def mount_tmpfs(self, mount: TmpfsMount) -> None:
        mode = covered_mode(self.root_fd, mount.target) if mount.mode is None else mount.mode
        options = [*mount.options, *self.no_devices, f"mode={mode:o}"]
        if mount.size:
            options.append(f"size={mount.size}")
        with self.at(mount.target) as fd:
            self.check_place(fd, mount.target)
            mounts.mount_new("tmpfs", fd, mount.target, options)

    def mount_layers(self, mount: LayersMount) -> None:
        """Mounted whole in our own staging directory first, then what is wanted of it where it is wanted."""
        whole = self.staged("layers")
        os.mkdir(whole)
        mounts.mount_overlay(
            OverlayRoot(mount.lowers, mount.upper, mount.work, volatile=mount.upper is not None), whole, user=self.user
        )
        with opened(whole) as top:
            part = find_inside(top, mount.subpath)
        try:
            self.bind_at(f"/proc/self/fd/{part}", mount.target, recursive=False)
        finally:
            os.close(part)

    def mount_file(self, mount: FileMount) -> None:
        path = self.staged("file")
        with opened(self.files) as fd:
            write_new(fd, os.path.basename(path), base64.b64decode(mount.data), mode=0o600)
        with contextlib.suppress(OSError):  # where there is one id only, every user is that one
            os.chown(path, mount.uid, mount.gid)
        os.chmod(path, mount.mode)
        self.bind_at(path, mount.target, read_only=True)

    def staged(self, what: str) -> str:
        """A new path in the staging directory, which nobody but this container sees."""
        self.count += 1
        return f"{self.files}/{what}-{self.count}"

    def mount_bind(self, mount: BindMount) -> None:
        if mount.target in self.binds:
            detached, directory = self.binds[mount.target]
            with self.at(mount.target, directory=directory) as fd:
                self.check_place(fd, mount.target)
                mounts.attach(detached, fd, mount.target)
            return
        self.bind_at(
            mount.source,
            mount.target,
            read_only=mount.read_only,
            recursive=mount.recursive,
            propagation=mount.propagation,
            writable_below=mount.writable_below,
        )

    def bind_at(
        self,
        source: str,
        target: str,
        *,
        read_only: bool = False,
        recursive: bool = True,
        propagation: str = "rprivate",
        writable_below: bool = False,
    ) -> None:
        with self.at(target, directory=os.path.isdir(source)) as fd:
            self.check_place(fd, target)
            mounts.bind(
                source,
                fd,
                target,
                read_only=read_only,
                recursive=recursive,
                propagation=propagation,
                writable_below=writable_below,
                attributes=mounts.MOUNT_ATTR_NODEV if self.no_devices else 0,
            )

    def check_place(self, fd: int, target: str) -> None:
        """What is masked and guarded below /proc must be the kernel's own (runc refuses the same)."""
        place = os.readlink(f"/proc/self/fd/{fd}").removeprefix(self.root)
        if place == "/proc" or place.startswith("/proc/"):
            raise SandboxError(
                f"cannot mount at {target}: it is inside /proc", hint="Mount it at another place of the container."
            )

    def mask(self) -> None:
        """Hide what tells about, and make read-only what would change, the machine itself."""
        # The null is our own and every path is walked inside: what a volume over /dev or /sys holds, such as a link,
        # would be followed on the machine (CVE-2025-31133 in kind).
        null = f"{self.nodes}/null"
        for path in MASKED_PATHS:
            with doing(f"mask {path}"):
                try:
                    with self.found(path) as fd:
                        if stat.S_ISDIR(os.fstat(fd).st_mode):
                            mounts.mount_new("tmpfs", fd, path, ("ro", *_NO_SURPRISES, "size=0", "nr_inodes=2"))
                        else:
                            mounts.bind(null, fd, path, recursive=False)
                except FileNotFoundError:
                    continue
        for path in READ_ONLY_PATHS:
            with doing(f"make {path} read-only"):
                try:
                    with self.found(path) as fd:
                        mounts.bind(f"/proc/self/fd/{fd}", fd, path, read_only=True)
                except FileNotFoundError:
                    continue
