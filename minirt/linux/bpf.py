"""Filters on system calls as the kernel wants them: a small compiler to classic BPF (seccomp(2)).

What is to happen is given as a table: the number of a call -> what to answer, depending on its arguments. Numbers next
to each other with the same answer are one range, and the ranges are found by halving: a call costs some ten
instructions, however long the table. A jump reaches 255 instructions; longer ones go by way of ``ja``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from minirt.model.seccomp import Comparison

__all__ = ["MOST", "Branch", "assemble"]

MOST = 4096  # BPF_MAXINSNS

# struct seccomp_data: nr, arch, instruction_pointer, args[6]; the lower half of an argument comes first.
_NR, _ARCH, _ARGS = 0, 4, 16
_LOAD, _AND, _RET, _JUMP = 0x20, 0x54, 0x06, 0x05
_JEQ, _JGT, _JGE = 0x15, 0x25, 0x35
_FARTHEST = 255
_TRUE, _FALSE = "true", "false"

Target = int | str
Step = tuple[int, int, Target, Target]


@dataclass(frozen=True, slots=True)
class Branch:
    """``answer`` (a ``SECCOMP_RET_*`` value) if all comparisons hold."""

    answer: int
    comparisons: tuple[Comparison, ...] = ()


Leaf = tuple[Branch, ...]


def assemble(
    table: Mapping[int, Leaf],
    default: int,
    *,
    architecture: int,
    elsewhere: int,
    beyond: tuple[int, int] | None = None,
) -> bytes:
    """An array of ``struct sock_filter``. Of a number's branches the first that fits counts, else ``default``.

    ``elsewhere`` is the answer to programs of another ``architecture`` (``AUDIT_ARCH_*``). ``beyond`` is a number and
    the answer from it on, whatever the table says.
    """
    steps = [(_LOAD, _ARCH, 0, 0), (_JEQ, architecture, 1, 0), (_RET, elsewhere, 0, 0), (_LOAD, _NR, 0, 0)]
    steps += _search(_ranges(table, default, beyond), default)
    return b"".join(struct.pack("=HBBI", code, then, otherwise, value) for code, value, then, otherwise in steps)


def _ranges(table: Mapping[int, Leaf], default: int, beyond: tuple[int, int] | None) -> list[tuple[int, Leaf]]:
    """Where each answer begins, from 0 on."""
    plain: Leaf = (Branch(default),)
    starts: dict[int, Leaf] = {0: plain}
    for number in sorted(table):
        starts[number] = table[number] or plain
        if number + 1 not in table:
            starts[number + 1] = plain
    if beyond is not None:
        starts = {number: leaf for number, leaf in starts.items() if number < beyond[0]}
        starts[beyond[0]] = (Branch(beyond[1]),)
    found: list[tuple[int, Leaf]] = []
    for number, leaf in sorted(starts.items()):
        if not found or found[-1][1] != leaf:
            found.append((number, leaf))
    return found


def _search(ranges: list[tuple[int, Leaf]], default: int) -> list[tuple[int, int, int, int]]:
    if len(ranges) == 1:
        return _answer(ranges[0][1], default)
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle], default), _search(ranges[middle:], default)
    first = ranges[middle][0]
    if len(below) <= _FARTHEST:
        return [(_JGE, first, len(below), 0), *below, *above]
    return [(_JGE, first, 0, 1), (_JUMP, len(below), 0, 0), *below, *above]


def _answer(leaf: Leaf, default: int) -> list[tuple[int, int, int, int]]:
    """Each branch's comparisons, then its answer; one that fails jumps behind that answer, to the next branch."""
    steps: list[tuple[int, int, int, int]] = []
    for branch in leaf:
        tests: list[Step] = []
        for comparison in branch.comparisons:
            one = _compare(comparison)
            # True goes on behind this comparison; false is resolved when the length of the branch is known.
            tests += [(c, v, _near(a, p, len(one)), _near(b, p, len(one))) for p, (c, v, a, b) in enumerate(one)]
        end = len(tests) + 1
        steps += [
            (code, value, _far(then, at, end), _far(no, at, end)) for at, (code, value, then, no) in enumerate(tests)
        ]
        steps.append((_RET, branch.answer, 0, 0))
        if not branch.comparisons:
            return steps
    return [*steps, (_RET, default, 0, 0)]


def _near(target: Target, place: int, length: int) -> Target:
    return length - place - 1 if target == _TRUE else target


def _far(target: Target, place: int, end: int) -> int:
    return end - place - 1 if isinstance(target, str) else target


def _compare(one: Comparison) -> list[Step]:
    """Arguments have 64 bits, and the machine 32: the upper halves decide unless they are equal."""
    low, high = _ARGS + 8 * one.index, _ARGS + 8 * one.index + 4
    a, b = divmod(one.value, 1 << 32)
    if one.operator == "SCMP_CMP_MASKED_EQ":
        c, d = divmod(one.value_two, 1 << 32)
        upper: list[Step] = [(_LOAD, high, 0, 0), (_AND, a, 0, 0), (_JEQ, c, 0, _FALSE)]
        return [*upper, (_LOAD, low, 0, 0), (_AND, b, 0, 0), (_JEQ, d, _TRUE, _FALSE)]
    load_high: Step = (_LOAD, high, 0, 0)
    load_low: Step = (_LOAD, low, 0, 0)
    match one.operator:
        case "SCMP_CMP_EQ":
            return [load_high, (_JEQ, a, 0, _FALSE), load_low, (_JEQ, b, _TRUE, _FALSE)]
        case "SCMP_CMP_NE":
            return [load_high, (_JEQ, a, 0, _TRUE), load_low, (_JEQ, b, _FALSE, _TRUE)]
        case "SCMP_CMP_GT" | "SCMP_CMP_GE":
            last = _JGT if one.operator.endswith("GT") else _JGE
            return [load_high, (_JGT, a, _TRUE, 0), (_JEQ, a, 0, _FALSE), load_low, (last, b, _TRUE, _FALSE)]
        case _:  # SCMP_CMP_LT, SCMP_CMP_LE
            last = _JGE if one.operator.endswith("LT") else _JGT
            return [load_high, (_JGT, a, _FALSE, 0), (_JEQ, a, 0, _TRUE), load_low, (last, b, _FALSE, _TRUE)]
