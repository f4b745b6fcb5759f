"""``build --call``, ``--progress=rawjson``, and the flags that only check what they are given."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest

from minirt.cli.build_flags import Call, agents, annotation, call_method, extra_hosts
from minirt.errors import InvalidSpec, Unsupported
from minirt.testing.commands import Teller

DOCKERFILE = """# VERSION of the thing
ARG VERSION=1
ARG UNUSED

# base is the first stage
FROM scratch AS base
# DIR where it goes
ARG DIR=/app
ARG NODEF
RUN --mount=type=secret,id=tok --mount=type=secret,id=req,required=true --mount=type=ssh x
FROM base
ARG VERSION
RUN --mount=type=secret,id=other x
# final puts it together
FROM scratch AS final
COPY --from=base /etc /etc
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context in the working directory."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "note").write_text("a note\n")
    return tmp_path


def test_outline(cli: Teller, context: Path) -> None:
    """In buildx's columns: what the stages that the target needs can be given, and nothing of other stages."""
    assert cli.ok("build", "--call=outline", "--build-arg", "NODEF=x", ".").out == (
        "TARGET:      final\nDESCRIPTION: puts it together\n\n"
        "BUILD ARG   VALUE   DESCRIPTION\nDIR         /app    where it goes\nNODEF       x       \n\n"
        "SECRET   REQUIRED\ntok      \nreq      true\n\nSSH       REQUIRED\ndefault   \n"
    )
    named = DOCKERFILE.replace("FROM base\n", "FROM base AS middle\n")
    (context / "Dockerfile").write_text(named)
    document = json.loads(cli.ok("build", "--call=outline,format=json", "--target", "middle", ".").out)
    assert [entry["name"] for entry in document["args"]] == ["VERSION", "DIR", "NODEF"]
    assert document["args"][0]["description"] == "of the thing"
    assert document["args"][1]["location"] == {"ranges": [{"start": {"line": 8}, "end": {"line": 8}}]}
    assert base64.b64decode(document["sources"][0]).decode() == named


def test_outline_of_arguments_declared_again(cli: Teller, context: Path) -> None:
    """As buildx shows it: the first's place and words for an ARG without a value, the last of several values."""
    (context / "Dockerfile").write_text(
        "# A is one\n\nARG A=1\n# Z is not used\nARG Z=2\nFROM scratch AS b\nARG B=1\nFROM b\n"
        "# D first\n# D second\nARG D=$A\n# A is inner\nARG A\nARG B=2\n# B is three\nARG B=3\n"
    )
    assert cli.ok("build", "--call=outline", ".").out == (
        "BUILD ARG   VALUE   DESCRIPTION\nA           1       is one\n"
        "D                   first\nB           3       is three\n"
    )


