"""``build``'s outputs, secrets, contexts, checks; ``builder prune``; ``debug``: on a real engine."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from minirt.cli.build_values import Output, read_output
from minirt.cli.main import run
from minirt.errors import ImageNotFound
from minirt.testing.commands import Teller

DOCKERFILE = b"FROM scratch\nCOPY --chmod=640 note /dir/note\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context in the working directory."""
    (tmp_path / "ctx").mkdir()
    (tmp_path / "ctx" / "note").write_text("a note\n")
    (tmp_path / "ctx" / "Dockerfile").write_bytes(DOCKERFILE)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("out", Output("local", "out")),
        ("-", Output("tar", "-")),
        ("type=local,dest=a b", Output("local", "a b")),
        ("type=tar", Output("tar", "-")),
        ("type=oci,dest=x,tar=false", Output("oci", "x", tar=False)),
        ("type=docker", Output("docker")),
        ('type=image,"name=a,b",push=true', Output("image", "", ("a:latest", "b:latest"), True)),
        ("type=registry,name=example.com/a", Output("registry", "", ("example.com/a:latest",), True)),
    ],
)
def test_outputs_are_read(text: str, output: Output) -> None:
    """The forms that docker's reference has."""
    assert read_output(text) == output


@pytest.mark.parametrize("text", ["dest=x", "type=foo", "type=local", "type=tar,x=y", "type=tar,push=perhaps"])
def test_wrong_outputs(text: str) -> None:
    """What cannot be understood is not guessed."""
    with pytest.raises(ValueError, match=r"."):
        read_output(text)


def test_files_instead_of_an_image(cli: Teller, context: Path) -> None:
    """A directory of the user's own files, a tar on standard output; the store is as it was."""
    before = cli.ok("images", "-aq").out
    cli.ok("build", "-o", "out", "-t", "unseen:1", "ctx")
    note = context / "out" / "dir" / "note"
    assert note.read_text() == "a note\n"
    assert stat.S_IMODE(note.stat().st_mode) == 0o640
    said = cli.ok("build", "-q", "--iidfile", "id", "--output", "type=tar,dest=o.tar", "ctx")
    assert said.out.strip() == (context / "id").read_text()
    with tarfile.open(context / "o.tar") as archive:
        assert {"dir", "dir/note"} <= set(archive.getnames())
    assert cli.ok("images", "-aq").out == before


def test_archives(cli: Teller, context: Path) -> None:
    """An OCI archive with the name that was asked for, or its directory; docker load takes it."""
    cli.ok("build", "-t", "packed:1", "-o", "type=oci,dest=p.tar", "-o", "type=oci,dest=layout,tar=false", "ctx")
    index = json.loads((context / "layout" / "index.json").read_text())
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "docker.io/library/packed:1"
    assert cli("image", "inspect", "packed:1").code == 1
    assert "packed:1" in cli.ok("load", "-i", "p.tar").out


