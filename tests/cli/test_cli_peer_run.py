"""Docker's own engine and minirt, given the same ``run``: the same output, first words and exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from minirt.testing.commands import Said, Teller

if TYPE_CHECKING:
    from minirt.engine import Engine

pytestmark = pytest.mark.peer

_PREFIXES = ("docker: ", "Error response from daemon: ", "Error: ")
_NOISE = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ",
    "unable to start container process: ",
    "error during container init: ",
)


def _docker(*argv: str, stdin: bytes = b"") -> Said:
    done = subprocess.run(["docker", *argv], input=stdin, capture_output=True, check=False, timeout=120)
    return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@pytest.fixture(scope="module")
def base(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """minirt/base with a user and some groups, under a name that both know."""
    if shutil.which("docker") is None or _docker("version").code:
        pytest.skip("no docker daemon answers here")
    name = f"minirt-peer-{uuid.uuid4().hex[:8]}:1"
    place = tmp_path_factory.mktemp("base")
    image = shared_engine.images.build(
        text="FROM minirt/base\nRUN mkdir -p /etc && echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd"
        " && echo 'alice:x:1000:1000::/home/alice:/bin/sh' >> /etc/passwd && printf 'root:x:0:\\naudio:x:29:alice\\n"
        "alice:x:1000:\\nstaff:x:50:\\n' > /etc/group && mkdir -p /tmp /data && echo kept > /data/file\n",
        tag=name,
    )
    archive = place / "base.tar"
    with archive.open("wb") as file:
        for chunk in image.save():
            file.write(chunk)
    assert _docker("load", "-i", str(archive)).code == 0
    yield name
    _docker("rmi", "-f", name)
    shared_engine.images.remove(name, force=True)


def _first(text: str) -> str:
    """The first line of what was complained, without who says it and without runc's chain of steps."""
    line = next(iter(text.splitlines()), "")
    for prefix in _PREFIXES:
        line = line.removeprefix(prefix)
    for noise in _NOISE:
        line = line.replace(noise, "")
    return line


