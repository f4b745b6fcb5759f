"""Several processes on one home, and processes killed at any instant."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import Conflict
from minirt.model.manifest import Descriptor
from minirt.model.reference import Reference
from minirt.store import Store, atomic_write
from minirt.testing.layout import check_layout

HELLO = Reference.parse("hello:1")
PutImage = Callable[[Store, str], Descriptor]
Spawn = Callable[[Callable[[], None]], Any]

# The calls of the os module after each of which a kill is tried.
CALLS = {"open", "write", "close", "rename", "fsync", "unlink", "chmod", "mkdir"}


def die_after(count: int) -> Callable[[Any, str, Any], None]:
    """A profile function that kills the process before its ``count``-th call of the kernel."""
    left = [count]

    def watch(_frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in CALLS and function.__module__ in ("posix", None):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return watch


def killed_everywhere(spawn: Spawn, work: Callable[[], None], check: Callable[[], None]) -> int:
    """Run ``work`` again and again, killed one call later each time, with ``check`` after each; how often."""
    for count in range(1000):

        def doomed(count: int = count) -> None:
            sys.setprofile(die_after(count))
            work()
            sys.setprofile(None)

        code = spawn(doomed).wait()
        check()
        if code == 0:
            return count
        assert code == -signal.SIGKILL
    raise AssertionError("the work never ended")


def test_many_processes_add_names_and_none_is_lost(tmp_path: Path, put_image: PutImage, spawn: Spawn) -> None:
    """Four processes that make the home and name images at the same time all find all names in the end."""
    home = tmp_path / "home"

    def name(number: int) -> None:
        store = Store(home)
        for turn in range(15):
            store.set_reference(Reference.parse(f"image{number}:{turn}"), put_image(store, f"{number} {turn}"))

    children = [spawn(lambda number=number: name(number)) for number in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert len(Store(home).references()) == 60
    check_layout(home)


def test_a_kill_at_any_call_leaves_the_old_image_or_the_new(tmp_path: Path, put_image: PutImage, spawn: Spawn) -> None:
    """Killed before each single call of the kernel, naming a new image leaves a sound layout with one of the two."""
    home = tmp_path / "home"
    store = Store(home)
    old = put_image(store, "old")
    new = put_image(Store(tmp_path / "elsewhere"), "new")
    store.set_reference(HELLO, old)

    def work() -> None:
        mine = Store(home)
        with mine.lease():
            mine.set_reference(HELLO, put_image(mine, "new"))

    def check() -> None:
        check_layout(home)
        found = Store(home).resolve(HELLO)
        assert found is not None and found.digest in (old.digest, new.digest)

    assert killed_everywhere(spawn, work, check) > 20
    found = Store(home).resolve(HELLO)
    assert found is not None and found.digest == new.digest
    store.sweep()
    assert os.listdir(home / "tmp") == []


def test_a_kill_at_any_call_while_making_a_home_leaves_one_that_can_be_made(tmp_path: Path, spawn: Spawn) -> None:
    """A store can be opened after its making was killed anywhere."""
    made = iter(range(1000))

    def work() -> None:
        Store(home)

    def check() -> None:
        nonlocal home
        Store(home)
        check_layout(home)
        home = tmp_path / f"home{next(made)}"

    home = tmp_path / "home"
    assert killed_everywhere(spawn, work, check) > 5


def test_a_kill_at_any_call_of_an_atomic_write_leaves_old_or_new(tmp_path: Path, spawn: Spawn) -> None:
    """A file is the old one or the new one, whole, wherever atomic_write was killed."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    seen = set()

    def check() -> None:
        seen.add(path.read_bytes())
        path.write_bytes(b"old")

    assert killed_everywhere(spawn, lambda: atomic_write(path, b"new" * 1000), check) > 5
    assert seen == {b"old", b"new" * 1000}


def test_a_kill_at_a_random_time_leaves_a_sound_layout(tmp_path: Path, put_image: PutImage, spawn: Spawn) -> None:
    """Writers killed at arbitrary moments leave a home that others go on using."""
    home = tmp_path / "home"
    Store(home)

    def work() -> None:
        store = Store(home)
        for turn in range(100_000):
            store.set_reference(HELLO, put_image(store, f"{os.getpid()} {turn}"))

    for turn in range(10):
        child = spawn(work)
        time.sleep(0.01 + 0.004 * turn)
        child.kill()
        child.wait()
        check_layout(home)
    store = Store(home)
    store.set_reference(HELLO, put_image(store, "after"))
    for old in store.untagged():
        store.remove_untagged(old.digest)
    store.sweep()
    assert len(os.listdir(home / "blobs/sha256")) == 3


