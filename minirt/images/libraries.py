"""Which shared libraries programs need, found as the machine's own loader finds them (ld.so(8); musl's manual).

No program is run for it: ``ldd`` is a script that runs what it looks at, and musl has none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from minirt.images.elf import Elf, read_elf

__all__ = ["Libraries", "Missing"]

_DEFAULTS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = 48  # bytes: magic, number of entries, length of strings, flags, extension, 3 unused words
_CACHE_ENTRY = struct.Struct("=iIIIQ")  # flags, name, path, OS version, hardware needed


class Missing(Exception):
    """A program cannot be taken along: a library, or its loader, is not on the machine."""


class Libraries:
    """Finds libraries on the machine whose root directory is ``root`` (``/`` but in tests)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._elves: dict[str, Elf | None] = {}

    def elf(self, path: str) -> Elf | None:
        """The facts of a file; None if it is no ELF file."""
        if path not in self._elves:
            self._elves[path] = read_elf(self._real(path))
        return self._elves[path]

    def closure(self, program: str) -> dict[str, str]:
        """Everything ``program`` needs: path where its loader looks for it -> the file that is there.

        Both are paths of the machine; the loader itself is among them. Empty for a static program. Raises
        :class:`Missing` and :class:`OSError`.
        """
        first = self.elf(program)
        if first is None or first.interpreter is None:
            return {}
        found = {first.interpreter: self._existing(first.interpreter)}
        names: set[str] = set()
        queue = [(program, first)]
        while queue:
            path, elf = queue.pop(0)
            for name in elf.needed:
                if name in names:
                    continue
                names.add(name)
                place = self._find(name, path, elf, first)
                if place is None:
                    continue
                needed = self.elf(place)
                if place not in found and needed is not None:
                    found[place] = place
                    queue.append((place, needed))
        return found

    def _find(self, name: str, path: str, elf: Elf, program: Elf) -> str | None:
        """Where the library ``name`` is; None if it is the loader itself (musl's libc and loader are one file)."""
        loader = program.interpreter or ""
        musl = "ld-musl-" in loader
        if os.path.basename(loader) == name or (musl and name.startswith(("libc.so", "libc.musl-"))):
            return None
        if "/" in name:
            return name
        candidates = (f"{directory}/{name}" for directory in self._directories(path, elf, loader, musl))
        cached = () if musl else self._cache.get(name, ())
        for candidate in (*candidates, *cached):
            if self._real(candidate).is_file():
                other = self.elf(candidate)
                if other is not None and other.kind == program.kind:
                    return candidate
        raise Missing(f"{path} needs the library {name}, which is not on this machine")

    def _directories(self, path: str, elf: Elf, loader: str, musl: bool) -> Iterator[str]:
        origin = os.path.dirname(self._resolved(path))
        for entry in elf.search:
            yield entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        if musl:
            yield from self._musl_path(loader)
            return
        # Debian and its children build the loader with directories named for the machine, such as
        # /lib/x86_64-linux-gnu; they stand beside the loader's own file.
        yield os.path.dirname(self._resolved(loader))
        yield from _DEFAULTS

    def _musl_path(self, loader: str) -> list[str]:
        arch = os.path.basename(loader).removeprefix("ld-musl-").partition(".")[0]
        try:
            text = (self._root / f"etc/ld-musl-{arch}.path").read_text()
        except OSError:
            return ["/lib", "/usr/local/lib", "/usr/lib"]
        return [part for part in text.replace("\n", ":").split(":") if part]

    @cached_property
    def _cache(self) -> dict[str, tuple[str, ...]]:
        """The ``/etc/ld.so.cache`` of glibc: name -> paths, those for any processor first."""
        try:
            data = (self._root / "etc/ld.so.cache").read_bytes()
        except OSError:
            return {}
        start = data.find(_CACHE_MAGIC)
        found: dict[str, list[tuple[bool, str]]] = {}
        if start >= 0 and len(data) >= start + _CACHE_HEADER:
            (count,) = struct.unpack_from("=I", data, start + len(_CACHE_MAGIC))
            for index in range(count):
                at = start + _CACHE_HEADER + index * _CACHE_ENTRY.size
                if at + _CACHE_ENTRY.size > len(data):
                    break
                _, name, path, _, hardware = _CACHE_ENTRY.unpack_from(data, at)
                found.setdefault(_string(data, start + name), []).append((hardware != 0, _string(data, start + path)))
        # An image must not depend on this machine's processor when there is a plain variant.
        return {name: tuple(path for _, path in sorted(paths, key=lambda p: p[0])) for name, paths in found.items()}

    def _existing(self, path: str) -> str:
        if not self._real(path).is_file():
            raise Missing(f"the loader {path} is not on this machine")
        return path

    def _resolved(self, path: str) -> str:
        real = os.path.realpath(self._real(path))
        root = os.path.realpath(self._root)
        return real if root == "/" else "/" + os.path.relpath(real, root)

    def _real(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("utf-8", "surrogateescape") if 0 <= at < len(data) else ""
