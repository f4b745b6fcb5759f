"""The few facts of an ELF file that say what it needs to run (System V gABI, chapters 4 and 5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Elf", "read_elf"]

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 10, 15, 29
_LONGEST = 1 << 22  # bytes of a table; anything longer is damage


@dataclass(frozen=True, slots=True)
class Elf:
    """``kind`` is (class, byte order, machine): only files of one kind can be linked together.

    ``interpreter`` is the loader's path, None for static programs and for most libraries; ``needed`` are the names of
    libraries; ``search`` the directories that the file itself names, ``$ORIGIN`` not yet replaced.
    """

    kind: tuple[int, int, int]
    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


def read_elf(path: Path) -> Elf | None:
    """None for what is not an ELF file, or is damaged. Raises :class:`OSError` if it cannot be read."""
    with path.open("rb") as file:
        ident = file.read(16)
        if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            return None
        try:
            return _Reader(file, wide=ident[4] == 2, order="<" if ident[5] == 1 else ">").read(ident)
        except (struct.error, ValueError):
            return None


class _Reader:
    def __init__(self, file: BinaryIO, *, wide: bool, order: str) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._wide = wide
        self._order = order
        self._word = order + ("Q" if wide else "I")

    def read(self, ident: bytes) -> Elf:
        (machine,) = self._unpack("H", 18)
        kind = (ident[4], ident[5], machine)
        segments = self._segments()
        interpreter = next((self._text(offset, size) for t, offset, _, size in segments if t == _PT_INTERP), None)
        dynamic = next(((offset, size) for t, offset, _, size in segments if t == _PT_DYNAMIC), None)
        if dynamic is None:
            return Elf(kind, interpreter)
        loads = [(offset, address, size) for t, offset, address, size in segments if t == _PT_LOAD]
        return self._linked(kind, interpreter, self._tags(*dynamic), lambda address: _offset(loads, address))

    def _linked(
        self,
        kind: tuple[int, int, int],
        interpreter: str | None,
        tags: list[tuple[int, int]],
        locate: Callable[[int], int],
    ) -> Elf:
        values = dict(tags)
        if _DT_STRTAB not in values:
            return Elf(kind, interpreter)
        strings = self._bytes(locate(values[_DT_STRTAB]), values.get(_DT_STRSZ, 0))

        def text(at: int) -> str:
            return strings[at : strings.index(b"\0", at)].decode("utf-8", "surrogateescape")

        search = values.get(_DT_RUNPATH, values.get(_DT_RPATH))
        return Elf(
            kind,
            interpreter,
            tuple(text(value) for tag, value in tags if tag == _DT_NEEDED),
            tuple(part for part in text(search).split(":") if part) if search is not None else (),
        )

    def _segments(self) -> list[tuple[int, int, int, int]]:
        """(type, offset in the file, address in memory, size in the file) of each program header."""
        (table,) = self._unpack(self._word[-1], 32 if self._wide else 28)
        size, count = self._unpack("HH", 54 if self._wide else 42)
        found = []
        for index in range(count):
            at = table + index * size
            if self._wide:
                kind, _, offset, address, _, length = self._unpack("IIQQQQ", at)
            else:
                kind, offset, address, _, length = self._unpack("IIIII", at)
            found.append((kind, offset, address, length))
        if not found:
            raise ValueError("an object file, not a program or library")
        return found

    def _tags(self, offset: int, size: int) -> list[tuple[int, int]]:
        data = self._bytes(offset, size)
        pair = self._word + self._word[-1]
        tags = []
        for tag, value in struct.iter_unpack(pair, data[: len(data) // struct.calcsize(pair) * struct.calcsize(pair)]):
            if tag == _DT_NULL:
                break
            tags.append((tag, value))
        return tags

    def _text(self, offset: int, size: int) -> str:
        return self._bytes(offset, size).rstrip(b"\0").decode("utf-8", "surrogateescape")

    def _bytes(self, offset: int, size: int) -> bytes:
        if not 0 <= size <= _LONGEST or not 0 <= offset <= self._size:
            raise ValueError("a table is too long, or lies nowhere")
        self._file.seek(offset)
        return self._file.read(size)

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        form = self._order + form
        return struct.unpack(form, self._bytes(offset, struct.calcsize(form)))


def _offset(loads: list[tuple[int, int, int]], address: int) -> int:
    for offset, start, size in loads:
        if start <= address < start + size:
            return address - start + offset
    raise ValueError("an address outside the file")
