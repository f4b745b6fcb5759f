"""Command lines are understood or refused before any engine is asked."""

from __future__ import annotations

import pytest

from minirt.cli.tree import COMMANDS, GROUPS, load
from minirt.errors import Unsupported, UsageError
from minirt.testing.commands import Teller


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_table_is_true(name: str) -> None:
    """The table of commands says of each what its own help says."""
    command = load(name)
    assert command.help == COMMANDS[name].text
    assert command.name == name.rpartition(" ")[2] or name == "system df"


def test_groups_lead_to_commands() -> None:
    """Every management form is another name of a command."""
    for group in GROUPS.values():
        assert set(group.members.values()) <= set(COMMANDS)
        assert set(group.other_names.values()) <= set(group.members)


@pytest.mark.parametrize(
    "line",
    ["", "--help", "image", "image --help", "run --help", "image ls --help", "ps -h", "-v", "help", "help image ls"],
)
def test_help(words: Teller, line: str) -> None:
    """Help and version go to standard output and need no engine."""
    said = words.ok(*line.split())
    assert said.out
    assert not said.err


def test_help_knows_its_names(words: Teller) -> None:
    """A command's help is the same by all its names, and lists them."""
    short, long = words.ok("images", "--help").out, words.ok("image", "list", "--help").out
    assert short.splitlines()[1:] == long.splitlines()[1:]
    assert "docker image ls, docker image list, docker images" in short


@pytest.mark.parametrize(
    ("line", "code", "first", "hint"),
    [
        ("run --foo", 125, "unknown flag: --foo", "See 'docker run --help'."),
        ("run --nam x y", 125, "unknown flag: --nam", "Did you mean --name? See 'docker run --help'."),
        ("run -z x", 125, "unknown shorthand flag: 'z' in -z", "See 'docker run --help'."),
        ("run --name", 125, "flag needs an argument: --name", "See 'docker run --help'."),
        ("images --foo", 125, "unknown flag: --foo", "See 'docker images --help'."),
        ("run", 1, "docker: 'docker run' requires at least 1 argument", "See 'docker run --help'."),
        ("tag a", 1, "docker: 'docker tag' requires 2 arguments", "See 'docker tag --help'."),
        ("image ls x y", 1, "docker: 'docker image ls' requires at most 1 argument", "See 'docker image ls --help'."),
        ("version x", 1, "docker: 'docker version' accepts no arguments", "See 'docker version --help'."),
        ("imagess", 1, "docker: unknown command: docker imagess", "Did you mean images? See 'docker --help'."),
        ("image foo", 1, "docker: unknown command: docker image foo", "See 'docker --help'."),
        ("run -e =x i", 125, 'invalid argument "=x" for "-e, --env" flag: invalid environment variable: =x', ""),
        ("run --label =x i", 125, 'invalid argument "=x" for "-l, --label" flag: invalid label \'=x\': empty name', ""),
        ("run --rm=perhaps i", 125, 'invalid argument "perhaps" for "--rm" flag: strconv.ParseBool: parsing', ""),
        ("ps -n x", 125, 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x"', ""),
        ("ps -f x", 125, 'invalid argument "x" for "-f, --filter" flag: invalid filter: bad format of filter', ""),
    ],
)
def test_mistakes(words: Teller, line: str, code: int, first: str, hint: str) -> None:
    """Exit codes and first lines are docker's; the last line says what to do."""
    said = words(*line.split())
    assert said.code == code
    assert said.err.splitlines()[0].startswith(first)
    assert said.err.splitlines()[-1].endswith(hint)
    assert not said.out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("run --gpus all image", "--gpus of docker run"),
        ("run --ip6 fd00::1 image", "--ip6 of docker run"),
        ("run --sig-proxy=false image", "--sig-proxy=false"),
    ],
)
def test_refused_by_name(words: Teller, line: str, says: str) -> None:
    """What docker has and minirt has not is refused by name, never ignored."""
    said = words(*line.split())
    assert said.code in (1, 125)
    assert says in said.err


@pytest.mark.parametrize("line", ["swarm init", "scout cves x", "init", "buildx ls", "volume update x"])
def test_docker_command_that_is_not_here(words: Teller, line: str) -> None:
    """A command of docker's that minirt lacks is not called unknown."""
    said = words(*line.split())
    name = " ".join(line.split()[: 2 if line.startswith(("buildx", "volume")) else 1])
    assert (said.code, said.err.splitlines()[0]) == (
        1,
        f"docker: docker {name}: docker has this command, minirt does not (yet)",
    )


def test_execute_raises(words: Teller) -> None:
    """For callers that show errors themselves they are raised, with docker's exit code and the hint."""
    with pytest.raises(UsageError) as caught:
        words.execute("run", "--nam", "x", "image")
    assert caught.value.exit_code == 125
    assert caught.value.hint == "Did you mean --name? See 'docker run --help'."
    with pytest.raises(Unsupported) as refused:
        words.execute("run", "--mac-address", "02:42:00:00:00:01", "image")
    assert refused.value.exit_code == 125


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("run -v /a:/b:/c:/d image", "too many colons"),
        ("run --mount foo image", "must be a key=value pair"),
        ("run --tmpfs x image", "must be absolute"),
        ("run -w rel image", "the working directory 'rel' is invalid"),
        ("run --env-file nope image", "no such file or directory"),
        ("run --pull sometimes image", 'must be one of "always", "missing" or "never"'),
        ("run --add-host nope image", 'bad format for add-host: "nope"'),
        ("run -v a1:/x -v b1:/x image", "Duplicate mount point: /x"),
        ("run --stop-signal FOO image", "FOO"),
    ],
)
def test_values_of_run(words: Teller, line: str, says: str) -> None:
    """Values are checked before anything is made, with run's exit code."""
    said = words(*line.split())
    assert said.code == 125
    assert says in said.err


def test_internal_errors_are_told_apart(words: Teller) -> None:
    """A mistake of ours never raises out of run; --debug shows where it came from."""
    said = words("ps")
    assert said.code == 1
    assert "internal error: AssertionError" in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in words("--debug", "ps").err
