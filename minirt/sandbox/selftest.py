"""Functions for :meth:`Sandbox.call` that show what a worker sees; for tests and for ``docker info``."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

from minirt.errors import CorruptBlob, Location

__all__ = ["crash", "doze", "echo", "explain", "fail", "hang", "look"]


def echo(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> dict[str, Any]:
    """Its own arguments."""
    return arguments


def look(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> dict[str, Any]:
    """Who and where the worker is; what is in its root; each descriptor gets a greeting."""
    for fd in fds:
        os.write(fd, b"hello")
    if root_dir is not None and arguments.get("write"):
        with open(f"{root_dir}/{arguments['write']}", "w") as file:
            file.write("written\n")
        os.chown(f"{root_dir}/{arguments['write']}", arguments.get("uid", 0), 0)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "uid": os.geteuid(),
        "root_dir": root_dir,
        "entries": sorted(os.listdir(root_dir)) if root_dir is not None else [],
        "environment": dict(os.environ),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
    }


def fail(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> None:
    """An error with all its fields."""
    raise CorruptBlob("not the bytes", where=Location("a file", 3, 2, 1, "text"), cause="why", hint="what to do")


def explain(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> None:
    """An error of the operating system."""
    open(arguments["path"]).close()


def crash(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> None:
    """A bug."""
    raise ZeroDivisionError("oops")


def doze(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> None:
    """Long work."""
    while True:
        time.sleep(1)


def hang(arguments: dict[str, Any], root_dir: str | None, fds: list[int]) -> None:
    """Long work that tells its process id on its first descriptor."""
    os.write(fds[0], f"{os.getpid()}\n".encode())
    if arguments.get("child"):
        subprocess.run(["sleep", str(arguments["child"])], check=False)
    while True:
        time.sleep(1)
