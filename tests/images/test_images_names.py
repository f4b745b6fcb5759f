"""Finding, naming and removing images."""

from __future__ import annotations

import pytest

from minirt.errors import ImageInUse, ImageNotFound, InvalidInput, InvalidReference
from minirt.images import ImageStore
from minirt.images.removal import ImageUse
from minirt.model.digest import Digest
from minirt.model.reference import Reference

A, B = {"a": b"a" * 10}, {"b": b"b" * 20}


def test_found_by_name_id_and_digest(images, make):
    """An image is found by its names, its id with and without sha256:, the beginning of it, and its digest."""
    image = make(A, names=("hello:1", "hello"))
    digest = image.descriptor.digest
    spellings = ["hello:1", "hello", "docker.io/library/hello:1", image.id.hex, str(image.id), image.short_id]
    for text in [*spellings, f"sha256:{image.id.hex[:8]}", f"hello@{digest}", f"hello:1@{digest}", image.id.hex[:3]]:
        assert images.get(text).id == image.id, text
    assert images.get("hello").tags == ("hello:1", "hello:latest")


def test_a_name_wins_over_an_id(images, make):
    """A name that looks like the beginning of an id is a name first, as with docker."""
    first = make(A, names=("x:1",))
    second = make(B, names=(first.id.hex[:4],))
    assert images.get(first.id.hex[:4]).id == second.id


def test_an_ambiguous_id_is_reported(images, make):
    """Where several ids begin alike, the error says so and shows more digits."""
    made = [make({"n": str(n).encode()}, cmd=str(n)) for n in range(40)]
    firsts = [image.id.hex[0] for image in made]
    twice = next(digit for digit in firsts if firsts.count(digit) > 1)
    with pytest.raises(InvalidInput, match=f"beginning of {firsts.count(twice)} image ids"):
        images.get(f"sha256:{twice}")


def test_a_missing_image_names_close_ones(images, make):
    """What is nearly right is answered with what there is."""
    make(A, names=("hello:1", "server:2.0", "a:latest"))
    for typed, meant in [("helo:1", "hello:1"), ("hello", "hello:1"), ("sever:2.0", "server:2.0")]:
        with pytest.raises(ImageNotFound, match=f"No such image: {typed}") as caught:
            images.get(typed)
        assert caught.value.hint == f"Did you mean {meant}?"
    for typed in ("f" * 64, "alpine", "nosuch"):  # a tag in common is no likeness
        with pytest.raises(ImageNotFound) as caught:
            images.get(typed)
        assert "Did you mean" not in caught.value.hint


def test_impossible_names_are_told_apart_from_missing_ones(images):
    """What could never be a name is no missing image."""
    with pytest.raises(InvalidReference, match="lowercase"):
        images.get("Hello")


def test_listing(images, make):
    """Newest first; a repository, a name or a pattern picks; dangling images are there without one."""
    old = make(A, names=("old:1", "old:2"), created="2025-01-01T00:00:00Z")
    new = make(B, names=("new:1",), created="2026-01-01T00:00:00Z")
    lost = make(A, B, created="2024-01-01T00:00:00Z")
    assert [image.id for image in images.list()] == [new.id, old.id, lost.id]
    assert [image.id for image in images.list("old")] == [old.id]
    assert [image.id for image in images.list("*:1")] == [new.id, old.id]
    assert lost.dangling and not old.dangling
    assert images.list("nothing") == ()


def test_a_tag_moves(images, make):
    """Tagging another image takes the name from the first, which stays without one."""
    first, second = make(A, names=("app",)), make(B, names=("next",))
    images.tag("next", "app:latest")
    assert images.get("app").id == second.id and images.get("app").tags == ("next:latest", "app:latest")
    assert images.get(str(first.id)).dangling
    with pytest.raises(InvalidReference, match="digest"):
        images.tag("next", f"app@{second.descriptor.digest}")


def test_removing_one_name_of_several(images, make):
    """While other names remain, only the name goes."""
    image = make(A, names=("a:1", "b:1"))
    removal = images.remove("a:1")
    assert (removal.untagged, removal.deleted) == (("a:1",), ())
    assert images.get(str(image.id)).tags == ("b:1",)


def test_removing_the_last_name_removes_the_image(images, make):
    """With the last name go the image and the blobs that nothing else needs."""
    image, kept = make(A, B, names=("a:1",)), make(A, names=("kept",))
    layer = image.manifest.layers[1]
    removal = images.remove("a:1")
    assert (removal.untagged, removal.deleted) == (("a:1",), (image.id,))
    assert removal.layers == (layer.digest,)
    images.store.close()
    images.prune()
    assert not images.store.has(layer.digest) and images.store.has(kept.manifest.layers[0].digest)
    with pytest.raises(ImageNotFound):
        images.get("a:1")


def test_removing_by_id(images, make):
    """By its id an image goes with its one name; with several names only by force."""
    image = make(A, names=("a:1", "a:2"))
    with pytest.raises(ImageInUse, match=f"unable to delete {image.short_id} .must be forced. .*multiple"):
        images.remove(image.short_id)
    removal = images.remove(image.short_id, force=True)
    assert removal.untagged == ("a:1", "a:2") and removal.deleted == (image.id,)


@pytest.mark.parametrize("running", [False, True])
def test_an_image_in_use(images, make, running):
    """A container's image is kept; by force its name goes, and it goes too once no container runs."""
    image = make(A, names=("a:1", "b:1"))
    held = ImageStore(images.store, in_use=lambda _: (ImageUse("c0ffee", running),), keep=lambda: ())
    assert held.remove("b:1").untagged == ("b:1",)
    with pytest.raises(ImageInUse, match="container c0ffee is using its referenced image"):
        held.remove("a:1")
    with pytest.raises(ImageInUse, match="running container c0ffee" if running else "stopped container c0ffee"):
        held.remove(image.short_id)
    removal = held.remove("a:1", force=True)
    assert removal.untagged == ("a:1",) and removal.deleted == (() if running else (image.id,))
    if running:
        assert held.get(str(image.id)).dangling
        assert held.prune().deleted == ()


def test_pruning(images, make):
    """Without names it goes; with all, everything that no container uses goes."""
    lost, named = make(A), make(B, names=("named",))
    assert images.prune().deleted == (lost.id,)
    used = ImageStore(images.store, in_use=lambda image: (ImageUse("c1"),) if image == named.id else ())
    assert used.prune(all=True).deleted == ()
    removal = images.prune(all=True)
    assert (removal.untagged, removal.deleted) == (("named:latest",), (named.id,))


def test_digest_names_go_with_the_last_tag(images, make):
    """A digest is no name that anybody typed: it goes with the repository's last tag."""
    image = make(A, names=("a:1",))
    images.store.set_reference(Reference.parse("a").with_digest(Digest.of(b"index")), image.descriptor)
    assert images.get(f"a@{Digest.of(b'index')}").id == image.id
    removal = images.remove("a:1")
    assert removal.deleted == (image.id,) and len(removal.untagged) == 2


def test_a_damaged_image_does_not_hide_the_others(images, make):
    """An image whose config is gone is left out of the list, and the rest stays."""
    broken, whole = make(A, names=("broken",)), make(B, names=("whole",))
    images.store.path(broken.manifest.config.digest).unlink()
    fresh = ImageStore(images.store)
    assert [image.id for image in fresh.list()] == [whole.id]
