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


def test_run_of_another_platform(cli: Teller, context: Path) -> None:
    """The image of that platform runs, here one that needs no program of it; it lives as long as its container."""
    text = b"FROM minirt/base\nARG TARGETARCH\nENV ARCH=$TARGETARCH\n"
    cli.ok("build", "--platform", f"{HOST},{OTHER}", "-t", "chosen:1", "-", stdin=text)
    said = cli.ok("run", "--name", "other", "--platform", OTHER, "chosen:1", "sh", "-c", "echo $ARCH")
    assert (said.out, said.err) == ("s390x\n", "")
    assert cli.ok("run", "--rm", "chosen:1", "sh", "-c", "echo $ARCH").out == f"{Platform.host().architecture}\n"
    refused = cli("rmi", "chosen:1")
    assert refused.code == 1 and "is using its referenced image" in refused.err
    cli.ok("commit", "other", "committed:1")
    assert cli.ok("inspect", "committed:1", "--format", "{{.Architecture}}").out == "s390x\n"
    assert cli.ok("start", "-a", "other").out == "s390x\n"
    cli.ok("rm", "other")
    cli.ok("rmi", "chosen:1", "committed:1")


def test_an_image_of_another_platform_is_told(cli: Teller, context: Path) -> None:
    """Unless --platform says so; what the kernel cannot run fails as docker's does, and a wrong platform is named."""
    program = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\x02\0\x16" + bytes(200)
    (context / "program").write_bytes(program)
    (context / "program").chmod(0o755)
    (context / "Dockerfile").write_text('FROM scratch\nCOPY program /program\nCMD ["/program"]\n')
    cli.ok("build", "--platform", OTHER, "-t", "foreign:1", ".")
    warning = (
        f"WARNING: The requested image's platform ({OTHER}) does not match the detected host platform ({HOST}) "
        "and no specific platform was requested\n"
    )
    said = cli("run", "--rm", "foreign:1")
    assert said.code == 126
    assert said.err.startswith(warning) and "exec format error" in said.err
    asked = cli("run", "--rm", "--platform", OTHER, "foreign:1")
    assert (asked.code, "WARNING" in asked.err) == (126, False)
    never = cli("run", "--pull", "never", "--platform", HOST, "foreign:1")
    assert never.code == 125 and f"its platform ({OTHER}) does not match the specified platform ({HOST})" in never.err
