"""``build --platform`` with several platforms: an index, and what the other commands make of it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from minirt.model.platform import Platform
from minirt.testing.commands import Teller

HOST = str(Platform.host())
OTHER = "linux/s390x"
DOCKERFILE = """FROM scratch
ARG TARGETPLATFORM
ARG TARGETARCH
COPY <<EOF /platform
$TARGETPLATFORM
EOF
ENV ARCH=$TARGETARCH
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context in the working directory."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def blob(where: Path, digest: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((where / "blobs" / "sha256" / digest[7:]).read_text())
    return found


def test_an_index_of_one_image_each(cli: Teller, context: Path) -> None:
    """Each platform's config is its own; the name leads to the index; nothing nameless is left beside it."""
    before = len(cli.ok("images", "-aq").lines)
    words = ["--annotation", "index:a=b", "--metadata-file", "facts", "-t", "several:1"]
    cli.ok("build", "--platform", f"{HOST},{OTHER}", *words, ".")
    facts = json.loads((context / "facts").read_text())
    home = cli.make_engine().home
    index = blob(home, facts["containerimage.digest"])
    assert facts["containerimage.descriptor"]["mediaType"] == index["mediaType"]
    assert index["annotations"] == {"a": "b"}
    found = {}
    for entry in index["manifests"]:  # type: ignore[attr-defined]
        config = blob(home, blob(home, entry["digest"])["config"]["digest"])  # type: ignore[index]
        name = f"{config['os']}/{config['architecture']}"
        assert Platform.from_json(entry["platform"]) == Platform.parse(name)
        found[name] = config["config"]["Env"][-1]  # type: ignore[index]
    assert found == {name: f"ARCH={name.partition('/')[2]}" for name in (HOST, OTHER)}
    assert len(cli.ok("images", "-aq").lines) == before + 1
    assert json.loads(cli.ok("inspect", "several:1").out)[0]["Architecture"] == Platform.host().architecture
    cli.ok("rmi", "several:1")
    cli.ok("builder", "prune", "-af")
    assert not (home / "blobs" / "sha256" / facts["containerimage.digest"][7:]).exists()


def test_a_base_for_each_platform_comes_from_an_index(cli: Teller, context: Path) -> None:
    """FROM takes the image of the platform that is built."""
    cli.ok("build", "--platform", HOST, "--platform", OTHER, "-t", "base-of-two:1", ".")
    for name in (HOST, OTHER):
        cli.ok("build", "--platform", name, "-o", "out", "-", stdin=b"FROM base-of-two:1\n")
        assert (context / "out" / "platform").read_text() == f"{name}\n"


def test_saved_and_tagged_whole(cli: Teller, context: Path) -> None:
    """An archive holds the index and all its images; another name leads to the index, too."""
    cli.ok("build", "--platform", f"{HOST},{OTHER}", "-t", "whole:1", ".")
    cli.ok("tag", "whole:1", "whole:2")
    assert "whole" not in cli("system", "check").out
    cli.ok("save", "-o", "archive", "whole:2")
    with tarfile.open(context / "archive") as archive:
        top = json.load(archive.extractfile("index.json") or pytest.fail("no index"))["manifests"][0]
        index = json.load(archive.extractfile(f"blobs/sha256/{top['digest'][7:]}") or pytest.fail("no index"))
        for entry in index["manifests"]:
            archive.getmember(f"blobs/sha256/{entry['digest'][7:]}")
    assert len(index["manifests"]) == 2
    cli.ok("build", "--platform", f"{HOST},{OTHER}", "-o", "type=oci,dest=layout,tar=false", ".")
    top = json.loads((context / "layout" / "index.json").read_text())["manifests"][0]
    assert len(blob(context / "layout", top["digest"])["manifests"]) == 2  # type: ignore[arg-type]


def test_what_cannot_be(cli: Teller, context: Path) -> None:
    """Files of several platforms have no one place; a platform that is none is named."""
    said = cli("build", "--platform", f"{HOST},{OTHER}", "-o", "out", ".")
    assert said.code == 1 and "of several platforms" in said.err
    assert cli("build", "--platform", f"{HOST},nonsense/x/y/z", ".").code != 0


def test_run_takes_this_machines_own(cli: Teller, context: Path) -> None:
    """Another platform of the index is refused by name, before anything is fetched."""
    cli.ok("build", "--platform", f"{HOST},{OTHER}", "-t", "chosen:1", ".")
    said = cli("run", "--platform", OTHER, "chosen:1", "x")
    assert said.code == 125 and f"chosen:1 is here for {OTHER}" in said.err