# What is to be typed after ``run --rm``; IMAGE stands for the base.
SAME = [
    "-a stdout IMAGE sh -c 'echo out; echo err >&2'", "-a stderr IMAGE sh -c 'echo out; echo err >&2'",
    "--shm-size 1m IMAGE sh -c 'df -k /dev/shm | tail -1 | tr -s \" \" | cut -d\" \" -f2'",
    "--group-add 1234 -u alice IMAGE sh -c 'id -u; id -g; id -G | tr \" \" \"\\n\" | sort -nu'",
    "--group-add nope IMAGE id", "--ipc bogus IMAGE true", "--ipc container:nope IMAGE true", "--pid bogus IMAGE true",
    "--pid container:nope IMAGE true", "--uts bogus IMAGE true", "--uts host --hostname x IMAGE hostname",
    "--uts host IMAGE hostname", "--userns bogus IMAGE true", "--userns host IMAGE cat /proc/self/uid_map",
    "--cgroupns bogus IMAGE true", "--sysctl vm.swappiness=1 IMAGE true", "--sysctl foo IMAGE true",
    "--sysctl net.ipv4.ip_forward=1 IMAGE cat /proc/sys/net/ipv4/ip_forward",
    "--sysctl net.ipv4.ip_forward=1 --network host IMAGE true",
    "--sysctl kernel.shmmax=123456 IMAGE cat /proc/sys/kernel/shmmax",
    "--domainname example.com --hostname web IMAGE sh -c 'hostname; cat /proc/sys/kernel/domainname; hostname -f'",
    "--isolation default IMAGE true", "--isolation hyperv IMAGE true", "--runtime foo IMAGE true",
    "--memory-swappiness 50 IMAGE true", "--memory-swappiness 500 IMAGE true", "--oom-kill-disable IMAGE true",
    "--oom-score-adj 500 IMAGE cat /proc/self/oom_score_adj", "--oom-score-adj 5000 IMAGE true",
    "--cpu-period 50000 --cpu-quota 25000 IMAGE true", "--cpu-period 5 IMAGE true", "--cpu-quota 5 IMAGE true",
    "--cpus 1 --cpu-quota 25000 IMAGE true", "--cpus 1000 IMAGE true", "--cpuset-mems 0 IMAGE true",
    "--cpuset-mems 7 IMAGE true", "--cpuset-cpus 999 IMAGE true", "--device-read-bps foo IMAGE true",
    "--device-read-iops /dev/nope:100 IMAGE true", "--device /dev/nope IMAGE true",
    "--device /dev/null:/dev/xyz:q IMAGE true",
    "--device /dev/zero:/dev/xyz IMAGE sh -c 'head -c 3 /dev/xyz | od -c'", "--annotation a=b IMAGE true",
    "--log-driver none IMAGE echo hi", "--log-driver foo IMAGE echo hi", "--log-opt foo=bar IMAGE echo hi",
    "--security-opt foo IMAGE true", "--security-opt label=disable IMAGE true",
    "--security-opt systempaths=unconfined IMAGE ls -d /proc/acpi", "--ulimit nofile=10:5 IMAGE true",
    "--ulimit nofile=64:128 IMAGE sh -c 'ulimit -n; ulimit -Hn'", "--pids-limit -5 IMAGE true",
    "--tmpfs /x:size=1m,mode=700,uid=5 IMAGE sh -c 'stat -c %a:%u /x'", "--tmpfs relative IMAGE true",
    "--restart always IMAGE true", "--entrypoint '' IMAGE echo hi", "-w rel IMAGE true", "-w /made/here IMAGE pwd",
    "-u nope IMAGE true", "-u :29 IMAGE sh -c 'id -u; id -g'", "-u root:staff IMAGE sh -c 'id -u; id -g; id -G'",
    "-u 1000:50 IMAGE sh -c 'id -u; id -g; id -G'", "-u 4321 IMAGE sh -c 'id -u; id -g; echo $HOME'",
    "-u alice IMAGE sh -c 'id -u; echo $HOME'", "--stop-signal FOO IMAGE true", "--stop-timeout x IMAGE true",
    "--health-cmd x --no-healthcheck IMAGE true", "--health-interval 1ns --health-cmd true IMAGE true",
    "--pull foo IMAGE true", "IMAGE /nope", "IMAGE nope", "IMAGE /etc", "IMAGE /etc/passwd", "IMAGE sh -c 'exit 42'",
    "IMAGE sh -c 'kill -9 $$; :'", "IMAGE sh -c 'kill -TERM $$; sleep 1; exit 3'", "--init IMAGE sh -c 'kill -TERM $$'",
    "--cap-add FOO IMAGE true", "--cap-drop FOO IMAGE true", "--cap-drop ALL IMAGE grep Cap /proc/self/status",
    "IMAGE grep Cap /proc/self/status", "--cap-drop ALL --cap-add CHOWN IMAGE grep Cap /proc/self/status",
    "--cap-add ALL --cap-drop SYS_ADMIN IMAGE grep Cap /proc/self/status",
    "-u alice --cap-add NET_ADMIN IMAGE grep Cap /proc/self/status",
    "--security-opt no-new-privileges IMAGE grep NoNewPrivs /proc/self/status",
    "IMAGE grep -e NoNewPrivs -e Seccomp: /proc/self/status",
    "--security-opt seccomp=unconfined IMAGE grep Seccomp: /proc/self/status",
    "--security-opt seccomp=builtin IMAGE grep Seccomp: /proc/self/status",
    "--security-opt seccomp=/nope IMAGE true",
    "--read-only IMAGE touch /x", "--read-only --tmpfs /tmp IMAGE sh -c 'touch /tmp/x && echo fine'",
    "-e A=b -e 'C=d e' -e EMPTY= IMAGE sh -c 'echo \"$A|$C|$EMPTY|${EMPTY+set}\"'", "IMAGE env -u HOSTNAME env",
    "--hostname h IMAGE env", "-h 'a b' IMAGE hostname", "IMAGE sh -c 'ulimit -u >/dev/null; umask; pwd'",
    "-v /data IMAGE cat /data/file",
    "--mount type=tmpfs,dst=/t,tmpfs-size=65536,tmpfs-mode=700 IMAGE stat -c %a /t",
    "--mount type=bind,src=/nope,dst=/x IMAGE true", "--mount type=volume,dst=/data IMAGE cat /data/file",
    "--mount type=volume,dst=/data,volume-nocopy IMAGE ls /data", "-v nope:/x:bogus IMAGE true",
    "--volumes-from nope IMAGE true", "--name a/b IMAGE true", "--rm IMAGE",
    "IMAGE ls -A /dev", "IMAGE sh -c 'ls -A /proc/1/fd | wc -l'", "IMAGE cat /proc/acpi /proc/scsi",
    "IMAGE sh -c 'echo 1 > /proc/sys/kernel/hostname'", "IMAGE sh -c 'echo b > /proc/sysrq-trigger'",
    "IMAGE mount -t tmpfs x /tmp", "IMAGE mknod /tmp/n c 1 5", "IMAGE sh -c 'mknod /tmp/m b 8 0 && cat /tmp/m'",
    "IMAGE chroot / true", "IMAGE hostname changed", "IMAGE unshare -m true", "IMAGE sh -c 'cat /proc/self/setgroups'",
    "--privileged IMAGE sh -c 'mount -t tmpfs x /tmp && echo mounted'",
    "--cap-add SYS_ADMIN IMAGE sh -c 'mount -t tmpfs x /tmp && echo mounted'",
]  # fmt: skip


