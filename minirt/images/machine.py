"""Which programs of the machine go into ``minirt/base``, and what they bring along."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minirt.errors import Unsupported
from minirt.images.libraries import Libraries, Missing
from minirt.images.recipe import BUSYBOX, DIRECTORIES, LINKS, PLACES, PROGRAMS, texts
from minirt.images.tree import Copied, Directory, Tree, Written, merged_path

__all__ = ["Chosen", "choose_files"]

_LIMIT = 14_500_000  # bytes of programs and libraries
_SHELLS = ("sh", "bash", "dash", "ash")


@dataclass(slots=True)
class Chosen:
    """The tree, and every file and directory of the machine that had a say in it (``sources``)."""

    tree: Tree = field(default_factory=Tree)
    sources: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    size: int = 0


def choose_files(root: Path = Path("/"), programs: Sequence[str] = PROGRAMS) -> Chosen:
    """The whole image on paper. Raises :class:`Unsupported` without a shell that can be taken along."""
    chosen = Chosen()
    for path, mode in DIRECTORIES.items():
        chosen.tree.add(path, Directory(mode))
    for path, target in LINKS.items():
        chosen.tree.link(path, target)
    chosen.sources += [place for place in PLACES if (root / place.lstrip("/")).is_dir()]
    libraries = Libraries(root)
    busybox = _static_busybox(root, libraries)
    if busybox is not None:
        origin = _take_busybox(root, busybox, chosen)
    else:
        origin = _take_programs(root, libraries, programs, chosen)
    for path, text in texts(_system(root), origin).items():
        chosen.tree.add(path, Written(text.encode()))
    return chosen


def _static_busybox(root: Path, libraries: Libraries) -> str | None:
    shell = libraries.elf("/bin/sh") if (root / "bin/sh").is_file() else None
    for path in BUSYBOX:
        try:
            elf = libraries.elf(path)
        except OSError:
            continue
        # One of another architecture, for an emulator, would not run here.
        if elf is not None and elf.interpreter is None and not elf.needed and (shell is None or elf.kind == shell.kind):
            return path
    return None


def _take_busybox(root: Path, path: str, chosen: Chosen) -> str:
    import subprocess  # only here, so that commands that never come here start sooner

    program = root / path.lstrip("/")
    try:
        listed = subprocess.run([program, "--list-full"], capture_output=True, timeout=10, check=True).stdout.decode()
    except (OSError, subprocess.SubprocessError) as error:
        raise Unsupported(
            "minirt/base cannot be made: this machine's busybox does not run", cause=str(error)
        ) from error
    chosen.sources.append(path)
    chosen.tree.add("usr/bin/busybox", Copied(path, program))
    chosen.size += program.stat().st_size
    names = [line.strip() for line in listed.splitlines() if line.strip()]
    for name in names:
        place = merged_path(name if "/" in name else f"bin/{name}")
        # Some builds list /linuxrc, which is for booting.
        if place.startswith(("usr/bin/", "usr/sbin/")):
            chosen.tree.link(place, "usr/bin/busybox")
    if "usr/bin/sh" not in chosen.tree.items:
        raise Unsupported("minirt/base cannot be made: this machine's busybox has no shell")
    return f"All {len(names)} commands are one program, busybox, copied from {path}."


def _take_programs(root: Path, libraries: Libraries, programs: Sequence[str], chosen: Chosen) -> str:
    origins: list[str] = []
    for name in programs:
        found = _find(root, name)
        if found is None:
            continue
        try:
            taken = _take_program(root, libraries, name, found, chosen)
        except (Missing, OSError) as error:
            if name == "sh":
                raise _no_shell(str(error)) from error
            taken = False
        if taken:
            origins.append(f"  /{_target(name, found):<24} {os.path.realpath(root / found.lstrip('/'))}")
        else:
            chosen.left_out.append(name)
    if "usr/bin/sh" not in chosen.tree.items:
        raise _no_shell("there is none in the usual places")
    parts = ["Programs, and the files they were copied from (with the libraries that they need):", *origins]
    if chosen.left_out:
        parts.append(f"Left out, mostly to keep the image small: {' '.join(chosen.left_out)}")
    return "\n".join(parts)


def _no_shell(why: str) -> Unsupported:
    return Unsupported(
        "minirt/base cannot be made: this machine has no shell that can be taken along",
        cause=why,
        hint="Install busybox-static, or pull an image such as alpine.",
    )


def _find(root: Path, name: str) -> str | None:
    for place in PLACES:
        path = root / place.lstrip("/") / name
        if path.is_file() and os.access(path, os.R_OK):
            return f"{place}/{name}"
    return None


def _target(name: str, found: str) -> str:
    return f"usr/sbin/{name}" if os.path.dirname(found).endswith("sbin") else f"usr/bin/{name}"


def _take_program(root: Path, libraries: Libraries, name: str, found: str, chosen: Chosen) -> bool:
    """Add a program with its libraries; False if there is no room for them, or if it is no program for this image."""
    real = _inside(root, os.path.realpath(root / found.lstrip("/")))
    if libraries.elf(real) is None and not _shell_script(root, real, chosen):
        return False
    files = {real: real, **libraries.closure(real)}
    files |= _by_name_service(root, files)
    fresh = {at: source for at, source in files.items() if merged_path(at) not in chosen.tree.items}
    cost = sum((root / source.lstrip("/")).stat().st_size for source in fresh.values())
    if chosen.size + cost > _LIMIT:
        return False
    chosen.size += cost
    for at, source in fresh.items():
        mode = 0o755 if at == real or ".so" in at else 0o644
        chosen.tree.add(merged_path(at), Copied(source, root / source.lstrip("/"), mode))
        chosen.sources.append(source)
    chosen.sources.append(found)
    if _target(name, found) != merged_path(real):
        chosen.tree.link(_target(name, found), merged_path(real))
    return True


def _shell_script(root: Path, path: str, chosen: Chosen) -> bool:
    with (root / path.lstrip("/")).open("rb") as file:
        first = file.readline(200)
    interpreter = os.path.basename(first[2:].strip().partition(b" ")[0].decode("utf-8", "replace"))
    return first.startswith(b"#!") and interpreter in _SHELLS and f"usr/bin/{interpreter}" in chosen.tree.items


def _by_name_service(root: Path, files: dict[str, str]) -> dict[str, str]:
    """Before 2.34, glibc loads a library by name to look up users; without it ``id`` knows no names."""
    for path in files:
        if os.path.basename(path) == "libc.so.6":
            service = f"{os.path.dirname(path)}/libnss_files.so.2"
            if (root / service.lstrip("/")).is_file():
                return {service: service}
    return {}


def _inside(root: Path, path: str) -> str:
    top = os.path.realpath(root)
    return path if top == "/" else "/" + os.path.relpath(path, top)


def _system(root: Path) -> str:
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            lines = (root / place).read_text().splitlines()
        except OSError:
            continue
        fields = dict(line.partition("=")[::2] for line in lines)
        name = fields.get("PRETTY_NAME", fields.get("NAME", "")).strip("\"'")
        if name:
            return name
    return "Linux"
