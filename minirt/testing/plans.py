"""Changes to a tree as plain values, which a property test can draw, print and shrink, and then carry out."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KINDS", "NAMES", "Step", "carry_out"]

# Names that have broken tar programs: not UTF-8, a newline, a backslash, a trailing space, long, and looking like
# options or records. As text with surrogate escapes, as Python shows such names.
NAMES = (
    "a", "b", "c", "-rf", "sp ace ", "new\nline", "é", "🐳", "\udcff\udc80", "back\\slash", "x=1", ".hidden", ".wh",
    "l" * 101, "ü" * 120, "m" * 255,
)  # fmt: skip

_CONTENTS = [b"", b"x", b"y" * 511, b"z" * 512, bytes(513), bytes(range(256)) * 300]
_TIMES = [0, 1, 1_700_000_000_000_000_000, 1_700_000_000_123_456_789, -1_500_000_000, 2_500_000_000_000_000_001]


@dataclass(frozen=True, slots=True)
class Step:
    """One change. ``where`` and ``other`` choose among what exists; ``value`` chooses content, mode, owner or time."""

    what: str
    where: int
    other: int
    name: str
    value: int


KINDS = (
    "file", "file", "directory", "directory", "symlink", "hardlink", "pipe", "write", "delete", "delete", "rename",
    "replace", "chmod", "chown", "utime", "xattr", "device",
)  # fmt: skip


def carry_out(plan: list[Step], root: Path, *, privileged: bool) -> None:
    """Do the steps below ``root``. A step that cannot be done (the name is taken, …) is left out.

    ``privileged``: also make devices and change owners.
    """
    for step in plan:
        try:
            _do(step, root, privileged)
        except (OSError, shutil.Error):
            continue


def _paths(root: Path, *, directories: bool) -> list[Path]:
    found = [root] if directories else []
    for directory, below, files in os.walk(root):
        names = below if directories else below + files
        found += [Path(directory) / name for name in names]
    return sorted((p for p in found if not (directories and p.is_symlink())), key=os.fsencode)


def _do(step: Step, root: Path, privileged: bool) -> None:
    directories = _paths(root, directories=True)
    new = directories[step.where % len(directories)] / step.name
    content = _CONTENTS[step.value % len(_CONTENTS)]
    if step.what == "file":
        with new.open("xb") as file:
            file.write(content)
    elif step.what == "directory":
        new.mkdir()
    elif step.what == "symlink":
        new.symlink_to(["a", "/etc/passwd", "../b", "é", "t" * 150, "nowhere"][step.value % 6])
    elif step.what == "pipe":
        os.mkfifo(new)
    elif step.what == "device" and privileged:
        os.mknod(new, [stat.S_IFCHR, stat.S_IFBLK][step.value % 2] | 0o640, os.makedev(1 + step.value, 3 + step.value))
    else:
        _change(step, root, new, content, privileged)


def _change(step: Step, root: Path, new: Path, content: bytes, privileged: bool) -> None:
    existing = _paths(root, directories=False)
    if not existing:
        return
    path = existing[step.other % len(existing)]
    if step.what == "hardlink":
        os.link(path, new, follow_symlinks=False)
    elif step.what == "write" and path.is_file() and not path.is_symlink():
        path.write_bytes(content)
    elif step.what in ("delete", "replace"):
        _remove(path)
        if step.what == "replace" and step.value % 2:
            path.mkdir()
        elif step.what == "replace":
            path.write_bytes(content)
    elif step.what == "rename":
        path.rename(new)
    elif step.what == "chmod" and not path.is_symlink():
        mode = [0o644, 0o755, 0o4755, 0o2710, 0o1777, 0o000][step.value % 6]
        path.chmod(mode if privileged else mode | 0o700)  # others cannot read what is closed to its owner
    elif step.what == "chown" and privileged:
        os.chown(path, step.value, [0, 5, 2_000_000_000][step.value % 3], follow_symlinks=False)
    elif step.what == "utime":
        time = _TIMES[step.value % len(_TIMES)]
        os.utime(path, ns=(time, time), follow_symlinks=False)
    elif step.what == "xattr" and not path.is_symlink() and (path.is_file() or path.is_dir()):
        os.setxattr(path, f"user.n{step.value % 3}", content[:200] or b"\xff\0=\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
