"""``build``, on a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from minirt.errors import DockerfileError, RunFailed
from minirt.testing.commands import Teller

DOCKERFILE = "FROM minirt/base\nARG WHO=nobody\nRUN echo built for $WHO > /who\nCOPY note /note\nCMD cat /who /note\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context as the current directory."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "note").write_text("a note\n")
    return tmp_path


def test_build_and_run(cli: Teller, context: Path) -> None:
    """A built image runs; its steps show on standard error, and the second time they come from the cache."""
    said = cli.ok("build", "-t", "app:1", "-t", "app:2", "--build-arg", "WHO=me", "--label", "a=b", ".")
    assert said.out == ""
    assert "RUN echo built for $WHO > /who" in said.err
    assert "naming to app:2 done" in said.err
    assert cli.ok("run", "--rm", "app:2").out == "built for me\na note\n"
    assert cli.ok("inspect", "-f", "{{.Config.Labels.a}}", "app:1").out == "b\n"
    again = cli.ok("build", "-t", "app:1", "--build-arg", "WHO", "--label", "a=b", ".", environment={"WHO": "me"})
    assert again.err.count(" CACHED\n") >= 2
    assert cli.ok("build", "-q", "--no-cache", ".").out.startswith("sha256:")


def test_quiet_and_id_file(cli: Teller, context: Path) -> None:
    """-q prints the id alone; --iidfile writes it."""
    said = cli.ok("build", "-q", "--iidfile", "id", "-t", "app:1", ".")
    assert said.err == ""
    assert said.out.strip() == (context / "id").read_text()
    assert cli.ok("images", "-q", "--no-trunc", "app:1").out == said.out


def test_dockerfile_from_elsewhere(cli: Teller, context: Path) -> None:
    """-f names a file or standard input; - alone is a Dockerfile without a context."""
    (context / "sub").mkdir()
    (context / "sub" / "other").write_text("FROM minirt/base\nCMD echo other\n")
    cli.ok("build", "-t", "app:1", "-f", "sub/other", ".")
    assert cli.ok("run", "--rm", "app:1").out == "other\n"
    cli.ok("build", "-t", "app:2", "-f", "-", ".", stdin=b"FROM minirt/base\nCOPY note /\nCMD cat note\nWORKDIR /\n")
    assert cli.ok("run", "--rm", "app:2").out == "a note\n"
    cli.ok("build", "-t", "app:3", "-", stdin=b"FROM minirt/base\nCMD echo piped\n")
    assert cli.ok("run", "--rm", "app:3").out == "piped\n"


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("build", 1, "'docker build' requires 1 argument"),
        ("build nothing", 1, 'unable to prepare context: path "nothing" not found'),
        ("build note", 1, "context must be a directory"),
        ("build -f nothing .", 1, "open nothing: no such file or directory"),
        ("build -t Bad .", 125, 'invalid argument "Bad" for "-t, --tag" flag: invalid reference format'),
        ("build -f - -", 1, "can't use stdin for both build context and dockerfile"),
        ("build --progress fancy .", 125, "invalid progress mode fancy"),
        ("build --target nothing .", 1, "nothing"),
    ],
)
def test_mistakes(cli: Teller, context: Path, line: str, code: int, says: str) -> None:
    """What cannot be built is said before anything is."""
    said = cli(*line.split())
    assert said.code == code
    assert says in said.err


def test_wrong_dockerfile(cli: Teller, context: Path) -> None:
    """The line, a caret, and what was meant."""
    said = cli("build", "-", stdin=b"FROM minirt/base\nONBULID RUN x\n")
    assert said.code == 1
    assert said.err == (
        "Error: unknown instruction: ONBULID\n"
        "  at Dockerfile, line 2:\n"
        "  2 | ONBULID RUN x\n"
        "    | ^^^^^^^\n"
        "What to do: did you mean ONBUILD?\n"
    )
    with pytest.raises(DockerfileError):
        cli.execute("build", "-f", "note", ".")


def test_failing_step(cli: Teller, context: Path) -> None:
    """A step that fails shows what it wrote; no name is given; the exit code is 1."""
    said = cli("build", "-t", "app:9", "-f", "-", ".", stdin=b"FROM minirt/base\nRUN echo because; exit 3\n")
    assert said.code == 1
    assert "#2 because\n" in said.err
    assert "exit code: 3" in said.err
    assert cli.ok("images", "-q", "app:9").out == ""
    (context / "Dockerfile").write_text("FROM minirt/base\nRUN exit 3\n")
    with pytest.raises(RunFailed) as caught:
        cli.execute("build", ".")
    assert (caught.value.exit_code, caught.value.status) == (1, 3)
