"""Specifications of mounts, read as docker reads them."""

from __future__ import annotations

import pytest

from minirt.errors import InvalidSpec
from minirt.volumes.mount_flag import parse_mount
from minirt.volumes.specs import BindSpec, TmpfsSpec, VolumeSpec, parse_size, parse_tmpfs, parse_volume


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/data", VolumeSpec("", "/data")),
        ("data:/data", VolumeSpec("data", "/data")),
        ("data:/data:ro,nocopy", VolumeSpec("data", "/data", read_only=True, no_copy=True)),
        ("/host:/inside", BindSpec("/host", "/inside")),
        ("/host/../other:/inside/", BindSpec("/other", "/inside")),
        ("./here:/inside:ro", BindSpec("/work/here", "/inside", read_only=True)),
        ("..:/inside", BindSpec("/", "/inside")),
        ("/a:/b:z,ro,rshared", BindSpec("/a", "/b", read_only=True, propagation="rshared")),
        ("/a b:/ünï code", BindSpec("/a b", "/ünï code")),
    ],
)
def test_volume_flag(text: str, wanted: object) -> None:
    """-v is an anonymous volume, a named one, or a bound path, by its first letters."""
    assert parse_volume(text, "/work") == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/a:/b:/c:/d", "too many colons"),
        ("/a::ro", "empty section"),
        ("", "empty section"),
        ("rel/path:/x", "invalid characters for a local volume name"),
        ("/a:rel", "must be absolute"),
        ("/a:/b:zz", "invalid mode: zz"),
        ("/a:/b:nocopy", "invalid mode: nocopy"),
        ("/a:/", "destination can't be '/'"),
        ("/a:/..", "destination can't be '/'"),
        ("x:/y", "invalid characters"),
    ],
)
def test_wrong_volume_flag(text: str, says: str) -> None:
    """A -v that docker refuses is refused, in docker's words."""
    with pytest.raises(InvalidSpec, match=says):
        parse_volume(text)


def test_swapped_volume_flag_is_explained() -> None:
    """A host and container path in the wrong order are told the right way round."""
    with pytest.raises(InvalidSpec) as caught:
        parse_volume("/data:volume")
    assert "volume:/data" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type=bind,source=/a,target=/b", BindSpec("/a", "/b", create=False)),
        ("type=bind,src=/a,dst=/b,readonly", BindSpec("/a", "/b", read_only=True, create=False)),
        ("type=bind,src=/a,dst=/b,ro=false", BindSpec("/a", "/b", create=False)),
        ('type=bind,"src=/a,b",dst=/b', BindSpec("/a,b", "/b", create=False)),
        ("target=/b", VolumeSpec("", "/b")),
        ("source=data,target=/b,volume-nocopy", VolumeSpec("data", "/b", no_copy=True)),
        (
            "source=data,target=/b,volume-label=a=1,volume-label=b=2",
            VolumeSpec("data", "/b", labels={"a": "1", "b": "2"}),
        ),
        ("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=700", TmpfsSpec("/t", 64 << 20, 0o700)),
    ],
)
def test_mount_flag(text: str, wanted: object) -> None:
    """--mount reads comma-separated fields with docker's aliases."""
    assert parse_mount(text, "/work") == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("foo", "must be a key=value pair"),
        ("foo=bar,target=/x", "unexpected key 'foo'"),
        ("type=bind", "target is required"),
        ("type=bind,target=/x", "field Source must not be empty"),
        ("type=bind,source=rel,target=/x", "must be absolute"),
        ("type=zz,target=/x", "mount type unknown"),
        ("type=bind,source=/a,target=/x,tmpfs-size=1m", "cannot mix"),
        ("type=tmpfs,target=/x,source=/a", "must not be specified"),
        ("type=volume,source=a b,target=/x", "invalid characters"),
        ("type=volume,source=ok,target=/x,volume-subpath=../..", "subpath"),
        ("type=tmpfs,target=/x,tmpfs-size=much", "invalid size"),
    ],
)
def test_wrong_mount_flag(text: str, says: str) -> None:
    """A --mount that docker refuses is refused by the name of the field."""
    with pytest.raises(InvalidSpec, match=says):
        parse_mount(text)


def test_tmpfs_flag() -> None:
    """--tmpfs takes mount options after a colon."""
    wanted = TmpfsSpec("/run", 64 << 20, 0o755, ("nosuid", "nodev"))
    assert parse_tmpfs("/run:size=64m,mode=755,exec") == wanted
    assert parse_tmpfs("/run") == TmpfsSpec("/run")
    with pytest.raises(InvalidSpec, match="bogus"):
        parse_tmpfs("/run:bogus")


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("4096", 4096), ("10b", 10), ("1k", 1024), ("64MB", 64 << 20), ("1.5GiB", 3 << 29)]
)
def test_sizes(text: str, size: int) -> None:
    """Sizes are powers of 1024, with the unit in any spelling."""
    assert parse_size(text) == size


def test_what_is_mounted_below_a_bound_directory() -> None:
    """bind-recursive takes docker's four words, and two of them make sense only with readonly."""
    assert parse_mount("type=bind,src=/a,dst=/b,bind-recursive=disabled").recursive is False  # type: ignore[union-attr]
    kept = parse_mount("type=bind,src=/a,dst=/b,readonly,bind-recursive=writable")
    assert isinstance(kept, BindSpec) and kept.recursive and kept.read_only and kept.writable_below
    for text, message in (
        ("bind-recursive=foo", "invalid value for bind-recursive: foo"),
        ("bind-recursive=writable", "requires 'readonly' to be specified"),
        ("bind-recursive=readonly,readonly,bind-propagation=rslave", "requires 'bind-propagation=rprivate'"),
    ):
        with pytest.raises(InvalidSpec, match=message):
            parse_mount(f"type=bind,src=/a,dst=/b,{text}")


def test_a_subpath_needs_a_name() -> None:
    """A fresh volume has nothing in it that could be chosen."""
    with pytest.raises(InvalidSpec, match="must not set Subpath when using anonymous volumes"):
        parse_mount("type=volume,dst=/b,volume-subpath=a")
