"""Choosing from an index, and reading challenges and addresses."""

from __future__ import annotations

import pytest

from minirt.errors import ImageNotFound
from minirt.model.digest import Digest
from minirt.model.manifest import MANIFEST, Descriptor, Index
from minirt.model.platform import Platform
from minirt.registry.auth import parse_challenge
from minirt.registry.hosts import endpoints, origin
from minirt.registry.platforms import choose
from minirt.registry.transport import Patience


def index(*platforms: str) -> Index:
    return Index(
        tuple(
            Descriptor(MANIFEST, Digest.of(text.encode()), 1, Platform(*text.split("/")) if text else None)
            for text in platforms
        )
    )


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        (["linux/amd64", "linux/arm64"], "linux/arm64", "linux/arm64"),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", "linux/arm/v7"),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", "linux/arm/v6"),
        (["linux/arm64/v8"], "linux/arm64", "linux/arm64/v8"),
        (["unknown/unknown", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (["windows/amd64", "linux/amd64"], "linux/amd64", "linux/amd64"),
        ([""], "linux/amd64", ""),
    ],
)
def test_the_platform_that_runs_best(there, wanted, taken):
    """The same platform is best, then the newest variant that runs; attestations are no images."""
    assert choose(index(*there), Platform.parse(wanted), "x").digest == Digest.of(taken.encode())


def test_a_missing_platform_lists_those_there_are():
    """The error names every platform of the image."""
    with pytest.raises(ImageNotFound, match=r"no matching manifest for linux/amd64 in app:1") as caught:
        choose(index("linux/arm64", "linux/s390x", "unknown/unknown"), Platform.parse("linux/amd64"), "app:1")
    assert caught.value.cause == "the image was made for linux/arm64, linux/s390x"


def test_challenges():
    """A challenge's values may be quoted, hold commas, and be escaped."""
    header = 'Bearer realm="https://auth.example/token",service="a \\"b\\"",scope="repository:a/b:pull,push",x=1'
    assert parse_challenge(header) == (
        "bearer",
        {"realm": "https://auth.example/token", "service": 'a "b"', "scope": "repository:a/b:pull,push", "x": "1"},
    )
    assert parse_challenge("") == ("", {})


@pytest.mark.parametrize(
    ("registry", "mirrors", "bases"),
    [
        ("docker.io", (), ["https://registry-1.docker.io"]),
        (
            "docker.io",
            ("http://a:5000/", " b.example/hub/v2 ", ""),
            ["http://a:5000", "https://b.example/hub", "https://registry-1.docker.io"],
        ),
        ("ghcr.io", ("http://a",), ["https://ghcr.io"]),
        ("localhost:5000", (), ["http://localhost:5000", "https://localhost:5000"]),
        ("127.0.0.2:5000", (), ["http://127.0.0.2:5000", "https://127.0.0.2:5000"]),
        ("[::1]:5000", (), ["http://[::1]:5000", "https://[::1]:5000"]),
        ("lab:5000", (), ["http://lab:5000", "https://lab:5000"]),
        ("far:5000", (), ["https://far:5000"]),
    ],
)
def test_where_a_registry_answers(registry, mirrors, bases):
    """Mirrors stand before Docker Hub only; http is for this machine, insecure registries and mirrors that say so."""
    assert [place.base for place in endpoints(registry, mirrors, ("lab:5000",))] == bases


def test_an_origin_is_scheme_host_and_port():
    """A default port is the same origin as none."""
    assert origin("https://a/x") == origin("https://a:443/y") != origin("http://a/x")


def test_waits_grow_and_follow_the_server():
    """Waits double up to the longest; Retry-After counts, and one that is too long means not to wait at all."""
    patience = Patience(first_wait=1, longest_wait=5)
    assert [patience.wait(n) for n in range(4)] == [1, 2, 4, 5]
    assert patience.wait(0, "3") == 3
    assert patience.wait(0, "999") is None
    assert patience.wait(0, "Wed, 21 Oct 2015 07:28:00 GMT") == 1
    assert patience.wait(0, "soon") == 1
