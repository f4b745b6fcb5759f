"""The ids that a traced program asked for, before PRoot exchanged root's for the user's own.

PRoot (5.x, ``-0``) lets a program believe that it is root. In a ``chown`` to root it puts the real user in root's
place, "to get a chance of success"; so a filter behind it cannot tell root from that user. PRoot keeps the registers
as the program had set them beside those it set, and it is our own child: we look there. A set of registers is believed
only where it agrees with the call that waits, in all that PRoot does not change.
"""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from minirt.linux.notify import Call

__all__ = ["asked_ids"]


@dataclass(frozen=True, slots=True)
class _Registers:
    """struct user_regs_struct of one processor, as indexes of its 64-bit words.

    ``run`` names words that follow each other from ``start``: an argument's number, or ``number`` and ``pc``.
    """

    words: int
    start: int
    run: tuple[int | str, ...]
    arguments: tuple[int, ...]
    fixed: tuple[int, ...]


_LAYOUTS = {
    # r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip …; arguments in rdi rsi rdx r10
    "x86_64": _Registers(27, 12, (2, 1, 0, "number", "pc"), (14, 13, 12, 7), (0, 1, 2, 3, 4, 5, 15, 16)),
    # x0 … x30 sp pc pstate; arguments in x0 …, the call's number in x8
    "aarch64": _Registers(34, 0, (0, 1, 2, 3, 4), (0, 1, 2, 3), (8, *range(19, 30), 32)),
}
_NEIGHBOURS = 3  # PRoot keeps two or three sets, one after the other


def asked_ids(tracer: int, call: Call, indexes: tuple[int, int]) -> tuple[int, int]:
    """(uid, gid) as asked for; ``indexes`` are theirs among the arguments. What cannot be found out is root's."""
    seen = (call.word(indexes[0]), call.word(indexes[1]))
    layout = _LAYOUTS.get(platform.machine())
    sets = [] if layout is None else _sets(tracer, call, layout)
    own = (os.geteuid(), os.getegid())
    if layout is None or len(sets) < 2:
        return (0 if seen[0] == own[0] else seen[0], 0 if seen[1] == own[1] else seen[1])
    first, second = ({one[layout.arguments[index]] & 0xFFFFFFFF for one in sets} for index in indexes)
    return (min(first - {seen[0]}, default=seen[0]), min(second - {seen[1]}, default=seen[1]))


def _sets(tracer: int, call: Call, layout: _Registers) -> list[tuple[int, ...]]:
    """The sets of registers that PRoot keeps for this call: at least two, or none."""
    known_words: dict[int | str, int] = {"number": call.number, "pc": call.instruction}
    known_words.update(enumerate(call.arguments))
    pattern = struct.pack(f"={len(layout.run)}Q", *(known_words[name] for name in layout.run))
    size = layout.words * 8
    for memory in _memory(tracer):
        at = -1
        while (at := memory.find(pattern, at + 1)) >= 0:
            here = _read(memory, at - layout.start * 8, layout)
            if here is None:
                continue
            places = (at - layout.start * 8 + step * size for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1))
            found = [one for one in (_read(memory, place, layout) for place in places) if one is not None]
            agreed = [one for one in found if all(one[index] == here[index] for index in layout.fixed)]
            if len(agreed) > 1:
                return agreed
    return []


def _read(memory: bytes, place: int, layout: _Registers) -> tuple[int, ...] | None:
    if place < 0 or place + layout.words * 8 > len(memory):
        return None
    return struct.unpack_from(f"={layout.words}Q", memory, place)


def _memory(pid: int) -> Iterator[bytes]:
    """What the process allocated, its heap first."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as lines:
        rows = [line.split() for line in lines]
    ranges = [row for row in rows if row[1].startswith("rw") and (len(row) == 5 or row[5] == "[heap]")]
    ranges.sort(key=lambda row: len(row) == 5)
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for row in ranges:
            start, end = (int(bound, 16) for bound in row[0].split("-"))
            try:
                yield os.pread(memory, end - start, start)
            except OSError:
                continue
    finally:
        os.close(memory)
