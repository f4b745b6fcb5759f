"""Where there is no Linux: what is said, and how to go on.

Containers are made by a Linux kernel. Everything that only reads and draws works without one; what does not ends here.
"""

from __future__ import annotations

import sys

from minirt.errors import Unsupported

__all__ = ["HOW_TO_GO_ON", "needs_linux", "require_linux"]

HOW_TO_GO_ON = (
    "Open the project in a dev container or in Binder, run its container image, or on Windows work inside WSL; "
    "docs/classroom.md says how."
)
_NAMES = {"darwin": "macOS", "win32": "Windows"}


def needs_linux(what: str) -> Unsupported:
    """The error for ``what`` (``containers need``, …), which this system cannot do."""
    system = _NAMES.get(sys.platform, sys.platform)
    return Unsupported(
        f"{what} a Linux kernel, and this is {system}",
        cause="namespaces, overlay file systems and their like are parts of Linux; other systems start a Linux first",
        hint=HOW_TO_GO_ON,
    )


def require_linux(what: str = "containers need") -> None:
    """Raises :class:`Unsupported` on any other system."""
    if not sys.platform.startswith("linux"):
        raise needs_linux(what)
