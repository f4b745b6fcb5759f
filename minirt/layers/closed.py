"""Files that are closed even to their owner (mode 000, as /etc/shadow in some distributions).

Root does not notice such a mode. An ordinary user, who is "root" of his containers without any privilege, does.
"""

from __future__ import annotations

import os
import stat

__all__ = ["open_file"]


def open_file(name: str, flags: int, dir_fd: int) -> int:
    """Open a file for reading; one of ours that is closed to us is opened to us for this moment. Raises ``OSError``."""
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except PermissionError:
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise
        mode = stat.S_IMODE(status.st_mode)
        os.chmod(name, mode | stat.S_IRUSR, dir_fd=dir_fd)
        try:
            return os.open(name, flags, dir_fd=dir_fd)
        finally:
            os.chmod(name, mode, dir_fd=dir_fd)