def test_an_image_beside_other_outputs(cli: Teller, context: Path) -> None:
    """type=docker and type=image keep the image; metadata tells what was built."""
    cli.ok("build", "--metadata-file", "m", "-o", "type=docker", "-o", "out", "-t", "kept:1", "-t", "kept:2", "ctx")
    facts = json.loads((context / "m").read_text())
    assert facts["image.name"] == "docker.io/library/kept:1,docker.io/library/kept:2"
    assert facts["containerimage.config.digest"] == cli.ok("inspect", "-f", "{{.Id}}", "kept:2").out.strip()
    assert (context / "out" / "dir").is_dir()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_context_on_standard_input(cli: Teller, context: Path, mode: str) -> None:
    """``docker build - < context.tar``, plain or compressed; -f names a file in it."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:
        archive.add(context / "ctx" / "note", "note")
        archive.add(context / "ctx" / "Dockerfile", "sub/Other")
    cli.ok("build", "-f", "sub/Other", "-o", "out", "-", stdin=held.getvalue())
    assert (context / "out" / "dir" / "note").read_text() == "a note\n"
    said = cli("build", "-", stdin=held.getvalue()[: len(held.getvalue()) // 2] if mode != "w" else b"\x1f\x8bno")
    assert said.code == 1


def test_secrets_and_contexts(cli: Teller, context: Path) -> None:
    """A secret comes from a file or a variable and stays out of the image; a named context is one more directory."""
    (context / "more").mkdir()
    (context / "more" / "f").write_text("more\n")
    (context / "password").write_text("one\n")
    text = (
        b"FROM minirt/base\nRUN --mount=type=secret,id=a,required=true --mount=type=secret,id=B,required=true"
        b" cat /run/secrets/a /run/secrets/B > /seen\nCOPY --from=more f /f\n"
    )
    options = ["--secret", "id=a,src=password", "--secret", "id=B", "--build-context", "more=more"]
    said = cli("build", *options, "-o", "out", "-", stdin=text, environment={"B": "two"})
    assert said.code == 0, said.err
    assert (context / "out" / "seen").read_text() == "one\ntwo"
    assert (context / "out" / "f").read_text() == "more\n"
    assert not (context / "out" / "run" / "secrets" / "a").exists()


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("build --secret src=x ctx", 125, "id is required"),
        ("build --secret id=nowhere ctx", 1, "nowhere"),
        ("build --secret id=a,env=NOT_SET ctx", 125, "NOT_SET is not set"),
        ("build --build-context a ctx", 125, "expected key=value"),
        ("build --build-context a=nowhere ctx", 1, "no such directory"),
        ("build --build-context a=https://x.invalid ctx", 1, "failed to fetch https://x.invalid"),
        ("build --network bridge ctx", 125, "not supported by build"),
        ("build --output type=local ctx", 125, "dest is required"),
        ("build --call=nothing ctx", 125, "unsupported request"),
        ("build --push ctx", 1, "tag is needed"),
    ],
)
def test_mistakes(cli: Teller, context: Path, line: str, code: int, says: str) -> None:
    """Each is told before anything is built, or in place of it."""
    said = cli(*line.split())
    assert says in said.err
    assert said.code in (code, 1)


def test_network_and_stages_without_cache(cli: Teller, context: Path, isolated: bool) -> None:
    """--network none leaves only the loopback; --no-cache-filter runs one stage again.

    (In a pod it refuses sockets instead: test_sandbox_traced.py.)
    """
    look = b"cut -d: -f1 -s /proc/net/dev" if isolated else b"echo lo"
    text = b"FROM minirt/base AS a\nRUN %s > /dev.txt\nFROM minirt/base\nCOPY --from=a /dev.txt /\n" % look
    cli.ok("build", "--network", "none", "-o", "out", "-", stdin=text)
    assert (context / "out/dev.txt").read_text().split() == ["lo"]
    again = cli.ok("build", "--network", "none", "--no-cache-filter", "a", "-", stdin=text)
    assert again.err.count("CACHED") == 1


def test_checks_without_a_build(cli: Teller, context: Path) -> None:
    """The findings, with exit code 1 if there are any."""
    assert cli.ok("build", "--check", "ctx").out == "Check complete, no warnings found.\n"
    for flag in ("--check", "--call=check"):
        said = cli("build", flag, "-", stdin=b"FROM minirt/base\nMAINTAINER me\n")
        assert said.code == 1
        assert said.out.startswith("Check complete, 1 warning has been found!\n\nWARNING: MaintainerDeprecated - https")
    assert cli("buildx", "build", "--check", "-", stdin=b"FRO x\n").code == 1


def test_the_failed_step_can_be_looked_into(cli: Teller, context: Path) -> None:
    """Its files just before and just after, with its variables, until the next build."""
    text = b"FROM minirt/base\nARG V=seen\nWORKDIR /w\nRUN echo half > made; echo $V; exit 7\n"
    failed = cli("build", "-", stdin=text)
    assert "`docker debug` shows the files as the command left them" in failed.err
    session = cli.session(stdin=text, name="minirt")  # as in a terminal
    run(("build", "-"), session)
    assert isinstance(session.stderr, io.BytesIO)
    assert b"`minirt debug` shows the files as the command left them" in session.stderr.getvalue()
    told = cli.ok("debug").out
    assert told.startswith("RUN echo half > made; echo $V; exit 7 (line 4) failed with exit code 7.\n")
    assert "  + /w/made\n" in told
    assert cli.ok("debug", "sh", "-c", "cat made; echo $V; pwd").out == "half\nseen\n/w\n"
    assert cli.ok("debug", "--before", "ls").out == ""
    assert cli("debug", "false").code == 1
    cli.ok("build", "-", stdin=b"FROM minirt/base\n")
    assert cli("debug").code == 1
    with pytest.raises(ImageNotFound):
        cli.execute("debug", "ls")


def test_builder_prune(cli: Teller, context: Path) -> None:
    """Without -a the layers of images stay; with it nothing of the cache is left."""
    cli.ok("build", "-t", "held:1", "-", stdin=b"FROM minirt/base\nRUN echo held > /held\n")
    cli.ok("build", "-o", "out", "-", stdin=b"FROM minirt/base\nRUN echo loose > /loose\n")
    usage = cli.ok("system", "df").lines[-1].split()
    assert usage[:2] == ["Build", "Cache"]
    assert int(usage[2]) > int(usage[3]) > 0
    assert "Deleted build cache objects:\n" in cli.ok("builder", "prune", "-f").out
    assert "CACHED" in cli.ok("build", "-", stdin=b"FROM minirt/base\nRUN echo held > /held\n").err
    assert "Total reclaimed space: " in cli.ok("builder", "prune", "-af").out
    assert cli.ok("run", "--rm", "held:1", "cat", "/held").out == "held\n"
    assert cli.ok("buildx", "prune", "-af", "--filter", "until=24h").out == "Total reclaimed space: 0B\n"
    assert "invalid filter" in cli("builder", "prune", "-f", "--filter", "until=x").err


def test_du_and_prune_by_room_type_and_id(cli: Teller, context: Path) -> None:
    """``buildx du`` lists what the cache holds; prune keeps what was asked for, and takes what was named."""
    cli.ok("builder", "prune", "-af")
    (context / "ctx" / "Dockerfile").write_text("FROM scratch\nWORKDIR /a\nCOPY note /note\nWORKDIR /b\n")
    cli.ok("build", "-o", "type=cacheonly", "ctx")
    rows = [json.loads(line) for line in cli.ok("buildx", "du", "--format", "json").out.splitlines()]
    assert sorted(row["Description"] for row in rows) == ["WORKDIR /a", "WORKDIR /b", "copy to /note"]
    assert {row["Type"] for row in rows} == {"regular"} and all(row["Reclaimable"] for row in rows)
    table = cli.ok("buildx", "du").lines
    assert table[0].split()[:3] == ["ID", "RECLAIMABLE", "SIZE"] and table[-1].startswith("Total:")
    first = rows[0]["ID"]
    assert first in cli.ok("builder", "du", "--verbose", "--filter", f"id={first[:8]}").out
    for kept in ("--reserved-space", "--max-used-space", "--keep-storage"):
        assert "Total reclaimed space: 0B" in cli.ok("builder", "prune", "-af", kept, "1gb").out
    assert "Total reclaimed space: 0B" in cli.ok("builder", "prune", "-af", "--min-free-space", "1").out
    assert "Total reclaimed space: 0B" in cli.ok("builder", "prune", "-af", "--filter", "type=exec.cachemount").out
    assert first in cli.ok("builder", "prune", "-af", "--filter", f"id={first}", "--verbose").out
    assert first not in cli.ok("builder", "du").out
    left = cli.ok("builder", "du").lines
    cli.ok("builder", "prune", "-af", "--min-free-space", "1000tb")
    assert len(cli.ok("builder", "du").lines) < len(left)
    assert "invalid filter 'type=x'" in cli("builder", "prune", "-f", "--filter", "type=x").err
