"""The tree that ``cp`` and ``export`` work on: a container's root with its volumes and binds in their places.

The kernel mounts them for the worker alone. Where it may not, the worker itself goes on in another directory wherever
one belongs (:class:`minirt.layers.grafted.Grafted`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minirt.containers.tree_tar import parts_of
from minirt.layers.beneath import Beneath
from minirt.layers.grafted import Grafted
from minirt.linux import mounts
from minirt.linux.paths import ensure_inside, opened
from minirt.linux.syscalls import umount
from minirt.model.spec import TreeRoot
from minirt.sandbox.running_guest import bindings_of
from minirt.sandbox.stubs import Stubs, remove_stubs

__all__ = ["open_tree"]


@contextmanager
def open_tree(arguments: dict[str, Any], root: str) -> Iterator[Beneath]:
    """``mounts`` (source, target, read-only) are those of a container that does not run, what holds others first;
    ``storage`` is where its files lie. ``grafts``: nothing may be mounted; then ``running`` is the process of one that
    runs, and when it began.
    """
    stubs = Stubs(root, TreeRoot(arguments.get("storage", "")))
    opens = _grafted if arguments.get("grafts") else _mounted
    try:
        with opens(arguments, root, stubs) as tree:
            yield tree
    finally:
        if stubs.made:
            remove_stubs(arguments["storage"], **stubs.to_json())


@contextmanager
def _mounted(arguments: dict[str, Any], root: str, stubs: Stubs) -> Iterator[Beneath]:
    done: list[str] = []
    try:
        for source, target, read_only in arguments.get("mounts", ()):
            with _place(root, source, target, stubs) as place:
                done.append(os.readlink(f"/proc/self/fd/{place}"))
                mounts.bind(source, place, target, read_only=read_only)
        if arguments.get("read_only"):
            mounts.set_read_only(root)
        with Beneath(Path(root + "/")) as tree:
            yield tree
    finally:
        # A root that is a copy lies where its stubs do, and they are busy as long as something is mounted on them.
        for mounted in reversed(done):
            with suppress(OSError):
                umount(mounted)


@contextmanager
def _grafted(arguments: dict[str, Any], root: str, stubs: Stubs) -> Iterator[Beneath]:
    read_only, bindings = arguments.get("read_only", False), arguments.get("mounts", ())
    if arguments.get("running"):
        read_only, bindings = bindings_of(*arguments["running"])
    with Grafted(Path(root), read_only=read_only) as tree:
        for source, target, guarded in bindings:
            parts = parts_of(target)
            if not arguments.get("running") and not tree.seam(tree.physical(parts)):
                with _place(root, source, target, stubs):
                    pass
            tree.graft(source, parts, read_only=guarded)
        yield tree


@contextmanager
def _place(root: str, source: str, target: str, stubs: Stubs) -> Iterator[int]:
    """Where ``source`` belongs, made if it is missing."""
    with opened(root, os.O_PATH | os.O_DIRECTORY) as fd:
        place = ensure_inside(fd, target, directory=os.path.isdir(source), note=stubs.note)
    try:
        yield place
    finally:
        os.close(place)
