"""Finding and making paths inside a tree that somebody else filled: no symbolic link may lead out of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["covered_mode", "ensure_inside", "find_from", "find_inside", "opened", "write_new"]

# Only Linux has O_PATH; elsewhere this module must import, and nothing calls it.
_PATH: int = getattr(os, "O_PATH", 0)
_STEP = _PATH | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MAX_LINKS = 40  # as many as the kernel follows


@contextmanager
def opened(path: str, flags: int = _PATH, dir_fd: int | None = None) -> Iterator[int]:
    """A descriptor of ``path`` for the length of a ``with``."""
    fd = os.open(path, flags | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def find_inside(root_fd: int, path: str) -> int:
    """An ``O_PATH`` descriptor of what is at ``path`` for a process in ``root_fd``. Raises ``OSError``."""
    return _walk(root_fd, path, lambda parent, name, _last: os.open(name, _STEP, dir_fd=parent))


def covered_mode(root_fd: int, path: str) -> int:
    """The mode of the directory at ``path`` for a process in ``root_fd``; 1777, that of /tmp, where there is none."""
    try:
        fd = find_inside(root_fd, path)
    except OSError:
        return 0o1777
    try:
        found = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    return stat.S_IMODE(found) if stat.S_ISDIR(found) else 0o1777


def ensure_inside(
    root_fd: int, path: str, *, directory: bool, mode: int = 0o755, note: Callable[[int, str], None] | None = None
) -> int:
    """An ``O_PATH`` descriptor of ``path`` as a process in ``root_fd`` would find it, made if it is missing.

    Links are followed as if ``root_fd`` were ``/``: step by step, each step by descriptor, so that a link changed
    meanwhile cannot lead out either. What is missing becomes directories, and at the end a directory or an empty
    file; ``note`` hears of each before it is made (its parent's descriptor, its name). Raises ``OSError`` (ELOOP,
    ENOTDIR, EISDIR …).
    """

    def step(parent: int, name: str, last: bool) -> int:
        return _open_or_make(parent, name, directory=directory or not last, mode=mode, note=note)

    fd = _walk(root_fd, path, step)
    try:
        _check_kind(fd, path, directory=directory)
    except OSError:
        os.close(fd)
        raise
    return fd


def _walk(root_fd: int, path: str, step: Callable[[int, str, bool], int]) -> int:
    """Follow ``path``; ``step`` opens a name in a directory, and is told whether it is the last of the path."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    parts.reverse()
    stack = [os.dup(root_fd)]
    links = 0
    try:
        while parts:
            part = parts.pop()
            if part == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            fd = step(stack[-1], part, not parts)
            found = os.fstat(fd)
            if not stat.S_ISLNK(found.st_mode):
                stack.append(fd)
                continue
            links += 1
            target = os.readlink("", dir_fd=fd)
            os.close(fd)
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                while len(stack) > 1:
                    os.close(stack.pop())
            parts.extend(one for one in reversed(target.split("/")) if one not in ("", "."))
        return stack.pop()
    finally:
        for fd in stack:
            os.close(fd)


def find_from(root_fd: int, start_fd: int, path: str, *, follow: bool) -> int:
    """An ``O_PATH`` descriptor of ``path`` as a process with this root and this directory would find it.

    Step by step like :func:`ensure_inside`; nothing is made. ``follow``: also a link at the end. Raises ``OSError``
    (ENOENT, ENOTDIR, ELOOP).
    """
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    here = os.dup(root_fd if path.startswith("/") else start_fd)
    links = 0
    try:
        while todo:
            part = todo.pop()
            if part == ".." and os.path.sameopenfile(here, root_fd):
                continue
            found = os.open(part, _STEP, dir_fd=here)
            if stat.S_ISLNK(os.fstat(found).st_mode) and (todo or follow):
                links += 1
                target = os.readlink("", dir_fd=found)
                os.close(found)
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.startswith("/"):
                    os.close(here)
                    here = os.dup(root_fd)
                todo.extend(step for step in reversed(target.split("/")) if step not in ("", "."))
                continue
            os.close(here)
            here = found
        return os.dup(here)
    finally:
        os.close(here)


def _open_or_make(
    parent: int, name: str, *, directory: bool, mode: int, note: Callable[[int, str], None] | None
) -> int:
    try:
        return os.open(name, _STEP, dir_fd=parent)
    except FileNotFoundError:
        if note is not None:
            note(parent, name)
    if directory:
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            pass
    else:
        write_new(parent, name, b"")
    return os.open(name, _STEP, dir_fd=parent)


def write_new(parent: int, name: str, data: bytes, mode: int = 0o644) -> None:
    """A new file in the directory ``parent``; never through a link, never over something that is there."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)
    with open(fd, "wb") as file:
        file.write(data)


def _check_kind(fd: int, path: str, *, directory: bool) -> None:
    is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
    if directory and not is_directory:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if is_directory and not directory:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
