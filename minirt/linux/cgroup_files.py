"""The files of control groups: short texts, numbers, and tables of a name and a number a line (cgroups(7))."""

from __future__ import annotations

import os
import re

__all__ = ["blocks", "field", "number", "read", "write"]


def read(path: str) -> str:
    """Empty for what cannot be read."""
    # Bytes, not text: a monitor reads a dozen of these before its container starts.
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def write(path: str, value: str) -> None:
    """In one write, as the kernel wants it. Raises ``OSError`` with the path."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def number(path: str) -> int:
    """0 for what is none, such as ``max``."""
    text = read(path).strip()
    return int(text) if text.isdigit() else 0


def field(text: str, name: str) -> int:
    """The number beside ``name``, 0 without one."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


def blocks(text: str, read: str, write: str) -> tuple[int, int]:
    """Bytes read and written, summed over devices."""
    found = (sum(int(number) for number in re.findall(f"{mark}(\\d+)", text)) for mark in (read, write))
    return next(found), next(found)
