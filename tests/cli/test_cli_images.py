"""Commands about images, on a real engine."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from minirt.errors import ImageNotFound
from minirt.testing.commands import Teller

HEADER = "REPOSITORY    TAG       IMAGE ID       CREATED"


def test_images(cli: Teller) -> None:
    """A row for each name, in docker's columns; -q, --format and --no-trunc change them as docker's do."""
    cli.ok("tag", "minirt/base", "hello:1")
    lines = cli.ok("images").lines
    assert lines[0].startswith(HEADER)
    assert len(lines) == 3
    identity = cli.ok("images", "-q", "hello").out.strip()
    assert len(identity) == 12
    assert cli.ok("image", "ls", "--no-trunc", "-q", "hello:1").out.startswith(f"sha256:{identity}")
    assert cli.ok("images", "--format", "{{.Repository}}:{{.Tag}}", "hello").out == "hello:1\n"
    row = json.loads(cli.ok("images", "hello", "--format", "json").out)
    assert (row["ID"], row["Repository"], row["Tag"], row["Digest"]) == (identity, "hello", "1", "<none>")
    assert cli.ok("images", "nothing:*").lines == ["REPOSITORY   TAG       IMAGE ID   CREATED   SIZE"]


@pytest.mark.parametrize(
    ("filter", "count"),
    [
        ("dangling=true", 0),
        ("dangling=false", 1),
        ("reference=hel*", 1),
        ("reference=hel*:2", 0),
        ("label=none", 0),
        ("since=minirt/base", 0),
    ],
)
def test_filters(cli: Teller, filter: str, count: int) -> None:  # noqa: A002
    """Filters choose as docker's do."""
    cli.ok("tag", "minirt/base", "hello:1")
    assert len(cli.ok("images", "--filter", filter, "-q", "hello").lines) == count


def test_wrong_filter(cli: Teller) -> None:
    """An unknown filter is an error that names those there are."""
    said = cli("images", "--filter", "foo=bar")
    assert (said.code, said.err.splitlines()[0]) == (1, "Error: Invalid filter 'foo'")


def test_history(cli: Teller) -> None:
    """The newest step first, with a row for each instruction."""
    lines = cli.ok("history", "minirt/base").lines
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert "CMD" in lines[1]
    assert lines[2].startswith("<missing>")
    assert cli.ok("history", "-q", "--no-trunc", "minirt/base").lines[0].startswith("sha256:")
    assert "0" in cli.ok("history", "-H=false", "--format", "{{.Size}}", "minirt/base").lines


def test_tag_and_rmi(cli: Teller) -> None:
    """Rmi takes names away, tells what it did, and goes on after a name that is not there."""
    cli.ok("tag", "minirt/base", "hello:1")
    cli.ok("tag", "minirt/base", "registry.test:5000/a/b")
    assert cli.ok("rmi", "registry.test:5000/a/b").out == "Untagged: registry.test:5000/a/b:latest\n"
    said = cli("rmi", "nothing", "hello:1", "nothing-either")
    assert said.code == 1
    assert said.out == "Untagged: hello:1\n"
    assert "No such image: nothing:latest" in said.err
    assert "No such image: nothing-either:latest" in said.err
    assert cli("rmi", "-f", "nothing").code == 0


def test_bad_reference(cli: Teller) -> None:
    """A name that no image can have is refused with what would be right."""
    said = cli("tag", "minirt/base", "Hello:1")
    assert said.code == 1
    assert said.err.startswith('Error: Error parsing reference: "Hello:1" is not a valid repository/tag')
    assert "'hello:1'" in said.err
    assert cli("run", "Hello").code == 125


def test_inspect(cli: Teller) -> None:
    """Inspect prints an array; templates run on each object; what is missing is said after what is there."""
    document = json.loads(cli.ok("inspect", "minirt/base").out)
    assert document[0]["RepoTags"] == ["minirt/base:latest"]
    assert cli.ok("image", "inspect", "-f", "{{.Os}} {{index .Config.Cmd 0}}", "minirt/base").out == "linux sh\n"
    said = cli("inspect", "minirt/base", "nothing")
    assert said.code == 1
    assert json.loads(said.out)[0]["Id"] == document[0]["Id"]
    assert said.err.splitlines()[0] == "Error: No such object: nothing"
    assert cli("inspect", "nothing").out == "[]\n"
    assert cli("inspect", "--type", "zebra", "x").code == 1
    wrong = cli("inspect", "-f", "{{.Idd}}", "minirt/base")
    assert wrong.code == 1
    assert "Did you mean .Id?" in wrong.err


def test_save_and_load(cli: Teller, tmp_path: Path) -> None:
    """What is saved can be loaded, from a file and through a pipe; a file appears only when it is whole."""
    cli.ok("tag", "minirt/base", "hello:1")
    cli.ok("save", "-o", "hello.tar", "hello:1")
    with tarfile.open(tmp_path / "hello.tar") as archive:
        assert {"index.json", "manifest.json", "oci-layout"} <= set(archive.getnames())
    cli.ok("rmi", "hello:1")
    assert cli.ok("load", "-i", "hello.tar").out.splitlines()[-1] == "Loaded image: hello:1"
    archive_bytes = (tmp_path / "hello.tar").read_bytes()
    assert "Loaded image: hello:1" in cli.ok("load", stdin=archive_bytes).out
    assert cli("save", "-o", "other.tar", "nothing").code == 1
    assert not (tmp_path / "other.tar").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["hello.tar"]


def test_load_of_what_is_no_archive(cli: Teller) -> None:
    """A missing file and a file that is no archive are told apart."""
    missing = cli("load", "-i", "missing.tar")
    assert (missing.code, missing.err.splitlines()[0]) == (1, "Error: open missing.tar: no such file or directory")
    assert cli("load", stdin=b"no archive at all").code == 1


def test_pull_needs_no_network_for_the_base(cli: Teller) -> None:
    """minirt/base is pulled from the machine itself."""
    assert cli.ok("pull", "minirt/base").lines[-1] == "docker.io/minirt/base:latest"


def test_missing_image_of_run(cli: Teller) -> None:
    """With --pull never a missing image is run's own error; execute raises it."""
    said = cli("run", "--pull", "never", "nothing")
    assert said.code == 125
    assert said.err.startswith("docker: No such image: nothing:latest")
    assert "does not provide the specified platform" in cli("run", "--platform", "linux/s390x", "minirt/base").err
    with pytest.raises(ImageNotFound) as caught:
        cli.execute("run", "--pull", "never", "nothing")
    assert caught.value.exit_code == 125


def test_rmi_of_one_platform(cli: Teller) -> None:
    """An image of that platform goes; one of another stays, in docker's words."""
    cli.ok("tag", "minirt/base", "mine:1")
    said = cli("rmi", "--platform", "linux/s390x", "mine:1")
    assert "image with reference mine:1 was found but its platform (linux/" in said.err
    here = cli.ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "mine:1").out.strip()
    assert cli.ok("rmi", "--platform", here, "mine:1").out == "Untagged: mine:1\n"
