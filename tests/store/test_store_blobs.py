"""Blobs: stored once, verified always, never half there."""

import io
import os
from pathlib import Path

import pytest

from minirt.errors import BlobNotFound, CorruptBlob, HomeUnusable, StorageFull
from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, LAYER, Descriptor
from minirt.store import Store, atomic_write
from minirt.testing.layout import check_layout


def damage(store: Store, digest: Digest, content: bytes) -> None:
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_new_home_is_a_sound_layout(store: Store) -> None:
    """Making a store makes a valid, empty OCI image layout."""
    check_layout(store.home)
    assert store.references() == ()


def test_opening_a_home_again_changes_nothing(store: Store) -> None:
    """A second store on the same home finds what the first one put there."""
    put = store.put(b"hello", CONFIG)
    again = Store(store.home)
    assert again.read(put.digest) == b"hello"


def test_a_blob_comes_back_as_it_went_in(store: Store) -> None:
    """put() gives the descriptor of the bytes and read() gives the bytes."""
    put = store.put(b"hello", CONFIG)
    assert put == Descriptor(CONFIG, Digest.of(b"hello"), 5)
    assert store.read(put.digest) == b"hello"
    assert store.size(put.digest) == 5
    assert store.path(put.digest).read_bytes() == b"hello"


def test_storing_twice_is_storing_once(store: Store) -> None:
    """The same bytes are one file, however often they are stored."""
    assert store.put(b"x", CONFIG) == store.put(b"x", CONFIG)
    assert len(os.listdir(store.home / "blobs/sha256")) == 1


def test_a_writer_takes_pieces_of_any_kind(store: Store) -> None:
    """A blob written in pieces is the blob of their concatenation."""
    with store.writer() as writer:
        writer.write(b"ab")
        writer.write(memoryview(b"-cd-")[1:3])
        writer.write(bytearray(b"ef"))
        descriptor = writer.commit(LAYER, expected=Digest.of(b"abcdef"), size=6)
    assert store.read(descriptor.digest) == b"abcdef"


def test_a_blob_of_no_bytes_exists(store: Store) -> None:
    """The empty blob is a blob like any other."""
    descriptor = store.put(b"", LAYER)
    assert store.has(descriptor.digest)
    assert store.read(descriptor.digest) == b""


def test_sha512_blobs_are_stored_under_their_own_name(store: Store) -> None:
    """A blob announced with sha512 is verified with it and stored below blobs/sha512."""
    digest = Digest("sha512", __import__("hashlib").sha512(b"x").hexdigest())
    with store.writer() as writer:
        writer.write(b"x")
        writer.commit(LAYER, expected=digest)
    assert store.read(digest) == b"x"
    check_layout(store.home)


@pytest.mark.parametrize(
    ("expected", "size"),
    [(Digest.of(b"other"), None), (None, 4), (Digest.of(b"hello"), 6)],
    ids=["digest", "short", "long"],
)
def test_wrong_bytes_are_not_stored(store: Store, expected: Digest | None, size: int | None) -> None:
    """A commit with another digest or size than announced raises and leaves nothing."""
    with pytest.raises(CorruptBlob), store.writer() as writer:
        writer.write(b"hello")
        writer.commit(LAYER, expected=expected, size=size)
    assert os.listdir(store.home / "blobs/sha256") == []
    assert os.listdir(store.home / "tmp") == []


def test_an_abandoned_writer_leaves_nothing(store: Store) -> None:
    """Whatever ends the with-block without a commit, no file stays."""
    with pytest.raises(RuntimeError), store.writer() as writer:
        writer.write(b"hello")
        raise RuntimeError
    with store.writer() as writer:
        writer.write(b"hello")
    assert os.listdir(store.home / "blobs/sha256") == []
    assert os.listdir(store.home / "tmp") == []


def test_a_missing_blob_is_named(store: Store) -> None:
    """Every way to ask for a blob that is not there raises BlobNotFound with its digest."""
    digest = Digest.of(b"nowhere")
    assert not store.has(digest)
    for ask in (store.read, store.open, store.path, store.size):
        with pytest.raises(BlobNotFound, match=digest.hex):
            ask(digest)


