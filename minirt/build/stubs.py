"""Mount points that the sandbox had to make: they are scenery, and must not end up in the layer.

A container needs ``/proc`` or ``/etc/hosts`` to exist, if only to mount something over it. Where the image lacks
them, the sandbox makes empty ones, which the overlay keeps in the upper directory. BuildKit removes such stubs after
the command (``executor/stubs.go``), and so do we: what is still empty, and was not there before, goes.
"""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass
from pathlib import Path

from minirt.model.spec import SandboxSpec
from minirt.snapshots.union import Union

__all__ = ["Stubs"]

_ALWAYS = ("/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class Stubs:
    """``paths`` that the image did not have, the deepest first; ``parents`` are directories whose time they change."""

    paths: tuple[str, ...]

    @classmethod
    def missing(cls, image: Union, spec: SandboxSpec) -> Stubs:
        """What the sandbox will have to make for ``spec``; asked before it runs."""
        wanted: dict[str, None] = {}
        for target in (*_ALWAYS, *spec.files, *(mount.target for mount in spec.mounts)):
            path = posixpath.normpath("/" + target.lstrip("/"))
            if path.startswith(("/dev/", "/proc/", "/sys/")):
                continue
            while path != "/" and path not in wanted and image.find(path) is None:
                wanted[path] = None
                path = posixpath.dirname(path)
        return cls(tuple(sorted(wanted, key=len, reverse=True)))

    def remove(self, where: Path) -> None:
        """Take away those that are still empty. ``where`` is the snapshot's directory."""
        storage = where / "upper" if (where / "upper").is_dir() else where / "tree"
        for path in self.paths:
            full = storage / path.lstrip("/")
            try:
                info = os.lstat(full)
                before = os.lstat(full.parent)
                if stat.S_ISDIR(info.st_mode):
                    os.rmdir(full)
                elif stat.S_ISREG(info.st_mode) and info.st_size == 0:
                    os.unlink(full)
                else:
                    continue
                os.utime(full.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
            except OSError:
                continue  # not there, not empty, or replaced by the command: then it is the command's
