"""The values that everything speaks: digests, references, platforms, documents, specs."""

from __future__ import annotations

import json

import pytest

from minirt.errors import InvalidDigest, InvalidDocument, InvalidPlatform, InvalidReference, Location
from minirt.model.cancel import Cancel
from minirt.model.config import ContainerConfig, Healthcheck, History, ImageConfig
from minirt.model.digest import Digest, chain_ids
from minirt.model.manifest import LAYER, Descriptor, Index, Manifest
from minirt.model.platform import Platform
from minirt.model.reference import Reference
from minirt.model.spec import (
    BindMount,
    IdMapping,
    LoopbackNetwork,
    OverlayRoot,
    Process,
    Rlimit,
    SandboxSpec,
    TmpfsMount,
    User,
    spec_from_json,
    spec_to_json,
)

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
        ("minirt/base", "docker.io/minirt/base:latest", "minirt/base:latest"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b:latest"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("ghcr.io/x/y:1", "ghcr.io/x/y:1", "ghcr.io/x/y:1"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        (f"alpine@sha256:{HEX}", f"docker.io/library/alpine@sha256:{HEX}", f"alpine@sha256:{HEX}"),
        (f"alpine:1@sha256:{HEX}", f"docker.io/library/alpine:1@sha256:{HEX}", f"alpine:1@sha256:{HEX}"),
    ],
)
def test_references_are_read_as_docker_reads_them(text: str, full: str, familiar: str) -> None:
    """Short names are completed, and printed short again."""
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar) == (full, familiar)
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize("text", ["", "Alpine", "a b", "a:", "a@sha256:12", "-a", "a//b", "a:-x", ":1", HEX, "a/", "é"])
def test_bad_references_are_refused_with_a_reason(text: str) -> None:
    """What docker refuses is refused, in words that say why."""
    with pytest.raises(InvalidReference, match="invalid reference format"):
        Reference.parse(text)


def test_an_upper_case_name_is_answered_with_the_lower_case_one() -> None:
    """The commonest slip gets the corrected spelling as its hint."""
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("Hello:1")
    assert "'hello:1'" in caught.value.hint


def test_a_manuals_brackets_are_explained() -> None:
    """``name[:tag]`` is how manuals write what may be left out."""
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("name[:tag]")
    assert "name:tag" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["sha256:xyz", HEX, "md5:d41d8cd98f00b204e9800998ecf8427e", f"sha256:{HEX.upper()}", ""]
)
def test_bad_digests_are_refused(text: str) -> None:
    """Only whole, lower-case digests of known algorithms are taken."""
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


def test_chain_ids_follow_the_image_spec() -> None:
    """The chain id of one layer is its diff id; then it is the digest of both texts, one space between."""
    one, two = Digest.of(b"1"), Digest.of(b"2")
    assert chain_ids((one, two)) == (one, Digest.of(f"{one} {two}".encode()))
    assert chain_ids(()) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("linux/arm64/v8", "linux/arm64"), ("linux/x86_64", "linux/amd64"), ("linux/arm", "linux/arm/v7"),
     ("arm64", "linux/arm64"), ("linux/arm/v6", "linux/arm/v6")],
)  # fmt: skip
def test_platforms_are_normalised(text: str, wanted: str) -> None:
    """Several spellings of one platform become one."""
    assert str(Platform.parse(text)) == wanted


def test_bad_platforms_are_refused() -> None:
    """A platform has one to three parts."""
    for text in ("", "a/b/c/d", "linux/ amd64"):
        with pytest.raises(InvalidPlatform):
            Platform.parse(text)


def test_an_image_config_survives_a_round_trip_with_fields_we_do_not_know() -> None:
    """Reading and writing a config keeps what minirt has no use for."""
    config = ImageConfig(
        platform=Platform("linux", "amd64"),
        config=ContainerConfig(
            user="app",
            exposed_ports=("80/tcp",),
            env=("A=b",),
            entrypoint=(),
            cmd=("sh",),
            volumes=("/data",),
            labels={"x": "y"},
            healthcheck=Healthcheck(("CMD", "true"), interval=5),
            on_build=("RUN true",),
            extra={"Future": 1},
        ),
        diff_ids=(Digest.of(b""),),
        history=(History("2026-01-01T00:00:00Z", "RUN x", empty_layer=True),),
        extra={"os.features": ["x"]},
    )
    assert ImageConfig.from_bytes(config.to_bytes()) == config
    assert json.loads(config.to_bytes())["config"]["Entrypoint"] == []


def test_documents_that_are_not_what_they_should_be_are_refused() -> None:
    """Broken JSON, a list, missing fields and a negative size are an InvalidDocument each."""
    for raw in (b"{", b"[]", b"{}", b'{"config":{},"layers":[]}'):
        with pytest.raises(InvalidDocument):
            Manifest.from_bytes(raw)
    with pytest.raises(InvalidDocument):
        Index.from_bytes(b"{}")
    with pytest.raises(InvalidDocument):
        Descriptor.from_json({"mediaType": LAYER, "digest": f"sha256:{HEX}", "size": -1})
    with pytest.raises(InvalidDocument):
        ImageConfig.from_bytes(b"[]")


def test_a_sandbox_spec_crosses_the_socket_unchanged() -> None:
    """Every field and every variant survives JSON."""
    spec = SandboxSpec(
        id="x",
        root=OverlayRoot(("a", "b"), "u", "w", True),
        process=Process(("ls", "-l"), {"A": "b"}, "/x", User(1, 2, (3,)), rlimits=(Rlimit("RLIMIT_NOFILE", 1, 2),)),
        mounts=(TmpfsMount("/t", 5), BindMount("/a", "/b", True)),
        network=LoopbackNetwork(),
        uid_map=(IdMapping(0, 1000, 1),),
        gid_map=(IdMapping(0, 1000, 1),),
        files={"/etc/hosts": "x"},
    )
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_a_location_draws_a_caret_under_its_word_even_after_tabs() -> None:
    """The caret stands under the word, and never runs past the line."""
    drawn = Location("Dockerfile", 2, 6, 3, "\tRUN abc").draw().splitlines()
    assert drawn[0].index("abc") == drawn[1].index("^^^")
    assert Location("Dockerfile", 1, 1, 99, "ab").draw().endswith("| ^^")


def test_cancel_can_be_waited_for_and_raised_twice() -> None:
    """A cancel makes its descriptor readable, once."""
    import select

    with Cancel() as cancel:
        assert select.select([cancel], [], [], 0)[0] == []
        cancel.cancel()
        cancel.cancel()
        assert select.select([cancel], [], [], 0)[0] == [cancel]
        assert cancel.cancelled
