"""Which step of starting a container failed, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minirt.errors import SandboxError

__all__ = ["doing"]


@contextmanager
def doing(what: str, hint: str = "") -> Iterator[None]:
    """Names the step in the error of a system call that fails inside."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SandboxError(f"cannot {what}", cause=f"{where}{error.strerror}", hint=hint) from error