@pytest.mark.parametrize("content", [b"hullo", b"hell", b"hello!", b""], ids=["changed", "cut", "longer", "emptied"])
def test_a_damaged_blob_is_never_handed_out_as_whole(store: Store, content: bytes) -> None:
    """Reading to the end of a blob whose bytes changed on the disk raises CorruptBlob."""
    put = store.put(b"hello", CONFIG)
    damage(store, put.digest, content)
    with pytest.raises(CorruptBlob):
        store.read(put.digest)
    with pytest.raises(CorruptBlob), store.open(put.digest, put.size) as reader:
        while reader.read(2):
            pass
    with pytest.raises(CorruptBlob), store.open(put.digest, put.size) as reader:
        io.BufferedReader(reader).read()  # type: ignore[arg-type]  # any reader of io's own will do


def test_a_reader_reports_a_wrong_announcement(store: Store) -> None:
    """A size other than the blob's is an error even though the digest fits."""
    put = store.put(b"hello", CONFIG)
    for size in (4, 6):
        with pytest.raises(CorruptBlob), store.open(put.digest, size) as reader:
            reader.read()


def test_storing_again_heals_a_damaged_blob(store: Store) -> None:
    """A blob that lost its bytes (a power failure) counts as absent and is replaced by the next writer."""
    put = store.put(b"hello", CONFIG)
    damage(store, put.digest, b"")
    assert not store.has(put.digest)
    store.put(b"hello", CONFIG)
    assert store.read(put.digest) == b"hello"


def test_a_file_made_elsewhere_is_taken_over(store: Store) -> None:
    """adopt() moves a finished file among the blobs, unless its size is not the announced one."""
    path = store.home / "tmp" / "packed"
    path.write_bytes(b"layer")
    with pytest.raises(CorruptBlob):
        store.adopt(path, LAYER, Digest.of(b"layer"), 4)
    assert store.adopt(path, LAYER, Digest.of(b"layer"), 5).size == 5
    assert store.read(Digest.of(b"layer")) == b"layer"
    assert not path.exists()


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(small_disk: Path) -> None:
    """Running out of space while writing a blob raises StorageFull and frees what was written."""
    store = Store(small_disk / "home")
    with pytest.raises(StorageFull, match="no space left") as caught, store.writer() as writer:
        for _ in range(4):
            writer.write(os.urandom(512 << 10))
    assert "prune" in caught.value.hint
    assert os.listdir(store.home / "tmp") == []
    store.put(b"small", LAYER)
    check_layout(store.home)


def test_a_full_disk_keeps_the_old_file(small_disk: Path) -> None:
    """atomic_write on a full disk leaves the former content and no temporary file."""
    path = small_disk / "state"
    atomic_write(path, b"old")
    with pytest.raises(StorageFull):
        atomic_write(path, bytes(4 << 20))
    assert path.read_bytes() == b"old"
    assert os.listdir(small_disk) == ["state"]


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file in the way of the home is HomeUnusable, with the variable to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable) as caught:
        Store(tmp_path / "file" / "home")
    assert "MINIRT_HOME" in caught.value.hint
    assert "Errno" not in caught.value.explain()
    with pytest.raises(HomeUnusable):
        Store(tmp_path / "file")


def test_another_layouts_version_is_refused(store: Store) -> None:
    """A home whose oci-layout names an unknown version is not touched."""
    (store.home / "oci-layout").write_text('{"imageLayoutVersion":"9.0.0"}')
    with pytest.raises(HomeUnusable, match=r"not a home"):
        Store(store.home)


def test_a_home_is_not_made_among_other_peoples_files(tmp_path: Path) -> None:
    """A directory with other things in it is refused; one with only a config.json, or nothing, is taken."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(HomeUnusable, match="is not empty"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.json").write_text("{}")
    Store(tmp_path / "home")
    Store(tmp_path / "home")