def test_a_lock_excludes_other_processes_and_dies_with_its_holder(store: Store, spawn: Spawn) -> None:
    """A held lock times out for others with a clear error, and is free once its holder is killed."""
    read, write = os.pipe()

    def hold() -> None:
        with Store(store.home).lock("build"):
            os.write(write, b"!")
            time.sleep(60)

    child = spawn(hold)
    os.read(read, 1)
    with pytest.raises(Conflict, match="build is busy"), store.lock("build", timeout=0.05):
        pass
    with store.lock("another", timeout=0.05):
        pass
    child.kill()
    child.wait()
    with store.lock("build", timeout=1):
        pass


def test_shared_holders_exclude_only_exclusive_ones(store: Store) -> None:
    """Any number of shared holders fit together; an exclusive one waits for all of them."""
    with store.lock("x", shared=True), store.lock("x", shared=True, timeout=0.05):
        with pytest.raises(Conflict), store.lock("x", timeout=0.05):
            pass
    with store.lock("x", timeout=0.05):
        pass


def test_a_lock_may_have_any_name(store: Store) -> None:
    """Names with slashes and dots are files below locks/ all the same."""
    with store.lock("../../a/b"):
        pass
    assert not (store.home.parent / "a").exists()


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_the_home_while_others_write(tmp_path: Path, put_image: PutImage, spawn: Spawn) -> None:
    """While two processes add and move names, skopeo finds a standing image every time."""
    home = tmp_path / "home"
    store = Store(home)
    image = put_image(store, "standing")
    store.set_reference(HELLO, image)

    def write(number: int) -> None:
        mine = Store(home)
        while True:
            mine.set_reference(Reference.parse(f"busy:{number}"), put_image(mine, f"{number} {time.monotonic()}"))
            mine.remove_reference(Reference.parse(f"busy:{number}"))
            for old in mine.untagged():
                mine.remove_untagged(old.digest)

    writers = [spawn(lambda number=number: write(number)) for number in range(2)]
    for _ in range(5):
        seen = subprocess.run(["skopeo", "inspect", f"oci:{home}:hello:1"], capture_output=True, text=True)
        assert seen.returncode == 0, seen.stderr
        assert json.loads(seen.stdout)["Digest"] == str(image.digest)
    for writer in writers:
        writer.kill()


def test_only_naming_an_image_waits_for_the_disk(store: Store, put_image: PutImage) -> None:
    """Twenty steps' blobs are written without a sync; the name's one call syncs what it leads to, and once only."""
    synced: list[str] = []

    def watch(_frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ == "fsync":
            synced.append("fsync")

    sys.setprofile(watch)
    try:
        images = [put_image(store, f"step {turn}") for turn in range(20)]
        before = len(synced)
        store.set_reference(HELLO, images[-1])
        after = len(synced)
        store.set_reference(HELLO.with_tag("2"), images[-1])
    finally:
        sys.setprofile(None)
    # Layer, config and manifest of one image, and their directory; index.json and its directory.
    assert (before, after - before, len(synced) - after) == (0, 6, 2)


def test_a_sweep_removes_the_files_of_free_locks_only(store: Store) -> None:
    """Every container has a lock of its own; the files of those that are gone do not pile up."""
    with store.lock("container-1"):
        pass
    with store.lock("container-2"):
        store.sweep()
        assert [path.name for path in (store.home / "locks").glob("user-*")] == ["user-container-2.lock"]
        with pytest.raises(Conflict), store.lock("container-2", timeout=0.05):
            pass


def test_locks_exclude_while_their_files_are_swept(store: Store, spawn: Spawn) -> None:
    """Whoever waited for a lock whose file went away locks the new file, and not the one that nobody sees."""
    counter = store.home / "counter"
    counter.write_text("0")

    def count() -> None:
        mine = Store(store.home)
        for _ in range(100):
            with mine.lock("counter"):
                value = int(counter.read_text())
                time.sleep(0)
                counter.write_text(str(value + 1))

    children = [spawn(count) for _ in range(3)]
    for _ in range(100):
        store.sweep()
    assert [child.wait() for child in children] == [0, 0, 0]
    assert counter.read_text() == "300"