@pytest.mark.parametrize("line", SAME)
def test_run_is_dockers(base: str, cli: Teller, line: str) -> None:
    """Standard output, exit code and the first complaint are the same."""
    import shlex

    words = [base if word == "IMAGE" else word for word in shlex.split(line)]
    theirs, ours = _docker("run", "--rm", *words), cli("run", "--rm", *words)
    if "/dev/fuse" not in line:
        assert ours.out == theirs.out, f"theirs: {theirs}\nours: {ours}"
    assert ours.code == theirs.code, f"theirs: {theirs}\nours: {ours}"
    if theirs.code == 125:
        assert _first(ours.err) == _first(theirs.err)


PROFILES = {
    "errno": ({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}, "mkdir /x; ls -d /tmp"),
    "same": ({"names": ["mkdir"], "action": "SCMP_ACT_ALLOW"}, "mkdir /x; ls -d /x"),
    "kill": ({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}, "mkdir /x; echo $?"),
    "trap": ({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_TRAP"}, "mkdir /x; echo $?"),
    "log": ({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_LOG"}, "mkdir /x; echo $?"),
    "argument": (
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "op": "SCMP_CMP_GE", "value": 12}]},
        "trap 'echo got' USR1; kill -USR1 $$; kill -USR2 $$; echo $?",
    ),
    "masked": (
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
         "args": [{"index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 8, "valueTwo": 8}]},
        "trap 'echo got' TERM; kill -TERM $$; kill -USR1 $$; echo $?",
    ),
    "capability": (
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        "mkdir /x; echo $?",
    ),
    "wrong action": ({"names": ["mkdir"], "action": "NO"}, "true"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROFILES)
def test_a_seccomp_profile_does_what_it_does_with_docker(base: str, cli: Teller, tmp_path: Path, name: str) -> None:
    """The same file: the same output, complaint and exit code, also where all that it does not name is refused."""
    rule, script = PROFILES[name]
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    words = ("run", "--rm", "--security-opt", f"seccomp={profile}", base, "sh", "-c", script)
    theirs, ours = _docker(*words), cli(*words)
    assert (ours.code, ours.out) == (theirs.code, theirs.out), f"theirs: {theirs}\nours: {ours}"
    if theirs.code != 125:
        assert ours.err == theirs.err


def test_every_option_of_docker_is_known(base: str, words: Teller) -> None:
    """Each is done or refused by name: none is unknown, and none means something else."""
    import re

    pattern = re.compile(r"^\s+(?:-(\w), )?\s*(--[a-z0-9-]+)", re.MULTILINE)
    for line in (
        "run", "create", "exec", "ps", "logs", "top", "inspect", "cp", "commit", "export", "import", "update", "events",
        "rm", "wait", "port", "stats", "start", "stop", "restart", "kill", "pause", "unpause", "rename", "attach",
        "diff", "volume create", "volume ls", "volume inspect", "volume rm", "volume prune", "container prune",
        "container ls", "container inspect", "system df", "system info", "system prune", "system events",
    ):  # fmt: skip
        theirs = {long: short for short, long in pattern.findall(_docker(*line.split(), "--help").out)}
        ours = words.ok(*line.split(), "--help").out
        theirs.pop("--help", None)
        for long, short in theirs.items():
            assert re.search(rf"{re.escape(long)}\b", ours), f"{line} {long}"
            if short and f"-{short}, {long}" not in ours:
                assert "refuses" in ours, f"{line} -{short}"
