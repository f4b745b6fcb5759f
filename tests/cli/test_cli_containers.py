"""Commands about containers, on real ones."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path

import pytest

from minirt.cli.main import run
from minirt.errors import Cancelled, ContainerFailed
from minirt.testing.commands import Teller

BASE = "minirt/base"


def test_run(cli: Teller) -> None:
    """Both streams come out apart, and the exit code is the program's."""
    said = cli("run", "--rm", BASE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (said.code, said.out, said.err) == (7, "out\n", "err\n")
    assert cli.ok("ps", "-aq").out == ""


def test_arguments_after_the_image_are_the_programs(cli: Teller) -> None:
    """Options after the image are not ours."""
    assert cli.ok("run", "--rm", BASE, "echo", "--rm", "-d").out == "--rm -d\n"


def test_stdin(cli: Teller) -> None:
    """Standard input reaches the program with -i only."""
    assert cli.ok("run", "--rm", "-i", BASE, "cat", stdin=b"typed\n").out == "typed\n"
    assert cli.ok("run", "--rm", BASE, "cat", stdin=b"typed\n").out == ""


@pytest.mark.parametrize(("command", "code"), [("nothing-of-that-name", 127), ("/etc/passwd", 126), ("/bin", 126)])
def test_program_that_cannot_run(cli: Teller, command: str, code: int) -> None:
    """126 and 127 as docker has them, and the container is removed all the same."""
    said = cli("run", "--rm", BASE, command)
    assert said.code == code
    assert said.err.startswith('docker: exec: "')
    assert cli.ok("ps", "-aq").out == ""


def test_environment(cli: Teller, tmp_path: Path) -> None:
    """-e wins over --env-file; a bare name takes its value from outside; hosts' variables do not leak in."""
    (tmp_path / "vars").write_text("# a comment\nA=file\nB=file with spaces\nC\n\n")
    show = ("sh", "-c", 'echo "$A|$B|$C|$D|${E-unset}|${F-unset}"')
    outside = {"C": "from outside", "D": "also", "F": "leak"}
    said = cli.ok(
        "run", "--rm", "--env-file", "vars", "-e", "A=flag", "-e", "D", "-e", "E", BASE, *show, environment=outside
    )
    assert said.out == "flag|file with spaces|from outside|also|unset|unset\n"


def test_mounts_and_places(cli: Teller, tmp_path: Path, isolated: bool) -> None:
    """-v, --mount, --tmpfs, -w, -u, --hostname and --read-only do what they say."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "file").write_text("here")
    script = (
        "cat /a/file; echo; cat file; echo; hostname 2>/dev/null || cat /etc/hostname; touch /x 2>/dev/null || echo ro"
    )
    if not isolated:
        script = script.replace("hostname 2>/dev/null ||", "")  # it would say the machine's
    options = ["-v", "./src:/a:ro", "--mount", f"type=bind,source={tmp_path}/src,target=/b", "-w", "/b"]
    said = cli.ok(
        "run", "--rm", *options, "--tmpfs", "/t", "--hostname", "box", "--read-only", BASE, "sh", "-c", script
    )
    assert said.lines == ["here", "here", "box", "ro"]


def test_entrypoint(cli: Teller) -> None:
    """--entrypoint replaces the program; the rest are its arguments."""
    assert cli.ok("run", "--rm", "--entrypoint", "echo", BASE, "a", "b").out == "a b\n"


def test_odd_words_survive(cli: Teller) -> None:
    """Spaces, quotes, newlines and Unicode in arguments and labels come through."""
    odd = "a b\n'c' \"d\" ünï €"
    assert cli.ok("run", "--rm", BASE, "printf", "%s", odd).out == odd
    cli.ok("create", "--name", "odd", "-l", f"what={odd}", BASE, "true")
    assert cli.ok("inspect", "-f", '{{index .Config.Labels "what"}}', "odd").out == odd + "\n"


def test_cidfile(cli: Teller, tmp_path: Path) -> None:
    """The id is written before the container runs; a file that is there already stops run."""
    cli.ok("run", "--name", "one", "--cidfile", "id", BASE, "true")
    identity = (tmp_path / "id").read_text()
    assert cli.ok("inspect", "-f", "{{.Id}}", "one").out.strip() == identity
    said = cli("run", "--cidfile", "id", BASE, "true")
    assert said.code == 125
    assert "container ID file found" in said.err


def test_name_in_use(cli: Teller) -> None:
    """A second container of a name is refused with 125."""
    cli.ok("create", "--name", "one", BASE, "true")
    said = cli("run", "--name", "one", BASE, "true")
    assert said.code == 125
    assert "already in use" in said.err


def test_life(cli: Teller, isolated: bool) -> None:
    """create, start, ps, logs, exec, diff, stop, wait, rm: each says what docker says."""
    identity = cli.ok("create", "--name", "one", BASE, "sh", "-c", "echo hi; echo no >&2; touch /new; sleep 60").out
    assert len(identity.strip()) == 64
    assert cli.ok("ps", "-a", "--format", "{{.Status}}").out == "Created\n"
    assert cli.ok("start", "one").out == "one\n"
    assert cli.ok("ps", "--format", "{{.Names}} {{.State}} {{.Image}}").out == "one running minirt/base\n"
    assert cli.ok("ps", "--filter", "name=on", "-q").out.strip() == identity[:12]
    _until(lambda: "/new" in cli.ok("diff", "one").out)
    assert cli.ok("diff", "one").out == "A /new\n"
    said = cli.ok("logs", "one")
    assert (said.out, said.err) == ("hi\n", "no\n")
    assert cli("rm", "one").code == 1
    # Only a process 1 without a handler waits for SIGKILL; another has to be given the time to end by SIGTERM.
    code, patience = (137, "0") if isolated else (143, "20")
    assert cli.ok("stop", "-t", patience, "one").out == "one\n"
    assert cli.ok("wait", "one").out == f"{code}\n"
    assert cli.ok("ps", "-a", "--format", "{{.Status}}").out.startswith(f"Exited ({code}) ")
    assert cli.ok("logs", "-n", "1", "one").out + cli.ok("logs", "-n", "1", "one").err in ("hi\n", "no\n")
    assert cli.ok("container", "rm", "one").out == "one\n"
    assert cli("logs", "one").err.splitlines()[0] == "Error: No such container: one"


def test_detached(cli: Teller) -> None:
    """-d prints the id; the container is found by it; kill says so; rm -f removes it."""
    identity = cli.ok("run", "-d", BASE, "sleep", "60").out.strip()
    assert cli.ok("ps", "-q", "--no-trunc").out.strip() == identity
    assert cli.ok("kill", identity[:6]).out.strip() == identity[:6]
    assert cli.ok("wait", identity).out == "137\n"
    assert cli.ok("rm", "-f", identity).code == 0
    assert cli("rm", "-f", identity).code == 0
    assert cli("rm", identity).code == 1


def test_exec(cli: Teller) -> None:
    """Exec runs beside the first program, with its own exit code."""
    cli.ok("run", "-d", "--name", "one", BASE, "sleep", "60")
    said = cli("exec", "-e", "A=1", "-w", "/tmp", "one", "sh", "-c", "pwd; echo $A; exit 3")
    assert (said.code, said.out) == (3, "/tmp\n1\n")
    assert cli.ok("exec", "-i", "one", "cat", stdin=b"typed").out == "typed"
    assert cli("exec", "one", "nothing-of-that-name").code == 127
    assert cli("exec", "nobody", "true").code == 1


def test_ps_of_a_stopped_one(cli: Teller) -> None:
    """The table, its sizes and its JSON."""
    cli.ok("run", "--name", "one", "-l", "stage=test", BASE, "sh", "-c", "echo 12345 > /file")
    lines = cli.ok("ps", "-as").lines
    assert lines[0].split()[:2] == ["CONTAINER", "ID"]
    assert '"sh -c ' in lines[1]
    assert "6B (virtual " in lines[1]
    assert cli.ok("inspect", "-s", "-f", "{{.SizeRw}}", "one").out == "6\n"
    row = json.loads(cli.ok("ps", "-a", "--format", "json").out)
    assert (row["Names"], row["State"], row["Labels"], row["LocalVolumes"]) == ("one", "exited", "stage=test", "0")
    assert cli.ok("ps", "-a", "--format", 'table {{.Names}}\t{{.Label "stage"}}').lines == [
        "NAMES     stage",
        "one       test",
    ]
    for chosen, count in (("exited=0", 1), ("exited=1", 0), ("label=stage=test", 1), (f"ancestor={BASE}", 1)):
        assert len(cli.ok("ps", "-aq", "--filter", chosen).lines) == count
    assert cli("ps", "--filter", "status=asleep").code == 1


def test_commit(cli: Teller) -> None:
    """What a container wrote becomes an image."""
    cli.ok("run", "--name", "one", BASE, "sh", "-c", "echo kept > /file")
    assert cli.ok("commit", "-m", "keep it", "one", "kept:1").out.startswith("sha256:")
    assert cli.ok("run", "--rm", "kept:1", "cat", "/file").out == "kept\n"
    assert cli.ok("history", "kept:1").lines[1].endswith("keep it")


def test_execute_raises_for_a_failing_program(cli: Teller) -> None:
    """For the caller that shows errors itself, a failing container is an error with its last words."""
    with pytest.raises(ContainerFailed) as caught:
        cli.execute("run", "--rm", BASE, "sh", "-c", "echo why >&2; exit 3")
    assert (caught.value.exit_code, caught.value.stderr) == (3, b"why\n")


def test_cancel(cli: Teller) -> None:
    """An interrupt ends the container, removes it with --rm, and is exit code 130."""
    from minirt.cli import execute

    session = cli.session()
    threading.Timer(0.3, session.cancel.cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled) as caught:
        execute(["run", "--rm", BASE, "sleep", "60"], session)
    assert caught.value.exit_code == 130
    assert time.monotonic() - start < 10
    assert cli.ok("ps", "-aq").out == ""


def _until(condition: object, seconds: float = 5.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def test_ps_finds_out_what_its_template_shows(cli: Teller) -> None:
    """`{{json .}}` holds the size as `--size` does; the word `json` alone asks for none, as with docker."""
    cli.ok("run", "--name", "sized", BASE, "sh", "-c", "echo hello > /f")
    whole = json.loads(cli.ok("ps", "-a", "--format", "{{json .}}").out)
    assert whole["Size"] == cli.ok("ps", "-a", "--format", "{{.Size}}").out.strip()
    assert whole["Size"].startswith("6B (virtual ")
    assert json.loads(cli.ok("ps", "-a", "--format", "json").out)["Size"] == "0B"


def test_what_is_gone_with_force_is_told_by_our_name(cli: Teller) -> None:
    """Hints of errors that end nothing also say what is typed here."""
    for line, hint in (("rm -f x9", b"`minirt ps -a` lists"), ("rmi -f x9", b"minirt images lists")):
        session = cli.session(name="minirt")  # as in a terminal
        assert run(line.split(), session) == 0
        assert isinstance(session.stderr, io.BytesIO)
        assert hint in session.stderr.getvalue()


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{.HostConfig.Mounts}}|{{.HostConfig.Tmpfs}}|{{.HostConfig.Init}}", "[]|map[]|<nil>"),
        ("{{json .HostConfig.Mounts}} {{.SizeRw}} {{json .SizeRootFs}}", "null <nil> null"),
        ("{{.Config.Healthcheck}} {{.Config.ExposedPorts}} {{.Config.MacAddress}}", "<nil> map[] "),
        ("{{if .State.Health}}yes{{else}}no{{end}} {{.State.Health}}", "no <nil>"),
    ],
)
def test_fields_that_docker_leaves_out_are_empty(cli: Teller, template: str, says: str) -> None:
    """What docker's structures have and its JSON omits is nil in a template, not a mistake; what goes on from it is."""
    cli.ok("create", "--name", "plain", BASE, "true")
    assert cli.ok("inspect", "-f", template, "plain").out == f"{says}\n"
    assert 'no entry for key "Health"' in cli("inspect", "-f", "{{.State.Health.Status}}", "plain").err
    assert 'no entry for key "Mounts"' in cli("inspect", "-f", "{{.Config.Mounts}}", "plain").err


def test_inspect_keeps_the_form_of_mounts(cli: Teller) -> None:
    """`--mount` is under HostConfig.Mounts, as docker keeps it; `-v` under Binds, `--tmpfs` under Tmpfs."""
    cli.ok(
        "create", "--name", "mounted", "--mount", "source=kept,target=/app", "--mount",
        f"type=bind,src={cli.cwd},dst=/t,readonly", "--mount", "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=700",
        "--tmpfs", "/y", "-v", f"{cli.cwd}:/z:ro", BASE, "true",
    )  # fmt: skip
    (attrs,) = json.loads(cli.ok("inspect", "mounted").out)
    assert attrs["HostConfig"]["Mounts"] == [
        {"Type": "volume", "Source": "kept", "Target": "/app"},
        {"Type": "bind", "Source": str(cli.cwd), "Target": "/t", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}},
    ]
    assert attrs["HostConfig"]["Binds"] == [f"{cli.cwd}:/z:ro"]
    assert attrs["HostConfig"]["Tmpfs"] == {"/y": ""}
    rows = {one["Destination"]: (one.get("Driver"), one["Mode"], one["RW"]) for one in attrs["Mounts"]}
    assert "/y" not in rows and rows["/x"] == (None, "", True)
    assert rows["/app"] == ("local", "z", True)
    assert rows["/t"] == (None, "", False) and rows["/z"] == (None, "ro", False)


def test_newlines_in_formats(cli: Teller) -> None:
    r"""In inspect ``{{"\n"}}`` is a newline and ``\t`` stands for itself; in lists ``\t`` and ``\n`` are replaced."""
    cli.ok("create", "--name", "lines", BASE)
    networks = r'{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{"\n"}}{{end}}\t.'
    assert cli.ok("inspect", "-f", networks, "lines").out.endswith("\n\\t.\n")
    assert cli.ok("ps", "-a", "--format", r"{{.Names}}\t\n").out.startswith("lines\t\n")
    assert "unterminated quoted string" in cli("ps", "-a", "--format", r'{{"\n"}}').err
    for words in (("info",), ("version",), ("events", "--since", "1m", "--until", "0s")):
        assert cli.ok(*words, "--format", r'{{"a\tb"}}\n').out.startswith("a\tb\\n\n")
    cli.ok("rm", "lines")
