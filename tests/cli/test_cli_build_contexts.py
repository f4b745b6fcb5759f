"""Contexts that are not a directory of the machine: repositories, addresses, image layouts."""

from __future__ import annotations

import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from minirt.build.remote import is_remote, is_repository
from minirt.testing.commands import Teller

DOCKERFILE = "FROM scratch\nCOPY note /note\n"


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """The address of a repository with two branches, and a directory below in one of them."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    where = tmp_path / "repo.git"
    where.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    env |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=where, env=env, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (where / "Dockerfile").write_text(DOCKERFILE)
    (where / "note").write_text("main\n")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("checkout", "-q", "-b", "other")
    (where / "sub").mkdir()
    (where / "sub" / "note").write_text("below\n")
    (where / "sub" / "Special").write_text(DOCKERFILE)
    git("add", ".")
    git("commit", "-q", "-m", "two")
    git("checkout", "-q", "main")
    return f"file://{where}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a directory ``served``."""
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's own name)
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


def note(cwd: Path) -> str:
    return (cwd / "out" / "note").read_text()


def test_a_repository(cli: Teller, repository: str, tmp_path: Path) -> None:
    """Its default branch, another one, a directory in it with -f; nothing of it is left in the home."""
    cli.ok("build", "-o", "out", repository)
    assert note(tmp_path) == "main\n"
    cli.ok("build", "-o", "out", "-f", "Special", f"{repository}#other:sub")
    assert note(tmp_path) == "below\n"
    cli.ok("build", "-o", "out", "--build-context", f"more={repository}#other:sub", "-", stdin=b"""FROM scratch
COPY --from=more note /note
""")  # fmt: skip
    assert note(tmp_path) == "below\n"
    assert not list((cli.make_engine().home / "tmp").glob("context-*"))


def test_a_repository_that_is_not_there(cli: Teller, repository: str) -> None:
    """The error has git's own words, or names the directory."""
    said = cli("build", f"{repository}#nowhere")
    assert said.code == 1 and "git checkout failed" in said.err
    assert "has no directory nowhere" in cli("build", f"{repository}#other:nowhere").err


def test_addresses(cli: Teller, server: str, tmp_path: Path) -> None:
    """A Dockerfile without a context, a tar as the context, a Dockerfile for a local context, a named tar."""
    served = tmp_path / "served"
    (served / "plain").write_text("FROM scratch\nCOPY <<EOF /note\nplain\nEOF\n")
    (served / "remote").write_text("FROM scratch\nCOPY local /note\n")
    with tarfile.open(served / "context.tar.gz", "w:gz") as archive:
        for name, text in (("Dockerfile", DOCKERFILE), ("note", "packed\n")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    cli.ok("build", "-o", "out", f"{server}/plain")
    assert note(tmp_path) == "plain\n"
    cli.ok("build", "-o", "out", f"{server}/context.tar.gz")
    assert note(tmp_path) == "packed\n"
    (tmp_path / "local").write_text("local\n")
    cli.ok("build", "-o", "out", "-f", f"{server}/remote", ".")
    assert note(tmp_path) == "local\n"
    cli.ok("build", "-o", "out", "--build-context", f"more={server}/context.tar.gz", "-", stdin=b"""FROM scratch
COPY --from=more note /note
""")  # fmt: skip
    assert note(tmp_path) == "packed\n"
    assert "404" in cli("build", f"{server}/nowhere").err
    assert "neither a tar nor a repository" in cli("build", "--build-context", f"a={server}/plain", ".").err


def test_an_image_layout(cli: Teller, tmp_path: Path) -> None:
    """FROM and COPY --from take an image of a layout, by tag or digest, without a name for it in the store."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY <<EOF /note\nlayout\nEOF\nENV A=b\n")
    cli.ok("build", "-o", "type=oci,dest=layout,tar=false,name=x/y:1", ".")
    before = cli.ok("images", "-aq").out
    text = b"FROM base\nCOPY --from=base /note /again\nRUN --mount=from=base,target=/m x\n".replace(b"RUN", b"#RUN")
    for place in ("layout", "layout:1"):
        cli.ok("build", "-o", "out", "--build-context", f"base=oci-layout://{place}", "-", stdin=text)
        assert note(tmp_path) == (tmp_path / "out" / "again").read_text() == "layout\n"
    assert cli.ok("images", "-aq").out == before
    assert "has no image 2" in cli("build", "--build-context", "base=oci-layout://layout:2", "-", stdin=text).err
    assert "no OCI image layout" in cli("build", "--build-context", "base=oci-layout://out", "-", stdin=text).err
    assert "buildx bake" in cli("build", "--build-context", "base=target:x", "-", stdin=text).err


def test_what_docker_takes_for_a_repository() -> None:
    """By the form of the address alone."""
    for text in ("https://a.b/c.git", "https://a.b/c.git#main:x", "git@a.b:c", "ssh://a/b", "github.com/a/b"):
        assert is_repository(text) and is_remote(text)
    for text in ("https://a.b/c.tar.gz", "http://a.b/Dockerfile"):
        assert is_remote(text) and not is_repository(text)
    assert not is_remote("dir") and not is_remote("./github.com/x")
