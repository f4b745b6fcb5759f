"""Names of images: what they name, and what becomes of the names' former images."""

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from minirt.errors import CorruptBlob, HomeUnusable
from minirt.model.digest import Digest
from minirt.model.manifest import MANIFEST, Descriptor
from minirt.model.reference import Reference
from minirt.store import Store
from minirt.testing.layout import check_layout

HELLO = Reference.parse("hello:1")
PutImage = Callable[[Store, str], Descriptor]


def test_a_name_leads_to_its_image(store: Store, put_image: PutImage) -> None:
    """What set_reference wrote, resolve and references find, in another store object too."""
    image = put_image(store, "a")
    store.set_reference(HELLO, image)
    for each in (store, Store(store.home)):
        found = each.resolve(HELLO)
        assert found is not None and found.digest == image.digest
        assert [ref for ref, _ in each.references()] == [HELLO]
    check_layout(store.home)


def test_an_unknown_name_is_none(store: Store) -> None:
    """resolve() of a name that is not there is None, and removing it is False."""
    assert store.resolve(HELLO) is None
    assert store.remove_reference(HELLO) is False


def test_the_entry_carries_the_names_other_tools_look_for(store: Store, put_image: PutImage) -> None:
    """index.json names the image as docker prints it and spelt out as containerd writes it."""
    store.set_reference(HELLO, put_image(store, "a"))
    (entry,) = json.loads((store.home / "index.json").read_bytes())["manifests"]
    assert entry["annotations"] == {
        "org.opencontainers.image.ref.name": "hello:1",
        "io.containerd.image.name": "docker.io/library/hello:1",
    }


def test_moving_a_name_leaves_the_old_image_untagged(store: Store, put_image: PutImage) -> None:
    """As in docker, an image that loses its last name stays as <none>."""
    old, new = put_image(store, "old"), put_image(store, "new")
    store.set_reference(HELLO, old)
    store.set_reference(HELLO, new)
    assert [d.digest for d in store.untagged()] == [old.digest]
    assert [(r, d.digest) for r, d in store.references()] == [(HELLO, new.digest)]


def test_moving_one_of_two_names_leaves_no_untagged_image(store: Store, put_image: PutImage) -> None:
    """An image that still has a name is not listed as untagged."""
    old, new = put_image(store, "old"), put_image(store, "new")
    store.set_reference(HELLO, old)
    store.set_reference(HELLO.with_tag("2"), old)
    store.set_reference(HELLO, new)
    assert store.untagged() == ()


def test_naming_an_untagged_image_ends_its_namelessness(store: Store, put_image: PutImage) -> None:
    """An untagged entry is replaced by the named one, and adding it again does nothing."""
    image = put_image(store, "a")
    store.add_untagged(image)
    store.add_untagged(image)
    assert len(store.untagged()) == 1
    store.set_reference(HELLO, image)
    store.add_untagged(image)
    assert store.untagged() == ()
    assert len(store.references()) == 1


def test_removing_names(store: Store, put_image: PutImage) -> None:
    """Removing a name or an untagged entry removes just that."""
    a, b = put_image(store, "a"), put_image(store, "b")
    store.set_reference(HELLO, a)
    store.set_reference(HELLO.with_tag("2"), a)
    store.add_untagged(b)
    assert store.remove_reference(HELLO) is True
    assert store.remove_untagged(b.digest) is True
    assert store.remove_untagged(b.digest) is False
    assert [ref.tag for ref, _ in store.references()] == ["2"]


def test_a_digest_reference_finds_the_tagged_image(store: Store, put_image: PutImage) -> None:
    """name@digest resolves if any entry of that repository has the digest, and only then."""
    image = put_image(store, "a")
    store.set_reference(HELLO, image)
    assert store.resolve(HELLO.with_digest(image.digest)) is not None
    assert store.resolve(Reference.parse("other").with_digest(image.digest)) is None
    assert store.resolve(HELLO.with_digest(Digest.of(b"?"))) is None


def test_naming_what_is_not_there_is_refused(store: Store) -> None:
    """A name can only be given to a blob that is in the store, whole."""
    with pytest.raises(CorruptBlob):
        store.set_reference(HELLO, Descriptor(MANIFEST, Digest.of(b"?"), 1))
    assert store.references() == ()


def test_entries_of_other_tools_survive(store: Store, put_image: PutImage) -> None:
    """Unknown fields and entries with names that are no image names stay in index.json."""
    image = put_image(store, "a")
    foreign = {
        **image.to_json(),
        "artifactType": "application/x",
        "annotations": {"org.opencontainers.image.ref.name": "NOT A NAME"},
    }
    document = {"schemaVersion": 2, "manifests": [foreign], "annotations": {"k": "v"}}
    (store.home / "index.json").write_text(json.dumps(document))
    store.set_reference(HELLO, put_image(store, "b"))
    assert [ref for ref, _ in store.references()] == [HELLO]
    after = json.loads((store.home / "index.json").read_bytes())
    assert after["manifests"][0] == foreign
    assert after["annotations"] == {"k": "v"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"manifests": 3}', '{"manifests": [{"digest": "x"}]}'])
def test_a_broken_index_is_a_clear_error_and_is_not_overwritten(store: Store, put_image: PutImage, text: str) -> None:
    """A damaged index.json raises HomeUnusable for readers and writers alike and stays as it is."""
    image = put_image(store, "a")
    (store.home / "index.json").write_text(text)
    with pytest.raises(HomeUnusable, match="not a list of images"):
        store.references()
    with pytest.raises(HomeUnusable):
        store.set_reference(HELLO, image)
    assert (store.home / "index.json").read_text() == text


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_the_home_as_it_lies(store: Store, put_image: PutImage) -> None:
    """Skopeo inspects an image of the home by its name and sees our digest."""
    image = put_image(store, "a")
    store.set_reference(HELLO, image)
    seen = subprocess.run(
        ["skopeo", "inspect", f"oci:{store.home}:hello:1"], capture_output=True, text=True, check=True
    )
    assert json.loads(seen.stdout)["Digest"] == str(image.digest)


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_what_skopeo_copies_into_the_home_is_an_image_of_ours(store: Store, put_image: PutImage) -> None:
    """An image that skopeo copies into the layout is listed by its name."""
    store.set_reference(HELLO, put_image(store, "a"))
    where = f"oci:{store.home}:"
    subprocess.run(["skopeo", "copy", "-q", f"{where}hello:1", f"{where}copied:2"], check=True)
    assert store.resolve(Reference.parse("copied:2")) is not None
    check_layout(store.home)
