"""Read a path of a stack of layers without mounting it.

The kernel's overlayfs does this for a container; here the same rules (kernel documentation, overlayfs.rst, "Upper
and Lower" and "whiteouts and opaque directories") serve the few reads that come before any container exists,
such as looking up a user in the image's /etc/passwd.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minirt.layers.styles import is_whiteout_mark

__all__ = ["Union", "is_opaque"]

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_MOST_LINKS = 40  # as the kernel's ELOOP limit


@dataclass(frozen=True, slots=True)
class Union:
    """Directories in overlay form, topmost last."""

    layers: tuple[Path, ...]

    @classmethod
    def of(cls, layers: Sequence[Path]) -> Union:
        return cls(tuple(layers))

    def read(self, path: str, limit: int = 1 << 20) -> bytes | None:
        """The content of a regular file, or None when there is none; at most ``limit`` bytes are read."""
        found = self.find(path)
        if found is None or not stat.S_ISREG(found.lstat().st_mode):
            return None
        with found.open("rb") as file:
            return file.read(limit)

    def find(self, path: str) -> Path | None:
        """Where on disk the topmost file or directory of that name lies; symlinks are followed inside the union."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            found = self._entry([*done, part])
            if found is None:
                return None
            if found.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = os.readlink(found)
                done = [] if target.startswith("/") else done
                parts = [piece for piece in target.split("/") if piece not in ("", ".")] + parts
                continue
            done.append(part)
        return self._entry(done) if done else (self.layers[-1] if self.layers else None)

    def entry(self, path: str) -> Path | None:
        """Like :meth:`find`, but a path's last part is not followed when it is a symlink, nor are its directories."""
        return self._entry([part for part in path.split("/") if part])

    def names(self, path: str) -> frozenset[str]:
        """The names in a directory of the union."""
        names: set[str] = set()
        parts = [part for part in path.split("/") if part]
        for layer in self.layers:
            here = layer.joinpath(*parts)
            if here.is_dir() and not here.is_symlink():
                names |= {entry.name for entry in here.iterdir()}
        return frozenset(name for name in names if self._entry([*parts, name]) is not None)

    def _entry(self, parts: list[str]) -> Path | None:
        """The topmost layer's entry for a path without symlinks on its way, honouring what hides it."""
        for layer in reversed(self.layers):
            verdict = self._in_layer(layer, parts)
            if verdict is not None:
                return verdict if isinstance(verdict, Path) else None
        return None

    @staticmethod
    def _in_layer(layer: Path, parts: list[str]) -> Path | bool | None:
        """The entry; False when this layer hides it; None when lower layers decide."""
        here, hides_lower = layer, False
        for index, part in enumerate(parts):
            here = here / part
            try:
                info = here.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return False if hides_lower else None
            if is_whiteout_mark(info):
                return False
            if index < len(parts) - 1 and not stat.S_ISDIR(info.st_mode):
                return False  # a file (or link) here replaces the directory below
            hides_lower = hides_lower or (index < len(parts) - 1 and is_opaque(here))
        return here


def is_opaque(directory: Path) -> bool:
    """Whether a directory in overlay form hides what the layers below it have in that place."""
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False
