"""The traced containers' first program for arm64, read instruction by instruction: no such machine is needed for it."""

from __future__ import annotations

import errno
import platform
import struct

import pytest

from minirt.sandbox.first import first_program

RESTRICT_SELF, CLOSE, CLONE, WRITE = 446, 57, 220, 64  # asm-generic/unistd.h, which arm64 has
BRANCHES = (0x34, 0x35, 0x36, 0x37, 0x54, 0xB4, 0xB6, 0xB7, 0xD6)  # the first byte of all other branches
_CALL, _RETURN = 0xD4000001, 0xD65F03C0


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


class Reader:
    """Follows the code from one system call to the next; what neither calls, compares nor branches is passed over.

    Encodings: Arm Architecture Reference Manual for A-profile, C4.1.
    """

    def __init__(self, program: bytes) -> None:
        self.words = struct.unpack(f"<{(len(program) - 120) // 4}I", program[120:])
        self.at, self.equal, self.x = 0, False, dict.fromkeys(range(32), 0)

    def next_call(self) -> tuple[int, int]:
        """(number, first argument) of the next system call; what it answers is then put into ``x[0]`` by the test."""
        for _ in range(100):
            word, self.at = self.words[self.at], self.at + 1
            if word == _CALL:
                return self.x[8], self.x[0]
            self._step(word)
        raise AssertionError("no system call comes")

    def _step(self, word: int) -> None:
        register, here = word & 31, self.at - 1
        if word >> 23 in (0x1A5, 0x125):  # MOVZ
            self.x[register] = (word >> 5 & 0xFFFF) << 16 * (word >> 21 & 3)
        elif word >> 22 == 0x2C4 and register == 31:  # CMN (immediate): equal if the sum is zero
            self.equal = self.x[word >> 5 & 31] + (word >> 10 & 0xFFF) == 0
        elif word & 0xFF00001F == 0x54000000:  # B.EQ
            self.at = here + _signed(word >> 5 & 0x7FFFF, 19) if self.equal else self.at
        elif word >> 24 == 0xB5:  # CBNZ
            self.at = here + _signed(word >> 5 & 0x7FFFF, 19) if self.x[register] else self.at
        elif word >> 26 == 0x25:  # BL
            self.x[30], self.at = self.at, here + _signed(word & 0x3FFFFFF, 26)
        elif word == _RETURN:
            self.at = self.x[30]
        else:
            # Nothing that would lead elsewhere may be passed over.
            assert word >> 26 != 0x05 and word >> 24 not in BRANCHES, hex(word)


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (0, (CLOSE, 4)),
        (-errno.EBADF, (CLONE, None)),
        (-errno.ENOSYS, (CLONE, None)),
        (-errno.EPERM, (WRITE, 3)),
        (-errno.EINVAL, (WRITE, 3)),
    ],
)
def test_on_arm64_a_kernel_without_landlock_is_no_hindrance(
    answer: int, then: tuple[int, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its list it closes it; without one, or where the call is not known, it goes on; a refusal is told."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    program = first_program()
    assert program is not None and struct.unpack_from("<H", program, 18) == (183,)
    reader = Reader(program)
    while reader.next_call()[0] != RESTRICT_SELF:
        reader.x[0] = 0
    reader.x[0] = answer
    number, argument = reader.next_call()
    assert number == then[0]
    assert then[1] is None or argument == then[1]
