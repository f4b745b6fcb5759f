"""A home on a small disk of its own, which can be filled and freed."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minirt.engine import Engine

__all__ = ["SmallDisk"]


class SmallDisk:
    """An engine whose home is a file system of ``size`` with ``inodes`` files at most."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.engine = Engine(place / "home")
        self._fill = place / "fill"

    def fill(self) -> None:
        """To the last byte."""
        with self._fill.open("ab", buffering=0) as file:
            for size in (1 << 16, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def use_up_names(self) -> None:
        """No further file can be made; bytes are free."""
        directory = self.place / "names"
        directory.mkdir(exist_ok=True)
        try:
            for number in range(1 << 20):
                (directory / str(number)).touch()
        except OSError as error:
            assert error.errno == errno.ENOSPC

    def free(self) -> None:
        self._fill.unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", self.place / "names"], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid():
        pytest.skip("a small disk is mounted for this, which needs root")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m,nr_inodes=3000,mode=755", "none", place], check=True)
    try:
        disk = SmallDisk(place)
        disk.engine.image_store.base()
        yield disk
        disk.free()
        for container in disk.engine.containers.list(all=True):
            container.remove(force=True, v=True)
        disk.engine.close()
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