def test_targets(cli: Teller, context: Path) -> None:
    """Every stage, with the comment that describes it; the last is the default."""
    assert cli.ok("build", "--call=targets", ".").out == (
        "TARGET          DESCRIPTION\nbase            is the first stage\n                \n"
        "final (default) puts it together\n"
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(context / "Dockerfile", "Dockerfile")
    out = cli.ok("build", "--call=targets,format=json", "-", stdin=packed.getvalue()).out
    assert [one.get("name") for one in json.loads(out)["targets"]] == ["base", None, "final"]


def test_check_as_a_document(cli: Teller, context: Path) -> None:
    """The findings in buildx's fields; the exit code tells that there are some."""
    (context / "Dockerfile").write_text("from scratch AS a\n")
    result = cli("build", "--call=check,format=json", ".")
    found = json.loads(result.out)["warnings"][0]
    assert result.code == 1
    assert found["ruleName"] == "FromAsCasing" and found["location"]["ranges"][0]["start"]["line"] == 1


def test_progress_as_documents(cli: Teller, context: Path) -> None:
    """One JSON document a line: steps that start, end, or come from the cache."""
    (context / "Dockerfile").write_text("FROM scratch\nCOPY note /note\n")
    lines = [json.loads(line) for line in cli.ok("build", "--progress=rawjson", ".").err.splitlines()]
    vertexes = [vertex for line in lines for vertex in line.get("vertexes", ())]
    assert {vertex["name"] for vertex in vertexes} == {"[1/2] FROM scratch", "[2/2] COPY note /note"}
    assert all(vertex["digest"].startswith("sha256:") for vertex in vertexes)
    assert any("completed" in vertex and vertex.get("inputs") for vertex in vertexes)
    again = cli.ok("build", "--progress=rawjson", ".").err
    assert '"cached":true' in again
    assert cli.ok("build", "--progress=none", ".").err == ""


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--add-host", "a"), "invalid host a"),
        (("--ulimit", "nofile"), "invalid ulimit argument: nofile"),
        (("--ulimit", "foo=1"), "invalid ulimit type: foo"),
        (("--shm-size", "-1"), "invalid size: '-1'"),
        (("--allow", "security.insecure"), "is not allowed here"),
        (("--allow", "nonsense"), "unknown entitlement nonsense"),
        (("--network", "foo"), 'network mode "foo" not supported'),
        (("--provenance", "true"), "attaches no provenance"),
        (("--sbom=true",), "attaches no sbom"),
        (("--attest", "type=sbom"), "attaches no sbom"),
        (("--builder", "x"), "there is one builder"),
        (("--cgroup-parent", "x"), "no control group of their own"),
        (("--ssh", "x=/nope"), 'failed to convert agent config for ID: "x"'),
        (("--ssh", "default"), "make sure SSH_AUTH_SOCK is set"),
        (("--call", "foo"), "unsupported request frontend.foo"),
        (("--progress", "foo"), "invalid progress mode foo"),
        (("-q", "--progress", "plain"), "progress=plain and quiet cannot be used together"),
        (("-o", "type=oci,dest=x,compression=zstd"), "minirt packs layers with gzip"),
        (("-o", "type=image,compression=gzip"), "type=oci can pack them"),
        (("-o", "type=image,rewrite-timestamp=false"), "rewrite-timestamp=false"),
        (("-o", "type=docker,dest=x,oci-mediatypes=false"), "oci-mediatypes=false"),
    ],
)
def test_refused_by_name(cli: Teller, context: Path, words: tuple[str, ...], part: str) -> None:
    """What cannot be done or read says so, before anything is built."""
    result = cli("build", *words, ".")
    assert result.code != 0 and part in result.err


def test_accepted_without_an_effect(cli: Teller, context: Path) -> None:
    """What asks for what is so anyway."""
    (context / "Dockerfile").write_text("FROM scratch\nCOPY note /note\n")
    words = ["--provenance=false", "--sbom=false", "--attest", "type=sbom,disabled=true", "--allow", "network.host"]
    before = cli.ok("images", "-aq").out
    cli.ok("build", *words, "-o", "type=cacheonly", ".")
    assert cli.ok("images", "-aq").out == before


def test_annotations_and_packed_layers(cli: Teller, context: Path) -> None:
    """--annotation stands in the manifest; an archive's layers may be packed, and load as the same image."""
    (context / "Dockerfile").write_text("FROM scratch\nCOPY note /note\n")
    cli.ok("build", "-q", "--annotation", "a=b", "-t", "noted:1", "--iidfile", "id", ".")
    output = "type=oci,dest=out,tar=false,compression=gzip,compression-level=9"
    cli.ok("build", "--annotation", "manifest:a=b", "-o", output, ".")
    index = json.loads((context / "out" / "index.json").read_text())
    blobs = context / "out" / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    assert manifest["annotations"] == {"a": "b"}
    assert manifest["config"]["digest"] == (context / "id").read_text()
    assert manifest["layers"][0]["mediaType"].endswith("tar+gzip")
    assert (blobs / manifest["layers"][0]["digest"][7:]).read_bytes()[:2] == b"\x1f\x8b"


def test_values_are_read() -> None:
    """The forms that buildx has."""
    assert call_method("lint,format=json") == Call("check", json=True)
    assert extra_hosts(["a:1.2.3.4,b=::1", "c=[::2]", "d:host-gateway"]) == (
        ("a", "1.2.3.4"), ("b", "::1"), ("c", "::2"), ("d", "host-gateway"),
    )  # fmt: skip
    assert annotation("index:a=b=c") == ("index:a", "b=c")
    assert annotation("manifest:a=") == ("a", "")
    with pytest.raises(Unsupported):
        annotation("manifest-descriptor:a=b")


def test_agents_are_read(tmp_path: Path) -> None:
    """The environment's socket, another one, or key files; never a socket and something else."""
    key = tmp_path / "key"
    key.write_text("k")
    assert agents(["a=key", f"b={key},key"], {}, tmp_path) == {"a": (str(key),), "b": (str(key), str(key))}
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert agents(["default"], {"SSH_AUTH_SOCK": str(tmp_path / "s")}, tmp_path) == {
            "default": (str(tmp_path / "s"),)
        }
        with pytest.raises(InvalidSpec, match="only single socket"):
            agents(["x=s,key"], {}, tmp_path)
