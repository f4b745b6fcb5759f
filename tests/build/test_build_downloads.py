"""ADD of http addresses, from a real server on this machine; where Docker's BuildKit runs, it makes the same image."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker_peer
import pytest
import unpacked

from minirt.errors import CopyFailed, MinirtError

if TYPE_CHECKING:
    from minirt.engine import Engine

GOOD = "sha256:" + hashlib.sha256(b"dated\n").hexdigest()
MODIFIED, SECONDS = "Wed, 01 Feb 2023 03:04:05 GMT", 1675220645


def packed() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("in/side")
        member.size, member.mode, member.uid, member.mtime = 3, 0o640, 5, 1_000_000_000
        tar.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


ARCHIVE = packed()
HEADERS = {
    "dated": {"Last-Modified": MODIFIED},
    "undatable": {"Last-Modified": "yesterday"},
    "ancient": {"Last-Modified": "Wed, 01 Feb 1950 03:04:05 GMT"},
    "named": {"Content-Disposition": 'attachment; filename="../given.txt"'},
    "moved": {"Location": "/dated/target"},
    "circle": {"Location": "/circle/x"},
}
CODES = {"moved": 302, "circle": 302, "missing": 404, "secret": 403, "broken": 500}


class Handler(BaseHTTPRequestHandler):
    """The first part of the path says how to answer, and is the content: docker tells downloads apart by that."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        body = ARCHIVE if self.path.endswith(".tgz") else f"{kind}\n".encode()
        self.send_response(CODES.get(kind, 200))
        for name, value in HEADERS.get(kind, {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + 100 * (kind == "short")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


def file(content: str) -> str:
    """As an image shows it."""
    return rf"file 0600 0:0 '{content}\n'"


TREE = {"/d": "dir 0755 0:0", "/d/in": "dir 0755 0:0", "/d/in/side": "file 0640 5:0 'abc'"}
# The words of ADD (an address begins with @), the files, and the time of the last of them.
TAKEN: list[tuple[str, dict[str, str], int]] = [
    ("@/dated/f /x", {"/x": file("dated")}, SECONDS),
    ("@/plain/f /x", {"/x": file("plain")}, 0),
    ("@/undatable/f /x", {"/x": file("undatable")}, 0),
    ("@/ancient/f /x", {"/x": file("ancient")}, -628462555),
    ("@/dated/f.txt /d/", {"/d": "dir 0755 0:0", "/d/f.txt": file("dated")}, SECONDS),
    ("@/dated/f.txt?v=1/2#3 /d/", {"/d": "dir 0755 0:0", "/d/f.txt": file("dated")}, SECONDS),
    ("@/dated/a%20b /d/", {"/d": "dir 0755 0:0", "/d/a b": file("dated")}, SECONDS),
    ("@/dated/ /d/", {"/d": "dir 0755 0:0", "/d/dated": file("dated")}, SECONDS),
    ("@/dated/.. /d/", {"/d": "dir 0755 0:0", "/d/download": file("dated")}, SECONDS),
    ("@ /d/", {"/d": "dir 0755 0:0", "/d/__unnamed__": file("")}, 0),
    ("@/named/f /d/", {"/d": "dir 0755 0:0", "/d/f": file("named")}, 0),
    ("@/moved/f /d/", {"/d": "dir 0755 0:0", "/d/f": file("dated")}, SECONDS),
    ("--chmod=755 @/dated/f /x", {"/x": r"file 0755 0:0 'dated\n'"}, SECONDS),
    ("--chmod=u+x --chown=3:4 @/dated/f /x", {"/x": r"file 0700 3:4 'dated\n'"}, SECONDS),
    (f"--checksum={GOOD} @/dated/f /x", {"/x": file("dated")}, SECONDS),
    ("--unpack @/dated/a.tgz /d/", TREE, 1_000_000_000),
    ("--unpack=true @/dated/f /x", {"/x": file("dated")}, SECONDS),
]  # fmt: skip
REFUSED = {
    "@/missing/f /x": "answered 404 Not Found",
    "@/secret/f /x": "answered 403 Forbidden",
    "@/broken/f /x": "answered 500 Internal Server Error",
    "@/circle/f /x": "leads from address to address without an end",
    "@/short/f /x": "ended 100 bytes too early",
    "@/dated/a%00b /d/": "has a NUL character",
    f"--checksum=sha256:{'0' * 64} @/dated/f /x": "but --checksum says",
}


def image_of(text: str, build: Any, engine: Engine) -> unpacked.Unpacked:
    result = build(text, no_cache=True)
    return unpacked.unpack(engine.images.get(str(result.image_id)).save(named=False))


def dockerfile(words: str, server: str) -> str:
    return f"FROM scratch\nADD {words.replace('@', server)}\n"


@pytest.mark.parametrize(("words", "files", "time"), TAKEN, ids=[words for words, _, _ in TAKEN])
def test_a_download_becomes_a_file(
    words: str, files: dict[str, str], time: int, server: str, build: Any, engine: Engine
) -> None:
    """Its name is the address's, its mode 0600, its owner root, its time the server's Last-Modified."""
    image = image_of(dockerfile(words, server), build, engine)
    assert image.files == files
    assert image.times[max(files)] == time


def test_a_downloaded_archive_stays_one(server: str, build: Any, engine: Engine, tmp_path: Path) -> None:
    """Also beside an archive of the context, which is unpacked."""
    (tmp_path / "local.tgz").write_bytes(ARCHIVE)
    image = image_of(dockerfile("@/dated/a.tgz /d/", server), build, engine)
    assert sorted(image.files) == ["/d", "/d/a.tgz"]
    result = build(f"FROM scratch\nADD local.tgz {server}/dated/a.tgz /d/\n", context=tmp_path)
    both = unpacked.unpack(engine.images.get(str(result.image_id)).save(named=False))
    assert sorted(both.files) == ["/d", "/d/a.tgz", "/d/in", "/d/in/side"]


@pytest.mark.parametrize("words", REFUSED)
def test_a_download_that_fails_says_why(words: str, server: str, build: Callable[..., Any]) -> None:
    """Nothing half done is taken, and the word of the Dockerfile is shown."""
    with pytest.raises(CopyFailed, match=REFUSED[words]) as caught:
        build(dockerfile(words, server))
    assert caught.value.where is not None
    assert caught.value.where.line == 2


@pytest.mark.peer
@pytest.mark.parametrize("words", [*(words for words, _, _ in TAKEN), "@/dated/a.tgz /d/", *REFUSED])
def test_docker_adds_the_same(words: str, server: str, build: Any, engine: Engine, tmp_path: Path) -> None:
    """Path by path, times and config included; what one refuses, the other refuses."""
    docker_peer.need_docker()
    text = dockerfile(words, server)
    (tmp_path / "Dockerfile").write_text(text)
    theirs = docker_peer.built([str(tmp_path)])
    try:
        ours = image_of(text, build, engine)
    except MinirtError as error:
        assert isinstance(theirs, docker_peer.Refused), f"docker builds it, but: {error.explain()}"
        return
    assert not isinstance(theirs, docker_peer.Refused), theirs.message
    assert ours.files == theirs.files
    assert ours.old_times() == theirs.old_times()
    assert ours.plain_config() == theirs.plain_config()
    assert ours.history() == theirs.history()
