"""A Debian's root file system of the usual size, as a tar, from the packages that this machine has installed.

What debootstrap would put together, without a network: the essential packages, apt, python3 and perl, all that they
depend on, and their records in dpkg's database, so that apt knows them.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Packed", "pack"]

_WANTED = ("apt", "python3", "perl", "base-files", "debian-archive-keyring")
_FILLING = ("cmake-data", "vim-runtime", "git", "tzdata", "python3-pip", "locales")
_ENOUGH = 13_000
_FIELDS = "${Package}\t${Essential}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
_EMPTY = ("dev", "proc", "sys", "tmp", "run", "root", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial")


@dataclass(frozen=True, slots=True)
class Packed:
    """The tar at ``path``: how many files, how many bytes in them."""

    path: Path
    files: int
    size: int


def pack(path: Path) -> Packed | None:
    """None where this machine has no dpkg, or too few packages."""
    if shutil.which("dpkg-query") is None:
        return None
    known = _known()
    if any(name not in known for name in ("apt", "python3", "perl")):
        return None
    chosen = _closure(known, [*_WANTED, *(name for name, one in known.items() if one.essential)])
    names: dict[str, None] = dict.fromkeys(_EMPTY)
    for package in sorted(chosen):
        names |= dict.fromkeys(_files(package))
    for package in _FILLING:
        if len(names) < _ENOUGH and package in known:
            chosen |= _closure(known, [package])
            names |= dict.fromkeys(name for one in sorted(_closure(known, [package])) for name in _files(one))
    return _write(path, sorted(names), sorted(chosen))


@dataclass(frozen=True, slots=True)
class _Package:
    essential: bool
    needs: tuple[tuple[str, ...], ...]


def _known() -> dict[str, _Package]:
    said = subprocess.run(["dpkg-query", "-W", "-f", _FIELDS], capture_output=True, text=True, check=True).stdout
    found, provided = {}, {}
    for line in said.splitlines():
        name, essential, needs, provides = line.split("\t")
        alternatives = [re.findall(r"(?:^|\|)\s*([a-z0-9.+-]+)", part) for part in needs.split(",")]
        found[name] = _Package(essential == "yes", tuple(tuple(names) for names in alternatives if names))
        for virtual in re.findall(r"([a-z0-9.+-]+)(?: \([^)]*\))?", provides):
            provided.setdefault(virtual, found[name])
    return {**provided, **found}


def _closure(known: dict[str, _Package], names: list[str]) -> set[str]:
    done: set[str] = set()
    todo = [name for name in names if name in known]
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            todo += [choice for needs in known[name].needs if (choice := next((n for n in needs if n in known), ""))]
    return done


def _files(package: str) -> list[str]:
    said = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True)
    return [name.strip("/") for name in said.stdout.splitlines() if name.startswith("/") and name != "/."]


def _write(path: Path, names: list[str], packages: list[str]) -> Packed:
    files = size = 0
    links = [name for name in ("bin", "sbin", "lib", "lib64") if os.path.islink(f"/{name}")]
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in [*links, *names]:
            place = name
            # Packages name /bin/sh, which lies in /usr/bin here: one place a file, and nothing through a link.
            if name.split("/")[0] in links and "/" in name:
                place = f"usr/{name}"
            try:
                tar.add(f"/{place}", place, recursive=False)
            except OSError:
                continue  # left out when it was installed, as documentation often is
            files, size = files + 1, size + os.lstat(f"/{place}").st_size
        for extra in ("usr/bin/python3", "etc/passwd", "etc/group", "usr/bin/perl"):
            tar.add(f"/{extra}", extra, recursive=False)
        _add_records(tar, packages)
    return Packed(path, files, size)


def _add_records(tar: tarfile.TarFile, packages: list[str]) -> None:
    """The status file of dpkg, cut down to what is in the tree."""
    with open("/var/lib/dpkg/status", encoding="utf-8", errors="replace") as file:
        paragraphs = file.read().split("\n\n")
    wanted = set(packages)
    kept = [text for text in paragraphs if text.startswith("Package: ") and text.split("\n", 1)[0][9:] in wanted]
    data = ("\n\n".join(kept) + "\n\n").encode()
    entry = tarfile.TarInfo("var/lib/dpkg/status")
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))
