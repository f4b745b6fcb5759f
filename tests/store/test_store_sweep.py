"""Sweeping: what nothing reaches goes, what anything needs stays."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minirt.model.digest import Digest
from minirt.model.manifest import LAYER, Descriptor, Index, Manifest
from minirt.model.reference import Reference
from minirt.store import Store
from minirt.testing.layout import check_layout

HELLO = Reference.parse("hello:1")
PutImage = Callable[[Store, str], Descriptor]
Spawn = Callable[[Callable[[], None]], Any]


def test_what_a_name_reaches_stays(store: Store, put_image: PutImage) -> None:
    """Manifest, config and layer of a named or untagged image survive a sweep."""
    store.set_reference(HELLO, put_image(store, "a"))
    store.add_untagged(put_image(store, "b"))
    assert store.sweep().blobs == 0
    check_layout(store.home)


def test_what_an_index_reaches_stays(store: Store, put_image: PutImage) -> None:
    """A name for an image of several platforms keeps all of them."""
    index = Index((put_image(store, "a"), put_image(store, "b")))
    store.set_reference(HELLO, store.put(index.to_bytes(), index.media_type))
    store.close()
    assert store.sweep().blobs == 0


def test_what_nothing_reaches_goes(store: Store, put_image: PutImage) -> None:
    """After its name is removed, an image's blobs are swept and their bytes counted; shared ones stay."""
    old = put_image(store, "old")
    layer = Manifest.from_bytes(store.read(old.digest)).layers[0]
    store.set_reference(HELLO, old)
    new = store.put(Manifest(store.put(b'{"other":1}', "application/json"), (layer,)).to_bytes(), old.media_type)
    store.set_reference(HELLO.with_tag("2"), new)
    store.remove_reference(HELLO)
    result = store.sweep()
    assert result.blobs == 2
    assert old.digest in result.removed
    assert result.bytes > old.size
    assert store.has(layer.digest)
    check_layout(store.home)


def test_what_the_caller_keeps_stays(store: Store, put_image: PutImage) -> None:
    """Digests given to sweep() stay with everything they lead to."""
    image = put_image(store, "a")
    store.close()
    assert store.sweep(keep=[image.digest]).blobs == 0
    assert store.sweep().blobs == 3


def test_what_is_written_and_not_named_yet_stays_while_its_writer_lives(store: Store, put_image: PutImage) -> None:
    """Another process's sweep spares the blobs of a build that has not come to its name."""
    put_image(store, "a")
    other = Store(store.home)
    assert other.sweep().blobs == 0
    store.close()
    assert other.sweep().blobs == 3


def test_a_lease_ends_with_its_block(store: Store, put_image: PutImage) -> None:
    """What a build wrote inside a lease and did not name can be swept as soon as the lease ends."""
    with store.lease():
        put_image(store, "a")
        assert store.sweep().blobs == 0
    assert store.sweep().blobs == 3


def test_finding_a_blob_inside_a_lease_holds_it(store: Store) -> None:
    """has() inside a lease promises that the blob stays until the lease ends."""
    put = store.put(b"layer", LAYER)
    store.close()
    with store.lease():
        assert store.has(put.digest)
        assert Store(store.home).sweep().blobs == 0
    assert store.sweep().blobs == 1


def test_two_leases_in_one_process_do_not_end_each_other(store: Store) -> None:
    """A blob written while two leases are open stays until both have ended."""
    with store.lease():
        with store.lease():
            store.put(b"layer", LAYER)
        assert store.sweep().blobs == 0
    assert store.sweep().blobs == 1


def test_a_killed_writers_leavings_are_swept(store: Store, spawn: Spawn) -> None:
    """After a kill -9, the half-written blob and the lease of the dead process are gone with the next sweep."""
    read, write = os.pipe()

    def work() -> None:
        mine = Store(store.home)
        mine.put(b"unnamed", LAYER)
        with mine.writer() as writer:
            writer.write(b"half")
            os.write(write, b"!")
            threading.Event().wait()

    child = spawn(work)
    os.read(read, 1)
    assert store.sweep().blobs == 0
    assert len(os.listdir(store.home / "tmp")) == 1
    child.kill()
    child.wait()
    assert store.sweep().removed == (Digest.of(b"unnamed"),)
    assert os.listdir(store.home / "tmp") == []
    assert os.listdir(store.home / "leases") == []


def test_files_that_are_no_blobs_are_left_alone(store: Store) -> None:
    """A sweep removes blobs only."""
    stranger = store.home / "blobs" / "sha256" / "notes.txt"
    stranger.write_text("mine")
    assert store.sweep().blobs == 0
    assert stranger.exists()


def test_a_damaged_manifest_does_not_stop_a_sweep(store: Store, put_image: PutImage) -> None:
    """A manifest that cannot be read leads nowhere, and a sweep goes on."""
    image = put_image(store, "a")
    store.set_reference(HELLO, image)
    path = store.path(image.digest)
    path.chmod(0o644)
    path.write_bytes(b"{")
    assert store.sweep().blobs == 2


@pytest.mark.parametrize("builders", [3])
def test_sweeps_never_take_what_builds_need(tmp_path: Path, put_image: PutImage, spawn: Spawn, builders: int) -> None:
    """Processes that build and name images while another one sweeps without pause all end with whole images."""
    home = tmp_path / "home"
    Store(home)

    def build(number: int) -> None:
        store = Store(home)
        for turn in range(20):
            with store.lease():
                # The same few images again and again, so that blobs are found as often as written.
                store.set_reference(HELLO.with_tag(f"{number}"), put_image(store, f"image {turn % 3}"))
            for old in store.untagged():
                store.remove_untagged(old.digest)

    def sweep() -> None:
        store = Store(home)
        while True:
            store.sweep()

    sweeper = spawn(sweep)
    codes = [child.wait() for child in [spawn(lambda number=number: build(number)) for number in range(builders)]]
    sweeper.kill()
    assert codes == [0] * builders
    check_layout(home)
    assert len(Store(home).references()) == builders
