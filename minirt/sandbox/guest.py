"""What a traced container will see where: its root directory and the bindings over it, and how to find a path there.

PRoot changes paths in system calls; nothing is mounted. A binding is a file or directory of the machine (the host)
that is seen at a path of the container (the guest).
"""

from __future__ import annotations

import base64
import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from minirt.errors import Unsupported
from minirt.linux.paths import covered_mode, opened
from minirt.model.isolation import Device
from minirt.model.spec import BindMount, LayersMount, Mount, OverlayRoot, SandboxSpec, TmpfsMount
from minirt.sandbox.first import first_program
from minirt.sandbox.reach import check_read_only, note_reach

__all__ = ["FIRST", "Guest"]

FIRST = "/dev/.minirt"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_MOST_LINKS = 40  # as many as the kernel follows


@dataclass(slots=True)
class Guest:
    """``scratch`` is a directory of the machine for what only this container needs; it goes when the container ends."""

    root: str
    scratch: str
    bindings: list[tuple[str, str]] = field(default_factory=list)
    read_only: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, spec: SandboxSpec, scratch: str) -> Guest:
        """Everything made ready. Raises :class:`Unsupported` for what tracing cannot do."""
        if isinstance(spec.root, OverlayRoot):
            raise Unsupported(
                "overlayfs cannot be mounted here",
                cause="no namespaces are allowed, and only what has them may mount",
                hint="use the copy snapshotter: MINIRT_SNAPSHOTTER=copy",
            )
        guest = cls(spec.root.path, scratch)
        os.makedirs(f"{scratch}/tracer", mode=0o700)
        guest._kernel_file_systems()
        for number, (target, text) in enumerate(spec.files.items()):
            source = f"{scratch}/file-{number}"
            Path(source).write_text(text, encoding="utf-8", errors="surrogateescape")
            guest.bindings.append((source, target))
        for number, mount in enumerate(spec.mounts):
            source = guest._source(mount, number)
            guest.bindings.append((source, mount.target))
            if isinstance(mount, BindMount) and mount.read_only:
                guest.read_only.add(source)
        for device in spec.devices:
            guest._give(device)
        if spec.read_only:
            guest.read_only.add(guest.root)
        if spec.lifetime.state_dir is not None:
            # A build step mounts copies of its own: writing to them harms nobody.
            check_read_only(spec, guest.read_only, guest.writable())
        note_reach(guest)
        return guest

    def _source(self, mount: Mount, number: int) -> str:
        """The file or directory of the machine that stands in for the mount."""
        if isinstance(mount, BindMount):
            return mount.source
        if isinstance(mount, LayersMount):
            raise Unsupported("layers cannot be mounted here", cause="no namespaces are allowed on this machine")
        source = f"{self.scratch}/mount-{number}"
        if isinstance(mount, TmpfsMount):
            os.mkdir(source)
        else:
            Path(source).touch(mode=0o600)
            Path(source).write_bytes(base64.b64decode(mount.data))
        with opened(self.root) as root:
            os.chmod(source, covered_mode(root, mount.target) if mount.mode is None else mount.mode)
        return source

    def _give(self, device: Device) -> None:
        """Bind a device; PRoot wants a file to bind on."""
        if device.target.startswith("/dev/"):
            place = Path(f"{self.scratch}{device.target}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        self.bindings.append((device.path, device.target))

    def writable(self) -> list[str]:
        """Places of the machine that the container may change."""
        own = [self.root, f"{self.scratch}/tracer", *(source for source, _ in self.bindings)]
        return [place for place in own if place not in self.read_only and place != "/sys"]

    def _kernel_file_systems(self) -> None:
        dev = f"{self.scratch}/dev"
        os.makedirs(f"{dev}/pts")
        os.mkdir(f"{dev}/shm")
        os.chmod(f"{dev}/shm", 0o1777)
        for name, target in _LINKS.items():
            os.symlink(target, f"{dev}/{name}")
        self.bindings += [("/proc", "/proc"), ("/sys", "/sys"), (dev, "/dev"), ("/dev/pts", "/dev/pts")]
        for name in _DEVICES:
            Path(f"{dev}/{name}").touch()
            self.bindings.append((f"/dev/{name}", f"/dev/{name}"))
        first = first_program()
        if first is None:
            raise Unsupported("containers can be traced on x86-64 and 64-bit ARM only", cause=os.uname().machine)
        path = Path(dev + FIRST.removeprefix("/dev"))
        path.write_bytes(first)
        path.chmod(0o755)

    def remove(self) -> None:
        """Remove what was made for this container alone."""
        for directory, _, _ in os.walk(self.scratch):
            try:
                os.chmod(directory, 0o700)
            except OSError:
                continue
        shutil.rmtree(self.scratch, ignore_errors=True)

    def words(self) -> list[str]:
        """PRoot's options."""
        found = ["-r", self.root]
        for source, target in self.bindings:
            # A colon parts the two; there is no way to write one in a path.
            if ":" in source or ":" in target:
                raise Unsupported(f"a path with a colon cannot be mounted here: {source}")
            found += ["-b", f"{source}:{target}"]
        return found

    @classmethod
    def read(cls, words: Iterable[str]) -> Guest:
        """The other side of :meth:`words`, from the command line of a container that runs."""
        options = iter(words)
        guest = cls("", "")
        for option in options:
            if option == "-r":
                guest.root = next(options)
            elif option == "-b":
                source, _, target = next(options).partition(":")
                guest.bindings.append((source, target))
                if target == "/dev":
                    guest.scratch = os.path.dirname(source)
            else:
                break
        return guest

    def host(self, path: str) -> str:
        """Where the file that the container knows as ``path`` lies; links are followed as the container would.

        Raises ``FileNotFoundError`` or ``OSError`` (ELOOP).
        """
        todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            place = self._place("/" + "/".join([*done, part]))
            if stat.S_ISLNK(os.lstat(place).st_mode) and not self._is_bound([*done, part]):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(place)
                done = [] if target.startswith("/") else done
                todo += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]
                continue
            done.append(part)
        return self._place("/" + "/".join(done))

    def _is_bound(self, parts: list[str]) -> bool:
        path = "/" + "/".join(parts)
        return any(posixpath.normpath(target) == path for _, target in self.bindings)

    def _place(self, path: str) -> str:
        best, found = "/", self.root
        for source, target in self.bindings:
            clean = posixpath.normpath(target)
            if (path == clean or path.startswith(clean + "/")) and len(clean) >= len(best):
                best, found = clean, source
        rest = path[len(best) :].strip("/")
        return f"{found}/{rest}" if rest else found
