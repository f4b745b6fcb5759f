"""Which devices a control group of version 2 may open: a small program that the kernel asks at every opening.

Version 1 has files for that (``devices.allow``); version 2 has a program of the type ``BPF_PROG_TYPE_CGROUP_DEVICE``
(bpf(2), ``linux/bpf.h``; the kernel's Documentation/admin-guide/cgroup-v2.rst, "Device controller"). It is given what
is asked for (``struct bpf_cgroup_dev_ctx``: type and access, major, minor) and answers 1 or 0. The group keeps it, and
it ends with the group.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from functools import cache

from minirt.linux import syscalls

__all__ = ["assemble", "attach", "available"]

_KINDS = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, _CHAR
_ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_MKNOD, _READ, _WRITE
_CONTEXT, _ANSWER, _SCRATCH = 1, 0, 6
_TYPE, _ASKED, _MAJOR, _MINOR = 2, 3, 4, 5
_LOAD_WORD, _COPY, _SHIFT_RIGHT, _AND, _SET, _EXIT = 0x61, 0xBF, 0x77, 0x57, 0xB7, 0x95
_JUMP_UNEQUAL, _JUMP_EQUAL = 0x55, 0x15

Step = tuple[int, int, int, int, int]  # code, target register, source register, jump, value


def attach(directory: str, denied: Sequence[str], allowed: Sequence[str] = ()) -> None:
    """Have the group at ``directory`` open only what the rules let it (see :func:`assemble`).

    Groups above keep their say. A group that has a program keeps it: a container that is started again and again would
    collect one with each start, and 64 is the most. Raises ``OSError``: EPERM for who may not, EINVAL where the kernel
    has none of these.
    """
    group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syscalls.bpf_count_device_programs(group):
            return
        program = syscalls.bpf_load_device_program(assemble(denied, allowed))
        try:
            syscalls.bpf_attach_device_program(group, program)
        finally:
            os.close(program)
    finally:
        os.close(group)


@cache
def available() -> bool:
    """Whether this process may load such a program here."""
    try:
        os.close(syscalls.bpf_load_device_program(assemble((), ())))
    except OSError:
        return False
    return True


def assemble(denied: Sequence[str], allowed: Sequence[str] = ()) -> bytes:
    """The program, an array of ``struct bpf_insn``, for rules such as ``c 1:3 rw`` and ``b *:* m``.

    What a rule of ``denied`` names is refused, also as a part of what is asked for. With ``allowed``, everything is
    refused that no single rule of these grants whole; without it, the rest is granted.
    """
    steps = [
        _step(_LOAD_WORD, _ASKED, _CONTEXT),
        _step(_COPY, _TYPE, _ASKED),
        _step(_AND, _TYPE, value=0xFFFF),
        _step(_SHIFT_RIGHT, _ASKED, value=16),
        _step(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _step(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in denied:
        steps += _rule(rule, answer=0)
    for rule in allowed:
        steps += _rule(rule, answer=1)
    steps += _answer(0 if allowed else 1)
    return b"".join(
        struct.pack("=BBhi", code, source << 4 | target, jump, value) for code, target, source, jump, value in steps
    )


def _rule(rule: str, *, answer: int) -> list[Step]:
    """Give ``answer`` if the rule fits, else go on behind it."""
    kind, number, letters = rule.split()
    major, _, minor = number.partition(":")
    mask = sum(_ACCESS[letter] for letter in letters)
    numbers = ((_MAJOR, major), (_MINOR, minor))
    tests = [(_TYPE, _KINDS[kind]), *((register, int(wanted)) for register, wanted in numbers if wanted != "*")]
    then = _answer(answer)
    # Granting takes all of the access asked for, refusing any of it.
    asked = [
        _step(_COPY, _SCRATCH, _ASKED),
        _step(_AND, _SCRATCH, value=~mask if answer else mask),
        _step(_JUMP_UNEQUAL if answer else _JUMP_EQUAL, _SCRATCH, jump=len(then)),
    ]
    behind = len(asked) + len(then)
    steps = [
        _step(_JUMP_UNEQUAL, register, jump=len(tests) - place - 1 + behind, value=value)
        for place, (register, value) in enumerate(tests)
    ]
    return [*steps, *asked, *then]


def _answer(value: int) -> list[Step]:
    return [_step(_SET, _ANSWER, value=value), _step(_EXIT)]


def _step(code: int, target: int = 0, source: int = 0, jump: int = 0, value: int = 0) -> Step:
    return code, target, source, jump, value
