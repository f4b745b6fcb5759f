"""Stores that read the homes of others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from minirt.errors import BlobNotFound, HomeUnusable
from minirt.model.manifest import MANIFEST, Descriptor
from minirt.model.reference import Reference
from minirt.store import Store

HELLO, LESSON = Reference.parse("hello:1"), Reference.parse("lesson:1")
Put = Callable[..., Descriptor]


@pytest.fixture
def filled(tmp_path: Path, put_image: Put) -> Callable[[str, str], tuple[Store, Descriptor]]:
    """A home with one image, named ``lesson:1``."""

    def fill(name: str, text: str) -> tuple[Store, Descriptor]:
        store = Store(tmp_path / name)
        image = put_image(store, text)
        store.set_reference(LESSON, image)
        return store, image

    return fill


def _files(home: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in home.rglob("*")}


def test_names_and_blobs_of_others_are_found_and_nothing_is_written_there(
    tmp_path: Path, filled: Callable[[str, str], tuple[Store, Descriptor]]
) -> None:
    """Two stores are asked in order; what they hold is not stored again, and the first to give a name is right."""
    (one, first), (two, second) = filled("one", "first"), filled("two", "second")
    before = _files(one.home) | _files(two.home)
    store = Store(tmp_path / "own", [one.home, two.home, tmp_path / "own"])
    assert store.homes == (store.home, one.home, two.home)
    assert (store.resolve(LESSON), store.shared_by(LESSON)) == (one.resolve(LESSON), one.home)
    assert store.has(first.digest, first.size) and store.has(second.digest)
    assert store.read(second.digest) == two.read(second.digest)
    assert store.put(one.read(first.digest), MANIFEST) == first
    store.set_reference(LESSON, first)  # what it is called already
    store.set_reference(HELLO, second)
    assert [ref for ref, _ in store.own_references()] == [HELLO]
    assert [ref for ref, _ in store.references()] == [HELLO, LESSON]
    assert list((store.home / "blobs/sha256").iterdir()) == []
    assert store.sweep().blobs == 0
    assert _files(one.home) | _files(two.home) == before


def test_a_name_of_ones_own_covers_a_shared_one(
    tmp_path: Path, filled: Callable[[str, str], tuple[Store, Descriptor]], put_image: Put
) -> None:
    """It counts until it is removed; then the shared store's is there again."""
    shared, theirs = filled("one", "theirs")
    store = Store(tmp_path / "own", [shared.home])
    mine = put_image(store, "mine")
    store.set_reference(LESSON, mine)
    found = store.resolve(LESSON)
    assert found is not None and found.digest == mine.digest
    assert store.shared_by(LESSON) is None
    assert store.remove_reference(LESSON) and not store.remove_reference(LESSON)
    found = store.resolve(LESSON)
    assert found is not None and found.digest == theirs.digest


def test_layers_of_an_image_built_upon_a_shared_one_outlive_a_sweep(
    tmp_path: Path, filled: Callable[[str, str], tuple[Store, Descriptor]], put_image: Put
) -> None:
    """A manifest that only the shared store has still leads to the blobs that lie here."""
    shared, image = filled("one", "text")
    own = Store(tmp_path / "own")
    assert put_image(own, "text") == image
    own.close()
    (own.home / "blobs" / "sha256" / image.digest.hex).unlink()
    store = Store(own.home, [shared.home])
    store.set_reference(HELLO, image)
    assert store.sweep().blobs == 0


def test_a_blob_is_missed_by_name_once_its_shared_store_is_not_asked(
    tmp_path: Path, filled: Callable[[str, str], tuple[Store, Descriptor]]
) -> None:
    """The error names shared stores among the causes."""
    shared, image = filled("one", "text")
    Store(tmp_path / "own", [shared.home]).set_reference(HELLO, image)
    with pytest.raises(BlobNotFound, match=str(image.digest)) as caught:
        Store(tmp_path / "own").read(image.digest)
    assert "shared store" in caught.value.cause


@pytest.mark.parametrize("layout", [None, b'{"imageLayoutVersion":"9"}', b"[]"])
def test_what_is_no_home_is_refused(tmp_path: Path, layout: bytes | None) -> None:
    """A volume that is not mounted, or another version's home: the error says which directory, and what sets it."""
    place = tmp_path / "srv"
    place.mkdir()
    if layout is not None:
        (place / "oci-layout").write_bytes(layout)
        (place / "index.json").write_text("{}")
    with pytest.raises(HomeUnusable, match=str(place)) as caught:
        Store(tmp_path / "own", [place])
    assert "MINIRT_SHARED_STORE" in caught.value.hint
