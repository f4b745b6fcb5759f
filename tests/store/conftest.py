"""What the store's tests share: a store, small images, a small disk, and processes."""

import json
import os
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, LAYER, MANIFEST, Descriptor, Manifest
from minirt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "home")
    yield store
    store.close()


@pytest.fixture
def put_image() -> Callable[..., Descriptor]:
    """Store an image of one layer; different ``text`` makes a different image."""

    def put(store: Store, text: str) -> Descriptor:
        content = text.encode().ljust(1024, b"\0")
        with store.writer() as writer:
            writer.write(content)
            layer = writer.commit(LAYER)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(content))]},
        }
        document = Manifest(store.put(json.dumps(config).encode(), CONFIG), (layer,))
        return store.put(document.to_bytes(), MANIFEST)

    return put


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    where = tmp_path / "small"
    where.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", where], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


class Child:
    """A forked process running ``work``; nothing of pytest runs in it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def wait(self) -> int:
        """The exit code; negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
def spawn() -> Iterator[Callable[[Callable[[], None]], Child]]:
    """Run a function in a process of its own."""
    children: list[Child] = []

    def start(work: Callable[[], None]) -> Child:
        children.append(Child(work))
        return children[-1]

    yield start
    for child in children:
        try:
            child.kill()
            child.wait()
        except (ProcessLookupError, ChildProcessError):
            continue
